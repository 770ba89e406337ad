#include "../kernels/roi_align/roi_align.h"

#include <cmath>

#include "common.h"

namespace t2t::torch_ops {
namespace {

constexpr char kRoiAlign[] = "torch2trt::roi_align";

void check_images(at::Tensor const& rois, int64_t batch) {
    at::Tensor const images = rois.select(1, 0).to(at::kDouble).contiguous();
    double const* image = images.const_data_ptr<double>();
    for (int64_t index = 0; index < images.numel(); ++index) {
        TORCH_CHECK(image[index] > -1.0 && image[index] < double(batch), kRoiAlign, ": box ", index, " is of image ",
                    image[index], ", of a batch of ", batch);
    }
}

at::Tensor roi_align(at::Tensor const& input, at::Tensor const& rois, double spatial_scale, int64_t pooled_height,
                     int64_t pooled_width, int64_t sampling_ratio, bool aligned) {
    check_rank(kRoiAlign, "input", input, 4);
    check_like(kRoiAlign, "rois", rois, input);
    TORCH_CHECK(rois.dim() == 2 && rois.size(1) == 5, kRoiAlign, ": rois must have shape (K, 5), got ", rois.sizes());
    RoiAlign const op{dtype_of(kRoiAlign, input),
                      input.size(0),
                      input.size(1),
                      input.size(2),
                      input.size(3),
                      rois.size(0),
                      pooled_height,
                      pooled_width,
                      float(spatial_scale),
                      sampling_ratio,
                      aligned,
                      lies_channels_last(input)};
    check(kRoiAlign, roi_align_check(op));
    if (rois.is_cpu()) {
        check_images(rois, op.batch);
    }
    at::Tensor const inputs = dense(input), boxes = rois.contiguous();
    at::Tensor output = at::empty({op.boxes, op.channels, pooled_height, pooled_width}, input.options());
    run(
        kRoiAlign, input, roi_align_items(op), 1, roi_align_workspace(op),
        [&](int64_t begin, int64_t end) {
            roi_align_cpu(op, inputs.const_data_ptr(), boxes.const_data_ptr(), output.data_ptr(), begin, end);
        },
        [&](void* workspace, Stream stream) {
            return roi_align_cuda(op, inputs.const_data_ptr(), boxes.const_data_ptr(), output.data_ptr(), workspace,
                                  stream);
        });
    return output;
}

at::Tensor roi_align_meta(at::Tensor const& input, at::Tensor const& rois, double, int64_t pooled_height,
                          int64_t pooled_width, int64_t, bool) {
    check_rank(kRoiAlign, "input", input, 4);
    check_rank(kRoiAlign, "rois", rois, 2);
    return at::empty_symint({rois.sym_size(0), input.sym_size(1), pooled_height, pooled_width}, input.options());
}

}  // namespace

T2T_IMPLEMENT("roi_align", roi_align, roi_align_meta)

}  // namespace t2t::torch_ops
