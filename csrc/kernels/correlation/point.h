// One element of a cost volume.
#pragma once

#include "../common/number.h"
#include "correlation.h"

namespace t2t {

template <class T>
T2T_HD T correlation_point(Correlation const& op, T const* first, T const* second, int64_t index) {
    int64_t const out_width = op.out_width(), out_height = op.out_height(), patch = op.patch();
    int64_t const line = quotient(index, out_width), x = index - line * out_width;
    int64_t const place = quotient(line, out_height), y = line - place * out_height;
    int64_t const rows = quotient(place, patch), j = place - rows * patch;
    int64_t const image = quotient(rows, patch), i = rows - image * patch;
    int64_t const down = (i - op.max_displacement) * op.patch_dilation;
    int64_t const right = (j - op.max_displacement) * op.patch_dilation;
    int64_t const area = op.height * op.width;
    float sum = 0.0f;
    for (int64_t u = 0; u < op.kernel_size; ++u) {
        int64_t const y1 = y * op.stride - op.padding + u * op.dilation, y2 = y1 + down;
        if (y1 < 0 || y1 >= op.height || y2 < 0 || y2 >= op.height) {
            continue;
        }
        for (int64_t v = 0; v < op.kernel_size; ++v) {
            int64_t const x1 = x * op.stride - op.padding + v * op.dilation, x2 = x1 + right;
            if (x1 < 0 || x1 >= op.width || x2 < 0 || x2 >= op.width) {
                continue;
            }
            T const* one = first + image * op.channels * area + y1 * op.width + x1;
            T const* other = second + image * op.channels * area + y2 * op.width + x2;
#ifdef __CUDA_ARCH__
#pragma unroll 4
#endif
            for (int64_t channel = 0; channel < op.channels; ++channel) {
                sum += to_float(one[channel * area]) * to_float(other[channel * area]);
            }
        }
    }
    if (op.normalize) {
        sum /= float(op.channels * op.kernel_size * op.kernel_size);
    }
    return from_float<T>(sum);
}

}  // namespace t2t
