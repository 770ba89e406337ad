"""Sums, means, products, variances, norms and other reductions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Shape, Tensor
from ..registry import op


@op("aten::sum", "aten::sum.dim_IntList")
def aten_sum(
    self: Tensor, dim: Sequence[int] | None = None, keepdim: bool = False, dtype: torch.dtype | None = None
) -> Any:
    """``sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor``."""
    axes = emit.axes_of(dim, emit.rank_of(self))
    return emit.accumulated("SUM", self, axes, keepdim, emit.sum_dtype(self, dtype))


@op("aten::sum_to_size")
def aten_sum_to_size(self: Tensor, size: Shape) -> Any:
    """``sum_to_size(Tensor self, SymInt[] size) -> Tensor``: what was broadcast is summed."""
    wanted = emit.known_ints(size, "the size to sum to")
    sizes = emit.static_shape(self)
    extra = len(sizes) - len(wanted)
    axes = [*range(extra), *(axis for axis in range(extra, len(sizes)) if wanted[axis - extra] == 1 != sizes[axis])]
    if not axes and wanted:
        return emit.tensor(self)
    summed = emit.accumulated("SUM", self, axes, True, emit.sum_dtype(self))
    return emit.squeeze(summed, range(extra)) if extra else summed


@op("aten::nansum")
def aten_nansum(
    self: Tensor, dim: Sequence[int] | None = None, keepdim: bool = False, dtype: torch.dtype | None = None
) -> Any:
    """``nansum(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor``."""
    axes = emit.axes_of(dim, emit.rank_of(self))
    return emit.accumulated("SUM", _without_nan(self), axes, keepdim, emit.sum_dtype(self, dtype))


def _without_nan(value: Tensor) -> Any:
    if not emit.is_float(value):
        return emit.tensor(value)
    return emit.where(emit.is_nan(value), emit.number_like(0, value), value)


@op("aten::mean", "aten::mean.dim")
def aten_mean(
    self: Tensor, dim: Sequence[int] | None = None, keepdim: bool = False, dtype: torch.dtype | None = None
) -> Any:
    """``mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor``."""
    axes = emit.axes_of(dim, emit.rank_of(self))
    dtype = dtype or emit.dtype_of(self)
    if emit.reduces_nothing(self, axes):
        return emit.full_result(self, axes, keepdim, float("nan"), dtype)
    return emit.accumulated("AVG", self, axes, keepdim, dtype)


@op("aten::nanmean")
def aten_nanmean(
    self: Tensor, dim: Sequence[int] | None = None, keepdim: bool = False, dtype: torch.dtype | None = None
) -> Any:
    """``nanmean(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor``."""
    axes = emit.axes_of(dim, emit.rank_of(self))
    total = emit.reduce("SUM", emit.compute_in_float32(_without_nan(self)), axes, keepdim)
    numbers = emit.cast(emit.logical_not(emit.is_nan(self)), torch.float32)
    mean = emit.elementwise("DIV", total, emit.reduce("SUM", numbers, axes, keepdim))
    return emit.cast(mean, dtype or emit.dtype_of(self))


@op("aten::prod", "aten::prod.dim_int")
def aten_prod(self: Tensor, dim: int | None = None, keepdim: bool = False, dtype: torch.dtype | None = None) -> Any:
    """``prod.dim_int(Tensor self, int dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor``."""
    axes = emit.axes_of(dim, emit.rank_of(self))
    return emit.accumulated("PROD", self, axes, keepdim, emit.sum_dtype(self, dtype))


def _holds(operation: str, value: Tensor, dim: Any, keepdim: bool) -> Any:
    axes = emit.axes_of(dim, emit.rank_of(value))
    result = emit.holds(operation, emit.convert(value, torch.bool), axes, keepdim)
    return emit.convert(result, torch.uint8) if emit.dtype_of(value) == torch.uint8 else result


@op("aten::all", "aten::all.dim", "aten::all.dims")
def aten_all(self: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Any:
    """``all.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor``; NaN is true; uint8 gives uint8."""
    return _holds("MIN", self, dim, keepdim)


@op("aten::any", "aten::any.dim", "aten::any.dims")
def aten_any(self: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Any:
    """``any.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor``; NaN is true; uint8 gives uint8."""
    return _holds("MAX", self, dim, keepdim)


@op("aten::count_nonzero", "aten::count_nonzero.dim_IntList")
def aten_count_nonzero(self: Tensor, dim: int | Sequence[int] | None = None) -> Any:
    """``count_nonzero.dim_IntList(Tensor self, int[] dim) -> Tensor``: int64; NaN counts."""
    axes = emit.axes_of(dim, emit.rank_of(self))
    hits = emit.cast(emit.convert(self, torch.bool), torch.int64)
    return emit.reduce("SUM", hits, axes, keepdim=False)


def _variance(
    value: Tensor, dim: Sequence[int] | None, unbiased: bool, correction: float | None, keepdim: bool, root: bool
) -> tuple[Any, Any]:
    """Variance, or its root, and mean in the dtype of ``value``."""
    axes = emit.axes_of(dim, emit.rank_of(value))
    dtype = emit.dtype_of(value)
    amount = float(unbiased) if correction is None else float(correction)
    if emit.reduces_nothing(value, axes):
        nan = emit.full_result(value, axes, keepdim, float("nan"), dtype)
        return nan, nan
    spread, mean = emit.variance(value, axes, amount, keepdim)
    if root:
        spread = emit.unary("SQRT", spread)
    return emit.cast(spread, dtype), emit.cast(mean, dtype)


def _register_variance(name: str, root: bool, with_mean: bool) -> None:
    def handler(
        self: Tensor,
        dim: Sequence[int] | None = None,
        unbiased: bool = True,
        keepdim: bool = False,
        correction: float | None = None,
    ) -> Any:
        found = _variance(self, dim, unbiased, correction, keepdim, root)
        return found if with_mean else found[0]

    returns = "(Tensor, Tensor)" if with_mean else "Tensor"
    handler.__doc__ = (
        f"``{name}.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False)"
        f" -> {returns}``."
    )
    op(f"aten::{name}", f"aten::{name}.dim", f"aten::{name}.correction")(handler)


for _name, _root, _with_mean in (
    ("var", False, False),
    ("std", True, False),
    ("var_mean", False, True),
    ("std_mean", True, True),
):
    _register_variance(_name, _root, _with_mean)


@op("aten::logsumexp")
def aten_logsumexp(self: Tensor, dim: Sequence[int], keepdim: bool = False) -> Any:
    """``logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor``; integers give the default float dtype."""
    value = emit.to_float(self)
    axes = emit.axes_of(dim, emit.rank_of(self))
    dtype = emit.dtype_of(value)
    if emit.reduces_nothing(value, axes):
        return emit.full_result(value, axes, keepdim, float("-inf"), dtype)
    return emit.cast(emit.log_sum_exp(emit.cast(value, torch.float32), axes, keepdim), dtype)


@op("aten::renorm")
def aten_renorm(self: Tensor, p: float, dim: int, maxnorm: float) -> Any:
    """``renorm(Tensor self, Scalar p, int dim, Scalar maxnorm) -> Tensor``: slices longer than maxnorm are shortened.

    The factor is ``maxnorm / (norm + 1e-7)`` (renorm_scale_factor in aten/src/ATen/native/Normalization.cpp).
    """
    rank = emit.rank_of(self)
    axes = [axis for axis in range(rank) if axis != emit.axis_of(dim, rank)]
    wide = emit.cast(self, torch.float32)
    norm = emit.vector_norm(wide, float(p), axes, keepdim=True)
    factor = emit.elementwise(
        "DIV", torch.tensor(float(maxnorm)), emit.elementwise("SUM", norm, torch.tensor(1e-7, dtype=torch.float32))
    )
    factor = emit.where(emit.compare("GREATER", norm, float(maxnorm)), factor, torch.tensor(1.0))
    return emit.cast(emit.elementwise("PROD", wide, factor), emit.dtype_of(self))
