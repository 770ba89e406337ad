"""Norms of differences and reductions of losses, computed in float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from .arithmetic import is_nan
from .dims import rank_of
from .dtypes import Tensor, cast
from .functions import clamp
from .math import compare, elementwise, logical, reduce, unary, where
from .shape import permute
from .tf32 import full_matmul

MATRIX_SIZE = 25
"""From this many rows on, ``torch.cdist`` takes Euclidean distances from a matrix product
(use_mm_for_euclid_dist_if_necessary in torch.cdist's documentation)."""


def vector_norm(value: Tensor, p: float, axes: Sequence[int], keepdim: bool = False) -> Any:
    """The p-norm of a float32 tensor along ``axes``; p may be 0, infinite or negative."""
    magnitude = unary("ABS", value)
    if p == 2:
        return unary("SQRT", reduce("SUM", elementwise("PROD", value, value), axes, keepdim))
    if p == 1:
        return reduce("SUM", magnitude, axes, keepdim)
    if p == 0:
        return reduce("SUM", cast(logical(value), torch.float32), axes, keepdim)
    if math.isinf(p):
        return _extreme("MAX" if p > 0 else "MIN", magnitude, axes, keepdim)
    total = reduce("SUM", elementwise("POW", magnitude, torch.tensor(p)), axes, keepdim)
    return elementwise("POW", total, torch.tensor(1 / p))


def _extreme(operation: str, value: Any, axes: Sequence[int], keepdim: bool) -> Any:
    """A maximum or minimum that is NaN where any element is: TensorRT's own may drop a NaN."""
    nans = reduce("SUM", cast(is_nan(value), torch.float32), axes, keepdim)
    return where(compare("GREATER", nans, 0), math.nan, reduce(operation, value, axes, keepdim))


def reduced_loss(loss: Tensor, reduction: int, dtype: torch.dtype) -> Any:
    """A loss in ``dtype``, all of it (0), its mean (1) or its sum (2)."""
    if reduction:
        loss = reduce("AVG" if reduction == 1 else "SUM", loss, range(rank_of(loss)), keepdim=False)
    return cast(loss, dtype)


def pairwise_distance(left: Tensor, right: Tensor, p: float, eps: float) -> Any:
    """The p-norm of ``left - right + eps`` along the last axis; float32."""
    gap = elementwise("SUM", elementwise("SUB", left, right), torch.tensor(eps))
    return vector_norm(gap, p, [rank_of(gap) - 1] if rank_of(gap) else [])


def cosine(left: Tensor, right: Tensor, axis: int, eps: float) -> Any:
    """The cosine of the angle along ``axis``; each norm is at least ``eps``; float32 of one rank."""
    units = [
        elementwise("DIV", value, clamp(vector_norm(value, 2, [axis], keepdim=True), eps, None))
        for value in (left, right)
    ]
    return reduce("SUM", elementwise("PROD", *units), [axis], keepdim=False)


def euclidean_by_product(left: Tensor, right: Tensor) -> Any:
    """Euclidean distances of all rows of ``left`` to all rows of ``right`` by one matrix product; float32."""
    squares = [
        reduce("SUM", elementwise("PROD", value, value), [rank_of(value) - 1], keepdim=True) for value in (left, right)
    ]
    order = [*range(rank_of(right) - 2), rank_of(right) - 1, rank_of(right) - 2]
    product = full_matmul(elementwise("PROD", left, torch.tensor(-2.0)), right, transpose_right=True)
    total = elementwise("SUM", elementwise("SUM", product, squares[0]), permute(squares[1], order))
    return unary("SQRT", clamp(total, 1e-30, None))
