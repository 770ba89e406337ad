// The cost volume of single places one apart, as PWC-Net has it: kernel_size, stride and patch_dilation are 1.
//
// A block computes 32 places of a row under 9 by 9 displacements, a warp a row of displacements. What it reads comes
// into shared memory some channels at a time, zeros outside.
#pragma once

#include <cuda_pipeline.h>

#include "../common/launch.cuh"
#include "correlation.h"

namespace t2t {

constexpr int kAcross = 32, kShifts = 9;
constexpr int kVolumeThreads = kShifts * 32;
constexpr int kReach = kAcross + 8;  // kShifts - 1 more

inline bool takes_volume(Correlation const& op) {
    int64_t const blocks = (op.patch() + kShifts - 1) / kShifts;
    return op.kernel_size == 1 && op.stride == 1 && op.patch_dilation == 1 && op.out_height() <= 65535 &&
           op.batch * blocks * blocks <= 65535 && op.channels * op.height * op.width <= INT32_MAX / 2 &&
           op.padding <= INT32_MAX / 4 && op.max_displacement <= INT32_MAX / 4;
}

template <class T, int kCount>
struct VolumeTile {
    static constexpr int kChannels = kCount;
    alignas(16) T first[kCount][kReach];  // of the same pitch as the other's rows; the last 8 are not used
    alignas(16) T second[kCount][kShifts][kReach];
};

// An image whose numbers are counted in 32 bits, and zeros outside of it.
template <class T>
struct Image {
    T const* from;
    int32_t channels, height, width;

    __device__ __forceinline__ Image(Correlation const& op, T const* images, int32_t number)
        : from(images + number * op.channels * op.height * op.width),
          channels(int32_t(op.channels)),
          height(int32_t(op.height)),
          width(int32_t(op.width)) {}

    __device__ __forceinline__ bool has(int32_t channel, int32_t y, int32_t x) const {
        return channel < channels && unsigned(y) < unsigned(height) && unsigned(x) < unsigned(width);
    }
    __device__ __forceinline__ T const* to(int32_t channel, int32_t y, int32_t x) const {
        return from + (channel * height + y) * width + x;
    }
    __device__ __forceinline__ float at(int32_t channel, int32_t y, int32_t x) const {
        return has(channel, y, x) ? to_float(*to(channel, y, x)) : 0.0f;
    }
};

// What a block computes, by where it is in volume_grid.
struct VolumeBlock {
    int32_t image, i0, j0;       // the first displacements
    int32_t y, x;                // of the result's first place
    int32_t first_y, first_x;    // where it lies in the first image
    int32_t second_y, second_x;  // where the first one that it is compared to lies in the second
    int32_t out_height, out_width;

    __device__ __forceinline__ explicit VolumeBlock(Correlation const& op) {
        int32_t const blocks = (int32_t(op.patch()) + kShifts - 1) / kShifts, far = int32_t(op.max_displacement);
        image = int32_t(blockIdx.z) / (blocks * blocks);
        int32_t const block = int32_t(blockIdx.z) % (blocks * blocks);
        i0 = block / blocks * kShifts;
        j0 = block % blocks * kShifts;
        y = int32_t(blockIdx.y);
        x = int32_t(blockIdx.x) * kAcross;
        first_y = y - int32_t(op.padding);
        first_x = x - int32_t(op.padding);
        second_y = first_y + i0 - far;
        second_x = first_x + j0 - far;
        out_height = int32_t(op.height) + 2 * int32_t(op.padding);  // as takes_volume has it
        out_width = int32_t(op.width) + 2 * int32_t(op.padding);
    }

    // Of the block's displacements (i, j) the results of four places from the block's place `four` on.
    template <class T>
    __device__ __forceinline__ void write(Correlation const& op, T* output, int32_t i, int32_t j, int32_t four,
                                          Pack<T, 4> const& results) const {
        int32_t const patch = int32_t(op.patch()), left = out_width - x - four;
        if (i0 + i >= patch || j0 + j >= patch) {
            return;
        }
        int64_t const line = ((int64_t(image) * patch + i0 + i) * patch + j0 + j) * out_height + y;
        T* to = output + line * out_width + x + four;
        if (out_width % 4 == 0 && left > 0) {
            *reinterpret_cast<Pack<T, 4>*>(to) = results;
        } else {
#pragma unroll
            for (int n = 0; n < 4; ++n) {
                if (n < left) {
                    to[n] = results.at[n];
                }
            }
        }
    }
};

// Four numbers of a row from x on; kWhole: they lie side by side inside of the image, or all outside.
template <bool kWhole, class T>
__device__ __forceinline__ void copy_four(Image<T> const& image, int32_t channel, int32_t y, int32_t x, T* to) {
    if constexpr (kWhole) {
        bool const inside = image.has(channel, y, x);
        T const* from = inside ? image.to(channel, y, x) : image.from;
        __pipeline_memcpy_async(to, from, sizeof(Pack<T, 4>), inside ? 0 : sizeof(Pack<T, 4>));
    } else {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            to[i] = from_float<T>(image.at(channel, y, x + i));
        }
    }
}

// Lets what a tile holds of the channels from `channel` on come.
template <bool kWhole, class T, int kCount>
__device__ __forceinline__ void fill(VolumeTile<T, kCount>& tile, VolumeBlock const& block, Image<T> const& one,
                                     Image<T> const& other, int32_t channel) {
    for (int item = threadIdx.x; item < kCount * kAcross / 4; item += kVolumeThreads) {
        int const line = item / (kAcross / 4), four = item % (kAcross / 4) * 4;
        copy_four<kWhole>(one, channel + line, block.first_y, block.first_x + four, tile.first[line] + four);
    }
    for (int item = threadIdx.x; item < kCount * kShifts * kReach / 4; item += kVolumeThreads) {
        int const line = item / (kReach / 4), four = item % (kReach / 4) * 4, row = line % kShifts;
        copy_four<kWhole>(other, channel + line / kShifts, block.second_y + row, block.second_x + four,
                          tile.second[line / kShifts][row] + four);
    }
    __pipeline_commit();
}

// Whether fours of numbers lie inside of an image or outside.
template <class T>
bool has_whole_fours(Correlation const& op, T const* first, T const* second) {
    uintptr_t const either = reinterpret_cast<uintptr_t>(first) | reinterpret_cast<uintptr_t>(second);
    return either % sizeof(Pack<T, 4>) == 0 && op.width % 4 == 0 && op.padding % 4 == 0 &&
           op.max_displacement % 4 == 0 && op.patch() <= kShifts;
}

// x over places of a row, y over rows, z over images and blocks of displacements.
inline dim3 volume_grid(Correlation const& op) {
    int64_t const blocks = (op.patch() + kShifts - 1) / kShifts;
    return dim3(unsigned(blocks_for(op.out_width(), kAcross)), unsigned(op.out_height()),
                unsigned(op.batch * blocks * blocks));
}

}  // namespace t2t
