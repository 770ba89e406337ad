// As much of CUDA as the kernels of csrc use, on the host: the threads of a block, or of a cluster of blocks, are
// coroutines that take turns; clusters run one after another. It shows whether a kernel's indices, synchronisation and
// arithmetic are right, and nothing about its speed.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
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

constexpr size_t kStack = 1 << 16;

struct Coroutine {
    ucontext_t context;
    std::unique_ptr<unsigned char[]> stack{new unsigned char[kStack]};  // not set: little of it is ever touched
    std::function<bool()> ready;  // whether it can go on; not given: it can
    bool done;
};

// What a group of threads waits at; the last one to come lets all go on.
struct Barrier {
    unsigned waiting = 0, passed = 0;
};

inline std::vector<unsigned char> memory;
inline std::vector<Coroutine> threads;  // block by block
inline std::vector<Barrier> warps, blocks, firsts;  // firsts: of a block's first threads
inline Barrier cluster;
inline ucontext_t scheduler;
inline unsigned current, alive, size;  // size: threads of a block
inline size_t shared_bytes;            // of a block
inline std::function<void()> body;

// The number of this thread's block in its cluster, and how many there are.
inline unsigned rank() { return current / size; }
inline unsigned ranks() { return unsigned(blocks.size()); }

// A number that the environment gives.
inline int setting(char const* name, int otherwise) {
    char const* given = std::getenv(name);
    return given == nullptr ? otherwise : std::atoi(given);
}

// The dynamic shared memory, aligned as the device's is.
inline unsigned char* shared() {
    auto const at = reinterpret_cast<uintptr_t>(memory.data());
    return memory.data() + (1024 - at % 1024) + rank() * shared_bytes;
}

// Lets the other threads go on until this one can.
template <class Ready>
void wait_until(Ready ready) {
    if (ready()) {
        return;
    }
    dim3 const mine = threadIdx, place = blockIdx;
    threads[current].ready = ready;
    swapcontext(&threads[current].context, &scheduler);
    threads[current].ready = nullptr;
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
    wait_until([&barrier, seen] { return barrier.passed != seen; });
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
    firsts.assign(count / size, {});
    cluster = {};
    alive = count;
    for (Coroutine& thread : threads) {
        thread.ready = nullptr;
        thread.done = false;
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = thread.stack.get();
        thread.context.uc_stack.ss_size = kStack;
        thread.context.uc_link = &scheduler;
        makecontext(&thread.context, enter, 0);
    }
    while (alive > 0) {
        for (current = 0; current < count; ++current) {
            if (!threads[current].done && (!threads[current].ready || threads[current].ready())) {
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
T __shfl_sync(unsigned, T value, unsigned lane) {
    static T held[2048];
    unsigned const mine = emulator::thread();
    held[mine] = value;
    emulator::meet_warp();
    T const other = held[mine / 32 * 32 + lane];
    emulator::meet_warp();
    return other;
}

template <class T>
T __shfl_xor_sync(unsigned all, T value, unsigned mask) {
    return __shfl_sync(all, value, emulator::thread() % 32 ^ mask);
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
    int const processors = emulator::setting("EMULATED_PROCESSORS", 132);
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
    attributes->maxThreadsPerBlock = emulator::setting("EMULATED_WARPGROUPS", 1) == 0 ? 0 : 1024;
    return cudaSuccess;
}
