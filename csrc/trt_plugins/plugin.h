// The part of a plugin that is the same for all: one class of TensorRT's IPluginV3 over the description of an op.
//
// A description `Op` has
//   kName, Settings, kFields      the plugin's name, its settings and their fields
//   kKinds                        a letter an input: N for numbers, all of one type, I for indices, all of one type
//   inputs(settings)              how many inputs there are
//   Sizes                         the kernel's struct of sizes
//   sizes(settings, tensors, sizes), check(sizes), workspace(sizes), run(...)
//   shape(settings, inputs, output, expressions)   the shape of the one output
// and is an AnyOp, or has
//   fixed(input, axis)            why that size cannot be dynamic (a smaller one may need more workspace), or nullptr
#pragma once

#include <NvInfer.h>

#include <cstring>
#include <iterator>
#include <new>
#include <string>
#include <vector>

#include "../kernels/common/api.h"
#include "expressions.h"
#include "fields.h"
#include "log.h"

namespace t2t::trt_plugins {

constexpr char kNamespace[] = "torch2trt";
constexpr char kVersion[] = "1";
constexpr int32_t kMaxInputs = 6;

// The inputs as a kernel sees them.
struct Tensors {
    nvinfer1::Dims shape[kMaxInputs];
    nvinfer1::DataType type[kMaxInputs];

    int64_t size(int32_t input, int32_t axis) const { return shape[input].d[axis]; }
    DType dtype() const {
        return type[0] == nvinfer1::DataType::kFLOAT  ? DType::Float32
               : type[0] == nvinfer1::DataType::kHALF ? DType::Float16
                                                      : DType::BFloat16;
    }
    IndexType index_type(int32_t input) const {
        return type[input] == nvinfer1::DataType::kINT64 ? IndexType::Int64 : IndexType::Int32;
    }
    bool has_shape(int32_t input, std::initializer_list<int64_t> sizes) const {
        if (shape[input].nbDims != int32_t(sizes.size())) {
            return false;
        }
        int32_t axis = 0;
        for (int64_t const expected : sizes) {
            if (shape[input].d[axis++] != expected) {
                return false;
            }
        }
        return true;
    }
};

// An op all of whose sizes may be dynamic.
struct AnyOp {
    static Error fixed(int32_t, int32_t) { return nullptr; }
};

template <class Op>
class Plugin final : public nvinfer1::IPluginV3,
                     public nvinfer1::IPluginV3OneCore,
                     public nvinfer1::IPluginV3OneBuild,
                     public nvinfer1::IPluginV3OneRuntime {
public:
    using Settings = typename Op::Settings;
    using Sizes = typename Op::Sizes;

    explicit Plugin(Settings const& settings) : settings_(settings) {}
    Plugin(Plugin const& other) : Plugin(other.settings_) {}

    nvinfer1::IPluginCapability* getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept override {
        switch (type) {
            case nvinfer1::PluginCapabilityType::kCORE: return static_cast<nvinfer1::IPluginV3OneCore*>(this);
            case nvinfer1::PluginCapabilityType::kBUILD: return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
            case nvinfer1::PluginCapabilityType::kRUNTIME: return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
        }
        return nullptr;
    }

    nvinfer1::IPluginV3* clone() noexcept override {
        return guarded(Op::kName, static_cast<nvinfer1::IPluginV3*>(nullptr),
                       [&]() -> nvinfer1::IPluginV3* { return new Plugin(*this); });
    }

    nvinfer1::AsciiChar const* getPluginName() const noexcept override { return Op::kName; }
    nvinfer1::AsciiChar const* getPluginVersion() const noexcept override { return kVersion; }
    nvinfer1::AsciiChar const* getPluginNamespace() const noexcept override { return kNamespace; }

    int32_t getNbOutputs() const noexcept override { return 1; }

    int32_t configurePlugin(nvinfer1::DynamicPluginTensorDesc const* in, int32_t inputs,
                            nvinfer1::DynamicPluginTensorDesc const*, int32_t outputs) noexcept override {
        if (!counts_fit(inputs, outputs)) {
            return 1;
        }
        for (int32_t input = 0; input < inputs; ++input) {
            if (!rank_fits(input, in[input].desc.dims.nbDims)) {
                return 1;
            }
            for (int32_t axis = 0; axis < in[input].desc.dims.nbDims; ++axis) {
                Error const error = Op::fixed(input, axis);
                if (error != nullptr && in[input].min.d[axis] != in[input].max.d[axis]) {
                    return fail(error);
                }
            }
        }
        return 0;
    }

    int32_t getOutputDataTypes(nvinfer1::DataType* types, int32_t outputs, nvinfer1::DataType const* input_types,
                               int32_t inputs) const noexcept override {
        if (!counts_fit(inputs, outputs)) {
            return 1;
        }
        types[0] = input_types[0];
        return 0;
    }

    int32_t getOutputShapes(nvinfer1::DimsExprs const* in, int32_t inputs, nvinfer1::DimsExprs const*,
                            int32_t, nvinfer1::DimsExprs* out, int32_t outputs,
                            nvinfer1::IExprBuilder& builder) noexcept override {
        if (!counts_fit(inputs, outputs)) {
            return 1;
        }
        for (int32_t input = 0; input < inputs; ++input) {
            if (!rank_fits(input, in[input].nbDims)) {
                return 1;
            }
        }
        if (!Op::shape(settings_, in, out[0], Expressions(builder))) {
            return fail("the output's shape could not be computed");
        }
        return 0;
    }

    bool supportsFormatCombination(int32_t position, nvinfer1::DynamicPluginTensorDesc const* tensors, int32_t inputs,
                                   int32_t outputs) noexcept override {
        if (inputs != Op::inputs(settings_) || outputs != 1 || position < 0 || position > inputs) {
            return false;
        }
        using nvinfer1::DataType;
        auto const& asked = tensors[position].desc;
        if (asked.format != nvinfer1::TensorFormat::kLINEAR) {
            return false;
        }
        if (position == 0) {
            return asked.type == DataType::kFLOAT || asked.type == DataType::kHALF || asked.type == DataType::kBF16;
        }
        if (position == inputs || Op::kKinds[position] == 'N') {
            return asked.type == tensors[0].desc.type;
        }
        int32_t const first = first_index();
        return position == first ? asked.type == DataType::kINT32 || asked.type == DataType::kINT64
                                 : asked.type == tensors[first].desc.type;
    }

    size_t getWorkspaceSize(nvinfer1::DynamicPluginTensorDesc const* in, int32_t inputs,
                            nvinfer1::DynamicPluginTensorDesc const*, int32_t outputs) const noexcept override {
        if (!counts_fit(inputs, outputs)) {
            return 0;
        }
        Tensors tensors{};
        for (int32_t input = 0; input < inputs; ++input) {
            tensors.shape[input] = in[input].max;
            tensors.type[input] = in[input].desc.type;
        }
        // Of the largest sizes that each input may have; they need not go together, so nothing is checked.
        Sizes sizes{};
        static_cast<void>(Op::sizes(settings_, tensors, sizes));
        return Op::workspace(sizes);
    }

    int32_t onShapeChange(nvinfer1::PluginTensorDesc const* in, int32_t inputs, nvinfer1::PluginTensorDesc const*,
                          int32_t outputs) noexcept override {
        Sizes sizes{};
        return counts_fit(inputs, outputs) && measure(in, sizes) ? 0 : 1;
    }

    int32_t enqueue(nvinfer1::PluginTensorDesc const* in, nvinfer1::PluginTensorDesc const*,
                    void const* const* inputs, void* const* outputs, void* workspace,
                    cudaStream_t stream) noexcept override {
        return guarded(Op::kName, 1, [&] {
            Sizes sizes{};
            if (!measure(in, sizes)) {
                return 1;
            }
            if (workspace == nullptr && Op::workspace(sizes) > 0) {
                return fail("the workspace is missing");
            }
            Error const error = Op::run(settings_, sizes, inputs, outputs[0], workspace, stream);
            return error == nullptr ? 0 : fail(error);
        });
    }

    nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext*) noexcept override { return clone(); }

    nvinfer1::PluginFieldCollection const* getFieldsToSerialize() noexcept override {
        return guarded(Op::kName, static_cast<nvinfer1::PluginFieldCollection const*>(nullptr),
                       [&]() -> nvinfer1::PluginFieldCollection const* {
                           written_ = write_fields(table(), &settings_);
                           collection_ = {int32_t(written_.size()), written_.data()};
                           return &collection_;
                       });
    }

    static FieldTable table() { return {std::data(Op::kFields), int32_t(std::size(Op::kFields))}; }

private:
    static int32_t fail(char const* message) noexcept {
        log_error(Op::kName, message);
        return 1;
    }

    static int32_t first_index() noexcept {
        char const* first = std::strchr(Op::kKinds, 'I');
        return first == nullptr ? -1 : int32_t(first - Op::kKinds);
    }

    bool counts_fit(int32_t inputs, int32_t outputs) const noexcept {
        if (inputs == Op::inputs(settings_) && outputs == 1) {
            return true;
        }
        log_error(Op::kName, "the number of inputs or outputs is wrong");
        return false;
    }

    bool rank_fits(int32_t input, int32_t rank) const noexcept {
        int32_t const expected = Op::kRanks[input];
        if (expected == 0 ? rank >= 1 : rank == expected) {
            return true;
        }
        log_error(Op::kName, "an input has the wrong number of axes");
        return false;
    }

    bool measure(nvinfer1::PluginTensorDesc const* in, Sizes& sizes) const noexcept {
        Tensors tensors{};
        for (int32_t input = 0; input < Op::inputs(settings_); ++input) {
            if (!rank_fits(input, in[input].dims.nbDims)) {
                return false;
            }
            tensors.shape[input] = in[input].dims;
            tensors.type[input] = in[input].type;
        }
        Error error = Op::sizes(settings_, tensors, sizes);
        error = error == nullptr ? Op::check(sizes) : error;
        return error == nullptr || fail(error) == 0;
    }

    Settings settings_;
    std::vector<nvinfer1::PluginField> written_;
    nvinfer1::PluginFieldCollection collection_{};
};

template <class Op>
class Creator final : public nvinfer1::IPluginCreatorV3One {
public:
    Creator() {
        for (Field const& field : Op::kFields) {
            described_.emplace_back(field.name, nullptr, field.type, field.length);
        }
        collection_ = {int32_t(described_.size()), described_.data()};
    }

    nvinfer1::IPluginV3* createPlugin(nvinfer1::AsciiChar const*, nvinfer1::PluginFieldCollection const* fields,
                                      nvinfer1::TensorRTPhase phase) noexcept override {
        return guarded(Op::kName, static_cast<nvinfer1::IPluginV3*>(nullptr), [&]() -> nvinfer1::IPluginV3* {
            typename Op::Settings settings{};
            std::string const error =
                read_fields(Plugin<Op>::table(), fields, phase == nvinfer1::TensorRTPhase::kRUNTIME, &settings);
            if (!error.empty()) {
                log_error(Op::kName, error.c_str());
                return nullptr;
            }
            return new Plugin<Op>(settings);
        });
    }

    nvinfer1::PluginFieldCollection const* getFieldNames() noexcept override { return &collection_; }
    nvinfer1::AsciiChar const* getPluginName() const noexcept override { return Op::kName; }
    nvinfer1::AsciiChar const* getPluginVersion() const noexcept override { return kVersion; }
    nvinfer1::AsciiChar const* getPluginNamespace() const noexcept override { return kNamespace; }

private:
    std::vector<nvinfer1::PluginField> described_;
    nvinfer1::PluginFieldCollection collection_{};
};

}  // namespace t2t::trt_plugins
