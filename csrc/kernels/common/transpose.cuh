// Matrices transposed in batches: channels brought last, so that one place's channels are read 16 bytes at a time.
#pragma once

#include "launch.cuh"

namespace t2t {

constexpr int kTile = 32;
constexpr int kTileRows = 8;

// (batches, rows, columns) to (batches, columns, rows). The grid: x over columns, y over rows, z over batches.
template <class T>
__global__ void transpose_kernel(T const* from, T* to, int64_t batches, int64_t rows, int64_t columns) {
    __shared__ T tile[kTile][kTile + 1];
    int64_t const row_tiles = (rows + kTile - 1) / kTile;
    for (int64_t batch = blockIdx.z; batch < batches; batch += gridDim.z) {
        T const* source = from + batch * rows * columns;
        T* target = to + batch * rows * columns;
        for (int64_t row_tile = blockIdx.y; row_tile < row_tiles; row_tile += gridDim.y) {
            int64_t const row = row_tile * kTile, column = int64_t(blockIdx.x) * kTile;
            for (int step = threadIdx.y; step < kTile; step += kTileRows) {
                if (row + step < rows && column + threadIdx.x < columns) {
                    tile[step][threadIdx.x] = source[(row + step) * columns + column + threadIdx.x];
                }
            }
            __syncthreads();
            for (int step = threadIdx.y; step < kTile; step += kTileRows) {
                if (column + step < columns && row + threadIdx.x < rows) {
                    target[(column + step) * rows + row + threadIdx.x] = tile[threadIdx.x][step];
                }
            }
            __syncthreads();
        }
    }
}

template <class T>
void transpose(T const* from, T* to, int64_t batches, int64_t rows, int64_t columns, Stream stream) {
    if (batches == 0 || rows == 0 || columns == 0) {
        return;
    }
    dim3 const grid(unsigned((columns + kTile - 1) / kTile),
                    unsigned(std::min<int64_t>((rows + kTile - 1) / kTile, 65535)),
                    unsigned(std::min<int64_t>(batches, 65535)));
    transpose_kernel<T><<<grid, dim3(kTile, kTileRows), 0, stream>>>(from, to, batches, rows, columns);
}

}  // namespace t2t
