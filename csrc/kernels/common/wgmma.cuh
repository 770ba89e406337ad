// Products of a warpgroup, four warps, on the tensor cores of sm_90a: asynchronous, and with the right side in shared
// memory. Of its 64 rows by N columns each warp holds 16 rows as mma of ptx.cuh does.
#pragma once

#include "ptx.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define T2T_WARPGROUPS

namespace t2t {

// Registers that were written become visible to the products that follow.
__device__ __forceinline__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

#define T2T_SUMS_4(i) "+f"(sums[i][0]), "+f"(sums[i][1]), "+f"(sums[i][2]), "+f"(sums[i][3])
#define T2T_SUMS_16(i) T2T_SUMS_4(i), T2T_SUMS_4(i + 1), T2T_SUMS_4(i + 2), T2T_SUMS_4(i + 3)
#define T2T_SUMS_64(i) T2T_SUMS_16(i), T2T_SUMS_16(i + 4), T2T_SUMS_16(i + 8), T2T_SUMS_16(i + 12)
#define T2T_ROWS_4(i, j) "+r"(rows[i][j].at[0]), "+r"(rows[i][j].at[1]), "+r"(rows[i][j].at[2]), "+r"(rows[i][j].at[3])
#define T2T_ROWS_16 T2T_ROWS_4(0, 0), T2T_ROWS_4(0, 1), T2T_ROWS_4(1, 0), T2T_ROWS_4(1, 1)

// Waits for all products. Their sums and the rows that they read are named, lest they be touched before.
__device__ __forceinline__ void end_products(float (&sums)[16][4], Words (&rows)[2][2]) {
    asm volatile("wgmma.wait_group.sync.aligned 0;" : T2T_SUMS_64(0), T2T_ROWS_16 : : "memory");
}

__device__ __forceinline__ void end_products(float (&sums)[32][4], Words (&rows)[2][2]) {
    asm volatile("wgmma.wait_group.sync.aligned 0;" : T2T_SUMS_64(0), T2T_SUMS_64(16), T2T_ROWS_16 : : "memory");
}

// Says where the right side lies: matrices of 8 columns by 8 numbers, 128 bytes each; neighbours by column lie side by
// side, neighbours by number `stride` bytes apart.
__device__ __forceinline__ uint64_t columns_at(void const* at, int stride) {
    uint64_t const address = uint64_t(__cvta_generic_to_shared(at)) >> 4 & 0x3FFF;
    return address | uint64_t(stride >> 4) << 16 | uint64_t(128 >> 4) << 32;
}

// sums += the product over 16 numbers.
template <class T>
__device__ __forceinline__ void add_product(float (&sums)[8][4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                                            uint64_t columns);
template <class T>
__device__ __forceinline__ void add_product(float (&sums)[16][4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                                            uint64_t columns);
template <class T>
__device__ __forceinline__ void add_product(float (&sums)[32][4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                                            uint64_t columns);

#define T2T_PRODUCT_64(T, TYPE)                                                                                       \
    template <>                                                                                                       \
    __device__ __forceinline__ void add_product<T>(float (&sums)[8][4], uint32_t a0, uint32_t a1, uint32_t a2,        \
                                                   uint32_t a3, uint64_t columns) {                                   \
        asm volatile(                                                                                                 \
            "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"                                                                \
            "wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE " {"                                          \
            "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                  \
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"                          \
            "}, {%32, %33, %34, %35}, %36, p, 1, 1, 0;\n}\n"                                                          \
            : T2T_SUMS_16(0), T2T_SUMS_16(4)                                                                          \
            : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(columns)                                                        \
            : "memory");                                                                                              \
    }
T2T_PRODUCT_64(Half, "f16")
T2T_PRODUCT_64(BFloat16, "bf16")
#undef T2T_PRODUCT_64

#define T2T_PRODUCT_128(T, TYPE)                                                                                      \
    template <>                                                                                                       \
    __device__ __forceinline__ void add_product<T>(float (&sums)[16][4], uint32_t a0, uint32_t a1, uint32_t a2,       \
                                                   uint32_t a3, uint64_t columns) {                                   \
        asm volatile(                                                                                                 \
            "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"                                                                \
            "wgmma.mma_async.sync.aligned.m64n128k16.f32." TYPE "." TYPE " {"                                         \
            "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                  \
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                        \
            "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                        \
            "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"                          \
            "}, {%64, %65, %66, %67}, %68, p, 1, 1, 0;\n}\n"                                                          \
            : T2T_SUMS_64(0)                                                                                          \
            : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(columns)                                                        \
            : "memory");                                                                                              \
    }
T2T_PRODUCT_128(Half, "f16")
T2T_PRODUCT_128(BFloat16, "bf16")
#undef T2T_PRODUCT_128

#define T2T_PRODUCT_256(T, TYPE)                                                                                      \
    template <>                                                                                                       \
    __device__ __forceinline__ void add_product<T>(float (&sums)[32][4], uint32_t a0, uint32_t a1, uint32_t a2,       \
                                                   uint32_t a3, uint64_t columns) {                                   \
        asm volatile(                                                                                                 \
            "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"                                                                \
            "wgmma.mma_async.sync.aligned.m64n256k16.f32." TYPE "." TYPE " {"                                         \
            "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                  \
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                        \
            "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                        \
            "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "                        \
            "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "                        \
            "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "                        \
            "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "            \
            "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"          \
            "}, {%128, %129, %130, %131}, %132, p, 1, 1, 0;\n}\n"                                                     \
            : T2T_SUMS_64(0), T2T_SUMS_64(16)                                                                         \
            : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(columns)                                                        \
            : "memory");                                                                                              \
    }
T2T_PRODUCT_256(Half, "f16")
T2T_PRODUCT_256(BFloat16, "bf16")
#undef T2T_PRODUCT_256

#undef T2T_SUMS_4
#undef T2T_SUMS_16
#undef T2T_SUMS_64
#undef T2T_ROWS_4
#undef T2T_ROWS_16

}  // namespace t2t

#endif

namespace t2t {

#ifdef T2T_WARPGROUPS
constexpr bool kWarpgroups = true;
#else
constexpr bool kWarpgroups = false;
#endif

}  // namespace t2t
