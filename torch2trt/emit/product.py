"""Products of matrices and vectors as PyTorch defines them, for every dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..weights import derive
from .by_weight import by_weight
from .dims import dim_product, rank_of, shape_of, static_shape
from .dtypes import Tensor, cast, dtype_of, is_bool, is_float, tensor
from .math import elementwise, reduce, summed_products
from .network import add_layer, enum
from .pointwise import computable, to_uint8
from .shape import pad_rank, permute, reshape, unsqueeze
from .tf32 import FEW_TERMS, full_matmul


def product(left: Tensor, right: Tensor, transpose_right: bool = False, bias: Tensor | None = None) -> Any:
    """``torch.matmul`` of operands of one dtype and rank 1 and higher.

    TensorRT multiplies floating point alone: integers are multiplied element by element and summed, which is exact.
    Products of few terms keep float32's digits: rotary embeddings (of one term, a position times a frequency) and
    changes of coordinates (of three or four) lose too much in TF32, to which TensorRT for RTX rounds float32.

    Args:
        left: of shape ``(k,)`` or ``(..., n, k)``.
        right: of shape ``(k,)`` or ``(..., k, m)``.
        transpose_right: ``right`` is ``(..., m, k)`` instead.
        bias: what is added; broadcast to the product.
    """
    terms = static_shape(left)[-1]
    if not is_float(left) or terms == 1:
        result = _summed_product(left, right, transpose_right)
    elif rank_of(left) > 1 and rank_of(right) > 1:
        if not 1 < terms <= FEW_TERMS:
            return by_weight(left, *_as_stored(right, transpose_right), bias)
        result = full_matmul(left, right, transpose_right=transpose_right)
    else:
        result = _vector_product(left, right, transpose_right)
    return result if bias is None else elementwise("SUM", result, bias)


def _vector_product(left: Tensor, right: Tensor, transpose_right: bool) -> Any:
    """Of floating point, where an operand is a vector."""
    first, second = rank_of(left), rank_of(right)
    collection = max(first, second, 2) - 2  # leading axes that both operands must have
    if first == second == 1:
        modes, ranks = ("VECTOR", "VECTOR"), (1, 1)
    elif first == 1:
        modes, ranks = ("VECTOR", "TRANSPOSE" if transpose_right else "NONE"), (collection + 1, collection + 2)
    else:
        modes, ranks = ("NONE", "VECTOR"), (collection + 2, collection + 1)
    operands = [pad_rank(value, rank) for value, rank in zip((left, right), ranks, strict=True)]
    left_mode, right_mode = (enum("MatrixOperation", mode) for mode in modes)
    return add_layer("matrix_multiply", operands[0], left_mode, operands[1], right_mode)


def _as_stored(value: Tensor, transposed: bool) -> tuple[Tensor, bool]:
    """A known matrix as it lies in memory: a transposed view is multiplied transposed instead of copied."""
    if isinstance(value, torch.Tensor) and not value.is_contiguous() and value.mT.is_contiguous():
        return derive(torch.transpose, value, -2, -1), not transposed
    return value, transposed


def _summed_product(left: Tensor, right: Tensor, transpose_right: bool) -> Any:
    dtype = dtype_of(left)
    wide = torch.int32 if is_bool(left) else computable(dtype)
    left, right = tensor(cast(left, wide)), tensor(cast(right, wide))
    vectors = [rank_of(left) == 1, rank_of(right) == 1]
    if vectors[1]:
        right = unsqueeze(right, 1)
    elif transpose_right:
        rank = rank_of(right)
        right = permute(right, [*range(rank - 2), rank - 1, rank - 2])
    if vectors[0]:
        left = unsqueeze(left, 0)
    total = summed_products(left, right)
    sizes = shape_of(total)
    if any(vectors):
        kept = sizes[:-2] + ([] if vectors[0] else sizes[-2:-1]) + ([] if vectors[1] else sizes[-1:])
        total = reshape(total, kept)
    return to_uint8(total) if dtype == torch.uint8 else cast(total, dtype)


def linear(value: Tensor, weight: Tensor, bias: Tensor | None) -> Any:
    """``value @ weight.T + bias``; a known weight keeps its name and its memory."""
    if is_float(value) and rank_of(value) > 1 and rank_of(weight) == 2 and static_shape(value)[-1] != 1:
        return by_weight(value, *_as_stored(weight, True), bias)
    return product(value, weight, rank_of(weight) == 2, bias)


def contract(left: Tensor, right: Tensor, left_axes: Sequence[int], right_axes: Sequence[int]) -> Any:
    """The sum over pairs of axes; the others of ``left``, then those of ``right``, are left."""
    left, right = tensor(left), tensor(right)
    for first, second in zip(left_axes, right_axes, strict=True):  # against an axis of size 1 the other one is summed
        if static_shape(left)[first] == 1 and static_shape(right)[second] != 1:
            right = reduce("SUM", right, [second], keepdim=True)
        elif static_shape(right)[second] == 1 and static_shape(left)[first] != 1:
            left = reduce("SUM", left, [first], keepdim=True)
    left_free = [axis for axis in range(rank_of(left)) if axis not in left_axes]
    right_free = [axis for axis in range(rank_of(right)) if axis not in right_axes]
    sizes = [*(shape_of(left)[axis] for axis in left_free), *(shape_of(right)[axis] for axis in right_free)]
    rows = _as_matrix(left, left_free, list(left_axes))
    columns = _as_matrix(right, list(right_axes), right_free)
    return reshape(product(rows, columns), sizes)


def _as_matrix(value: Any, rows: Sequence[int], columns: Sequence[int]) -> Any:
    sizes = shape_of(value)
    moved = permute(value, [*rows, *columns])
    return reshape(moved, [dim_product([sizes[axis] for axis in group]) for group in (rows, columns)])
