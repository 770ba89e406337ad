#include "../common/async.cuh"
#include "../common/dispatch.h"
#include "../common/ptx.cuh"
#include "point.h"

namespace t2t {
namespace {

constexpr int kBlocks = 4;  // of a multiprocessor at least: a thread has 64 registers

// N channels of S points side by side: all reads are on their way before the first is waited for.
template <class T, int S, int N, int kCorners>
__device__ __forceinline__ void sample_channels(Corners const (&corners)[S], T const* from, int64_t volume, T* to,
                                                int64_t per_image) {
    T read[S][kCorners][N];
#pragma unroll
    for (int s = 0; s < S; ++s) {
#pragma unroll
        for (int corner = 0; corner < kCorners; ++corner) {
#pragma unroll
            for (int i = 0; i < N; ++i) {
                read[s][corner][i] = load_at(from + i * volume, corners[s].at[corner]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < N; ++i) {
        Pack<T, S> result;
#pragma unroll
        for (int s = 0; s < S; ++s) {
            float sum = 0.0f;
#pragma unroll
            for (int corner = 0; corner < kCorners; ++corner) {
                sum = fmaf(corners[s].weight[corner], to_float(read[s][corner][i]), sum);
            }
            result.at[s] = from_float<T>(sum);
        }
        store_once(reinterpret_cast<Pack<T, S>*>(to + i * per_image), result);
    }
}

// A thread finds the corners of S points side by side once and reads `each` channels there, N at a time; y splits the
// channels, z is over images.
template <class T, int S, int N, Reading kReading>
__global__ void __launch_bounds__(kThreads, kBlocks)
    sample_kernel(GridSample3d op, int64_t each, T const* input, T const* grid, T* output) {
    int64_t const volume = op.depth * op.height * op.width;
    int64_t const per_image = op.out_depth * op.out_height * op.out_width;
    int64_t const place = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * S;
    if (place >= per_image) {
        return;
    }
    int64_t const first = blockIdx.y * each, last = first + each < op.channels ? first + each : op.channels;
    for (int64_t image = blockIdx.z; image < op.batch; image += gridDim.z) {
        Pack<T, S> xyz[3];
#pragma unroll
        for (int i = 0; i < 3; ++i) {
            xyz[i] = load_pack<T, S>(grid + (image * per_image + place) * 3 + i * S);
        }
        Corners corners[S];
#pragma unroll
        for (int s = 0; s < S; ++s) {
            auto const coordinate = [&](int i) { return to_float(xyz[i / S].at[i % S]); };
            corners[s] = corners_of(op, kReading, coordinate(3 * s), coordinate(3 * s + 1), coordinate(3 * s + 2));
        }
        T const* from = input + (image * op.channels + first) * volume;
        T* to = output + (image * op.channels + first) * per_image + place;
#pragma unroll 1
        for (int64_t channel = first; channel < last; channel += N, from += N * volume, to += N * per_image) {
            sample_channels<T, S, N, corners_in(kReading)>(corners, from, volume, to, per_image);
        }
    }
}

// (planes, volume) to (planes / V, volume, V), N neighbours by a thread.
template <class T, int V, int N>
__global__ void __launch_bounds__(kThreads) pack_kernel(uint32_t packs, uint32_t volume, T const* from,
                                                        Pack<T, V>* to) {
    wait_for_kernel_before();
    let_begin();
    uint32_t const runs = volume / N, item = blockIdx.x * kThreads + threadIdx.x;
    if (item >= packs * runs) {
        return;
    }
    uint32_t const pack = item / runs, at = (item - pack * runs) * N;
    T const* first = from + int64_t(pack) * V * volume + at;
    Pack<T, N> read[V];
#pragma unroll
    for (int i = 0; i < V; ++i) {
        read[i] = load_pack<T, N>(first + int64_t(i) * volume);
    }
#pragma unroll
    for (int n = 0; n < N; ++n) {
        Pack<T, V> result;
#pragma unroll
        for (int i = 0; i < V; ++i) {
            result.at[i] = read[i].at[n];
        }
        to[pack * volume + at + n] = result;
    }
}

// As sample_kernel, of one point and packs of V channels: neighbouring points, moved apart by the grid, read a few bytes
// here and there of every channel's volume, but V times as many of this one. `each` counts packs.
template <class T, int V, Reading kReading>
__global__ void __launch_bounds__(kThreads, kBlocks)
    sample_packs_kernel(GridSample3d op, int32_t each, Pack<T, V> const* input, T const* grid, T* output) {
    int64_t const volume = op.depth * op.height * op.width, image = blockIdx.z;
    int64_t const per_image = op.out_depth * op.out_height * op.out_width;
    uint32_t const place = blockIdx.x * kThreads + threadIdx.x;
    if (place >= per_image) {
        return;
    }
    T const* xyz = grid + (image * per_image + int64_t(place)) * 3;
    Corners const corners = corners_of(op, kReading, to_float(xyz[0]), to_float(xyz[1]), to_float(xyz[2]));
    wait_for_kernel_before();
    let_begin();
    int32_t const packs = int32_t(op.channels) / V, first = int32_t(blockIdx.y) * each;
    int32_t const left = packs - first < each ? packs - first : each;
    Pack<T, V> const* from = input + (image * packs + first) * volume;
    T* to = output + (image * packs + first) * V * per_image + place;
#pragma unroll 1
    for (int32_t pack = 0; pack < left; ++pack, from += volume) {
        Pack<T, V> read[8];
#pragma unroll
        for (int corner = 0; corner < 8; ++corner) {
            read[corner] = load_at(from, corners.at[corner]);
        }
        float sums[V] = {};
#pragma unroll
        for (int corner = 0; corner < 8; ++corner) {
            accumulate(sums, read[corner], corners.weight[corner]);
        }
#pragma unroll
        for (int i = 0; i < V; ++i, to += per_image) {
            store_once(to, from_float<T>(sums[i]));
        }
    }
}

// How many channels go into a pack; 0: they are read as they lie. In float32 packs are worth their making where points
// come as a list: neighbours in it may lie anywhere, while those of a volume mostly read from the same lines.
int pack_of(GridSample3d const& op) {
    bool const single = op.dtype == DType::Float32, list = op.out_depth == 1 && op.out_height == 1;
    if (op.interpolation != Interpolation::Linear || (single && !list)) {
        return 0;
    }
    return op.channels % 8 == 0 && !single ? 8 : op.channels % 4 == 0 ? 4 : 0;
}

// Whether so many points are read that making packs is worth it, and the packs' kernels can number them.
bool many(GridSample3d const& op) {
    int64_t const volume = op.depth * op.height * op.width, per_image = op.out_depth * op.out_height * op.out_width;
    return per_image >= volume / 4 && per_image <= INT32_MAX && op.batch <= 65535 &&
           op.batch * op.channels <= INT32_MAX / volume * 4;
}

// A grid for S points a thread, by `units` and images, and how many units a thread has: few points are split until some
// 2^17 threads are busy.
template <int S>
dim3 blocks_of(GridSample3d const& op, int64_t units, int64_t& each) {
    int64_t const per_image = op.out_depth * op.out_height * op.out_width;
    int64_t const wanted = std::max<int64_t>((int64_t(1) << 17) / op.points(), 1);
    each = std::max<int64_t>({units / wanted, (units + 65534) / 65535, 1});
    return dim3(unsigned(blocks_for(per_image / S)), unsigned((units + each - 1) / each),
                unsigned(std::min<int64_t>(op.batch, 65535)));
}

template <class T, int V>
Error run_packs(GridSample3d const& op, T const* input, T const* grid, T* output, void* workspace, Stream stream) {
    auto* const packed = static_cast<Pack<T, V>*>(workspace);
    uint32_t const packs = uint32_t(op.batch * op.channels / V), volume = uint32_t(op.depth * op.height * op.width);
    // Two neighbours at once are faster where a pack is 8 bytes, and slower where it is 16.
    bool const pairs = V == 4 && volume % 2 == 0 && reinterpret_cast<uintptr_t>(input) % sizeof(Pack<T, 2>) == 0;
    auto const pack = pairs ? pack_kernel<T, V, 2> : pack_kernel<T, V, 1>;
    dim3 const items(unsigned(blocks_for(int64_t(packs) * volume / (pairs ? 2 : 1))));
    if (Error const error = launch_early<false>(pack, items, kThreads, stream, packs, volume, input, packed)) {
        return error;
    }
    int64_t each;
    dim3 const blocks = blocks_of<1>(op, op.channels / V, each);
    auto const sample = reading_of(op) == Reading::Linear ? sample_packs_kernel<T, V, Reading::Linear>
                                                          : sample_packs_kernel<T, V, Reading::Reflected>;
    Pack<T, V> const* const from = packed;
    return launch_early<true>(sample, blocks, kThreads, stream, op, int32_t(each), from, grid, output);
}

template <class T, int S, int N>
Error run_channels(GridSample3d const& op, T const* input, T const* grid, T* output, Stream stream) {
    int64_t each;
    dim3 const blocks = blocks_of<S>(op, op.channels / N, each);
    Reading const reading = reading_of(op);
    auto const sample = reading == Reading::Linear      ? sample_kernel<T, S, N, Reading::Linear>
                        : reading == Reading::Reflected ? sample_kernel<T, S, N, Reading::Reflected>
                                                        : sample_kernel<T, S, N, Reading::Nearest>;
    sample<<<blocks, kThreads, 0, stream>>>(op, each * N, input, grid, output);
    return launch_error();
}

// Whether points can be read, and results written, two at a time, and so many that half as many threads are enough.
template <class T>
bool in_pairs(GridSample3d const& op, T const* grid, T const* output) {
    uintptr_t const places = reinterpret_cast<uintptr_t>(grid) | reinterpret_cast<uintptr_t>(output);
    int64_t const per_image = op.out_depth * op.out_height * op.out_width;
    int64_t const enough = int64_t(device_attribute(cudaDevAttrMultiProcessorCount)) * kBlocks * kThreads;
    return places % sizeof(Pack<T, 2>) == 0 && per_image % 2 == 0 && op.points() >= enough;
}

template <class T>
Error run(GridSample3d const& op, T const* input, T const* grid, T* output, void* workspace, Stream stream) {
    int const pack = many(op) ? pack_of(op) : 0;
    if (pack == 4) {
        return run_packs<T, 4>(op, input, grid, output, workspace, stream);
    }
    if constexpr (sizeof(T) == 2) {
        if (pack == 8) {
            return run_packs<T, 8>(op, input, grid, output, workspace, stream);
        }
    } else if (op.channels % 4 == 0) {
        return run_channels<T, 1, 4>(op, input, grid, output, stream);
    }
    return in_pairs(op, grid, output) ? run_channels<T, 2, 1>(op, input, grid, output, stream)
                                      : run_channels<T, 1, 1>(op, input, grid, output, stream);
}

}  // namespace

// A plugin asks for its largest sizes once: with fewer channels, or as a list of points, there may be packs.
size_t grid_sample_3d_workspace(GridSample3d const& op) {
    int64_t const numbers = op.batch * op.channels * op.depth * op.height * op.width;
    bool const may_pack = op.interpolation == Interpolation::Linear && op.channels >= 4;
    return may_pack ? aligned(size_t(numbers) * size_of(op.dtype)) : 0;
}

Error grid_sample_3d_cuda(GridSample3d const& op, void const* input, void const* grid, void* output, void* workspace,
                          Stream stream) {
    if (grid_sample_3d_items(op) == 0) {
        return nullptr;
    }
    return with_type(op.dtype, [&](auto type) {
        using T = decltype(type);
        return run(op, static_cast<T const*>(input), static_cast<T const*>(grid), static_cast<T*>(output), workspace,
                   stream);
    });
}

}  // namespace t2t
