// How kernels are launched, and 16 bytes are read at a time.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>

#include "api.h"
#include "number.h"

namespace t2t {

constexpr int kThreads = 256;

inline int64_t blocks_for(int64_t items, int64_t threads = kThreads) { return (items + threads - 1) / threads; }

// A grid for a loop that strides over items, whatever their number.
inline unsigned grid_for(int64_t items) { return unsigned(std::min<int64_t>(blocks_for(items), 1 << 20)); }

inline Error launch_error() {
    cudaError_t const status = cudaGetLastError();
    return status == cudaSuccess ? nullptr : cudaGetErrorString(status);
}

// What the current device has of something.
inline int device_attribute(cudaDeviceAttr which) {
    int device = 0, value = 1;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&value, which, device);
    return value;
}

#define T2T_STRIDED(index, count)                                                            \
    for (int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; index < (count); \
         index += int64_t(gridDim.x) * blockDim.x)

// V numbers that are read or written by one instruction.
template <class T, int V>
struct alignas(sizeof(T) * V) Pack {
    T at[V];
};

// How many numbers 16 bytes hold.
template <class T>
constexpr int kPack = 16 / int(sizeof(T));

template <class T, int V>
__device__ __forceinline__ Pack<T, V> load_pack(T const* from) {
    return *reinterpret_cast<Pack<T, V> const*>(from);
}

// sums[i] += weight * pack[i]
template <class T, int V>
__device__ __forceinline__ void accumulate(float (&sums)[V], Pack<T, V> const& pack, float weight) {
#pragma unroll
    for (int i = 0; i < V; ++i) {
        sums[i] = fmaf(weight, to_float(pack.at[i]), sums[i]);
    }
}

}  // namespace t2t
