// Sizes that are known when the engine runs, computed by TensorRT.
#pragma once

#include <NvInfer.h>

namespace t2t::trt_plugins {

using Size = nvinfer1::IDimensionExpr const*;

class Expressions {
public:
    explicit Expressions(nvinfer1::IExprBuilder& builder) : builder_(builder) {}

    Size constant(int64_t value) const { return builder_.constant(value); }
    Size sum(Size left, Size right) const { return apply(nvinfer1::DimensionOperation::kSUM, left, right); }
    Size product(Size left, Size right) const { return apply(nvinfer1::DimensionOperation::kPROD, left, right); }
    Size quotient(Size left, Size right) const { return apply(nvinfer1::DimensionOperation::kFLOOR_DIV, left, right); }

private:
    Size apply(nvinfer1::DimensionOperation operation, Size left, Size right) const {
        return left == nullptr || right == nullptr ? nullptr : builder_.operation(operation, *left, *right);
    }

    nvinfer1::IExprBuilder& builder_;
};

// Sets an output's shape; false where TensorRT could not make one of the sizes.
template <class... Sizes>
bool set_shape(nvinfer1::DimsExprs& output, Sizes... sizes) {
    Size const listed[] = {sizes...};
    output.nbDims = int32_t(sizeof...(sizes));
    for (int32_t axis = 0; axis < output.nbDims; ++axis) {
        output.d[axis] = listed[axis];
        if (listed[axis] == nullptr) {
            return false;
        }
    }
    return true;
}

}  // namespace t2t::trt_plugins
