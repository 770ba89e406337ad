// Deformable convolution as one matrix product whose left side is sampled on the fly: no column matrix in memory.
//
// A block computes 64 places of the result (of all images, in a row) by kOut output channels of one group. It walks
// over units, a unit being one tap of a run of channels that share weight group and offset group, and within a unit
// over chunks of kDepth channels. While the product of one chunk runs, the next chunk's corners and weights are on
// their way: corners through registers, where they are weighted, weights by asynchronous copies.
#pragma once

#include <cuda_pipeline.h>

#include "product.cuh"
#include "tap.h"
#include "walk.h"

namespace t2t {

// input lies as (N, H, W, C), weight as (O, KH * KW, C / groups).
template <class T>
struct TileArguments {
    DeformConv2d op;
    T const* input;
    T const* weight;
    T const* offset;
    T const* mask;
    T const* bias;
    T* output;
    int64_t each, out_each, span;  // channels and output channels of a group, channels of a unit
};

template <class T, int kOut>
struct TileMemory {
    using Tiles = Product<kOut>;
    struct Stage {
        alignas(32) T rows[kPlaces * Tiles::kStride];
        alignas(32) T columns[kOut * Tiles::kStride];
    };
    // Taps of three units: the one in use, the next, and the one that is being filled.
    alignas(32) Tap taps[3][kPlaces];
    int32_t image[kPlaces];  // of each place; -1 past the end
    int32_t row[kPlaces], column[kPlaces];
    union {
        Stage stages[2];
        alignas(32) float sums[kOut * kSumStride];
    };
};

// Where the walk is: a unit, the tap and the first channel (of the group) that it stands for, and a chunk of its
// channels. Counted up, not divided: the walk is the inner loop.
struct Step {
    int32_t unit, tap, channel, chunk;

    __device__ __forceinline__ Step next_unit(int32_t taps, int32_t span) const {
        return tap + 1 < taps ? Step{unit + 1, tap + 1, channel, 0} : Step{unit + 1, 0, channel + span, 0};
    }

    __device__ __forceinline__ Step next(int32_t depth, int32_t taps, int32_t span) const {
        return chunk + depth < span ? Step{unit, tap, channel, chunk + depth} : next_unit(taps, span);
    }
};

template <class T, int kOut>
struct TileBlock {
    using Memory = TileMemory<T, kOut>;
    using Tiles = Product<kOut>;
    static constexpr int kVector = kPack<T>;
    static constexpr int kRowVectors = Tiles::kDepth / kVector;
    static constexpr int kReads = kPlaces * kRowVectors / kThreads;  // packs that a thread samples a step
    static constexpr int kCopies = kOut * kRowVectors / kThreads;

    TileArguments<T> const& arguments;
    Memory& memory;
    int64_t group, out;  // the block's weight group, its first output channel within it

    struct Corners {
        Pack<T, kVector> at[4];
    };

    // Finds a unit's taps for all places of the block; kPlaces threads have work.
    __device__ __forceinline__ void fill_taps(Step step) const {
        int const slot = threadIdx.x;
        if (step.channel >= arguments.each || slot >= kPlaces) {
            return;
        }
        auto const& op = arguments.op;
        Tap tap = {0, {0.0f, 0.0f, 0.0f, 0.0f}};
        if (memory.image[slot] >= 0) {
            int64_t const channel = group * arguments.each + step.channel;
            int64_t const offset_group = quotient(channel * op.offset_groups, op.channels);
            tap = tap_of(op, arguments.offset, arguments.mask, memory.image[slot], offset_group, step.tap,
                         memory.row[slot], memory.column[slot]);
        }
        memory.taps[step.unit % 3][slot] = tap;
    }

    __device__ __forceinline__ void read(Step step, Corners (&corners)[kReads]) const {
        auto const& op = arguments.op;
#pragma unroll
        for (int i = 0; i < kReads; ++i) {
            int const job = int(threadIdx.x) + i * kThreads, slot = job / kRowVectors;
            int32_t const channel = step.chunk + job % kRowVectors * kVector;
            Tap const& tap = memory.taps[step.unit % 3][slot];
            int64_t const image = memory.image[slot] * op.height * op.width;
            int64_t const first = group * arguments.each + step.channel + channel;
#pragma unroll
            for (int corner = 0; corner < 4; ++corner) {
                if (channel < arguments.span && tap.weight[corner] != 0.0f) {
                    corners[i].at[corner] =
                        load_pack<T, kVector>(arguments.input + (image + tap.at(corner, op.width)) * op.channels + first);
                } else {
                    corners[i].at[corner] = Pack<T, kVector>{};
                }
            }
        }
    }

    __device__ __forceinline__ void weigh(Step step, Corners const (&corners)[kReads], T* rows) const {
#pragma unroll
        for (int i = 0; i < kReads; ++i) {
            int const job = int(threadIdx.x) + i * kThreads, slot = job / kRowVectors;
            Tap const& tap = memory.taps[step.unit % 3][slot];
            float sums[kVector] = {};
#pragma unroll
            for (int corner = 0; corner < 4; ++corner) {
                accumulate(sums, corners[i].at[corner], tap.weight[corner]);
            }
            Pack<T, kVector> result;
#pragma unroll
            for (int n = 0; n < kVector; ++n) {
                result.at[n] = from_float<T>(sums[n]);
            }
            *reinterpret_cast<Pack<T, kVector>*>(rows + slot * Tiles::kStride + job % kRowVectors * kVector) = result;
        }
    }

    __device__ __forceinline__ void copy_weights(Step step, T* columns) const {
#pragma unroll
        for (int i = 0; i < kCopies; ++i) {
            int const job = int(threadIdx.x) + i * kThreads, row = job / kRowVectors;
            int32_t const channel = step.chunk + job % kRowVectors * kVector;
            bool const inside = channel < arguments.span && out + row < arguments.out_each;
            int64_t const line = (group * arguments.out_each + out + row) * arguments.op.taps() + step.tap;
            int64_t const at = inside ? line * arguments.each + step.channel + channel : 0;
            __pipeline_memcpy_async(columns + row * Tiles::kStride + job % kRowVectors * kVector,
                                    arguments.weight + at, 16, inside ? 0 : 16);
        }
        __pipeline_commit();
    }

    __device__ __forceinline__ void find_places() const {
        if (threadIdx.x < kPlaces) {
            auto const& op = arguments.op;
            int64_t const width = op.out_width(), height = op.out_height();
            int64_t const place = int64_t(blockIdx.x) * kPlaces + threadIdx.x;
            int64_t const line = quotient(place, width), image = quotient(line, height);
            memory.image[threadIdx.x] = image < op.batch ? int32_t(image) : -1;
            memory.row[threadIdx.x] = int32_t(line - image * height);
            memory.column[threadIdx.x] = int32_t(place - line * width);
        }
    }

    __device__ __forceinline__ void write() const {
        auto const& op = arguments.op;
        int64_t const area = op.out_height() * op.out_width();
        for (int item = threadIdx.x; item < kPlaces * kOut; item += kThreads) {
            int const slot = item % kPlaces, row = item / kPlaces;
            int32_t const image = memory.image[slot];
            if (image < 0 || out + row >= arguments.out_each) {
                continue;
            }
            int64_t const channel = group * arguments.out_each + out + row;
            int64_t const place = int64_t(blockIdx.x) * kPlaces + slot - image * area;
            float const sum = memory.sums[row * kSumStride + slot];
            float const added = arguments.bias == nullptr ? sum : sum + to_float(arguments.bias[channel]);
            arguments.output[(image * op.out_channels + channel) * area + place] = from_float<T>(added);
        }
    }

    __device__ void run() {
        int32_t const taps = int32_t(arguments.op.taps()), span = int32_t(arguments.span);
        int32_t const each = int32_t(arguments.each);
        Tiles product;
        product.clear();
        find_places();
        __syncthreads();
        Step step{0, 0, 0, 0};
        fill_taps(step);
        fill_taps(step.next_unit(taps, span));
        __syncthreads();
        Corners corners[kReads];
        copy_weights(step, memory.stages[0].columns);
        read(step, corners);
        weigh(step, corners, memory.stages[0].rows);
        __pipeline_wait_prior(0);
        __syncthreads();
        for (int stage = 0; step.channel < each; stage ^= 1) {
            Step const following = step.next(Tiles::kDepth, taps, span);
            auto& target = memory.stages[stage ^ 1];
            if (following.channel < each) {
                copy_weights(following, target.columns);
                read(following, corners);
            }
            if (step.chunk == 0) {
                fill_taps(step.next_unit(taps, span).next_unit(taps, span));
            }
            product.add(memory.stages[stage].rows, memory.stages[stage].columns);
            if (following.channel < each) {
                weigh(following, corners, target.rows);
            }
            __pipeline_wait_prior(0);
            __syncthreads();
            step = following;
        }
        product.store(memory.sums);  // where the stages were
        __syncthreads();
        write();
    }
};

// The grid: x over places, y over output channels of a group, z over groups.
template <class T, int kOut>
__global__ void __launch_bounds__(kThreads) tile_kernel(TileArguments<T> arguments) {
    extern __shared__ __align__(128) unsigned char shared[];
    TileBlock<T, kOut> block{arguments, *reinterpret_cast<TileMemory<T, kOut>*>(shared), int64_t(blockIdx.z),
                             int64_t(blockIdx.y) * kOut};
    block.run();
}

template <class T, int kOut>
Error launch_tile(TileArguments<T> const& arguments, Stream stream) {
    auto const& op = arguments.op;
    auto const kernel = tile_kernel<T, kOut>;
    size_t const bytes = sizeof(TileMemory<T, kOut>);
    cudaError_t const status =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes));
    if (status != cudaSuccess) {
        return cudaGetErrorString(status);
    }
    dim3 const grid(unsigned(blocks_for(op.batch * op.out_height() * op.out_width(), kPlaces)),
                    unsigned(blocks_for(arguments.out_each, kOut)), unsigned(op.groups));
    kernel<<<grid, kThreads, bytes, stream>>>(arguments);
    return launch_error();
}

}  // namespace t2t
