// volume.cuh in float32: a lane has 4 places by 9 displacements for a quarter of the channels, so that every number
// read from shared memory serves for several products.
#pragma once

#include "volume.cuh"

namespace t2t {

constexpr int kBuffers = 3;  // of which all but one are on their way

template <bool kWhole>
__global__ void __launch_bounds__(kVolumeThreads, 2)
    volume_single_kernel(Correlation op, float const* first, float const* second, float* output) {
    using Tile = VolumeTile<float, 8>;
    __shared__ Tile tiles[kBuffers];
    VolumeBlock const block(op);
    Image<float> const one(op, first, block.image), other(op, second, block.image);
    int const warp = threadIdx.x / 32, part = threadIdx.x % 32 / 8, four = threadIdx.x % 8 * 4;

    float sums[kShifts][4] = {};
    for (int ahead = 0; ahead < kBuffers - 1; ++ahead) {
        fill<kWhole>(tiles[ahead], block, one, other, ahead * Tile::kChannels);  // zeros past the last channel
    }
    int next = kBuffers - 1;
    for (int32_t channel = 0; channel < one.channels; channel += Tile::kChannels) {
        __pipeline_wait_prior(kBuffers - 2);
        __syncthreads();  // all have come, and none reads any more what is filled now
        fill<kWhole>(tiles[next], block, one, other, channel + (kBuffers - 1) * Tile::kChannels);
        next = next + 1 == kBuffers ? 0 : next + 1;
        Tile const& tile = tiles[next];
#pragma unroll
        for (int k = 0; k < Tile::kChannels; k += 4) {
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
    }

    float const scale = op.normalize ? 1.0f / float(op.channels) : 1.0f;
#pragma unroll
    for (int j = 0; j < kShifts; ++j) {
        Pack<float, 4> results;
#pragma unroll
        for (int n = 0; n < 4; ++n) {
            float sum = sums[j][n];
            sum += __shfl_xor_sync(0xFFFFFFFFu, sum, 8);
            sum += __shfl_xor_sync(0xFFFFFFFFu, sum, 16);
            results.at[n] = sum * scale;
        }
        if (j % 4 == part) {
            block.write(op, output, warp, j, four, results);
        }
    }
}

inline void launch_volume(Correlation const& op, float const* first, float const* second, float* output,
                          Stream stream) {
    auto const kernel = has_whole_fours(op, first, second) ? volume_single_kernel<true> : volume_single_kernel<false>;
    kernel<<<volume_grid(op), kVolumeThreads, 0, stream>>>(op, first, second, output);
}

}  // namespace t2t
