// Deformable convolution on tensor cores: a matrix product whose left side is sampled into registers on the fly.
//
// A warp computes 16 places of the result by kOut output channels. It samples the left side itself, each lane 8
// channels of 2 places a step, straight into the registers that the products read: in a sum over channels their order is
// free, and so a lane's 16 bytes serve as its part of the rows as they come. The weights of a stage are one piece of
// memory (see walk.h and prepare.cuh) that all warps share, copied asynchronously some stages ahead. While the products
// of one step run, the corners of the next are on their way; sixteen warps hide what is left of it.
//
// Where places are few, kSplit groups of warps take every kSplit-th step of the same places, and add up in the end.
#pragma once

#include <cuda_pipeline.h>

#include "../common/ptx.cuh"
#include "../common/wgmma.cuh"
#include "tap.h"
#include "walk.h"

namespace t2t {

// input lies as (N, H, W, C), weight as prepare.cuh arranges it.
template <class T>
struct TensorArguments {
    DeformConv2d op;
    Walk walk;
    T const* input;
    T const* weight;
    T const* offset;
    T const* mask;
    T const* bias;
    T* output;
    bool by_pairs;  // two neighbouring places are written at once
};

constexpr int kTensorThreads = 512;

template <class T, int kOut, int kSplit>
struct TensorMemory {
    static constexpr int kPlaces = kTensorThreads / 2 / kSplit;  // of a block
    static constexpr int kSteps = kSplit > 2 ? kSplit : 2;  // of a stage
    static constexpr int kStages = 3;
    static constexpr int kStageNumbers = kSteps * kOut * kChunk;

    alignas(16) int32_t base[kTapsHeld][kPlaces];         // a tap's first corner, in packs of 8 channels
    alignas(16) uint32_t weights[kTapsHeld][kPlaces][2];  // of its corners, two by two
    union {
        alignas(128) T stages[kStages][kStageNumbers];
        float sums[kSplit > 1 ? kOut / 2 : 1][kTensorThreads / 2];
    };
};

template <class T, int kOut, int kSplit>
struct TensorBlock {
    using Memory = TensorMemory<T, kOut, kSplit>;
    static constexpr int kPlaces = Memory::kPlaces, kSteps = Memory::kSteps, kStages = Memory::kStages;
    static constexpr int kColumns = kOut / 8;  // of fragments

    TensorArguments<T> const& arguments;
    Memory& memory;
    float sums[kColumns][4];
    int32_t corner_right, corner_down;  // from a corner to its neighbours, in packs

    // A warp's group of steps, and a lane's 2 places in the block and 8 channels.
    __device__ __forceinline__ static int group() { return int(threadIdx.x) / (2 * kPlaces); }
    __device__ __forceinline__ static int slot() { return int(threadIdx.x) % (2 * kPlaces) / 4 * 2; }
    __device__ __forceinline__ static int pack() { return int(threadIdx.x) % 4; }

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

    // What a lane holds of the left side: 8 channels of 2 places.
    struct Rows {
        Words at[2];
    };

    // The corners of the places, and what they weigh.
    struct Corners {
        Words at[2][4];
        Words weights;
    };

    // first: of the phase's channels, in packs, for this lane.
    __device__ __forceinline__ void read(Step step, int32_t first, bool wanted, Corners& corners) const {
        int32_t const channel = step.chunk * kChunk + pack() * 8, pack_at = first + channel / 8;
        bool const inside = wanted && channel < arguments.walk.span;
        auto const bases = load_pack<int32_t, 2>(&memory.base[step.tap][slot()]);
        corners.weights = load_pack<uint32_t, 4>(memory.weights[step.tap][slot()]);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            auto const* corner = reinterpret_cast<Words const*>(arguments.input) + (bases.at[i] + pack_at);
            uint32_t const above = corners.weights.at[2 * i], below = corners.weights.at[2 * i + 1];
            corners.at[i][0] = load_if<Words>(inside && (above & 0x7FFFu) != 0, corner);
            corners.at[i][1] = load_if<Words>(inside && (above & 0x7FFF0000u) != 0, corner + corner_right);
            corners.at[i][2] = load_if<Words>(inside && (below & 0x7FFFu) != 0, corner + corner_down);
            corners.at[i][3] = load_if<Words>(inside && (below & 0x7FFF0000u) != 0, corner + corner_down + corner_right);
        }
        __syncwarp();  // or the compiler puts the reads off until the products that are to hide them are done
    }

    __device__ __forceinline__ static void weigh(Corners const& corners, Rows& rows) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            Words sums{};
#pragma unroll
            for (int corner = 0; corner < 4; ++corner) {
                uint32_t const two = corners.weights.at[2 * i + corner / 2];
                uint32_t const one = corner % 2 == 0 ? two << 16 | (two & 0xFFFFu) : two >> 16 | (two & 0xFFFF0000u);
#pragma unroll
                for (int word = 0; word < 4; ++word) {
                    sums.at[word] = fma_pair<T>(corners.at[i][corner].at[word], one, sums.at[word]);
                }
            }
            rows.at[i] = sums;
        }
    }

    // The products of one step, whose weights are given.
    __device__ __forceinline__ void multiply(Rows const& rows, T const* weights) {
        Words const& even = rows.at[0];
        Words const& odd = rows.at[1];
#ifdef T2T_WARPGROUPS
        begin_products();
#pragma unroll
        for (int k = 0; k < 4; k += 2) {
            add_product<T>(sums, even.at[k], odd.at[k], even.at[k + 1], odd.at[k + 1],
                           columns_at(weights + k * kOut * 8, kOut * 16));
        }
        end_products(sums);
#else
        T const* row = weights + (threadIdx.x % 32 / 8 * kOut + threadIdx.x % 8) * 8;
#pragma unroll
        for (int column = 0; column < kColumns; ++column) {
            Words const right = load_matrices(row + column * 64);
#pragma unroll
            for (int k = 0; k < 4; k += 2) {
                mma<T>(sums[column], even.at[k], odd.at[k], even.at[k + 1], odd.at[k + 1], right.at[k], right.at[k + 1]);
            }
        }
#endif
    }

    __device__ __forceinline__ void copy_weights(int32_t stage) const {
        int32_t const stages = arguments.walk.stages();
        if (stage < stages) {
            int64_t const tile = int64_t(blockIdx.z) * gridDim.y + blockIdx.y;
            T const* from = arguments.weight + (tile * stages + stage) * Memory::kStageNumbers + threadIdx.x * 8;
            T* to = memory.stages[stage % kStages] + threadIdx.x * 8;
#pragma unroll
            for (int i = 0; i < Memory::kStageNumbers; i += kTensorThreads * 8) {
                __pipeline_memcpy_async(to + i, from + i, 16, 0);
            }
        }
        __pipeline_commit();
    }

    // The taps of a phase for all places of the block: a thread has one place, and every kThreadsEach-th tap.
    __device__ __forceinline__ void fill_taps(int32_t first_channel, int32_t window) const {
        constexpr int kThreadsEach = kTensorThreads / kPlaces, kEach = (kTapsHeld + kThreadsEach - 1) / kThreadsEach;
        auto const& op = arguments.op;
        int32_t const held = arguments.walk.held(window);
        int64_t const width = op.out_width(), height = op.out_height(), area = height * width;
        int64_t const place = int64_t(blockIdx.x) * kPlaces + threadIdx.x % kPlaces;
        int64_t const line = quotient(place, width), image = quotient(line, height);
        int64_t const y = line - image * height, x = place - line * width;
        int64_t const offset_group = quotient(first_channel * op.offset_groups, op.channels);
        int64_t const number = (image * op.offset_groups + offset_group) * op.taps() + window * kTapsHeld;
        float down[kEach], right[kEach], scale[kEach];
#pragma unroll
        for (int i = 0; i < kEach; ++i) {  // all reads, before the first is waited for
            int32_t const tap = int32_t(threadIdx.x) / kPlaces + i * kThreadsEach;
            down[i] = right[i] = scale[i] = 0.0f;
            if (tap < held && image < op.batch) {
                int64_t const at = (number + tap) * area + y * width + x;
                down[i] = to_float(arguments.offset[at + (number + tap) * area]);
                right[i] = to_float(arguments.offset[at + (number + tap + 1) * area]);
                scale[i] = arguments.mask == nullptr ? 1.0f : to_float(arguments.mask[at]);
            }
        }
        int32_t const packs = int32_t(op.channels / 8);
        int32_t const before = image < op.batch ? int32_t(image * op.height * op.width) : 0;
#pragma unroll
        for (int i = 0; i < kEach; ++i) {
            int32_t const tap = int32_t(threadIdx.x) / kPlaces + i * kThreadsEach;
            if (tap >= held) {
                continue;
            }
            Tap const found = tap_near(op, window * kTapsHeld + tap, y, x, down[i], right[i], scale[i]);
            memory.base[tap][threadIdx.x % kPlaces] = (before + found.base) * packs;
#pragma unroll
            for (int row = 0; row < 2; ++row) {
                memory.weights[tap][threadIdx.x % kPlaces][row] =
                    from_float<T>(found.weight[2 * row]).bits | uint32_t(from_float<T>(found.weight[2 * row + 1]).bits) << 16;
            }
        }
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
        Corners corners;
        read(step, first, number < steps, corners);
        weigh(corners, rows);
        for (; stage < end; ++stage) {
            __pipeline_wait_prior(kStages - 2);
#ifdef T2T_WARPGROUPS
            show_to_products();
#endif
            __syncthreads();
            copy_weights(stage + kStages - 1);
            T const* weights = memory.stages[stage % kStages] + group() * kOut * kChunk;
#pragma unroll
            for (int i = 0; i < kSteps / kSplit; ++i, weights += kSplit * kOut * kChunk) {
                if (number < steps) {
                    step = after(step, held);
                    number += kSplit;
                    bool const more = number < steps;
                    read(more ? step : Step{0, 0}, first, more, corners);
                    multiply(rows, weights);
                    weigh(corners, rows);
                }
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

    __device__ __forceinline__ void write_channel(T* const (&to)[2], int64_t at, Pack<T, 2> const& results) const {
        if (!arguments.by_pairs) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                if (to[i] != nullptr) {
                    to[i][at] = results.at[i];
                }
            }
        } else if (to[0] != nullptr) {
            *reinterpret_cast<Pack<T, 2>*>(to[0] + at) = results;
        }
    }

    __device__ __forceinline__ void write() const {
        auto const& op = arguments.op;
        int64_t const area = op.out_height() * op.out_width(), out_each = op.out_channels / op.groups;
        int64_t const place = int64_t(blockIdx.x) * kPlaces + slot(), out = int64_t(blockIdx.y) * kOut + pack() * 2;
        T* to[2];  // nullptr past the end
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            int64_t const image = quotient(place + i, area), first = image * op.out_channels + blockIdx.z * out_each + out;
            to[i] = image < op.batch ? arguments.output + first * area + (place + i - image * area) : nullptr;
        }
#pragma unroll
        for (int column = 0; column < kColumns; ++column) {
#pragma unroll
            for (int which = 0; which < 2; ++which) {
                int const channel = column * 8 + which;
                if (out + channel < out_each) {
                    T const* bias = arguments.bias + blockIdx.z * out_each + out + channel;
                    float const added = arguments.bias == nullptr ? 0.0f : to_float(*bias);
                    write_channel(to, channel * area,
                                  {from_float<T>(sums[column][which] + added),
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
                fill_taps(first, window);
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
__global__ void __launch_bounds__(kTensorThreads, 1) tensor_kernel(TensorArguments<T> arguments) {
    extern __shared__ __align__(128) unsigned char shared[];
    auto& memory = *reinterpret_cast<TensorMemory<T, kOut, kSplit>*>(shared);
    TensorBlock<T, kOut, kSplit> block{arguments, memory};
    block.corner_right = int32_t(arguments.op.channels / 8);
    block.corner_down = int32_t(arguments.op.width) * block.corner_right;
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
    dim3 const grid(unsigned(blocks_for(places, TensorMemory<T, kOut, kSplit>::kPlaces)),
                    unsigned(blocks_for(op.out_channels / op.groups, kOut)), unsigned(op.groups));
    kernel<<<grid, kTensorThreads, bytes, stream>>>(arguments);
    return launch_error();
}

}  // namespace t2t
