// Where the elements of index lie in self and in src, with as few axes to divide by as there can be.
#pragma once

#include "scatter_reduce.h"

namespace t2t {

// Offsets of an element of index in self (without its place along dim) and in src.
struct Element {
    int64_t self, src;
};

struct Layout {
    int32_t rank = 0;
    uint32_t sizes[kMaxRank];  // of index
    int64_t self_strides[kMaxRank], src_strides[kMaxRank];
    int64_t size = 1, step = 1;  // of self along dim: its elements, and how far they are apart

    // The number of the line along dim that an element of self is in.
    T2T_HD int64_t line(int64_t at) const { return at / (size * step) * step + at % step; }

    // flat < 2^32: a GPU divides 32 bits in a fraction of the time that 64 take.
    T2T_HD Element element(uint32_t flat) const {
        Element found{0, 0};
        for (int32_t axis = rank - 1; axis > 0; --axis) {
            uint32_t const rest = flat / sizes[axis], place = flat - rest * sizes[axis];
            found.self += place * self_strides[axis];
            found.src += place * src_strides[axis];
            flat = rest;
        }
        found.self += flat * self_strides[0];
        found.src += flat * src_strides[0];
        return found;
    }
};

// Neighbouring axes that index, self and src walk through alike become one; those of one element vanish.
inline Layout layout_of(ScatterReduce const& op) {
    Layout found;
    int64_t self_stride = 1, src_stride = 1, strides[2][kMaxRank];
    for (int32_t axis = op.rank - 1; axis >= 0; --axis) {
        strides[0][axis] = axis == op.dim ? 0 : self_stride;  // index tells the place along dim
        strides[1][axis] = src_stride;
        if (axis == op.dim) {
            found.size = op.self_shape[axis];
            found.step = self_stride;
        }
        self_stride *= op.self_shape[axis];
        src_stride *= op.src_shape[axis];
    }
    for (int32_t axis = 0; axis < op.rank; ++axis) {
        int64_t const size = op.index_shape[axis], self = strides[0][axis], src = strides[1][axis];
        int32_t const last = found.rank - 1;
        bool const joins = found.rank > 0 && found.self_strides[last] == size * self &&
                           found.src_strides[last] == size * src;
        if (size == 1 && !(found.rank == 0 && axis == op.rank - 1)) {
            continue;
        }
        int32_t const to = joins ? last : found.rank++;
        found.sizes[to] = uint32_t(joins ? found.sizes[to] * size : size);
        found.self_strides[to] = self;
        found.src_strides[to] = src;
    }
    return found;
}

}  // namespace t2t
