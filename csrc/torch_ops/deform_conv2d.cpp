#include "../kernels/deform_conv2d/deform_conv2d.h"

#include "common.h"

namespace t2t::torch_ops {
namespace {

constexpr char kDeform[] = "torch2trt::deform_conv2d";

DeformConv2d deform_sizes(at::Tensor const& input, at::Tensor const& weight, at::Tensor const& offset,
                          at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation) {
    check_rank(kDeform, "input", input, 4);
    check_rank(kDeform, "weight", weight, 4);
    check_rank(kDeform, "offset", offset, 4);
    int64_t const channels = input.size(1), taps = weight.size(2) * weight.size(3);
    TORCH_CHECK(taps > 0 && weight.size(1) > 0 && channels % weight.size(1) == 0, kDeform, ": weight of shape ",
                weight.sizes(), " does not fit ", channels, " channels");
    TORCH_CHECK(offset.size(1) > 0 && offset.size(1) % (2 * taps) == 0, kDeform, ": offset has ", offset.size(1),
                " channels, which must be a multiple of ", 2 * taps);
    DeformConv2d const op{dtype_of(kDeform, input),
                          input.size(0),
                          channels,
                          input.size(2),
                          input.size(3),
                          weight.size(0),
                          weight.size(2),
                          weight.size(3),
                          stride[0],
                          stride[1],
                          padding[0],
                          padding[1],
                          dilation[0],
                          dilation[1],
                          std::max<int64_t>(channels / weight.size(1), 1),
                          offset.size(1) / (2 * taps),
                          lies_channels_last(input)};
    check(kDeform, deform_conv2d_check(op));
    return op;
}

at::Tensor deform_conv2d(at::Tensor const& input, at::Tensor const& weight, at::Tensor const& offset,
                         std::optional<at::Tensor> const& mask, std::optional<at::Tensor> const& bias,
                         at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation) {
    DeformConv2d const op = deform_sizes(input, weight, offset, stride, padding, dilation);
    int64_t const moved = op.offset_groups * op.taps(), rows = op.out_height(), columns = op.out_width();
    check_like(kDeform, "weight", weight, input);
    check_like(kDeform, "offset", offset, input);
    check_shape(kDeform, "offset", offset, {op.batch, 2 * moved, rows, columns});
    at::Tensor masks, biases;
    if (mask.has_value()) {
        check_like(kDeform, "mask", *mask, input);
        check_shape(kDeform, "mask", *mask, {op.batch, moved, rows, columns});
        masks = mask->contiguous();
    }
    if (bias.has_value()) {
        check_like(kDeform, "bias", *bias, input);
        check_shape(kDeform, "bias", *bias, {op.out_channels});
        biases = bias->contiguous();
    }
    at::Tensor const inputs = dense(input), weights = weight.contiguous(), offsets = offset.contiguous();
    at::Tensor output = at::empty({op.batch, op.out_channels, rows, columns}, input.options());
    DeformConv2dData const data{inputs.const_data_ptr(),
                                weights.const_data_ptr(),
                                offsets.const_data_ptr(),
                                masks.defined() ? masks.const_data_ptr() : nullptr,
                                biases.defined() ? biases.const_data_ptr() : nullptr,
                                output.data_ptr()};
    run(
        kDeform, input, deform_conv2d_items(op), 64, deform_conv2d_workspace(op),
        [&](int64_t begin, int64_t end) { deform_conv2d_cpu(op, data, begin, end); },
        [&](void* workspace, Stream stream) { return deform_conv2d_cuda(op, data, workspace, stream); });
    return output;
}

at::Tensor deform_conv2d_meta(at::Tensor const& input, at::Tensor const& weight, at::Tensor const& offset,
                              std::optional<at::Tensor> const&, std::optional<at::Tensor> const&, at::IntArrayRef,
                              at::IntArrayRef, at::IntArrayRef) {
    check_rank(kDeform, "input", input, 4);
    check_rank(kDeform, "weight", weight, 4);
    check_rank(kDeform, "offset", offset, 4);
    return at::empty_symint({input.sym_size(0), weight.sym_size(0), offset.sym_size(2), offset.sym_size(3)},
                            input.options());
}

}  // namespace

T2T_IMPLEMENT("deform_conv2d", deform_conv2d, deform_conv2d_meta)

}  // namespace t2t::torch_ops
