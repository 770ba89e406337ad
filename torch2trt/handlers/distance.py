"""Distances and similarities of vectors."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit
from ..emit import Dim, Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op


def _float32(*values: Tensor) -> list[Any]:
    return emit.align_ranks([emit.cast(value, torch.float32) for value in values])


@op("aten::pairwise_distance")
def aten_pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """``pairwise_distance(Tensor x1, Tensor x2, float p=2., float eps=1e-6, bool keepdim=False) -> Tensor``.

    The difference is rounded to the dtype of the inputs, as in eager.
    """
    gap = emit.cast(emit.arithmetic("SUM", emit.arithmetic("SUB", x1, x2), eps), torch.float32)
    axes = [emit.rank_of(gap) - 1] if emit.rank_of(gap) else []
    return emit.cast(emit.vector_norm(gap, p, axes, keepdim), emit.result_type(x1, x2, to_float=True))


@op("aten::cosine_similarity")
def aten_cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Any:
    """``cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor``; of broadcast tensors."""
    left, right = _float32(x1, x2)
    axis = emit.axis_of(dim, emit.rank_of(left))
    if emit.rank_of(left) == 0:
        left, right = emit.reshape(left, [1]), emit.reshape(right, [1])
    sizes = emit.broadcast_shape(emit.shape_of(left), emit.shape_of(right))
    result = emit.cosine(emit.expand(left, sizes), emit.expand(right, sizes), axis, eps)
    return emit.cast(result, emit.result_type(x1, x2, to_float=True))


@op("aten::dist")
def aten_dist(self: Tensor, other: Tensor, p: float = 2) -> Any:
    """``dist(Tensor self, Tensor other, Scalar p=2) -> Tensor``: the p-norm of the difference of all elements."""
    gap = emit.elementwise("SUB", *_float32(self, other))
    result = emit.vector_norm(gap, float(p), range(emit.rank_of(gap)))
    return emit.cast(result, emit.result_type(self, other))


@op("aten::cdist", "aten::_cdist_forward")
def aten_cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: int | None = None) -> Any:
    """``cdist(Tensor x1, Tensor x2, float p=2., int? compute_mode=None) -> Tensor``.

    Euclidean distances of more than 25 known rows come from a matrix product, as in eager.
    """
    left, right = _float32(x1, x2)
    rank = emit.rank_of(left)
    rows = [emit.size_of(value, rank - 2) for value in (left, right)]
    many = any(isinstance(count, int) and count > emit.MATRIX_SIZE for count in rows)
    if p == 2 and (compute_mode == 1 or (not compute_mode and many)):
        return emit.cast(emit.euclidean_by_product(left, right), emit.result_type(x1, x2, to_float=True))
    if rank == emit.MAX_RANK:
        raise UnsupportedArgumentError(
            "cdist of rank 8 needs tensors of rank 9, which TensorRT does not hold", hint="flatten the batch axes"
        )
    gap = emit.elementwise("SUB", emit.unsqueeze(left, rank - 1), emit.unsqueeze(right, rank - 2))
    return emit.cast(emit.vector_norm(gap, p, [rank]), emit.result_type(x1, x2, to_float=True))


@op("aten::pdist", "aten::_pdist_forward")
def aten_pdist(self: Tensor, p: float = 2) -> Any:
    """``pdist(Tensor self, float p=2.) -> Tensor``: of all pairs of rows."""
    first, second = _pairs(emit.size_of(self, 0))
    value = emit.as_float32(self)
    gap = emit.elementwise("SUB", emit.gather(value, first, 0), emit.gather(value, second, 0))
    return emit.cast(emit.vector_norm(gap, p, [1]), emit.dtype_of(self))


def _pairs(count: Dim) -> tuple[Any, Any]:
    """The rows of each pair ``(0, 1), (0, 2), ..., (1, 2), ...`` of ``count`` rows."""
    if isinstance(count, int):
        first, second = torch.triu_indices(count, count, 1, dtype=torch.int32).unbind()
        return first, second
    edge = emit.as_dim(emit.dim_sub(emit.dim_mul(count, 2), 1))
    place = emit.positions(emit.dim_floordiv(emit.dim_mul(count, emit.dim_sub(count, 1)), 2))

    def start(row: Any) -> Any:
        """How many pairs come before those of a row."""
        return emit.floored_quotient(emit.arithmetic("PROD", row, emit.arithmetic("SUB", edge, row)), torch.tensor(2))

    # The row solves a quadratic equation; its root in float32 may round to a neighbour.
    square = emit.arithmetic("SUB", emit.arithmetic("PROD", edge, edge), emit.arithmetic("PROD", place, 8))
    root = emit.unary("SQRT", emit.cast(square, torch.float32))
    twice = emit.arithmetic("SUB", emit.cast(edge, torch.float32), root)
    row = emit.cast(emit.unary("FLOOR", emit.arithmetic("PROD", twice, 0.5)), torch.int64)
    row = emit.arithmetic("SUB", row, emit.cast(emit.compare("GREATER", start(row), place), torch.int64))
    after = start(emit.arithmetic("SUM", row, 1))
    row = emit.arithmetic("SUM", row, emit.cast(emit.logical_not(emit.compare("GREATER", after, place)), torch.int64))
    column = emit.arithmetic("SUM", emit.arithmetic("SUB", place, start(row)), emit.arithmetic("SUM", row, 1))
    return row, column
