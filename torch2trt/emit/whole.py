"""Whole numbers and booleans about positions: computed now where everything is known, by layers where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..weights import derive
from .dims import Dim
from .dtypes import Tensor
from .fill import counting
from .math import elementwise, where
from .shape import reshape

_FOLDED: dict[str, Any] = {
    "SUM": torch.add,
    "SUB": torch.sub,
    "PROD": torch.mul,
    "FLOOR_DIV": torch.floor_divide,
    "MAX": torch.maximum,
    "MIN": torch.minimum,
    "LESS": torch.lt,
    "GREATER": torch.gt,
    "EQUAL": torch.eq,
    "AND": torch.logical_and,
    "OR": torch.logical_or,
}


def is_known(*values: Tensor) -> bool:
    """Whether all values are known at conversion."""
    return all(isinstance(value, (torch.Tensor, bool, int, float)) for value in values)


def whole(operation: str, left: Tensor, right: Tensor) -> Tensor:
    """An elementwise operation on int64 numbers or tensors, or booleans; broadcasts.

    Args:
        operation: a member of ``trt.ElementWiseOperation``.
        left: an int, a known tensor or an ITensor; a :data:`~torch2trt.emit.dims.Dim` too.
        right: the same.
    """
    if is_known(left, right):
        result: torch.Tensor = _FOLDED[operation](torch.as_tensor(left), torch.as_tensor(right))
        return result
    left, right = (torch.tensor(value) if isinstance(value, int) else value for value in (left, right))
    return elementwise(operation, left, right)


def positions(count: Dim, start: Dim = 0, step: int = 1) -> Tensor:
    """``start, start + step, ...`` as ``count`` int64 numbers."""
    if isinstance(count, int) and isinstance(start, int):
        return torch.arange(count) * step + start
    return counting(count, start, step)


def shaped(value: Tensor, dims: Sequence[Any]) -> Tensor:
    """``value`` reshaped; known stays known."""
    if isinstance(value, torch.Tensor):
        return derive(torch.reshape, value, list(dims))
    return reshape(value, dims)


def chosen_where(condition: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """``left`` where ``condition``, else ``right``: int64 numbers or tensors; known if all are."""
    if is_known(condition, left, right):
        return torch.where(condition, torch.as_tensor(left), torch.as_tensor(right))
    return where(condition, left, right)


def remainder_and_quotient(value: Tensor, divisor: int) -> tuple[Tensor, Tensor]:
    """``value % divisor`` and ``value // divisor`` as in Python."""
    quotient = whole("FLOOR_DIV", value, divisor)
    return whole("SUB", value, whole("PROD", quotient, divisor)), quotient
