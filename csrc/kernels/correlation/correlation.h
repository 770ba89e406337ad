// Cost volume of two feature maps, as optical flow uses it: products of places up to `max_displacement` apart.
//
// result[n, i, j, y, x] = sum over channels c and the window (u, v) of
//     first[n, c, Y, X] * second[n, c, Y + (i - max_displacement) * patch_dilation, X + (j - ...) * patch_dilation]
// with Y = y * stride - padding + u * dilation, X alike; 0 outside. `normalize` divides by channels and window.
#pragma once

#include "../common/api.h"

namespace t2t {

struct Correlation {
    DType dtype;
    int64_t batch, channels, height, width;  // of both inputs
    int64_t kernel_size, max_displacement, stride, padding, dilation, patch_dilation;
    bool normalize;

    T2T_HD int64_t patch() const { return 2 * max_displacement + 1; }
    T2T_HD int64_t out_size(int64_t size) const {
        int64_t const reach = size + 2 * padding - (dilation * (kernel_size - 1) + 1);
        return reach < 0 ? 0 : reach / stride + 1;
    }
    T2T_HD int64_t out_height() const { return out_size(height); }
    T2T_HD int64_t out_width() const { return out_size(width); }
    T2T_HD int64_t results() const { return batch * patch() * patch() * out_height() * out_width(); }
};

Error correlation_check(Correlation const& op);
int64_t correlation_items(Correlation const& op);
void correlation_cpu(Correlation const& op, void const* first, void const* second, void* output, int64_t begin,
                     int64_t end);
inline size_t correlation_workspace(Correlation const&) { return 0; }
Error correlation_cuda(Correlation const& op, void const* first, void const* second, void* output, void* workspace,
                       Stream stream);

}  // namespace t2t
