#include "../kernels/ms_deform_attn/ms_deform_attn.h"

#include "common.h"

namespace t2t::torch_ops {
namespace {

constexpr char kAttention[] = "torch2trt::ms_deform_attn";

at::Tensor ms_deform_attn(at::Tensor const& value, at::Tensor const& spatial_shapes,
                          at::Tensor const& level_start_index, at::Tensor const& sampling_locations,
                          at::Tensor const& attention_weights) {
    check_rank(kAttention, "value", value, 4);
    check_rank(kAttention, "sampling_locations", sampling_locations, 6);
    check_like(kAttention, "spatial_shapes", spatial_shapes, value, false);
    check_like(kAttention, "level_start_index", level_start_index, value, false);
    check_like(kAttention, "sampling_locations", sampling_locations, value);
    check_like(kAttention, "attention_weights", attention_weights, value);
    MsDeformAttn const op{dtype_of(kAttention, value), index_type_of(kAttention, spatial_shapes),
                          value.size(0),               value.size(1),
                          value.size(2),               value.size(3),
                          sampling_locations.size(1),  sampling_locations.size(3),
                          sampling_locations.size(4)};
    TORCH_CHECK(level_start_index.scalar_type() == spatial_shapes.scalar_type(), kAttention,
                ": level_start_index is ", level_start_index.scalar_type(), ", spatial_shapes ",
                spatial_shapes.scalar_type());
    check_shape(kAttention, "spatial_shapes", spatial_shapes, {op.levels, 2});
    check_shape(kAttention, "level_start_index", level_start_index, {op.levels});
    check_shape(kAttention, "sampling_locations", sampling_locations,
                {op.batch, op.queries, op.heads, op.levels, op.points, 2});
    check_shape(kAttention, "attention_weights", attention_weights,
                {op.batch, op.queries, op.heads, op.levels, op.points});
    check(kAttention, ms_deform_attn_check(op));

    at::Tensor const values = value.contiguous(), shapes = spatial_shapes.contiguous();
    at::Tensor const starts = level_start_index.contiguous(), places = sampling_locations.contiguous();
    at::Tensor const weights = attention_weights.contiguous();
    at::Tensor output = at::empty({op.batch, op.queries, op.heads * op.channels}, value.options());
    MsDeformAttnData const data{values.const_data_ptr(), shapes.const_data_ptr(),  starts.const_data_ptr(),
                                places.const_data_ptr(), weights.const_data_ptr(), output.data_ptr()};
    if (value.is_cpu()) {
        check(kAttention, ms_deform_attn_check_levels(op, data.spatial_shapes, data.level_start_index));
    }
    run(
        kAttention, value, ms_deform_attn_items(op), 64, ms_deform_attn_workspace(op),
        [&](int64_t begin, int64_t end) { ms_deform_attn_cpu(op, data, begin, end); },
        [&](void* workspace, Stream stream) { return ms_deform_attn_cuda(op, data, workspace, stream); });
    return output;
}

at::Tensor ms_deform_attn_meta(at::Tensor const& value, at::Tensor const&, at::Tensor const&,
                               at::Tensor const& sampling_locations, at::Tensor const&) {
    check_rank(kAttention, "value", value, 4);
    check_rank(kAttention, "sampling_locations", sampling_locations, 6);
    return at::empty_symint({value.sym_size(0), sampling_locations.sym_size(1), value.sym_size(2) * value.sym_size(3)},
                            value.options());
}

}  // namespace

T2T_IMPLEMENT("ms_deform_attn", ms_deform_attn, ms_deform_attn_meta)

}  // namespace t2t::torch_ops
