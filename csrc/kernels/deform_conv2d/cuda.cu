#include "../common/dispatch.h"
#include "../common/transpose.cuh"
#include "direct.cuh"
#include "tile.cuh"

namespace t2t {
namespace {

// Whether the channels come in packs that lie side by side.
bool packs(DeformConv2d const& op) {
    int64_t const vector = 16 / int64_t(size_of(op.dtype)), span = shared_span(op);
    return span > 0 && span % vector == 0;
}

// Whether the tiles' grid and their 32-bit numbers suffice.
bool tiles(DeformConv2d const& op) {
    return packs(op) && op.groups <= 65535 && op.out_channels / op.groups <= 64 * 65535 &&
           op.batch * op.out_height() * op.out_width() <= INT32_MAX;
}

size_t input_bytes(DeformConv2d const& op) {
    return op.channels_last ? 0 : aligned(size_t(op.batch * op.channels * op.height * op.width) * size_of(op.dtype));
}

size_t weight_bytes(DeformConv2d const& op) {
    return aligned(size_t(op.out_channels * (op.channels / op.groups) * op.taps()) * size_of(op.dtype));
}

// Blocks of many output channels sample least; with fewer blocks than a device has processors, smaller ones are
// faster.
template <class T>
Error launch_best(TileArguments<T> const& arguments, Stream stream) {
    auto const& op = arguments.op;
    int device = 0, processors = 1;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
    int64_t const along = blocks_for(op.batch * op.out_height() * op.out_width(), kPlaces) * op.groups;
    auto const enough = [&](int64_t out) {
        return arguments.out_each > out / 2 && along * blocks_for(arguments.out_each, out) >= processors;
    };
    if constexpr (sizeof(T) == 2) {
        if (enough(256)) {
            return launch_tile<T, 256>(arguments, stream);
        }
    }
    return enough(128) ? launch_tile<T, 128>(arguments, stream) : launch_tile<T, 64>(arguments, stream);
}

template <class T>
Error run_tiles(DeformConv2d const& op, DeformConv2dData const& data, char* workspace, Stream stream) {
    T const* input = static_cast<T const*>(data.input);
    if (!op.channels_last) {
        transpose(input, reinterpret_cast<T*>(workspace), op.batch, op.channels, op.height * op.width, stream);
        input = reinterpret_cast<T const*>(workspace);
    }
    T* weight = reinterpret_cast<T*>(workspace + input_bytes(op));
    int64_t const each = op.channels / op.groups;
    transpose(static_cast<T const*>(data.weight), weight, op.out_channels, each, op.taps(), stream);
    TileArguments<T> const arguments{op,
                                     input,
                                     weight,
                                     static_cast<T const*>(data.offset),
                                     static_cast<T const*>(data.mask),
                                     static_cast<T const*>(data.bias),
                                     static_cast<T*>(data.output),
                                     each,
                                     op.out_channels / op.groups,
                                     shared_span(op)};
    return launch_best(arguments, stream);
}

}  // namespace

// Of channels alone, so that it grows with every size: a plugin asks for its largest sizes once.
size_t deform_conv2d_workspace(DeformConv2d const& op) { return packs(op) ? input_bytes(op) + weight_bytes(op) : 0; }

Error deform_conv2d_cuda(DeformConv2d const& op, DeformConv2dData const& data, void* workspace, Stream stream) {
    if (deform_conv2d_items(op) == 0) {
        return nullptr;
    }
    bool const usable = tiles(op) && reinterpret_cast<uintptr_t>(data.input) % 16 == 0;
    return with_type(op.dtype, [&](auto type) -> Error {
        using T = decltype(type);
        if (usable) {
            return run_tiles<T>(op, data, static_cast<char*>(workspace), stream);
        }
        launch_direct<T>(op, data, stream);
        return launch_error();
    });
}

}  // namespace t2t
