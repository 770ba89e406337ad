"""Networks for the evaluator's own tests."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from torch2trt.trt_compat import trt

from .conformance.case import Net


@pytest.fixture
def net() -> Net:
    """An empty network."""
    from torch2trt.trt_compat import logger

    return Net(trt.Builder(logger()))


def activation(net: Net, x: Any, kind: str = "RELU", name: str = "") -> Any:
    layer = net.network.add_activation(x, getattr(trt.ActivationType, kind))
    if name:
        layer.name = name
    return layer.get_output(0)


def binary(net: Net, a: Any, b: Any, kind: str = "SUM") -> Any:
    return net.network.add_elementwise(a, b, getattr(trt.ElementWiseOperation, kind)).get_output(0)


def named(tensor: Any, name: str) -> Any:
    tensor.name = name
    return tensor


def linear_network(net: Net, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """y = relu(x @ weight + bias), the constants named like parameters, x of any number of rows."""
    x = net.network.add_input("x", trt.float32, (-1, weight.shape[0]))
    constants = []
    for name, value in (("fc.weight", weight), ("fc.bias", bias.unsqueeze(0))):
        layer = net.network.add_constant(tuple(value.shape), net.weights(value))
        layer.name = name
        constants.append(layer.get_output(0))
    none = trt.MatrixOperation.NONE
    product = net.network.add_matrix_multiply(x, none, constants[0], none).get_output(0)
    total = named(binary(net, named(product, "product"), constants[1]), "total")
    net.network.mark_output(named(activation(net, total), "y"))
