#include "../kernels/roi_align/roi_align.h"

#include "ops.h"
#include "plugin.h"

namespace t2t::trt_plugins {
namespace {

struct RoiAlignOp : AnyOp {
    static constexpr char kName[] = "RoiAlign";
    static constexpr char kKinds[] = "NN";  // input, rois
    static constexpr int32_t kRanks[] = {4, 2};

    struct Settings {
        float spatial_scale = 1.0f;
        int32_t pooled_height = 1, pooled_width = 1;
        int32_t sampling_ratio = -1;
        int32_t aligned = 0;
    };
    static constexpr auto kInt = nvinfer1::PluginFieldType::kINT32;
    static constexpr Field kFields[] = {
        {"spatial_scale", nvinfer1::PluginFieldType::kFLOAT32, 1, offsetof(Settings, spatial_scale), true},
        {"pooled_height", kInt, 1, offsetof(Settings, pooled_height), true},
        {"pooled_width", kInt, 1, offsetof(Settings, pooled_width), true},
        {"sampling_ratio", kInt, 1, offsetof(Settings, sampling_ratio), false},
        {"aligned", kInt, 1, offsetof(Settings, aligned), false},
    };

    static int32_t inputs(Settings const&) { return 2; }

    static bool shape(Settings const& settings, nvinfer1::DimsExprs const* in, nvinfer1::DimsExprs& out,
                      Expressions const& sizes) {
        return set_shape(out, in[1].d[0], in[0].d[1], sizes.constant(settings.pooled_height),
                         sizes.constant(settings.pooled_width));
    }

    using Sizes = RoiAlign;

    static Error sizes(Settings const& settings, Tensors const& in, Sizes& op) {
        op = {in.dtype(),
              in.size(0, 0),
              in.size(0, 1),
              in.size(0, 2),
              in.size(0, 3),
              in.size(1, 0),
              settings.pooled_height,
              settings.pooled_width,
              settings.spatial_scale,
              settings.sampling_ratio,
              settings.aligned != 0,
              false};
        return in.size(1, 1) == 5 ? nullptr : "rois must have 5 columns";
    }

    static Error check(Sizes const& op) { return roi_align_check(op); }
    static size_t workspace(Sizes const& op) { return roi_align_workspace(op); }

    static Error run(Settings const&, Sizes const& op, void const* const* in, void* out, void* workspace,
                     Stream stream) {
        return roi_align_cuda(op, in[0], in[1], out, workspace, stream);
    }
};

}  // namespace

nvinfer1::IPluginCreatorInterface* roi_align_creator() {
    static Creator<RoiAlignOp> creator;
    return &creator;
}

}  // namespace t2t::trt_plugins
