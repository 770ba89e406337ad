"""Networks for Polygraphy: one written by hand, and ResNet-18 with changes."""

from typing import Any

import torch
import torchvision

import torch2trt
from torch2trt import trt


def from_scratch() -> tuple[Any, Any]:
    """A linear layer and its ReLU, written with TensorRT's own interface."""
    builder = trt.Builder(trt.Logger(trt.Logger.WARNING))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    features = network.add_input("features", trt.float32, (2, 8))
    weights = torch.linspace(-1, 1, 32).reshape(4, 8)
    matrix = network.add_constant((4, 8), trt.Weights(weights.numpy())).get_output(0)
    transposed = trt.MatrixOperation.TRANSPOSE
    product = network.add_matrix_multiply(features, trt.MatrixOperation.NONE, matrix, transposed).get_output(0)
    scores = network.add_activation(product, trt.ActivationType.RELU).get_output(0)
    scores.name = "scores"
    network.mark_output(scores)
    return builder, network


def _resnet18() -> torch2trt.Converted:
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval()
    return torch2trt.convert(model, torch.randn(1, 3, 64, 64), input_names=["image"], output_names=["scores"])


def with_softmax() -> tuple[Any, Any]:
    """ResNet-18 with a softmax behind it, so that it gives probabilities."""
    converted = _resnet18()
    network = converted.network
    scores = network.get_output(0)
    network.unmark_output(scores)
    softmax = network.add_softmax(scores)
    softmax.axes = 1 << 1
    softmax.name = "softmax"
    probabilities = softmax.get_output(0)
    probabilities.name = "probabilities"
    network.mark_output(probabilities)
    return converted.builder, network


def renamed() -> tuple[Any, Any]:
    """ResNet-18 under other names, as a program that uses the engine expects them."""
    converted = _resnet18()
    converted.network.name = "resnet18 of 2026"
    converted.network.get_input(0).name = "pixels"
    converted.network.get_output(0).name = "logits"
    return converted.builder, converted.network
