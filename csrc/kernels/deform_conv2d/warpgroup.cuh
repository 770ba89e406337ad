// Deformable convolution on the tensor cores of sm_90a. As in tensor.cuh each warp samples the left side itself, into
// the registers that the products read; here these run meanwhile: those of one step while the next one is sampled.
//
// What limits is the bandwidth of shared memory and first level cache, which are one. So a block has as many sums as
// registers hold, 128 places by 256 output channels or 256 by 128: each number is sampled once for up to 256 output
// channels, and weights are brought once for 128 places at least, in slots that one thread orders some steps ahead.
// Where places are few, the blocks of a cluster share the steps of the same places, and add up in the end.
#pragma once

#include "../common/async.cuh"
#include "../common/wgmma.cuh"
#include "sample.cuh"

namespace t2t {

constexpr int kWarpgroupThreads = 256;
constexpr int kMostBlocks = 4;  // of a cluster

template <class T, int kOut>
struct WarpgroupMemory {
    static constexpr int kRounds = kOut > 128 ? 1 : 2;  // a warpgroup's places, 64 at a time
    static constexpr int kPlaces = kWarpgroupThreads / 2 * kRounds;
    static constexpr int kSlots = kOut > 128 ? 4 : 6;
    static constexpr int kSlotNumbers = kOut * kChunk;

    TapTable<T, kPlaces> taps;
    Gate full[kSlots], empty[kSlots];
    union {
        alignas(128) T slots[kSlots][kSlotNumbers];
        alignas(16) float received[kRounds * kOut * 3 / 32][kWarpgroupThreads][4];  // up to 3 quarters of the sums
    };
};

#ifdef T2T_WARPGROUPS

template <class T, int kOut>
struct WarpgroupBlock {
    using Memory = WarpgroupMemory<T, kOut>;
    static constexpr int kRounds = Memory::kRounds, kPlaces = Memory::kPlaces, kSlots = Memory::kSlots;
    static constexpr int kAhead = kSlots - 2;  // steps that weights are ordered ahead
    static constexpr int kColumns = kOut / 8;
    static constexpr int kFragments = kRounds * kColumns;

    TensorArguments<T> const& arguments;
    Memory& memory;
    Sampler<T> sampler;
    int64_t first_place;
    int32_t begin, count;  // the block's first step, and how many it has
    float sums[kFragments][4];
    Rows rows;  // of the products that run

    // A step's place in its phase.
    struct Step {
        int32_t tap, chunk;
    };

    // What is sampled next.
    struct Reading {
        Corners corners;
        CornerWeights weights;
    };

    __device__ __forceinline__ WarpgroupBlock(TensorArguments<T> const& arguments_, Memory& memory_)
        : arguments(arguments_),
          memory(memory_),
          sampler(arguments_),
          first_place(int64_t(blockIdx.x / unsigned(blocks_of_cluster())) * kPlaces),
          rows{} {
        int32_t const blocks = blocks_of_cluster(), block = block_of_cluster();
        begin = int32_t(int64_t(arguments.stages) * block / blocks);
        count = int32_t(int64_t(arguments.stages) * (block + 1) / blocks) - begin;
        for_sums([](float (&sum)[4], int) { sum[0] = sum[1] = sum[2] = sum[3] = 0.0f; });
    }

    // Where in the block the 2 places are whose rows a lane holds in a round.
    __device__ __forceinline__ static int slot(int round) {
        int const warp = int(threadIdx.x) / 32;
        return (warp / 4 * kRounds + round) * 64 + warp % 4 * 16 + int(threadIdx.x) % 32 / 4 * 2;
    }

    // body(sum, fragment) for all fragments of a lane.
    template <class Body>
    __device__ __forceinline__ void for_sums(Body&& body) {
#pragma unroll
        for (int fragment = 0; fragment < kFragments; ++fragment) {
            body(sums[fragment], fragment);
        }
    }

    // One thread orders the weights of the block's step `number`, once all warps are done with what its slot held.
    __device__ __forceinline__ void order_weights(int32_t number) const {
        if (number >= count) {
            return;
        }
        int const in = number % kSlots;
        if (number >= kSlots) {
            pass(memory.empty[in], unsigned(number / kSlots + 1) % 2);
        }
        constexpr unsigned kBytes = Memory::kSlotNumbers * sizeof(T);
        int64_t const tile = int64_t(blockIdx.z) * gridDim.y + blockIdx.y;
        expect_bytes(memory.full[in], kBytes);
        copy_bytes(memory.slots[in],
                   arguments.weight + (tile * arguments.stages + begin + number) * Memory::kSlotNumbers, kBytes,
                   memory.full[in]);
    }

    // Lets the slot of the step before go, orders one more and waits for this step's.
    __device__ __forceinline__ void turn_to(int32_t number) const {
        if (threadIdx.x % 32 == 0 && number > 0) {
            arrive(memory.empty[(number - 1) % kSlots]);
        }
        if (threadIdx.x == 0) {
            order_weights(number + kAhead);
        }
        __syncwarp();
        pass(memory.full[number % kSlots], unsigned(number / kSlots) % 2);
    }

    // The products of a round of the block's step `number` begin; those before have ended.
    __device__ __forceinline__ void multiply(int32_t number, int round, Rows const& sampled) {
        end_products(sums, rows);
        if (round == 0) {
            turn_to(number);
        }
        T const* weights = memory.slots[number % kSlots];
        auto& target = reinterpret_cast<float(&)[kColumns][4]>(sums[round * kColumns]);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            rows[i / 2][i % 2] = sampled[i / 2][i % 2];
        }
        begin_products();
#pragma unroll
        for (int k = 0; k < 8; k += 2) {
            Words const& even = rows[k / 4][0];
            Words const& odd = rows[k / 4][1];
            add_product<T>(target, even.at[k % 4], odd.at[k % 4], even.at[k % 4 + 1], odd.at[k % 4 + 1],
                           columns_at(weights + k * kOut * 8, kOut * 16));
        }
        commit_products();
    }

    // One of the four places that eight lanes have in a round. first: of the phase's channels, in packs.
    __device__ __forceinline__ void read(Step step, int32_t first, bool wanted, int round, int place,
                                         Reading& reading) const {
        int32_t const pack = step.chunk * (kChunk / 8) + int(threadIdx.x % 8);
        int const at = slot(round) / 4 * 4 + place;
        bool const inside = wanted && pack < arguments.packs;
        reading.weights = inside ? memory.taps.weights[step.tap][at] : CornerWeights{};
        sampler.read_ahead(uint32_t(memory.taps.base[step.tap][at] + first + pack), reading.weights, reading.corners);
    }

    // Steps of a phase; `number`: what the first of them is among the block's. Two places' corners are always on their
    // way.
    __device__ __forceinline__ void run_phase(int32_t first_channel, int32_t held, int32_t step, int32_t end,
                                              int32_t number) {
        int32_t const first = first_channel / 8;
        Step now{step % held, step / held};
        Reading readings[2];
        read(now, first, true, 0, 0, readings[0]);
        read(now, first, true, 0, 1, readings[1]);
        for (; step < end; ++step, ++number) {
            bool const more = step + 1 < end;
            Step const next = now.tap + 1 < held ? Step{now.tap + 1, now.chunk} : Step{0, now.chunk + 1};
#pragma unroll
            for (int round = 0; round < kRounds; ++round) {
                Rows sampled;
#pragma unroll
                for (int place = 0; place < 4; ++place) {
                    Reading& reading = readings[place % 2];
                    __syncwarp();  // or the compiler puts reads off until what came before has been weighed
                    sampled[place / 2][place % 2] = sampler.weigh(reading.corners, reading.weights);
                    if (place < 2) {
                        read(now, first, true, round, place + 2, reading);
                    } else if (round + 1 < kRounds) {
                        read(now, first, true, round + 1, place - 2, reading);
                    } else {
                        read(more ? next : now, first, more, 0, place - 2, reading);
                    }
                }
                exchange(sampled);
                multiply(number, round, sampled);
            }
            now = next;
        }
        end_products(sums, rows);
    }

    // The blocks of a cluster add up a share of the fragments each.
    __device__ __forceinline__ static int32_t share() {
        return (kFragments + blocks_of_cluster() - 1) / blocks_of_cluster();
    }

    __device__ __forceinline__ static bool has(int32_t block, int fragment) {
        return fragment >= block * share() && fragment < (block + 1) * share();
    }

    __device__ __forceinline__ void add_blocks() {
        int32_t const blocks = blocks_of_cluster(), block = block_of_cluster();
        meet_cluster();
        for (int32_t other = 0; other < blocks; ++other) {
            auto* received = memory.received + (block < other ? block : block - 1) * share() - other * share();
            for_sums([&](float (&sum)[4], int fragment) {
                if (other != block && has(other, fragment)) {
                    store_to_block(received[fragment][threadIdx.x], other, sum);
                }
            });
        }
        meet_cluster();
        for (int32_t other = 0; other < blocks - 1; ++other) {
            auto const* received = memory.received + (other - block) * share();
            for_sums([&](float (&sum)[4], int fragment) {
                if (has(block, fragment)) {
                    auto const more = load_pack<float, 4>(received[fragment][threadIdx.x]);
                    for (int i = 0; i < 4; ++i) {
                        sum[i] += more.at[i];
                    }
                }
            });
        }
    }

    __device__ __forceinline__ void write(int round) const {
        auto const& op = arguments.op;
        int64_t const area = op.out_height() * op.out_width(), out_each = op.out_channels / op.groups;
        int64_t const out = int64_t(blockIdx.y) * kOut + threadIdx.x % 4 * 2, channel = blockIdx.z * out_each + out;
        int32_t const block = block_of_cluster();
        PlacePair<T> const pair(arguments, first_place + slot(round), channel);
#pragma unroll
        for (int column = 0; column < kColumns; ++column) {
            auto const& sum = sums[round * kColumns + column];
#pragma unroll
            for (int which = 0; which < 2; ++which) {
                int const beyond = column * 8 + which;
                if (has(block, round * kColumns + column) && out + beyond < out_each) {
                    T const* bias = arguments.bias + channel + beyond;
                    float const added = arguments.bias == nullptr ? 0.0f : to_float(*bias);
                    pair.write(beyond * area,
                               {from_float<T>(sum[which] + added), from_float<T>(sum[2 + which] + added)});
                }
            }
        }
    }

    // What the kernel before wrote is waited for after the first taps.
    __device__ __forceinline__ void start() const {
        wait_for_kernel_before();
        if (threadIdx.x == 0) {
            for (int32_t number = 0; number < kAhead; ++number) {
                order_weights(number);
            }
        }
    }

    __device__ __forceinline__ void run() {
        auto const& walk = arguments.walk;
        if (threadIdx.x == 0) {
            for (int i = 0; i < kSlots; ++i) {
                make_gate(memory.full[i], 1);
                make_gate(memory.empty[i], kWarpgroupThreads / 32);
            }
            show_gates();
        }
        int32_t step = -begin;  // a phase's first, among the block's
        for (int32_t channel = 0; channel < walk.each; channel += walk.span) {
            for (int32_t window = 0; window < walk.windows(); step += walk.stages(window), ++window) {
                int32_t const steps = walk.stages(window), from = step < 0 ? -step : 0;
                int32_t const to = count - step < steps ? count - step : steps;
                if (from >= to) {
                    continue;
                }
                int32_t const first = int32_t(blockIdx.z) * walk.each + channel;
                __syncthreads();
                memory.taps.template fill<kWarpgroupThreads>(arguments, first_place, first, window);
                __syncthreads();
                if (step <= 0) {
                    start();
                }
                run_phase(first, walk.held(window), from, to, step + from);
            }
        }
        if (blocks_of_cluster() > 1) {
            add_blocks();
        }
#pragma unroll
        for (int round = 0; round < kRounds; ++round) {
            write(round);
        }
    }
};

#endif

// The grid: x over clusters of blocks, each of them over places, y over output channels of a group, z over groups.
// Built without warpgroups it is of no use, and says so by how many threads it takes.
template <class T, int kOut>
__global__ void __launch_bounds__(kWarpgroups ? kWarpgroupThreads : 32, 1)
    warpgroup_kernel(TensorArguments<T> arguments) {
#ifdef T2T_WARPGROUPS
    extern __shared__ __align__(128) unsigned char shared[];
    WarpgroupBlock<T, kOut> block(arguments, *reinterpret_cast<WarpgroupMemory<T, kOut>*>(shared));
    block.run();
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
// group of 16 to 18.
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
    return launch_early(kernel, grid, kWarpgroupThreads, size_t(bytes), cluster, stream, arguments);
}

}  // namespace t2t
