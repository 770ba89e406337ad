// Where a box's samples lie, as torchvision/csrc/ops/cpu/roi_align_kernel.cpp has them.
#pragma once

#include <cmath>

#include "../common/number.h"
#include "roi_align.h"

namespace t2t {

// A box along one axis.
struct Side {
    float start, bin;  // of the box, of one bin
    int64_t samples;   // a bin

    T2T_HD float place(int64_t cell, int64_t sample) const {
        return start + float(cell) * bin + (float(sample) + 0.5f) * bin / float(samples);
    }

    // Sets [first, last) to the samples of a bin that can lie in [-1, size]: a box may be far larger than the map.
    T2T_HD void inside(int64_t cell, int64_t size, int64_t& first, int64_t& last) const {
        first = 0;
        last = samples;
        float const step = bin / float(samples), from = start + float(cell) * bin;
        if (samples <= 64 || !(step > 0.0f)) {
            return;
        }
        float const low = floorf((-1.0f - from) / step) - 2.0f, high = ceilf((float(size) - from) / step) + 2.0f;
        first = low > 0.0f ? (low < float(samples) ? int64_t(low) : samples) : 0;
        last = high < float(samples) ? (high > 0.0f ? int64_t(high) : 0) : samples;
    }
};

struct Box {
    int64_t image;  // -1: the box is invalid
    Side y, x;
    float divisor;
};

T2T_HD Side side_of(RoiAlign const& op, float low, float high, int64_t cells) {
    float const offset = op.aligned ? 0.5f : 0.0f;
    float const start = low * op.spatial_scale - offset, end = high * op.spatial_scale - offset;
    float const length = op.aligned ? end - start : fmaxf(end - start, 1.0f);
    int64_t samples = op.sampling_ratio;
    if (samples <= 0) {
        float const needed = ceilf(length / float(cells));
        samples = needed > 0.0f ? int64_t(fminf(needed, 1e9f)) : 0;
    }
    return Side{start, length / float(cells), samples};
}

template <class T>
T2T_HD Box box_of(RoiAlign const& op, T const* roi) {
    float const image = to_float(roi[0]), x1 = to_float(roi[1]), y1 = to_float(roi[2]);
    float const x2 = to_float(roi[3]), y2 = to_float(roi[4]);
    float const most = 1e9f;  // beyond it, torchvision's count of samples does not fit its integer
    bool const valid = image > -1.0f && image < float(op.batch) && fabsf(x1 * op.spatial_scale) < most &&
                       fabsf(y1 * op.spatial_scale) < most && fabsf(x2 * op.spatial_scale) < most &&
                       fabsf(y2 * op.spatial_scale) < most;
    if (!valid) {
        return Box{-1, {0.0f, 0.0f, 0}, {0.0f, 0.0f, 0}, 1.0f};
    }
    Box box{int64_t(image), side_of(op, y1, y2, op.pooled_height), side_of(op, x1, x2, op.pooled_width), 1.0f};
    box.divisor = fmaxf(float(box.y.samples) * float(box.x.samples), 1.0f);
    return box;
}

// The four elements around a place, as offsets in a plane, and their weights.
struct Sample {
    int32_t at[4];
    float weight[4];
};

// False where the place is too far outside to count.
T2T_HD bool sample_of(RoiAlign const& op, float y, float x, Sample& sample) {
    if (!(y >= -1.0f && y <= float(op.height) && x >= -1.0f && x <= float(op.width))) {
        return false;
    }
    y = fmaxf(y, 0.0f);
    x = fmaxf(x, 0.0f);
    int32_t const bottom = int32_t(op.height) - 1, right = int32_t(op.width) - 1, width = int32_t(op.width);
    int32_t y0 = int32_t(y), x0 = int32_t(x);
    if (y0 >= bottom) {
        y0 = bottom;
        y = float(y0);
    }
    if (x0 >= right) {
        x0 = right;
        x = float(x0);
    }
    int32_t const y1 = y0 + (y0 < bottom), x1 = x0 + (x0 < right);
    float const fy = y - float(y0), fx = x - float(x0);
    sample.at[0] = y0 * width + x0;
    sample.at[1] = y0 * width + x1;
    sample.at[2] = y1 * width + x0;
    sample.at[3] = y1 * width + x1;
    sample.weight[0] = (1.0f - fy) * (1.0f - fx);
    sample.weight[1] = (1.0f - fy) * fx;
    sample.weight[2] = fy * (1.0f - fx);
    sample.weight[3] = fy * fx;
    return true;
}

// Calls body(sample) for every sample of a bin that counts.
template <class Body>
T2T_HD void for_samples(RoiAlign const& op, Box const& box, int64_t row, int64_t column, Body&& body) {
    int64_t first_y, last_y, first_x, last_x;
    box.y.inside(row, op.height, first_y, last_y);
    box.x.inside(column, op.width, first_x, last_x);
    for (int64_t i = first_y; i < last_y; ++i) {
        float const y = box.y.place(row, i);
        for (int64_t j = first_x; j < last_x; ++j) {
            Sample sample;
            if (sample_of(op, y, box.x.place(column, j), sample)) {
                body(sample);
            }
        }
    }
}

}  // namespace t2t
