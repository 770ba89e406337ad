#include "../common/dispatch.h"
#include "../common/launch.cuh"
#include "query.h"

namespace t2t {
namespace {

// A thread V channels of one (query, head): a head's row of 32 float16 channels is read by 4 neighbouring threads, 16
// bytes each, and a query's heads lie side by side.
template <class T, class I, int V>
__global__ void __launch_bounds__(kThreads) attention_kernel(MsDeformAttn op, T const* __restrict__ value,
                                                             I const* __restrict__ shapes, I const* __restrict__ starts,
                                                             T const* __restrict__ locations,
                                                             T const* __restrict__ weights, T* output) {
    int64_t const packs = op.channels / V, places = op.levels * op.points;
    T2T_STRIDED(index, op.batch * op.queries * op.heads * packs) {
        int64_t const item = quotient(index, packs), channel = (index - item * packs) * V;
        int64_t const query = quotient(item, op.heads), head = item - query * op.heads;
        int64_t const image = quotient(query, op.queries);
        T const* from = value + (image * op.length * op.heads + head) * op.channels + channel;
        int64_t const pitch = op.heads * op.channels;
        float sums[V] = {};
        for_rows(op, shapes, starts, locations + item * places * 2, weights + item * places,
                 [&](int32_t row, float weight) {
                     accumulate(sums, load_pack<T, V>(from + row * pitch), weight);
                 });
        Pack<T, V> result;
#pragma unroll
        for (int i = 0; i < V; ++i) {
            result.at[i] = from_float<T>(sums[i]);
        }
        *reinterpret_cast<Pack<T, V>*>(output + item * op.channels + channel) = result;
    }
}

template <class T, class I, int V>
void launch(MsDeformAttn const& op, MsDeformAttnData const& data, Stream stream) {
    attention_kernel<T, I, V><<<grid_for(op.results() / V), kThreads, 0, stream>>>(
        op, static_cast<T const*>(data.value), static_cast<I const*>(data.spatial_shapes),
        static_cast<I const*>(data.level_start_index), static_cast<T const*>(data.sampling_locations),
        static_cast<T const*>(data.attention_weights), static_cast<T*>(data.output));
}

}  // namespace

Error ms_deform_attn_cuda(MsDeformAttn const& op, MsDeformAttnData const& data, void*, Stream stream) {
    if (ms_deform_attn_items(op) == 0) {
        return nullptr;
    }
    with_type(op.dtype, [&](auto type) {
        using T = decltype(type);
        with_index(op.index_type, [&](auto index_type) {
            using I = decltype(index_type);
            bool const packed = op.channels % kPack<T> == 0 && reinterpret_cast<uintptr_t>(data.value) % 16 == 0 &&
                                reinterpret_cast<uintptr_t>(data.output) % 16 == 0;
            auto const run = packed ? launch<T, I, kPack<T>> : launch<T, I, 1>;
            run(op, data, stream);
        });
    });
    return launch_error();
}

}  // namespace t2t
