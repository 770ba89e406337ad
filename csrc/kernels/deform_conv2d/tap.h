// One tap of one place of the result: where it reads, and what its four corners weigh.
#pragma once

#include <cmath>

#include "../common/number.h"
#include "deform_conv2d.h"

namespace t2t {

// Corner c lies at `base` + c % 2 + c / 2 * width in a plane of height * width. Those outside weigh 0; only corners that
// do not may be read.
struct Tap {
    int32_t base;
    float weight[4];

    T2T_HD int64_t at(int corner, int64_t width) const { return base + (corner & 1) + (corner >> 1) * width; }
};

// The tap of a fractional place, as bilinear_interpolate in torchvision/csrc/ops/cpu/deform_conv2d_kernel.cpp.
T2T_HD Tap tap_at(DeformConv2d const& op, float y, float x, float scale) {
    Tap tap = {0, {0.0f, 0.0f, 0.0f, 0.0f}};
    if (!(y > -1.0f && y < float(op.height) && x > -1.0f && x < float(op.width))) {  // NaN too
        return tap;
    }
    int32_t const height = int32_t(op.height), width = int32_t(op.width);
    int32_t const y0 = int32_t(floorf(y)), x0 = int32_t(floorf(x));
    float const fy = y - float(y0), fx = x - float(x0);
    bool const top = y0 >= 0, bottom = y0 + 1 < height, left = x0 >= 0, right = x0 + 1 < width;
    tap.base = y0 * width + x0;
    tap.weight[0] = top && left ? (1.0f - fy) * (1.0f - fx) * scale : 0.0f;
    tap.weight[1] = top && right ? (1.0f - fy) * fx * scale : 0.0f;
    tap.weight[2] = bottom && left ? fy * (1.0f - fx) * scale : 0.0f;
    tap.weight[3] = bottom && right ? fy * fx * scale : 0.0f;
    return tap;
}

// Tap number `tap` of the result's place (y, x), moved `down` and to the `right`.
T2T_HD Tap tap_near(DeformConv2d const& op, int64_t tap, int64_t y, int64_t x, float down, float right, float scale) {
    int64_t const row = quotient(tap, op.kernel_width), column = tap - row * op.kernel_width;
    return tap_at(op, float(y * op.stride_height - op.pad_height + row * op.dilation_height) + down,
                  float(x * op.stride_width - op.pad_width + column * op.dilation_width) + right, scale);
}

// The same of an image, for the channels of an offset group.
template <class T>
T2T_HD Tap tap_of(DeformConv2d const& op, T const* offset, T const* mask, int64_t image, int64_t offset_group,
                  int64_t tap, int64_t y, int64_t x) {
    int64_t const taps = op.taps(), area = op.out_height() * op.out_width();
    int64_t const place = y * op.out_width() + x;
    int64_t const number = (image * op.offset_groups + offset_group) * taps + tap;
    float const down = to_float(offset[2 * number * area + place]);
    float const right = to_float(offset[(2 * number + 1) * area + place]);
    float const scale = mask == nullptr ? 1.0f : to_float(mask[number * area + place]);
    return tap_near(op, tap, y, x, down, right, scale);
}

}  // namespace t2t
