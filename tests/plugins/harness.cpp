// Takes a plugin through its whole life as TensorRT would, without TensorRT's library.
//
//     harness <library of plugins> <script>
//
// The script has one word and its arguments a line:
//     plugin <name>                                  which of the library's plugins
//     field <name> <i|f> <count> <numbers>           a field to create it from
//     input <type> <rank> <sizes> <file>             an input: float32, float16, bfloat16, int32, int64
//     largest <input> <axis> <size>                  a size that an input may grow to
//     drop | shorten | change <field> [number]       what happens to a serialised field before it is read again
//     output <file>                                  where the result goes
// It prints what the plugin answers, a line each, and ends with `done`, or with `failed <where>`.
#include <NvInfer.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#ifdef T2T_CUDA
#include <cuda_runtime.h>
#endif

using namespace nvinfer1;

namespace {

struct Failure {
    std::string where;
};

void require(bool condition, std::string const& where) {
    if (!condition) {
        throw Failure{where};
    }
}

// Dimension expressions that are numbers already.
class Number final : public IDimensionExpr {
public:
    explicit Number(int64_t value) : impl_(value) { mImpl = &impl_; }

private:
    struct Impl final : apiv::VDimensionExpr {
        explicit Impl(int64_t number) : value(number) {}
        bool isConstant() const override { return true; }
        int64_t getConstantValue() const override { return value; }
        bool isSizeTensor() const override { return false; }
        int64_t value;
    };
    Impl impl_;
};

class Builder final : public IExprBuilder {
public:
    Builder() { mImpl = &impl_; }

private:
    struct Impl final : apiv::VExprBuilder {
        IDimensionExpr const* constant(int64_t value) override {
            numbers.emplace_back(value);
            return &numbers.back();
        }
        IDimensionExpr const* operation(DimensionOperation operation, IDimensionExpr const& first,
                                        IDimensionExpr const& second) override {
            int64_t const left = first.getConstantValue(), right = second.getConstantValue();
            switch (operation) {
                case DimensionOperation::kSUM: return constant(left + right);
                case DimensionOperation::kPROD: return constant(left * right);
                case DimensionOperation::kSUB: return constant(left - right);
                case DimensionOperation::kFLOOR_DIV: return right == 0 ? nullptr : constant(left / right);
                default: return nullptr;
            }
        }
        IDimensionExpr const* declareSizeTensor(int32_t, IDimensionExpr const&, IDimensionExpr const&) override {
            return nullptr;
        }
        std::deque<Number> numbers;
    };
    Impl impl_;
};

class Log final : public ILogger {
public:
    void log(Severity, AsciiChar const* message) noexcept override { std::cout << "log " << message << "\n"; }
};

class Finder final : public ILoggerFinder {
public:
    ILogger* findLogger() override { return &log_; }

private:
    Log log_;
};

struct Memory {
    explicit Memory(size_t bytes) : size(bytes) {
#ifdef T2T_CUDA
        require(cudaMalloc(&at, bytes + 256) == cudaSuccess, "cudaMalloc");
#else
        storage.resize(bytes + 256);
        at = storage.data();
#endif
    }
    void write(std::string const& data) {
#ifdef T2T_CUDA
        require(cudaMemcpy(at, data.data(), data.size(), cudaMemcpyHostToDevice) == cudaSuccess, "cudaMemcpy");
#else
        std::memcpy(at, data.data(), data.size());
#endif
    }
    std::string read() const {
        std::string data(size, '\0');
#ifdef T2T_CUDA
        require(cudaMemcpy(&data[0], at, size, cudaMemcpyDeviceToHost) == cudaSuccess, "the kernel");
#else
        std::memcpy(&data[0], at, size);
#endif
        return data;
    }
    size_t size;
    void* at = nullptr;
    std::vector<char> storage;
};

struct Type {
    char const* name;
    DataType type;
    size_t size;
};

constexpr Type kTypes[] = {
    {"float32", DataType::kFLOAT, 4}, {"float16", DataType::kHALF, 2}, {"bfloat16", DataType::kBF16, 2},
    {"int32", DataType::kINT32, 4},   {"int64", DataType::kINT64, 8},  {"int8", DataType::kINT8, 1},
};
constexpr TensorFormat kFormats[] = {TensorFormat::kLINEAR, TensorFormat::kCHW2,  TensorFormat::kHWC8,
                                     TensorFormat::kCHW4,   TensorFormat::kCHW16, TensorFormat::kCHW32,
                                     TensorFormat::kHWC};

struct Numbers {
    std::string name;
    PluginFieldType type;
    std::vector<int32_t> whole;
    std::vector<float> real;

    PluginField field() const {
        bool const is_whole = type == PluginFieldType::kINT32;
        void const* data = is_whole ? static_cast<void const*>(whole.data()) : real.data();
        return {name.c_str(), data, type, int32_t(is_whole ? whole.size() : real.size())};
    }
};

struct Input {
    Type type;
    Dims dims{};
    std::string data;
};

struct Edit {
    std::string what, field;
    int32_t number;
};

// A size of an input that its shape may grow to.
struct Largest {
    size_t input;
    int32_t axis;
    int64_t size;
};

struct Script {
    std::string plugin, output;
    std::deque<Numbers> fields;
    std::vector<Input> inputs;
    std::vector<Edit> edits;
    std::vector<Largest> largest;
};

std::string slurp(std::string const& path) {
    std::ifstream file(path, std::ios::binary);
    require(bool(file), "reading " + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

Type type_named(std::string const& name) {
    for (Type const& type : kTypes) {
        if (name == type.name) {
            return type;
        }
    }
    throw Failure{"type " + name};
}

Script read_script(char const* path) {
    Script script;
    std::ifstream file(path);
    for (std::string text; std::getline(file, text);) {
        std::istringstream line(text);
        std::string word, name;
        line >> word;
        if (word == "plugin") {
            line >> script.plugin;
        } else if (word == "output") {
            line >> script.output;
        } else if (word == "field") {
            Numbers numbers;
            std::string kind;
            size_t count = 0;
            line >> numbers.name >> kind >> count;
            numbers.type = kind == "i" ? PluginFieldType::kINT32 : PluginFieldType::kFLOAT32;
            for (double number; count > 0 && line >> number; --count) {
                numbers.whole.push_back(int32_t(number));
                numbers.real.push_back(float(number));
            }
            script.fields.push_back(numbers);
        } else if (word == "input") {
            Input input;
            line >> name >> input.dims.nbDims;
            input.type = type_named(name);
            for (int32_t axis = 0; axis < input.dims.nbDims; ++axis) {
                line >> input.dims.d[axis];
            }
            line >> name;
            input.data = slurp(name);
            script.inputs.push_back(input);
        } else if (word == "largest") {
            Largest largest{};
            line >> largest.input >> largest.axis >> largest.size;
            script.largest.push_back(largest);
        } else if (!word.empty()) {
            Edit edit{word, "", 0};
            line >> edit.field >> edit.number;
            script.edits.push_back(edit);
        }
    }
    return script;
}

IPluginCreatorV3One* find_creator(void* library, std::string const& name) {
    using Get = IPluginCreatorInterface* const* (*)(int32_t&);
    for (char const* symbol : {"getCreators", "getPluginCreators"}) {
        auto const get = reinterpret_cast<Get>(dlsym(library, symbol));
        require(get != nullptr, symbol);
        int32_t count = 0;
        IPluginCreatorInterface* const* creators = get(count);
        std::cout << symbol << " " << count << "\n";
        for (int32_t i = 0; i < count && std::strcmp(symbol, "getPluginCreators") == 0; ++i) {
            auto* creator = static_cast<IPluginCreatorV3One*>(creators[i]);
            if (name == creator->getPluginName()) {
                std::cout << "creator " << creator->getPluginVersion() << " " << creator->getPluginNamespace() << "\n";
                PluginFieldCollection const* names = creator->getFieldNames();
                for (int32_t field = 0; field < names->nbFields; ++field) {
                    std::cout << "field " << names->fields[field].name << "\n";
                }
                return creator;
            }
        }
    }
    throw Failure{"finding the creator"};
}

template <class Capability>
Capability& capability(IPluginV3& plugin, PluginCapabilityType type) {
    auto* found = static_cast<Capability*>(plugin.getCapabilityInterface(type));
    require(found != nullptr, "getCapabilityInterface");
    return *found;
}

Dims output_shape(IPluginV3OneBuild& build, Script const& script) {
    Builder builder;
    std::deque<Number> sizes;
    std::vector<DimsExprs> shapes(script.inputs.size());
    for (size_t i = 0; i < shapes.size(); ++i) {
        shapes[i].nbDims = script.inputs[i].dims.nbDims;
        for (int32_t axis = 0; axis < shapes[i].nbDims; ++axis) {
            sizes.emplace_back(script.inputs[i].dims.d[axis]);
            shapes[i].d[axis] = &sizes.back();
        }
    }
    DimsExprs output{};
    require(build.getOutputShapes(shapes.data(), int32_t(shapes.size()), nullptr, 0, &output, 1, builder) == 0,
            "getOutputShapes");
    Dims dims{};
    dims.nbDims = output.nbDims;
    std::cout << "shape";
    for (int32_t axis = 0; axis < dims.nbDims; ++axis) {
        dims.d[axis] = output.d[axis]->getConstantValue();
        std::cout << " " << dims.d[axis];
    }
    std::cout << "\n";
    return dims;
}

// Prints every type and format that a position may have while the others have theirs.
void ask_formats(IPluginV3OneBuild& build, std::vector<DynamicPluginTensorDesc> tensors) {
    int32_t const inputs = int32_t(tensors.size()) - 1;
    for (int32_t position = 0; position <= inputs; ++position) {
        for (Type const& type : kTypes) {
            for (TensorFormat const format : kFormats) {
                auto asked = tensors;
                asked[position].desc.type = type.type;
                asked[position].desc.format = format;
                if (build.supportsFormatCombination(position, asked.data(), inputs, 1)) {
                    std::cout << "accepts " << position << " " << type.name << " " << int32_t(format) << "\n";
                }
            }
        }
    }
    require(!build.supportsFormatCombination(inputs + 1, tensors.data(), inputs, 1), "a position past the end");
}

std::unique_ptr<IPluginV3> recreate(IPluginCreatorV3One& creator, IPluginV3& plugin, Script const& script) {
    auto& runtime = capability<IPluginV3OneRuntime>(plugin, PluginCapabilityType::kRUNTIME);
    PluginFieldCollection const* written = runtime.getFieldsToSerialize();
    require(written != nullptr, "getFieldsToSerialize");
    std::vector<PluginField> fields(written->fields, written->fields + written->nbFields);
    for (Edit const& edit : script.edits) {
        for (size_t i = 0; i < fields.size(); ++i) {
            if (edit.field != fields[i].name) {
                continue;
            }
            if (edit.what == "drop") {
                fields.erase(fields.begin() + int64_t(i));
            } else if (edit.what == "shorten") {
                --fields[i].length;
            } else {
                fields[i].data = &edit.number;
            }
            break;
        }
    }
    PluginFieldCollection const collection{int32_t(fields.size()), fields.data()};
    return std::unique_ptr<IPluginV3>(creator.createPlugin("again", &collection, TensorRTPhase::kRUNTIME));
}

void run(char const* path, Script const& script) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    require(library != nullptr, std::string("dlopen: ") + (library ? "" : dlerror()));
    static Finder finder;
    auto const set_finder = reinterpret_cast<void (*)(ILoggerFinder*)>(dlsym(library, "setLoggerFinder"));
    require(set_finder != nullptr, "setLoggerFinder");
    set_finder(&finder);
    IPluginCreatorV3One& creator = *find_creator(library, script.plugin);

    std::vector<PluginField> fields;
    for (Numbers const& numbers : script.fields) {
        fields.push_back(numbers.field());
    }
    PluginFieldCollection const collection{int32_t(fields.size()), fields.data()};
    std::unique_ptr<IPluginV3> plugin(creator.createPlugin("first", &collection, TensorRTPhase::kBUILD));
    require(plugin != nullptr, "createPlugin");
    plugin.reset(plugin->clone());
    auto& build = capability<IPluginV3OneBuild>(*plugin, PluginCapabilityType::kBUILD);
    require(build.getNbOutputs() == 1, "getNbOutputs");

    int32_t const count = int32_t(script.inputs.size());
    std::vector<DataType> types;
    std::vector<DynamicPluginTensorDesc> dynamic;
    for (Input const& input : script.inputs) {
        types.push_back(input.type.type);
        DynamicPluginTensorDesc desc{};
        desc.desc = {input.dims, input.type.type, TensorFormat::kLINEAR, 1.0f};
        desc.min = desc.max = input.dims;
        dynamic.push_back(desc);
    }
    for (Largest const& largest : script.largest) {
        dynamic[largest.input].max.d[largest.axis] = largest.size;
    }
    DataType output_type{};
    require(build.getOutputDataTypes(&output_type, 1, types.data(), count) == 0, "getOutputDataTypes");
    require(output_type == types[0], "the output's type");
    Dims const dims = output_shape(build, script);
    DynamicPluginTensorDesc result{};
    result.desc = {dims, output_type, TensorFormat::kLINEAR, 1.0f};
    result.min = result.max = dims;
    dynamic.push_back(result);
    ask_formats(build, dynamic);
    require(build.configurePlugin(dynamic.data(), count, &dynamic.back(), 1) == 0, "configurePlugin");
    size_t const workspace = build.getWorkspaceSize(dynamic.data(), count, &dynamic.back(), 1);
    std::cout << "workspace " << workspace << "\n";

    std::unique_ptr<IPluginV3> again = recreate(creator, *plugin, script);
    require(again != nullptr, "recreating");
    plugin.reset();
    auto& loaded = capability<IPluginV3OneRuntime>(*again, PluginCapabilityType::kRUNTIME);
    std::unique_ptr<IPluginV3> attached(loaded.attachToContext(nullptr));
    require(attached != nullptr, "attachToContext");
    auto& runtime = capability<IPluginV3OneRuntime>(*attached, PluginCapabilityType::kRUNTIME);

    std::vector<PluginTensorDesc> in;
    std::deque<Memory> memory;
    std::vector<void const*> pointers;
    for (Input const& input : script.inputs) {
        in.push_back({input.dims, input.type.type, TensorFormat::kLINEAR, 1.0f});
        memory.emplace_back(input.data.size());
        memory.back().write(input.data);
        pointers.push_back(memory.back().at);
    }
    size_t bytes = script.inputs[0].type.size;
    for (int32_t axis = 0; axis < dims.nbDims; ++axis) {
        require(dims.d[axis] >= 0, "a negative size");
        bytes *= size_t(dims.d[axis]);
    }
    Memory output(bytes), scratch(workspace);
    void* const outputs[] = {output.at};
    require(runtime.onShapeChange(in.data(), count, &result.desc, 1) == 0, "onShapeChange");
    require(runtime.enqueue(in.data(), &result.desc, pointers.data(), outputs, scratch.at, nullptr) == 0, "enqueue");
    std::ofstream(script.output, std::ios::binary) << output.read();
}

}  // namespace

int main(int, char** arguments) {
    try {
        run(arguments[1], read_script(arguments[2]));
    } catch (Failure const& failure) {
        std::cout << "failed " << failure.where << std::endl;
        return 0;
    }
    std::cout << "done" << std::endl;
    return 0;
}
