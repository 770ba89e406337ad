#include "../kernels/correlation/correlation.h"

#include "ops.h"
#include "plugin.h"

namespace t2t::trt_plugins {
namespace {

struct CorrelationOp : AnyOp {
    static constexpr char kName[] = "Correlation";
    static constexpr char kKinds[] = "NN";  // first, second
    static constexpr int32_t kRanks[] = {4, 4};

    struct Settings {
        int32_t kernel_size = 1, max_displacement = 1, stride = 1, padding = 0, dilation = 1, patch_dilation = 1;
        int32_t normalize = 0;
    };
    static constexpr auto kInt = nvinfer1::PluginFieldType::kINT32;
    static constexpr Field kFields[] = {
        {"kernel_size", kInt, 1, offsetof(Settings, kernel_size), false},
        {"max_displacement", kInt, 1, offsetof(Settings, max_displacement), false},
        {"stride", kInt, 1, offsetof(Settings, stride), false},
        {"padding", kInt, 1, offsetof(Settings, padding), false},
        {"dilation", kInt, 1, offsetof(Settings, dilation), false},
        {"patch_dilation", kInt, 1, offsetof(Settings, patch_dilation), false},
        {"normalize", kInt, 1, offsetof(Settings, normalize), false},
    };

    static int32_t inputs(Settings const&) { return 2; }

    static bool shape(Settings const& settings, nvinfer1::DimsExprs const* in, nvinfer1::DimsExprs& out,
                      Expressions const& sizes) {
        int64_t const window = int64_t(settings.dilation) * (int64_t(settings.kernel_size) - 1) + 1;
        int64_t const reach = 2 * int64_t(settings.padding) - window;
        auto const size = [&](int32_t axis) {
            Size const steps =
                sizes.quotient(sizes.sum(in[0].d[axis], sizes.constant(reach)), sizes.constant(settings.stride));
            return sizes.sum(steps, sizes.constant(1));
        };
        Size const patch = sizes.constant(2 * int64_t(settings.max_displacement) + 1);
        return settings.stride > 0 && set_shape(out, in[0].d[0], patch, patch, size(2), size(3));
    }

    using Sizes = Correlation;

    static Error sizes(Settings const& settings, Tensors const& in, Sizes& op) {
        op = {in.dtype(),
              in.size(0, 0),
              in.size(0, 1),
              in.size(0, 2),
              in.size(0, 3),
              settings.kernel_size,
              settings.max_displacement,
              settings.stride,
              settings.padding,
              settings.dilation,
              settings.patch_dilation,
              settings.normalize != 0};
        bool const same = in.has_shape(1, {op.batch, op.channels, op.height, op.width});
        return same ? nullptr : "the two inputs must have one shape";
    }

    static Error check(Sizes const& op) { return correlation_check(op); }
    static size_t workspace(Sizes const& op) { return correlation_workspace(op); }

    static Error run(Settings const&, Sizes const& op, void const* const* in, void* out, void* workspace,
                     Stream stream) {
        return correlation_cuda(op, in[0], in[1], out, workspace, stream);
    }
};

}  // namespace

nvinfer1::IPluginCreatorInterface* correlation_creator() {
    static Creator<CorrelationOp> creator;
    return &creator;
}

}  // namespace t2t::trt_plugins
