// What sm_90 has for warps that do not keep step: gates that copies arrive at, blocks that share what they hold, and
// launches that overlap with what they wait for. The tests' emulator has a version of this file for the host.
#pragma once

#include "launch.cuh"

namespace t2t {

// In shared memory. A round ends when as many arrivals were counted as the gate was made for, and as many bytes were
// copied as were expected; rounds are told apart by their parity.
struct Gate {
    uint64_t state;
};

__device__ __forceinline__ unsigned shared_address(void const* at) { return unsigned(__cvta_generic_to_shared(at)); }

__device__ __forceinline__ void make_gate(Gate& gate, unsigned arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&gate)), "r"(arrivals) : "memory");
}

// By the thread that made the gates, before the barrier that the others wait at.
__device__ __forceinline__ void show_gates() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

__device__ __forceinline__ void arrive(Gate& gate) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&gate)) : "memory");
}

// Arrives, too.
__device__ __forceinline__ void expect_bytes(Gate& gate, unsigned bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&gate)), "r"(bytes)
                 : "memory");
}

// Waits for the end of the last round of this parity.
__device__ __forceinline__ void pass(Gate& gate, unsigned parity) {
    asm volatile(
        "{\n"
        ".reg .pred passed;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 passed, [%0], %1;\n"
        "@passed bra done;\n"
        "bra again;\n"
        "done:\n"
        "}\n" ::"r"(shared_address(&gate)),
        "r"(parity)
        : "memory");
}

// To shared memory; sizes and places are multiples of 16 bytes.
__device__ __forceinline__ void copy_bytes(void* to, void const* from, unsigned bytes, Gate& gate) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     shared_address(to)),
                 "l"(from), "r"(bytes), "r"(shared_address(&gate))
                 : "memory");
}

__device__ __forceinline__ int blocks_of_cluster() {
    int number;
    asm("mov.u32 %0, %%cluster_nctaid.x;" : "=r"(number));
    return number;
}

__device__ __forceinline__ int block_of_cluster() {
    int number;
    asm("mov.u32 %0, %%cluster_ctaid.x;" : "=r"(number));
    return number;
}

// All threads of a cluster's blocks; what they wrote is visible to each other.
__device__ __forceinline__ void meet_cluster() {
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// Writes to where another block of the cluster has what this one has at `to`.
__device__ __forceinline__ void store_to_block(float* to, int block, float const (&values)[4]) {
    asm volatile(
        "{\n"
        ".reg .b32 there;\n"
        "mapa.shared::cluster.u32 there, %0, %1;\n"
        "st.shared::cluster.v4.f32 [there], {%2, %3, %4, %5};\n"
        "}\n" ::"r"(shared_address(to)),
        "r"(block), "f"(values[0]), "f"(values[1]), "f"(values[2]), "f"(values[3])
        : "memory");
}

// The first kThreads threads of a block.
template <int kThreads>
__device__ __forceinline__ void meet_first() {
    asm volatile("bar.sync 1, %0;" ::"n"(kThreads) : "memory");
}

// Lets a kernel of launch_early begin, once all blocks said so.
__device__ __forceinline__ void let_begin() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Waits for all that the kernel before did.
__device__ __forceinline__ void wait_for_kernel_before() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Launches clusters of blocks side by side in x, before the kernel before has ended.
template <class... Arguments>
Error launch_clusters_early(void (*kernel)(Arguments...), dim3 grid, int threads, size_t bytes, int cluster,
                            Stream stream, Arguments const&... arguments) {
    cudaLaunchAttribute attributes[2] = {};
    attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[0].val.programmaticStreamSerializationAllowed = 1;
    attributes[1].id = cudaLaunchAttributeClusterDimension;
    attributes[1].val.clusterDim.x = unsigned(cluster);
    attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = dim3(unsigned(threads));
    config.dynamicSmemBytes = bytes;
    config.stream = stream;
    config.attrs = attributes;
    config.numAttrs = cluster > 1 ? 2 : 1;
    cudaError_t const status = cudaLaunchKernelEx(&config, kernel, arguments...);
    return status == cudaSuccess ? launch_error() : cudaGetErrorString(status);
}

// Launches blocks before the kernel before has ended, if they are built to wait for it. They go to where others end
// first. So that those do not take more than their share of few blocks, each block is given as much shared memory as
// leaves no place for more; or, where kCached, few blocks are not launched early: that memory is the cache's. A kernel
// that lets others begin has waited before, so that those may read what is older without waiting.
template <bool kCached, class... Arguments>
Error launch_early(void (*kernel)(Arguments...), dim3 grid, int threads, Stream stream, Arguments const&... arguments) {
    cudaFuncAttributes built;
    int places = 0;  // of a multiprocessor
    cudaError_t status = cudaFuncGetAttributes(&built, kernel);
    if (status == cudaSuccess) {
        status = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&places, kernel, threads, 0);
    }
    if (status != cudaSuccess) {
        return cudaGetErrorString(status);
    }
    int64_t const blocks = int64_t(grid.x) * grid.y * grid.z;
    int64_t const share = blocks_for(blocks, device_attribute(cudaDevAttrMultiProcessorCount));
    if (built.ptxVersion < 90 || (kCached && share < places)) {
        kernel<<<grid, threads, 0, stream>>>(arguments...);
        return launch_error();
    }
    int64_t bytes = 0;
    if (share < places) {
        int64_t const all = device_attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor) / share -
                            device_attribute(cudaDevAttrReservedSharedMemoryPerBlock);
        int64_t const most = device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
        bytes = (std::min(all, most) - int64_t(built.sharedSizeBytes)) / 128 * 128;
        status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes));
        if (status != cudaSuccess) {
            return cudaGetErrorString(status);
        }
    }
    return launch_clusters_early(kernel, grid, threads, size_t(bytes), 1, stream, arguments...);
}

}  // namespace t2t
