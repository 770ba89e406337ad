"""Casts to and from float8, which TensorRT quantises by a scale of 1 and does not cast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .dims import rank_of
from .dtypes import Tensor, tensor
from .math import compare, unary, where
from .network import add_layer, enum
from .shape import squeeze, unsqueeze

FLOAT8 = torch.float8_e4m3fn
_ROUNDS_TO_NAN = 464.0
"""Half way from the greatest number to the next one, which would be NaN."""


def to_float8(value: Tensor) -> Any:
    """``value.to(torch.float8_e4m3fn)``: NaN beyond the greatest number, where TensorRT's layer saturates."""
    image = tensor(value, torch.float32)
    over = compare("GREATER", unary("ABS", image), torch.tensor(_ROUNDS_TO_NAN))
    image = where(over, torch.tensor(torch.nan), image)
    kind = enum("DataType", "FP8")
    return _with_axes(image, lambda held: add_layer("quantize", held, tensor(torch.tensor(1.0)), kind))


def from_float8(value: Any) -> Any:
    """A float8 tensor as float32."""
    kind = enum("DataType", "FLOAT")
    return _with_axes(value, lambda held: add_layer("dequantize", held, tensor(torch.tensor(1.0)), kind))


def _with_axes(value: Any, function: Callable[[Any], Any]) -> Any:
    """``function`` of a tensor that has axes, as TensorRT quantises."""
    return function(value) if rank_of(value) else squeeze(function(unsqueeze(value, [0])), [0])
