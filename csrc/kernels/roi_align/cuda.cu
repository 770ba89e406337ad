#include "../common/dispatch.h"
#include "../common/launch.cuh"
#include "../common/transpose.cuh"
#include "box.h"

namespace t2t {
namespace {

constexpr int kLanes = 32;
constexpr int kBins = 64;  // bins that a block holds in shared memory before it writes them

// A warp a bin, a lane V channels: every corner is read as one row of channels. The results wait in shared memory, so
// that each channel's bins are written as they lie. The grid: x over boxes, y over channels, z over bins.
template <class T, int V>
__global__ void __launch_bounds__(kThreads) align_kernel(RoiAlign op, T const* input, T const* rois, T* output) {
    constexpr int kChannels = kLanes * V;
    __shared__ T held[kChannels][kBins + 1];
    int64_t const bins = op.pooled_height * op.pooled_width;
    int64_t const channel = int64_t(blockIdx.y) * kChannels;
    int const channels = int(op.channels - channel < kChannels ? op.channels - channel : kChannels);
    int const lane = threadIdx.x % kLanes, warp = threadIdx.x / kLanes;
    bool const active = lane * V < channels;

    for (int64_t index = blockIdx.x; index < op.boxes; index += gridDim.x) {
        Box const box = box_of(op, rois + index * 5);
        int64_t const image = box.image < 0 ? 0 : box.image;
        T const* from = input + image * op.height * op.width * op.channels + channel + lane * V;
        for (int64_t first = int64_t(blockIdx.z) * kBins; first < bins; first += int64_t(gridDim.z) * kBins) {
            int const count = int(bins - first < kBins ? bins - first : kBins);
            for (int bin = warp; bin < count && active; bin += kThreads / kLanes) {
                float sums[V];
#pragma unroll
                for (int i = 0; i < V; ++i) {
                    sums[i] = box.image < 0 ? quiet_nan() : 0.0f;
                }
                int64_t const row = quotient(first + bin, op.pooled_width);
                int64_t const column = first + bin - row * op.pooled_width;
                for_samples(op, box, row, column, [&](Sample const& sample) {
                    Pack<T, V> corners[4];
#pragma unroll
                    for (int corner = 0; corner < 4; ++corner) {
                        corners[corner] = load_pack<T, V>(from + sample.at[corner] * op.channels);
                    }
#pragma unroll
                    for (int corner = 0; corner < 4; ++corner) {
                        accumulate(sums, corners[corner], sample.weight[corner]);
                    }
                });
#pragma unroll
                for (int i = 0; i < V; ++i) {
                    held[lane * V + i][bin] = from_float<T>(sums[i] / box.divisor);
                }
            }
            __syncthreads();
            T* to = output + (index * op.channels + channel) * bins + first;
            for (int item = threadIdx.x; item < channels * count; item += kThreads) {
                to[int64_t(item / count) * bins + item % count] = held[item / count][item % count];
            }
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
