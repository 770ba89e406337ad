"""Covariance and correlation."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..registry import op


def covariance(value: Tensor, correction: int, counts: Tensor, weights: Tensor) -> Any:
    """As at::cov in aten/src/ATen/native/Correlation.cpp, in the dtype of a float matrix of one row a variable."""
    total, share = _weights(counts, weights, emit.dtype_of(value))
    if share is None:
        mean = emit.reduce("AVG", value, [1], keepdim=True)
        degrees = emit.elementwise("SUB", emit.tensor(emit.size_of(value, 1), torch.float32), _number(correction))
        scaled = gap = emit.elementwise("SUB", value, mean)
    else:
        mean = emit.reduce("SUM", emit.elementwise("PROD", value, share), [1], keepdim=True)
        mean = emit.elementwise("DIV", mean, total)
        degrees = _weighted_degrees(share, total, weights, correction)
        gap = emit.elementwise("SUB", value, mean)
        scaled = emit.elementwise("PROD", gap, share)
    product = emit.full_matmul(gap, scaled, transpose_right=True)
    return emit.elementwise("DIV", product, emit.elementwise("MAX", degrees, _number(0)))


def _number(value: float) -> torch.Tensor:
    return torch.tensor(float(value), dtype=torch.float32)


def _weights(counts: Tensor, weights: Tensor, dtype: torch.dtype) -> tuple[Any, Any]:
    """The sum of the weights and the weights, as a row; None for none."""
    given = [emit.tensor(part, dtype) for part in (counts, weights) if part is not None]
    if not given:
        return None, None
    share = given[0] if len(given) == 1 else emit.elementwise("PROD", *given)
    share = emit.reshape(share, [1, -1])
    return emit.reduce("SUM", share, [1], keepdim=True), share


def _weighted_degrees(share: Any, total: Any, weights: Tensor, correction: int) -> Any:
    if correction == 0:
        return total
    amount: Any = _number(correction)
    if weights is not None:
        importance = emit.reshape(emit.tensor(weights, emit.dtype_of(share)), [1, -1])
        squares = emit.reduce("SUM", emit.elementwise("PROD", share, importance), [1], keepdim=True)
        amount = emit.elementwise("PROD", amount, emit.elementwise("DIV", squares, total))
    return emit.elementwise("SUB", total, amount)


def _matrix(value: Tensor) -> Any:
    """Floats, float32 for half precision, as a matrix of one row a variable."""
    value = emit.compute_in_float32(emit.to_float(value))
    return emit.reshape(value, [1, -1]) if emit.rank_of(value) < 2 else value


@op("aten::cov")
def aten_cov(self: Tensor, correction: int = 1, fweights: Tensor = None, aweights: Tensor = None) -> Any:
    """``cov(Tensor self, *, int correction=1, Tensor? fweights=None, Tensor? aweights=None) -> Tensor``: of rows."""
    result = covariance(_matrix(self), correction, fweights, aweights)
    dtype = emit.dtype_of(emit.to_float(self))  # weights of higher precision raise it
    return emit.cast(
        _squeezed(result), dtype if aweights is None else torch.promote_types(dtype, emit.dtype_of(aweights))
    )


def _squeezed(matrix: Any) -> Any:
    """A matrix of one variable as a number."""
    return emit.reshape(matrix, []) if emit.static_shape(matrix) == (1, 1) else matrix


@op("aten::corrcoef")
def aten_corrcoef(self: Tensor) -> Any:
    """``corrcoef(Tensor self) -> Tensor``: of the rows, held between -1 and 1."""
    matrix = _matrix(self)
    found = covariance(matrix, 1, None, None)
    root = emit.unary("SQRT", emit.diagonal(found, 0))
    found = emit.elementwise("DIV", found, emit.unsqueeze(root, 1))
    found = emit.clamp(emit.elementwise("DIV", found, emit.unsqueeze(root, 0)), -1.0, 1.0)
    return emit.cast(_squeezed(found), emit.dtype_of(emit.to_float(self)))
