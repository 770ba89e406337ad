#include <cuda_runtime.h>

#include "kernel.h"

__global__ void leaky_clip_kernel(LeakyClip clip, float const* input, float* output, int64_t count) {
    int64_t const i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < count) {
        output[i] = clip(input[i]);
    }
}

int leaky_clip_cuda(LeakyClip const& clip, float const* input, float* output, int64_t count, CUstream_st* stream) {
    if (count > 0) {
        leaky_clip_kernel<<<unsigned((count + 255) / 256), 256, 0, stream>>>(clip, input, output, count);
    }
    return cudaGetLastError() == cudaSuccess ? 0 : 1;
}
