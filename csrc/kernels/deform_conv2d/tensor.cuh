// Deformable convolution on tensor cores: a matrix product whose left side is sampled into registers on the fly.
//
// A warp computes 16 places of the result by kOut output channels. It samples the left side itself, into the registers
// that the products read: in a sum over channels their order is free, and so the 16 bytes that a lane reads serve as
// its part of a row as they come. Eight lanes read a place's 64 channels of a step, a line of the cache; four of them
// hold its row, and so halves change places in the end. The weights of a stage are one piece of memory (see walk.h and
// prepare.cuh) that all warps share, copied asynchronously some stages ahead. No warp reads while its products run, and
// registers so suffice for sixteen of them on a multiprocessor, which take turns.
//
// Where places are few, kSplit groups of warps take every kSplit-th step of the same places, and add up in the end.
#pragma once

#include <cuda_pipeline.h>

#include "sample.cuh"

namespace t2t {

// A multiprocessor holds sixteen warps, where it can in two blocks: these do not wait for each other.
constexpr int tensor_threads(int split) { return split > 2 ? 512 : 256; }
constexpr int tensor_places(int split) { return tensor_threads(split) / 2 / split; }

template <class T, int kOut, int kSplit>
struct TensorMemory {
    static constexpr int kPlaces = tensor_places(kSplit);  // of a block
    static constexpr int kSteps = kSplit;  // of a stage
    static constexpr int kStages = kSplit > 1 ? 2 : 3;
    static constexpr int kStageNumbers = kSteps * kOut * kChunk;

    TapTable<T, kPlaces> taps;
    union {
        alignas(128) T stages[kStages][kStageNumbers];
        float sums[kSplit > 1 ? kOut / 2 : 1][tensor_threads(kSplit) / 2];
    };
};

template <class T, int kOut, int kSplit>
struct TensorBlock {
    using Memory = TensorMemory<T, kOut, kSplit>;
    static constexpr int kPlaces = Memory::kPlaces, kSteps = Memory::kSteps, kStages = Memory::kStages;
    static constexpr int kThreads = tensor_threads(kSplit);
    static constexpr int kColumns = kOut / 8;  // of fragments

    TensorArguments<T> const& arguments;
    Memory& memory;
    Sampler<T> sampler;
    float sums[kColumns][4];

    // A warp's group of steps, and where in the block the 2 places are whose rows a lane holds.
    __device__ __forceinline__ static int group() { return int(threadIdx.x) / (2 * kPlaces); }
    __device__ __forceinline__ static int slot() { return int(threadIdx.x) % (2 * kPlaces) / 4 * 2; }

    // A step's place in its phase.
    struct Step {
        int32_t tap, chunk;
    };

    __device__ __forceinline__ Step after(Step step, int32_t held) const {
        step.tap += kSplit;
        while (step.tap >= held) {
            step.tap -= held;
            ++step.chunk;
        }
        return step;
    }

    // Of the four places that eight lanes have together.
    __device__ __forceinline__ static int place_of(int number) { return slot() / 4 * 4 + number; }

    // first: of the phase's channels, in packs.
    __device__ __forceinline__ void read(Step step, int32_t first, bool wanted, int place, Corners& corners) const {
        int32_t const pack = step.chunk * (kChunk / 8) + int(threadIdx.x % 8);
        bool const inside = wanted && pack < arguments.packs;
        auto const weights = memory.taps.weights[step.tap][place_of(place)];
        sampler.read(uint32_t(memory.taps.base[step.tap][place_of(place)] + first + pack),
                     inside ? weights : CornerWeights{}, corners);
    }

    // Samples a step. As many corners are on their way as registers hold: those of two places.
    __device__ __forceinline__ void sample(Step step, int32_t first, bool wanted, Rows& rows) const {
        Corners corners[2];
        read(step, first, wanted, 0, corners[0]);
        read(step, first, wanted, 1, corners[1]);
#pragma unroll
        for (int place = 0; place < 4; ++place) {
            __syncwarp();  // or the compiler puts reads off until what came before has been weighed
            auto const weights = memory.taps.weights[step.tap][place_of(place)];  // once more, rather than held
            rows[place / 2][place % 2] = sampler.weigh(corners[place % 2], weights);
            if (place < 2) {
                read(step, first, wanted, place + 2, corners[place]);
            }
        }
        exchange(rows);
    }

    // The products of a step, whose weights are given.
    __device__ __forceinline__ void multiply(Rows const& rows, T const* weights) {
        T const* row = weights + (threadIdx.x % 32 / 8 * kOut + threadIdx.x % 8) * 8;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            Words const& even = rows[half][0];
            Words const& odd = rows[half][1];
#pragma unroll
            for (int column = 0; column < kColumns; ++column) {
                Words const right = load_matrices(row + (half * kOut * 4 + column * 8) * 8);
                mma<T>(sums[column], even.at[0], odd.at[0], even.at[1], odd.at[1], right.at[0], right.at[1]);
                mma<T>(sums[column], even.at[2], odd.at[2], even.at[3], odd.at[3], right.at[2], right.at[3]);
            }
        }
    }

    __device__ __forceinline__ void copy_weights(int32_t stage) const {
        if (stage < arguments.stages) {
            int64_t const tile = int64_t(blockIdx.z) * gridDim.y + blockIdx.y;
            int64_t const number = tile * arguments.stages + stage;
            T const* from = arguments.weight + number * Memory::kStageNumbers + threadIdx.x * 8;
            T* to = memory.stages[stage % kStages] + threadIdx.x * 8;
#pragma unroll
            for (int i = 0; i < Memory::kStageNumbers; i += kThreads * 8) {
                __pipeline_memcpy_async(to + i, from + i, 16, 0);
            }
        }
        __pipeline_commit();
    }

    // Walks through a phase; `stage` is the group's first one of it.
    __device__ __forceinline__ void run_phase(int32_t first_channel, int32_t window, int32_t stage) {
        int32_t const held = arguments.walk.held(window), steps = arguments.walk.chunks() * held;
        int32_t const end = stage + arguments.walk.stages(window), first = first_channel / 8;
        Step step{0, 0};
        for (int i = 0; i < group(); ++i) {
            step = step.tap + 1 < held ? Step{step.tap + 1, step.chunk} : Step{0, step.chunk + 1};
        }
        int32_t number = group();
        Rows rows;
        sample(step, first, number < steps, rows);
        for (; stage < end; ++stage) {
            __pipeline_wait_prior(kStages - 2);
            __syncthreads();
            copy_weights(stage + kStages - 1);
            T const* weights = memory.stages[stage % kStages] + group() * kOut * kChunk;
            if (number < steps) {
                step = after(step, held);
                number += kSplit;
                multiply(rows, weights);
                bool const more = number < steps;
                sample(more ? step : Step{0, 0}, first, more, rows);
            }
        }
    }

    // body(sum, number) for all sums of a lane.
    template <class Body>
    __device__ __forceinline__ void for_sums(Body&& body) {
#pragma unroll
        for (int column = 0; column < kColumns; ++column) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                body(sums[column][i], column * 4 + i);
            }
        }
    }

    // Adds the groups' sums up; the first group holds them in the end.
    __device__ __forceinline__ void add_groups() {
        int const lane = threadIdx.x % (2 * kPlaces);
#pragma unroll
        for (int groups = kSplit / 2; groups > 0; groups /= 2) {
            __syncthreads();
            int const at = group() % groups * 2 * kPlaces + lane;
            if (group() >= groups && group() < 2 * groups) {
                for_sums([&](float& sum, int number) { memory.sums[number][at] = sum; });
            }
            __syncthreads();
            if (group() < groups) {
                for_sums([&](float& sum, int number) { sum += memory.sums[number][at]; });
            }
        }
    }

    __device__ __forceinline__ void write() const {
        auto const& op = arguments.op;
        int64_t const area = op.out_height() * op.out_width(), out_each = op.out_channels / op.groups;
        int64_t const out = int64_t(blockIdx.y) * kOut + threadIdx.x % 4 * 2, channel = blockIdx.z * out_each + out;
        PlacePair<T> const pair(arguments, int64_t(blockIdx.x) * kPlaces + slot(), channel);
#pragma unroll
        for (int column = 0; column < kColumns; ++column) {
#pragma unroll
            for (int which = 0; which < 2; ++which) {
                int const beyond = column * 8 + which;
                if (out + beyond < out_each) {
                    T const* bias = arguments.bias + channel + beyond;
                    float const added = arguments.bias == nullptr ? 0.0f : to_float(*bias);
                    pair.write(beyond * area, {from_float<T>(sums[column][which] + added),
                                               from_float<T>(sums[column][2 + which] + added)});
                }
            }
        }
    }

    __device__ __forceinline__ void run() {
        auto const& walk = arguments.walk;
        for_sums([](float& sum, int) { sum = 0.0f; });
        for (int stage = 0; stage < kStages - 1; ++stage) {
            copy_weights(stage);
        }
        int32_t stage = 0;
        for (int32_t channel = 0; channel < walk.each; channel += walk.span) {
            for (int32_t window = 0; window < walk.windows(); ++window) {
                int32_t const first = int32_t(blockIdx.z) * walk.each + channel;
                __syncthreads();
                memory.taps.template fill<kThreads>(arguments, int64_t(blockIdx.x) * kPlaces, first, window);
                __syncthreads();
                run_phase(first, window, stage);
                stage += walk.stages(window);
            }
        }
        if constexpr (kSplit > 1) {
            __pipeline_wait_prior(0);
            add_groups();
        }
        if (group() == 0) {
            write();
        }
    }
};

// The grid: x over places, y over output channels of a group, z over groups.
template <class T, int kOut, int kSplit>
__global__ void __launch_bounds__(tensor_threads(kSplit), 512 / tensor_threads(kSplit))
    tensor_kernel(TensorArguments<T> arguments) {
    extern __shared__ __align__(128) unsigned char shared[];
    auto& memory = *reinterpret_cast<TensorMemory<T, kOut, kSplit>*>(shared);
    TensorBlock<T, kOut, kSplit> block{arguments, memory, Sampler<T>(arguments)};
    block.run();
}

template <class T, int kOut, int kSplit>
Error launch_tensor(TensorArguments<T> const& arguments, Stream stream) {
    auto const& op = arguments.op;
    auto const kernel = tensor_kernel<T, kOut, kSplit>;
    size_t const bytes = sizeof(TensorMemory<T, kOut, kSplit>);
    cudaError_t const status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes));
    if (status != cudaSuccess) {
        return cudaGetErrorString(status);
    }
    int64_t const places = op.batch * op.out_height() * op.out_width();
    dim3 const grid(unsigned(blocks_for(places, tensor_places(kSplit))),
                    unsigned(blocks_for(op.out_channels / op.groups, kOut)), unsigned(op.groups));
    kernel<<<grid, tensor_threads(kSplit), bytes, stream>>>(arguments);
    return launch_error();
}

}  // namespace t2t
