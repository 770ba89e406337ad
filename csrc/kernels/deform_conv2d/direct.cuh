// A thread an element of the result: for sizes that the tiles of tile.cuh cannot take.
#pragma once

#include "../common/launch.cuh"
#include "tap.h"

namespace t2t {

template <class T>
__global__ void __launch_bounds__(kThreads) direct_kernel(DeformConv2d op, T const* input, T const* weight,
                                                          T const* offset, T const* mask, T const* bias, T* output) {
    int64_t const width = op.out_width(), area = op.out_height() * width, image_area = op.height * op.width;
    int64_t const each = op.channels / op.groups, out_each = op.out_channels / op.groups;
    int64_t const per_offset_group = op.channels / op.offset_groups, taps = op.taps();
    int64_t const across = op.channels_last ? 1 : image_area, along = op.channels_last ? op.channels : 1;
    T2T_STRIDED(index, op.batch * op.out_channels * area) {
        int64_t const place = index % area, out = index / area % op.out_channels;
        int64_t const image = index / area / op.out_channels, first = out / out_each * each;
        float sum = bias == nullptr ? 0.0f : to_float(bias[out]);
        int64_t channel = first;
        while (channel < first + each) {  // runs of channels that share their offsets
            int64_t const offset_group = channel / per_offset_group;
            int64_t last = (offset_group + 1) * per_offset_group;
            last = last < first + each ? last : first + each;
            for (int64_t number = 0; number < taps; ++number) {
                Tap const tap = tap_of(op, offset, mask, image, offset_group, number, place / width, place % width);
                for (int64_t c = channel; c < last; ++c) {
                    T const* from = input + image * op.channels * image_area + c * across;
                    float read = 0.0f;
                    for (int corner = 0; corner < 4; ++corner) {
                        if (tap.weight[corner] != 0.0f) {
                            read += tap.weight[corner] * to_float(from[tap.at(corner, op.width) * along]);
                        }
                    }
                    sum += read * to_float(weight[(out * each + c - first) * taps + number]);
                }
            }
            channel = last;
        }
        output[index] = from_float<T>(sum);
    }
}

template <class T>
void launch_direct(DeformConv2d const& op, DeformConv2dData const& data, Stream stream) {
    int64_t const results = op.batch * op.out_channels * op.out_height() * op.out_width();
    direct_kernel<T><<<grid_for(results), kThreads, 0, stream>>>(
        op, static_cast<T const*>(data.input), static_cast<T const*>(data.weight), static_cast<T const*>(data.offset),
        static_cast<T const*>(data.mask), static_cast<T const*>(data.bias), static_cast<T*>(data.output));
}

}  // namespace t2t
