// Products of two tiles of float32 in shared memory, on tensor cores.
//
// These multiply numbers of 11 bits (TF32). So each number is split into two of them, and of the four products of two
// numbers' parts all but that of the lower ones are summed: what is left out is 2^-22 of a product. Tensor cores cut
// sums off rather than round them, which tells where there are many; so they sum 16 numbers, and the rest is added up
// as float32 is.
//
// A tile of places has a row of kDepth numbers for each place, a tile of weights for each output channel (see at). The
// sums end up in shared memory as sums[out channel * kSumStride + place], so that neighbouring places are written side
// by side.
#pragma once

#include "../common/ptx.cuh"

namespace t2t {

constexpr int kPlaces = 64;  // of the result, a block
constexpr int kSumStride = kPlaces + 4;

// 8 warps: 2 along places, 4 along output channels; each has 32 places by kOut / 4 channels.
template <int kOut>
struct Product {
    static constexpr int kDepth = 32;
    static constexpr int kColumns = kOut / 32;  // of fragments
    static constexpr int kAtOnce = 2;           // of them: with two of places four products, none of which waits

    float sums[2][kColumns][4];

    // Where a row's numbers lie, four by four. What 8 lanes read of two rows lies in all banks.
    __device__ __forceinline__ static int at(int row, int number) { return row * kDepth + (number ^ row % 2 * 16); }

    __device__ __forceinline__ static int first_place() { return int(threadIdx.x) / 32 % 2 * 32; }
    __device__ __forceinline__ static int first_out() { return int(threadIdx.x) / 64 * (kOut / 4); }
    __device__ __forceinline__ static int row() { return int(threadIdx.x) % 32 / 4; }  // of fragments, a lane's
    __device__ __forceinline__ static int quarter() { return int(threadIdx.x) % 4; }

    // body(sum, place, output channel) for all sums of a lane.
    template <class Body>
    __device__ __forceinline__ void for_sums(Body&& body) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
#pragma unroll
            for (int j = 0; j < kColumns; ++j) {
#pragma unroll
                for (int n = 0; n < 4; ++n) {
                    body(sums[i][j][n], first_place() + i * 16 + n / 2 * 8 + row(),
                         first_out() + j * 8 + quarter() * 2 + n % 2);
                }
            }
        }
    }

    __device__ __forceinline__ void clear() {
        for_sums([](float& sum, int, int) { sum = 0.0f; });
    }

    // Four numbers side by side, the higher and the lower parts. The order of what is summed is free: so they serve as
    // what a lane has of two products over 8 numbers.
    struct Parts {
        uint32_t at[2][4];
    };

    __device__ __forceinline__ static Parts split(float const* from) {
        auto const numbers = load_pack<float, 4>(from);
        Parts parts;
#pragma unroll
        for (int n = 0; n < 4; ++n) {
            uint32_t const high = (__float_as_uint(numbers.at[n]) + 0x1000u) & ~0x1FFFu;  // to the nearest
            parts.at[0][n] = high;
            parts.at[1][n] = __float_as_uint(numbers.at[n] - __uint_as_float(high));
        }
        return parts;
    }

    using Added = float[2][kAtOnce][4];

    // left, right: which parts are multiplied.
    __device__ __forceinline__ static void multiply(Added& added, Parts const (&rows)[2][2],
                                                    Parts const (&columns)[kAtOnce], int left, int right) {
#pragma unroll
        for (int n = 0; n < 4; n += 2) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
#pragma unroll
                for (int j = 0; j < kAtOnce; ++j) {
                    auto const &even = rows[i][0].at[left], &odd = rows[i][1].at[left], &other = columns[j].at[right];
                    mma_tf32(added[i][j], even[n], odd[n], even[n + 1], odd[n + 1], other[n], other[n + 1]);
                }
            }
        }
    }

    __device__ __forceinline__ void add(float const* rows, float const* columns) {
#pragma unroll
        for (int k = 0; k < kDepth; k += 16) {
            int const number = k + quarter() * 4;
            Parts places[2][2];  // those of rows g and g + 8 of two fragments
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                places[i / 2][i % 2] = split(rows + at(first_place() + i * 8 + row(), number));
            }
#pragma unroll
            for (int first = 0; first < kColumns; first += kAtOnce) {
                Parts outs[kAtOnce];
#pragma unroll
                for (int j = 0; j < kAtOnce; ++j) {
                    outs[j] = split(columns + at(first_out() + (first + j) * 8 + row(), number));
                }
                Added added = {};
                multiply(added, places, outs, 1, 0);
                multiply(added, places, outs, 0, 1);
                multiply(added, places, outs, 0, 0);
#pragma unroll
                for (int i = 0; i < 2 * kAtOnce; ++i) {
#pragma unroll
                    for (int n = 0; n < 4; ++n) {
                        sums[i / kAtOnce][first + i % kAtOnce][n] += added[i / kAtOnce][i % kAtOnce][n];
                    }
                }
            }
        }
    }

    __device__ __forceinline__ void store(float* target) {
        for_sums([&](float& sum, int place, int out) { target[out * kSumStride + place] = sum; });
    }
};

}  // namespace t2t
