// Products of a warpgroup, four warps, on the tensor cores of sm_90a: asynchronous, of what lies in shared memory. Of
// its 64 rows by N columns each warp holds 16 rows as mma of ptx.cuh does.
#pragma once

#include "ptx.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define T2T_WARPGROUPS

namespace t2t {

// The threads of one warpgroup leave registers for those of another, which wait until they are there; how many a thread
// then has, a multiple of 8.
template <int kRegisters>
__device__ __forceinline__ void leave_registers() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

template <int kRegisters>
__device__ __forceinline__ void take_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// What was written to shared memory becomes visible to these products; before the gate or barrier that they wait at.
__device__ __forceinline__ void show_to_products() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

__device__ __forceinline__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

#define T2T_SUMS_4(i) "+f"(sums[i][0]), "+f"(sums[i][1]), "+f"(sums[i][2]), "+f"(sums[i][3])
#define T2T_SUMS_16(i) T2T_SUMS_4(i), T2T_SUMS_4(i + 1), T2T_SUMS_4(i + 2), T2T_SUMS_4(i + 3)
#define T2T_SUMS_64(i) T2T_SUMS_16(i), T2T_SUMS_16(i + 4), T2T_SUMS_16(i + 8), T2T_SUMS_16(i + 12)

// Waits for all products. The sums are named, lest they be read or moved before.
__device__ __forceinline__ void end_products(float (&sums)[16][4]) {
    asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" : T2T_SUMS_64(0) : : "memory");
}

__device__ __forceinline__ void end_products(float (&sums)[32][4]) {
    asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;"
                 : T2T_SUMS_64(0), T2T_SUMS_64(16)
                 :
                 : "memory");
}

// Says where the left side lies, aligned to 1024 bytes: rows of 64 numbers, 128 bytes, one after the other. In row r
// the i-th 16 bytes lie at i ^ r % 8, and so what is read of eight rows lies in all banks.
__device__ __forceinline__ uint64_t rows_at(void const* at) {
    uint64_t const address = uint64_t(__cvta_generic_to_shared(at)) >> 4 & 0x3FFF;
    return address | uint64_t(1) << 16 | uint64_t(1024 >> 4) << 32 | uint64_t(1) << 62;
}

// Says where the right side lies: matrices of 8 columns by 8 numbers, 128 bytes each; neighbours by column lie side by
// side, neighbours by number `stride` bytes apart.
__device__ __forceinline__ uint64_t columns_at(void const* at, int stride) {
    uint64_t const address = uint64_t(__cvta_generic_to_shared(at)) >> 4 & 0x3FFF;
    return address | uint64_t(stride >> 4) << 16 | uint64_t(128 >> 4) << 32;
}

// What lies some bytes further on.
__device__ __forceinline__ uint64_t further(uint64_t description, int bytes) {
    return (description & 0xFFFFFFFF00000000) | uint32_t(uint32_t(description) + uint32_t(bytes >> 4));
}

// sums += the product over 16 numbers.
template <class T>
__device__ __forceinline__ void add_product(float (&sums)[8][4], uint64_t rows, uint64_t columns);
template <class T>
__device__ __forceinline__ void add_product(float (&sums)[16][4], uint64_t rows, uint64_t columns);

#define T2T_PRODUCT_64(T, TYPE)                                                                                       \
    template <>                                                                                                       \
    __device__ __forceinline__ void add_product<T>(float (&sums)[8][4], uint64_t rows, uint64_t columns) {            \
        asm volatile(                                                                                                 \
            "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"                                                                \
            "wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE " {"                                          \
            "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                  \
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"                          \
            "}, %32, %33, p, 1, 1, 0, 0;\n}\n"                                                                        \
            : T2T_SUMS_16(0), T2T_SUMS_16(4)                                                                          \
            : "l"(rows), "l"(columns)                                                                                 \
            : "memory");                                                                                              \
    }
T2T_PRODUCT_64(Half, "f16")
T2T_PRODUCT_64(BFloat16, "bf16")

#define T2T_PRODUCT_128(T, TYPE)                                                                                      \
    template <>                                                                                                       \
    __device__ __forceinline__ void add_product<T>(float (&sums)[16][4], uint64_t rows, uint64_t columns) {           \
        asm volatile(                                                                                                 \
            "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"                                                                \
            "wgmma.mma_async.sync.aligned.m64n128k16.f32." TYPE "." TYPE " {"                                         \
            "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                  \
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                        \
            "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                        \
            "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"                          \
            "}, %64, %65, p, 1, 1, 0, 0;\n}\n"                                                                        \
            : T2T_SUMS_64(0)                                                                                          \
            : "l"(rows), "l"(columns)                                                                                 \
            : "memory");                                                                                              \
    }
T2T_PRODUCT_128(Half, "f16")
T2T_PRODUCT_128(BFloat16, "bf16")

#undef T2T_PRODUCT_64
#undef T2T_PRODUCT_128
#undef T2T_SUMS_4
#undef T2T_SUMS_16
#undef T2T_SUMS_64

}  // namespace t2t

#endif

namespace t2t {

#ifdef T2T_WARPGROUPS
constexpr bool kWarpgroups = true;
#else
constexpr bool kWarpgroups = false;
#endif

}  // namespace t2t
