#include "../common/dispatch.h"
#include "../common/launch.cuh"
#include "point.h"

namespace t2t {
namespace {

// A thread finds the corners of a point once and reads `channels_each` channels there; y splits the channels.
template <class T>
__global__ void __launch_bounds__(kThreads) sample_kernel(GridSample3d op, int64_t channels_each, T const* input,
                                                          T const* grid, T* output) {
    int64_t const volume = op.depth * op.height * op.width;
    int64_t const per_image = op.out_depth * op.out_height * op.out_width;
    int64_t const first = blockIdx.y * channels_each;
    int64_t const last = first + channels_each < op.channels ? first + channels_each : op.channels;
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

}  // namespace

Error grid_sample_3d_cuda(GridSample3d const& op, void const* input, void const* grid, void* output, void*,
                          Stream stream) {
    if (grid_sample_3d_items(op) == 0) {
        return nullptr;
    }
    // Few points are split by channels until some 2^19 threads are busy.
    int64_t const wanted = std::max<int64_t>((int64_t(1) << 19) / op.points(), 1);
    int64_t const each = std::max<int64_t>({op.channels / wanted, (op.channels + 65534) / 65535, 1});
    dim3 const blocks(grid_for(op.points()), unsigned((op.channels + each - 1) / each));
    with_type(op.dtype, [&](auto type) {
        using T = decltype(type);
        sample_kernel<T><<<blocks, kThreads, 0, stream>>>(op, each, static_cast<T const*>(input),
                                                          static_cast<T const*>(grid), static_cast<T*>(output));
    });
    return launch_error();
}

}  // namespace t2t
