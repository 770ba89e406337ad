// Products of two tiles in shared memory: tensor cores for the half precisions, fused multiply-adds for float32.
//
// A tile of places is rows[place][k], a tile of weights columns[out channel][k]; both have kStride numbers a row. The
// sums end up in shared memory as sums[out channel * kSumStride + place], so that neighbouring places are written
// side by side.
#pragma once

#include <mma.h>

#include "../common/launch.cuh"

namespace t2t {

constexpr int kPlaces = 64;  // of the result, a block
constexpr int kSumStride = kPlaces + 4;

template <class T>
struct Tensorcore;  // the number type of the tensor core instructions

template <>
struct Tensorcore<Half> {
    using type = __half;
};

template <>
struct Tensorcore<BFloat16> {
    using type = __nv_bfloat16;
};

// 8 warps: 2 along places, 4 along output channels; each has 32 places by kOut / 4 channels.
template <class T, int kOut>
struct Product {
    static constexpr int kDepth = 64;
    static constexpr int kStride = kDepth + 8;  // 16 bytes more: rows start in different banks
    static constexpr int kFragments = kOut / 4 / 16;
    using Number = typename Tensorcore<T>::type;

    nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> sums[2][kFragments];

    __device__ __forceinline__ static int place() { return int(threadIdx.x) / 32 % 2 * 32; }
    __device__ __forceinline__ static int out() { return int(threadIdx.x) / 64 * (kOut / 4); }

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
#pragma unroll
            for (int j = 0; j < kFragments; ++j) {
                nvcuda::wmma::fill_fragment(sums[i][j], 0.0f);
            }
        }
    }

    __device__ __forceinline__ void add(T const* rows, T const* columns) {
        using namespace nvcuda::wmma;
        auto const* a = reinterpret_cast<Number const*>(rows) + place() * kStride;
        auto const* b = reinterpret_cast<Number const*>(columns) + out() * kStride;
#pragma unroll
        for (int k = 0; k < kDepth; k += 16) {
            fragment<matrix_a, 16, 16, 16, Number, row_major> left[2];
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                load_matrix_sync(left[i], a + i * 16 * kStride + k, kStride);
            }
#pragma unroll
            for (int j = 0; j < kFragments; ++j) {
                fragment<matrix_b, 16, 16, 16, Number, col_major> right;
                load_matrix_sync(right, b + j * 16 * kStride + k, kStride);
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    mma_sync(sums[i][j], left[i], right, sums[i][j]);
                }
            }
        }
    }

    __device__ __forceinline__ void store(float* target) const {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
#pragma unroll
            for (int j = 0; j < kFragments; ++j) {
                nvcuda::wmma::store_matrix_sync(target + (out() + j * 16) * kSumStride + place() + i * 16, sums[i][j],
                                                kSumStride, nvcuda::wmma::mem_col_major);
            }
        }
    }
};

// 256 threads: 16 along places, 16 along output channels; each has 4 places by kOut / 16 channels.
template <int kOut>
struct Product<float, kOut> {
    static constexpr int kDepth = 32;
    static constexpr int kStride = kDepth + 4;
    static constexpr int kOutEach = kOut / 16;

    float sums[4][kOutEach];

    __device__ __forceinline__ static int place() { return int(threadIdx.x) % 16; }
    __device__ __forceinline__ static int out() { return int(threadIdx.x) / 16; }

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
            for (int j = 0; j < kOutEach; ++j) {
                sums[i][j] = 0.0f;
            }
        }
    }

    __device__ __forceinline__ void add(float const* rows, float const* columns) {
#pragma unroll 2
        for (int k = 0; k < kDepth; k += 4) {
            Pack<float, 4> left[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                left[i] = load_pack<float, 4>(rows + (place() + i * 16) * kStride + k);
            }
#pragma unroll
            for (int j = 0; j < kOutEach; ++j) {
                auto const right = load_pack<float, 4>(columns + (out() + j * 16) * kStride + k);
#pragma unroll
                for (int i = 0; i < 4; ++i) {
#pragma unroll
                    for (int n = 0; n < 4; ++n) {
                        sums[i][j] = fmaf(left[i].at[n], right.at[n], sums[i][j]);
                    }
                }
            }
        }
    }

    __device__ __forceinline__ void store(float* target) const {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
            for (int j = 0; j < kOutEach; ++j) {
                target[(out() + j * 16) * kSumStride + place() + i * 16] = sums[i][j];
            }
        }
    }
};

}  // namespace t2t
