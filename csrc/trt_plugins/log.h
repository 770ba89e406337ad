// Errors go to TensorRT's logger where one was given, else to standard error; none is ever thrown.
#pragma once

#include <NvInfer.h>

#include <exception>

namespace t2t::trt_plugins {

void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept;
void log_error(char const* plugin, char const* message) noexcept;

// What body gives; `failed`, with the reason logged, where it throws.
template <class Result, class Body>
Result guarded(char const* plugin, Result failed, Body&& body) noexcept {
    try {
        return body();
    } catch (std::exception const& error) {
        log_error(plugin, error.what());
    } catch (...) {
        log_error(plugin, "unknown exception");
    }
    return failed;
}

}  // namespace t2t::trt_plugins
