// The kernel as a TensorRT plugin. It needs NvInfer's headers and no library of TensorRT's.
#include <NvInfer.h>

#include <cstring>
#include <new>

#include "kernel.h"

using namespace nvinfer1;

namespace {

constexpr char kName[] = "LeakyClip", kVersion[] = "1", kNamespace[] = "sample";

class Plugin final : public IPluginV3, public IPluginV3OneCore, public IPluginV3OneBuild, public IPluginV3OneRuntime {
public:
    explicit Plugin(LeakyClip const& clip) : clip_(clip) {}

    IPluginCapability* getCapabilityInterface(PluginCapabilityType type) noexcept override {
        switch (type) {
            case PluginCapabilityType::kCORE: return static_cast<IPluginV3OneCore*>(this);
            case PluginCapabilityType::kBUILD: return static_cast<IPluginV3OneBuild*>(this);
            case PluginCapabilityType::kRUNTIME: return static_cast<IPluginV3OneRuntime*>(this);
        }
        return nullptr;
    }
    IPluginV3* clone() noexcept override { return new (std::nothrow) Plugin(clip_); }

    AsciiChar const* getPluginName() const noexcept override { return kName; }
    AsciiChar const* getPluginVersion() const noexcept override { return kVersion; }
    AsciiChar const* getPluginNamespace() const noexcept override { return kNamespace; }

    int32_t getNbOutputs() const noexcept override { return 1; }
    int32_t getOutputDataTypes(DataType* out, int32_t, DataType const* in, int32_t) const noexcept override {
        out[0] = in[0];
        return 0;
    }
    int32_t getOutputShapes(DimsExprs const* in, int32_t, DimsExprs const*, int32_t, DimsExprs* out, int32_t,
                            IExprBuilder&) noexcept override {
        out[0] = in[0];
        return 0;
    }
    bool supportsFormatCombination(int32_t position, DynamicPluginTensorDesc const* tensors, int32_t,
                                   int32_t) noexcept override {
        auto const& asked = tensors[position].desc;
        return asked.type == DataType::kFLOAT && asked.format == TensorFormat::kLINEAR;
    }
    int32_t configurePlugin(DynamicPluginTensorDesc const*, int32_t, DynamicPluginTensorDesc const*,
                            int32_t) noexcept override {
        return 0;
    }

    int32_t onShapeChange(PluginTensorDesc const*, int32_t, PluginTensorDesc const*, int32_t) noexcept override {
        return 0;
    }
    int32_t enqueue(PluginTensorDesc const* in, PluginTensorDesc const*, void const* const* inputs,
                    void* const* outputs, void*, cudaStream_t stream) noexcept override {
        int64_t count = 1;
        for (int32_t axis = 0; axis < in[0].dims.nbDims; ++axis) {
            count *= in[0].dims.d[axis];
        }
        auto const* input = static_cast<float const*>(inputs[0]);
        return leaky_clip_cuda(clip_, input, static_cast<float*>(outputs[0]), count, stream);
    }
    IPluginV3* attachToContext(IPluginResourceContext*) noexcept override { return clone(); }

    PluginFieldCollection const* getFieldsToSerialize() noexcept override {
        fields_[0] = {"low", &clip_.low, PluginFieldType::kFLOAT32, 1};
        fields_[1] = {"high", &clip_.high, PluginFieldType::kFLOAT32, 1};
        fields_[2] = {"slope", &clip_.slope, PluginFieldType::kFLOAT32, 1};
        return &collection_;
    }

private:
    LeakyClip clip_;
    PluginField fields_[3];
    PluginFieldCollection collection_{3, fields_};
};

class Creator final : public IPluginCreatorV3One {
public:
    IPluginV3* createPlugin(AsciiChar const*, PluginFieldCollection const* given, TensorRTPhase) noexcept override {
        LeakyClip clip{};
        float* const values[] = {&clip.low, &clip.high, &clip.slope};
        int found = 0;
        for (int32_t i = 0; i < given->nbFields; ++i) {
            PluginField const& field = given->fields[i];
            for (int known = 0; known < 3; ++known) {
                if (std::strcmp(field.name, names_[known].name) == 0 && field.type == PluginFieldType::kFLOAT32 &&
                    field.length == 1) {
                    std::memcpy(values[known], field.data, sizeof(float));
                    ++found;
                }
            }
        }
        return found == 3 ? new (std::nothrow) Plugin(clip) : nullptr;
    }
    PluginFieldCollection const* getFieldNames() noexcept override { return &collection_; }
    AsciiChar const* getPluginName() const noexcept override { return kName; }
    AsciiChar const* getPluginVersion() const noexcept override { return kVersion; }
    AsciiChar const* getPluginNamespace() const noexcept override { return kNamespace; }

private:
    PluginField names_[3] = {{"low", nullptr, PluginFieldType::kFLOAT32, 1},
                             {"high", nullptr, PluginFieldType::kFLOAT32, 1},
                             {"slope", nullptr, PluginFieldType::kFLOAT32, 1}};
    PluginFieldCollection collection_{3, names_};
};

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT void setLoggerFinder(ILoggerFinder*) {}

EXPORT IPluginCreatorInterface* const* getCreators(int32_t& count) {
    static Creator creator;
    static IPluginCreatorInterface* const creators[] = {&creator};
    count = 1;
    return creators;
}
