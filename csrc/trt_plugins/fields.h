// A plugin's settings as TensorRT's fields: read with every mistake named, written for serialisation.
#pragma once

#include <NvInfer.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace t2t::trt_plugins {

// One field of a plugin's settings: `length` numbers at `offset` of the plugin's Settings struct.
struct Field {
    char const* name;
    nvinfer1::PluginFieldType type;  // kINT32 or kFLOAT32
    int32_t length;
    size_t offset;
    bool required;  // else the struct's own value stands
};

struct FieldTable {
    Field const* fields;
    int32_t count;
};

// Reads fields into `settings`. The fields of serialised data (`complete`) must all be there, and of this library's
// version. Returns what is wrong; empty when nothing is.
std::string read_fields(FieldTable table, nvinfer1::PluginFieldCollection const* given, bool complete, void* settings);

// The fields of settings, with the library's version; points into `settings`.
std::vector<nvinfer1::PluginField> write_fields(FieldTable table, void const* settings);

}  // namespace t2t::trt_plugins
