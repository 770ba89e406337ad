"""Sizes: a dimension is a Python int, or a 0-d int64 ITensor where it is known at run time only.

The arithmetic is written once: integers fold, unknown sizes emit layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..errors import InternalError, UnsupportedArgumentError
from ..trt_compat import is_tensor
from .constants import constant
from .dtypes import Tensor, tensor
from .network import add_layer, enum

Dim = Any
"""An int, or a 0-d int64 ITensor."""

Shape = Any
"""A sequence of :data:`Dim`."""


def rank_of(value: Tensor) -> int:
    """Number of dimensions."""
    if isinstance(value, torch.Tensor):
        return value.dim()
    return len(value.shape) if is_tensor(value) else 0


def static_shape(value: Tensor) -> tuple[int, ...]:
    """The sizes as TensorRT declares them, -1 for those known at run time only."""
    return tuple(value.shape) if not isinstance(value, (int, float)) else ()


def is_static(value: Tensor) -> bool:
    """Whether every size is known now."""
    return all(size >= 0 for size in static_shape(value))


def axis_of(axis: int, rank: int) -> int:
    """``axis`` counted from the front; a 0-d tensor has the axes -1 and 0, as in PyTorch.

    Raises:
        UnsupportedArgumentError: it is out of range.
    """
    span = max(rank, 1)
    if not -span <= axis < span:
        raise UnsupportedArgumentError(f"axis {axis} is out of range for a tensor of rank {rank}")
    return axis % span


def axes_of(axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the front, sorted; all of them for None or an empty list.

    Raises:
        UnsupportedArgumentError: one is out of range or named twice.
    """
    if axes is None or (not isinstance(axes, int) and len(axes) == 0):
        return tuple(range(rank))
    listed = [axes] if isinstance(axes, int) else list(axes)
    found = sorted(axis_of(axis, rank) for axis in listed)
    if len(set(found)) != len(found):
        raise UnsupportedArgumentError(f"an axis occurs twice in {listed}")
    return tuple(found) if rank else ()


def axes_mask(axes: Sequence[int]) -> int:
    """TensorRT's bit mask of axes."""
    return sum(1 << axis for axis in axes)


def size_of(value: Tensor, axis: int) -> Dim:
    """One size."""
    sizes = static_shape(value)
    axis = axis_of(axis, len(sizes))
    return sizes[axis] if sizes[axis] >= 0 else _dynamic_size(value, axis)


def _dynamic_size(value: Any, axis: int) -> Any:
    return add_layer("gather", add_layer("shape", value), tensor(axis, torch.int32), 0)


def shape_of(value: Tensor) -> list[Dim]:
    """All sizes."""
    return [size_of(value, axis) for axis in range(rank_of(value))]


def _binary(operation: str, fold: Callable[[int, int], int]) -> Callable[[Dim, Dim], Dim]:
    def apply(left: Dim, right: Dim) -> Dim:
        if isinstance(left, int) and isinstance(right, int):
            return fold(left, right)
        return add_layer("elementwise", as_dim(left), as_dim(right), enum("ElementWiseOperation", operation))

    return apply


def as_dim(value: Dim) -> Any:
    """A size as a 0-d int64 ITensor."""
    result = tensor(value, torch.int64)
    return reshape_to_scalar(result) if len(result.shape) else result


def reshape_to_scalar(value: Any) -> Any:
    """A tensor of one element as a 0-d tensor."""
    return add_layer("shuffle", value, reshape_dims=())


dim_add = _binary("SUM", lambda a, b: a + b)
dim_sub = _binary("SUB", lambda a, b: a - b)
dim_mul = _binary("PROD", lambda a, b: a * b)
dim_floordiv = _binary("FLOOR_DIV", lambda a, b: a // b)
dim_max = _binary("MAX", max)
dim_min = _binary("MIN", min)


def dim_product(dims: Sequence[Dim]) -> Dim:
    """The product; 1 for none."""
    result: Dim = 1
    for dim in dims:
        result = dim if isinstance(result, int) and result == 1 else dim_mul(result, dim)
    return result


def all_known(dims: Sequence[Dim]) -> bool:
    """Whether every size is an int."""
    return all(isinstance(dim, int) for dim in dims)


def shape_tensor(dims: Shape) -> Any:
    """Sizes as one 1-d int64 ITensor."""
    if all_known(dims):
        return constant(torch.tensor(list(dims), dtype=torch.int64))
    parts = [
        constant(torch.tensor([dim], dtype=torch.int64))
        if isinstance(dim, int)
        else add_layer("shuffle", as_dim(dim), reshape_dims=(1,))
        for dim in dims
    ]
    return parts[0] if len(parts) == 1 else add_layer("concatenation", parts, axis=0)


def known_ints(values: Any, what: str) -> list[int]:
    """``values`` as ints.

    Raises:
        UnsupportedArgumentError: one is known at run time only.
    """
    listed = [values] if isinstance(values, int) or is_tensor(values) else list(values)
    if not all_known(listed):
        raise UnsupportedArgumentError(
            f"{what} must be known at conversion, and depends on a run-time value",
            hint="write a number, or make the axis static that it comes from",
        )
    return listed


def expand_list(values: int | Sequence[int], count: int) -> list[int]:
    """One number an axis; a single number stands for all, as in PyTorch's kernel sizes and strides.

    Raises:
        InternalError: there are neither one nor ``count`` numbers.
    """
    listed = [values] if isinstance(values, int) else list(values)
    if len(listed) == 1:
        return listed * count
    if len(listed) != count:
        raise InternalError(f"expected {count} numbers, got {listed}")
    return listed
