#include "fields.h"

#include <cstring>

#include "../kernels/common/api.h"

namespace t2t::trt_plugins {
namespace {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

constexpr char kVersionField[] = "abi";
constexpr int32_t kVersion = kAbi;

std::string wrong(PluginField const& field, PluginFieldType type, int32_t length) {
    if (field.type != type) {
        bool const whole = type == PluginFieldType::kINT32;
        return std::string("field ") + field.name + (whole ? " must be int32" : " must be float32");
    }
    if (field.length != length || field.data == nullptr) {
        return std::string("field ") + field.name + " must hold " + std::to_string(length) + " numbers, got " +
               std::to_string(field.data == nullptr ? 0 : field.length);
    }
    return {};
}

std::string read_version(PluginField const& field) {
    std::string const error = wrong(field, PluginFieldType::kINT32, 1);
    if (!error.empty()) {
        return error;
    }
    int32_t version;
    std::memcpy(&version, field.data, sizeof version);
    if (version != kVersion) {
        return "serialised by another version of the library (" + std::to_string(version) + ", this one is " +
               std::to_string(kVersion) + "): build the engine again";
    }
    return {};
}

int32_t find(FieldTable table, char const* name) {
    for (int32_t i = 0; i < table.count; ++i) {
        if (std::strcmp(table.fields[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

std::string missing(FieldTable table, std::vector<bool> const& seen, bool complete) {
    for (int32_t i = 0; i < table.count; ++i) {
        if (!seen[i] && (complete || table.fields[i].required)) {
            return std::string("field ") + table.fields[i].name + " is missing";
        }
    }
    return {};
}

}  // namespace

std::string read_fields(FieldTable table, nvinfer1::PluginFieldCollection const* given, bool complete,
                        void* settings) {
    if (given == nullptr || given->nbFields < 0 || (given->nbFields > 0 && given->fields == nullptr)) {
        return "there are no fields";
    }
    std::vector<bool> seen(size_t(table.count), false);
    bool versioned = false;
    for (int32_t i = 0; i < given->nbFields; ++i) {
        PluginField const& field = given->fields[i];
        if (field.name == nullptr) {
            return "a field has no name";
        }
        std::string error;
        if (std::strcmp(field.name, kVersionField) == 0) {
            error = read_version(field);
            versioned = true;
        } else {
            int32_t const number = find(table, field.name);
            if (number < 0) {
                return std::string("there is no field ") + field.name;
            }
            Field const& known = table.fields[number];
            error = wrong(field, known.type, known.length);
            if (error.empty()) {
                std::memcpy(static_cast<char*>(settings) + known.offset, field.data, size_t(known.length) * 4);
                seen[number] = true;
            }
        }
        if (!error.empty()) {
            return error;
        }
    }
    if (complete && !versioned) {
        return "the library's version is missing: the data are truncated, or not this library's";
    }
    return missing(table, seen, complete);
}

std::vector<PluginField> write_fields(FieldTable table, void const* settings) {
    std::vector<PluginField> written;
    for (int32_t i = 0; i < table.count; ++i) {
        Field const& field = table.fields[i];
        written.emplace_back(field.name, static_cast<char const*>(settings) + field.offset, field.type, field.length);
    }
    written.emplace_back(kVersionField, &kVersion, PluginFieldType::kINT32, 1);
    return written;
}

}  // namespace t2t::trt_plugins
