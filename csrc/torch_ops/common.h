// What the operators share: checks of tensors, and how a kernel runs on the CPU's threads or a CUDA stream.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#ifdef T2T_CUDA
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

#include "../kernels/common/api.h"

namespace t2t::torch_ops {

inline DType dtype_of(char const* name, at::Tensor const& tensor) {
    switch (tensor.scalar_type()) {
        case at::kFloat: return DType::Float32;
        case at::kHalf: return DType::Float16;
        case at::kBFloat16: return DType::BFloat16;
        default: TORCH_CHECK(false, name, " takes float32, float16 and bfloat16, not ", tensor.scalar_type());
    }
}

inline IndexType index_type_of(char const* name, at::Tensor const& tensor) {
    TORCH_CHECK(tensor.scalar_type() == at::kLong || tensor.scalar_type() == at::kInt, name,
                " takes indices of int64 or int32, not ", tensor.scalar_type());
    return tensor.scalar_type() == at::kLong ? IndexType::Int64 : IndexType::Int32;
}

inline void check_rank(char const* name, char const* argument, at::Tensor const& tensor, int64_t rank) {
    TORCH_CHECK(tensor.dim() == rank, name, ": ", argument, " must have ", rank, " axes, got shape ",
                tensor.sym_sizes());
}

inline void check_shape(char const* name, char const* argument, at::Tensor const& tensor, at::IntArrayRef shape) {
    TORCH_CHECK(tensor.sizes() == shape, name, ": ", argument, " must have shape ", shape, ", got ", tensor.sizes());
}

// Same device and, for numbers, same dtype.
inline void check_like(char const* name, char const* argument, at::Tensor const& tensor, at::Tensor const& like,
                       bool dtype = true) {
    TORCH_CHECK(tensor.device() == like.device(), name, ": ", argument, " is on ", tensor.device(),
                ", the first argument on ", like.device());
    TORCH_CHECK(!dtype || tensor.scalar_type() == like.scalar_type(), name, ": ", argument, " is ",
                tensor.scalar_type(), ", the first argument ", like.scalar_type());
}

inline void check(char const* name, Error error) { TORCH_CHECK(error == nullptr, name, ": ", error); }

// Whether an image batch lies in memory channels last, and not in order at the same time.
inline bool lies_channels_last(at::Tensor const& input) {
    return !input.is_contiguous() && input.is_contiguous(at::MemoryFormat::ChannelsLast);
}

// An image batch in order or channels last, whichever it is already.
inline at::Tensor dense(at::Tensor const& input) { return lies_channels_last(input) ? input : input.contiguous(); }

// Runs a kernel where `like` is: `cpu` is called with ranges of items, `cuda` with a workspace and a stream.
template <class Cpu, class Cuda>
void run(char const* name, at::Tensor const& like, int64_t items, int64_t grain, size_t workspace, Cpu&& cpu,
         Cuda&& cuda) {
    if (like.is_cpu()) {
        at::parallel_for(0, items, grain, cpu);
        return;
    }
#ifdef T2T_CUDA
    c10::cuda::CUDAGuard const guard(like.device());
    at::Tensor const memory = at::empty({int64_t(workspace)}, like.options().dtype(at::kByte));
    check(name, cuda(memory.data_ptr(), c10::cuda::getCurrentCUDAStream().stream()));
#else
    static_cast<void>(workspace);
    static_cast<void>(cuda);
    TORCH_CHECK(false, name, " was built without CUDA");
#endif
}

// Registers one function for the CPU and for CUDA, and the one that gives shapes alone.
#ifdef T2T_CUDA
#define T2T_IMPLEMENT(op, function, shapes)                                                  \
    TORCH_LIBRARY_IMPL(torch2trt, CPU, library) { library.impl(op, TORCH_FN(function)); }   \
    TORCH_LIBRARY_IMPL(torch2trt, CUDA, library) { library.impl(op, TORCH_FN(function)); }  \
    TORCH_LIBRARY_IMPL(torch2trt, Meta, library) { library.impl(op, TORCH_FN(shapes)); }
#else
#define T2T_IMPLEMENT(op, function, shapes)                                                 \
    TORCH_LIBRARY_IMPL(torch2trt, CPU, library) { library.impl(op, TORCH_FN(function)); }  \
    TORCH_LIBRARY_IMPL(torch2trt, Meta, library) { library.impl(op, TORCH_FN(shapes)); }
#endif

}  // namespace t2t::torch_ops
