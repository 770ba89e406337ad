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

    alignas(16) int32_t base[kTapsHeld][kPlaces];         // a tap's first corner, in packs of 8 channels
    alignas(16) uint32_t weights[kTapsHeld][kPlaces][2];  // of its corners, two by two
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
    float sums[kColumns][4];
    uint32_t corner_right, corner_down;  // from a corner to its neighbours, in packs

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

    // What is sampled of 8 channels of 2 places.
    struct Rows {
        Words at[2];
    };

    // Of the four places that eight lanes have together.
    __device__ __forceinline__ static int place_of(int number) { return slot() / 4 * 4 + number; }

    // Eight lanes read a place's channels of a step. first: of the phase's channels, in packs.
    __device__ __forceinline__ void read(Step step, int32_t first, bool wanted, int place, Corners& corners) const {
        int32_t const pack = step.chunk * (kChunk / 8) + int(threadIdx.x % 8);
        bool const inside = wanted && pack < arguments.packs;
        auto const* input = reinterpret_cast<Words const*>(arguments.input);
        uint32_t const at = uint32_t(memory.base[step.tap][place_of(place)] + first + pack);
        auto const weights = load_pack<uint32_t, 2>(memory.weights[step.tap][place_of(place)]);
        uint32_t const above = inside ? weights.at[0] : 0, below = inside ? weights.at[1] : 0;
        corners.at[0] = load_if<Words>((above & 0x7FFFu) != 0, input + at);
        corners.at[1] = load_if<Words>((above & 0x7FFF0000u) != 0, input + (at + corner_right));
        corners.at[2] = load_if<Words>((below & 0x7FFFu) != 0, input + (at + corner_down));
        corners.at[3] = load_if<Words>((below & 0x7FFF0000u) != 0, input + (at + corner_down + corner_right));
    }

    // Samples a step. As many corners are on their way as registers hold: those of two places.
    __device__ __forceinline__ void sample(Step step, int32_t first, bool wanted, Rows (&rows)[2]) const {
        Corners corners[2];
        read(step, first, wanted, 0, corners[0]);
        read(step, first, wanted, 1, corners[1]);
#pragma unroll
        for (int place = 0; place < 4; ++place) {
            __syncwarp();  // or the compiler puts reads off until what came before has been weighed
            auto const weights = load_pack<uint32_t, 2>(memory.weights[step.tap][place_of(place)]);  // rather than held
            rows[place / 2].at[place % 2] = weigh<T>(corners[place % 2], weights);
            if (place < 2) {
                read(step, first, wanted, place + 2, corners[place]);
            }
        }
        exchange(rows);
    }

    // From what was read of each pair of places to what the products want: 32 channels, and 32 more, of a lane's own.
    __device__ __forceinline__ static void exchange(Rows (&rows)[2]) {
        bool const odd = threadIdx.x / 4 % 2 != 0;
#pragma unroll
        for (int i = 0; i < 2; ++i) {
#pragma unroll
            for (int word = 0; word < 4; ++word) {
                uint32_t& left = rows[0].at[i].at[word];
                uint32_t& right = rows[1].at[i].at[word];
                uint32_t const other = __shfl_xor_sync(0xFFFFFFFFu, odd ? left : right, 4);
                left = odd ? other : left;
                right = odd ? right : other;
            }
        }
    }

    // The products of a step, whose weights are given.
    __device__ __forceinline__ void multiply(Rows const (&rows)[2], T const* weights) {
        T const* row = weights + (threadIdx.x % 32 / 8 * kOut + threadIdx.x % 8) * 8;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            Words const& even = rows[half].at[0];
            Words const& odd = rows[half].at[1];
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

    // The taps of a phase for all places of the block: a thread has one place, and every kThreadsEach-th tap.
    __device__ __forceinline__ void fill_taps(int32_t first_channel, int32_t window) const {
        constexpr int kThreadsEach = kThreads / kPlaces, kEach = (kTapsHeld + kThreadsEach - 1) / kThreadsEach;
        auto const& op = arguments.op;
        int32_t const held = arguments.walk.held(window);
        int64_t const width = op.out_width(), area = op.out_height() * width;
        auto const [image, y, x] = Place(op, int64_t(blockIdx.x) * kPlaces + threadIdx.x % kPlaces);
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
                uint32_t const left = from_float<T>(found.weight[2 * row]).bits;
                uint32_t const beside = from_float<T>(found.weight[2 * row + 1]).bits;
                memory.weights[tap][threadIdx.x % kPlaces][row] = left | beside << 16;
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
        Rows rows[2];
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
        int64_t const first = int64_t(blockIdx.x) * kPlaces + slot();
        int64_t const out = int64_t(blockIdx.y) * kOut + threadIdx.x % 4 * 2;
        T* to[2];  // nullptr past the end
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            Place const place(op, first + i);
            int64_t const plane = place.image * op.out_channels + blockIdx.z * out_each + out;
            T* at = arguments.output + plane * area + place.y * op.out_width() + place.x;
            to[i] = place.image < op.batch ? at : nullptr;
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
__global__ void __launch_bounds__(tensor_threads(kSplit), 512 / tensor_threads(kSplit))
    tensor_kernel(TensorArguments<T> arguments) {
    extern __shared__ __align__(128) unsigned char shared[];
    auto& memory = *reinterpret_cast<TensorMemory<T, kOut, kSplit>*>(shared);
    TensorBlock<T, kOut, kSplit> block{arguments, memory};
    block.corner_right = uint32_t(arguments.op.channels / 8);
    block.corner_down = uint32_t(arguments.op.width) * block.corner_right;
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
