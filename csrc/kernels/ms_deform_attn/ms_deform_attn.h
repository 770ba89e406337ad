// Multi-scale deformable attention (Zhu et al., Deformable DETR, 2020): every query reads a few places of each level.
//
// result[n, q, m * D + d] = sum over levels l and places p of
//     attention_weights[n, q, m, l, p] * value[n, level l, m, d] at sampling_locations[n, q, m, l, p]
// bilinear, 0 outside; locations are x, y in 0..1 from edge to edge of a level.
#pragma once

#include "../common/api.h"

namespace t2t {

struct MsDeformAttn {
    DType dtype;
    IndexType index_type;                    // of spatial_shapes (L, 2) and level_start_index (L)
    int64_t batch, length, heads, channels;  // of value (N, S, M, D)
    int64_t queries, levels, points;         // of sampling_locations (N, Q, M, L, P, 2)

    T2T_HD int64_t results() const { return batch * queries * heads * channels; }
};

struct MsDeformAttnData {
    void const* value;
    void const* spatial_shapes;
    void const* level_start_index;
    void const* sampling_locations;
    void const* attention_weights;
    void* output;
};

Error ms_deform_attn_check(MsDeformAttn const& op);
// Why the levels do not lie within value; reads spatial_shapes and level_start_index, which must be host memory.
Error ms_deform_attn_check_levels(MsDeformAttn const& op, void const* spatial_shapes, void const* level_start_index);
int64_t ms_deform_attn_items(MsDeformAttn const& op);
// A level that does not lie within value gives NaN.
void ms_deform_attn_cpu(MsDeformAttn const& op, MsDeformAttnData const& data, int64_t begin, int64_t end);
inline size_t ms_deform_attn_workspace(MsDeformAttn const&) { return 0; }
Error ms_deform_attn_cuda(MsDeformAttn const& op, MsDeformAttnData const& data, void* workspace, Stream stream);

}  // namespace t2t
