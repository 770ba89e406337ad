// The CUDA versions of a build without CUDA: a stream's work is done at once, on the host, by the CPU versions. What
// is built on the kernels, plugins above all, can so be run on a machine that has no graphics processor.
#include "../correlation/correlation.h"
#include "../deform_conv2d/deform_conv2d.h"
#include "../grid_sample_3d/grid_sample_3d.h"
#include "../ms_deform_attn/ms_deform_attn.h"
#include "../roi_align/roi_align.h"
#include "../scatter_reduce/scatter_reduce.h"

namespace t2t {

Error correlation_cuda(Correlation const& op, void const* first, void const* second, void* output, void*, Stream) {
    correlation_cpu(op, first, second, output, 0, correlation_items(op));
    return nullptr;
}

size_t deform_conv2d_workspace(DeformConv2d const&) { return 0; }

Error deform_conv2d_cuda(DeformConv2d const& op, DeformConv2dData const& data, void*, Stream) {
    deform_conv2d_cpu(op, data, 0, deform_conv2d_items(op));
    return nullptr;
}

size_t grid_sample_3d_workspace(GridSample3d const&) { return 0; }

Error grid_sample_3d_cuda(GridSample3d const& op, void const* input, void const* grid, void* output, void*, Stream) {
    grid_sample_3d_cpu(op, input, grid, output, 0, grid_sample_3d_items(op));
    return nullptr;
}

Error ms_deform_attn_cuda(MsDeformAttn const& op, MsDeformAttnData const& data, void*, Stream) {
    ms_deform_attn_cpu(op, data, 0, ms_deform_attn_items(op));
    return nullptr;
}

size_t roi_align_workspace(RoiAlign const&) { return 0; }

Error roi_align_cuda(RoiAlign const& op, void const* input, void const* rois, void* output, void*, Stream) {
    roi_align_cpu(op, input, rois, output, 0, roi_align_items(op));
    return nullptr;
}

size_t scatter_reduce_workspace(ScatterReduce const&) { return 0; }

Error scatter_reduce_cuda(ScatterReduce const& op, ScatterReduceData const& data, void*, Stream) {
    scatter_reduce_cpu(op, data, 0, scatter_reduce_items(op));
    return nullptr;
}

}  // namespace t2t
