// What a query reads with one head.
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

// The rows of value that a place lies between, and what they weigh; `rows` count along value's second axis, and are -1
// where there is none, of weight 0.
struct Reads {
    int32_t rows[4];
    float weights[4];
};

// Of a place in an invalid level it is a NaN of a row that exists.
T2T_HD Reads reads_of(MsDeformAttn const& op, Level const& level, float across, float down, float weight) {
    Reads reads{{-1, -1, -1, -1}, {}};
    if (!level.valid) {
        reads.rows[0] = op.length > 0 ? 0 : -1;
        reads.weights[0] = quiet_nan();
        return reads;
    }
    float const x = across * float(level.width) - 0.5f, y = down * float(level.height) - 0.5f;
    if (!(x > -1.0f && y > -1.0f && x < float(level.width) && y < float(level.height))) {
        return reads;
    }
    int32_t const x0 = int32_t(floorf(x)), y0 = int32_t(floorf(y));
    float const right = x - float(x0), below = y - float(y0);
    int32_t const row = level.start + y0 * level.width + x0;
    for (int corner = 0; corner < 4; ++corner) {
        int32_t const i = corner / 2, j = corner % 2;
        if (unsigned(x0 + j) < unsigned(level.width) && unsigned(y0 + i) < unsigned(level.height)) {
            reads.rows[corner] = row + i * level.width + j;
            reads.weights[corner] = weight * (i ? below : 1.0f - below) * (j ? right : 1.0f - right);
        }
    }
    return reads;
}

}  // namespace t2t
