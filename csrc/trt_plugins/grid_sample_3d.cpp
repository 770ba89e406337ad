#include "../kernels/grid_sample_3d/grid_sample_3d.h"

#include "ops.h"
#include "plugin.h"

namespace t2t::trt_plugins {
namespace {

struct GridSample3dOp : AnyOp {
    static constexpr char kName[] = "GridSample3d";
    static constexpr char kKinds[] = "NN";  // input, grid
    static constexpr int32_t kRanks[] = {5, 5};

    struct Settings {
        int32_t interpolation_mode = 0, padding_mode = 0, align_corners = 0;
    };
    static constexpr auto kInt = nvinfer1::PluginFieldType::kINT32;
    static constexpr Field kFields[] = {
        {"interpolation_mode", kInt, 1, offsetof(Settings, interpolation_mode), false},
        {"padding_mode", kInt, 1, offsetof(Settings, padding_mode), false},
        {"align_corners", kInt, 1, offsetof(Settings, align_corners), false},
    };

    static int32_t inputs(Settings const&) { return 2; }

    static bool shape(Settings const&, nvinfer1::DimsExprs const* in, nvinfer1::DimsExprs& out, Expressions const&) {
        return set_shape(out, in[0].d[0], in[0].d[1], in[1].d[1], in[1].d[2], in[1].d[3]);
    }

    using Sizes = GridSample3d;

    static Error sizes(Settings const& settings, Tensors const& in, Sizes& op) {
        op = {in.dtype(),
              in.size(0, 0),
              in.size(0, 1),
              in.size(0, 2),
              in.size(0, 3),
              in.size(0, 4),
              in.size(1, 1),
              in.size(1, 2),
              in.size(1, 3),
              Interpolation(settings.interpolation_mode),
              Padding(settings.padding_mode),
              settings.align_corners != 0};
        return in.size(1, 0) == op.batch && in.size(1, 4) == 3 ? nullptr : "grid has the wrong shape";
    }

    static Error check(Sizes const& op) { return grid_sample_3d_check(op); }
    static size_t workspace(Sizes const& op) { return grid_sample_3d_workspace(op); }

    static Error run(Settings const&, Sizes const& op, void const* const* in, void* out, void* workspace,
                     Stream stream) {
        return grid_sample_3d_cuda(op, in[0], in[1], out, workspace, stream);
    }
};

}  // namespace

nvinfer1::IPluginCreatorInterface* grid_sample_3d_creator() {
    static Creator<GridSample3dOp> creator;
    return &creator;
}

}  // namespace t2t::trt_plugins
