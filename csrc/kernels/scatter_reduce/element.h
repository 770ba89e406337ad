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
T2T_HD float finished(ScatterReduce const& op, float self, float sum, int64_t hits) {
    if (hits == 0) {
        return self;
    }
    return op.reduction == Reduction::Mean ? sum / float(hits + op.include_self) : sum;
}

// Offsets of an element of index in self (without its place along dim) and in src.
struct Element {
    int64_t self, src, step;  // step: of self along dim
};

T2T_HD Element element_of(ScatterReduce const& op, int64_t flat) {
    Element found{0, 0, 0};
    int64_t self_stride = 1, src_stride = 1;
    for (int32_t axis = op.rank - 1; axis >= 0; --axis) {
        int64_t const rest = quotient(flat, op.index_shape[axis]), place = flat - rest * op.index_shape[axis];
        flat = rest;
        if (axis == op.dim) {
            found.step = self_stride;
        } else {
            found.self += place * self_stride;
        }
        found.src += place * src_stride;
        self_stride *= op.self_shape[axis];
        src_stride *= op.src_shape[axis];
    }
    return found;
}

}  // namespace t2t
