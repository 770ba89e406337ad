// Sampling for the tensor core kernels: a block's taps in shared memory, and packs of 8 channels weighed by them.
#pragma once

#include "../common/ptx.cuh"
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
    Words const* zeros;  // a line of the cache
    int32_t stages, packs;  // all stages; packs of 8 channels in a phase
    bool by_pairs;  // two neighbouring places are written at once
};

using CornerWeights = Pack<uint32_t, 2>;  // of four corners, two by two

template <class T, int kPlaces>
struct TapTable {
    alignas(16) int32_t base[kTapsHeld][kPlaces];  // a tap's first corner, in packs of 8 channels
    alignas(16) CornerWeights weights[kTapsHeld][kPlaces];

    // The taps of a phase, from the block's first place on: a thread has one place, and every kThreadsEach-th tap.
    template <int kThreads>
    __device__ __forceinline__ void fill(TensorArguments<T> const& arguments, int64_t first_place,
                                         int32_t first_channel, int32_t window) {
        constexpr int kThreadsEach = kThreads / kPlaces, kEach = (kTapsHeld + kThreadsEach - 1) / kThreadsEach;
        auto const& op = arguments.op;
        int const slot = int(threadIdx.x) % kPlaces;
        int32_t const held = arguments.walk.held(window);
        int64_t const width = op.out_width(), area = op.out_height() * width;
        auto const [image, y, x] = Place(op, first_place + slot);
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
            base[tap][slot] = (before + found.base) * packs;
            CornerWeights both;
#pragma unroll
            for (int row = 0; row < 2; ++row) {
                uint32_t const left = from_float<T>(found.weight[2 * row]).bits;
                uint32_t const beside = from_float<T>(found.weight[2 * row + 1]).bits;
                both.at[row] = left | beside << 16;
            }
            weights[tap][slot] = both;
        }
    }
};

// A place's corners, 8 channels of them.
struct Corners {
    Words at[4];
};

template <class T>
struct Sampler {
    Words const* input;
    Words const* zeros;
    uint32_t right, down;  // from a corner to its neighbours, in packs

    __device__ __forceinline__ explicit Sampler(TensorArguments<T> const& arguments)
        : input(reinterpret_cast<Words const*>(arguments.input)),
          zeros(arguments.zeros + threadIdx.x % 8),
          right(uint32_t(arguments.op.channels / 8)),
          down(uint32_t(arguments.op.width) * right) {}

    // at: the first corner's number of packs. Corners that weigh nothing are not read.
    __device__ __forceinline__ void read(uint32_t at, CornerWeights const& weights, Corners& corners) const {
        uint32_t const above = weights.at[0], below = weights.at[1];
        corners.at[0] = load_if<Words>((above & 0x7FFFu) != 0, input + at);
        corners.at[1] = load_if<Words>((above & 0x7FFF0000u) != 0, input + (at + right));
        corners.at[2] = load_if<Words>((below & 0x7FFFu) != 0, input + (at + down));
        corners.at[3] = load_if<Words>((below & 0x7FFF0000u) != 0, input + (at + down + right));
    }

    // The same, of corners that are weighed much later.
    __device__ __forceinline__ void read_ahead(uint32_t at, CornerWeights const& weights, Corners& corners) const {
        uint32_t const above = weights.at[0], below = weights.at[1];
        corners.at[0] = load_either((above & 0x7FFFu) != 0, input + at, zeros);
        corners.at[1] = load_either((above & 0x7FFF0000u) != 0, input + (at + right), zeros);
        corners.at[2] = load_either((below & 0x7FFFu) != 0, input + (at + down), zeros);
        corners.at[3] = load_either((below & 0x7FFF0000u) != 0, input + (at + down + right), zeros);
    }

    __device__ __forceinline__ static Words weigh(Corners const& corners, CornerWeights const& weights) {
        Words sums{};
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) {
            uint32_t const weight = twice(weights.at[corner / 2], corner % 2 != 0);
#pragma unroll
            for (int word = 0; word < 4; ++word) {
                sums.at[word] = fma_pair<T>(corners.at[corner].at[word], weight, sums.at[word]);
            }
        }
        return sums;
    }
};

// What is sampled of 2 places, 8 channels each. Eight lanes read the 64 channels of a step of four places, a line of
// the cache each time: the first two of the places are rows[0], the others rows[1].
using Rows = Words[2][2];

// From what was read of each pair of places to what the products want, of the 2 places whose rows a lane holds: of 32
// channels in rows[0], of 32 more in rows[1].
__device__ __forceinline__ void exchange(Rows& rows) {
    bool const odd = threadIdx.x / 4 % 2 != 0;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int word = 0; word < 4; ++word) {
            uint32_t& left = rows[0][i].at[word];
            uint32_t& right = rows[1][i].at[word];
            uint32_t const other = __shfl_xor_sync(0xFFFFFFFFu, odd ? left : right, 4);
            left = odd ? other : left;
            right = odd ? right : other;
        }
    }
}

// Two neighbouring places of the result, in the plane of one output channel; a lane writes what it has of others, too.
template <class T>
struct PlacePair {
    T* at[2];  // nullptr past the end
    bool together;

    __device__ __forceinline__ PlacePair(TensorArguments<T> const& arguments, int64_t first, int64_t channel)
        : together(arguments.by_pairs) {
        auto const& op = arguments.op;
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            Place const place(op, first + i);
            int64_t const plane = place.image * op.out_channels + channel;
            T* to = arguments.output + (plane * op.out_height() + place.y) * op.out_width() + place.x;
            at[i] = place.image < op.batch ? to : nullptr;
        }
    }

    __device__ __forceinline__ void write(int64_t beyond, Pack<T, 2> const& results) const {
        if (!together) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                if (at[i] != nullptr) {
                    at[i][beyond] = results.at[i];
                }
            }
        } else if (at[0] != nullptr) {
            *reinterpret_cast<Pack<T, 2>*>(at[0] + beyond) = results;
        }
    }
};

}  // namespace t2t
