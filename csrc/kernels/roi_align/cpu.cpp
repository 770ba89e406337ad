#include <vector>

#include "../common/dispatch.h"
#include "box.h"

namespace t2t {

Error roi_align_check(RoiAlign const& op) {
    if (op.batch < 0 || op.channels < 0 || op.boxes < 0) {
        return "a size is negative";
    }
    if (op.height < 1 || op.width < 1) {
        return "the input's height and width must be 1 at least";
    }
    if (op.height > INT32_MAX / op.width) {
        return "an image may have 2^31 - 1 elements at most";
    }
    if (op.pooled_height < 1 || op.pooled_width < 1) {
        return "pooled_height and pooled_width must be 1 at least";
    }
    if (op.sampling_ratio > 32768) {
        return "sampling_ratio must be 32768 at most";
    }
    return nullptr;
}

int64_t roi_align_items(RoiAlign const& op) { return op.channels == 0 ? 0 : op.boxes; }

void roi_align_cpu(RoiAlign const& op, void const* input, void const* rois, void* output, int64_t begin, int64_t end) {
    with_type(op.dtype, [&](auto type) {
        using T = decltype(type);
        int64_t const area = op.height * op.width, bins = op.pooled_height * op.pooled_width;
        int64_t const across = op.channels_last ? 1 : area, along = op.channels_last ? op.channels : 1;
        std::vector<Sample> samples;
        for (int64_t index = begin; index < end; ++index) {
            Box const box = box_of(op, static_cast<T const*>(rois) + index * 5);
            T* to = static_cast<T*>(output) + index * op.channels * bins;
            T const* from = static_cast<T const*>(input) + (box.image < 0 ? 0 : box.image) * op.channels * area;
            for (int64_t bin = 0; bin < bins; ++bin) {
                samples.clear();
                for_samples(op, box, bin / op.pooled_width, bin % op.pooled_width,
                            [&](Sample const& sample) { samples.push_back(sample); });
                for (int64_t channel = 0; channel < op.channels; ++channel) {
                    float sum = box.image < 0 ? quiet_nan() : 0.0f;
                    for (Sample const& sample : samples) {
                        for (int corner = 0; corner < 4; ++corner) {
                            sum += sample.weight[corner] * to_float(from[channel * across + sample.at[corner] * along]);
                        }
                    }
                    to[channel * bins + bin] = from_float<T>(sum / box.divisor);
                }
            }
        }
    });
}

}  // namespace t2t
