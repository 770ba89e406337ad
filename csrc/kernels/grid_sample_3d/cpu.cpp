#include "../common/dispatch.h"
#include "point.h"

namespace t2t {

Error grid_sample_3d_check(GridSample3d const& op) {
    if (op.batch < 0 || op.channels < 0 || op.out_depth < 0 || op.out_height < 0 || op.out_width < 0) {
        return "a size is negative";
    }
    if (op.depth < 1 || op.height < 1 || op.width < 1) {
        return "the input's depth, height and width must be 1 at least";
    }
    if (op.depth > INT32_MAX / op.height / op.width) {
        return "a volume may have 2^31 - 1 elements at most";
    }
    if (op.interpolation != Interpolation::Linear && op.interpolation != Interpolation::Nearest) {
        return "interpolation_mode must be 0 (bilinear) or 1 (nearest)";
    }
    if (int32_t(op.padding) < 0 || int32_t(op.padding) > 2) {
        return "padding_mode must be 0 (zeros), 1 (border) or 2 (reflection)";
    }
    return nullptr;
}

int64_t grid_sample_3d_items(GridSample3d const& op) { return op.channels == 0 ? 0 : op.points(); }

void grid_sample_3d_cpu(GridSample3d const& op, void const* input, void const* grid, void* output, int64_t begin,
                        int64_t end) {
    with_type(op.dtype, [&](auto type) {
        using T = decltype(type);
        Reading const reading = reading_of(op);
        int64_t const volume = op.depth * op.height * op.width;
        int64_t const per_image = op.out_depth * op.out_height * op.out_width;
        for (int64_t point = begin; point < end; ++point) {
            T const* xyz = static_cast<T const*>(grid) + point * 3;
            Corners const corners = corners_of(op, reading, to_float(xyz[0]), to_float(xyz[1]), to_float(xyz[2]));
            int64_t const image = point / per_image, place = point % per_image;
            for (int64_t channel = 0; channel < op.channels; ++channel) {
                int64_t const plane = image * op.channels + channel;
                static_cast<T*>(output)[plane * per_image + place] =
                    sampled(reading, corners, static_cast<T const*>(input) + plane * volume);
            }
        }
    });
}

}  // namespace t2t
