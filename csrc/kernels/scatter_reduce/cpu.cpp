#include <vector>

#include "../common/dispatch.h"
#include "element.h"

namespace t2t {

Error scatter_reduce_check(ScatterReduce const& op) {
    if (op.rank < 1 || op.rank > kMaxRank) {
        return "scatter_reduce takes 8 axes at most";
    }
    if (op.dim < 0 || op.dim >= op.rank) {
        return "dim is out of range";
    }
    if (int32_t(op.reduction) < 0 || int32_t(op.reduction) > int32_t(Reduction::Amin)) {
        return "reduce must be sum, prod, mean, amax or amin";
    }
    for (int32_t axis = 0; axis < op.rank; ++axis) {
        if (op.self_shape[axis] < 0 || op.src_shape[axis] < 0 || op.index_shape[axis] < 0) {
            return "a size is negative";
        }
        if (elements(op.index_shape, op.rank) == 0) {
            continue;
        }
        if (op.index_shape[axis] > op.src_shape[axis]) {
            return "index is larger than src along an axis";
        }
        if (axis != op.dim && op.index_shape[axis] > op.self_shape[axis]) {
            return "index is larger than self along an axis other than dim";
        }
    }
    return nullptr;
}

Error scatter_reduce_check_index(ScatterReduce const& op, void const* index) {
    return with_index(op.index_type, [&](auto type) -> Error {
        auto const* at = static_cast<decltype(type) const*>(index);
        int64_t const count = elements(op.index_shape, op.rank);
        for (int64_t flat = 0; flat < count; ++flat) {
            if (at[flat] < 0 || at[flat] >= op.self_shape[op.dim]) {
                return "an element of index is out of range";
            }
        }
        return nullptr;
    });
}

int64_t scatter_reduce_items(ScatterReduce const& op) {
    int64_t const size = op.self_shape[op.dim];
    return size == 0 ? 0 : elements(op.self_shape, op.rank) / size;
}

namespace {

// One line of self along dim: `inner` elements lie between two of its elements.
struct Line {
    int64_t self, index, src;                  // offsets of the first elements
    int64_t self_step, index_step, src_step;  // to the next
    bool in_index;                             // whether index holds anything for it
};

Line line_of(ScatterReduce const& op, int64_t number) {
    Line line{0, 0, 0, 1, 1, 1, true};
    int64_t self_stride = 1, index_stride = 1, src_stride = 1;
    for (int32_t axis = op.rank - 1; axis >= 0; --axis) {
        if (axis == op.dim) {
            line.self_step = self_stride;
            line.index_step = index_stride;
            line.src_step = src_stride;
        } else {
            int64_t const place = number % op.self_shape[axis];
            number /= op.self_shape[axis];
            line.self += place * self_stride;
            line.index += place * index_stride;
            line.src += place * src_stride;
            line.in_index = line.in_index && place < op.index_shape[axis];
        }
        self_stride *= op.self_shape[axis];
        index_stride *= op.index_shape[axis];
        src_stride *= op.src_shape[axis];
    }
    return line;
}

template <class T, class I>
void reduce_line(ScatterReduce const& op, ScatterReduceData const& data, Line const& line, std::vector<float>& sums,
                 std::vector<int64_t>& hits) {
    int64_t const size = op.self_shape[op.dim];
    T const* self = static_cast<T const*>(data.self) + line.self;
    T* output = static_cast<T*>(data.output) + line.self;
    for (int64_t place = 0; place < size; ++place) {
        sums[place] = op.include_self ? to_float(self[place * line.self_step]) : identity(op.reduction);
        hits[place] = 0;
    }
    bool in_range = true;
    for (int64_t i = 0; line.in_index && i < op.index_shape[op.dim]; ++i) {
        int64_t const place = static_cast<I const*>(data.index)[line.index + i * line.index_step];
        if (place < 0 || place >= size) {
            in_range = false;
            continue;
        }
        float const value = to_float(static_cast<T const*>(data.src)[line.src + i * line.src_step]);
        sums[place] = combined(op.reduction, sums[place], value);
        ++hits[place];
    }
    for (int64_t place = 0; place < size; ++place) {
        float const result = finished(op.reduction, op.include_self, to_float(self[place * line.self_step]),
                                      sums[place], hits[place]);
        output[place * line.self_step] = from_float<T>(in_range ? result : quiet_nan());
    }
}

}  // namespace

void scatter_reduce_cpu(ScatterReduce const& op, ScatterReduceData const& data, int64_t begin, int64_t end) {
    with_type(op.dtype, [&](auto type) {
        with_index(op.index_type, [&](auto index_type) {
            size_t const size = size_t(op.self_shape[op.dim]);
            std::vector<float> sums(size);
            std::vector<int64_t> hits(size);
            for (int64_t number = begin; number < end; ++number) {
                reduce_line<decltype(type), decltype(index_type)>(op, data, line_of(op, number), sums, hits);
            }
        });
    });
}

}  // namespace t2t
