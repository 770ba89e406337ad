"""Element-by-element constructions that several handlers share: arithmetic as PyTorch promotes and rounds it."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..errors import DtypeError
from .dtypes import Tensor, cast, dtype_of, held_dtype, is_float, promoted, result_type, tensor
from .float8 import FLOAT8, from_float8, to_float8
from .math import elementwise, logical, unary
from .network import add_layer
from .shape import align_ranks

_UNHELD = frozenset({torch.int8, torch.int16})


def is_half(value: Tensor | torch.dtype) -> bool:
    """Whether a value, or a dtype, is float16 or bfloat16."""
    return (value if isinstance(value, torch.dtype) else dtype_of(value)) in (torch.float16, torch.bfloat16)


def is_number(value: Tensor) -> bool:
    """Whether ``value`` is one known number: a Python scalar, or a known 0-d tensor."""
    return isinstance(value, (bool, int, float)) or (isinstance(value, torch.Tensor) and value.dim() == 0)


def _loses_range(value: Tensor, dtype: torch.dtype) -> bool:
    """Whether a number overflows or vanishes in a half-precision dtype."""
    if not is_number(value):
        return False
    number = float(value)
    if number == 0 or not math.isfinite(number):
        return False
    info = torch.finfo(dtype)
    return not info.tiny <= abs(number) <= info.max


def arithmetic(operation: str, left: Tensor, right: Tensor, to_float: bool = False) -> Any:
    """``left <operation> right`` with PyTorch's promotion, for every dtype that PyTorch computes in.

    Booleans add as OR and multiply as AND. uint8, in which TensorRT cannot compute, is computed in int32 and wraps. In
    half precision a number that half precision cannot hold is applied in float32, as eager does (it keeps scalars in
    float32: ``opmath_t`` in aten/src/ATen/native/cpu/BinaryOpsKernel.cpp).

    Args:
        operation: ``SUM``, ``SUB``, ``PROD``, ``DIV``, ``MAX``, ``MIN`` or ``POW``.
        left: a tensor or number.
        right: a tensor or number.
        to_float: integers and booleans compute in the default float dtype.

    Raises:
        DtypeError: TensorRT cannot compute in the promoted dtype.
    """
    dtype = result_type(left, right)
    if to_float and not dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    if is_half(dtype) and (_loses_range(left, dtype) or _loses_range(right, dtype)):
        return cast(elementwise(operation, cast(left, torch.float32), cast(right, torch.float32)), dtype)
    if dtype == torch.bool:
        logical = {"SUM": "OR", "PROD": "AND", "MAX": "OR", "MIN": "AND"}[operation]
        return elementwise(logical, cast(left, dtype), cast(right, dtype))
    if dtype == torch.uint8:
        return to_uint8(elementwise(operation, cast(left, torch.int32), cast(right, torch.int32)))
    return elementwise(operation, cast(left, computable(dtype)), cast(right, computable(dtype)))


def computable(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which TensorRT computes what PyTorch computes in ``dtype``.

    Raises:
        DtypeError: there is none.
    """
    if dtype in _UNHELD:
        raise DtypeError(f"TensorRT computes nothing in {dtype}", hint="cast to int32 in the model")
    return torch.int32 if dtype == torch.uint8 else held_dtype(dtype)


def widened(value: Tensor) -> Tensor:
    """``value`` in the dtype in which TensorRT computes with it: uint8 becomes int32; all others stay."""
    return cast(value, computable(dtype_of(value)))


def to_uint8(value: Tensor) -> Any:
    """int32 or int64 as uint8, modulo 256 as in PyTorch; through float32, from which TensorRT casts to uint8."""
    width = dtype_of(value)
    turns = elementwise("FLOOR_DIV", value, torch.tensor(256, dtype=width))
    rest = elementwise("SUB", value, elementwise("PROD", turns, torch.tensor(256, dtype=width)))
    return cast(cast(rest, torch.float32), torch.uint8)


def float_function(operation: str, value: Tensor) -> Any:
    """A ``trt.UnaryOperation`` in the dtype in which PyTorch computes functions: integers become float."""
    return unary(operation, promoted(value, to_float=True)[0])


def scaled(value: Tensor, factor: float | int) -> Any:
    """``value * factor``; the value itself for a factor of 1."""
    return tensor(value) if factor == 1 else arithmetic("PROD", value, factor)


def as_float32(value: Tensor) -> Any:
    """``value`` as a float32 ITensor."""
    return tensor(value, torch.float32)


def number_like(number: float, like: Tensor) -> torch.Tensor:
    """A known 0-d tensor of the dtype of ``like``."""
    return torch.tensor(number, dtype=dtype_of(like))


def is_integer(value: Tensor) -> bool:
    """Whether a value is of an integer dtype; booleans are not."""
    return not is_float(value) and dtype_of(value) != torch.bool


def convert(value: Tensor, dtype: torch.dtype) -> Tensor:
    """``value.to(dtype)``: non-zero is true, fractions are cut off, integers wrap.

    Floating-point values out of the integer's range are undefined in PyTorch; TensorRT saturates.

    Raises:
        DtypeError: TensorRT casts to no such dtype.
    """
    source = dtype_of(value)
    if source == dtype or isinstance(value, (torch.Tensor, bool, int, float)):
        return cast(value, dtype)
    if dtype in _UNHELD:
        raise DtypeError(
            f"TensorRT casts nothing to {dtype}", hint="keep int32, or quantise with torch.fake_quantize_*"
        )
    if source == FLOAT8:
        return convert(from_float8(value), dtype)
    if dtype == FLOAT8:
        return to_float8(value)
    if dtype == torch.bool:
        return logical(widened(value))
    return to_uint8(value) if is_integer(value) and dtype == torch.uint8 else cast(value, dtype)


def choose(condition: Tensor, chosen: Tensor, other: Tensor, dtype: torch.dtype) -> Any:
    """``chosen`` where ``condition``, which may be uint8, else ``other``; in ``dtype``, broadcast."""
    chosen, other = (convert(value, dtype) for value in (chosen, other))
    if dtype == torch.uint8:  # TensorRT selects among no uint8
        chosen, other = as_float32(chosen), as_float32(other)
    layers = align_ranks([convert(condition, torch.bool), chosen, other])
    return cast(add_layer("select", *layers), dtype)
