"""Fake quantisation: rounding to what a quantised tensor could hold."""

from __future__ import annotations

from typing import Any

import torch

from ..quantized import INT8, along, steps_of
from ..trt_compat import is_rtx
from .dims import rank_of, static_shape
from .dtypes import Tensor, cast, dtype_of, tensor
from .math import elementwise, unary
from .network import add_layer, enum
from .pointwise import is_half
from .shape import squeeze, unsqueeze
from .whole import shaped


def fake_quantize(value: Tensor, scale: Tensor, zero_point: Tensor, lowest: int, highest: int, axis: int | None) -> Any:
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
    """
    dtype = dtype_of(value)
    if _is_native(value, scale, zero_point, (lowest, highest)):
        image = tensor(value, torch.float32 if is_half(dtype) else dtype)
        return cast(quantize_dequantize(image, cast(_as_tensor(scale), torch.float32), "INT8", axis), dtype)
    step, zero, _, held = _rounded(value, scale, zero_point, lowest, highest, axis)
    return cast(elementwise("PROD", elementwise("SUB", held, zero), step), dtype)


def quantize(value: Tensor, scale: Tensor, zero_point: Tensor, lowest: int, highest: int, axis: int | None) -> Any:
    """The steps themselves, as int32; arguments as for :func:`fake_quantize`.

    Eager multiplies by a reciprocal that it takes in Python, of a scale that is a Python number: in float64.
    """
    reciprocal = torch.tensor(1 / scale) if isinstance(scale, (int, float)) else None
    return cast(_rounded(value, scale, zero_point, lowest, highest, axis, reciprocal)[3], torch.int32)


def dequantize(steps: Tensor, scale: Tensor, zero_point: Tensor, axis: int | None, dtype: torch.dtype) -> Any:
    """What steps of a scale stand for: the inverse of :func:`quantize`."""
    shape = [1] * rank_of(steps)
    if axis is not None:
        shape[axis] = -1
    step, zero = (cast(shaped(_as_tensor(part), shape), torch.float32) for part in (scale, zero_point))
    return cast(elementwise("PROD", elementwise("SUB", cast(steps, torch.float32), zero), step), dtype)


def in_range(value: Tensor, scale: Tensor, zero_point: Tensor, lowest: int, highest: int, axis: int | None) -> Any:
    """Which elements of ``value`` fake quantisation only rounds, because they are between its limits."""
    _, _, rounded, held = _rounded(value, scale, zero_point, lowest, highest, axis)
    return elementwise("EQUAL", held, rounded)


def _rounded(
    value: Tensor,
    scale: Tensor,
    zero_point: Tensor,
    lowest: int,
    highest: int,
    axis: int | None,
    reciprocal: torch.Tensor | None = None,
) -> tuple[Any, Any, Any, Any]:
    """Scale and zero point to broadcast, the nearest steps, and those held between the limits; all float32."""
    image = tensor(value, torch.float32 if is_half(dtype_of(value)) else dtype_of(value))
    shape = [1] * rank_of(value)
    if axis is not None:
        shape[axis] = -1
    step, zero = (cast(shaped(_as_tensor(part), shape), torch.float32) for part in (scale, zero_point))
    factor = _reciprocal(step) if reciprocal is None else shaped(reciprocal, shape)
    rounded = elementwise("SUM", unary("ROUND", elementwise("PROD", image, factor)), zero)
    least, most = (torch.tensor(float(bound)) for bound in (lowest, highest))
    return step, zero, rounded, elementwise("MIN", elementwise("MAX", rounded, least), most)


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
    return symmetric and known and bounds == INT8 and has_elements(value)


def has_elements(value: Tensor) -> bool:
    """Whether TensorRT quantises tensors of this shape: neither 0-d nor empty."""
    return rank_of(value) > 0 and 0 not in static_shape(value)


def fake_quantize_float8(value: Tensor, scale: torch.Tensor, axis: int | None) -> Any:
    """``value`` rounded to multiples of a scale by the numbers of ``float8_e4m3fn``.

    Args:
        value: floating point.
        scale: float32; one number, or one a channel.
        axis: of the channels; None for one scale in all.
    """
    if 0 in static_shape(value):
        return tensor(value)
    image = tensor(value, torch.float32)
    if not rank_of(value):
        return cast(squeeze(quantize_dequantize(unsqueeze(image, 0), scale, "FP8", None), [0]), dtype_of(value))
    return cast(quantize_dequantize(image, scale, "FP8", axis), dtype_of(value))


def quantize_dequantize(value: Any, scale: torch.Tensor, kind: str, axis: int | None) -> Any:
    """``value`` rounded to multiples of a scale by TensorRT's own layers.

    Args:
        value: floating point, with axes.
        scale: float32; one number, or one a channel.
        kind: the ``trt.DataType`` between the two layers: ``INT8`` or ``FP8``.
        axis: of the channels; None for one scale in all.
    """
    factor = tensor(scale)
    settings: dict[str, Any] = {} if axis is None else {"axis": axis}
    quantized = add_layer("quantize", value, factor, enum("DataType", kind), **settings)
    return add_layer("dequantize", quantized, factor, value.dtype, **settings)


def quantized_weight(weight: Tensor, *, convolved: bool = False) -> Tensor:
    """A known weight that was fake-quantised, as 8-bit numbers and a dequantize layer; any other one as it is.

    Args:
        weight: of a product.
        convolved: whether it is a kernel. TensorRT for RTX 1.4 has no int8 convolution, and refuses to build one whose
            input and kernel are both dequantised from int8: there the kernel stays floating point, of the same values.
    """
    steps = steps_of(weight) if isinstance(weight, torch.Tensor) else None
    if steps is not None and convolved and steps.dtype == torch.int8 and is_rtx():
        return weight
    if steps is None or weight.dtype != torch.float32 or not has_elements(weight):
        return weight
    numbers = steps.numbers(weight)
    again = numbers.float() * along(steps.scale, steps.axis, weight.dim())
    if not torch.allclose(again, weight, rtol=1e-6, atol=0):
        return weight  # a scale so small that its multiples were rounded
    settings: dict[str, Any] = {} if steps.axis is None else {"axis": steps.axis}
    return add_layer("dequantize", tensor(numbers), tensor(steps.scale), enum("DataType", "FLOAT"), **settings)
