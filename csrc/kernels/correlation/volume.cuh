// The cost volume of single places one apart, as PWC-Net has it: kernel_size, stride and patch_dilation are 1.
//
// A block computes 32 places of a row under 9 by 9 displacements: a warp a row of displacements, a lane 4 places by 9
// displacements for a quarter of the channels. What the block reads lies in shared memory as float32, zeros outside, so
// that every number read from there serves for several products.
#pragma once

#include "../common/launch.cuh"
#include "correlation.h"

namespace t2t {

constexpr int kAcross = 32, kShifts = 9, kChannels = 16;  // channels that are in shared memory at a time
constexpr int kVolumeThreads = kShifts * 32;
constexpr int kReach = kAcross + 8;  // kShifts - 1 more

inline bool takes_volume(Correlation const& op) {
    int64_t const blocks = (op.patch() + kShifts - 1) / kShifts;
    return op.kernel_size == 1 && op.stride == 1 && op.patch_dilation == 1 && op.out_height() <= 65535 &&
           op.batch * blocks * blocks <= 65535 && op.channels * op.height * op.width <= INT32_MAX / 2 &&
           op.padding <= INT32_MAX / 4 && op.max_displacement <= INT32_MAX / 4;
}

struct VolumeTile {
    float first[kChannels][kAcross];
    float second[kChannels][kShifts][kReach];
};

// An image whose numbers are counted in 32 bits, and zeros outside of it.
template <class T>
struct Image {
    T const* from;
    int32_t channels, height, width;

    __device__ __forceinline__ float at(int32_t channel, int32_t y, int32_t x) const {
        bool const inside = channel < channels && unsigned(y) < unsigned(height) && unsigned(x) < unsigned(width);
        return inside ? to_float(from[(channel * height + y) * width + x]) : 0.0f;
    }
};

// The grid: x over places of a row, y over rows, z over images and blocks of displacements.
template <class T>
__global__ void __launch_bounds__(kVolumeThreads, 2) volume_kernel(Correlation op, T const* first, T const* second,
                                                                   T* output) {
    __shared__ VolumeTile tile;
    int32_t const patch = int32_t(op.patch()), blocks = (patch + kShifts - 1) / kShifts;
    int32_t const image = int32_t(blockIdx.z) / (blocks * blocks), block = int32_t(blockIdx.z) % (blocks * blocks);
    int32_t const i0 = block / blocks * kShifts, j0 = block % blocks * kShifts, far = int32_t(op.max_displacement);
    int32_t const x0 = int32_t(blockIdx.x) * kAcross, y = int32_t(blockIdx.y);
    int32_t const x_in = x0 - int32_t(op.padding), y_in = y - int32_t(op.padding);
    int32_t const channels = int32_t(op.channels), height = int32_t(op.height), width = int32_t(op.width);
    Image<T> const one{first + image * op.channels * height * width, channels, height, width};
    Image<T> const other{second + image * op.channels * height * width, channels, height, width};
    int const warp = threadIdx.x / 32, part = threadIdx.x % 32 / 8, four = threadIdx.x % 8 * 4;

    float sums[kShifts][4] = {};
    for (int32_t channel = 0; channel < channels; channel += kChannels) {
        for (int item = threadIdx.x; item < kChannels * kAcross; item += kVolumeThreads) {
            tile.first[item / kAcross][item % kAcross] =
                one.at(channel + item / kAcross, y_in, x_in + item % kAcross);
        }
#pragma unroll 10
        for (int item = threadIdx.x; item < kChannels * kShifts * kReach; item += kVolumeThreads) {
            int const line = item / kReach, column = item % kReach, row = line % kShifts;
            tile.second[line / kShifts][row][column] =
                other.at(channel + line / kShifts, y_in + i0 - far + row, x_in + j0 - far + column);
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < kChannels; k += 4) {
            auto const here = load_pack<float, 4>(tile.first[k + part] + four);
            Pack<float, 4> there[3];
#pragma unroll
            for (int n = 0; n < 3; ++n) {
                there[n] = load_pack<float, 4>(tile.second[k + part][warp] + four + n * 4);
            }
#pragma unroll
            for (int j = 0; j < kShifts; ++j) {
#pragma unroll
                for (int n = 0; n < 4; ++n) {
                    sums[j][n] = fmaf(here.at[n], there[(j + n) / 4].at[(j + n) % 4], sums[j][n]);
                }
            }
        }
        __syncthreads();
    }

    float const scale = op.normalize ? 1.0f / float(op.channels) : 1.0f;
    int64_t const out_width = op.out_width(), i = i0 + warp;
#pragma unroll
    for (int j = 0; j < kShifts; ++j) {
        Pack<T, 4> results;
#pragma unroll
        for (int n = 0; n < 4; ++n) {
            float sum = sums[j][n];
            sum += __shfl_xor_sync(0xFFFFFFFFu, sum, 8);
            sum += __shfl_xor_sync(0xFFFFFFFFu, sum, 16);
            results.at[n] = from_float<T>(sum * scale);
        }
        if (j % 4 != part || i >= patch || j0 + j >= patch) {
            continue;
        }
        int64_t const line = ((int64_t(image) * patch + i) * patch + j0 + j) * op.out_height() + y;
        T* to = output + line * out_width + x0 + four;
        if (out_width % 4 == 0 && x0 + four < out_width) {
            *reinterpret_cast<Pack<T, 4>*>(to) = results;
        } else {
#pragma unroll
            for (int n = 0; n < 4; ++n) {
                if (x0 + four + n < out_width) {
                    to[n] = results.at[n];
                }
            }
        }
    }
}

template <class T>
void launch_volume(Correlation const& op, T const* first, T const* second, T* output, Stream stream) {
    int64_t const blocks = (op.patch() + kShifts - 1) / kShifts;
    dim3 const grid(unsigned(blocks_for(op.out_width(), kAcross)), unsigned(op.out_height()),
                    unsigned(op.batch * blocks * blocks));
    volume_kernel<T><<<grid, kVolumeThreads, 0, stream>>>(op, first, second, output);
}

}  // namespace t2t
