// The warps of warpgroup.cuh that multiply, add up in the cluster and write.
#pragma once

#include "warpgroup_block.cuh"

#ifdef T2T_WARPGROUPS

namespace t2t {

// Two warpgroups; each has 128 places, in two rounds of 64, by kWide output channels. As one product of 256 channels
// would need more than the 128 registers that a thread begins with, the two take 128 each of the same places.
template <class T, int kOut>
struct MultiplyingWarps : WarpgroupBlock<T, kOut> {
    using Block = WarpgroupBlock<T, kOut>;
    using Memory = typename Block::Memory;
    using Block::arguments, Block::memory, Block::first_place, Block::count;
    static constexpr int kSlots = Block::kSlots;
    static constexpr int kColumns = Memory::kWide / 8;
    static constexpr int kFragments = 2 * kColumns;  // of four sums, round by round

    using Sums = float[kFragments][4];

    __device__ __forceinline__ static int half() { return int(threadIdx.x) / 128 - kSamplers / 128; }
    __device__ __forceinline__ static int place_half() { return kOut > 128 ? 0 : half(); }
    __device__ __forceinline__ static int channel_half() { return kOut > 128 ? half() : 0; }

    // Where in the block the 2 places are whose sums a lane holds in a round.
    __device__ __forceinline__ static int slot(int round) {
        return (place_half() * 2 + round) * 64 + int(threadIdx.x) % 128 / 32 * 16 + int(threadIdx.x) % 32 / 4 * 2;
    }

    // A lane's first output channel of its group.
    __device__ __forceinline__ static int32_t first_out() {
        return int32_t(blockIdx.y) * kOut + channel_half() * Memory::kWide + int(threadIdx.x) % 4 * 2;
    }

    __device__ __forceinline__ int32_t out_each() const {
        return int32_t(uint32_t(arguments.op.out_channels) / uint32_t(arguments.op.groups));
    }

    // Sums begin with the bias, those of a cluster's first block.
    __device__ __forceinline__ void set_sums(Sums& sums) const {
        int32_t const out_each = this->out_each();
        bool const biased = arguments.bias != nullptr && block_of_cluster() == 0;
        T const* bias = arguments.bias + int64_t(blockIdx.z) * out_each;
#pragma unroll
        for (int column = 0; column < kColumns; ++column) {
#pragma unroll
            for (int which = 0; which < 2; ++which) {
                int32_t const out = first_out() + column * 8 + which;
                float const value = biased && out < out_each ? to_float(bias[out]) : 0.0f;
#pragma unroll
                for (int round = 0; round < 2; ++round) {
                    sums[round * kColumns + column][which] = sums[round * kColumns + column][2 + which] = value;
                }
            }
        }
    }

    __device__ __forceinline__ void multiply(Sums& sums) const {
        for (int32_t number = 0; number < count; ++number) {
            int const slot = number % kSlots;
            unsigned const parity = unsigned(number / kSlots) % 2;
            pass(memory.full[slot], parity);
            pass(memory.sampled[slot], parity);
            uint64_t const weights =
                columns_at(memory.ring.weights[slot] + channel_half() * Memory::kWide * 8, kOut * 16);
            uint64_t const rows = rows_at(memory.ring.rows[slot] + place_half() * 128 * kChunk);
            begin_products();
#pragma unroll
            for (int k = 0; k < 8; k += 2) {
#pragma unroll
                for (int round = 0; round < 2; ++round) {
                    auto& target = reinterpret_cast<float(&)[kColumns][4]>(sums[round * kColumns]);
                    add_product<T>(target, further(rows, round * 64 * kChunk * 2 + k * 16),
                                   further(weights, k * kOut * 16));
                }
            }
            end_products(sums);
            if (threadIdx.x % 32 == 0) {
                arrive(memory.done[slot]);
            }
            __syncwarp();
        }
    }

    // Where the 2 places of a round lie in the plane of the lane's first output channel; nullptr past the end.
    __device__ __forceinline__ void find_places(int round, T* (&to)[2]) const {
        auto const& op = arguments.op;
        uint32_t const width = uint32_t(arguments.out_width), area = width * uint32_t(arguments.out_height);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            NearPlace const place(arguments, uint32_t(first_place + slot(round) + i));
            int64_t const first = int64_t(place.image) * op.out_channels + int64_t(blockIdx.z) * out_each();
            int64_t const plane = first + first_out();
            T* at = arguments.output + (plane * area + place.y * width + place.x);
            to[i] = place.image < uint32_t(op.batch) ? at : nullptr;
        }
    }

    // body(fragment's sums, its first channel from the lane's first one) for the fragments of a round of `first` on,
    // before `last`.
    template <class Body>
    __device__ __forceinline__ static void for_columns(Sums const& sums, int round, int first, int last, Body&& body) {
#pragma unroll
        for (int column = 0; column < kColumns; ++column) {
            int const fragment = round * kColumns + column;
            if (fragment >= first && fragment < last) {
                body(sums[fragment], column * 8);
            }
        }
    }

    // Writes the fragments of `first` on, before `last`: two places at once where all channels are there.
    __device__ __forceinline__ void write(Sums const& sums, int first, int last) const {
        uint32_t const area = uint32_t(arguments.out_width) * uint32_t(arguments.out_height);
        int32_t const end = out_each() - first_out(), lane_first = int(threadIdx.x) % 4 * 2;
        bool const whole = arguments.by_pairs && Memory::kWide - lane_first <= end;
#pragma unroll
        for (int round = 0; round < 2; ++round) {
            if (first >= (round + 1) * kColumns || last <= round * kColumns) {
                continue;
            }
            T* to[2];
            find_places(round, to);
            if (!whole) {
                for_columns(sums, round, first, last, [&](float const (&sum)[4], int column) {
#pragma unroll
                    for (int i = 0; i < 4; ++i) {
                        if (column + i % 2 < end && to[i / 2] != nullptr) {
                            to[i / 2][int64_t(column + i % 2) * area] = from_float<T>(sum[i]);
                        }
                    }
                });
            } else if (to[0] != nullptr) {
                for_columns(sums, round, first, last, [&](float const (&sum)[4], int column) {
#pragma unroll
                    for (int i = 0; i < 2; ++i) {
                        *reinterpret_cast<uint32_t*>(to[0] + int64_t(column + i) * area) =
                            pair_of<T>(sum[i], sum[2 + i]);
                    }
                });
            }
        }
    }

    // The fragments that other blocks of the cluster add up: a share each.
    template <int kBlocks, int kShare>
    __device__ __forceinline__ void send_shares(Sums const& sums, int block) const {
        int const thread = int(threadIdx.x) - kSamplers;
#pragma unroll
        for (int other = 0; other < kBlocks; ++other) {
            if (other != block) {
                auto* received = memory.received + (block < other ? block : block - 1) * kShare;
#pragma unroll
                for (int i = 0; i < kShare; ++i) {
                    if (other * kShare + i < kFragments) {
                        store_to_block(received[i][thread], other, sums[other * kShare + i]);
                    }
                }
            }
        }
    }

    // In a fixed order: results are the same every time.
    template <int kBlocks>
    __device__ __forceinline__ void add_received(float (&sum)[4], int share, int number) const {
#pragma unroll
        for (int other = 0; other < kBlocks - 1; ++other) {
            auto const& received = memory.received[other * share + number][int(threadIdx.x) - kSamplers];
            auto const more = load_pack<float, 4>(received);
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                sum[i] += more.at[i];
            }
        }
    }

    // The blocks of a cluster add up a share of the fragments each, and write it. Sums that are indexed by what only
    // the device knows would lie in memory: so there is a branch for each block. Its number is asked for once, or the
    // compiler does not see that a single one is taken.
    template <int kBlocks>
    __device__ __forceinline__ void share(Sums& sums) const {
        constexpr int kShare = (kFragments + kBlocks - 1) / kBlocks;
        int const block = block_of_cluster();
        meet_cluster();
        send_shares<kBlocks, kShare>(sums, block);
        meet_cluster();
#pragma unroll
        for (int own = 0; own < kBlocks; ++own) {
            if (own == block) {
#pragma unroll
                for (int i = 0; i < kShare; ++i) {
                    if (own * kShare + i < kFragments) {
                        add_received<kBlocks>(sums[own * kShare + i], kShare, i);
                    }
                }
                write(sums, own * kShare, (own + 1) * kShare);
            }
        }
    }

    __device__ __forceinline__ void run() const {
        Sums sums;
        set_sums(sums);
        multiply(sums);
        switch (blocks_of_cluster()) {
            case 1: write(sums, 0, kFragments); break;
            case 2: share<2>(sums); break;
            case 3: share<3>(sums); break;
            default: share<4>(sums);
        }
    }
};

}  // namespace t2t

#endif
