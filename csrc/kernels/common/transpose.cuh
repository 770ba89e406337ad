// Matrices transposed in batches: channels brought last, so that one place's channels are read 16 bytes at a time.
#pragma once

#include "launch.cuh"

namespace t2t {

constexpr int kTile = 64;

// (batches, rows, columns) to (batches, columns, rows), in tiles that blocks take.
template <class T>
struct Transpose {
    T const* from;
    T* to;
    int64_t batches, rows, columns;

    T2T_HD int64_t row_tiles() const { return (rows + kTile - 1) / kTile; }
    T2T_HD int64_t column_tiles() const { return (columns + kTile - 1) / kTile; }
    T2T_HD int64_t tiles() const { return batches * row_tiles() * column_tiles(); }
    // Whether rows are read, or columns written, 16 bytes at a time.
    bool reads_packs() const { return columns % kPack<T> == 0 && reinterpret_cast<uintptr_t>(from) % 16 == 0; }
    bool writes_packs() const { return rows % kPack<T> == 0 && reinterpret_cast<uintptr_t>(to) % 16 == 0; }
};

template <class T>
constexpr int kTileStride = kTile + 4 / int(sizeof(T));  // one bank more

// What a block holds of a tile, in shared memory.
template <class T>
struct TransposeMemory {
    alignas(16) T numbers[kTile * kTileStride<T>];
};

// A block's threads transpose one tile, R numbers of a row at a time read, W of a column written.
template <class T, int R, int W>
__device__ __forceinline__ void transpose_tile(Transpose<T> const& job, int64_t tile, TransposeMemory<T>& memory) {
    constexpr int kStride = kTileStride<T>, kColumns = 4 / int(sizeof(T)), kWord = R == 1 ? 1 : kColumns;
    T* const held = memory.numbers;
    int64_t const line = quotient(tile, job.column_tiles()), batch = quotient(line, job.row_tiles());
    int64_t const column = (tile - line * job.column_tiles()) * kTile, row = (line - batch * job.row_tiles()) * kTile;
    T const* from = job.from + (batch * job.rows + row) * job.columns + column;
    T* to = job.to + (batch * job.columns + column) * job.rows + row;
    int const rows = int(job.rows - row < kTile ? job.rows - row : kTile);
    int const columns = int(job.columns - column < kTile ? job.columns - column : kTile);
#pragma unroll
    for (int item = threadIdx.x; item < kTile * kTile / R; item += kThreads) {
        int const i = item / (kTile / R), j = item % (kTile / R) * R;
        if (i < rows && j < columns) {
            auto const pack = load_pack<T, R>(from + i * job.columns + j);
#pragma unroll
            for (int n = 0; n < R; n += kWord) {
                *reinterpret_cast<Pack<T, kWord>*>(held + i * kStride + j + n) = load_pack<T, kWord>(pack.at + n);
            }
        }
    }
    __syncthreads();
#pragma unroll
    for (int item = threadIdx.x; item < kTile * kTile / W / kColumns; item += kThreads) {
        int const j = item / (kTile / W) * kColumns, i = item % (kTile / W) * W;
        if (i >= rows) {
            continue;
        }
        Pack<T, W> packs[kColumns];
#pragma unroll
        for (int n = 0; n < W; ++n) {
            auto const word = load_pack<T, kColumns>(held + (i + n) * kStride + j);
#pragma unroll
            for (int column = 0; column < kColumns; ++column) {
                packs[column].at[n] = word.at[column];
            }
        }
#pragma unroll
        for (int column = 0; column < kColumns; ++column) {
            if (j + column < columns) {
                *reinterpret_cast<Pack<T, W>*>(to + (j + column) * job.rows + i) = packs[column];
            }
        }
    }
}

template <class T, int R, int W>
__global__ void __launch_bounds__(kThreads) transpose_kernel(Transpose<T> job) {
    __shared__ TransposeMemory<T> memory;
    transpose_tile<T, R, W>(job, blockIdx.x, memory);
}

template <class T>
void transpose(T const* from, T* to, int64_t batches, int64_t rows, int64_t columns, Stream stream) {
    Transpose<T> const job{from, to, batches, rows, columns};
    if (batches == 0 || rows == 0 || columns == 0) {
        return;
    }
    constexpr int V = kPack<T>;
    auto const reading = job.writes_packs() ? transpose_kernel<T, V, V> : transpose_kernel<T, V, 1>;
    auto const others = job.writes_packs() ? transpose_kernel<T, 1, V> : transpose_kernel<T, 1, 1>;
    auto const kernel = job.reads_packs() ? reading : others;
    kernel<<<unsigned(job.tiles()), kThreads, 0, stream>>>(job);
}

}  // namespace t2t
