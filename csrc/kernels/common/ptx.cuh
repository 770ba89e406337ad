// Instructions that C++ has no words for. The tests' emulator has a version of this file for the host.
#pragma once

#include <type_traits>

#include "launch.cuh"

namespace t2t {

using Words = Pack<uint32_t, 4>;  // 16 bytes

// A pack of 8 or 16 bytes where `wanted`, zeros elsewhere: without a branch, so that many are on their way at once.
// Nothing is read where it is not wanted.
template <class P>
__device__ __forceinline__ P load_if(bool wanted, void const* from) {
    static_assert(sizeof(P) == 8 || sizeof(P) == 16);
    uint32_t words[sizeof(P) / 4];
    if constexpr (sizeof(P) == 16) {
        asm volatile(
            "{\n"
            ".reg .pred wanted;\n"
            "setp.ne.b32 wanted, %5, 0;\n"
            "mov.b32 %0, 0;\n"
            "mov.b32 %1, 0;\n"
            "mov.b32 %2, 0;\n"
            "mov.b32 %3, 0;\n"
            "@wanted ld.global.v4.b32 {%0, %1, %2, %3}, [%4];\n"
            "}\n"
            : "=&r"(words[0]), "=&r"(words[1]), "=&r"(words[2]), "=&r"(words[3])
            : "l"(from), "r"(int(wanted)));
    } else {
        asm volatile(
            "{\n"
            ".reg .pred wanted;\n"
            "setp.ne.b32 wanted, %3, 0;\n"
            "mov.b32 %0, 0;\n"
            "mov.b32 %1, 0;\n"
            "@wanted ld.global.v2.b32 {%0, %1}, [%2];\n"
            "}\n"
            : "=&r"(words[0]), "=&r"(words[1])
            : "l"(from), "r"(int(wanted)));
    }
    P pack;
    memcpy(&pack, words, sizeof pack);
    return pack;
}

// The number, or pack of them, that lies `number` of its kind after `from`; zeros where that is negative, and nothing is
// read: without a branch, so that many are on their way at once.
template <class P>
__device__ __forceinline__ P load_at(P const* from, int32_t number) {
    static_assert(sizeof(P) == 2 || sizeof(P) == 4 || sizeof(P) == 8 || sizeof(P) == 16);
    uint32_t words[(sizeof(P) + 3) / 4];
#define T2T_LOAD_AT(BYTES, LOAD, FROM, NUMBER)             \
    "{\n"                                                  \
    ".reg .pred wanted;\n"                                 \
    ".reg .b64 at;\n"                                      \
    "setp.ge.s32 wanted, " NUMBER ", 0;\n"                 \
    "mad.wide.s32 at, " NUMBER ", " BYTES ", " FROM ";\n"  \
    LOAD ", [at];\n"                                       \
    "}\n"
    if constexpr (sizeof(P) == 2) {
        asm volatile(T2T_LOAD_AT("2", "mov.b32 %0, 0;\n@wanted ld.global.u16 %0", "%1", "%2")
                     : "=&r"(words[0])
                     : "l"(from), "r"(number));
    } else if constexpr (sizeof(P) == 4) {
        asm volatile(T2T_LOAD_AT("4", "mov.b32 %0, 0;\n@wanted ld.global.b32 %0", "%1", "%2")
                     : "=&r"(words[0])
                     : "l"(from), "r"(number));
    } else if constexpr (sizeof(P) == 8) {
        asm volatile(T2T_LOAD_AT("8", "mov.b32 %0, 0;\nmov.b32 %1, 0;\n@wanted ld.global.v2.b32 {%0, %1}", "%2", "%3")
                     : "=&r"(words[0]), "=&r"(words[1])
                     : "l"(from), "r"(number));
    } else {
        asm volatile(T2T_LOAD_AT("16",
                                 "mov.b32 %0, 0;\nmov.b32 %1, 0;\nmov.b32 %2, 0;\nmov.b32 %3, 0;\n"
                                 "@wanted ld.global.v4.b32 {%0, %1, %2, %3}",
                                 "%4", "%5")
                     : "=&r"(words[0]), "=&r"(words[1]), "=&r"(words[2]), "=&r"(words[3])
                     : "l"(from), "r"(number));
    }
#undef T2T_LOAD_AT
    P item;
    memcpy(&item, words, sizeof item);
    return item;
}

// `row` rows of `pitch` bytes after `from`.
template <class T>
__device__ __forceinline__ T* row_at(T* from, int32_t row, int32_t pitch) {
    T* result;
    asm("mad.wide.s32 %0, %1, %2, %3;" : "=l"(result) : "r"(row), "r"(pitch), "l"(from));
    return result;
}

// A pack of 16 bytes there, of memory that no one writes to; zeros where the row is negative, and nothing is read.
template <class P>
__device__ __forceinline__ P load_row(void const* from, int32_t row, int32_t pitch) {
    static_assert(sizeof(P) == 16);
    uint32_t words[4];
    asm volatile(
        "{\n"
        ".reg .pred wanted;\n"
        ".reg .b64 at;\n"
        "setp.ge.s32 wanted, %5, 0;\n"
        "mad.wide.s32 at, %5, %6, %4;\n"
        "mov.b32 %0, 0;\n"
        "mov.b32 %1, 0;\n"
        "mov.b32 %2, 0;\n"
        "mov.b32 %3, 0;\n"
        "@wanted ld.global.nc.v4.b32 {%0, %1, %2, %3}, [at];\n"
        "}\n"
        : "=&r"(words[0]), "=&r"(words[1]), "=&r"(words[2]), "=&r"(words[3])
        : "l"(from), "r"(row), "r"(pitch));
    P pack;
    memcpy(&pack, words, sizeof pack);
    return pack;
}

// Two numbers, rounded, side by side.
template <class T>
__device__ __forceinline__ uint32_t pair_of(float low, float high);

template <>
__device__ __forceinline__ uint32_t pair_of<Half>(float low, float high) {
    uint32_t result;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
    return result;
}

template <>
__device__ __forceinline__ uint32_t pair_of<BFloat16>(float low, float high) {
    uint32_t result;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
    return result;
}

// `number` packs after `from`: made here and now.
__device__ __forceinline__ Words const* packs_after(Words const* from, int32_t number) {
    Words const* result;
    asm volatile("mad.wide.s32 %0, %2, 16, %1;" : "=l"(result) : "l"(from), "r"(number));
    return result;
}

// The pack that lies `number` packs after `from`; the read is not put off.
__device__ __forceinline__ Words load_words(Words const* from, int32_t number) {
    Words words;
    asm volatile(
        "{\n"
        ".reg .b64 at;\n"
        "mad.wide.s32 at, %5, 16, %4;\n"
        "ld.global.v4.b32 {%0, %1, %2, %3}, [at];\n"
        "}\n"
        : "=r"(words.at[0]), "=r"(words.at[1]), "=r"(words.at[2]), "=r"(words.at[3])
        : "l"(from), "r"(number));
    return words;
}

// V numbers that no one reads again: what others do need stays in the cache.
template <class T, int V>
__device__ __forceinline__ Pack<T, V> load_once(T const* from) {
    Pack<T, V> pack;
    using Part = std::conditional_t<sizeof pack % 16 == 0, int4, std::conditional_t<sizeof pack % 8 == 0, int2, T>>;
    if constexpr (sizeof pack < 8) {
        pack = load_pack<T, V>(from);
    } else {
#pragma unroll
        for (int i = 0; i < int(sizeof pack / sizeof(Part)); ++i) {
            reinterpret_cast<Part*>(&pack)[i] = __ldcs(reinterpret_cast<Part const*>(from) + i);
        }
    }
    return pack;
}

// A number, or a pack of them, that no one reads soon.
template <class P>
__device__ __forceinline__ void store_once(P* to, P value) {
    static_assert(sizeof(P) == 2 || sizeof(P) == 4 || sizeof(P) == 8);
    using Part = std::conditional_t<sizeof(P) == 2, short, std::conditional_t<sizeof(P) == 4, int, int2>>;
    Part part;
    memcpy(&part, &value, sizeof part);
    __stcs(reinterpret_cast<Part*>(to), part);
}

// The lower or the higher half of a word, twice.
__device__ __forceinline__ uint32_t twice(uint32_t word, bool high) { return __byte_perm(word, 0, high ? 0x3232 : 0x1010); }

// Two numbers of a half precision at once: left * right + sum, rounded to that precision.
template <class T>
__device__ __forceinline__ uint32_t fma_pair(uint32_t left, uint32_t right, uint32_t sum);

template <>
__device__ __forceinline__ uint32_t fma_pair<Half>(uint32_t left, uint32_t right, uint32_t sum) {
    uint32_t result;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(left), "r"(right), "r"(sum));
    return result;
}

template <>
__device__ __forceinline__ uint32_t fma_pair<BFloat16>(uint32_t left, uint32_t right, uint32_t sum) {
    uint32_t result;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(left), "r"(right), "r"(sum));
    return result;
}

// Eight numbers of a half precision, times one that is given twice, added to as many.
template <class T>
__device__ __forceinline__ void add_weighed(Words& sums, Words const& numbers, uint32_t weight) {
#pragma unroll
    for (int word = 0; word < 4; ++word) {
        sums.at[word] = fma_pair<T>(numbers.at[word], weight, sums.at[word]);
    }
}

// A warp's product of 16 rows by 8 columns over 16 numbers. With g = lane / 4 and q = lane % 4, a lane holds of the
// left side the numbers 2q, 2q + 1 of rows g and g + 8 (a0, a1), and 2q + 8, 2q + 9 of them (a2, a3); of the right side
// the same numbers of column g (b0, b1); and the sums of rows g and g + 8 for columns 2q and 2q + 1.
template <class T>
__device__ __forceinline__ void mma(float (&sums)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                    uint32_t b1);

#define T2T_MMA(T, TYPE)                                                                                              \
    template <>                                                                                                       \
    __device__ __forceinline__ void mma<T>(float (&sums)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,      \
                                           uint32_t b0, uint32_t b1) {                                                \
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE                                           \
                     ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                           \
                     : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])                                     \
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));                                         \
    }
T2T_MMA(Half, "f16")
T2T_MMA(BFloat16, "bf16")
#undef T2T_MMA

// The same over 8 numbers of TF32, which the higher 19 bits of a float32 are: a lane holds of the left side the numbers
// q of rows g and g + 8 (a0, a1) and q + 4 of them (a2, a3), and of the right side the same of column g (b0, b1).
__device__ __forceinline__ void mma_tf32(float (&sums)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                                         uint32_t b0, uint32_t b1) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

#define T2T_LOAD_MATRICES(NAME, HOW)                                                                              \
    __device__ __forceinline__ Words NAME(void const* row) {                                                      \
        Words words;                                                                                              \
        asm volatile("ldmatrix.sync.aligned.m8n8.x4" HOW ".shared.b16 {%0, %1, %2, %3}, [%4];"                    \
                     : "=r"(words.at[0]), "=r"(words.at[1]), "=r"(words.at[2]), "=r"(words.at[3])                 \
                     : "r"(unsigned(__cvta_generic_to_shared(row))));                                             \
        return words;                                                                                             \
    }
// Four matrices of 8 rows by 8 numbers of a half precision in shared memory: lane l says where row l % 8 of matrix
// l / 8 lies, and gets of row l / 4 of each the numbers 2 (l % 4) and 2 (l % 4) + 1, or of column l / 4 ("across").
T2T_LOAD_MATRICES(load_matrices, "")
T2T_LOAD_MATRICES(load_matrices_across, ".trans")
#undef T2T_LOAD_MATRICES

// Numbers added to as many side by side in memory, in no order with others.
template <int V>
__device__ __forceinline__ void add_all(float* target, float const (&values)[V]) {
#if __CUDA_ARCH__ >= 900
    if constexpr (V == 4) {
        asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(target), "f"(values[0]), "f"(values[1]),
                     "f"(values[2]), "f"(values[3])
                     : "memory");
        return;
    }
    if constexpr (V == 2) {
        asm volatile("red.global.add.v2.f32 [%0], {%1, %2};" ::"l"(target), "f"(values[0]), "f"(values[1]) : "memory");
        return;
    }
#endif
#pragma unroll
    for (int i = 0; i < V; ++i) {
        atomicAdd(target + i, values[i]);
    }
}

}  // namespace t2t
