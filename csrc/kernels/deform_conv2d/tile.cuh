// Deformable convolution in float32 as one matrix product whose left side is sampled on the fly: no column matrix in
// memory.
//
// A block computes 64 places of the result by kOut output channels of one group. It walks through the phases of walk.h,
// in steps of one tap of kDepth channels, from tap to tap before it goes on to other channels: what neighbouring taps
// read is much the same. The next step's weights are on their way while products run; its corners are not, as what
// holds them would be missing: meanwhile a multiprocessor's other block has products to run. 2x128x100x168, 2x256x50x84
// and 2x512x25x42 take 249, 235 and 262 us on an H200; without tensor cores, from channel to channel, 426, 402 and 530.
#pragma once

#include <cuda_pipeline.h>

#include "product.cuh"
#include "tap.h"
#include "walk.h"

namespace t2t {

// input lies as (N, H, W, C), weight as (O, KH * KW, C / groups).
struct TileArguments {
    DeformConv2d op;
    Walk walk;
    float const* input;
    float const* weight;
    float const* offset;
    float const* mask;
    float const* bias;
    float* output;
    int64_t out_each;  // output channels of a group
};

template <int kOut>
struct TileMemory {
    struct Stage {
        alignas(32) float rows[kPlaces * Product<kOut>::kDepth];
        alignas(32) float columns[kOut * Product<kOut>::kDepth];
    };
    alignas(16) float weights[kTapsHeld][kPlaces][4];  // of a tap's corners
    int32_t base[kTapsHeld][kPlaces];                  // the first of them, in numbers of the input
    union {
        Stage stages[2];
        alignas(32) float sums[kOut * kSumStride];
    };
};

template <int kOut>
struct TileBlock {
    using Tiles = Product<kOut>;
    static constexpr int kRowPacks = Tiles::kDepth / 4;
    static constexpr int kReads = kPlaces * kRowPacks / kThreads;  // packs that a thread samples in a step
    static constexpr int kCopies = kOut * kRowPacks / kThreads;

    TileArguments const& arguments;
    TileMemory<kOut>& memory;
    int64_t group, out;  // the block's weight group, its first output channel within it

    // Of a phase; `chunk`: its first channel.
    struct Step {
        int32_t tap, chunk;

        __device__ __forceinline__ Step next(int32_t held) const {
            return tap + 1 < held ? Step{tap + 1, chunk} : Step{0, chunk + Tiles::kDepth};
        }
    };

    // Of those that a thread writes, or has taps of.
    __device__ __forceinline__ static int slot() { return int(threadIdx.x) % kPlaces; }
    __device__ __forceinline__ Place place() const {
        return Place(arguments.op, int64_t(blockIdx.x) * kPlaces + slot());
    }

    // The packs of a row that a thread has: the i-th row, and the number in it.
    __device__ __forceinline__ static int pack_row(int i) { return (int(threadIdx.x) + i * kThreads) / kRowPacks; }
    __device__ __forceinline__ static int pack_number() { return int(threadIdx.x) % kRowPacks * 4; }

    // first: the phase's first channel.
    __device__ __forceinline__ void fill_taps(int32_t first, int32_t window) const {
        auto const& op = arguments.op;
        auto const [image, y, x] = place();
        int64_t const offset_group = quotient(first * op.offset_groups, op.channels);
        int32_t const pixels = int32_t(image < op.batch ? image * op.height * op.width : 0);
        for (int32_t tap = int32_t(threadIdx.x) / kPlaces; tap < arguments.walk.held(window);
             tap += kThreads / kPlaces) {
            Tap found = {0, {0.0f, 0.0f, 0.0f, 0.0f}};
            if (image < op.batch) {
                int32_t const number = window * kTapsHeld + tap;
                found = tap_of(op, arguments.offset, arguments.mask, image, offset_group, number, y, x);
            }
            memory.base[tap][slot()] = (pixels + found.base) * int32_t(op.channels);
#pragma unroll
            for (int corner = 0; corner < 4; ++corner) {
                memory.weights[tap][slot()][corner] = found.weight[corner];
            }
        }
    }

    __device__ __forceinline__ void sample(Step step, int32_t first, float* rows) const {
        int32_t const right = int32_t(arguments.op.channels), down = int32_t(arguments.op.width) * right;
        int32_t const channel = step.chunk + pack_number();
        Pack<float, 4> corners[kReads][4];
#pragma unroll
        for (int i = 0; i < kReads; ++i) {
            int32_t const at = memory.base[step.tap][pack_row(i)] + first + channel;
            auto const weights = load_pack<float, 4>(memory.weights[step.tap][pack_row(i)]);
#pragma unroll
            for (int corner = 0; corner < 4; ++corner) {
                bool const wanted = channel < arguments.walk.span && weights.at[corner] != 0.0f;
                float const* from = arguments.input + (at + corner % 2 * right + corner / 2 * down);
                corners[i][corner] = load_if<Pack<float, 4>>(wanted, from);
            }
        }
#pragma unroll
        for (int i = 0; i < kReads; ++i) {
            auto const weights = load_pack<float, 4>(memory.weights[step.tap][pack_row(i)]);
            Pack<float, 4> sampled{};
#pragma unroll
            for (int corner = 0; corner < 4; ++corner) {
                accumulate(sampled.at, corners[i][corner], weights.at[corner]);
            }
            *reinterpret_cast<Pack<float, 4>*>(rows + Tiles::at(pack_row(i), pack_number())) = sampled;
        }
    }

    // run: the phase's first channel in the group; window: its taps.
    __device__ __forceinline__ void copy_weights(Step step, int32_t run, int32_t window, float* columns) const {
        int32_t const channel = step.chunk + pack_number();
        int64_t const line = arguments.walk.taps * int64_t(arguments.walk.each);
        int64_t const from = (window * kTapsHeld + step.tap) * int64_t(arguments.walk.each) + run + channel;
#pragma unroll
        for (int i = 0; i < kCopies; ++i) {
            int64_t const row = out + pack_row(i);
            bool const inside = channel < arguments.walk.span && row < arguments.out_each;
            int64_t const at = inside ? (group * arguments.out_each + row) * line + from : 0;
            __pipeline_memcpy_async(columns + Tiles::at(pack_row(i), pack_number()), arguments.weight + at, 16,
                                    inside ? 0 : 16);
        }
        __pipeline_commit();
    }

    __device__ __forceinline__ void run_phase(Tiles& product, int32_t run, int32_t window) const {
        int32_t const held = arguments.walk.held(window), span = arguments.walk.span;
        int32_t const first = int32_t(group) * arguments.walk.each + run;
        __syncthreads();  // all are done with the taps before
        fill_taps(first, window);
        __syncthreads();
        Step step{0, 0};
        copy_weights(step, run, window, memory.stages[0].columns);
        sample(step, first, memory.stages[0].rows);
        for (int stage = 0; step.chunk < span; stage ^= 1) {
            __pipeline_wait_prior(0);
            __syncthreads();
            auto& target = memory.stages[stage ^ 1];
            step = step.next(held);
            if (step.chunk < span) {
                copy_weights(step, run, window, target.columns);
            }
            product.add(memory.stages[stage].rows, memory.stages[stage].columns);
            if (step.chunk < span) {
                sample(step, first, target.rows);
            }
        }
    }

    __device__ __forceinline__ void write() const {
        auto const& op = arguments.op;
        auto const [image, y, x] = place();
        if (image >= op.batch) {
            return;
        }
        int64_t const area = op.out_height() * op.out_width();
        int64_t const first = group * arguments.out_each + out;
        float* to = arguments.output + (image * op.out_channels + first) * area + y * op.out_width() + x;
        for (int row = int(threadIdx.x) / kPlaces; row < kOut && out + row < arguments.out_each;
             row += kThreads / kPlaces) {
            float const added = arguments.bias == nullptr ? 0.0f : arguments.bias[first + row];
            to[row * area] = memory.sums[row * kSumStride + slot()] + added;
        }
    }

    __device__ __forceinline__ void run() const {
        Tiles product;
        product.clear();
        for (int32_t run = 0; run < arguments.walk.each; run += arguments.walk.span) {
            for (int32_t window = 0; window < arguments.walk.windows(); ++window) {
                run_phase(product, run, window);
            }
        }
        __syncthreads();
        product.store(memory.sums);  // where the stages were
        __syncthreads();
        write();
    }
};

// The grid: x over places, y over output channels of a group, z over groups. kBlocks: how many of its blocks a
// multiprocessor holds at least; more of them leave less registers to each.
template <int kOut, int kBlocks>
__global__ void __launch_bounds__(kThreads, kBlocks) tile_kernel(TileArguments arguments) {
    extern __shared__ __align__(128) unsigned char shared[];
    TileBlock<kOut> const block{arguments, *reinterpret_cast<TileMemory<kOut>*>(shared), int64_t(blockIdx.z),
                                int64_t(blockIdx.y) * kOut};
    block.run();
}

template <int kOut>
Error launch_tile(TileArguments const& arguments, int64_t processors, Stream stream) {
    auto const& op = arguments.op;
    dim3 const grid(unsigned(blocks_for(op.batch * op.out_height() * op.out_width(), kPlaces)),
                    unsigned(blocks_for(arguments.out_each, kOut)), unsigned(op.groups));
    bool const alone = int64_t(grid.x) * grid.y * grid.z <= processors;
    auto const kernel = alone ? tile_kernel<kOut, 1> : tile_kernel<kOut, 2>;
    size_t const bytes = sizeof(TileMemory<kOut>);
    cudaError_t const status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes));
    if (status != cudaSuccess) {
        return cudaGetErrorString(status);
    }
    kernel<<<grid, kThreads, bytes, stream>>>(arguments);
    return launch_error();
}

}  // namespace t2t
