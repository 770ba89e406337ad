// What the tensor core kernel reads: channels brought last, and weights in the order of its walk.
#pragma once

#include "../common/async.cuh"
#include "../common/ptx.cuh"
#include "../common/transpose.cuh"
#include "walk.h"

namespace t2t {

// weight (O, C / groups, KH * KW) to (groups, tiles of out channels, steps, kChunk / 8, out channels of a tile, 8),
// zeros where a tile or a run of channels is not filled. Pack p of 32 channels has those whose sampled numbers the
// lanes hold in their words p: 8q + 2p and 8q + 2p + 1 of lane q.
template <class T>
struct Arrange {
    T const* from;
    T* to;
    Walk walk;
    int64_t groups, out_each, tile;

    T2T_HD int64_t tiles() const { return (out_each + tile - 1) / tile; }
    T2T_HD int64_t run_packs() const { return walk.chunks() * int64_t(kChunk / 8); }
    T2T_HD int64_t packs() const {
        return groups * tiles() * tile * (walk.each / walk.span) * run_packs() * walk.taps;
    }
    T2T_HD int64_t numbers() const {
        return groups * tiles() * walk.stages() * walk.steps_a_stage * tile * kChunk;
    }
};

// A pack of 8 channels of one output channel under one tap. Taps come first in the numbers of packs: neighbours read
// what lies side by side.
template <class T>
__device__ __forceinline__ void arrange_pack(Arrange<T> const& job, int64_t number) {
    Walk const& walk = job.walk;
    int64_t const line = quotient(number, walk.taps), row = quotient(line, job.run_packs());
    int32_t const tap = int32_t(number - line * walk.taps), pack = int32_t(line - row * job.run_packs());
    int64_t const runs = walk.each / walk.span, out_line = quotient(row, runs);
    int32_t const first = int32_t(row - out_line * runs) * walk.span;
    int64_t const padded = job.tiles() * job.tile, group = quotient(out_line, padded);
    int64_t const out = out_line - group * padded, tile = quotient(out, job.tile);
    int32_t const channel = pack / 4 * 32 + pack % 4 * 2;
    T const* from = job.from + ((group * job.out_each + out) * walk.each + first + channel) * walk.taps + tap;
    Pack<T, 8> result{};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        int32_t const beyond = i / 2 * 8 + i % 2;
        if (out < job.out_each && channel + beyond < walk.span) {
            result.at[i] = from[beyond * walk.taps];
        }
    }
    int64_t const steps = walk.stages() * int64_t(walk.steps_a_stage);
    // The run's first channel and the pack's chunk: a run that is no multiple of kChunk must not reach into the next.
    int64_t const step = walk.step(first, tap) + pack / (kChunk / 8) * int64_t(walk.held(tap / kTapsHeld));
    int64_t const line_at = ((group * job.tiles() + tile) * steps + step) * (kChunk / 8) + pack % (kChunk / 8);
    *reinterpret_cast<Pack<T, 8>*>(job.to + (line_at * job.tile + out - tile * job.tile) * 8) = result;
}

constexpr int kZeros = 8;  // packs: a line of the cache

// The first blocks transpose, the others arrange.
template <class T, int R>
__global__ void __launch_bounds__(kThreads) prepare_kernel(Transpose<T> input, Arrange<T> weight, unsigned tiles,
                                                           Words* zeros) {
    let_begin();
    if (blockIdx.x < tiles) {
        transpose_tile<T, R, kPack<T>>(input, blockIdx.x);
        return;
    }
    if (blockIdx.x == tiles && threadIdx.x < kZeros) {
        zeros[threadIdx.x] = Words{};
    }
    for (int64_t number = int64_t(blockIdx.x - tiles) * kThreads + threadIdx.x; number < weight.packs();
         number += int64_t(gridDim.x - tiles) * kThreads) {
        arrange_pack(weight, number);
    }
}

// `tiles`: of the input's; 0 where it needs no transposition.
template <class T>
void prepare(Transpose<T> const& input, Arrange<T> const& weight, unsigned tiles, Words* zeros,
             Stream stream) {
    auto const kernel = input.reads_packs() ? prepare_kernel<T, kPack<T>> : prepare_kernel<T, 1>;
    unsigned const others = unsigned(std::min<int64_t>(blocks_for(weight.packs()), 1 << 16));
    kernel<<<tiles + others, kThreads, 0, stream>>>(input, weight, tiles, zeros);
}

}  // namespace t2t
