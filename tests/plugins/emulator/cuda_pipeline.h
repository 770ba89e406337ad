#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>

inline void __pipeline_memcpy_async(void* target, void const* source, size_t bytes, size_t zeros) {
    if (reinterpret_cast<uintptr_t>(target) % bytes != 0 || reinterpret_cast<uintptr_t>(source) % bytes != 0) {
        std::abort();  // the device would stop, too
    }
    std::memcpy(target, source, bytes - zeros);
    std::memset(static_cast<char*>(target) + bytes - zeros, 0, zeros);
}
inline void __pipeline_commit() {}
inline void __pipeline_wait_prior(int) {}
