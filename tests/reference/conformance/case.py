"""What a conformance case is: a small TensorRT network, inputs for it, and what it must compute."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from torch2trt.trt_compat import create_network, logger, to_trt_dtype, trt

Expected = Callable[..., Any]


class Net:
    """A network under construction, with the values of its inputs and what keeps its weights alive."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.network = create_network(builder)
        self.variants: dict[str, list[torch.Tensor]] = {}
        self.ranges: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {}
        self.shape_ranges: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {}
        self._kept: list[torch.Tensor] = []

    def input(self, value: torch.Tensor, *others: torch.Tensor, name: str = "", dynamic: Sequence[int] = ()) -> Any:
        """An input with a value per variant; ``dynamic`` axes are -1 in the network."""
        name = name or f"x{len(self.variants)}"
        self.variants[name] = [value, *others]
        shape = [-1 if axis in dynamic else size for axis, size in enumerate(value.shape)]
        if dynamic:
            sizes = [tuple(v.shape) for v in self.variants[name]]
            least = tuple(min(s) for s in zip(*sizes, strict=True))
            most = tuple(max(s) for s in zip(*sizes, strict=True))
            self.ranges[name] = (least, sizes[0], most)
        return self.network.add_input(name, to_trt_dtype(value.dtype), shape)

    def shape_input(self, value: torch.Tensor, *others: torch.Tensor, name: str = "") -> Any:
        """A 0-d or 1-d integer input whose values give a shape."""
        name = name or f"x{len(self.variants)}"
        self.variants[name] = [value, *others]
        rows = [v.reshape(-1).tolist() for v in self.variants[name]]
        least, most = (tuple(f(c) for c in zip(*rows, strict=True)) for f in (min, max))
        self.shape_ranges[name] = (least, tuple(rows[0]), most)
        return self.network.add_input(name, to_trt_dtype(value.dtype), tuple(value.shape))

    def weights(self, value: torch.Tensor) -> Any:
        """Weights that live as long as this object."""
        value = value.detach().contiguous()
        self._kept.append(value)
        return trt.Weights(to_trt_dtype(value.dtype), value.data_ptr(), value.numel())

    def packed(self, dtype: Any, raw: torch.Tensor, shape: Sequence[int], count: int) -> Any:
        """A constant of a data type with several values to a byte."""
        self._kept.append(raw)
        return self.network.add_constant(shape, trt.Weights(dtype, raw.data_ptr(), count)).get_output(0)

    def constant(self, value: Any, dtype: torch.dtype | None = None) -> Any:
        """A constant tensor."""
        value = torch.as_tensor(value, dtype=dtype)
        return self.network.add_constant(tuple(value.shape), self.weights(value)).get_output(0)

    def output(self, *tensors: Any) -> None:
        """Mark outputs: y0, y1, ..."""
        for tensor in tensors:
            tensor.name = f"y{self.network.num_outputs}"
            self.network.mark_output(tensor)

    @property
    def variant_count(self) -> int:
        """How many sets of inputs the case has."""
        return max([len(values) for values in self.variants.values()] or [1])

    def inputs(self, variant: int) -> dict[str, torch.Tensor]:
        """One set of inputs."""
        return {name: values[min(variant, len(values) - 1)] for name, values in self.variants.items()}

    def config(self) -> Any:
        """A builder configuration with the profile of the inputs, TF32 off."""
        config = self.builder.create_builder_config()
        config.clear_flag(trt.BuilderFlag.TF32)
        if self.ranges or self.shape_ranges:
            profile = self.builder.create_optimization_profile()
            for name, limits in self.ranges.items():
                profile.set_shape(name, *limits)
            for name, limits in self.shape_ranges.items():
                profile.set_shape_input(name, *limits)
            config.add_optimization_profile(profile)
        return config


@dataclass(frozen=True)
class Case:
    """One conformance case.

    Args:
        id: layer type, enum values, shape and dtype.
        build: makes the network in a ``Net`` and marks its outputs.
        expected: called with the input tensors in order; returns what the outputs must hold, a tensor or a tuple. It
            uses PyTorch or numbers worked out by hand, never the evaluator. None where neither is at hand: then the
            network is built, evaluated and, on a GPU, compared with the engine.
        refused: why TensorRT for RTX does not build the network; empty if it does.
        tolerance: relative; 0 takes that of the output's dtype.
        random: the outputs are random numbers: only shape, dtype and distribution are compared.
        known: in what TensorRT for RTX 1.4.0.76 contradicts TensorRT's documentation, or gives what nobody can mean, so
            that the evaluator does not follow it. The engine is run, and has to differ; empty if it must agree.
        needs_gpu: TensorRT for RTX asks the GPU for its properties to build the network, so that it builds on one only.
    """

    id: str
    build: Callable[[Net], None]
    expected: Expected | None = None
    refused: str = ""
    tolerance: float = 0.0
    random: bool = False
    known: str = ""
    needs_gpu: bool = False


@functools.cache
def shared_builder() -> Any:
    """One builder for all cases."""
    return trt.Builder(logger())


def make(case: Case) -> Net:
    """The case's network."""
    torch.manual_seed(0)
    net = Net(shared_builder())
    case.build(net)
    return net


TOLERANCES = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The greatest relative difference of two tensors; infinite where shape, dtype, NaN, infinity or integers differ.

    Relative to the expected element, or to the root mean square of all of them where that is greater: a sum that
    cancels to nearly nothing has the rounding of its terms.
    """
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    if not found.numel():
        return 0.0
    if not found.dtype.is_floating_point or found.dtype.itemsize == 1:
        return 0.0 if torch.equal(found.float(), expected.float()) else float("inf")
    a, b = found.double(), expected.double()
    finite = b.isfinite()
    if not torch.equal(finite, a.isfinite()) or not torch.equal(b.isnan(), a.isnan()):
        return float("inf")
    if not torch.equal(a[~finite & ~b.isnan()], b[~finite & ~b.isnan()]):
        return float("inf")
    a, b = a[finite], b[finite]
    if not a.numel():
        return 0.0
    scale = torch.maximum(b.abs(), b.square().mean().sqrt()).clamp(min=1e-30)
    return float(((a - b).abs() / scale).max())


def tolerance(case: Case, dtype: torch.dtype) -> float:
    """The tolerance of a case's output."""
    return case.tolerance or TOLERANCES.get(dtype, 0.0)


def sizes(shape: Sequence[int]) -> str:
    """A shape as part of a case's id."""
    return "x".join(map(str, shape)) or "scalar"


def short(dtype: torch.dtype) -> str:
    """A dtype as part of a case's id."""
    return str(dtype).removeprefix("torch.")
