#include "../kernels/ms_deform_attn/ms_deform_attn.h"

#include <array>

#include "ops.h"
#include "plugin.h"

namespace t2t::trt_plugins {
namespace {

struct MsDeformAttnOp : AnyOp {
    static constexpr char kName[] = "MsDeformAttn";
    // value, spatial_shapes, level_start_index, sampling_locations, attention_weights
    static constexpr char kKinds[] = "NIINN";
    static constexpr int32_t kRanks[] = {4, 2, 1, 6, 5};

    struct Settings {};
    static constexpr std::array<Field, 0> kFields{};

    static int32_t inputs(Settings const&) { return 5; }

    static bool shape(Settings const&, nvinfer1::DimsExprs const* in, nvinfer1::DimsExprs& out,
                      Expressions const& sizes) {
        return set_shape(out, in[0].d[0], in[3].d[1], sizes.product(in[0].d[2], in[0].d[3]));
    }

    using Sizes = MsDeformAttn;

    static Error sizes(Settings const&, Tensors const& in, Sizes& op) {
        op = {in.dtype(),    in.index_type(1), in.size(0, 0), in.size(0, 1), in.size(0, 2),
              in.size(0, 3), in.size(3, 1),    in.size(3, 3), in.size(3, 4)};
        if (!in.has_shape(1, {op.levels, 2}) || !in.has_shape(2, {op.levels})) {
            return "spatial_shapes or level_start_index has the wrong shape";
        }
        if (!in.has_shape(3, {op.batch, op.queries, op.heads, op.levels, op.points, 2}) ||
            !in.has_shape(4, {op.batch, op.queries, op.heads, op.levels, op.points})) {
            return "sampling_locations or attention_weights has the wrong shape";
        }
        return nullptr;
    }

    static Error check(Sizes const& op) { return ms_deform_attn_check(op); }
    static size_t workspace(Sizes const& op) { return ms_deform_attn_workspace(op); }

    static Error run(Settings const&, Sizes const& op, void const* const* in, void* out, void* workspace,
                     Stream stream) {
        return ms_deform_attn_cuda(op, {in[0], in[1], in[2], in[3], in[4], out}, workspace, stream);
    }
};

}  // namespace

nvinfer1::IPluginCreatorInterface* ms_deform_attn_creator() {
    static Creator<MsDeformAttnOp> creator;
    return &creator;
}

}  // namespace t2t::trt_plugins
