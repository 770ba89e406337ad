// csrc/kernels/common/wgmma.cuh on the host: products are done as soon as they are asked for, by each thread for itself.
#pragma once

#include <numeric>

#include "ptx.cuh"

#define T2T_WARPGROUPS

namespace t2t {

constexpr bool kWarpgroups = true;

template <int kRegisters>
void leave_registers() {}

template <int kRegisters>
void take_registers() {}

inline void show_to_products() {}
inline void begin_products() {}

template <int kFragments>
void end_products(float (&)[kFragments][4]) {
    emulator::meet_warp();
}

inline uint64_t rows_at(void const* at) {
    if (reinterpret_cast<uintptr_t>(at) % 1024 != 0) {
        std::abort();
    }
    return reinterpret_cast<uint64_t>(at);
}

inline uint64_t further(uint64_t description, int bytes) { return description + uint64_t(bytes); }

// 48 bits of the address, and the stride.
inline uint64_t columns_at(void const* at, int stride) {
    if (reinterpret_cast<uintptr_t>(at) % 16 != 0) {
        std::abort();
    }
    return (reinterpret_cast<uint64_t>(at) & 0xFFFFFFFFFFFF) | uint64_t(stride >> 4) << 48;
}

// Eight numbers that lie side by side.
template <class T>
void read_numbers(uint64_t at, float* numbers) {
    auto const pack = load_pack<T, 8>(reinterpret_cast<T const*>(at));
    std::transform(pack.at, pack.at + 8, numbers, [](T number) { return to_float(number); });
}

template <class T, int kColumns>
void add_product(float (&sums)[kColumns][4], uint64_t rows, uint64_t columns) {
    unsigned const lane = emulator::thread() % 32, warp = emulator::thread() / 32 % 4;
    float left[2][16], right[16];
    for (unsigned half = 0; half < 4; ++half) {
        uint64_t const at = rows + (warp * 16 + lane / 4 + half / 2 * 8) * 128 + half % 2 * 16;
        read_numbers<T>(at ^ (at >> 7 & 7) << 4, left[half / 2] + half % 2 * 8);
    }
    uint64_t const first = columns & 0xFFFFFFFFFFFF, stride = (columns >> 48) << 4;
    for (unsigned column = 0; column < kColumns * 2; ++column) {
        uint64_t const at = first + (column / 2 * 8 + lane % 4 * 2 + column % 2) * 16;
        read_numbers<T>(at, right);
        read_numbers<T>(at + stride, right + 8);
        for (unsigned row = 0; row < 2; ++row) {
            float& sum = sums[column / 2][row * 2 + column % 2];
            sum = std::inner_product(right, right + 16, left[row], sum);
        }
    }
}

}  // namespace t2t
