// What the tensor core kernels read: channels brought last, weights in the order of the walk, and zeros.
#pragma once

#include "../common/async.cuh"
#include "../common/ptx.cuh"
#include "../common/transpose.cuh"
#include "walk.h"

namespace t2t {

// Which channels a pack of weights has. Lanes: pack p of 32 channels has those whose sampled numbers the lanes of
// tensor.cuh hold in their words p, 8q + 2p and 8q + 2p + 1 of lane q. Channels: those of warpgroup.cuh, one by one.
enum class Order { Lanes, Channels };

// weight (O, C / groups, KH * KW) to (groups, tiles of out channels, steps, kChunk / 8, out channels of a tile, 8),
// zeros where a tile or a run of channels is not filled.
template <class T>
struct Arrange {
    T const* from;
    T* to;
    Walk walk;
    int64_t groups, out_each, tile;
    Order order;

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
    bool const lanes = job.order == Order::Lanes;
    int32_t const channel = lanes ? pack / 4 * 32 + pack % 4 * 2 : pack * 8;
    T const* from = job.from + ((group * job.out_each + out) * walk.each + first + channel) * walk.taps + tap;
    Pack<T, 8> result{};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        int32_t const beyond = lanes ? i / 2 * 8 + i % 2 : i;
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

// What a block arranges under all taps at once: some packs of some output channels.
constexpr int kSharePacks = 4, kShareOuts = 16, kShare = kSharePacks * kShareOuts;
constexpr int kShareWords = kTapsHeld * 8 / 2;  // of a pack; a word is two numbers

// In shared memory, pack by pack: all output channels of one, then of the next.
template <class T>
struct ArrangeMemory {
    alignas(4) T numbers[kShare][2 * kShareWords + 2];  // an odd number of words: neighbours lie in different banks
};

// Whether all taps of 8 channels, which lie side by side, are arranged at once, and by numbers of 32 bits.
template <class T>
bool takes_taps(Arrange<T> const& job) {
    return job.order == Order::Channels && job.walk.taps == kTapsHeld && job.tile % kShareOuts == 0 &&
           job.packs() < 1 << 28 && reinterpret_cast<uintptr_t>(job.from) % 4 == 0;
}

// A block's threads arrange share number `share`; through shared memory, so that they read and write side by side.
template <class T>
__device__ __forceinline__ void arrange_taps(Arrange<T> const& job, uint32_t share, ArrangeMemory<T>& memory) {
    static_assert(kSharePacks * kShareWords <= kThreads && sizeof(T) == 2);
    Walk const& walk = job.walk;
    uint32_t const run_packs = uint32_t(job.run_packs()), tiles = uint32_t(job.tiles());
    uint32_t const lines = uint32_t(walk.each / walk.span) * run_packs / kSharePacks;
    uint32_t const shares = uint32_t(job.tile) / kShareOuts, rest = share / shares, tile = rest / lines;
    uint32_t const group = tile / tiles, at = (share - rest * shares) * kShareOuts;
    uint32_t const out = (tile - group * tiles) * uint32_t(job.tile) + at;
    uint32_t const line = (rest - tile * lines) * kSharePacks, run = line / run_packs, pack = line - run * run_packs;

    uint32_t const word = threadIdx.x, read_pack = word / kShareWords;  // a thread reads a word of every output channel
    if (read_pack < kSharePacks) {
        bool const inside = int32_t(pack + read_pack) * 8 < walk.span;
        int64_t const channel = int64_t(run) * walk.span + pack * 8;
        T const* from = job.from + ((group * job.out_each + out) * walk.each + channel) * kTapsHeld + word * 2;
#pragma unroll
        for (uint32_t i = 0; i < kShareOuts; ++i, from += walk.each * kTapsHeld) {
            auto const pair = inside && out + i < job.out_each ? load_pack<T, 2>(from) : Pack<T, 2>{};
            T* to = memory.numbers[read_pack * kShareOuts + i] + (word - read_pack * kShareWords) * 2;
            *reinterpret_cast<Pack<T, 2>*>(to) = pair;
        }
    }
    __syncthreads();
    int64_t const steps = walk.stages() * int64_t(walk.steps_a_stage);
    int64_t const step = tile * steps + walk.step(int32_t(run) * walk.span, 0) + pack / (kChunk / 8) * kTapsHeld;
    T* const to = job.to + ((step * (kChunk / 8) + pack % (kChunk / 8)) * job.tile + at) * 8;
#pragma unroll
    for (uint32_t item = threadIdx.x; item < kShare * kTapsHeld; item += kThreads) {
        uint32_t const tap = item / kShare, row = item % kShare;
        T const* numbers = memory.numbers[row] + tap;
        Pack<T, 8> result;
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            result.at[i] = numbers[i * kTapsHeld];
        }
        int64_t const line_at = tap * (kChunk / 8) + row / kShareOuts;
        *reinterpret_cast<Pack<T, 8>*>(to + (line_at * job.tile + row % kShareOuts) * 8) = result;
    }
}

// Packs that are set to zeros: as many as a place has channels.
struct Zeros {
    Words* at = nullptr;
    int64_t packs = 0;
};

// The first blocks arrange, which takes them longest, the first of all sets zeros too; the others transpose.
template <class T, int R, bool kAllTaps>
__global__ void __launch_bounds__(kThreads, kAllTaps ? 8 : 4)
    prepare_kernel(Transpose<T> input, Arrange<T> weight, unsigned others, Zeros zeros) {
    __shared__ union Memory {
        TransposeMemory<T> transposed;
        ArrangeMemory<T> arranged;
    } memory;
    wait_for_kernel_before();
    let_begin();
    if (blockIdx.x >= others) {
        transpose_tile<T, R, kPack<T>>(input, blockIdx.x - others, memory.transposed);
        return;
    }
    if (blockIdx.x == 0) {
        for (int64_t pack = threadIdx.x; pack < zeros.packs; pack += kThreads) {
            zeros.at[pack] = Words{};
        }
    }
    if constexpr (kAllTaps) {
        arrange_taps(weight, blockIdx.x, memory.arranged);
    } else {
        for (int64_t number = int64_t(blockIdx.x) * kThreads + threadIdx.x; number < weight.packs();
             number += int64_t(others) * kThreads) {
            arrange_pack(weight, number);
        }
    }
}

template <class T, bool kAllTaps>
Error launch_prepare(Transpose<T> const& input, Arrange<T> const& weight, unsigned tiles, Zeros zeros, Stream stream) {
    bool const even = input.columns % 2 == 0 && reinterpret_cast<uintptr_t>(input.from) % 4 == 0;
    auto const narrow = even ? prepare_kernel<T, 2, kAllTaps> : prepare_kernel<T, 1, kAllTaps>;
    auto const kernel = input.reads_packs() ? prepare_kernel<T, kPack<T>, kAllTaps> : narrow;
    unsigned const others = kAllTaps ? unsigned(weight.packs() / kTapsHeld / kShare)
                                     : unsigned(std::min<int64_t>(blocks_for(weight.packs()), 1 << 16));
    return launch_early<false>(kernel, dim3(others + tiles), kThreads, stream, input, weight, others, zeros);
}

// `tiles`: of the input's; 0 where it needs no transposition.
template <class T>
Error prepare(Transpose<T> const& input, Arrange<T> const& weight, unsigned tiles, Zeros zeros, Stream stream) {
    auto const launch = takes_taps(weight) ? launch_prepare<T, true> : launch_prepare<T, false>;
    return launch(input, weight, tiles, zeros, stream);
}

}  // namespace t2t
