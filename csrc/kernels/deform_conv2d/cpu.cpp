#include <vector>

#include "../common/dispatch.h"
#include "tap.h"

namespace t2t {

Error deform_conv2d_check(DeformConv2d const& op) {
    if (op.batch < 0 || op.channels < 0 || op.height < 0 || op.width < 0 || op.out_channels < 0) {
        return "a size is negative";
    }
    if (op.kernel_height < 1 || op.kernel_width < 1 || op.stride_height < 1 || op.stride_width < 1 ||
        op.dilation_height < 1 || op.dilation_width < 1) {
        return "kernel sizes, strides and dilations must be 1 at least";
    }
    if (op.pad_height < 0 || op.pad_width < 0) {
        return "padding must not be negative";
    }
    if (op.groups < 1 || op.offset_groups < 1) {
        return "groups and offset groups must be 1 at least";
    }
    if (op.channels % op.groups != 0 || op.out_channels % op.groups != 0 || op.channels % op.offset_groups != 0) {
        return "channels must be divisible by groups and by offset groups, output channels by groups";
    }
    if (op.width > 0 && op.height > INT32_MAX / op.width) {
        return "an image may have 2^31 - 1 elements at most";
    }
    if (op.out_height() < 1 || op.out_width() < 1) {
        return "the dilated kernel is larger than the padded input";
    }
    return nullptr;
}

int64_t deform_conv2d_items(DeformConv2d const& op) {
    return op.out_channels == 0 ? 0 : op.batch * op.out_height() * op.out_width();
}

namespace {

// What the taps read for one place: (channels, taps), as the weight lies.
template <class T>
void read_column(DeformConv2d const& op, DeformConv2dData const& data, int64_t image, int64_t y, int64_t x,
                 std::vector<float>& column) {
    int64_t const taps = op.taps(), each = op.channels / op.offset_groups, area = op.height * op.width;
    int64_t const across = op.channels_last ? 1 : area, along = op.channels_last ? op.channels : 1;
    for (int64_t group = 0; group < op.offset_groups; ++group) {
        for (int64_t number = 0; number < taps; ++number) {
            Tap const tap = tap_of(op, static_cast<T const*>(data.offset), static_cast<T const*>(data.mask), image,
                                   group, number, y, x);
            for (int64_t channel = group * each; channel < (group + 1) * each; ++channel) {
                T const* from = static_cast<T const*>(data.input) + image * op.channels * area + channel * across;
                float sum = 0.0f;
                for (int corner = 0; corner < 4; ++corner) {
                    if (tap.weight[corner] != 0.0f) {
                        sum += tap.weight[corner] * to_float(from[tap.at(corner, op.width) * along]);
                    }
                }
                column[channel * taps + number] = sum;
            }
        }
    }
}

}  // namespace

void deform_conv2d_cpu(DeformConv2d const& op, DeformConv2dData const& data, int64_t begin, int64_t end) {
    with_type(op.dtype, [&](auto type) {
        using T = decltype(type);
        int64_t const length = op.channels / op.groups * op.taps();
        int64_t const each = op.out_channels / op.groups, area = op.out_height() * op.out_width();
        std::vector<float> weight(size_t(op.out_channels * length));
        for (size_t i = 0; i < weight.size(); ++i) {
            weight[i] = to_float(static_cast<T const*>(data.weight)[i]);
        }
        std::vector<float> column(size_t(op.channels * op.taps()));
        for (int64_t item = begin; item < end; ++item) {
            int64_t const image = item / area, place = item % area;
            read_column<T>(op, data, image, place / op.out_width(), place % op.out_width(), column);
            for (int64_t out = 0; out < op.out_channels; ++out) {
                float const* row = weight.data() + out * length;
                float const* read = column.data() + out / each * length;
                float sum = data.bias == nullptr ? 0.0f : to_float(static_cast<T const*>(data.bias)[out]);
                for (int64_t i = 0; i < length; ++i) {
                    sum += row[i] * read[i];
                }
                static_cast<T*>(data.output)[(image * op.out_channels + out) * area + place] = from_float<T>(sum);
            }
        }
    });
}

}  // namespace t2t
