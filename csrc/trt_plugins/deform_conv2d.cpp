#include "../kernels/deform_conv2d/deform_conv2d.h"

#include "ops.h"
#include "plugin.h"

namespace t2t::trt_plugins {
namespace {

struct DeformConv2dOp {
    static constexpr char kName[] = "DeformConv2d";
    // input, weight, offset, then mask and bias where there are any: the fourth may be either
    static constexpr char kKinds[] = "NNNNN";
    static constexpr int32_t kRanks[] = {4, 4, 4, 0, 1};

    struct Settings {
        int32_t stride[2] = {1, 1}, padding[2] = {0, 0}, dilation[2] = {1, 1};
        int32_t has_mask = 0, has_bias = 0;
    };
    static constexpr auto kInt = nvinfer1::PluginFieldType::kINT32;
    static constexpr Field kFields[] = {
        {"stride", kInt, 2, offsetof(Settings, stride), false},
        {"padding", kInt, 2, offsetof(Settings, padding), false},
        {"dilation", kInt, 2, offsetof(Settings, dilation), false},
        {"has_mask", kInt, 1, offsetof(Settings, has_mask), false},
        {"has_bias", kInt, 1, offsetof(Settings, has_bias), false},
    };

    static int32_t inputs(Settings const& settings) {
        return 3 + (settings.has_mask != 0) + (settings.has_bias != 0);
    }

    static bool shape(Settings const&, nvinfer1::DimsExprs const* in, nvinfer1::DimsExprs& out, Expressions const&) {
        return set_shape(out, in[0].d[0], in[1].d[0], in[2].d[2], in[2].d[3]);
    }

    using Sizes = DeformConv2d;

    static Error fixed(int32_t input, int32_t axis) {
        bool const weight = input == 1, channels = axis == 1 && (input == 0 || input == 2);
        return weight || channels ? "the channels and the weight's sizes cannot be dynamic" : nullptr;
    }

    static Error sizes(Settings const& settings, Tensors const& in, Sizes& op) {
        int64_t const channels = in.size(0, 1), taps = in.size(1, 2) * in.size(1, 3), each = in.size(1, 1);
        bool const fits = each > 0 && taps > 0 && channels % each == 0 && in.size(2, 1) > 0 &&
                          in.size(2, 1) % (2 * taps) == 0;
        op = {in.dtype(),
              in.size(0, 0),
              channels,
              in.size(0, 2),
              in.size(0, 3),
              in.size(1, 0),
              in.size(1, 2),
              in.size(1, 3),
              settings.stride[0],
              settings.stride[1],
              settings.padding[0],
              settings.padding[1],
              settings.dilation[0],
              settings.dilation[1],
              fits && channels > 0 ? channels / each : 1,
              fits ? in.size(2, 1) / (2 * taps) : 1,
              false};
        if (!fits) {
            return "weight or offset does not fit the input's channels";
        }
        Error const error = deform_conv2d_check(op);
        return error != nullptr ? error : check_shapes(settings, in, op);
    }

    static Error check_shapes(Settings const& settings, Tensors const& in, Sizes const& op) {
        int64_t const moved = op.offset_groups * op.taps(), rows = op.out_height(), columns = op.out_width();
        if (!in.has_shape(2, {op.batch, 2 * moved, rows, columns})) {
            return "offset has the wrong shape";
        }
        if (settings.has_mask != 0 && !in.has_shape(3, {op.batch, moved, rows, columns})) {
            return "mask has the wrong shape";
        }
        int32_t const bias = 3 + (settings.has_mask != 0);
        if (settings.has_bias != 0 && !in.has_shape(bias, {op.out_channels})) {
            return "bias has the wrong shape";
        }
        return nullptr;
    }

    static Error check(Sizes const& op) { return deform_conv2d_check(op); }
    static size_t workspace(Sizes const& op) { return deform_conv2d_workspace(op); }

    static Error run(Settings const& settings, Sizes const& op, void const* const* in, void* out, void* workspace,
                     Stream stream) {
        DeformConv2dData const data{in[0],
                                    in[1],
                                    in[2],
                                    settings.has_mask != 0 ? in[3] : nullptr,
                                    settings.has_bias != 0 ? in[3 + (settings.has_mask != 0)] : nullptr,
                                    out};
        return deform_conv2d_cuda(op, data, workspace, stream);
    }
};

}  // namespace

nvinfer1::IPluginCreatorInterface* deform_conv2d_creator() {
    static Creator<DeformConv2dOp> creator;
    return &creator;
}

}  // namespace t2t::trt_plugins
