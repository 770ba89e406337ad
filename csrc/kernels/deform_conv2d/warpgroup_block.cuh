// What both kinds of warps of warpgroup.cuh know: the block's shared memory, and its steps.
#pragma once

#include "../common/async.cuh"
#include "../common/wgmma.cuh"
#include "corners.cuh"

namespace t2t {

constexpr int kWarpgroupThreads = 512, kSamplers = 256;  // the first warps sample
constexpr int kMostBlocks = 4;                           // of a cluster

// Rows and weights are rings of two slots; more would take memory from the cache that is sampled from. A step's slot
// goes round by three gates: `full` opens once its weights have come, `sampled` once its places are written, `done` once
// they are multiplied.
template <class T, int kOut>
struct WarpgroupMemory {
    static constexpr int kPlaces = kOut > 128 ? 128 : 256;
    static constexpr int kSlots = 2;
    static constexpr int kWide = kOut > 128 ? 128 : kOut;  // output channels of a warpgroup, which has 128 places
    static constexpr int kWeights = kOut * kChunk;         // of a step

    struct Ring {
        alignas(1024) T rows[kSlots][kPlaces * kChunk];  // swizzled, see rows_at
        alignas(128) T weights[kSlots][kWeights];        // as prepare.cuh arranges a step of them
    };
    union {
        Ring ring;
        alignas(16) float received[kWide * 3 / 16][kSamplers][4];  // up to 3 quarters of the sums
    };
    alignas(16) CornerTable<T, kPlaces> taps;
    Words nowhere[kPlaces / 8];  // zeros: where lanes look up places of no channels
    Gate full[kSlots], sampled[kSlots], done[kSlots];
};

#ifdef T2T_WARPGROUPS

template <class T, int kOut>
struct WarpgroupBlock {
    using Memory = WarpgroupMemory<T, kOut>;
    static constexpr int kPlaces = Memory::kPlaces, kSlots = Memory::kSlots;

    TensorArguments<T> const& arguments;
    Memory& memory;
    int32_t first_place;
    int32_t begin, count;  // the block's first step, and how many it has

    __device__ __forceinline__ WarpgroupBlock(TensorArguments<T> const& arguments_, Memory& memory_)
        : arguments(arguments_),
          memory(memory_),
          first_place(int32_t(blockIdx.x / unsigned(blocks_of_cluster())) * kPlaces) {
        uint32_t const blocks = uint32_t(blocks_of_cluster()), block = uint32_t(block_of_cluster());
        begin = int32_t(uint32_t(arguments.stages) * block / blocks);
        count = int32_t(uint32_t(arguments.stages) * (block + 1) / blocks) - begin;
    }

    // body(first channel of the group, window, first step of the phase among the block's, the block's first and last
    // steps of the phase) for the phases that the block has steps of, until it returns false.
    template <class Body>
    __device__ __forceinline__ void for_phases(Body&& body) const {
        auto const& walk = arguments.walk;
        int32_t step = -begin;
        for (int32_t channel = 0; channel < walk.each; channel += walk.span) {
            for (int32_t window = 0; window < walk.windows(); ++window) {
                int32_t const steps = walk.stages(window), from = step < 0 ? -step : 0;
                int32_t const to = count - step < steps ? count - step : steps;
                if (from < to && !body(int32_t(blockIdx.z) * walk.each + channel, window, step, from, to)) {
                    return;
                }
                step += steps;
            }
        }
    }
};

#endif

}  // namespace t2t
