"""Norms of vectors and matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Tensor, spectrum
from ..registry import op


def _norm(value: Tensor, p: float, dim: Sequence[int] | None, keepdim: bool, dtype: torch.dtype | None) -> Any:
    axes = emit.axes_of(dim, emit.rank_of(value))
    dtype = dtype or emit.dtype_of(value)
    wide = emit.cast(emit.cast(value, dtype), torch.float32)
    return emit.cast(emit.vector_norm(wide, float(p), axes, keepdim), dtype)


@op("aten::linalg_vector_norm")
def aten_linalg_vector_norm(
    self: Tensor,
    ord: float = 2,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: torch.dtype | None = None,
) -> Any:
    """``linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None)
    -> Tensor``.
    """
    return _norm(self, ord, dim, keepdim, dtype)


@op("aten::norm.Scalar", "aten::norm.ScalarOpt_dim", "aten::norm.ScalarOpt_dim_dtype", "aten::norm.ScalarOpt_dtype")
def aten_norm(
    self: Tensor,
    p: float | None = 2,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: torch.dtype | None = None,
) -> Any:
    """``norm.ScalarOpt_dim(Tensor self, Scalar? p, int[1] dim, bool keepdim=False) -> Tensor``; None is 2."""
    return _norm(self, 2 if p is None else p, dim, keepdim, dtype)


@op("aten::frobenius_norm.dim")
def aten_frobenius_norm(self: Tensor, dim: Sequence[int], keepdim: bool = False) -> Any:
    """``frobenius_norm.dim(Tensor self, int[1] dim, bool keepdim=False) -> Tensor``."""
    return _norm(self, 2, dim, keepdim, None)


@op("aten::nuclear_norm", "aten::nuclear_norm.dim")
def aten_nuclear_norm(self: Tensor, dim: Sequence[int] = (-2, -1), keepdim: bool = False) -> Any:
    """``nuclear_norm.dim(Tensor self, int[2] dim, bool keepdim=False) -> Tensor``: the sum of the singular values."""
    return _matrix_norm(self, "nuc", dim, keepdim, None)


@op("aten::linalg_norm", "aten::linalg_norm.ord_str")
def aten_linalg_norm(
    self: Tensor,
    ord: float | str | None = None,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: torch.dtype | None = None,
) -> Any:
    """``linalg_norm(Tensor self, Scalar? ord=None, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None)
    -> Tensor``: of vectors, or of matrices as :func:`aten_linalg_matrix_norm`.
    """
    if ord is None:
        return _norm(self, 2, dim, keepdim, dtype)
    count = emit.rank_of(self) if dim is None else len(dim)
    if isinstance(ord, str) or count == 2:
        axes = (-2, -1) if dim is None else dim
        return _matrix_norm(self, ord, axes, keepdim, dtype)
    return _norm(self, ord, dim, keepdim, dtype)


@op("aten::linalg_matrix_norm", "aten::linalg_matrix_norm.str_ord")
def aten_linalg_matrix_norm(
    self: Tensor,
    ord: float | str = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    dtype: torch.dtype | None = None,
) -> Any:
    """``linalg_matrix_norm(Tensor self, Scalar ord, int[] dim=[-2, -1], bool keepdim=False, *, ScalarType? dtype=None)
    -> Tensor``; the spectral and nuclear norms (2, -2, "nuc") by singular values.
    """
    return _matrix_norm(self, ord, dim, keepdim, dtype)


def _matrix_norm(
    value: Tensor, order: float | str, dim: Sequence[int], keepdim: bool, dtype: torch.dtype | None
) -> Any:
    if order == "fro":
        return _norm(value, 2, dim, keepdim, dtype)
    rank = emit.rank_of(value)
    rows, columns = (emit.axis_of(axis, rank) for axis in dim)
    dtype = dtype or emit.dtype_of(value)
    axes = sorted((rows, columns))
    if emit.reduces_nothing(value, axes):
        return emit.full_result(value, axes, keepdim, 0, dtype)
    wide = emit.cast(emit.cast(value, dtype), torch.float32)
    if isinstance(order, str) or abs(order) == 2:
        best = _of_singular_values(wide, order, (rows, columns))
        return emit.cast(emit.unsqueeze(best, axes) if keepdim else best, dtype)
    summed, other = (rows, columns) if abs(order) == 1 else (columns, rows)
    sums = emit.reduce("SUM", emit.unary("ABS", wide), [summed], keepdim=True)
    best = emit.extreme("MAX" if order > 0 else "MIN", sums, [other], keepdim=True)
    return emit.cast(best if keepdim else emit.squeeze(best, axes), dtype)


def _of_singular_values(value: Tensor, order: float | str, axes: tuple[int, int]) -> Any:
    """The largest (2), the smallest (-2) or the sum ("nuc") of the singular values, without the matrices' axes."""
    rank = emit.rank_of(value)
    lead = [axis for axis in range(rank) if axis not in axes]
    turned = emit.permute(value, [*lead, *axes])
    values = spectrum.singular_values(turned)
    if order == "nuc":
        return emit.reduce("SUM", values, [rank - 2], keepdim=False)
    return emit.extreme("MAX" if order == 2 else "MIN", values, [rank - 2], keepdim=False)
