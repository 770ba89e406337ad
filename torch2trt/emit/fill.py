"""Tensors that come from sizes alone: filled with a number, or counting up."""

from __future__ import annotations

from typing import Any

import torch

from ..trt_compat import to_trt_dtype
from .dims import Dim, Shape, all_known, as_dim, dim_floordiv, dim_max, dim_mul, dim_sub, shape_tensor
from .dtypes import Tensor, cast, is_float, tensor
from .math import elementwise, unary
from .network import add_layer, enum
from .shape import expand, reshape

_COUNTED = frozenset({torch.int64, torch.int32, torch.float32})


def filled(dims: Shape, value: Tensor, dtype: torch.dtype) -> Any:
    """A tensor of the sizes ``dims`` that holds ``value``: known if both are."""
    dims = list(dims)
    number = isinstance(value, (bool, int, float))
    if all_known(dims) and number:
        return torch.full(tuple(dims), value, dtype=dtype)
    held = torch.float32 if dtype == torch.uint8 else dtype  # TensorRT slices no uint8
    ones = [1] * len(dims)
    one = tensor(torch.full(ones, value, dtype=held)) if number else reshape(tensor(value, held), ones)
    return cast(expand(one, dims), dtype)


def counting(count: Dim, start: Tensor = 0, step: Tensor = 1, dtype: torch.dtype = torch.int64) -> Any:
    """``start + step * [0, 1, ... count - 1]`` as a 1-d tensor."""
    held = dtype if dtype in _COUNTED else torch.float32 if dtype.is_floating_point else torch.int64
    inputs = {0: shape_tensor([count]), 1: _scalar(start, held), 2: reshape(_scalar(step, held), [1])}
    operation = enum("FillOperation", "LINSPACE")
    return cast(add_layer("fill", (0,), operation, to_trt_dtype(held), inputs=inputs), dtype)


def _scalar(value: Tensor, dtype: torch.dtype) -> Any:
    return reshape(tensor(value, dtype), [])


def range_count(start: Tensor, end: Tensor, step: Tensor) -> Dim:
    """How many numbers ``arange(start, end, step)`` gives: ``ceil((end - start) / step)``."""
    if any(is_float(value) for value in (start, end, step)):
        span = elementwise("SUB", cast(end, torch.float32), cast(start, torch.float32))
        return as_dim(cast(unary("CEIL", elementwise("DIV", span, cast(step, torch.float32))), torch.int64))
    span = dim_sub(_dim(end), _dim(start))
    return dim_max(0, dim_mul(dim_floordiv(span, dim_mul(_dim(step), -1)), -1))


def _dim(value: Tensor) -> Dim:
    return value if isinstance(value, int) else as_dim(value)
