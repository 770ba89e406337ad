// csrc/kernels/common/async.cuh on the host: copies are done as soon as they are asked for.
#pragma once

#include "launch.cuh"

namespace t2t {

struct Gate {
    uint16_t arrivals, awaited;
    int16_t bytes;  // in sixteens
    uint16_t round;
};
static_assert(sizeof(Gate) == 8);

inline void end_round(Gate& gate) {
    if (gate.awaited == 0 && gate.bytes == 0) {
        gate.awaited = gate.arrivals;
        ++gate.round;
    }
}

inline void make_gate(Gate& gate, unsigned arrivals) { gate = {uint16_t(arrivals), uint16_t(arrivals), 0, 0}; }

inline void show_gates() {}

inline void arrive(Gate& gate) {
    if (gate.awaited-- == 0) {
        std::abort();
    }
    end_round(gate);
}

inline void expect_bytes(Gate& gate, unsigned bytes) {
    gate.bytes += int16_t(bytes / 16);
    arrive(gate);
}

inline void pass(Gate& gate, unsigned parity) {
    emulator::wait_until([&gate, parity] { return gate.round % 2 != parity % 2; });
}

inline void copy_bytes(void* to, void const* from, unsigned bytes, Gate& gate) {
    if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from) | bytes) % 16 != 0) {
        std::abort();
    }
    std::memcpy(to, from, bytes);
    gate.bytes -= int16_t(bytes / 16);
    end_round(gate);
}

inline int blocks_of_cluster() { return int(emulator::ranks()); }
inline int block_of_cluster() { return int(emulator::rank()); }
inline void meet_cluster() { emulator::wait(emulator::cluster, unsigned(emulator::threads.size())); }

inline void store_to_block(float* to, int block, float const (&values)[4]) {
    auto const there = int64_t(emulator::shared_bytes) * (block - block_of_cluster());
    std::memcpy(reinterpret_cast<unsigned char*>(to) + there, values, sizeof values);
}

template <int kThreads>
void meet_first() {
    emulator::wait(emulator::firsts[emulator::rank()], kThreads);
}

inline void let_begin() {}
inline void wait_for_kernel_before() {}

// Where EMULATED_CLUSTER is given, clusters must have so many blocks.
template <class... Arguments>
Error launch_clusters_early(void (*kernel)(Arguments...), dim3 grid, int threads, size_t bytes, int cluster, Stream,
                            Arguments const&... arguments) {
    if (emulator::setting("EMULATED_CLUSTER", cluster) != cluster) {
        std::abort();
    }
    emulator::launch_clusters(kernel, grid, dim3(unsigned(threads)), bytes, unsigned(cluster), arguments...);
    return nullptr;
}

template <bool kCached, class... Arguments>
Error launch_early(void (*kernel)(Arguments...), dim3 grid, int threads, Stream, Arguments const&... arguments) {
    emulator::launch(kernel, grid, dim3(unsigned(threads)), 0, arguments...);
    return nullptr;
}

}  // namespace t2t
