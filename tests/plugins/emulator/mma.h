// Matrix fragments of a warp: its first thread holds and computes all of it.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "kernels/common/number.h"
#include "cuda_runtime.h"

struct __half {
    t2t::Half value;
};
struct __nv_bfloat16 {
    t2t::BFloat16 value;
};

namespace nvcuda::wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major, mem_col_major };

template <class Use, int, int, int, class T, class Layout = void>
struct fragment {
    float at[16][16];
};

inline bool leads() { return threadIdx.x % 32 == 0; }

inline void check(void const* pointer, unsigned stride, size_t size) {
    if (reinterpret_cast<uintptr_t>(pointer) % 32 != 0 || stride * size % 16 != 0) {
        std::abort();  // misaligned: undefined on the device
    }
}

template <class T>
void fill_fragment(fragment<accumulator, 16, 16, 16, T>& sums, float value) {
    for (auto& row : sums.at) {
        for (float& number : row) {
            number = value;
        }
    }
}

template <class T>
void load_matrix_sync(fragment<matrix_a, 16, 16, 16, T, row_major>& to, T const* from, unsigned stride) {
    check(from, stride, sizeof(T));
    for (int i = 0; leads() && i < 256; ++i) {
        to.at[i / 16][i % 16] = t2t::to_float(from[i / 16 * stride + i % 16].value);
    }
}

template <class T>
void load_matrix_sync(fragment<matrix_b, 16, 16, 16, T, col_major>& to, T const* from, unsigned stride) {
    check(from, stride, sizeof(T));
    for (int i = 0; leads() && i < 256; ++i) {
        to.at[i / 16][i % 16] = t2t::to_float(from[i % 16 * stride + i / 16].value);
    }
}

template <class A, class B, class C>
void mma_sync(C& result, A const& a, B const& b, C const& c) {
    for (int i = 0; leads() && i < 16; ++i) {
        for (int j = 0; j < 16; ++j) {
            float sum = c.at[i][j];
            for (int k = 0; k < 16; ++k) {
                sum += a.at[i][k] * b.at[k][j];
            }
            result.at[i][j] = sum;
        }
    }
}

template <class F>
void store_matrix_sync(float* to, F const& from, unsigned stride, layout_t) {
    check(to, stride, sizeof(float));
    for (int i = 0; leads() && i < 256; ++i) {
        to[i / 16 * stride + i % 16] = from.at[i % 16][i / 16];
    }
}

}  // namespace nvcuda::wmma
