#include "../common/dispatch.h"
#include "point.h"

namespace t2t {

Error correlation_check(Correlation const& op) {
    if (op.batch < 0 || op.channels < 0 || op.height < 0 || op.width < 0) {
        return "a size is negative";
    }
    if (op.kernel_size < 1 || op.stride < 1 || op.dilation < 1 || op.patch_dilation < 1) {
        return "kernel_size, stride, dilation and patch_dilation must be 1 at least";
    }
    if (op.max_displacement < 0 || op.padding < 0) {
        return "max_displacement and padding must not be negative";
    }
    if (op.out_height() < 1 || op.out_width() < 1) {
        return "the dilated window is larger than the padded input";
    }
    return nullptr;
}

int64_t correlation_items(Correlation const& op) { return op.results(); }

void correlation_cpu(Correlation const& op, void const* first, void const* second, void* output, int64_t begin,
                     int64_t end) {
    with_type(op.dtype, [&](auto type) {
        using T = decltype(type);
        for (int64_t index = begin; index < end; ++index) {
            static_cast<T*>(output)[index] =
                correlation_point(op, static_cast<T const*>(first), static_cast<T const*>(second), index);
        }
    });
}

}  // namespace t2t
