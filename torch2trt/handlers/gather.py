"""Reading elements at indices: gather, index_select, take, masked_select."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..registry import op
from ..weights import derive


@op("aten::gather")
@emit.carries_bytes("self")
def aten_gather(self: Tensor, dim: int, index: Tensor, sparse_grad: bool = False) -> Any:
    """``gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor``."""
    if emit.is_empty(index):  # which may be of any dtype, as torch.tensor([]) is
        return torch.empty(tuple(emit.known_ints(emit.shape_of(index), "a size")), dtype=emit.dtype_of(self))
    if emit.rank_of(self) < 2 and emit.rank_of(index) < 2:
        return emit.gather(emit.flat(self), index, 0)
    return emit.gather_elements(self, index, emit.axis_of(dim, emit.rank_of(self)))


@op("aten::take_along_dim")
@emit.carries_bytes("self")
def aten_take_along_dim(self: Tensor, indices: Tensor, dim: int | None = None) -> Any:
    """``take_along_dim(Tensor self, Tensor indices, int? dim=None) -> Tensor``: both broadcast but along ``dim``.

    Along ``dim`` indices count modulo its size, as in eager.
    """
    if dim is None:
        return emit.gather(emit.flat(self), emit.flat(indices), 0)
    rank = emit.rank_of(self)
    axis = emit.axis_of(dim, rank)
    sizes, counts = emit.shape_of(self), emit.shape_of(indices)
    length, count = sizes[axis], counts[axis]
    sizes[axis] = counts[axis] = 1
    common = emit.broadcast_shape(sizes, counts)
    values = emit.expand(self, [*common[:axis], length, *common[axis + 1 :]])
    known = isinstance(indices, torch.Tensor) and isinstance(length, int)
    indices = torch.remainder(indices, length) if known else emit.remainder(indices, length)
    places = emit.expand(indices, [*common[:axis], count, *common[axis + 1 :]])
    return emit.gather_elements(values, places, axis)


@op("aten::index_select")
@emit.carries_bytes("self")
def aten_index_select(self: Tensor, dim: int, index: Tensor) -> Any:
    """``index_select(Tensor self, int dim, Tensor index) -> Tensor``: ``index`` a vector or one number."""
    rank = emit.rank_of(self)
    if not rank:
        return self
    return emit.gather(self, emit.flat(index), emit.axis_of(dim, rank))


@op("aten::take")
@emit.carries_bytes("self")
def aten_take(self: Tensor, index: Tensor) -> Any:
    """``take(Tensor self, Tensor index) -> Tensor``: of the flattened tensor; negative indices count from the end."""
    values = emit.flat(self)
    return emit.gather(values, emit.readable(index, emit.size_of(values, 0)), 0)


@op("aten::masked_select")
@emit.carries_bytes("self")
def aten_masked_select(self: Tensor, mask: Tensor) -> Any:
    """``masked_select(Tensor self, Tensor mask) -> Tensor``; both broadcast; needs TensorRT's non-zero layer unless
    the mask is known.
    """
    shape = emit.broadcast_shape(emit.shape_of(self), emit.shape_of(mask)) or [1]
    if isinstance(mask, torch.Tensor) and emit.all_known(shape):
        mask = derive(torch.broadcast_to, mask, shape)
    else:
        mask = emit.expand(mask, shape)
    return emit.indexed(emit.expand(self, shape), [mask])
