"""Elements in another order, triangles and diagonals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Dim, Shape, Tensor
from ..registry import op


def _flipped(value: Tensor, axes: Sequence[int]) -> Any:
    rank = emit.rank_of(value)
    turned = [emit.axis_of(axis, rank) for axis in axes]
    if not turned or not rank or emit.is_empty(value):
        return emit.tensor(value)
    sizes = emit.shape_of(value)
    starts = [emit.dim_sub(size, 1) if axis in turned else 0 for axis, size in enumerate(sizes)]
    return emit.strided_slice(value, starts, sizes, [-1 if axis in turned else 1 for axis in range(rank)])


@op("aten::flip")
@emit.moves_bytes
def aten_flip(self: Tensor, dims: Sequence[int]) -> Any:
    """``flip(Tensor self, int[] dims) -> Tensor``."""
    return _flipped(self, dims)


@op("aten::fliplr")
@emit.moves_bytes
def aten_fliplr(self: Tensor) -> Any:
    """``fliplr(Tensor self) -> Tensor``."""
    return _flipped(self, [1])


@op("aten::flipud")
@emit.moves_bytes
def aten_flipud(self: Tensor) -> Any:
    """``flipud(Tensor self) -> Tensor``."""
    return _flipped(self, [0])


@op("aten::rot90")
@emit.moves_bytes
def aten_rot90(self: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    """``rot90(Tensor self, int k=1, int[] dims=[0, 1]) -> Tensor``."""
    first, second = dims
    turns = k % 4
    if turns in (0, 2):
        return _flipped(self, dims if turns else [])
    return emit.swap_axes(_flipped(self, [second if turns == 1 else first]), first, second)


@op("aten::roll")
@emit.moves_bytes
def aten_roll(self: Tensor, shifts: Shape, dims: Sequence[int] = ()) -> Any:
    """``roll(Tensor self, SymInt[1] shifts, int[1] dims=[]) -> Tensor``; without dims the flattened tensor rolls."""
    value = emit.tensor(self) if len(dims) else emit.flatten(self)
    sizes = emit.shape_of(value)
    if emit.is_empty(value) or not emit.rank_of(self):
        return emit.tensor(self)
    starts: list[Dim] = [0] * len(sizes)
    for shift, axis in zip(shifts, list(dims) or [0], strict=True):
        axis = emit.axis_of(axis, len(sizes))
        starts[axis] = emit.dim_remainder(emit.dim_sub(starts[axis], shift), emit.dim_max(sizes[axis], 1))
    if all(isinstance(start, int) and start == 0 for start in starts):
        return emit.tensor(self)
    return emit.reshape(emit.wrapped_window(value, starts, sizes), emit.shape_of(self))


def _triangle(value: Tensor, offset: Dim, lower: bool) -> Any:
    mask = emit.band_mask(emit.size_of(value, -2), emit.size_of(value, -1), offset, lower)
    return emit.where(mask, value, torch.zeros((), dtype=emit.dtype_of(value)))


@op("aten::tril")
@emit.moves_bytes
def aten_tril(self: Tensor, diagonal: Dim = 0) -> Any:
    """``tril(Tensor self, SymInt diagonal=0) -> Tensor``."""
    return _triangle(self, diagonal, lower=True)


@op("aten::triu")
@emit.moves_bytes
def aten_triu(self: Tensor, diagonal: Dim = 0) -> Any:
    """``triu(Tensor self, SymInt diagonal=0) -> Tensor``."""
    return _triangle(self, diagonal, lower=False)


@op("aten::diag_embed")
@emit.moves_bytes
def aten_diag_embed(self: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """``diag_embed(Tensor self, int offset=0, int dim1=-2, int dim2=-1) -> Tensor``."""
    return emit.axes_back(_embedded(self, offset), dim1, dim2)


def _embedded(value: Tensor, offset: int) -> Any:
    """Matrices, as the last two axes, with the last axis of ``value`` on a diagonal."""
    size = emit.dim_add(emit.size_of(value, -1), abs(offset))
    axis = emit.rank_of(value) - 1
    spread = emit.unsqueeze(emit.padded(value, axis, size), axis + 1 if offset >= 0 else axis)
    mask = emit.diagonal_mask(size, size, offset)
    return emit.where(mask, spread, torch.zeros((), dtype=emit.dtype_of(value)))


@op("aten::diag")
@emit.moves_bytes
def aten_diag(self: Tensor, diagonal: int = 0) -> Any:
    """``diag(Tensor self, int diagonal=0) -> Tensor``: a vector's matrix, or a matrix's diagonal."""
    return _embedded(self, diagonal) if emit.rank_of(self) == 1 else emit.diagonal(self, diagonal)


@op("aten::diagflat")
@emit.moves_bytes
def aten_diagflat(self: Tensor, offset: int = 0) -> Any:
    """``diagflat(Tensor self, int offset=0) -> Tensor``: the flattened tensor on a diagonal."""
    return _embedded(emit.flatten(self), offset)
