// Reductions of two elements, and where an element of index lies.
#pragma once

#include <cmath>

#include "../common/number.h"
#include "scatter_reduce.h"

namespace t2t {

T2T_HD int64_t elements(int64_t const* shape, int32_t rank) {
    int64_t count = 1;
    for (int32_t axis = 0; axis < rank; ++axis) {
        count *= shape[axis];
    }
    return count;
}

T2T_HD float identity(Reduction reduction) {
    switch (reduction) {
        case Reduction::Prod: return 1.0f;
        case Reduction::Amax: return -INFINITY;
        case Reduction::Amin: return INFINITY;
        default: return 0.0f;
    }
}

// NaN wins, as in PyTorch.
T2T_HD float combined(Reduction reduction, float left, float right) {
    switch (reduction) {
        case Reduction::Prod: return left * right;
        case Reduction::Amax: return left != left || left > right ? left : right;
        case Reduction::Amin: return left != left || left < right ? left : right;
        default: return left + right;
    }
}

// What a place that `hits` elements were reduced into holds in the end.
T2T_HD float finished(Reduction reduction, bool include_self, float self, float sum, int64_t hits) {
    if (hits == 0) {
        return self;
    }
    return reduction == Reduction::Mean ? sum / float(hits + include_self) : sum;
}

}  // namespace t2t
