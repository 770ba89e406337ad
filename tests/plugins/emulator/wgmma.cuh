// csrc/kernels/common/wgmma.cuh on the host: products are done as soon as they are asked for.
#pragma once

#include "ptx.cuh"

#define T2T_WARPGROUPS

namespace t2t {

constexpr bool kWarpgroups = true;

inline void begin_products() {}
inline void commit_products() {}

template <int kFragments>
void end_products(float (&)[kFragments][4], Words (&)[2][2]) {}

// 48 bits of the address, and the stride.
inline uint64_t columns_at(void const* at, int stride) {
    if (reinterpret_cast<uintptr_t>(at) % 16 != 0) {
        std::abort();
    }
    return (reinterpret_cast<uint64_t>(at) & 0xFFFFFFFFFFFF) | uint64_t(stride >> 4) << 48;
}

template <class T, int kColumns>
void add_product(float (&sums)[kColumns][4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint64_t columns) {
    auto const* at = reinterpret_cast<unsigned char const*>(columns & 0xFFFFFFFFFFFF);
    unsigned const q = emulator::thread() % 4;
    uint64_t const stride = (columns >> 48) << 4;
    for (unsigned column = 0; column < kColumns; ++column) {
        uint32_t right[2];
        for (unsigned half = 0; half < 2; ++half) {
            unsigned const number = emulator::thread() % 32 / 4;
            std::memcpy(&right[half], at + half * stride + (column * 8 + number) * 16 + q * 4, 4);
        }
        mma<T>(sums[column], a0, a1, a2, a3, right[0], right[1]);
    }
}

}  // namespace t2t
