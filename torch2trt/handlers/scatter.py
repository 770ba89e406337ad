"""Writing elements at indices: scatter, index_add, index_copy, index_fill, put."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..registry import op


def _vectors(*values: Tensor) -> list[Any]:
    """The tensors, 0-d ones as vectors of one element."""
    return [emit.reshape(value, [1]) if emit.rank_of(value) == 0 else value for value in values]


def _scatter(value: Tensor, dim: int, index: Tensor, source: Tensor, how: str | None, include_self: bool) -> Any:
    """What all scatters share; ``source`` may be larger than ``index``."""
    if emit.is_empty(index):
        return emit.tensor(value)
    shape = emit.shape_of(value)
    axis = emit.axis_of(dim, len(shape))
    value, index, source = _vectors(value, index, source)
    sizes = emit.shape_of(index)
    if emit.shape_of(source) != sizes:
        source = emit.strided_slice(source, [0] * len(sizes), sizes, [1] * len(sizes))
    if how is None:
        result = emit.scatter_elements(value, index, emit.cast(source, emit.dtype_of(value)), axis)
    else:
        result = emit.scatter_reduced(value, index, source, axis, how, include_self)
    return emit.reshape(result, shape)


@op("aten::scatter.src", "aten::scatter.reduce")
@emit.carries_bytes("self", "src", wide=torch.int32)
def aten_scatter(self: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str | None = None) -> Any:
    """``scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor``.

    Of duplicates, which one wins is undefined, as in PyTorch; with ``reduce`` all of them count.
    """
    return _scatter(self, dim, index, src, reduce, include_self=True)


@op("aten::scatter.value", "aten::scatter.value_reduce")
@emit.carries_bytes("self", "value", wide=torch.int32)
def aten_scatter_value(self: Tensor, dim: int, index: Tensor, value: Tensor, reduce: str | None = None) -> Any:
    """``scatter.value(Tensor self, int dim, Tensor index, Scalar value) -> Tensor``."""
    source = emit.filled(emit.shape_of(index), value, emit.dtype_of(self))
    return _scatter(self, dim, index, source, reduce, include_self=True)


@op("aten::scatter_add")
@emit.carries_bytes("self", "src", wide=torch.int32)
def aten_scatter_add(self: Tensor, dim: int, index: Tensor, src: Tensor) -> Any:
    """``scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor``: duplicates add up."""
    return _scatter(self, dim, index, src, "sum", include_self=True)


@op("aten::scatter_reduce.two")
@emit.carries_bytes("self", "src", wide=torch.int32)
def aten_scatter_reduce(
    self: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool = True
) -> Any:
    """``scatter_reduce.two(Tensor self, int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True) ->
    Tensor``: sum, prod, mean, amax, amin.
    """
    return _scatter(self, dim, index, src, reduce, include_self)


def _by_rows(value: Tensor, dim: int, index: Tensor, source: Tensor, how: str, include_self: bool) -> Any:
    """What index_add and index_reduce share: ``index`` names slices along one axis."""
    shape = emit.shape_of(value)
    axis = emit.axis_of(dim, len(shape))
    value, index, source = _vectors(value, index, source)
    if emit.is_empty(index):
        return emit.reshape(value, shape)
    return emit.reshape(emit.scatter_reduced(value, index, source, axis, how, include_self), shape)


@op("aten::index_add")
@emit.carries_bytes("self", "source", wide=torch.int32)
def aten_index_add(self: Tensor, dim: int, index: Tensor, source: Tensor, alpha: float = 1) -> Any:
    """``index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor``."""
    source = source if alpha == 1 else emit.cast(emit.scaled(source, alpha), emit.dtype_of(self))
    return _by_rows(self, dim, index, source, "sum", include_self=True)


@op("aten::index_reduce")
@emit.carries_bytes("self", "source", wide=torch.int32)
def aten_index_reduce(
    self: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, include_self: bool = True
) -> Any:
    """``index_reduce(Tensor self, int dim, Tensor index, Tensor source, str reduce, *, bool include_self=True) ->
    Tensor``: prod, mean, amax, amin.
    """
    return _by_rows(self, dim, index, source, reduce, include_self)


@op("aten::index_copy")
@emit.carries_bytes("self", "source")
def aten_index_copy(self: Tensor, dim: int, index: Tensor, source: Tensor) -> Any:
    """``index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor``; of duplicates any may win."""
    shape = emit.shape_of(self)
    axis = emit.axis_of(dim, len(shape))
    value, index, source = _vectors(self, index, source)
    rows, source = emit.swap_axes(value, 0, axis), emit.swap_axes(source, 0, axis)
    written = emit.scatter_nd(rows, emit.unsqueeze(index, 1), source)
    return emit.reshape(emit.swap_axes(written, 0, axis), shape)


@op("aten::index_fill.int_Scalar", "aten::index_fill.int_Tensor")
@emit.carries_bytes("self", "value")
def aten_index_fill(self: Tensor, dim: int, index: Tensor, value: Tensor) -> Any:
    """``index_fill.int_Scalar(Tensor self, int dim, Tensor index, Scalar value) -> Tensor``."""
    shape = emit.shape_of(self)
    axis = emit.axis_of(dim, len(shape))
    tensor, index = _vectors(self, index)
    if emit.is_empty(index):
        return emit.tensor(self)
    total = emit.size_of(tensor, axis)
    places = emit.wrapped(index, total)
    numbers = emit.unsqueezed(emit.iota(total), 1)
    hits = emit.compare("EQUAL", numbers, emit.cast(emit.unsqueezed(places, 0), torch.int64))
    mask = emit.along_axis(emit.holds("MAX", hits, [1], keepdim=False), axis, emit.rank_of(tensor))
    filled = emit.where(mask, emit.convert(value, emit.dtype_of(self)), tensor)
    return emit.reshape(filled, shape)


@op("aten::put")
@emit.carries_bytes("self", "source")
def aten_put(self: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Any:
    """``put(Tensor self, Tensor index, Tensor source, bool accumulate=False) -> Tensor``: into the flattened tensor;
    duplicates add up with ``accumulate``, else any may win.
    """
    values = emit.flat(self)
    places = emit.flat(emit.wrapped(index, emit.size_of(values, 0)))
    if emit.is_empty(places):
        return emit.tensor(self)
    if accumulate:
        written = emit.scatter_sum(values, places, emit.flat(source), 0)
    else:
        written = emit.scatter_elements(values, places, emit.flat(source), 0)
    return emit.reshape(written, emit.shape_of(self))
