// What every kernel's interface is written in. Neither CUDA's headers nor a framework's are needed to read it.
//
// An op is a struct of sizes and settings, and four functions of it:
//   <op>_check      why the struct is wrong; nullptr when it is right
//   <op>_items      how many independent pieces the CPU version has; a caller runs ranges of them on its threads
//   <op>_cpu        computes the pieces [begin, end)
//   <op>_workspace  bytes that the CUDA version needs
//   <op>_cuda       enqueues the whole of it; returns nullptr, or why it could not be launched
// Tensors are dense and row-major unless a setting says otherwise. What cannot be checked without reading the data on
// the device (a box's image, an index past the end) makes the results that depend on it NaN.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__
#define T2T_HD __host__ __device__ __forceinline__
#else
#define T2T_HD inline
#endif

struct CUstream_st;

namespace t2t {

using Stream = CUstream_st*;  // cudaStream_t
using Error = char const*;    // nullptr: none

enum class DType : int32_t { Float32, Float16, BFloat16 };
enum class IndexType : int32_t { Int32, Int64 };

// Raised with every change of a plugin's fields or an operator's schema; torch2trt/plugins/library.py has it too.
constexpr int32_t kAbi = 1;

inline size_t size_of(DType type) { return type == DType::Float32 ? 4 : 2; }
inline size_t size_of(IndexType type) { return type == IndexType::Int32 ? 4 : 8; }

constexpr size_t kAlignment = 256;

inline size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace t2t
