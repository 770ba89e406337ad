// volume.cuh in half precision, on the tensor cores: a warp multiplies 16 places by the 24 that lie up to 4 before and
// after them. Of these 384 products the 144 of a band are wanted.
#pragma once

#include "../common/ptx.cuh"
#include "volume.cuh"

namespace t2t {

constexpr int kTiles = kAcross / 16, kEights = 3;  // of 16 places, and of those that they are multiplied by

template <bool kWhole, class T>
__global__ void __launch_bounds__(kVolumeThreads, 4)
    volume_half_kernel(Correlation op, T const* first, T const* second, T* output) {
    using Tile = VolumeTile<T, 32>;
    __shared__ Tile tile;
    alignas(16) __shared__ T results[kShifts][kShifts][kAcross];
    VolumeBlock const block(op);
    Image<T> const one(op, first, block.image), other(op, second, block.image);
    int const warp = threadIdx.x / 32, lane = threadIdx.x % 32;

    float sums[kTiles][kEights][4] = {};
    for (int32_t channel = 0; channel < one.channels; channel += Tile::kChannels) {
        fill<kWhole>(tile, block, one, other, channel);
        __pipeline_wait_prior(0);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < Tile::kChannels; k += 16) {
            Words left[kTiles], right[2];
            // Of the left side first the places in halves, then the channels; of the right side the other way round.
            T const* here = tile.first[k + lane / 16 * 8 + lane % 8] + lane / 8 % 2 * 8;
            T const* there = tile.second[k + lane / 8 % 2 * 8 + lane % 8][warp];
#pragma unroll
            for (int m = 0; m < kTiles; ++m) {
                left[m] = load_matrices_across(here + m * 16);
                right[m] = load_matrices_across(there + m * 16 + lane / 16 * 8);
            }
            Words const last = load_matrices_across(there + kTiles * 16);  // twice the same
#pragma unroll
            for (int m = 0; m < kTiles; ++m) {
#pragma unroll
                for (int n = 0; n < kEights; ++n) {
                    int const eight = m * 2 + n;
                    Words const& words = eight < kTiles * 2 ? right[eight / 2] : last;
                    mma<T>(sums[m][n], left[m].at[0], left[m].at[1], left[m].at[2], left[m].at[3],
                           words.at[eight % 2 * 2], words.at[eight % 2 * 2 + 1]);
                }
            }
        }
        __syncthreads();
    }

    float const scale = op.normalize ? 1.0f / float(op.channels) : 1.0f;
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
        for (int n = 0; n < kEights; ++n) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                int const place = lane / 4 + i / 2 * 8, j = n * 8 + lane % 4 * 2 + i % 2 - place;
                if (unsigned(j) < unsigned(kShifts)) {
                    results[warp][j][m * 16 + place] = from_float<T>(sums[m][n][i] * scale);
                }
            }
        }
    }
    __syncwarp();
    for (int item = lane; item < kShifts * kAcross / 4; item += 32) {
        int const j = item / (kAcross / 4), four = item % (kAcross / 4) * 4;
        block.write(op, output, warp, j, four, load_pack<T, 4>(results[warp][j] + four));
    }
}

template <class T>
void launch_volume(Correlation const& op, T const* first, T const* second, T* output, Stream stream) {
    auto const kernel = has_whole_fours(op, first, second) ? volume_half_kernel<true, T> : volume_half_kernel<false, T>;
    kernel<<<volume_grid(op), kVolumeThreads, 0, stream>>>(op, first, second, output);
}

}  // namespace t2t
