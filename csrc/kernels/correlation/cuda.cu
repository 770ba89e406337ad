#include "../common/dispatch.h"
#include "../common/launch.cuh"
#include "point.h"
#include "volume_half.cuh"
#include "volume_single.cuh"

namespace t2t {
namespace {

// A thread an element: neighbours along a row read neighbouring places of both inputs, which the cache then holds for
// the next displacement.
template <class T>
__global__ void __launch_bounds__(kThreads) correlation_kernel(Correlation op, T const* first, T const* second,
                                                               T* output) {
    T2T_STRIDED(index, op.results()) { output[index] = correlation_point(op, first, second, index); }
}

}  // namespace

Error correlation_cuda(Correlation const& op, void const* first, void const* second, void* output, void*,
                       Stream stream) {
    if (op.results() == 0) {
        return nullptr;
    }
    with_type(op.dtype, [&](auto type) {
        using T = decltype(type);
        T const* one = static_cast<T const*>(first);
        T const* other = static_cast<T const*>(second);
        T* to = static_cast<T*>(output);
        if (takes_volume(op) && reinterpret_cast<uintptr_t>(output) % 16 == 0) {
            launch_volume(op, one, other, to, stream);
        } else {
            correlation_kernel<T><<<grid_for(op.results()), kThreads, 0, stream>>>(op, one, other, to);
        }
    });
    return launch_error();
}

}  // namespace t2t
