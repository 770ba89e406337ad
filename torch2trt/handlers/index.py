"""Advanced indexing, read and written: ``x[i, :, j]``, ``x[mask] = y``; and where elements are not zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..registry import op


@op("aten::index.Tensor", "aten::_unsafe_index.Tensor")
@emit.carries_bytes("self")
def aten_index(self: Tensor, indices: Sequence[Tensor | None]) -> Any:
    """``index.Tensor(Tensor self, Tensor?[] indices) -> Tensor``: index tensors, masks, and None for whole axes.

    A mask that is known at run time only needs TensorRT's non-zero layer.
    """
    return emit.indexed(self, indices)


@op("aten::index_put", "aten::_index_put_impl", "aten::_unsafe_index_put")
@emit.carries_bytes("self", "values", wide=torch.int32)
def aten_index_put(
    self: Tensor,
    indices: Sequence[Tensor | None],
    values: Tensor,
    accumulate: bool = False,
    unsafe: bool = False,
) -> Any:
    """``index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor``.

    With ``accumulate`` duplicates add up; without it, which of them wins is undefined, as in PyTorch. A mask needs no
    non-zero layer here.
    """
    given = [(place, index) for place, index in enumerate(indices) if index is not None]
    if len(given) == 1 and emit.is_mask(given[0][1]):
        return _put_where(self, given[0][1], given[0][0], values, accumulate)
    per_axis = emit.index_per_axis(self, indices)
    shape, first, count = emit.result_shape(self, per_axis)
    values = emit.expand(emit.tensor(values), shape)
    order = [*range(first, first + count), *range(first), *range(first + count, len(shape))]
    parts = emit.joined(self, per_axis, to_front=True)
    rest = emit.shape_of(parts.value)[1:]
    rows = emit.reshape(emit.permute(values, order), [emit.dim_product(shape[first : first + count]), *rest])
    places = emit.flat(emit.expand(parts.index, shape[first : first + count]))
    if accumulate:
        written = emit.scatter_sum(parts.value, places, rows, 0)
    else:
        written = emit.scatter_nd(parts.value, emit.unsqueeze(places, 1), rows)
    back = [parts.order.index(axis) for axis in range(len(parts.order))]
    return emit.permute(emit.reshape(written, parts.sizes), back)


def _put_where(value: Tensor, mask: Tensor, place: int, update: Tensor, accumulate: bool) -> Any:
    """``value[:, mask] = update`` with ``place`` axes before the mask."""
    rank, depth = emit.rank_of(value), emit.rank_of(mask)
    mask = emit.convert(mask, torch.bool)
    trailing = rank - place - depth
    spread = emit.rank_of(update) - 1 - place  # how many axes follow the one that counts the true elements
    if spread == trailing and not _is_one(update, place):
        return _put_in_order(value, mask, place, update, accumulate)
    if emit.rank_of(update) > trailing:  # one value for all true elements: its axis goes, the mask's come
        update = emit.tensor(update)
        tail = emit.rank_of(update) - trailing
        sizes = emit.shape_of(update)
        update = emit.reshape(update, [*sizes[: tail - 1], *[1] * depth, *sizes[tail:]])
    if accumulate:
        update = emit.arithmetic("SUM", value, update)
    mask = emit.unsqueeze(mask, range(depth, depth + trailing)) if trailing else mask
    return emit.where(mask, emit.convert(update, emit.dtype_of(value)), value)


def _is_one(value: Tensor, axis: int) -> bool:
    size = emit.size_of(value, axis)
    return isinstance(size, int) and size == 1


def _put_in_order(value: Tensor, mask: Tensor, place: int, update: Tensor, accumulate: bool) -> Any:
    """The true elements get one row of ``update`` each, in order."""
    rank, depth = emit.rank_of(value), emit.rank_of(mask)
    order = [*range(place, place + depth), *range(place), *range(place + depth, rank)]
    moved = emit.permute(value, order)
    sizes = emit.shape_of(moved)
    rows = emit.reshape(moved, [emit.dim_product(sizes[:depth]), *sizes[depth:]])
    update = emit.permute(update, [place, *range(place), *range(place + 1, emit.rank_of(update))])
    update = emit.expand(update, [emit.size_of(update, 0), *sizes[depth:]])
    flat_mask = emit.flat(mask)
    if accumulate:
        zeros = emit.full_like(rows, 0, emit.dtype_of(value))
        written = emit.arithmetic("SUM", rows, emit.masked_values(zeros, flat_mask, update))
    else:
        written = emit.masked_values(rows, flat_mask, update)
    return emit.permute(emit.reshape(written, sizes), [order.index(axis) for axis in range(rank)])


def _held_inside(value: Tensor, indices: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Indices, one an axis, none of which is out of range."""
    return [
        None
        if index is None
        else emit.clamp(index, emit.dim_sub(0, emit.size_of(value, axis)), emit.dim_sub(emit.size_of(value, axis), 1))
        for axis, index in enumerate(indices)
    ]


@op("aten::_unsafe_masked_index")
def aten_unsafe_masked_index(self: Tensor, mask: Tensor, indices: Sequence[Tensor | None], fill: Tensor) -> Any:
    """``_unsafe_masked_index(Tensor self, Tensor mask, Tensor?[] indices, Scalar fill) -> Tensor``: ``fill`` where the
    mask is false; indices out of range are moved into it.
    """
    found = emit.indexed(self, _held_inside(self, indices))
    return emit.choose(mask, found, fill, emit.dtype_of(self))


@op("aten::_unsafe_masked_index_put_accumulate")
def aten_unsafe_masked_index_put_accumulate(
    self: Tensor, mask: Tensor, indices: Sequence[Tensor | None], values: Tensor
) -> Any:
    """``_unsafe_masked_index_put_accumulate(Tensor self, Tensor mask, Tensor?[] indices, Tensor values) -> Tensor``:
    adds the values where the mask is true; indices out of range are moved into it.
    """
    chosen = emit.choose(mask, values, 0, emit.dtype_of(values))
    return aten_index_put(self=self, indices=_held_inside(self, indices), values=chosen, accumulate=True)


@op("aten::masked_scatter")
@emit.carries_bytes("self", "source")
def aten_masked_scatter(self: Tensor, mask: Tensor, source: Tensor) -> Any:
    """``masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor``: true places take source's elements in
    order; self and mask broadcast.
    """
    shape = emit.broadcast_shape(emit.shape_of(self), emit.shape_of(mask))
    values = emit.flat(emit.expand(self, shape))
    places = emit.flat(emit.expand(mask, shape))
    return emit.reshape(emit.masked_values(values, places, emit.flat(source)), shape)


@op("aten::nonzero", "aten::argwhere")
def aten_nonzero(self: Tensor) -> Any:
    """``nonzero(Tensor self) -> Tensor``: needs TensorRT's non-zero layer."""
    return emit.nonzero(self)


@op("aten::nonzero_numpy")
def aten_nonzero_numpy(self: Tensor) -> list[Any]:
    """``nonzero_numpy(Tensor self) -> Tensor[]``: needs TensorRT's non-zero layer."""
    mask = emit.convert(self, torch.bool)
    found = emit.nonzero(emit.reshape(mask, [1]) if emit.rank_of(mask) == 0 else mask)
    return [emit.take(found, axis, 1) for axis in range(max(1, emit.rank_of(self)))]


@op("aten::where")
def aten_where_condition(condition: Tensor) -> list[Any]:
    """``where(Tensor condition) -> Tensor[]``: as ``nonzero_numpy``."""
    return aten_nonzero_numpy(condition)


@op("aten::nonzero_static")
def aten_nonzero_static(self: Tensor, size: int, fill_value: int = -1) -> Any:
    """``nonzero_static(Tensor self, *, SymInt size, int fill_value=-1) -> Tensor``: a known count needs no non-zero
    layer.
    """
    if emit.is_empty(self):
        return torch.full((size, emit.rank_of(self)), fill_value)
    mask = emit.flat(emit.convert(self, torch.bool))
    total = emit.size_of(mask, 0)
    numbers = emit.iota(total)
    within = emit.elementwise("AND", mask, emit.compare("LESS", emit.compaction(mask), size))
    beyond = emit.add(numbers, size) if not isinstance(numbers, torch.Tensor) else numbers + size
    target = emit.where(within, emit.compaction(mask), beyond)
    empty = emit.filled([emit.dim_add(total, size)], -1, torch.int64)
    found = emit.slice_axis(emit.scatter_elements(empty, target, numbers, 0), 0, 0, size)
    columns = []
    rest: Any = found
    for length in reversed(emit.shape_of(self)):
        whole = emit.elementwise("FLOOR_DIV", rest, emit.as_dim(length))
        columns.append(emit.elementwise("SUB", rest, emit.elementwise("PROD", whole, emit.as_dim(length))))
        rest = whole
    if not columns:
        return torch.empty(size, 0, dtype=torch.int64)
    table = emit.concatenate([emit.unsqueeze(column, 1) for column in reversed(columns)], 1)
    hit = emit.unsqueeze(emit.compare("GREATER", found, -1), 1)
    return emit.where(hit, table, torch.tensor(fill_value))
