"""Products in float32 where TensorRT for RTX would round their factors to TF32, which keeps 11 of 24 bits.

A model's layers are multiplied as TensorRT does it. These are for algorithms where that costs more than a few digits:
transforms whose small results lie beside large ones, differences of products, powers of matrices.
"""

from __future__ import annotations

from typing import Any

import torch

from ..trt_compat import is_rtx
from ..weights import derive
from .dims import rank_of, static_shape
from .dtypes import Tensor, dtype_of
from .math import elementwise, matmul, summed_products
from .shape import concatenate, swap_axes

FEW_TERMS = 4
"""Products of up to so many terms are no layers of a model: they turn coordinates, and embed positions."""

_SHIFT = 2.0**13
"""``(x + x * _SHIFT) - x * _SHIFT`` is x rounded to 11 bits, which TF32 holds (Dekker, A floating-point technique for
extending the available precision, 1971; by a power of two, so that a fused multiply-add gives the same)."""


def full_matmul(left: Tensor, right: Tensor, transpose_left: bool = False, transpose_right: bool = False) -> Any:
    """As :func:`matmul`; in float32 right to 21 bits. Factors beyond 4e34 give NaN.

    With H = high part and R = the rest, ``left @ right`` is ``[H, R, H] @ [H; H; R]`` but for a product of rests. A row
    by a column, which TensorRT for RTX 1.4 gets wrong in this form (a covariance of one variable, on an H200), is
    summed.
    """
    if is_rtx() and dtype_of(left) == torch.float32:
        rows = static_shape(left)[-1 if transpose_left else -2]
        columns = static_shape(right)[-2 if transpose_right else -1]
        if rows == columns == 1:
            row = swap_axes(left, -2, -1) if transpose_left else left
            return summed_products(row, swap_axes(right, -2, -1) if transpose_right else right)
        left = _in_parts(left, rank_of(left) - (2 if transpose_left else 1), (0, 1, 0))
        right = _in_parts(right, rank_of(right) - (1 if transpose_right else 2), (0, 0, 1))
    return matmul(left, right, transpose_left, transpose_right)


def _in_parts(value: Tensor, axis: int, order: tuple[int, ...]) -> Tensor:
    if isinstance(value, torch.Tensor):
        return derive(_known_parts, value, axis, order)
    shifted = elementwise("PROD", value, torch.tensor(_SHIFT))
    high = elementwise("SUB", elementwise("SUM", value, shifted), shifted)
    parts = high, elementwise("SUB", value, high)
    return concatenate([parts[place] for place in order], axis)


def _known_parts(value: torch.Tensor, axis: int, order: tuple[int, ...]) -> torch.Tensor:
    high = (value + value * _SHIFT) - value * _SHIFT
    parts = high, value - high
    return torch.cat([parts[place] for place in order], axis)
