#include "../kernels/grid_sample_3d/grid_sample_3d.h"

#include "common.h"

namespace t2t::torch_ops {
namespace {

constexpr char kGrid[] = "torch2trt::grid_sample_3d";

at::Tensor grid_sample_3d(at::Tensor const& input, at::Tensor const& grid, int64_t interpolation_mode,
                          int64_t padding_mode, bool align_corners) {
    check_rank(kGrid, "input", input, 5);
    check_rank(kGrid, "grid", grid, 5);
    check_like(kGrid, "grid", grid, input);
    check_shape(kGrid, "grid", grid, {input.size(0), grid.size(1), grid.size(2), grid.size(3), 3});
    TORCH_CHECK(interpolation_mode >= 0 && interpolation_mode <= 1, kGrid,
                ": interpolation_mode must be 0 (bilinear) or 1 (nearest), got ", interpolation_mode);
    TORCH_CHECK(padding_mode >= 0 && padding_mode <= 2, kGrid,
                ": padding_mode must be 0 (zeros), 1 (border) or 2 (reflection), got ", padding_mode);
    GridSample3d const op{dtype_of(kGrid, input),
                          input.size(0),
                          input.size(1),
                          input.size(2),
                          input.size(3),
                          input.size(4),
                          grid.size(1),
                          grid.size(2),
                          grid.size(3),
                          Interpolation(interpolation_mode),
                          Padding(padding_mode),
                          align_corners};
    check(kGrid, grid_sample_3d_check(op));
    at::Tensor const inputs = input.contiguous(), places = grid.contiguous();
    at::Tensor output =
        at::empty({op.batch, op.channels, op.out_depth, op.out_height, op.out_width}, input.options());
    run(
        kGrid, input, grid_sample_3d_items(op), 256, grid_sample_3d_workspace(op),
        [&](int64_t begin, int64_t end) {
            grid_sample_3d_cpu(op, inputs.const_data_ptr(), places.const_data_ptr(), output.data_ptr(), begin, end);
        },
        [&](void* workspace, Stream stream) {
            return grid_sample_3d_cuda(op, inputs.const_data_ptr(), places.const_data_ptr(), output.data_ptr(),
                                       workspace, stream);
        });
    return output;
}

at::Tensor grid_sample_3d_meta(at::Tensor const& input, at::Tensor const& grid, int64_t, int64_t, bool) {
    check_rank(kGrid, "input", input, 5);
    check_rank(kGrid, "grid", grid, 5);
    return at::empty_symint(
        {input.sym_size(0), input.sym_size(1), grid.sym_size(1), grid.sym_size(2), grid.sym_size(3)},
        input.options());
}

}  // namespace

T2T_IMPLEMENT("grid_sample_3d", grid_sample_3d, grid_sample_3d_meta)

}  // namespace t2t::torch_ops
