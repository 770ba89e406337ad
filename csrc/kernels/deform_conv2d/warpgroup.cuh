// Deformable convolution on the tensor cores of sm_90a: half of a block's warps sample the left side into shared memory
// (warpgroup_sample.cuh), up to two steps ahead of the other half, which multiplies it (warpgroup_multiply.cuh).
//
// A block has as many sums as registers hold, 128 places by 256 output channels or 256 by 128: each number is sampled
// once for up to 256 output channels, and weights are brought once for 128 places at least, while these are sampled.
// Eight warps sample with 96 registers a thread, eight multiply with 160.
//
// What limits is a multiprocessor's memory, 128 bytes a cycle. A step of 128 places by 256 channels has it busy for
// 1728 cycles: 512 for the corners, 64 for where they lie, 128 and 256 to write and to read the samples, 256 and 512
// for the weights; that is 0.87 us on an H200, and it takes 0.88. Sampling without multiplying takes 0.41, multiplying
// without sampling 0.58. So where corners lie is worked out once for all channels of a phase (corners.cuh), and those
// that weigh nothing lie where zeros are. Where the same warps sampled and multiplied, the kernel without prepare.cuh's
// took 54, 41 and 50 us for 2x128x100x168, 2x256x50x84 and 2x512x25x42 in float16; now both together take 40.7, 32.1
// and 39.2. Slower were four warps that sample and products of 256 channels (47.1, 33.6, 40.2), and rows in registers.
//
// Where places are few, the blocks of a cluster share the steps of the same places, and add up in the end. The kernel
// begins while prepare.cuh's still runs, and waits for it after its first taps: 2 us less.
#pragma once

#include "warpgroup_multiply.cuh"
#include "warpgroup_sample.cuh"

namespace t2t {

#ifdef T2T_WARPGROUPS

// By all threads, before their ways part.
template <class T, int kOut>
__device__ __forceinline__ void start(WarpgroupBlock<T, kOut> const& block) {
    using Memory = WarpgroupMemory<T, kOut>;
    constexpr int kAtOnce = Memory::kPlaces > 128 ? 5 : 3;  // all taps that a thread has
    auto& memory = block.memory;
    if (threadIdx.x == 0) {
        for (int i = 0; i < Memory::kSlots; ++i) {
            make_gate(memory.full[i], 1);
            make_gate(memory.sampled[i], kSamplers / 32);
            make_gate(memory.done[i], (kWarpgroupThreads - kSamplers) / 32);
        }
        show_gates();
    }
    if (threadIdx.x < Memory::kPlaces / 8) {
        memory.nowhere[threadIdx.x] = Words{};
    }
    block.for_phases([&](int32_t channel, int32_t window, int32_t, int32_t, int32_t) {
        memory.taps.template fill<kWarpgroupThreads, kAtOnce>(block.arguments, block.first_place, channel, window,
                                                              int(threadIdx.x));
        return false;
    });
    __syncthreads();
}

template <class T, int kOut>
__device__ __forceinline__ void run(WarpgroupBlock<T, kOut> const& block) {
    start(block);
    if (__shfl_sync(0xFFFFFFFFu, int(threadIdx.x) / kSamplers, 0) == 0) {  // of a warp, so that no branch diverges
        leave_registers<96>();
        SamplingWarps<T, kOut>{block}.run();
        if (blocks_of_cluster() > 1) {
            meet_cluster();
            meet_cluster();
        }
    } else {
        take_registers<160>();
        MultiplyingWarps<T, kOut>{block}.run();
    }
}

#endif

// The grid: x over clusters of blocks, each of them over places, y over output channels of a group, z over groups.
// Built without warpgroups it is of no use, and says so by how many threads it takes.
template <class T, int kOut>
__global__ void __launch_bounds__(kWarpgroups ? kWarpgroupThreads : 32, 1)
    warpgroup_kernel(TensorArguments<T> arguments) {
#ifdef T2T_WARPGROUPS
    extern __shared__ __align__(128) unsigned char shared[];
    let_begin();  // all that is older than prepare.cuh's kernel has ended
    run(WarpgroupBlock<T, kOut>(arguments, *reinterpret_cast<WarpgroupMemory<T, kOut>*>(shared)));
#endif
}

// Whether the device runs code that was built with warpgroups.
template <class T>
bool has_warpgroups() {
    cudaFuncAttributes attributes;
    return cudaFuncGetAttributes(&attributes, warpgroup_kernel<T, 64>) == cudaSuccess &&
           attributes.maxThreadsPerBlock >= kWarpgroupThreads;
}

// How many blocks share the steps of the same places: what counts is how many steps a multiprocessor has in the end. A
// block's start and end take about as long as two steps, and adding up one. The multiprocessors of a cluster are of one
// group of 16 to 18. The three sizes above get 1, 2 and 3 blocks; with 2 each they take 54.5, 35.7 and 50.3 us.
inline int best_cluster(int64_t tiles, int64_t steps, int64_t processors) {
    int best = 1;
    int64_t least = INT64_MAX;
    for (int blocks = 1; blocks <= kMostBlocks && blocks <= steps; ++blocks) {
        int64_t const most = blocks <= 2 ? processors / blocks : processors / 16 * (16 / blocks);
        if (most == 0) {
            break;
        }
        int64_t const rounds = blocks_for(tiles, most);
        int64_t const cost = rounds * (blocks_for(steps, blocks) + (blocks > 1 ? 3 : 2));
        if (cost < least) {
            least = cost;
            best = blocks;
        }
    }
    return best;
}

template <class T, int kOut>
Error launch_warpgroup(TensorArguments<T> const& arguments, int64_t processors, Stream stream) {
    using Memory = WarpgroupMemory<T, kOut>;
    auto const& op = arguments.op;
    auto const kernel = warpgroup_kernel<T, kOut>;
    // The rest of the cache is for what is sampled.
    int const bytes = int(sizeof(Memory)), share = (bytes + 1024) * 100 / (228 << 10) + 1;
    cudaError_t status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    if (status == cudaSuccess) {
        status = cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, share);
    }
    if (status != cudaSuccess) {
        return cudaGetErrorString(status);
    }
    int64_t const tiles = blocks_for(op.batch * op.out_height() * op.out_width(), Memory::kPlaces);
    int64_t const out_tiles = blocks_for(op.out_channels / op.groups, kOut);
    int const cluster = best_cluster(tiles * out_tiles * op.groups, arguments.stages, processors);
    dim3 const grid(unsigned(tiles * cluster), unsigned(out_tiles), unsigned(op.groups));
    return launch_clusters_early(kernel, grid, kWarpgroupThreads, size_t(bytes), cluster, stream, arguments);
}

}  // namespace t2t
