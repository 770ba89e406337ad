// From a dtype known at run time to one known to the compiler.
#pragma once

#include "api.h"
#include "number.h"

namespace t2t {

// Calls body(T{}) with the C++ type of a dtype.
template <class Body>
auto with_type(DType type, Body&& body) {
    switch (type) {
        case DType::Float16: return body(Half{});
        case DType::BFloat16: return body(BFloat16{});
        default: return body(float{});
    }
}

template <class Body>
auto with_index(IndexType type, Body&& body) {
    return type == IndexType::Int32 ? body(int32_t{}) : body(int64_t{});
}

}  // namespace t2t
