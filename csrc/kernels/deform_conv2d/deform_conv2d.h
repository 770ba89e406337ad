// Convolution whose taps are moved by offsets: torchvision::deform_conv2d, with a mask (DCNv2) or without (v1).
#pragma once

#include "../common/api.h"

namespace t2t {

struct DeformConv2d {
    DType dtype;
    int64_t batch, channels, height, width;            // of the input (N, C, H, W)
    int64_t out_channels, kernel_height, kernel_width;  // of weight (O, C / groups, KH, KW)
    int64_t stride_height, stride_width, pad_height, pad_width, dilation_height, dilation_width;
    int64_t groups, offset_groups;
    bool channels_last;  // the input lies in memory as (N, H, W, C)

    T2T_HD int64_t taps() const { return kernel_height * kernel_width; }
    T2T_HD static int64_t out_size(int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
        int64_t const reach = size + 2 * pad - (dilation * (kernel - 1) + 1);
        return reach < 0 ? 0 : reach / stride + 1;
    }
    T2T_HD int64_t out_height() const {
        return out_size(height, kernel_height, stride_height, pad_height, dilation_height);
    }
    T2T_HD int64_t out_width() const { return out_size(width, kernel_width, stride_width, pad_width, dilation_width); }
};

struct DeformConv2dData {
    void const* input;
    void const* weight;
    void const* offset;  // (N, 2 * offset_groups * KH * KW, OH, OW): y, x of each tap
    void const* mask;    // (N, offset_groups * KH * KW, OH, OW); nullptr: 1 everywhere
    void const* bias;    // (O); nullptr: 0
    void* output;        // (N, O, OH, OW)
};

Error deform_conv2d_check(DeformConv2d const& op);
int64_t deform_conv2d_items(DeformConv2d const& op);
void deform_conv2d_cpu(DeformConv2d const& op, DeformConv2dData const& data, int64_t begin, int64_t end);
size_t deform_conv2d_workspace(DeformConv2d const& op);
Error deform_conv2d_cuda(DeformConv2d const& op, DeformConv2dData const& data, void* workspace, Stream stream);

}  // namespace t2t
