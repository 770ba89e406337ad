// As much of CUDA as the kernels of csrc use, on the host: the threads of a block, or of a cluster of blocks, are
// coroutines that take turns; blocks and clusters run one after another. It shows whether a kernel's indices, synchronisation and arithmetic are right, and nothing about
// its speed.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
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

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

struct Coroutine {
    ucontext_t context;
    std::vector<unsigned char> stack;
    bool done;
};

// What a group of threads waits at; the last one to come lets all go on.
struct Barrier {
    unsigned waiting = 0, passed = 0;
};

inline std::vector<unsigned char> memory;
inline std::vector<Coroutine> threads;  // block by block
inline std::vector<Barrier> warps, blocks;
inline Barrier cluster;
inline ucontext_t scheduler;
inline unsigned current, alive, size;  // size: threads of a block
inline size_t shared_bytes;            // of a block
inline std::function<void()> body;

// The number of this thread's block in its cluster, and how many there are.
inline unsigned rank() { return current / size; }
inline unsigned ranks() { return unsigned(blocks.size()); }

// The dynamic shared memory, aligned as the device's is.
inline unsigned char* shared() {
    auto const at = reinterpret_cast<uintptr_t>(memory.data());
    return memory.data() + (1024 - at % 1024) + rank() * shared_bytes;
}

// Lets the other threads go on.
inline void yield() {
    dim3 const mine = threadIdx, place = blockIdx;
    swapcontext(&threads[current].context, &scheduler);
    threadIdx = mine;
    blockIdx = place;
}

inline void wait(Barrier& barrier, unsigned count) {
    unsigned const seen = barrier.passed;
    if (++barrier.waiting == count) {
        barrier.waiting = 0;
        ++barrier.passed;
        return;
    }
    while (barrier.passed == seen) {
        yield();
    }
}

// The number of this thread in the cluster, and a meeting of its warp's threads.
inline unsigned thread() { return current; }
inline void meet_warp() { wait(warps[thread() / 32], std::min(32u, unsigned(threads.size()) - thread() / 32 * 32)); }

inline void enter() {
    unsigned const number = current % size;
    blockIdx.x += rank();
    threadIdx = {number % blockDim.x, number / blockDim.x % blockDim.y, number / blockDim.x / blockDim.y};
    body();
    threads[current].done = true;
    --alive;
}

// The blocks of a cluster, of which `first` is the first one.
inline void run_blocks(dim3 first) {
    unsigned const count = unsigned(threads.size());
    warps.assign((count + 31) / 32, {});
    blocks.assign(count / size, {});
    cluster = {};
    alive = count;
    for (Coroutine& thread : threads) {
        thread.done = false;
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = thread.stack.data();
        thread.context.uc_stack.ss_size = thread.stack.size();
        thread.context.uc_link = &scheduler;
        makecontext(&thread.context, enter, 0);
    }
    while (alive > 0) {
        for (current = 0; current < count; ++current) {
            if (!threads[current].done) {
                blockIdx = first;
                swapcontext(&scheduler, &threads[current].context);
            }
        }
    }
}

// Clusters of `together` blocks, side by side in x.
template <class Kernel, class... Arguments>
void launch_clusters(Kernel kernel, dim3 grid, dim3 block, size_t bytes, unsigned together, Arguments... arguments) {
    size = block.x * block.y * block.z;
    shared_bytes = (bytes + 1023) / 1024 * 1024;
    memory.assign(together * shared_bytes + 2048, 0xCD);  // what is read before it is written shows
    gridDim = grid;
    blockDim = block;
    threads.resize(together * size);
    for (Coroutine& thread : threads) {
        thread.stack.resize(1 << 16);
    }
    body = [=] { kernel(arguments...); };
    for (unsigned at = 0; at < grid.x * grid.y * grid.z; at += together) {
        run_blocks({at % grid.x, at / grid.x % grid.y, at / grid.x / grid.y});
    }
}

template <class Kernel, class... Arguments>
void launch(Kernel kernel, dim3 grid, dim3 block, size_t bytes, Arguments... arguments) {
    launch_clusters(kernel, grid, block, bytes, 1, arguments...);
}

}  // namespace emulator

inline void __syncthreads() { emulator::wait(emulator::blocks[emulator::rank()], emulator::size); }

inline void __syncwarp() { emulator::meet_warp(); }

template <class T>
T __shfl_xor_sync(unsigned, T value, unsigned mask) {
    static T held[1024];
    unsigned const mine = emulator::thread();
    held[mine] = value;
    emulator::meet_warp();
    T const other = held[mine ^ mask];
    emulator::meet_warp();
    return other;
}

template <class T>
T atomicAdd(T* target, T value) {
    T const old = *target;
    *target = old + value;
    return old;
}

inline int32_t atomicOr(int32_t* target, int32_t value) {
    int32_t const old = *target;
    *target = old | value;
    return old;
}

inline unsigned atomicCAS(unsigned* target, unsigned expected, unsigned wanted) {
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
using cudaDeviceAttr = int;
constexpr int cudaFuncAttributeMaxDynamicSharedMemorySize = 0, cudaFuncAttributePreferredSharedMemoryCarveout = 1;
constexpr cudaDeviceAttr cudaDevAttrMultiProcessorCount = 0, cudaDevAttrMaxSharedMemoryPerBlockOptin = 1;

inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline char const* cudaGetErrorString(cudaError_t) { return "none"; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0; }
// So few that small grids get the widest tiles, too, where EMULATED_PROCESSORS says so.
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int) {
    char const* given = std::getenv("EMULATED_PROCESSORS");
    int const processors = given == nullptr ? 132 : std::atoi(given);
    *value = which == cudaDevAttrMultiProcessorCount ? processors : 227 << 10;
    return cudaSuccess;
}
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel, int, int) {
    return cudaSuccess;
}

struct cudaFuncAttributes {
    int maxThreadsPerBlock;
};
// Where EMULATED_WARPGROUPS is 0, what needs warpgroups cannot run.
template <class Kernel>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, Kernel) {
    char const* given = std::getenv("EMULATED_WARPGROUPS");
    attributes->maxThreadsPerBlock = given != nullptr && std::atoi(given) == 0 ? 0 : 1024;
    return cudaSuccess;
}
