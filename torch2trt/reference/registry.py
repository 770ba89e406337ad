"""Layer functions by TensorRT layer type, and what each is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from ..errors import EvaluationError
from .types import carrier
from .weights import WeightOverrides, as_tensor

Value = torch.Tensor
Run = Callable[..., "Value | tuple[Value, ...]"]
LayerFunction = Callable[["LayerContext"], Run]


@dataclass(frozen=True)
class TensorInfo:
    """What a network declares about one tensor.

    Args:
        name: the tensor's name.
        shape: its dimensions, -1 where dynamic; None when TensorRT cannot tell.
        dtype: its ``trt.DataType``.
        held: the torch dtype that holds it here.
    """

    name: str
    shape: tuple[int, ...] | None
    dtype: Any
    held: torch.dtype

    @property
    def rank(self) -> int | None:
        """Number of dimensions; None when TensorRT cannot tell."""
        return None if self.shape is None else len(self.shape)


@dataclass(frozen=True)
class Settings:
    """How a network is evaluated: device, float dtype, random numbers, weights, plugins.

    ``borrowed`` collects the addresses of memory that belongs to the network and ends with it.
    """

    device: torch.device
    compute_dtype: torch.dtype | None
    generator: torch.Generator
    overrides: WeightOverrides
    plugins: Mapping[tuple[str, str], Callable[..., Any]]
    borrowed: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class LayerContext:
    """One layer as its function sees it: read once, when a network is compiled.

    Args:
        layer: the layer, downcast to its own class.
        kind: its ``trt.LayerType`` name.
        name: its name.
        index: its index in the network.
        inputs: its input tensors; None for an optional one that is not set.
        outputs: its output tensors.
        settings: what the caller asked for.
    """

    layer: Any
    kind: str
    name: str
    index: int
    inputs: tuple[TensorInfo | None, ...]
    outputs: tuple[TensorInfo, ...]
    settings: Settings

    def __str__(self) -> str:
        return f"layer {self.index} {self.name!r} ({self.kind})"

    def input(self, index: int) -> TensorInfo:
        """An input that must be there.

        Raises:
            EvaluationError: it is not set.
        """
        info = self.inputs[index] if index < len(self.inputs) else None
        if info is None:
            raise self.error(f"input {index} is not set")
        return info

    def has_input(self, index: int) -> bool:
        """Whether an optional input is set."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def rank(self, index: int = 0) -> int:
        """Rank of an input.

        Raises:
            EvaluationError: TensorRT declares none.
        """
        rank = self.input(index).rank
        if rank is None:
            raise self.error(f"TensorRT declares no rank for input {index} ({self.input(index).name!r})")
        return rank

    def error(self, message: str, hint: str = "") -> EvaluationError:
        """An error that names this layer."""
        return EvaluationError(f"{self}: {message}", hint=hint)

    def weights(self, role: str, own: Any) -> torch.Tensor | None:
        """Weights of this layer as a flat tensor, in the dtype that holds them here; None when there are none.

        The tensor shares the network's memory unless ``device`` or ``compute_dtype`` makes a copy necessary.
        """
        flat = self.settings.overrides.find(self.name, role, as_tensor(own))
        if flat is None:
            return None
        if self.settings.compute_dtype is not None and flat.dtype in (torch.float32, torch.float16, torch.bfloat16):
            flat = flat.to(self.settings.compute_dtype)
        flat = flat.to(self.settings.device)
        self.settings.borrowed.add(flat.untyped_storage().data_ptr())
        return flat

    def held(self, dtype: Any) -> torch.dtype:
        """The torch dtype that holds a ``trt.DataType`` here."""
        return carrier(dtype, self.settings.compute_dtype)

    def require_same_dtype(self, *indices: int) -> None:
        """Refuse inputs of different data types, which a strongly typed network does not convert.

        Raises:
            EvaluationError: two of the inputs differ.
        """
        present = [(index, self.inputs[index]) for index in indices if self.has_input(index)]
        names = {info.dtype.name for _, info in present if info is not None}
        if len(names) > 1:
            found = ", ".join(f"input {index} {info.name!r} is {info.dtype.name}" for index, info in present if info)
            raise self.error(f"inputs must have one data type: {found}", hint="add a cast layer")

    def require_weights_dtype(self, role: str, weights: torch.Tensor | None) -> None:
        """Refuse weights whose dtype is not that of input 0.

        Raises:
            EvaluationError: it is not.
        """
        info = self.input(0)
        if weights is not None and weights.dtype != info.held:
            raise self.error(f"{role} weights are {weights.dtype}, input {info.name!r} is {info.dtype.name}")

    def require_dtype(self, index: int, *names: str) -> None:
        """Refuse an input whose data type is not among ``names``.

        Raises:
            EvaluationError: it is not.
        """
        info = self.input(index)
        if info.dtype.name not in names:
            raise self.error(f"input {index} {info.name!r} is {info.dtype.name}, must be {' or '.join(names)}")


LAYERS: dict[str, LayerFunction] = {}


def layer(*kinds: str) -> Callable[[LayerFunction], LayerFunction]:
    """Register the function of one or more layer types, by ``trt.LayerType`` name.

    The function is called once per layer when a network is compiled, and returns what computes the layer: a callable
    that takes a tensor (or None) per input of the layer and returns its output, or a tuple of its outputs.
    """

    def register(function: LayerFunction) -> LayerFunction:
        for kind in kinds:
            if kind in LAYERS:
                raise ValueError(f"two functions for layer type {kind}")
            LAYERS[kind] = function
        return function

    return register
