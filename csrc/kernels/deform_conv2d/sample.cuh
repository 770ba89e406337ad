// What the tensor core kernels share: their arguments, and packs of 8 channels weighed by a tap's corners.
#pragma once

#include "../common/ptx.cuh"
#include "tap.h"
#include "walk.h"

namespace t2t {

// input lies as (N, H, W, C), weight as prepare.cuh arranges it.
template <class T>
struct TensorArguments {
    DeformConv2d op;
    Walk walk;
    T const* input;
    T const* weight;
    T const* offset;
    T const* mask;
    T const* bias;
    T* output;
    int32_t stages, packs;          // all stages; packs of 8 channels in a phase
    int32_t to_zeros;               // from the input's first pack to as many zeros as a place has channels, in packs
    int32_t out_width, out_height;  // of op, where arithmetic of 32 bits suffices
    bool by_pairs;                  // two neighbouring places are written at once
};

// A place's corners, 8 channels of them.
struct Corners {
    Words at[4];
};

using CornerWeights = Pack<uint32_t, 2>;  // of four corners, two by two

template <class T>
__device__ __forceinline__ Words weigh(Corners const& corners, CornerWeights const& weights) {
    Words sums{};
#pragma unroll
    for (int corner = 0; corner < 4; ++corner) {
        add_weighed<T>(sums, corners.at[corner], twice(weights.at[corner / 2], corner % 2 != 0));
    }
    return sums;
}

}  // namespace t2t
