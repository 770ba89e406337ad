// A block's taps in shared memory: where the corners of each place lie, and what they weigh.
#pragma once

#include "sample.cuh"

namespace t2t {

// In longer strips than those of walk.h what a block writes of a channel lies together, 128 bytes of a line at a time:
// with 16 places the three sizes of warpgroup.cuh take 43.5, 34.6 and 39.1 us on an H200, with 64 42.8, 32.1 and 38.5.
constexpr int kLongStrip = 64;

// Place of walk.h in long strips, and in 32 bits, which take a fraction of the instructions.
struct NearPlace {
    uint32_t image, y, x;

    template <class T>
    __device__ __forceinline__ NearPlace(TensorArguments<T> const& arguments, uint32_t number) {
        uint32_t const width = uint32_t(arguments.out_width), height = uint32_t(arguments.out_height);
        uint32_t const area = width * height;
        image = number / area;
        uint32_t const within = number - image * area, strip = within / (height * kLongStrip);
        uint32_t const left = width - strip * kLongStrip, across = left < kLongStrip ? left : kLongStrip;
        uint32_t const rest = within - strip * height * kLongStrip;
        y = rest / across;
        x = strip * kLongStrip + rest - y * across;
    }
};

// The taps of a phase, worked out once for all its channels: 24 bytes a tap of a place, tap by tap. Corners that weigh
// nothing lie where zeros are: whoever samples needs no tests. One row of places after the other, so that pointers may
// go from tap to tap.
template <class T, int kPlaces>
struct CornerTable {
    Words at[kTapsHeld * kPlaces];  // the corners, in packs of 8 channels from the input's first one
    CornerWeights weights[kTapsHeld * kPlaces];

    // From the block's first place on: a thread has one place, and every kGroups-th tap, kAtOnce of which are read
    // before the first is waited for.
    template <int kThreads, int kAtOnce>
    __device__ __forceinline__ void fill(TensorArguments<T> const& arguments, int32_t first_place,
                                         int32_t first_channel, int32_t window, int thread) {
        constexpr int kGroups = kThreads / kPlaces;
        auto const& op = arguments.op;
        int const slot = thread % kPlaces;
        int32_t const held = arguments.walk.held(window), before = window * kTapsHeld;
        uint32_t const area = uint32_t(arguments.out_width) * uint32_t(arguments.out_height);
        NearPlace const place(arguments, uint32_t(first_place + slot));
        bool const inside = place.image < uint32_t(op.batch);
        uint32_t const offset_group = uint32_t(first_channel) * uint32_t(op.offset_groups) / uint32_t(op.channels);
        int64_t const number = (int64_t(place.image) * op.offset_groups + offset_group) * arguments.walk.taps + before;
        int64_t const from = place.y * uint32_t(arguments.out_width) + place.x;
        T const* offset = arguments.offset + (2 * number * area + from);
        T const* mask = arguments.mask + (number * area + from);
        int32_t const pixels = inside ? int32_t(place.image) * int32_t(op.width) * int32_t(op.height) : 0;
        int32_t const top = int32_t(place.y) * int32_t(op.stride_height) - int32_t(op.pad_height);
        int32_t const side = int32_t(place.x) * int32_t(op.stride_width) - int32_t(op.pad_width);
#pragma unroll 1
        for (int32_t first_tap = thread / kPlaces; first_tap < held; first_tap += kAtOnce * kGroups) {
            float down[kAtOnce], right[kAtOnce], scale[kAtOnce];
#pragma unroll
            for (int i = 0; i < kAtOnce; ++i) {
                int32_t const tap = first_tap + i * kGroups;
                down[i] = right[i] = scale[i] = 0.0f;
                if (tap < held && inside) {
                    down[i] = to_float(offset[int64_t(2 * tap) * area]);
                    right[i] = to_float(offset[int64_t(2 * tap + 1) * area]);
                    scale[i] = arguments.mask == nullptr ? 1.0f : to_float(mask[int64_t(tap) * area]);
                }
            }
#pragma unroll
            for (int i = 0; i < kAtOnce; ++i) {
                int32_t const tap = first_tap + i * kGroups;
                if (tap < held) {
                    uint32_t const line = uint32_t(before + tap) / uint32_t(op.kernel_width);
                    int32_t const column = before + tap - int32_t(line) * int32_t(op.kernel_width);
                    float const y = float(top + int32_t(line) * int32_t(op.dilation_height)) + down[i];
                    float const x = float(side + column * int32_t(op.dilation_width)) + right[i];
                    put(arguments, tap_at(op, y, x, scale[i]), pixels, tap * kPlaces + slot);
                }
            }
        }
    }

    // pixels: how many lie before the place's image.
    __device__ __forceinline__ void put(TensorArguments<T> const& arguments, Tap const& found, int32_t pixels,
                                        int number) {
        int32_t const packs = int32_t(arguments.op.channels) / 8, width = int32_t(arguments.op.width);
        int32_t const first = (pixels + found.base) * packs;
        Words lies;
        CornerWeights weighs{};
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) {
            uint32_t const bits = from_float<T>(found.weight[corner]).bits;
            int32_t const there = first + (corner % 2 + corner / 2 * width) * packs;
            lies.at[corner] = uint32_t((bits & 0x7FFFu) != 0 ? there : arguments.to_zeros);
            weighs.at[corner / 2] |= bits << corner % 2 * 16;
        }
        at[number] = lies;
        weights[number] = weighs;
    }
};

}  // namespace t2t
