#include "../common/dispatch.h"
#include "../common/transpose.cuh"
#include "direct.cuh"
#include "prepare.cuh"
#include "tensor.cuh"
#include "tile.cuh"
#include "warpgroup.cuh"

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
           op.batch * op.out_height() * op.out_width() <= INT32_MAX &&
           op.batch * op.height * op.width <= INT32_MAX / op.channels;
}

// The output channels of a block: of tensor.cuh, of warpgroup.cuh.
int64_t out_tile(DeformConv2d const& op) { return op.out_channels / op.groups > 64 ? 128 : 64; }

int64_t warpgroup_out_tile(DeformConv2d const& op) { return op.out_channels / op.groups > 128 ? 256 : out_tile(op); }

size_t input_bytes(DeformConv2d const& op) {
    return op.channels_last ? 0 : aligned(size_t(op.batch * op.channels * op.height * op.width) * size_of(op.dtype));
}

template <class T>
Arrange<T> arranged(DeformConv2d const& op, T const* from, T* to, int32_t steps_a_stage, int64_t tile, Order order) {
    return {from, to, walk_of(op, steps_a_stage), op.groups, op.out_channels / op.groups, tile, order};
}

size_t weight_bytes(DeformConv2d const& op) {
    if (op.dtype == DType::Float32) {
        return aligned(size_t(op.out_channels * (op.channels / op.groups) * op.taps()) * sizeof(float));
    }
    auto const numbers = [&](int32_t steps_a_stage, int64_t tile) {
        return arranged<Half>(op, nullptr, nullptr, steps_a_stage, tile, Order::Channels).numbers();
    };
    int64_t const either = numbers(4, out_tile(op)), other = numbers(1, warpgroup_out_tile(op));  // 4: the most
    return aligned(size_t(std::max(either, other)) * sizeof(Half));
}

// The number of groups that a block's warps are split into. Each doubling halves a block's places, and its time: what
// counts is how full the last round of blocks is. Of equals the smallest reads the weights least often.
int best_split(DeformConv2d const& op) {
    int64_t const others = op.groups * blocks_for(op.out_channels / op.groups, out_tile(op));
    int64_t const places = op.batch * op.out_height() * op.out_width();
    int64_t const processors = device_attribute(cudaDevAttrMultiProcessorCount);
    int64_t const shared = device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
    bool const fits = shared >= int64_t(sizeof(TensorMemory<Half, 128, 4>));
    int best = 1;
    int64_t least = INT64_MAX;
    for (int split = 1; split <= (fits ? 4 : 2); split *= 2) {
        int64_t const blocks = blocks_for(places, tensor_places(split)) * others;
        int64_t const rounds = blocks_for(blocks, processors * (512 / tensor_threads(split)));
        if (rounds * (4 / split) < least) {
            least = rounds * (4 / split);
            best = split;
        }
    }
    return best;
}

// Brings the input's channels last and the weights into the order of the walk.
template <class T>
Error prepare_for(TensorArguments<T>& arguments, Transpose<T> const& input, Arrange<T> const& weight, Zeros zeros,
                  Stream stream) {
    arguments.walk = weight.walk;
    arguments.stages = weight.walk.stages();
    arguments.packs = weight.walk.span / 8;
    arguments.weight = weight.to;
    return prepare(input, weight, arguments.op.channels_last ? 0 : unsigned(input.tiles()), zeros, stream);
}

template <class T, int kSplit>
Error run_tensor_split(TensorArguments<T>& arguments, Transpose<T> const& input, T const* weight, T* to,
                       Stream stream) {
    constexpr int32_t kSteps = TensorMemory<T, 64, kSplit>::kSteps;
    int64_t const tile = out_tile(arguments.op);
    auto const weights = arranged(arguments.op, weight, to, kSteps, tile, Order::Lanes);
    if (Error const error = prepare_for(arguments, input, weights, {}, stream)) {
        return error;
    }
    return tile == 64 ? launch_tensor<T, 64, kSplit>(arguments, stream)
                      : launch_tensor<T, 128, kSplit>(arguments, stream);
}

template <class T>
Error run_warpgroups(TensorArguments<T>& arguments, Transpose<T> const& input, T const* weight, T* to, Zeros zeros,
                     Stream stream) {
    int64_t const tile = warpgroup_out_tile(arguments.op), processors = device_attribute(cudaDevAttrMultiProcessorCount);
    auto const weights = arranged(arguments.op, weight, to, 1, tile, Order::Channels);
    if (Error const error = prepare_for(arguments, input, weights, zeros, stream)) {
        return error;
    }
    switch (tile) {
        case 64: return launch_warpgroup<T, 64>(arguments, processors, stream);
        case 128: return launch_warpgroup<T, 128>(arguments, processors, stream);
        default: return launch_warpgroup<T, 256>(arguments, processors, stream);
    }
}

template <class T>
Error run_tensor(DeformConv2d const& op, DeformConv2dData const& data, char* workspace, Stream stream) {
    T const* from = static_cast<T const*>(data.input);
    Transpose<T> const input{from, reinterpret_cast<T*>(workspace), op.batch, op.channels, op.height * op.width};
    Zeros const zeros{reinterpret_cast<Words*>(workspace + input_bytes(op) + weight_bytes(op)), op.channels / 8};
    T const* last = op.channels_last ? from : input.to;
    intptr_t const to_zeros = (reinterpret_cast<intptr_t>(zeros.at) - reinterpret_cast<intptr_t>(last)) / 16;
    bool const by_pairs = op.out_width() % 2 == 0 && reinterpret_cast<uintptr_t>(data.output) % 4 == 0;
    TensorArguments<T> arguments{op,
                                 {},
                                 last,
                                 nullptr,
                                 static_cast<T const*>(data.offset),
                                 static_cast<T const*>(data.mask),
                                 static_cast<T const*>(data.bias),
                                 static_cast<T*>(data.output),
                                 0,
                                 0,
                                 int32_t(to_zeros),
                                 int32_t(op.out_width()),
                                 int32_t(op.out_height()),
                                 by_pairs};
    T const* weight = static_cast<T const*>(data.weight);
    T* to = reinterpret_cast<T*>(workspace + input_bytes(op));
    // Whether 32 bits reach the zeros from an input that may lie anywhere, and number a strip's places.
    bool const near = arguments.to_zeros == to_zeros && op.out_height() <= INT32_MAX / kLongStrip;
    if (near && has_warpgroups<T>()) {
        return run_warpgroups(arguments, input, weight, to, zeros, stream);
    }
    switch (best_split(op)) {
        case 1: return run_tensor_split<T, 1>(arguments, input, weight, to, stream);
        case 2: return run_tensor_split<T, 2>(arguments, input, weight, to, stream);
        default: return run_tensor_split<T, 4>(arguments, input, weight, to, stream);
    }
}

Error run_tiles(DeformConv2d const& op, DeformConv2dData const& data, char* workspace, Stream stream) {
    float const* input = static_cast<float const*>(data.input);
    if (!op.channels_last) {
        transpose(input, reinterpret_cast<float*>(workspace), op.batch, op.channels, op.height * op.width, stream);
        input = reinterpret_cast<float const*>(workspace);
    }
    float* weight = reinterpret_cast<float*>(workspace + input_bytes(op));
    Walk const walk = walk_of(op, 1);
    int64_t const out_each = op.out_channels / op.groups;
    transpose(static_cast<float const*>(data.weight), weight, op.out_channels, walk.each, walk.taps, stream);
    TileArguments const arguments{op,
                                  walk,
                                  input,
                                  weight,
                                  static_cast<float const*>(data.offset),
                                  static_cast<float const*>(data.mask),
                                  static_cast<float const*>(data.bias),
                                  static_cast<float*>(data.output),
                                  out_each};
    // Blocks of many output channels sample least; with fewer blocks than a device has processors, smaller ones are
    // faster.
    int64_t const blocks = blocks_for(op.batch * op.out_height() * op.out_width(), kPlaces) * op.groups;
    int64_t const processors = device_attribute(cudaDevAttrMultiProcessorCount);
    bool const wide = out_each > 64 && blocks * blocks_for(out_each, 128) >= processors;
    return wide ? launch_tile<128>(arguments, processors, stream) : launch_tile<64>(arguments, processors, stream);
}

}  // namespace

// Of channels alone, so that it grows with all other sizes: a plugin asks for its largest ones once.
size_t deform_conv2d_workspace(DeformConv2d const& op) {
    size_t const zeros = op.dtype == DType::Float32 ? 0 : aligned(size_t(op.channels) * size_of(op.dtype));
    return packs(op) ? input_bytes(op) + weight_bytes(op) + zeros : 0;
}

Error deform_conv2d_cuda(DeformConv2d const& op, DeformConv2dData const& data, void* workspace, Stream stream) {
    if (deform_conv2d_items(op) == 0) {
        return nullptr;
    }
    bool const usable = tiles(op) && reinterpret_cast<uintptr_t>(data.input) % 16 == 0;
    return with_type(op.dtype, [&](auto type) -> Error {
        using T = decltype(type);
        if (!usable) {
            launch_direct<T>(op, data, stream);
            return launch_error();
        }
        if constexpr (sizeof(T) == 2) {
            return run_tensor<T>(op, data, static_cast<char*>(workspace), stream);
        } else {
            return run_tiles(op, data, static_cast<char*>(workspace), stream);
        }
    });
}

}  // namespace t2t
