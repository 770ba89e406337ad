// The kernel: numbers held between two limits, beyond which they go on with a gentler slope.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define BOTH __host__ __device__
#else
#define BOTH
#endif

struct CUstream_st;

struct LeakyClip {
    float low, high, slope;

    BOTH float operator()(float x) const {
        return x < low ? low + slope * (x - low) : x > high ? high + slope * (x - high) : x;
    }
};

void leaky_clip_cpu(LeakyClip const& clip, float const* input, float* output, int64_t count);

// Enqueues the kernel; 0 when it could be launched. A build without CUDA does the work at once, on the host.
int leaky_clip_cuda(LeakyClip const& clip, float const* input, float* output, int64_t count, CUstream_st* stream);
