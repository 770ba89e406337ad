// The kernel as a torch operator.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#ifdef WITH_CUDA
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

#include "kernel.h"

namespace {

at::Tensor leaky_clip(at::Tensor const& x, double low, double high, double slope) {
    TORCH_CHECK(x.scalar_type() == at::kFloat, "sample_plugin::leaky_clip takes float32, not ", x.scalar_type());
    at::Tensor const input = x.contiguous();
    at::Tensor output = at::empty_like(input);
    LeakyClip const clip{float(low), float(high), float(slope)};
    auto const* from = input.const_data_ptr<float>();
    auto* to = output.data_ptr<float>();
    if (x.is_cpu()) {
        leaky_clip_cpu(clip, from, to, input.numel());
        return output;
    }
#ifdef WITH_CUDA
    c10::cuda::CUDAGuard const guard(x.device());
    auto* const stream = c10::cuda::getCurrentCUDAStream().stream();
    TORCH_CHECK(leaky_clip_cuda(clip, from, to, input.numel(), stream) == 0, "the kernel could not be launched");
#endif
    return output;
}

at::Tensor leaky_clip_meta(at::Tensor const& x, double, double, double) { return at::empty_like(x); }

}  // namespace

TORCH_LIBRARY(sample_plugin, library) {
    library.def("leaky_clip(Tensor x, float low, float high, float slope) -> Tensor");
}
TORCH_LIBRARY_IMPL(sample_plugin, CPU, library) { library.impl("leaky_clip", TORCH_FN(leaky_clip)); }
#ifdef WITH_CUDA
TORCH_LIBRARY_IMPL(sample_plugin, CUDA, library) { library.impl("leaky_clip", TORCH_FN(leaky_clip)); }
#endif
TORCH_LIBRARY_IMPL(sample_plugin, Meta, library) { library.impl("leaky_clip", TORCH_FN(leaky_clip_meta)); }
