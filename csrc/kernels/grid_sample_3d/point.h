// One place of a grid: where its corners lie and what they weigh. As aten/src/ATen/native/GridSampler.h does it.
#pragma once

#include <cmath>

#include "../common/number.h"
#include "grid_sample_3d.h"

namespace t2t {

T2T_HD float reflected(float place, int64_t twice_low, int64_t twice_high) {
    if (twice_low == twice_high) {
        return 0.0f;
    }
    float const low = float(twice_low) / 2;
    float const span = float(twice_high - twice_low) / 2;
    place = fabsf(place - low);
    float const extra = fmodf(place, span);
    float const flips = floorf(place / span);
    return fmodf(flips, 2.0f) == 0.0f ? extra + low : span - extra + low;
}

// A coordinate in -1..1 as a place along an axis of `size` elements.
T2T_HD float grid_place(float coordinate, int32_t size, Padding padding, bool align_corners) {
    float const all = float(size), last = float(size - 1);
    float place = align_corners ? ((coordinate + 1.0f) / 2) * last : ((coordinate + 1.0f) * all - 1) / 2;
    if (padding == Padding::Reflection) {
        int64_t const edge = align_corners ? 0 : -1;
        place = reflected(place, edge, 2 * int64_t(size) - 2 - edge);
    }
    if (padding != Padding::Zeros) {
        place = fminf(last, fmaxf(place, 0.0f));  // NaN becomes 0
    }
    // Places that no integer holds, and NaN, are outside.
    return place > -2147483648.0f && place < 2147483520.0f ? place : -100.0f;
}

// Up to eight corners; `at` is an offset in the volume, -1 where it is outside.
struct Corners {
    int32_t at[8];
    float weight[8];
    int count;
};

T2T_HD Corners corners_of(GridSample3d const& op, float gx, float gy, float gz) {
    int32_t const depth = int32_t(op.depth), height = int32_t(op.height), width = int32_t(op.width);
    float const x = grid_place(gx, width, op.padding, op.align_corners);
    float const y = grid_place(gy, height, op.padding, op.align_corners);
    float const z = grid_place(gz, depth, op.padding, op.align_corners);
    Corners corners;
    if (op.interpolation == Interpolation::Nearest) {
        int32_t const x0 = int32_t(nearbyintf(x)), y0 = int32_t(nearbyintf(y)), z0 = int32_t(nearbyintf(z));
        bool const inside = x0 >= 0 && x0 < width && y0 >= 0 && y0 < height && z0 >= 0 && z0 < depth;
        corners.count = 1;
        corners.at[0] = inside ? (z0 * height + y0) * width + x0 : -1;
        corners.weight[0] = 1.0f;
        return corners;
    }
    corners.count = 8;
    int32_t const x0 = int32_t(floorf(x)), y0 = int32_t(floorf(y)), z0 = int32_t(floorf(z));
    float const fx = x - float(x0), fy = y - float(y0), fz = z - float(z0);
    // Of what lies outside the number means nothing, and may go round.
    uint32_t const row = uint32_t(width), first = (uint32_t(z0) * uint32_t(height) + uint32_t(y0)) * row + uint32_t(x0);
    bool const has_x[2] = {x0 >= 0 && x0 < width, x0 >= -1 && x0 < width - 1};
    bool const has_y[2] = {y0 >= 0 && y0 < height, y0 >= -1 && y0 < height - 1};
    bool const has_z[2] = {z0 >= 0 && z0 < depth, z0 >= -1 && z0 < depth - 1};
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
    for (int corner = 0; corner < 8; ++corner) {
        int const i = corner & 1, j = corner >> 1 & 1, k = corner >> 2;
        uint32_t const there = first + uint32_t(i) + uint32_t(j) * row + uint32_t(k) * uint32_t(height) * row;
        corners.at[corner] = has_x[i] && has_y[j] && has_z[k] ? int32_t(there) : -1;
        corners.weight[corner] = (i ? fx : 1.0f - fx) * (j ? fy : 1.0f - fy) * (k ? fz : 1.0f - fz);
    }
    return corners;
}

template <class T>
T2T_HD T sampled(Corners const& corners, T const* volume) {
    float sum = 0.0f;
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
    for (int corner = 0; corner < 8; ++corner) {
        if (corner < corners.count && corners.at[corner] >= 0) {
            sum += to_float(volume[corners.at[corner]]) * corners.weight[corner];
        }
    }
    return from_float<T>(sum);
}

}  // namespace t2t
