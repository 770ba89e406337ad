// The warps of warpgroup.cuh that sample the left side into shared memory, and order the weights.
#pragma once

#include "warpgroup_block.cuh"

#ifdef T2T_WARPGROUPS

namespace t2t {

// Eight lanes read the 64 channels of a place, a line of the cache; a unit is the four places that a warp has at once.
template <class T, int kOut>
struct SamplingWarps : WarpgroupBlock<T, kOut> {
    using Block = WarpgroupBlock<T, kOut>;
    using Memory = typename Block::Memory;
    using Block::arguments, Block::memory, Block::first_place, Block::begin, Block::count;
    static constexpr int kPlaces = Block::kPlaces, kSlots = Block::kSlots;
    static constexpr int kUnits = kPlaces / 32;  // of a warp in a step
    static constexpr int kDeep = 4;              // units on their way, as many as registers hold

    // What a lane reads in a step.
    struct Source {
        int32_t tap, pack, first;     // of the phase; `pack` of channels lies `first` from a pixel's first one
        int32_t stride;               // from one tap to the next in `at`
        Words const* at;              // where the corners of the lane's first place lie, and what they weigh
        CornerWeights const* weights;
    };

    struct Reading {
        Corners corners;
        CornerWeights weights;
    };

    __device__ __forceinline__ static int place_of(int unit) {
        return (int(threadIdx.x) / 32 * (kUnits / 4) + unit / 4) * 16 + int(threadIdx.x) % 32 / 8 * 4 + unit % 4;
    }

    // From the place of a lane's first unit.
    __device__ __forceinline__ static int beyond(int unit) { return unit / 4 * 16 + unit % 4; }

    // One thread orders the weights of the block's step `number`, once all warps are done with what its slot held.
    __device__ __forceinline__ void order_weights(int32_t number) const {
        int const slot = number % kSlots;
        constexpr unsigned kBytes = Memory::kWeights * sizeof(T);
        int64_t const tile = int64_t(blockIdx.z) * gridDim.y + blockIdx.y;
        expect_bytes(memory.full[slot], kBytes);
        copy_bytes(memory.ring.weights[slot],
                   arguments.weight + (tile * arguments.stages + begin + number) * Memory::kWeights, kBytes,
                   memory.full[slot]);
    }

    // Channels past the phase's last are zeros. first: of the phase's channels, in packs.
    __device__ __forceinline__ void go_to_pack(Source& source, int32_t pack, int32_t first) const {
        source.pack = pack;
        bool const inside = pack < arguments.packs;
        source.first = inside ? first + pack : arguments.to_zeros;
        source.at = inside ? memory.taps.at + source.tap * kPlaces + place_of(0) : memory.nowhere;
        source.stride = inside ? kPlaces : 0;
    }

    __device__ __forceinline__ void advance(Source& source, int32_t held, int32_t first) const {
        ++source.tap;
        source.at += source.stride;
        source.weights += kPlaces;
        if (source.tap == held) {
            source.tap = 0;
            source.weights -= held * kPlaces;
            go_to_pack(source, source.pack + kChunk / 8, first);
        }
    }

    __device__ __forceinline__ static void read(Source const& source, Words const* from, int unit, Words const& lies,
                                                Reading& reading) {
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) {
            reading.corners.at[corner] = load_words(from, int32_t(lies.at[corner]));
        }
        reading.weights = source.weights[beyond(unit)];
    }

    // Of 16 places the even ones come first: a lane that multiplies has rows g and g + 8, and so two neighbours.
    __device__ __forceinline__ static void store(T* rows, int unit, Words const& words) {
        int const at = place_of(unit), row = at / 16 * 16 + at % 2 * 8 + at % 16 / 2;
        *reinterpret_cast<Words*>(rows + row * kChunk + (int(threadIdx.x) % 8 ^ row % 8) * 8) = words;
    }

    // Samples a step into `rows`. Each unit makes room for the reads of one of the same step or the next.
    __device__ __forceinline__ void sample(Source& source, Reading (&readings)[kDeep], T* rows, int32_t held,
                                           int32_t first) const {
        auto const* input = reinterpret_cast<Words const*>(arguments.input);
        Words const* from = packs_after(input, source.first);
#pragma unroll
        for (int unit = 0; unit < kUnits; ++unit) {
            if (unit + kDeep == kUnits) {
                advance(source, held, first);
                from = packs_after(input, source.first);
            }
            int const ahead = (unit + kDeep) % kUnits;
            Reading& reading = readings[unit % kDeep];
            Words const lies = source.at[beyond(ahead)];
            __syncwarp();  // or the compiler puts reads off until what came before has been weighed
            store(rows, unit, weigh<T>(reading.corners, reading.weights));
            read(source, from, ahead, lies, reading);
        }
    }

    // Steps of a phase; `number`: what the first of them is among the block's. kDeep units are always
    // on their way, past the end in vain.
    __device__ __forceinline__ void run_phase(int32_t first_channel, int32_t held, int32_t step, int32_t end,
                                              int32_t number) const {
        int32_t const first = first_channel / 8, chunk = int32_t(uint32_t(step) / uint32_t(held));
        auto const* input = reinterpret_cast<Words const*>(arguments.input);
        Source source;
        source.tap = step - chunk * held;
        source.weights = memory.taps.weights + source.tap * kPlaces + place_of(0);
        go_to_pack(source, chunk * (kChunk / 8) + int(threadIdx.x) % 8, first);
        Reading readings[kDeep];
#pragma unroll
        for (int unit = 0; unit < kDeep; ++unit) {
            read(source, input + source.first, unit, source.at[beyond(unit)], readings[unit]);
        }
        for (; step < end; ++step, ++number) {
            int const slot = number % kSlots;
            if (number >= kSlots) {
                pass(memory.done[slot], unsigned(number / kSlots + 1) % 2);
            }
            if (threadIdx.x == 0) {
                order_weights(number);
            }
            __syncwarp();
            sample(source, readings, memory.ring.rows[slot], held, first);
            show_to_products();
            __syncwarp();
            if (threadIdx.x % 32 == 0) {
                arrive(memory.sampled[slot]);
            }
        }
    }

    // The first phase's taps are there already. Only now the kernel before is waited for, which makes what is read.
    __device__ __forceinline__ void run() const {
        bool filled = true;
        this->for_phases([&](int32_t channel, int32_t window, int32_t step, int32_t from, int32_t to) {
            if (filled) {
                wait_for_kernel_before();
                filled = false;
            } else {
                meet_first<kSamplers>();
                memory.taps.template fill<kSamplers, 1>(arguments, first_place, channel, window, int(threadIdx.x));
                meet_first<kSamplers>();
            }
            run_phase(channel, arguments.walk.held(window), from, to, step + from);
            return true;
        });
    }
};

}  // namespace t2t

#endif
