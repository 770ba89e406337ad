// What TensorRT looks for in a plugin library. Nothing here, or in the plugins, needs a symbol of libnvinfer.
#include <link.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "log.h"
#include "ops.h"

#define T2T_EXPORT extern "C" __attribute__((visibility("default")))

namespace t2t::trt_plugins {
namespace {

std::atomic<nvinfer1::ILoggerFinder*> logger_finder{nullptr};

// Sets *data where a loaded library is a TensorRT of another major version than the headers here.
int note_foreign(dl_phdr_info* info, size_t, void* data) {
    constexpr char kLibrary[] = "libnvinfer.so.";
    char const* name = info->dlpi_name == nullptr ? "" : info->dlpi_name;
    char const* const found = std::strstr(name, kLibrary);
    bool const other = found != nullptr && std::atoi(found + sizeof kLibrary - 1) != NV_TENSORRT_MAJOR;
    *static_cast<bool*>(data) |= other || std::strstr(name, "libtensorrt_rtx.so") != nullptr;
    return 0;
}

}  // namespace

// ILoggerFinder became a versioned interface, of another layout, in TensorRT 11: it is used only where it cannot be of
// another version than the headers.
void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept {
    bool foreign = false;
    dl_iterate_phdr(note_foreign, &foreign);
    logger_finder = foreign ? nullptr : finder;
}

void log_error(char const* plugin, char const* message) noexcept {
    try {
        std::string const text = std::string(plugin) + ": " + message;
        nvinfer1::ILoggerFinder* const finder = logger_finder;
        nvinfer1::ILogger* const logger = finder == nullptr ? nullptr : finder->findLogger();
        if (logger != nullptr) {
            logger->log(nvinfer1::ILogger::Severity::kERROR, text.c_str());
        } else {
            std::fprintf(stderr, "[torch2trt] %s\n", text.c_str());
        }
    } catch (...) {
        std::fputs("[torch2trt] out of memory\n", stderr);
    }
}

}  // namespace t2t::trt_plugins

T2T_EXPORT void setLoggerFinder(nvinfer1::ILoggerFinder* finder) { t2t::trt_plugins::set_logger_finder(finder); }

T2T_EXPORT nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& count) {
    using namespace t2t::trt_plugins;
    static nvinfer1::IPluginCreatorInterface* const creators[] = {correlation_creator(),    deform_conv2d_creator(),
                                                                  grid_sample_3d_creator(), ms_deform_attn_creator(),
                                                                  roi_align_creator(),      scatter_reduce_creator()};
    count = int32_t(sizeof creators / sizeof creators[0]);
    return creators;
}

// The older name of the same, which TensorRT asks for only where the other is missing.
T2T_EXPORT nvinfer1::IPluginCreatorInterface* const* getPluginCreators(int32_t& count) { return getCreators(count); }
