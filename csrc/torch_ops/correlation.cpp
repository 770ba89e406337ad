#include "../kernels/correlation/correlation.h"

#include "common.h"

namespace t2t::torch_ops {
namespace {

constexpr char kCorrelation[] = "torch2trt::correlation";

at::Tensor correlation(at::Tensor const& first, at::Tensor const& second, int64_t kernel_size,
                       int64_t max_displacement, int64_t stride, int64_t padding, int64_t dilation,
                       int64_t patch_dilation, bool normalize) {
    check_rank(kCorrelation, "first", first, 4);
    check_like(kCorrelation, "second", second, first);
    check_shape(kCorrelation, "second", second, first.sizes());
    Correlation const op{dtype_of(kCorrelation, first),
                         first.size(0),
                         first.size(1),
                         first.size(2),
                         first.size(3),
                         kernel_size,
                         max_displacement,
                         stride,
                         padding,
                         dilation,
                         patch_dilation,
                         normalize};
    check(kCorrelation, correlation_check(op));
    at::Tensor const one = first.contiguous(), other = second.contiguous();
    at::Tensor output =
        at::empty({op.batch, op.patch(), op.patch(), op.out_height(), op.out_width()}, first.options());
    run(
        kCorrelation, first, correlation_items(op), 256, correlation_workspace(op),
        [&](int64_t begin, int64_t end) {
            correlation_cpu(op, one.const_data_ptr(), other.const_data_ptr(), output.data_ptr(), begin, end);
        },
        [&](void* workspace, Stream stream) {
            return correlation_cuda(op, one.const_data_ptr(), other.const_data_ptr(), output.data_ptr(), workspace,
                                    stream);
        });
    return output;
}

at::Tensor correlation_meta(at::Tensor const& first, at::Tensor const&, int64_t kernel_size, int64_t max_displacement,
                            int64_t stride, int64_t padding, int64_t dilation, int64_t, bool) {
    check_rank(kCorrelation, "first", first, 4);
    int64_t const patch = 2 * max_displacement + 1, window = dilation * (kernel_size - 1) + 1;
    auto const size = [&](int64_t axis) { return (first.sym_size(axis) + 2 * padding - window) / stride + 1; };
    return at::empty_symint({first.sym_size(0), patch, patch, size(2), size(3)}, first.options());
}

}  // namespace

T2T_IMPLEMENT("correlation", correlation, correlation_meta)

}  // namespace t2t::torch_ops
