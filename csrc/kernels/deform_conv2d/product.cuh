// Products of two tiles of float32 in shared memory.
//
// A tile of places is rows[place][k], a tile of weights columns[out channel][k]; both have kStride numbers a row. The
// sums end up in shared memory as sums[out channel * kSumStride + place], so that neighbouring places are written
// side by side.
#pragma once

#include "../common/launch.cuh"

namespace t2t {

constexpr int kPlaces = 64;  // of the result, a block
constexpr int kSumStride = kPlaces + 4;

// 256 threads: 16 along places, 16 along output channels; each has 4 places by kOut / 16 channels.
template <int kOut>
struct Product {
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
