// What one query reads with one head.
#pragma once

#include <cmath>

#include "../common/number.h"
#include "ms_deform_attn.h"

namespace t2t {

struct Level {
    int32_t height, width, start;
    bool valid;
};

template <class I>
T2T_HD Level level_of(MsDeformAttn const& op, I const* shapes, I const* starts, int64_t level) {
    int64_t const height = shapes[2 * level], width = shapes[2 * level + 1], start = starts[level];
    // Each bound on its own first: the product of two unchecked sizes could overflow.
    bool const valid = height >= 0 && width >= 0 && start >= 0 && height <= op.length && width <= op.length &&
                       start <= op.length && height * width <= op.length - start;
    return Level{int32_t(height), int32_t(width), int32_t(start), valid};
}

// Calls body(row, weight) for every row of value that a (query, head) reads; `row` counts along value's second axis.
// A weight is NaN, at a row that exists, where a level is invalid.
template <class T, class I, class Body>
T2T_HD void for_rows(MsDeformAttn const& op, I const* shapes, I const* starts, T const* locations, T const* weights,
                     Body&& body) {
    for (int64_t l = 0; l < op.levels; ++l) {
        Level const level = level_of(op, shapes, starts, l);
        if (!level.valid) {
            if (op.length > 0) {
                body(0, quiet_nan());
            }
            continue;
        }
        for (int64_t p = 0; p < op.points; ++p) {
            T const* place = locations + (l * op.points + p) * 2;
            float const x = to_float(place[0]) * float(level.width) - 0.5f;
            float const y = to_float(place[1]) * float(level.height) - 0.5f;
            if (!(x > -1.0f && y > -1.0f && x < float(level.width) && y < float(level.height))) {
                continue;
            }
            float const weight = to_float(weights[l * op.points + p]);
            int32_t const x0 = int32_t(floorf(x)), y0 = int32_t(floorf(y));
            float const fx = x - float(x0), fy = y - float(y0);
            int32_t const row = level.start + y0 * level.width + x0;
            bool const left = x0 >= 0, right = x0 + 1 < level.width;
            if (y0 >= 0 && left) {
                body(row, weight * (1.0f - fy) * (1.0f - fx));
            }
            if (y0 >= 0 && right) {
                body(row + 1, weight * (1.0f - fy) * fx);
            }
            if (y0 + 1 < level.height && left) {
                body(row + level.width, weight * fy * (1.0f - fx));
            }
            if (y0 + 1 < level.height && right) {
                body(row + level.width + 1, weight * fy * fx);
            }
        }
    }
}

}  // namespace t2t
