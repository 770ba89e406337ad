// csrc/kernels/common/ptx.cuh on the host.
#pragma once

#include "launch.cuh"

namespace t2t {

using Words = Pack<uint32_t, 4>;

template <class P>
P load_if(bool wanted, void const* from) {
    if (wanted && reinterpret_cast<uintptr_t>(from) % sizeof(P) != 0) {
        std::abort();  // the device would stop, too
    }
    return wanted ? *static_cast<P const*>(from) : P{};
}

template <class P>
P load_at(P const* from, int32_t number) {
    return load_if<P>(number >= 0, from + number);
}

template <class T>
T* row_at(T* from, int32_t row, int32_t pitch) {
    return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(from) + int64_t(row) * pitch);
}

template <class P>
P load_row(void const* from, int32_t row, int32_t pitch) {
    return load_if<P>(row >= 0, row_at(from, row, pitch));
}

template <class T, int V>
Pack<T, V> load_once(T const* from) {
    if (reinterpret_cast<uintptr_t>(from) % std::min<size_t>(sizeof(T) * V, 16) != 0) {
        std::abort();
    }
    return load_pack<T, V>(from);
}

template <class P>
void store_once(P* to, P value) {
    if (reinterpret_cast<uintptr_t>(to) % sizeof(P) != 0) {
        std::abort();
    }
    *to = value;
}

inline uint32_t twice(uint32_t word, bool high) { return (high ? word >> 16 : word & 0xFFFFu) * 0x10001u; }

template <class T>
float part(uint32_t pair, int which) {
    return to_float(T{uint16_t(pair >> 16 * which)});
}

template <class T>
uint32_t fma_pair(uint32_t left, uint32_t right, uint32_t sum) {
    uint32_t result = 0;
    for (int i = 0; i < 2; ++i) {
        float const value = std::fma(part<T>(left, i), part<T>(right, i), part<T>(sum, i));
        result |= uint32_t(from_float<T>(value).bits) << 16 * i;
    }
    return result;
}

template <class T>
void add_weighed(Words& sums, Words const& numbers, uint32_t weight) {
    for (int word = 0; word < 4; ++word) {
        sums.at[word] = fma_pair<T>(numbers.at[word], weight, sums.at[word]);
    }
}

template <class T>
uint32_t pair_of(float low, float high) {
    return uint32_t(from_float<T>(low).bits) | uint32_t(from_float<T>(high).bits) << 16;
}

inline Words const* packs_after(Words const* from, int32_t number) { return from + number; }

inline Words load_words(Words const* from, int32_t number) { return load_if<Words>(true, from + number); }

// What the lanes of each warp hold, for its other lanes to read.
struct Exchange {
    uint32_t left[32][4], right[32][2];
};
inline Exchange exchanges[64];

// body(what the lanes hold) once all of them have given theirs.
template <class Body>
void with_all(uint32_t const (&left)[4], uint32_t const (&right)[2], Body&& body) {
    Exchange& all = exchanges[emulator::thread() / 32];
    std::memcpy(all.left[emulator::thread() % 32], left, sizeof left);
    std::memcpy(all.right[emulator::thread() % 32], right, sizeof right);
    emulator::meet_warp();
    body(all);
    emulator::meet_warp();
}

template <class T>
void mma(float (&sums)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
    unsigned const lane = emulator::thread() % 32, g = lane / 4, q = lane % 4;
    with_all({a0, a1, a2, a3}, {b0, b1}, [&](Exchange const& all) {
        for (unsigned i = 0; i < 4; ++i) {
            unsigned const column = 2 * q + i % 2;
            for (unsigned k = 0; k < 16; ++k) {
                unsigned const other = k % 8 / 2, half = k / 8;
                sums[i] += part<T>(all.left[4 * g + other][2 * half + i / 2], k % 2) *
                           part<T>(all.right[4 * column + other][half], k % 2);
            }
        }
    });
}

inline void mma_tf32(float (&sums)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
    unsigned const lane = emulator::thread() % 32, g = lane / 4, q = lane % 4;
    auto const read = [](uint32_t bits) { return __uint_as_float(bits & ~0x1FFFu); };
    with_all({a0, a1, a2, a3}, {b0, b1}, [&](Exchange const& all) {
        for (unsigned i = 0; i < 4; ++i) {
            unsigned const column = 2 * q + i % 2;
            for (unsigned k = 0; k < 8; ++k) {
                unsigned const other = k % 4, half = k / 4;
                sums[i] += read(all.left[4 * g + other][2 * half + i / 2]) * read(all.right[4 * column + other][half]);
            }
        }
    });
}

// number(lane, which of its two): what of a matrix a lane gets, as row and column.
template <class Number>
Words load_matrices_by(void const* row, Number&& number) {
    static void const* rows[2048];
    unsigned const mine = emulator::thread(), lane = mine % 32;
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0) {
        std::abort();
    }
    rows[mine] = row;
    emulator::meet_warp();
    Words words{};
    for (unsigned matrix = 0; matrix < 4; ++matrix) {
        for (unsigned which = 0; which < 2; ++which) {
            auto const [line, column] = number(lane, which);
            uint32_t const bits = static_cast<uint16_t const*>(rows[mine - lane + 8 * matrix + line])[column];
            words.at[matrix] |= bits << 16 * which;
        }
    }
    emulator::meet_warp();
    return words;
}

inline Words load_matrices(void const* row) {
    return load_matrices_by(row, [](unsigned lane, unsigned which) { return std::pair(lane / 4, lane % 4 * 2 + which); });
}

inline Words load_matrices_across(void const* row) {
    return load_matrices_by(row, [](unsigned lane, unsigned which) { return std::pair(lane % 4 * 2 + which, lane / 4); });
}

template <int V>
void add_all(float* target, float const (&values)[V]) {
    if (reinterpret_cast<uintptr_t>(target) % (4 * V) != 0) {
        std::abort();
    }
    for (int i = 0; i < V; ++i) {
        target[i] += values[i];
    }
}

}  // namespace t2t
