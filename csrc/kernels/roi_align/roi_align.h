// Boxes of a feature map averaged to one size: torchvision::roi_align.
#pragma once

#include "../common/api.h"

namespace t2t {

struct RoiAlign {
    DType dtype;
    int64_t batch, channels, height, width;  // of the input (N, C, H, W)
    int64_t boxes;                           // rois (K, 5): image, x1, y1, x2, y2
    int64_t pooled_height, pooled_width;     // the result is (K, C, pooled_height, pooled_width)
    float spatial_scale;
    int64_t sampling_ratio;  // samples a bin and axis; 0 or less: one for every element that a bin covers
    bool aligned;
    bool channels_last;  // the input lies in memory as (N, H, W, C)
};

Error roi_align_check(RoiAlign const& op);
int64_t roi_align_items(RoiAlign const& op);
// A box of an image that does not exist, or whose corners are not finite, gives NaN.
void roi_align_cpu(RoiAlign const& op, void const* input, void const* rois, void* output, int64_t begin, int64_t end);
size_t roi_align_workspace(RoiAlign const& op);
Error roi_align_cuda(RoiAlign const& op, void const* input, void const* rois, void* output, void* workspace,
                     Stream stream);

}  // namespace t2t
