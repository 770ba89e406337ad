// Numbers that both compilers read: float16 and bfloat16 as their bits, computed in float32.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include "api.h"

namespace t2t {

struct alignas(2) Half {
    uint16_t bits;
};

struct alignas(2) BFloat16 {
    uint16_t bits;
};

namespace detail {

inline uint32_t bits_of(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float float_of(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline float half_to_float(uint16_t half) {
    uint32_t const sign = uint32_t(half & 0x8000u) << 16;
    uint32_t const rest = half & 0x7FFFu;
    if (rest >= 0x7C00u) {  // infinity, NaN
        return float_of(sign | 0x7F800000u | (rest & 0x3FFu) << 13);
    }
    // The exponent is moved by a multiplication with 2^112, which is right for subnormal numbers too.
    return float_of(sign | bits_of(float_of(rest << 13) * 5192296858534827628530496329220096.0f));
}

inline uint16_t float_to_half(float value) {
    uint32_t const bits = bits_of(value);
    uint16_t const sign = uint16_t(bits >> 16 & 0x8000u);
    uint32_t const magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) {
        return sign | 0x7E00u;
    }
    if (magnitude >= 0x477FF000u) {  // 65520 and more round to infinity
        return sign | 0x7C00u;
    }
    if (magnitude < 0x38800000u) {  // below 2^-14: subnormal; adding 0.5 makes the hardware round to 2^-24
        return uint16_t(sign | (bits_of(float_of(magnitude) + 0.5f) - 0x3F000000u));
    }
    uint32_t const odd = magnitude >> 13 & 1u;
    return uint16_t(sign | (magnitude - 0x38000000u + 0xFFFu + odd) >> 13);
}

inline uint16_t float_to_bfloat16(float value) {
    uint32_t const bits = bits_of(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
        return 0x7FC0u;
    }
    return uint16_t((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

}  // namespace detail

T2T_HD float to_float(float value) { return value; }

T2T_HD float to_float(Half value) {
#ifdef __CUDA_ARCH__
    return __half2float(__ushort_as_half(value.bits));
#else
    return detail::half_to_float(value.bits);
#endif
}

T2T_HD float to_float(BFloat16 value) {
#ifdef __CUDA_ARCH__
    return __uint_as_float(uint32_t(value.bits) << 16);
#else
    return detail::float_of(uint32_t(value.bits) << 16);
#endif
}

template <class T>
T2T_HD T from_float(float value);

template <>
T2T_HD float from_float<float>(float value) {
    return value;
}

template <>
T2T_HD Half from_float<Half>(float value) {
#ifdef __CUDA_ARCH__
    return Half{__half_as_ushort(__float2half_rn(value))};
#else
    return Half{detail::float_to_half(value)};
#endif
}

template <>
T2T_HD BFloat16 from_float<BFloat16>(float value) {
#ifdef __CUDA_ARCH__
    return BFloat16{__bfloat16_as_ushort(__float2bfloat16_rn(value))};
#else
    return BFloat16{detail::float_to_bfloat16(value)};
#endif
}

// left / right of numbers that are not negative: in 32 bits where they fit, which takes a GPU a fraction of the time.
T2T_HD int64_t quotient(int64_t left, int64_t right) {
    return (left | right) >> 32 == 0 ? int64_t(uint32_t(left) / uint32_t(right)) : left / right;
}

T2T_HD float quiet_nan() {
#ifdef __CUDA_ARCH__
    return __uint_as_float(0x7FC00000u);
#else
    return detail::float_of(0x7FC00000u);
#endif
}

}  // namespace t2t
