#include "../kernels/scatter_reduce/scatter_reduce.h"

#include "ops.h"
#include "plugin.h"

namespace t2t::trt_plugins {
namespace {

struct ScatterReduceOp : AnyOp {
    static constexpr char kName[] = "ScatterReduce";
    static constexpr char kKinds[] = "NIN";  // self, index, src
    static constexpr int32_t kRanks[] = {0, 0, 0};

    struct Settings {
        int32_t dim = 0;
        int32_t reduce = 0;  // sum, prod, mean, amax, amin
        int32_t include_self = 1;
    };
    static constexpr auto kInt = nvinfer1::PluginFieldType::kINT32;
    static constexpr Field kFields[] = {
        {"dim", kInt, 1, offsetof(Settings, dim), true},
        {"reduce", kInt, 1, offsetof(Settings, reduce), true},
        {"include_self", kInt, 1, offsetof(Settings, include_self), false},
    };

    static int32_t inputs(Settings const&) { return 3; }

    static bool shape(Settings const&, nvinfer1::DimsExprs const* in, nvinfer1::DimsExprs& out, Expressions const&) {
        out = in[0];
        return true;
    }

    using Sizes = ScatterReduce;

    static Error sizes(Settings const& settings, Tensors const& in, Sizes& op) {
        op.dtype = in.dtype();
        op.index_type = in.index_type(1);
        op.rank = in.shape[0].nbDims;
        op.dim = settings.dim < 0 ? settings.dim + op.rank : settings.dim;
        op.reduction = Reduction(settings.reduce);
        op.include_self = settings.include_self != 0;
        for (int32_t axis = 0; axis < op.rank; ++axis) {
            op.self_shape[axis] = in.size(0, axis);
            op.index_shape[axis] = in.size(1, axis);
            op.src_shape[axis] = in.size(2, axis);
        }
        bool const fits = in.shape[1].nbDims == op.rank && in.shape[2].nbDims == op.rank;
        return fits ? nullptr : "self, index and src must have as many axes";
    }

    static Error check(Sizes const& op) { return scatter_reduce_check(op); }
    static size_t workspace(Sizes const& op) { return scatter_reduce_workspace(op); }

    static Error run(Settings const&, Sizes const& op, void const* const* in, void* out, void* workspace,
                     Stream stream) {
        return scatter_reduce_cuda(op, {in[0], in[1], in[2], out}, workspace, stream);
    }
};

}  // namespace

nvinfer1::IPluginCreatorInterface* scatter_reduce_creator() {
    static Creator<ScatterReduceOp> creator;
    return &creator;
}

}  // namespace t2t::trt_plugins
