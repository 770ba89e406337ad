#include "../common/dispatch.h"
#include "../common/launch.cuh"
#include "element.h"

namespace t2t {
namespace {

// The workspace: a float32 sum and a count for every element of self. A line's count at its first place is made
// negative by an index out of range, whatever is counted there besides: hits stay below 2^31.
constexpr int32_t kOutOfRange = INT32_MIN;

struct Workspace {
    float* sums;
    int32_t* hits;
};

size_t sums_bytes(ScatterReduce const& op) { return aligned(size_t(elements(op.self_shape, op.rank)) * sizeof(float)); }

__device__ void atomic_combine(float* target, Reduction reduction, float value) {
    if (reduction == Reduction::Sum || reduction == Reduction::Mean) {
        atomicAdd(target, value);
        return;
    }
    auto* bits = reinterpret_cast<unsigned*>(target);
    unsigned seen = *bits, expected;
    do {
        expected = seen;
        unsigned const wanted = __float_as_uint(combined(reduction, __uint_as_float(expected), value));
        if (wanted == expected) {
            return;
        }
        seen = atomicCAS(bits, expected, wanted);
    } while (seen != expected);
}

template <class T>
__global__ void start_kernel(ScatterReduce op, T const* self, Workspace work) {
    T2T_STRIDED(at, elements(op.self_shape, op.rank)) {
        work.sums[at] = op.include_self ? to_float(self[at]) : identity(op.reduction);
        work.hits[at] = 0;
    }
}

template <class T, class I>
__global__ void scatter_kernel(ScatterReduce op, I const* index, T const* src, Workspace work) {
    T2T_STRIDED(flat, elements(op.index_shape, op.rank)) {
        Element const element = element_of(op, flat);
        int64_t const place = index[flat];
        if (place < 0 || place >= op.self_shape[op.dim]) {
            if (op.self_shape[op.dim] > 0) {
                atomicOr(&work.hits[element.self], kOutOfRange);
            }
            continue;
        }
        int64_t const at = element.self + place * element.step;
        atomic_combine(&work.sums[at], op.reduction, to_float(src[element.src]));
        atomicAdd(&work.hits[at], 1);
    }
}

template <class T>
__global__ void finish_kernel(ScatterReduce op, int64_t step, T const* self, Workspace work, T* output) {
    int64_t const size = op.self_shape[op.dim];
    T2T_STRIDED(at, elements(op.self_shape, op.rank)) {
        int64_t const line = quotient(at, step), place = line - quotient(line, size) * size;
        int64_t const first = at - place * step;
        float const result = finished(op, to_float(self[at]), work.sums[at], work.hits[at] & INT32_MAX);
        output[at] = from_float<T>(work.hits[first] < 0 ? quiet_nan() : result);
    }
}

}  // namespace

size_t scatter_reduce_workspace(ScatterReduce const& op) {
    return sums_bytes(op) + aligned(size_t(elements(op.self_shape, op.rank)) * sizeof(int32_t));
}

Error scatter_reduce_cuda(ScatterReduce const& op, ScatterReduceData const& data, void* workspace, Stream stream) {
    int64_t const count = elements(op.self_shape, op.rank), updates = elements(op.index_shape, op.rank);
    if (count == 0) {
        return nullptr;
    }
    if (updates > INT32_MAX) {
        return "scatter_reduce takes 2^31 - 1 elements of index at most";
    }
    int64_t step = 1;
    for (int32_t axis = op.dim + 1; axis < op.rank; ++axis) {
        step *= op.self_shape[axis];
    }
    Workspace const work{static_cast<float*>(workspace),
                         reinterpret_cast<int32_t*>(static_cast<char*>(workspace) + sums_bytes(op))};
    with_type(op.dtype, [&](auto type) {
        using T = decltype(type);
        T const* self = static_cast<T const*>(data.self);
        start_kernel<T><<<grid_for(count), kThreads, 0, stream>>>(op, self, work);
        if (updates > 0) {
            with_index(op.index_type, [&](auto index_type) {
                using I = decltype(index_type);
                scatter_kernel<T, I><<<grid_for(updates), kThreads, 0, stream>>>(
                    op, static_cast<I const*>(data.index), static_cast<T const*>(data.src), work);
            });
        }
        finish_kernel<T><<<grid_for(count), kThreads, 0, stream>>>(op, step, self, work, static_cast<T*>(data.output));
    });
    return launch_error();
}

}  // namespace t2t
