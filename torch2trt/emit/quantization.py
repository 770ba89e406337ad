"""Fake quantisation: rounding to what a quantised tensor could hold."""

from __future__ import annotations

from typing import Any

import torch

from .dims import rank_of, static_shape
from .dtypes import Tensor, cast, dtype_of, tensor
from .math import elementwise, unary
from .network import add_layer, enum
from .pointwise import is_half
from .whole import shaped

_INT8 = (-128, 127)


def fake_quantize(
    value: Tensor, scale: Tensor, zero_point: Tensor, lowest: int, highest: int, axis: int | None
) -> tuple[Any, Any]:
    """``torch.fake_quantize_per_tensor_affine`` and ``per_channel``.

    Symmetric int8 becomes TensorRT's quantize and dequantize layers, so that what lies around them can run in int8;
    they divide by the scale where PyTorch multiplies by its reciprocal, which may round a value that lies half way
    between two steps to the other one. Anything else is rounded step by step.

    Args:
        value: what is rounded.
        scale: of a step; a number, or one a channel.
        zero_point: which step is 0.
        lowest: the smallest step.
        highest: the largest step.
        axis: of the channels; None for one scale in all.

    Returns:
        the rounded values, and which of them were in range.
    """
    dtype = dtype_of(value)
    image = tensor(value, torch.float32 if is_half(dtype) else dtype)
    shape = [1] * rank_of(value)
    if axis is not None:
        shape[axis] = -1
    step, zero = (shaped(_as_tensor(part), shape) for part in (scale, zero_point))
    inverse = _reciprocal(cast(step, torch.float32))
    rounded = elementwise("SUM", unary("ROUND", elementwise("PROD", image, inverse)), cast(zero, torch.float32))
    least, most = (torch.tensor(float(bound)) for bound in (lowest, highest))
    held = elementwise("MIN", elementwise("MAX", rounded, least), most)
    inside = elementwise("EQUAL", held, rounded)
    if _is_native(value, scale, zero_point, (lowest, highest)):
        return cast(_layers(image, scale, axis), dtype), inside
    result = elementwise("PROD", elementwise("SUB", held, cast(zero, torch.float32)), cast(step, torch.float32))
    return cast(result, dtype), inside


def _as_tensor(value: Tensor) -> Tensor:
    return torch.tensor(value) if isinstance(value, (int, float)) else value


def _reciprocal(value: Tensor) -> Tensor:
    return value.reciprocal() if isinstance(value, torch.Tensor) else unary("RECIP", value)


def _is_native(value: Tensor, scale: Tensor, zero_point: Tensor, bounds: tuple[int, int]) -> bool:
    """Whether TensorRT's int8 quantisation does it: symmetric, with known scales, of a tensor that has axes."""
    symmetric = isinstance(zero_point, int) and zero_point == 0
    if isinstance(zero_point, torch.Tensor):
        symmetric = not bool(zero_point.any())
    known = isinstance(scale, (int, float, torch.Tensor))
    return symmetric and known and bounds == _INT8 and rank_of(value) > 0 and 0 not in static_shape(value)


def _layers(value: Any, scale: Tensor, axis: int | None) -> Any:
    factor = tensor(cast(_as_tensor(scale), torch.float32))
    settings: dict[str, Any] = {} if axis is None else {"axis": axis}
    quantized = add_layer("quantize", value, factor, enum("DataType", "INT8"), **settings)
    return add_layer("dequantize", quantized, factor, value.dtype, **settings)
