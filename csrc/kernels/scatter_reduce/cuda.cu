#include "../common/dispatch.h"
#include "../common/ptx.cuh"
#include "element.h"
#include "layout.h"

namespace t2t {
namespace {

constexpr int kEach = 4;  // elements that a thread takes at once where they lie side by side

// The sums are float32: the result itself, or the workspace's. Hits are counted for means; without self, too, the places
// that were hit must be told from those that were not. marks[0] tells that an index was out of range, the bits of the
// others the lines where.
struct Workspace {
    float* sums;
    int32_t* hits;  // nullptr where they do not matter
    int32_t* marks;
};

bool counts(ScatterReduce const& op) { return op.reduction == Reduction::Mean || !op.include_self; }
int64_t mark_words(ScatterReduce const& op) { return 1 + blocks_for(scatter_reduce_items(op), 32); }

size_t sums_bytes(ScatterReduce const& op) {
    return op.dtype == DType::Float32 ? 0 : aligned(size_t(elements(op.self_shape, op.rank)) * sizeof(float));
}

size_t hits_bytes(ScatterReduce const& op) {
    return counts(op) ? aligned(size_t(elements(op.self_shape, op.rank)) * sizeof(int32_t)) : 0;
}

Workspace workspace_of(ScatterReduce const& op, void* output, void* workspace) {
    char* const hits = static_cast<char*>(workspace) + sums_bytes(op);
    return {static_cast<float*>(op.dtype == DType::Float32 ? output : workspace),
            counts(op) ? reinterpret_cast<int32_t*>(hits) : nullptr,
            reinterpret_cast<int32_t*>(hits + hits_bytes(op))};
}

__device__ __forceinline__ void atomic_combine(float* target, Reduction reduction, float value) {
    if (reduction == Reduction::Sum || reduction == Reduction::Mean) {
        add_all<1>(target, {value});
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

__device__ __forceinline__ void count_hit(Workspace const& work, Reduction reduction, int64_t at) {
    if (reduction == Reduction::Mean) {
        atomicAdd(&work.hits[at], 1);
    } else if (work.hits != nullptr) {
        work.hits[at] = 1;
    }
}

template <class T, int V>
__global__ void start_kernel(ScatterReduce op, int64_t count, int64_t words, T const* self, Workspace work) {
    T2T_STRIDED(word, words) { work.marks[word] = 0; }
    T2T_STRIDED(item, count / V) {
        auto const selves = load_pack<T, V>(self + item * V);
        Pack<float, V> sums;
#pragma unroll
        for (int i = 0; i < V; ++i) {
            sums.at[i] = op.include_self ? to_float(selves.at[i]) : identity(op.reduction);
        }
        *reinterpret_cast<Pack<float, V>*>(work.sums + item * V) = sums;
        if (work.hits != nullptr) {
            *reinterpret_cast<Pack<int32_t, V>*>(work.hits + item * V) = {};
        }
    }
}

// V elements side by side along the last axis, which is not dim. As a rule they go to one place: an index of rows is
// given as one expanded along them.
template <class T, class I, int V>
__global__ void __launch_bounds__(kThreads) scatter_kernel(Layout layout, Reduction reduction, int64_t updates,
                                                           I const* index, T const* src, Workspace work) {
    T2T_STRIDED(item, updates / V) {
        Element const element = layout.element(uint32_t(item * V));
        auto const places = load_once<I, V>(index + item * V);
        auto const values = load_once<T, V>(src + element.src);
        bool together = V > 1 && (reduction == Reduction::Sum || reduction == Reduction::Mean);
#pragma unroll
        for (int i = 0; i < V; ++i) {
            together = together && places.at[i] == places.at[0];
        }
        if (together && places.at[0] >= 0 && places.at[0] < layout.size) {
            float numbers[V];
#pragma unroll
            for (int i = 0; i < V; ++i) {
                numbers[i] = to_float(values.at[i]);
            }
            int64_t const at = element.self + places.at[0] * layout.step;
            add_all<V>(work.sums + at, numbers);
#pragma unroll
            for (int i = 0; i < V; ++i) {
                count_hit(work, reduction, at + i);
            }
            continue;
        }
#pragma unroll
        for (int i = 0; i < V; ++i) {
            int64_t const place = places.at[i], at = element.self + i + place * layout.step;
            if (place >= 0 && place < layout.size) {
                atomic_combine(&work.sums[at], reduction, to_float(values.at[i]));
                count_hit(work, reduction, at);
            } else {
                int64_t const line = layout.line(element.self + i);
                atomicOr(&work.marks[1 + line / 32], int32_t(1u << line % 32));
                atomicOr(&work.marks[0], 1);
            }
        }
    }
}

template <class T, int V>
__global__ void finish_kernel(ScatterReduce op, Layout layout, int64_t count, T const* self, Workspace work,
                              T* output) {
    bool const marked = work.marks[0] != 0;
    if (sizeof(T) == sizeof(float) && work.hits == nullptr && !marked) {
        return;  // the sums are the result
    }
    T2T_STRIDED(item, count / V) {
        auto const sums = load_pack<float, V>(work.sums + item * V);
        Pack<T, V> results;
#pragma unroll
        for (int i = 0; i < V; ++i) {
            int64_t const at = item * V + i;
            float result = sums.at[i];
            if (work.hits != nullptr) {
                result = finished(op.reduction, op.include_self, to_float(self[at]), result, work.hits[at]);
            }
            if (marked) {
                int64_t const line = layout.line(at);
                result = uint32_t(work.marks[1 + line / 32]) >> line % 32 & 1u ? quiet_nan() : result;
            }
            results.at[i] = from_float<T>(result);
        }
        *reinterpret_cast<Pack<T, V>*>(output + item * V) = results;
    }
}

bool aligned_to(void const* pointer, size_t bytes) { return reinterpret_cast<uintptr_t>(pointer) % bytes == 0; }

// Whether kEach elements along the last axis lie side by side everywhere.
bool side_by_side(ScatterReduce const& op, ScatterReduceData const& data) {
    int32_t const last = op.rank - 1;
    return op.dim != last && op.self_shape[last] % kEach == 0 && op.index_shape[last] % kEach == 0 &&
           op.src_shape[last] % kEach == 0 && aligned_to(data.index, kEach * size_of(op.index_type)) &&
           aligned_to(data.src, kEach * size_of(op.dtype)) && aligned_to(data.output, kEach * size_of(op.dtype));
}

template <class T, class I>
void scatter(ScatterReduce const& op, ScatterReduceData const& data, Layout const& layout, Workspace const& work,
             Stream stream) {
    int64_t const updates = elements(op.index_shape, op.rank);
    bool const wide = side_by_side(op, data);
    auto const kernel = wide ? scatter_kernel<T, I, kEach> : scatter_kernel<T, I, 1>;
    kernel<<<grid_for(updates / (wide ? kEach : 1)), kThreads, 0, stream>>>(
        layout, op.reduction, updates, static_cast<I const*>(data.index), static_cast<T const*>(data.src), work);
}

template <class T>
void run(ScatterReduce const& op, ScatterReduceData const& data, Workspace const& work, Stream stream) {
    int64_t const count = elements(op.self_shape, op.rank);
    Layout const layout = layout_of(op);
    T const* self = static_cast<T const*>(data.self);
    T* output = static_cast<T*>(data.output);
    size_t const bytes = kEach * sizeof(T);
    bool const wide = count % kEach == 0 && aligned_to(self, bytes) && aligned_to(output, bytes);
    int64_t const items = count / (wide ? kEach : 1);
    auto const start = wide ? start_kernel<T, kEach> : start_kernel<T, 1>;
    start<<<grid_for(items), kThreads, 0, stream>>>(op, count, mark_words(op), self, work);
    if (elements(op.index_shape, op.rank) > 0) {
        with_index(op.index_type, [&](auto type) { scatter<T, decltype(type)>(op, data, layout, work, stream); });
    }
    auto const finish = wide ? finish_kernel<T, kEach> : finish_kernel<T, 1>;
    finish<<<std::min(grid_for(items), 2048u), kThreads, 0, stream>>>(op, layout, count, self, work, output);
}

}  // namespace

size_t scatter_reduce_workspace(ScatterReduce const& op) {
    return sums_bytes(op) + hits_bytes(op) + aligned(size_t(mark_words(op)) * sizeof(int32_t));
}

Error scatter_reduce_cuda(ScatterReduce const& op, ScatterReduceData const& data, void* workspace, Stream stream) {
    if (elements(op.self_shape, op.rank) == 0) {
        return nullptr;
    }
    if (elements(op.index_shape, op.rank) > INT32_MAX) {
        return "scatter_reduce takes 2^31 - 1 elements of index at most";
    }
    Workspace const work = workspace_of(op, data.output, workspace);
    with_type(op.dtype, [&](auto type) { run<decltype(type)>(op, data, work, stream); });
    return launch_error();
}

}  // namespace t2t
