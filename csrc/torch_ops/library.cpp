// The operators' schemas; a fragment, for Python adds operators to the namespace too. They compute forward only:
// PyTorch warns where a gradient is asked for.
#include <torch/library.h>

TORCH_LIBRARY_FRAGMENT(torch2trt, library) {
    library.def(
        "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor? mask=None, Tensor? bias=None, "
        "int[2] stride=1, int[2] padding=0, int[2] dilation=1) -> Tensor");
    library.def(
        "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
        "int sampling_ratio=-1, bool aligned=False) -> Tensor");
    library.def(
        "ms_deform_attn(Tensor value, Tensor spatial_shapes, Tensor level_start_index, Tensor sampling_locations, "
        "Tensor attention_weights) -> Tensor");
    library.def(
        "grid_sample_3d(Tensor input, Tensor grid, int interpolation_mode=0, int padding_mode=0, "
        "bool align_corners=False) -> Tensor");
    library.def(
        "scatter_reduce(Tensor self, int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True) "
        "-> Tensor");
    library.def(
        "correlation(Tensor first, Tensor second, int kernel_size=1, int max_displacement=1, int stride=1, "
        "int padding=0, int dilation=1, int patch_dilation=1, bool normalize=False) -> Tensor");
}
