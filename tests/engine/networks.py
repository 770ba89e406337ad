"""Small networks made by hand, each with the same maths in eager PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from torch2trt import trt_compat
from torch2trt.engine.build import BuildOptions, Profile, serialize_network
from torch2trt.trt_compat import trt


@dataclass
class HandMade:
    """A network, what keeps its weights alive, and what it computes."""

    builder: Any
    network: Any
    eager: Callable[..., Any]
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    profiles: Sequence[Profile] = ()

    def serialize(self, **options: Any) -> bytes:
        return serialize_network(self.builder, self.network, BuildOptions(**options), profiles=self.profiles)


def new() -> tuple[Any, Any]:
    builder = trt.Builder(trt_compat.logger())
    return builder, trt_compat.create_network(builder)


def constant(network: Any, name: str, tensor: torch.Tensor) -> Any:
    """A named constant; the network keeps a NumPy array alive by itself."""
    weights = trt.Weights(tensor.numpy())
    layer = network.add_constant(tuple(tensor.shape), weights)
    layer.name = f"{name}.constant"
    network.set_weights_name(weights, name)
    return layer.get_output(0)


def output(network: Any, tensor: Any, name: str) -> None:
    tensor.name = name
    network.mark_output(tensor)


def in_steps(tensor: torch.Tensor, step: float) -> torch.Tensor:
    """The nearest multiples of ``step``: so few bits that neither TF32 nor a sum of products rounds them."""
    return (tensor / step).round() * step


def mlp(*, scale: float = 1.0, batches: Sequence[tuple[int, int, int]] = ((1, 4, 8),)) -> HandMade:
    """``relu(x @ w1 + b1) @ w2 + b2`` over 16 features; the batch is dynamic, one profile for each range."""
    generator = torch.Generator().manual_seed(1)
    shapes = {"fc1.weight": (16, 32), "fc1.bias": (1, 32), "fc2.weight": (32, 8), "fc2.bias": (1, 8)}
    weights = {
        name: scale * in_steps(torch.randn(shape, generator=generator) / 4, 0.125) for name, shape in shapes.items()
    }
    builder, network = new()
    x = network.add_input("x", trt.float32, (-1, 16))
    none = trt.MatrixOperation.NONE
    for part in ("fc1", "fc2"):
        product = network.add_matrix_multiply(
            x, none, constant(network, f"{part}.weight", weights[f"{part}.weight"]), none
        )
        product.name = f"body.{part}/linear.0"
        bias = constant(network, f"{part}.bias", weights[f"{part}.bias"])
        total = network.add_elementwise(product.get_output(0), bias, trt.ElementWiseOperation.SUM)
        total.name = f"body.{part}/linear.1"
        x = total.get_output(0)
        if part == "fc1":
            relu = network.add_activation(x, trt.ActivationType.RELU)
            relu.name = "body.act/relu.0"
            x = relu.get_output(0)
    output(network, x, "y")
    profiles = [{"x": tuple((batch, 16) for batch in limits)} for limits in batches]
    return HandMade(builder, network, lambda x, w=weights: mlp_eager(x, w), weights, profiles)  # type: ignore[misc]


def mlp_eager(x: torch.Tensor, w: dict[str, torch.Tensor]) -> torch.Tensor:
    w = {name: tensor.to(x.device) for name, tensor in w.items()}
    return torch.relu(x @ w["fc1.weight"] + w["fc1.bias"]) @ w["fc2.weight"] + w["fc2.bias"]


def two_outputs() -> HandMade:
    """``a + b`` and ``a * b`` of static float16 ``a`` and float16 ``b``."""
    builder, network = new()
    a, b = (network.add_input(name, trt.float16, (3, 5)) for name in ("a", "b"))
    output(network, network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0), "total")
    output(network, network.add_elementwise(a, b, trt.ElementWiseOperation.PROD).get_output(0), "product")
    return HandMade(builder, network, lambda a, b: (a + b, a * b))


def outer(limit: int) -> HandMade:
    """``x + y`` of a column and a row: an output much larger than the inputs."""
    builder, network = new()
    x, y = network.add_input("x", trt.float32, (-1, 1)), network.add_input("y", trt.float32, (1, -1))
    output(network, network.add_elementwise(x, y, trt.ElementWiseOperation.SUM).get_output(0), "z")
    ranges = {"x": ((0, 1), (4, 1), (limit, 1)), "y": ((1, 1), (1, 4), (1, limit))}
    return HandMade(builder, network, lambda x, y: x + y, profiles=[ranges])


def reshaped() -> HandMade:
    """``x.reshape(sizes)``: an input whose values decide about shapes, read from CPU memory."""
    builder, network = new()
    x, sizes = network.add_input("x", trt.float32, (12,)), network.add_input("sizes", trt.int64, (2,))
    layer = network.add_shuffle(x)
    layer.set_input(1, sizes)
    output(network, layer.get_output(0), "y")
    ranges: Profile = {"sizes": ((1, 1), (3, 4), (12, 12))}
    return HandMade(builder, network, lambda x, sizes: x.reshape(sizes.tolist()), profiles=[ranges])


def sizes_of() -> HandMade:
    """``2 * x`` and ``x.shape``: an output that TensorRT may write to CPU memory."""
    builder, network = new()
    x = network.add_input("x", trt.float32, (-1, 3))
    output(network, network.add_elementwise(x, x, trt.ElementWiseOperation.SUM).get_output(0), "twice")
    output(network, network.add_shape(x).get_output(0), "shape")
    ranges = {"x": ((1, 3), (4, 3), (9, 3))}
    return HandMade(builder, network, lambda x: (2 * x, torch.tensor(x.shape)), profiles=[ranges])


def deep(layers: int) -> HandMade:
    """Many convolutions: a build that takes a while."""
    generator = torch.Generator().manual_seed(2)
    builder, network = new()
    x = network.add_input("x", trt.float32, (1, 8, 32, 32))
    for index in range(layers):
        kernel = torch.randn((8, 8, 3, 3), generator=generator) / 10
        conv = network.add_convolution_nd(x, 8, (3, 3), trt.Weights(kernel.numpy()))
        conv.padding_nd = (1, 1)
        kind = trt.ActivationType.RELU if index % 2 else trt.ActivationType.TANH
        x = network.add_activation(conv.get_output(0), kind).get_output(0)
    output(network, x, "y")
    return HandMade(builder, network, lambda x: x)


def unbuildable() -> HandMade:
    """A network that TensorRT for RTX cannot build: float64 is not there, but an unsupported layer is easy to name."""
    builder, network = new()
    x = network.add_input("x", trt.float32, (16,))
    output(network, network.add_non_zero(x, trt.int64).get_output(0), "y")
    return HandMade(builder, network, lambda x: x.nonzero().T)
