// As much of CUDA as the kernels of csrc use, on the host: a block's threads are threads, blocks run one after another.
// It shows whether a kernel's indices, synchronisation and arithmetic are right, and nothing about its speed.
#pragma once

#include <barrier>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
#define __shared__ static

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

inline thread_local dim3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;

namespace emulator {

inline std::vector<unsigned char> memory;
inline std::barrier<>* barrier = nullptr;
inline std::mutex atomic;

// The dynamic shared memory, aligned as the device's is.
inline unsigned char* shared() {
    auto const at = reinterpret_cast<uintptr_t>(memory.data());
    return memory.data() + (1024 - at % 1024);
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t bytes, Arguments... arguments) {
    unsigned const count = block.x * block.y * block.z;
    std::barrier<> all(count);
    barrier = &all;
    memory.assign(bytes + 2048, 0xCD);  // what is read before it is written shows
    gridDim = grid;
    blockDim = block;
    std::vector<std::thread> threads;
    for (unsigned number = 0; number < count; ++number) {
        threads.emplace_back([=] {
            threadIdx = {number % block.x, number / block.x % block.y, number / block.x / block.y};
            for (unsigned at = 0; at < grid.x * grid.y * grid.z; ++at) {
                blockIdx = {at % grid.x, at / grid.x % grid.y, at / grid.x / grid.y};
                kernel(arguments...);
                barrier->arrive_and_wait();
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

}  // namespace emulator

inline void __syncthreads() { emulator::barrier->arrive_and_wait(); }

template <class T>
T atomicAdd(T* target, T value) {
    std::lock_guard<std::mutex> const lock(emulator::atomic);
    T const old = *target;
    *target = old + value;
    return old;
}

inline int32_t atomicOr(int32_t* target, int32_t value) {
    std::lock_guard<std::mutex> const lock(emulator::atomic);
    int32_t const old = *target;
    *target = old | value;
    return old;
}

inline unsigned atomicCAS(unsigned* target, unsigned expected, unsigned wanted) {
    std::lock_guard<std::mutex> const lock(emulator::atomic);
    unsigned const old = *target;
    if (old == expected) {
        *target = wanted;
    }
    return old;
}

inline float __uint_as_float(unsigned bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline unsigned __float_as_uint(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

using cudaError_t = int;
constexpr cudaError_t cudaSuccess = 0;
constexpr int cudaFuncAttributeMaxDynamicSharedMemorySize = 0, cudaDevAttrMultiProcessorCount = 0;

inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline char const* cudaGetErrorString(cudaError_t) { return "none"; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0; }
// So few that small grids get the widest tiles, too, where EMULATED_PROCESSORS says so.
inline cudaError_t cudaDeviceGetAttribute(int* value, int, int) {
    char const* given = std::getenv("EMULATED_PROCESSORS");
    *value = given == nullptr ? 132 : std::atoi(given);
    return cudaSuccess;
}
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel, int, int) {
    return cudaSuccess;
}
