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
T2T_HD float grid_place(float coordinate, int64_t size, Padding padding, bool align_corners) {
    float place = align_corners ? ((coordinate + 1.0f) / 2) * (size - 1) : ((coordinate + 1.0f) * size - 1) / 2;
    if (padding == Padding::Reflection) {
        place = align_corners ? reflected(place, 0, 2 * (size - 1)) : reflected(place, -1, 2 * size - 1);
    }
    if (padding != Padding::Zeros) {
        place = fminf(float(size - 1), fmaxf(place, 0.0f));  // NaN becomes 0
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

T2T_HD int32_t volume_offset(GridSample3d const& op, int32_t z, int32_t y, int32_t x) {
    int32_t const depth = int32_t(op.depth), height = int32_t(op.height), width = int32_t(op.width);
    bool const inside = z >= 0 && z < depth && y >= 0 && y < height && x >= 0 && x < width;
    return inside ? (z * height + y) * width + x : -1;
}

T2T_HD Corners corners_of(GridSample3d const& op, float gx, float gy, float gz) {
    float const x = grid_place(gx, op.width, op.padding, op.align_corners);
    float const y = grid_place(gy, op.height, op.padding, op.align_corners);
    float const z = grid_place(gz, op.depth, op.padding, op.align_corners);
    Corners corners;
    if (op.interpolation == Interpolation::Nearest) {
        corners.count = 1;
        corners.at[0] = volume_offset(op, int32_t(nearbyintf(z)), int32_t(nearbyintf(y)), int32_t(nearbyintf(x)));
        corners.weight[0] = 1.0f;
        return corners;
    }
    corners.count = 8;
    int32_t const x0 = int32_t(floorf(x)), y0 = int32_t(floorf(y)), z0 = int32_t(floorf(z));
    float const fx = x - float(x0), fy = y - float(y0), fz = z - float(z0);
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
    for (int corner = 0; corner < 8; ++corner) {
        int const i = corner & 1, j = corner >> 1 & 1, k = corner >> 2;
        corners.at[corner] = volume_offset(op, z0 + k, y0 + j, x0 + i);
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
