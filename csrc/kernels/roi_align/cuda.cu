#include "../common/dispatch.h"
#include "../common/ptx.cuh"
#include "../common/transpose.cuh"
#include "box.h"

namespace t2t {
namespace {

constexpr int kLanes = 32;
constexpr int kBins = 49;  // bins, as 7 by 7, that a block holds in shared memory before it writes them

template <class T, int V>
struct AlignMemory {
    static constexpr int kChannels = kLanes * V;
    // What a channel's bins are comes as it lies in the result: they wait here until all are there.
    alignas(16) T held[kChannels * kBins];
    // The samples of several bins, where a bin has few: worked out once for all channels. Elements of one that does not
    // count are -1.
    alignas(16) Sample samples[kThreads];
};

// A block kChannels channels of a box's bins: a warp has a bin, a lane V channels, so that every corner is read as one
// row of channels.
template <class T, int V>
struct AlignBlock {
    using Memory = AlignMemory<T, V>;
    static constexpr int kChannels = Memory::kChannels;

    RoiAlign const& op;
    Memory& memory;
    T const* from;  // the lane's channels of the box's image
    int32_t pitch;  // bytes from an element to the next
    Box const& box;
    float share;  // of a sample
    int64_t bins;
    int channels;  // that there are

    __device__ __forceinline__ static int lane() { return int(threadIdx.x) % kLanes; }
    __device__ __forceinline__ static int warp() { return int(threadIdx.x) / kLanes; }

    struct Bin {
        int64_t row, column;
    };

    __device__ __forceinline__ Bin bin_of(int64_t number) const {
        int64_t const row = quotient(number, op.pooled_width);
        return {row, number - row * op.pooled_width};
    }

    __device__ __forceinline__ void add(float (&sums)[V], Sample const& sample) const {
        Pack<T, V> corners[4];
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) {
            int32_t const at = sample.at[corner];
            if constexpr (V > 1) {
                corners[corner] = load_row<Pack<T, V>>(from, at, pitch);
            } else if (at >= 0) {
                corners[corner] = load_pack<T, V>(row_at(from, at, pitch));
            } else {
                corners[corner] = {};
            }
        }
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) {
            accumulate(sums, corners[corner], sample.weight[corner]);
        }
    }

    // Sets what is held of a bin, the `number`-th of `count`. body(sums) adds up its samples.
    template <class Body>
    __device__ __forceinline__ void hold(int number, int count, Body&& body) const {
        if (lane() * V >= channels) {
            return;
        }
        float sums[V];
#pragma unroll
        for (int i = 0; i < V; ++i) {
            sums[i] = box.image < 0 ? quiet_nan() : 0.0f;
        }
        body(sums);
#pragma unroll
        for (int i = 0; i < V; ++i) {
            memory.held[(lane() * V + i) * count + number] = from_float<T>(sums[i] * share);
        }
    }

    // Bins from `first` on that have `each` samples, of which the block holds those of several bins at once.
    __device__ __forceinline__ void run_together(int64_t first, int count, int each) const {
        int const most = kThreads / each, thread = int(threadIdx.x);
        for (int begin = 0; begin < count; begin += most) {
            int const end = begin + most < count ? begin + most : count;
            __syncthreads();
            if (thread < (end - begin) * each) {
                int const number = thread / each, sample = thread - number * each;
                int const wide = int(box.x.samples), i = sample / wide;
                Bin const bin = bin_of(first + begin + number);
                Sample found;
                bool const counts =
                    sample_of(op, box.y.place(bin.row, i), box.x.place(bin.column, sample - i * wide), found);
                memory.samples[thread] = counts ? found : Sample{{-1, -1, -1, -1}, {}};
            }
            __syncthreads();
            for (int bin = begin + warp(); bin < end; bin += kThreads / kLanes) {
                hold(bin, count, [&](float (&sums)[V]) {
#pragma unroll 4
                    for (int i = 0; i < each; ++i) {
                        add(sums, memory.samples[(bin - begin) * each + i]);
                    }
                });
            }
        }
    }

    __device__ __forceinline__ void run_each(int64_t first, int count) const {
        for (int bin = warp(); bin < count; bin += kThreads / kLanes) {
            Bin const at = bin_of(first + bin);
            hold(bin, count, [&](float (&sums)[V]) {
                for_samples(op, box, at.row, at.column, [&](Sample const& sample) { add(sums, sample); });
            });
        }
    }

    __device__ __forceinline__ void write(int count, T* to) const {
        int const numbers = channels * count;
        if (count == bins && numbers % kPack<T> == 0 && reinterpret_cast<uintptr_t>(to) % 16 == 0) {
            for (int item = int(threadIdx.x) * kPack<T>; item < numbers; item += kThreads * kPack<T>) {
                *reinterpret_cast<Pack<T, kPack<T>>*>(to + item) = load_pack<T, kPack<T>>(memory.held + item);
            }
            return;
        }
        for (int item = threadIdx.x; item < numbers; item += kThreads) {
            to[int64_t(item / count) * bins + item % count] = memory.held[item];
        }
    }
};

// The grid: x over boxes, y over channels, z over bins.
template <class T, int V>
__global__ void __launch_bounds__(kThreads, 3) align_kernel(RoiAlign op, T const* input, T const* rois, T* output) {
    using Block = AlignBlock<T, V>;
    __shared__ AlignMemory<T, V> memory;
    int64_t const bins = op.pooled_height * op.pooled_width, channel = int64_t(blockIdx.y) * Block::kChannels;
    int64_t const left = op.channels - channel;
    int const channels = int(left < Block::kChannels ? left : Block::kChannels);
    for (int64_t index = blockIdx.x; index < op.boxes; index += gridDim.x) {
        Box const box = box_of(op, rois + index * 5);
        int64_t const image = box.image < 0 ? 0 : box.image;
        T const* from = input + image * op.height * op.width * op.channels + channel + Block::lane() * V;
        int32_t const pitch = int32_t(op.channels * sizeof(T));
        Block const block{op, memory, from, pitch, box, 1.0f / box.divisor, bins, channels};
        int64_t const samples = box.y.samples <= kThreads && box.x.samples <= kThreads ? box.y.samples * box.x.samples
                                                                                      : kThreads + 1;
        for (int64_t first = int64_t(blockIdx.z) * kBins; first < bins; first += int64_t(gridDim.z) * kBins) {
            int const count = int(bins - first < kBins ? bins - first : kBins);
            if (samples > 0 && samples <= kThreads) {
                block.run_together(first, count, int(samples));
            } else {
                block.run_each(first, count);
            }
            __syncthreads();
            block.write(count, output + (index * op.channels + channel) * bins + first);
            __syncthreads();
        }
    }
}

template <class T, int V>
void launch(RoiAlign const& op, T const* input, T const* rois, T* output, Stream stream) {
    int64_t const bins = op.pooled_height * op.pooled_width;
    dim3 const grid(unsigned(std::min<int64_t>(op.boxes, 1 << 20)),
                    unsigned((op.channels + kLanes * V - 1) / (kLanes * V)),
                    unsigned(std::min<int64_t>((bins + kBins - 1) / kBins, 1024)));
    align_kernel<T, V><<<grid, kThreads, 0, stream>>>(op, input, rois, output);
}

}  // namespace

size_t roi_align_workspace(RoiAlign const& op) {
    return op.channels_last ? 0 : aligned(size_t(op.batch * op.channels * op.height * op.width) * size_of(op.dtype));
}

Error roi_align_cuda(RoiAlign const& op, void const* input, void const* rois, void* output, void* workspace,
                     Stream stream) {
    if (roi_align_items(op) == 0) {
        return nullptr;
    }
    if (op.channels > (int64_t(1) << 20)) {
        return "roi_align takes 2^20 channels at most";
    }
    with_type(op.dtype, [&](auto type) {
        using T = decltype(type);
        T const* from = static_cast<T const*>(input);
        if (!op.channels_last) {
            transpose(from, static_cast<T*>(workspace), op.batch, op.channels, op.height * op.width, stream);
            from = static_cast<T const*>(workspace);
        }
        constexpr int V = sizeof(T) == 4 ? 4 : 8;
        bool const packed = op.channels % V == 0 && reinterpret_cast<uintptr_t>(from) % 16 == 0;
        auto const run = packed ? launch<T, V> : launch<T, 1>;
        run(op, from, static_cast<T const*>(rois), static_cast<T*>(output), stream);
    });
    return launch_error();
}

}  // namespace t2t
