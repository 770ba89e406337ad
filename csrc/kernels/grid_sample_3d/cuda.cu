#include "../common/dispatch.h"
#include "../common/ptx.cuh"
#include "point.h"

namespace t2t {
namespace {

// Which point of which image a thread has, and what it reads there.
template <class T>
struct Point {
    Corners corners;
    int64_t image, place;

    __device__ __forceinline__ Point(GridSample3d const& op, T const* grid, int64_t number) {
        int64_t const per_image = op.out_depth * op.out_height * op.out_width;
        T const* xyz = grid + number * 3;
        corners = corners_of(op, to_float(xyz[0]), to_float(xyz[1]), to_float(xyz[2]));
        image = quotient(number, per_image);
        place = number - image * per_image;
    }
};

// N channels of a point: all reads are on their way before the first is waited for.
template <class T, int N>
__device__ __forceinline__ void sample_channels(Corners const& corners, T const* from, int64_t volume, T* to,
                                                int64_t per_image) {
    T read[N][8];
#pragma unroll
    for (int i = 0; i < N; ++i) {
#pragma unroll
        for (int corner = 0; corner < 8; ++corner) {
            read[i][corner] = T{};
            if (corner < corners.count && corners.at[corner] >= 0) {
                read[i][corner] = from[i * volume + corners.at[corner]];
            }
        }
    }
#pragma unroll
    for (int i = 0; i < N; ++i) {
        float sum = 0.0f;
#pragma unroll
        for (int corner = 0; corner < 8; ++corner) {
            if (corner < corners.count && corners.at[corner] >= 0) {
                sum += to_float(read[i][corner]) * corners.weight[corner];
            }
        }
        store_once(to + i * per_image, from_float<T>(sum));
    }
}

// A thread finds the corners of a point once and reads `each` channels there; y splits the channels.
template <class T>
__global__ void __launch_bounds__(kThreads) sample_kernel(GridSample3d op, int64_t each, T const* input, T const* grid,
                                                          T* output) {
    constexpr int kAtOnce = sizeof(T) == 4 ? 2 : 4;  // the faster of 2 and 4 on an H200
    int64_t const volume = op.depth * op.height * op.width;
    int64_t const per_image = op.out_depth * op.out_height * op.out_width;
    int64_t const first = blockIdx.y * each, left = op.channels - first < each ? op.channels - first : each;
    T2T_STRIDED(number, op.points()) {
        Point<T> const point(op, grid, number);
        T const* from = input + (point.image * op.channels + first) * volume;
        T* to = output + (point.image * op.channels + first) * per_image + point.place;
        int64_t channel = 0;
        for (; channel + kAtOnce <= left; channel += kAtOnce, from += kAtOnce * volume, to += kAtOnce * per_image) {
            sample_channels<T, kAtOnce>(point.corners, from, volume, to, per_image);
        }
        for (; channel < left; ++channel, from += volume, to += per_image) {
            sample_channels<T, 1>(point.corners, from, volume, to, per_image);
        }
    }
}

// (planes, volume) to (planes / V, volume, V).
template <class T, int V>
__global__ void __launch_bounds__(kThreads) pack_kernel(int64_t packs, int64_t volume, T const* from, Pack<T, V>* to) {
    T2T_STRIDED(item, packs * volume) {
        int64_t const pack = quotient(item, volume);
        T const* first = from + pack * V * volume + (item - pack * volume);
        Pack<T, V> result;
#pragma unroll
        for (int i = 0; i < V; ++i) {
            result.at[i] = first[i * volume];
        }
        to[item] = result;
    }
}

// As sample_kernel, of packs of V channels: neighbouring points, moved apart by the grid, read a few bytes here and
// there of every channel's volume, but V times as many of this one. `each` counts packs.
template <class T, int V>
__global__ void __launch_bounds__(kThreads) sample_packs_kernel(GridSample3d op, int64_t each, Pack<T, V> const* input,
                                                                T const* grid, T* output) {
    int64_t const volume = op.depth * op.height * op.width, packs = op.channels / V;
    int64_t const per_image = op.out_depth * op.out_height * op.out_width;
    int64_t const first = blockIdx.y * each, left = packs - first < each ? packs - first : each;
    T2T_STRIDED(number, op.points()) {
        Point<T> const point(op, grid, number);
        Pack<T, V> const* from = input + (point.image * packs + first) * volume;
        T* to = output + (point.image * packs + first) * V * per_image + point.place;
        for (int64_t pack = 0; pack < left; ++pack, from += volume) {
            Pack<T, V> read[8];
#pragma unroll
            for (int corner = 0; corner < 8; ++corner) {
                int32_t const at = point.corners.at[corner];
                read[corner] = load_if<Pack<T, V>>(at >= 0, from + at);
            }
            float sums[V] = {};
#pragma unroll
            for (int corner = 0; corner < 8; ++corner) {
                accumulate(sums, read[corner], point.corners.weight[corner]);
            }
#pragma unroll
            for (int i = 0; i < V; ++i, to += per_image) {
                store_once(to, from_float<T>(sums[i]));
            }
        }
    }
}

// How many channels go into a pack; 0: they are read as they lie. Packs of float32 are not worth their making.
int pack_of(GridSample3d const& op) {
    if (op.interpolation != Interpolation::Linear || op.dtype == DType::Float32) {
        return 0;
    }
    return op.channels % 8 == 0 ? 8 : op.channels % 4 == 0 ? 4 : 0;
}

// Whether so many points are read that making packs is worth it.
bool many(GridSample3d const& op) {
    return op.out_depth * op.out_height * op.out_width >= op.depth * op.height * op.width / 4;
}

// A grid for all points by `units`, and how many of these a thread has: few points are split until some 2^17 threads
// are busy.
dim3 blocks_of(GridSample3d const& op, int64_t units, int64_t& each) {
    int64_t const wanted = std::max<int64_t>((int64_t(1) << 17) / op.points(), 1);
    each = std::max<int64_t>({units / wanted, (units + 65534) / 65535, 1});
    return dim3(grid_for(op.points()), unsigned((units + each - 1) / each));
}

template <class T, int V>
void run_packs(GridSample3d const& op, T const* input, T const* grid, T* output, void* workspace, Stream stream) {
    auto* const packed = static_cast<Pack<T, V>*>(workspace);
    int64_t const packs = op.batch * op.channels / V, volume = op.depth * op.height * op.width;
    pack_kernel<T, V><<<grid_for(packs * volume), kThreads, 0, stream>>>(packs, volume, input, packed);
    int64_t each;
    dim3 const blocks = blocks_of(op, op.channels / V, each);
    sample_packs_kernel<T, V><<<blocks, kThreads, 0, stream>>>(op, each, packed, grid, output);
}

template <class T>
void run(GridSample3d const& op, T const* input, T const* grid, T* output, void* workspace, Stream stream) {
    if constexpr (sizeof(T) == 2) {
        int const pack = many(op) ? pack_of(op) : 0;
        if (pack > 0) {
            (pack == 8 ? run_packs<T, 8> : run_packs<T, 4>)(op, input, grid, output, workspace, stream);
            return;
        }
    }
    int64_t each;
    dim3 const blocks = blocks_of(op, op.channels, each);
    sample_kernel<T><<<blocks, kThreads, 0, stream>>>(op, each, input, grid, output);
}

}  // namespace

size_t grid_sample_3d_workspace(GridSample3d const& op) {
    int64_t const numbers = op.batch * op.channels * op.depth * op.height * op.width;
    return pack_of(op) > 0 ? aligned(size_t(numbers) * size_of(op.dtype)) : 0;
}

Error grid_sample_3d_cuda(GridSample3d const& op, void const* input, void const* grid, void* output, void* workspace,
                          Stream stream) {
    if (grid_sample_3d_items(op) == 0) {
        return nullptr;
    }
    with_type(op.dtype, [&](auto type) {
        using T = decltype(type);
        run(op, static_cast<T const*>(input), static_cast<T const*>(grid), static_cast<T*>(output), workspace,
            stream);
    });
    return launch_error();
}

}  // namespace t2t
