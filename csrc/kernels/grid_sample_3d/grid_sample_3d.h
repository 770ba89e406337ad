// Volumes read at the places of a grid: aten::grid_sampler_3d.
#pragma once

#include "../common/api.h"

namespace t2t {

enum class Interpolation : int32_t { Linear, Nearest };
enum class Padding : int32_t { Zeros, Border, Reflection };

struct GridSample3d {
    DType dtype;
    int64_t batch, channels;
    int64_t depth, height, width;              // of input (N, C, D, H, W)
    int64_t out_depth, out_height, out_width;  // of grid (N, D', H', W', 3) and of the result
    Interpolation interpolation;
    Padding padding;
    bool align_corners;

    T2T_HD int64_t points() const { return batch * out_depth * out_height * out_width; }
};

Error grid_sample_3d_check(GridSample3d const& op);
int64_t grid_sample_3d_items(GridSample3d const& op);
void grid_sample_3d_cpu(GridSample3d const& op, void const* input, void const* grid, void* output, int64_t begin,
                        int64_t end);
size_t grid_sample_3d_workspace(GridSample3d const& op);
Error grid_sample_3d_cuda(GridSample3d const& op, void const* input, void const* grid, void* output, void* workspace,
                          Stream stream);

}  // namespace t2t
