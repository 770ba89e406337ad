"""Sorting, the k largest, medians, quantiles, modes."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import emit
from ..emit import Dim, Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op


@op("aten::sort", "aten::sort.stable")
def aten_sort(self: Tensor, dim: int = -1, descending: bool = False, stable: bool | None = None) -> tuple[Any, Any]:
    """``sort.stable(Tensor self, *, bool? stable, int dim=-1, bool descending=False) -> (Tensor values, Tensor
    indices)``: always stable; NaN is the largest.
    """
    return emit.sorted_along(self, dim, descending)


@op("aten::argsort", "aten::argsort.stable")
def aten_argsort(self: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """``argsort.stable(Tensor self, *, bool stable, int dim=-1, bool descending=False) -> Tensor``: always stable."""
    return emit.order_along(self, dim, descending)


@op("aten::msort")
def aten_msort(self: Tensor) -> Any:
    """``msort(Tensor self) -> Tensor``: along axis 0."""
    return emit.sorted_along(self, 0, descending=False)[0]


@op("aten::topk")
def aten_topk(self: Tensor, k: Dim, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Any, Any]:
    """``topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor
    indices)``: always sorted; of equals, whose order PyTorch leaves open, the first.
    """
    return emit.sorted_along(self, dim, largest, k)


def _at(value: Tensor, axis: int, place: Dim, keepdim: bool) -> Any:
    """One element along ``axis``."""
    found = emit.slice_axis(value, axis, place, 1)
    return found if keepdim else emit.squeeze(found, [axis])


def _kth(value: Tensor, k: Dim, dim: int, keepdim: bool) -> tuple[Any, Any]:
    """The k-th smallest, counted from 1, along an axis, and its index."""
    if emit.rank_of(value) == 0:
        return emit.tensor(value), torch.zeros((), dtype=torch.int64)
    axis = emit.axis_of(dim, emit.rank_of(value))
    found = emit.sorted_along(value, axis, descending=False, count=k)
    values, indices = (_at(part, axis, emit.dim_sub(k, 1), keepdim) for part in found)
    return values, indices


@op("aten::kthvalue")
def aten_kthvalue(self: Tensor, k: Dim, dim: int = -1, keepdim: bool = False) -> tuple[Any, Any]:
    """``kthvalue(Tensor self, SymInt k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)``; of
    equals, among which PyTorch leaves open which it is, the one that a stable sort puts there.
    """
    return _kth(self, k, dim, keepdim)


def _middle(value: Tensor, axis: int) -> Dim:
    """The place of the lower median, counted from 1."""
    return emit.dim_floordiv(emit.dim_add(emit.size_of(value, axis), 1), 2)


@op("aten::median.dim")
def aten_median_dim(self: Tensor, dim: int, keepdim: bool = False) -> tuple[Any, Any]:
    """``median.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)``: the lower median;
    NaN, and the index of the first NaN, where any element is NaN.
    """
    rank = emit.rank_of(self)
    if rank == 0:
        return emit.tensor(self), torch.zeros((), dtype=torch.int64)
    axis = emit.axis_of(dim, rank)
    values, indices = _kth(self, _middle(self, axis), axis, keepdim)
    if not emit.is_float(self):
        return values, indices
    nans = emit.is_nan(self)
    first = emit.first_true(nans, axis)
    if keepdim:
        first = emit.unsqueeze(first, axis)
    any_nan = emit.holds("MAX", nans, [axis], keepdim)
    return (
        emit.where(any_nan, emit.number_like(math.nan, self), values),
        emit.where(any_nan, first, indices),
    )


@op("aten::median")
def aten_median(self: Tensor) -> Any:
    """``median(Tensor self) -> Tensor``: the lower median of all elements."""
    if 0 in emit.static_shape(self):
        return torch.tensor(math.nan, dtype=emit.dtype_of(self))
    return aten_median_dim(emit.flat(self), 0)[0]


@op("aten::nanmedian.dim")
def aten_nanmedian_dim(self: Tensor, dim: int, keepdim: bool = False) -> tuple[Any, Any]:
    """``nanmedian.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)``: the lower median
    of those that are not NaN.
    """
    rank = emit.rank_of(self)
    if not emit.is_float(self) or rank == 0:
        return aten_median_dim(self, dim, keepdim)
    axis = emit.axis_of(dim, rank)
    values, indices = emit.sorted_along(self, axis, descending=False)
    numbers = _count_numbers(self, axis)
    half = emit.elementwise("FLOOR_DIV", emit.sub(numbers, 1), torch.tensor(2))
    place = emit.elementwise("MAX", half, torch.tensor(0))
    found = [emit.gather_elements(part, place, axis) for part in (values, indices)]
    if keepdim:
        return found[0], found[1]
    return emit.squeeze(found[0], [axis]), emit.squeeze(found[1], [axis])


def _count_numbers(value: Tensor, axis: int) -> Any:
    """How many elements along ``axis``, which is kept, are not NaN; int64."""
    numbers = emit.cast(emit.logical_not(emit.is_nan(value)), torch.int64)
    return emit.reduce("SUM", numbers, [axis], keepdim=True)


@op("aten::nanmedian")
def aten_nanmedian(self: Tensor) -> Any:
    """``nanmedian(Tensor self) -> Tensor``: the lower median of all elements that are not NaN."""
    if 0 in emit.static_shape(self):
        return torch.tensor(math.nan, dtype=emit.dtype_of(self))
    return aten_nanmedian_dim(emit.flat(self), 0)[0]


@op("aten::mode")
def aten_mode(self: Tensor, dim: int = -1, keepdim: bool = False) -> tuple[Any, Any]:
    """``mode(Tensor self, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)``: the least of the most
    frequent, and where it is last. A NaN is counted once, and is the largest.
    """
    rank = emit.rank_of(self)
    if rank == 0:
        return emit.tensor(self), torch.zeros((), dtype=torch.int64)
    if emit.is_empty(self):
        shape = emit.known_ints(emit.reduced_shape(self, [emit.axis_of(dim, rank)], keepdim), "a size")
        return torch.empty(shape, dtype=emit.dtype_of(self)), torch.empty(shape, dtype=torch.int64)
    axis = emit.axis_of(dim, rank)
    dtype = emit.dtype_of(self)
    moved = emit.permute(
        emit.cast(self, torch.int32) if dtype in (torch.bool, torch.uint8) else emit.tensor(self),
        [*range(axis), *range(axis + 1, rank), axis],
    )
    values, indices = emit.most_frequent(moved)
    place = rank - 1
    order = [*range(axis), place, *range(axis, place)]
    found = [emit.permute(part, order) for part in (values, indices)]
    if not keepdim:
        found = [emit.squeeze(part, [axis]) for part in found]
    return emit.convert(found[0], dtype), found[1]


@op("aten::quantile", "aten::quantile.scalar")
def aten_quantile(
    self: Tensor, q: Tensor, dim: int | None = None, keepdim: bool = False, interpolation: str = "linear"
) -> Any:
    """``quantile(Tensor self, Tensor q, int? dim=None, bool keepdim=False, *, str interpolation="linear") -> Tensor``;
    NaN where any element is.
    """
    return _quantile(self, q, dim, keepdim, interpolation, ignore_nan=False)


@op("aten::nanquantile", "aten::nanquantile.scalar")
def aten_nanquantile(
    self: Tensor, q: Tensor, dim: int | None = None, keepdim: bool = False, interpolation: str = "linear"
) -> Any:
    """``nanquantile(Tensor self, Tensor q, int? dim=None, bool keepdim=False, *, str interpolation="linear") ->
    Tensor``: of those that are not NaN.
    """
    return _quantile(self, q, dim, keepdim, interpolation, ignore_nan=True)


def _quantile(value: Tensor, q: Tensor, dim: int | None, keepdim: bool, interpolation: str, ignore_nan: bool) -> Any:
    """As quantile_compute in aten/src/ATen/native/Sorting.cpp: ranks in the sorted axis, interpolated."""
    rank = emit.rank_of(value)
    kept = [1] * rank if dim is None else emit.shape_of(value)
    if dim is not None and rank:
        kept[emit.axis_of(dim, rank)] = 1
    shape = kept if keepdim else [] if dim is None or not rank else _without(kept, emit.axis_of(dim, rank))
    source, axis, _ = emit.axis_or_all(value, dim, keepdim)
    if emit.rank_of(source) == 0:
        source = emit.reshape(source, [1])
    last = emit.swap_axes(source, axis, emit.rank_of(source) - 1)
    ordered = emit.sorted_along(last, -1, descending=False)[0]
    axis = emit.rank_of(ordered) - 1
    picks = emit.rank_of(q)
    points = emit.tensor(emit.cast(q, emit.dtype_of(value)))
    points = emit.reshape(points, [*[1] * axis, -1 if picks else 1])
    found = emit.interpolated(ordered, points, interpolation, ignore_nan)
    return _arranged(found, value, dim, shape, picks)


def _without(sizes: list[Dim], axis: int) -> list[Dim]:
    return [size for index, size in enumerate(sizes) if index != axis]


def _arranged(found: Any, value: Tensor, dim: int | None, shape: list[Dim], picks: int) -> Any:
    """Quantiles along the last axis, which changed places with ``dim``, with that axis first, or gone."""
    rank = emit.rank_of(found)
    if dim is not None and emit.rank_of(value) > 1:
        axis = emit.axis_of(dim, emit.rank_of(value))
        found = emit.swap_axes(found, axis, rank - 1)
        found = emit.permute(found, [axis, *(other for other in range(rank) if other != axis)])
    elif rank > 1:
        raise UnsupportedArgumentError("quantiles of a flattened tensor have one axis")
    return emit.reshape(found, [emit.size_of(found, 0), *shape] if picks else shape)
