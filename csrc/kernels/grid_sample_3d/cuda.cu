#include "../common/dispatch.h"
#include "../common/ptx.cuh"
#include "../common/transpose.cuh"
#include "point.h"

namespace t2t {
namespace {

// A thread finds the corners of a point once and reads `each` channels there; y splits the channels.
template <class T>
__global__ void __launch_bounds__(kThreads) sample_kernel(GridSample3d op, int64_t each, T const* input, T const* grid,
                                                          T* output) {
    int64_t const volume = op.depth * op.height * op.width;
    int64_t const per_image = op.out_depth * op.out_height * op.out_width;
    int64_t const first = blockIdx.y * each;
    int64_t const last = first + each < op.channels ? first + each : op.channels;
    T2T_STRIDED(point, op.points()) {
        T const* xyz = grid + point * 3;
        Corners const corners = corners_of(op, to_float(xyz[0]), to_float(xyz[1]), to_float(xyz[2]));
        int64_t const image = quotient(point, per_image), place = point - image * per_image;
        T const* from = input + (image * op.channels + first) * volume;
        T* to = output + (image * op.channels + first) * per_image + place;
#pragma unroll 2
        for (int64_t channel = first; channel < last; ++channel, from += volume, to += per_image) {
            *to = sampled(corners, from);
        }
    }
}

// The same of an input whose channels lie last, V of them at a time: neighbouring points, moved apart by the grid, read
// a few bytes here and there of every channel's volume, but whole packs of this one.
template <class T, int V>
__global__ void __launch_bounds__(kThreads) sample_packs_kernel(GridSample3d op, int64_t each, T const* input,
                                                                T const* grid, T* output) {
    int64_t const volume = op.depth * op.height * op.width;
    int64_t const per_image = op.out_depth * op.out_height * op.out_width;
    int64_t const first = blockIdx.y * each;
    int64_t const last = first + each < op.channels ? first + each : op.channels;
    T2T_STRIDED(point, op.points()) {
        T const* xyz = grid + point * 3;
        Corners const corners = corners_of(op, to_float(xyz[0]), to_float(xyz[1]), to_float(xyz[2]));
        int64_t const image = quotient(point, per_image), place = point - image * per_image;
        T const* from = input + image * volume * op.channels;
        T* to = output + (image * op.channels + first) * per_image + place;
        for (int64_t channel = first; channel < last; channel += V) {
            Pack<T, V> packs[8];
#pragma unroll
            for (int corner = 0; corner < 8; ++corner) {
                int32_t const at = corners.at[corner];
                packs[corner] = load_if<Pack<T, V>>(at >= 0, from + at * op.channels + channel);
            }
            float sums[V] = {};
#pragma unroll
            for (int corner = 0; corner < 8; ++corner) {
                accumulate(sums, packs[corner], corners.weight[corner]);
            }
#pragma unroll
            for (int i = 0; i < V; ++i, to += per_image) {
                *to = from_float<T>(sums[i]);
            }
        }
    }
}

// How many channels go into a pack; 0: those of the input as it lies are read.
int pack_of(GridSample3d const& op) {
    int const widest = 16 / int(size_of(op.dtype));
    if (op.interpolation != Interpolation::Linear) {
        return 0;
    }
    return op.channels % widest == 0 ? widest : op.channels % 4 == 0 ? 4 : 0;
}

// Whether so many points are read that bringing the channels last is worth it.
bool many(GridSample3d const& op) { return op.out_depth * op.out_height * op.out_width >= op.depth * op.height * op.width / 4; }

template <class T, int V>
void run_packs(GridSample3d const& op, dim3 blocks, int64_t each, T const* input, T const* grid, T* output, T* last,
               Stream stream) {
    transpose(input, last, op.batch, op.channels, op.depth * op.height * op.width, stream);
    sample_packs_kernel<T, V><<<blocks, kThreads, 0, stream>>>(op, each, last, grid, output);
}

template <class T>
void run(GridSample3d const& op, T const* input, T const* grid, T* output, T* last, Stream stream) {
    // Few points are split by channels until some 2^19 threads are busy.
    int const pack = many(op) ? pack_of(op) : 0;
    int64_t const unit = std::max(pack, 1), wanted = std::max<int64_t>((int64_t(1) << 19) / op.points(), 1);
    int64_t const units = op.channels / unit;
    int64_t const each = unit * std::max<int64_t>({units / wanted, (units + 65534) / 65535, 1});
    dim3 const blocks(grid_for(op.points()), unsigned((op.channels + each - 1) / each));
    if (pack == kPack<T>) {
        run_packs<T, kPack<T>>(op, blocks, each, input, grid, output, last, stream);
    } else if (pack == 4) {
        run_packs<T, 4>(op, blocks, each, input, grid, output, last, stream);
    } else {
        sample_kernel<T><<<blocks, kThreads, 0, stream>>>(op, each, input, grid, output);
    }
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
        run(op, static_cast<T const*>(input), static_cast<T const*>(grid), static_cast<T*>(output),
            static_cast<T*>(workspace), stream);
    });
    return launch_error();
}

}  // namespace t2t
