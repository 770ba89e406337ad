#include "../common/dispatch.h"
#include "../common/ptx.cuh"
#include "query.h"

namespace t2t {
namespace {

constexpr int kHeld = 1088;     // places that a block holds: 16 of 64 rows, and one of each to spare
constexpr int kMostPacks = 32;  // of a head in a block
constexpr int kLine = 8;        // packs that a line of the cache holds
constexpr int kAhead = 4;       // rows whose places a thread reads at a time

// How the work lies in blocks: of one image some queries, and some heads or some of the packs of V channels of one. A
// row is a query and a head. Queries that follow one another mostly read the same surroundings, which the cache then
// holds for those heads; lines of it are read whole, so that threads that read at once use all of the cache's banks.
struct Layout {
    int64_t ranges;      // of queries
    int64_t groups;      // of heads
    int32_t parts;       // of packs
    int32_t packs;       // in a block, of a head
    int32_t head_shift;  // the logarithm of the heads in a block
    int32_t queries;     // in a block
    int32_t held;        // places that a block holds of a row at a time
    int32_t pitch;       // from one row's to the next one's: odd, so that no two lie in the same bank
};

Layout layout_of(MsDeformAttn const& op, int vector, int split) {
    Layout layout{};
    int32_t const packs = int32_t(op.channels) / vector;
    while ((packs << layout.head_shift) * 2 <= kLine && (1 << layout.head_shift) < op.heads) {
        ++layout.head_shift;
    }
    layout.packs = std::min(packs, kMostPacks);
    layout.queries = kThreads / split / (layout.packs << layout.head_shift);
    layout.ranges = blocks_for(op.queries, layout.queries);
    layout.groups = blocks_for(op.heads, 1 << layout.head_shift);
    layout.parts = int32_t(blocks_for(packs, kMostPacks));
    int32_t const most = (kHeld / (layout.queries << layout.head_shift) - 1) | 1;
    layout.held = int32_t(std::min<int64_t>(op.levels * op.points, std::min(most, kThreads)));
    layout.pitch = layout.held | 1;
    return layout;
}

// A block's rows: the heads of a query, then those of the next one.
struct Rows {
    int64_t first;  // among all queries' heads
    int32_t number, heads_left, all_heads, head_shift;

    __device__ __forceinline__ int32_t head(int32_t row) const { return row & ((1 << head_shift) - 1); }
    __device__ __forceinline__ bool has(int32_t row) const { return row < number && head(row) < heads_left; }

    // Where a row's numbers begin in a tensor that has `width` of each.
    template <class T>
    __device__ __forceinline__ T* at(T* tensor, int32_t width, int32_t row) const {
        int32_t const pitch = width * int32_t(sizeof(T));
        return row_at(row_at(tensor + first * width, row >> head_shift, all_heads * pitch), head(row), pitch);
    }
};

// What the corners of a place weigh: half precisions are weighed in their own type, two numbers at once.
template <class T, int V>
using Share = std::conditional_t<sizeof(T) == 2 && V != 1, uint32_t, float>;

template <class T, int V>
__device__ __forceinline__ Share<T, V> share_of(float weight) {
    if constexpr (std::is_same_v<Share<T, V>, uint32_t>) {
        return pair_of<T>(weight, weight);
    } else {
        return weight;
    }
}

// What a block holds of its rows' places.
template <class T, int V>
struct Held {
    Pack<int32_t, 4> corners[kHeld];  // rows of value
    Pack<Share<T, V>, 4> shares[kHeld];
};

// The places from `begin` on. A thread has the same one of all its rows.
template <class T, class I, int V>
__device__ __forceinline__ void hold(Held<T, V>& held, MsDeformAttn const& op, Layout const& layout, Rows const& rows,
                                     I const* __restrict__ shapes, I const* __restrict__ starts,
                                     T const* __restrict__ locations, T const* __restrict__ weights, int32_t begin,
                                     int32_t count) {
    int32_t const step = kThreads / count, first = int32_t(threadIdx.x) / count;
    int32_t const within = int32_t(threadIdx.x) - first * count, place = begin + within;
    int32_t const places = int32_t(op.levels * op.points);
    if (first >= step) {
        return;
    }
    Level const level = level_of(op, shapes, starts, uint32_t(place) / uint32_t(op.points));
    for (int32_t next = first; next < rows.number; next += kAhead * step) {
        T x[kAhead], y[kAhead], weight[kAhead];
#pragma unroll
        for (int i = 0; i < kAhead; ++i) {
            int32_t const row = next + i * step;
            if (rows.has(row)) {
                T const* location = rows.at(locations + 2 * place, 2 * places, row);
                x[i] = location[0];
                y[i] = location[1];
                weight[i] = *rows.at(weights + place, places, row);
            }
        }
#pragma unroll
        for (int i = 0; i < kAhead; ++i) {
            int32_t const row = next + i * step;
            if (rows.has(row)) {
                Reads const reads = reads_of(op, level, to_float(x[i]), to_float(y[i]), to_float(weight[i]));
                Pack<int32_t, 4> corners;
                Pack<Share<T, V>, 4> shares;
#pragma unroll
                for (int corner = 0; corner < 4; ++corner) {
                    corners.at[corner] = reads.rows[corner];
                    shares.at[corner] = share_of<T, V>(reads.weights[corner]);
                }
                held.corners[row * layout.pitch + within] = corners;
                held.shares[row * layout.pitch + within] = shares;
            }
        }
    }
}

template <class T, int V>
__device__ __forceinline__ Pack<T, V> load_corner(T const* from, int32_t row, int32_t pitch) {
    if constexpr (V != 1) {
        return load_row<Pack<T, V>>(from, row, pitch);
    } else {
        return row >= 0 ? load_pack<T, V>(row_at(from, row, pitch)) : Pack<T, V>{};
    }
}

// sums[i] += the sum of shares[corner] * corners[corner][i]
template <class T, int V>
__device__ __forceinline__ void add_place(float (&sums)[V], Pack<T, V> const (&corners)[4],
                                          Pack<Share<T, V>, 4> const& shares) {
    if constexpr (std::is_same_v<Share<T, V>, float>) {
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) {
            accumulate(sums, corners[corner], shares.at[corner]);
        }
    } else {
        Words total{};
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) {
            add_weighed<T>(total, reinterpret_cast<Words const&>(corners[corner]), shares.at[corner]);
        }
        accumulate(sums, reinterpret_cast<Pack<T, V> const&>(total), 1.0f);
    }
}

// Where a block's places lie and what their corners weigh is worked out once, for all packs. kSplit threads that follow
// one another share the places of a pack of a row, and add up in the end.
template <class T, class I, int V, int kSplit>
__global__ void __launch_bounds__(kThreads, 4)
    attention_kernel(MsDeformAttn op, Layout layout, T const* __restrict__ value, I const* __restrict__ shapes,
                     I const* __restrict__ starts, T const* __restrict__ locations, T const* __restrict__ weights,
                     T* output) {
    __shared__ Held<T, V> held;
    // Of 32 bits, as ms_deform_attn_check has them.
    int32_t const places = int32_t(op.levels * op.points), channels = int32_t(op.channels);
    int32_t const pitch = int32_t(op.heads) * channels * int32_t(sizeof(T));
    int32_t const part = int32_t(threadIdx.x) % kSplit, column = int32_t(threadIdx.x) / kSplit;
    int32_t const row = column / layout.packs;
    int64_t const of_image = layout.groups * layout.parts;
    for (int64_t block = blockIdx.y; block < op.batch * of_image; block += gridDim.y) {
        int64_t const image = quotient(block, of_image);
        int32_t const within = int32_t(block - image * of_image), group = within / layout.parts;
        int32_t const first_head = group << layout.head_shift;
        int32_t const channel = ((within - group * layout.parts) * kMostPacks + column - row * layout.packs) * V;
        for (int64_t range = blockIdx.x; range < layout.ranges; range += gridDim.x) {
            int64_t const query = range * layout.queries, left = op.queries - query;
            Rows const rows{(image * op.queries + query) * op.heads + first_head,
                            int32_t(left < layout.queries ? left : layout.queries) << layout.head_shift,
                            int32_t(op.heads) - first_head, int32_t(op.heads), layout.head_shift};
            bool const works = rows.has(row) && channel < channels;
            T const* from = value + (image * op.length * op.heads + first_head + rows.head(row)) * channels + channel;
            float sums[V] = {};
            for (int32_t begin = 0; begin < places; begin += layout.held) {
                int32_t const count = places - begin < layout.held ? places - begin : layout.held;
                __syncthreads();
                hold(held, op, layout, rows, shapes, starts, locations, weights, begin, count);
                __syncthreads();
                if (works) {
#pragma unroll 2
                    for (int32_t place = part; place < count; place += kSplit) {
                        int32_t const entry = row * layout.pitch + place;
                        auto const there = held.corners[entry];
                        Pack<T, V> corners[4];
#pragma unroll
                        for (int corner = 0; corner < 4; ++corner) {
                            corners[corner] = load_corner<T, V>(from, there.at[corner], pitch);
                        }
                        add_place<T, V>(sums, corners, held.shares[entry]);
                    }
                }
            }
            Pack<T, V> result;
#pragma unroll
            for (int i = 0; i < V; ++i) {
#pragma unroll
                for (int other = 1; other < kSplit; other *= 2) {
                    sums[i] += __shfl_xor_sync(0xFFFFFFFFu, sums[i], other);
                }
                result.at[i] = from_float<T>(sums[i]);
            }
            if (works && part == 0) {
                *reinterpret_cast<Pack<T, V>*>(rows.at(output, channels, row) + channel) = result;
            }
        }
    }
}

template <class T, class I, int V, int kSplit>
void launch(MsDeformAttn const& op, MsDeformAttnData const& data, Stream stream) {
    Layout const layout = layout_of(op, V, kSplit);
    dim3 const grid(unsigned(std::min<int64_t>(layout.ranges, INT32_MAX)),
                    unsigned(std::min<int64_t>(op.batch * layout.groups * layout.parts, 65535)));
    attention_kernel<T, I, V, kSplit><<<grid, kThreads, 0, stream>>>(
        op, layout, static_cast<T const*>(data.value), static_cast<I const*>(data.spatial_shapes),
        static_cast<I const*>(data.level_start_index), static_cast<T const*>(data.sampling_locations),
        static_cast<T const*>(data.attention_weights), static_cast<T*>(data.output));
}

// Few queries leave most of a device idle: then four threads share a pack's places.
template <class T, class I, int V>
void launch(MsDeformAttn const& op, MsDeformAttnData const& data, Stream stream) {
    bool const few = op.results() / V < int64_t(device_attribute(cudaDevAttrMultiProcessorCount)) * 512;
    few ? launch<T, I, V, 4>(op, data, stream) : launch<T, I, V, 1>(op, data, stream);
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
