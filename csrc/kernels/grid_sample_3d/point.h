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

// How a grid is read. Where the compiler knows it, it leaves out what the others need.
enum class Reading {
    Linear,     // linear interpolation, without reflection
    Reflected,  // linear interpolation, padded by reflection
    Nearest,    // the nearest element, however it is padded
};

T2T_HD Reading reading_of(GridSample3d const& op) {
    return op.interpolation == Interpolation::Nearest ? Reading::Nearest
           : op.padding == Padding::Reflection        ? Reading::Reflected
                                                      : Reading::Linear;
}

// The corners around a place, x first: eight, or the one that is nearest.
struct Corners {
    int32_t at[8];  // where it lies in the volume; -1 outside
    float weight[8];
};

T2T_HD constexpr int corners_in(Reading reading) { return reading == Reading::Nearest ? 1 : 8; }

T2T_HD Corners corners_of(GridSample3d const& op, Reading reading, float gx, float gy, float gz) {
    Padding const padding = reading == Reading::Nearest     ? op.padding
                            : reading == Reading::Reflected ? Padding::Reflection
                            : op.padding == Padding::Zeros  ? Padding::Zeros
                                                            : Padding::Border;
    float const x = grid_place(gx, int32_t(op.width), padding, op.align_corners);
    float const y = grid_place(gy, int32_t(op.height), padding, op.align_corners);
    float const z = grid_place(gz, int32_t(op.depth), padding, op.align_corners);
    bool const nearest = reading == Reading::Nearest;
    float const low_x = nearest ? nearbyintf(x) : floorf(x);
    float const low_y = nearest ? nearbyintf(y) : floorf(y);
    float const low_z = nearest ? nearbyintf(z) : floorf(z);
    float const fx = nearest ? 0.0f : x - low_x, fy = nearest ? 0.0f : y - low_y, fz = nearest ? 0.0f : z - low_z;
    // Negative numbers are large ones, and the one after -1 is 0.
    uint32_t const x0 = uint32_t(int32_t(low_x)), y0 = uint32_t(int32_t(low_y)), z0 = uint32_t(int32_t(low_z));
    uint32_t const width = uint32_t(op.width), height = uint32_t(op.height), depth = uint32_t(op.depth);
    Corners corners;
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
    for (int corner = 0; corner < 8; ++corner) {
        uint32_t const i = corner & 1, j = corner >> 1 & 1, k = corner >> 2;
        bool const inside = x0 + i < width && y0 + j < height && z0 + k < depth;
        corners.at[corner] = inside ? int32_t(((z0 + k) * height + y0 + j) * width + x0 + i) : -1;
        corners.weight[corner] = (i ? fx : 1.0f - fx) * (j ? fy : 1.0f - fy) * (k ? fz : 1.0f - fz);
    }
    return corners;
}

template <class T>
T2T_HD T sampled(Reading reading, Corners const& corners, T const* volume) {
    float sum = 0.0f;
    for (int corner = 0; corner < corners_in(reading); ++corner) {
        if (corners.at[corner] >= 0) {
            sum += to_float(volume[corners.at[corner]]) * corners.weight[corner];
        }
    }
    return from_float<T>(sum);
}

}  // namespace t2t
