"""Distinct values: their number depends on the data, which takes TensorRT's non-zero layer."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op

_MOST_COLUMNS = 64
"""The longest rows that are sorted one column after another."""

_NOTHING = torch.empty(0, dtype=torch.int64)


def _distinct(ordered: Any, axis: int, with_inverse: bool, with_counts: bool) -> tuple[Any, Any, Any]:
    """The slices along ``axis`` that differ from the one before, for each slice which one it is, how many are equal.

    What is not wanted is an empty tensor, as in PyTorch.
    """
    starts = emit.runs(ordered, axis)
    firsts = emit.take(emit.nonzero(starts), 0, 1)
    values = emit.gather(ordered, firsts, axis)
    inverse = emit.compaction(starts) if with_inverse else _NOTHING
    if not with_counts:
        return values, inverse, _NOTHING
    total = emit.reshape(emit.as_dim(emit.size_of(ordered, axis)), [1])
    count = emit.dim_sub(emit.size_of(firsts, 0), 1)
    ends = emit.concatenate([emit.slice_axis(firsts, 0, 1, count), total], 0)
    return values, inverse, emit.elementwise("SUB", ends, firsts)


def _in_old_order(inverse: Any, order: Any) -> Any:
    """For each element before sorting, what it has after sorting."""
    return emit.scatter_elements(inverse, order, inverse, 0)


@op("aten::_unique2")
def aten_unique2(
    self: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False
) -> tuple[Any, Any, Any]:
    """``_unique2(Tensor self, bool sorted=True, bool return_inverse=False, bool return_counts=False) ->
    (Tensor, Tensor, Tensor)``: always sorted; needs TensorRT's non-zero layer.
    """
    dtype = emit.dtype_of(self)
    if emit.is_empty(self):
        places = emit.filled(emit.shape_of(self), 0, torch.int64) if return_inverse else _NOTHING
        return torch.empty(0, dtype=dtype), places, _NOTHING
    values, order = emit.sorted_along(emit.flat(_comparable(self)), 0, descending=False)
    values, inverse, counts = _distinct(values, 0, return_inverse, return_counts)
    if return_inverse:
        inverse = emit.reshape(_in_old_order(inverse, order), emit.shape_of(self))
    return emit.convert(values, dtype), inverse, counts


@op("aten::_unique")
def aten_unique(self: Tensor, sorted: bool = True, return_inverse: bool = False) -> tuple[Any, Any]:
    """``_unique(Tensor self, bool sorted=True, bool return_inverse=False) -> (Tensor, Tensor)``."""
    values, inverse, _ = aten_unique2(self, sorted, return_inverse)
    return values, inverse


def _comparable(value: Tensor) -> Any:
    """``value`` in a dtype that TensorRT gathers and compares."""
    return emit.cast(value, torch.int32) if emit.dtype_of(value) in (torch.bool, torch.uint8) else emit.tensor(value)


@op("aten::unique_consecutive")
def aten_unique_consecutive(
    self: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> tuple[Any, Any, Any]:
    """``unique_consecutive(Tensor self, bool return_inverse=False, bool return_counts=False, int? dim=None) ->
    (Tensor, Tensor, Tensor)``: needs TensorRT's non-zero layer.
    """
    dtype = emit.dtype_of(self)
    value = _comparable(self)
    if dim is None:
        axis, shape = 0, emit.shape_of(self)
        value = emit.flat(value)
    else:
        axis, shape = emit.axis_of(dim, emit.rank_of(self)), None
    if emit.is_empty(self):
        return _nothing_distinct(self, axis, dim, return_inverse)
    values, inverse, counts = _distinct(value, axis, return_inverse, return_counts)
    if shape is not None and return_inverse:
        inverse = emit.reshape(inverse, shape)
    return emit.convert(values, dtype), inverse, counts


def _nothing_distinct(value: Tensor, axis: int, dim: int | None, with_inverse: bool) -> tuple[Any, Any, Any]:
    sizes = list(emit.static_shape(value))
    if dim is not None and sizes[axis]:
        raise UnsupportedArgumentError("slices without elements are all equal", hint="take one of them with narrow")
    empty = torch.empty(sizes if dim is not None else [0], dtype=emit.dtype_of(value))
    return empty, torch.empty(sizes if dim is None and with_inverse else [0], dtype=torch.int64), _NOTHING


@op("aten::unique_dim")
def aten_unique_dim(
    self: Tensor, dim: int, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False
) -> tuple[Any, Any, Any]:
    """``unique_dim(Tensor self, int dim, bool sorted=True, bool return_inverse=False, bool return_counts=False) ->
    (Tensor, Tensor, Tensor)``: slices in lexicographic order; needs TensorRT's non-zero layer.

    Slices are sorted by one element after another, from the last to the first.
    """
    dtype = emit.dtype_of(self)
    rank = emit.rank_of(self)
    axis = emit.axis_of(dim, rank)
    sizes = emit.shape_of(self)
    width = emit.dim_product(sizes[:axis] + sizes[axis + 1 :])
    if not isinstance(width, int) or width > _MOST_COLUMNS:
        raise UnsupportedArgumentError(
            f"slices of {width if isinstance(width, int) else 'an unknown number of'} elements are compared, and "
            f"{_MOST_COLUMNS} are the most",
            hint="keep this op in PyTorch with torch2trt.compile",
        )
    if emit.is_empty(self):
        return _nothing_distinct(self, axis, dim, return_inverse)
    value = _comparable(self)
    first = emit.permute(value, [axis, *(other for other in range(rank) if other != axis)])
    rows = emit.reshape(first, [sizes[axis], width])
    order = None
    for column in reversed(range(width)):
        keys = emit.take(rows, column, 1)
        keys = keys if order is None else emit.gather(keys, order, 0)
        step = emit.order_along(keys, 0, descending=False)
        order = step if order is None else emit.gather(order, step, 0)
    values, inverse, counts = _distinct(emit.gather(value, order, axis), axis, return_inverse, return_counts)
    if return_inverse:
        inverse = _in_old_order(inverse, order)
    return emit.convert(values, dtype), inverse, counts
