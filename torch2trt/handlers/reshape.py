"""Other views of the same elements: sizes, order of the axes, repetition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Dim, Shape, Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op


@op("aten::reshape", "aten::view", "aten::_unsafe_view", "aten::view_copy")
@emit.moves_bytes
def aten_reshape(self: Tensor, shape: Shape = None, size: Shape = None) -> Any:
    """``reshape(Tensor self, SymInt[] shape) -> Tensor``, ``view(Tensor self, SymInt[] size) -> Tensor``."""
    return emit.reshape(self, emit.traced_sizes(shape if size is None else size))


@op("aten::view_as", "aten::reshape_as")
@emit.moves_bytes
def aten_view_as(self: Tensor, other: Tensor) -> Any:
    """``view_as(Tensor self, Tensor other) -> Tensor``."""
    return emit.reshape(self, emit.shape_of(other))


@op("aten::flatten.using_ints")
@emit.moves_bytes
def aten_flatten(self: Tensor, start_dim: int = 0, end_dim: int = -1) -> Any:
    """``flatten.using_ints(Tensor self, int start_dim=0, int end_dim=-1) -> Tensor``."""
    return emit.flatten(self, start_dim, end_dim)


@op("aten::ravel")
@emit.moves_bytes
def aten_ravel(self: Tensor) -> Any:
    """``ravel(Tensor self) -> Tensor``."""
    return emit.flatten(self)


@op("aten::unflatten.int")
@emit.moves_bytes
def aten_unflatten(self: Tensor, dim: int, sizes: Shape) -> Any:
    """``unflatten.int(Tensor self, int dim, SymInt[] sizes) -> Tensor``; one size may be -1."""
    dims = emit.shape_of(self)
    axis = emit.axis_of(dim, len(dims))
    sizes = list(sizes)
    if any(isinstance(size, int) and size == -1 for size in sizes):
        rest = emit.dim_product([size for size in sizes if not (isinstance(size, int) and size == -1)])
        sizes = [
            emit.dim_floordiv(dims[axis], rest) if isinstance(size, int) and size == -1 else size for size in sizes
        ]
    return emit.reshape(self, [*dims[:axis], *sizes, *dims[axis + 1 :]])


def _squeezed(self: Tensor, candidates: Sequence[int]) -> Any:
    """``self`` without those of the axes that have size 1; one of unknown size goes if the trace dropped it."""
    sizes = emit.static_shape(self)
    dropped = [axis for axis in candidates if len(sizes) > 0 and sizes[axis] == 1]
    unknown = [axis for axis in candidates if len(sizes) > 0 and sizes[axis] < 0]
    traced = emit.traced_rank()
    surplus = 0 if traced is None else len(sizes) - len(dropped) - traced
    if unknown and surplus == len(unknown):
        dropped += unknown
    elif surplus:
        raise UnsupportedArgumentError(
            f"whether axes {unknown} are squeezed depends on sizes known at run time only",
            hint="name the axes to squeeze, or give them static sizes",
        )
    return emit.squeeze(self, dropped)


@op("aten::squeeze", "aten::squeeze_copy")
@emit.moves_bytes
def aten_squeeze(self: Tensor) -> Any:
    """``squeeze(Tensor self) -> Tensor``; an axis of a size known at run time only stays, if it did in the trace."""
    return _squeezed(self, range(emit.rank_of(self)))


@op("aten::squeeze.dim", "aten::squeeze.dims", "aten::squeeze_copy.dim", "aten::squeeze_copy.dims")
@emit.moves_bytes
def aten_squeeze_dim(self: Tensor, dim: int | Sequence[int]) -> Any:
    """``squeeze.dims(Tensor self, int[] dim) -> Tensor``; axes of other sizes than 1 stay."""
    axes = [dim] if isinstance(dim, int) else list(dim)
    return _squeezed(self, sorted(emit.axis_of(axis, emit.rank_of(self)) for axis in axes))


@op("aten::unsqueeze", "aten::unsqueeze_copy")
@emit.moves_bytes
def aten_unsqueeze(self: Tensor, dim: int) -> Any:
    """``unsqueeze(Tensor self, int dim) -> Tensor``."""
    return emit.unsqueeze(self, dim)


@op("aten::permute", "aten::permute_copy")
@emit.moves_bytes
def aten_permute(self: Tensor, dims: Sequence[int]) -> Any:
    """``permute(Tensor self, int[] dims) -> Tensor``."""
    return emit.permute(self, dims)


@op("aten::transpose.int", "aten::transpose_copy.int")
@emit.moves_bytes
def aten_transpose(self: Tensor, dim0: int, dim1: int) -> Any:
    """``transpose.int(Tensor self, int dim0, int dim1) -> Tensor``."""
    return emit.swap_axes(self, dim0, dim1)


@op("aten::t", "aten::t_copy", "aten::matrix_H")
@emit.moves_bytes
def aten_t(self: Tensor) -> Any:
    """``t(Tensor self) -> Tensor``: of rank 2 at most; a vector stays as it is."""
    return emit.swap_axes(self, 0, 1) if emit.rank_of(self) == 2 else emit.tensor(self)


@op("aten::mT", "aten::mH")
@emit.moves_bytes
def aten_matrix_transpose(self: Tensor) -> Any:
    """``mT(Tensor self) -> Tensor``, ``mH(Tensor self) -> Tensor``: the last two axes exchanged."""
    return emit.swap_axes(self, -2, -1) if emit.rank_of(self) else emit.tensor(self)


@op("aten::numpy_T")
@emit.moves_bytes
def aten_numpy_t(self: Tensor) -> Any:
    """``numpy_T(Tensor self) -> Tensor``: all axes in reverse order."""
    return emit.permute(self, range(emit.rank_of(self))[::-1])


@op("aten::movedim.int", "aten::movedim.intlist")
@emit.moves_bytes
def aten_movedim(self: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """``movedim.intlist(Tensor self, int[] source, int[] destination) -> Tensor``."""
    rank = emit.rank_of(self)
    if not rank:
        return emit.tensor(self)
    sources = [emit.axis_of(axis, rank) for axis in ([source] if isinstance(source, int) else source)]
    places = [emit.axis_of(axis, rank) for axis in ([destination] if isinstance(destination, int) else destination)]
    rest = iter(axis for axis in range(rank) if axis not in sources)
    order = [sources[places.index(axis)] if axis in places else next(rest) for axis in range(rank)]
    return emit.permute(self, order)


@op("aten::expand", "aten::expand_copy", "aten::broadcast_to")
@emit.moves_bytes
def aten_expand(self: Tensor, size: Shape, implicit: bool = False) -> Any:
    """``expand(Tensor self, SymInt[] size, *, bool implicit=False) -> Tensor``."""
    return emit.expand(self, size)


@op("aten::expand_as")
@emit.moves_bytes
def aten_expand_as(self: Tensor, other: Tensor) -> Any:
    """``expand_as(Tensor self, Tensor other) -> Tensor``."""
    return emit.expand(self, emit.shape_of(other))


@op("aten::broadcast_tensors")
@emit.moves_bytes
def aten_broadcast_tensors(tensors: Sequence[Tensor]) -> Any:
    """``broadcast_tensors(Tensor[] tensors) -> Tensor[]``."""
    dims = emit.broadcast_shape(*(emit.shape_of(tensor) for tensor in tensors))
    return [emit.expand(tensor, dims) for tensor in tensors]


@op("aten::repeat", "aten::tile")
@emit.moves_bytes
def aten_repeat(self: Tensor, repeats: Shape = None, dims: Shape = None) -> Any:
    """``repeat(Tensor self, SymInt[] repeats) -> Tensor``, ``tile(Tensor self, SymInt[] dims) -> Tensor``."""
    counts = list(repeats if dims is None else dims)
    if dims is not None:  # tile alone takes fewer counts than axes
        counts = [1] * (emit.rank_of(self) - len(counts)) + counts
    value = emit.pad_rank(self, len(counts))
    sizes = [emit.dim_mul(size, count) for size, count in zip(emit.shape_of(value), counts, strict=True)]
    empty = emit.empty_result(sizes, emit.dtype_of(value))
    if empty is not None:
        return empty
    if all(isinstance(count, int) and count == 1 for count in counts):
        return value
    return emit.wrapped_window(value, [0] * len(sizes), sizes)


@op("aten::repeat_interleave.self_int")
@emit.moves_bytes
def aten_repeat_interleave(self: Tensor, repeats: Dim, dim: int | None = None, output_size: Any = None) -> Any:
    """``repeat_interleave.self_int(Tensor self, SymInt repeats, int? dim=None, *, SymInt? output_size=None)``."""
    value = emit.flatten(self) if dim is None else emit.tensor(self)
    sizes = emit.shape_of(value)
    axis = 0 if dim is None else emit.axis_of(dim, len(sizes))
    if not sizes:
        return emit.expand(value, [repeats])
    wide = emit.expand(emit.unsqueeze(value, axis + 1), [*sizes[: axis + 1], repeats, *sizes[axis + 1 :]])
    return emit.reshape(wide, [*sizes[:axis], emit.dim_mul(sizes[axis], repeats), *sizes[axis + 1 :]])


@op("aten::repeat_interleave.self_Tensor")
@emit.moves_bytes
def aten_repeat_interleave_tensor(
    self: Tensor, repeats: Tensor, dim: int | None = None, output_size: Dim | None = None
) -> Any:
    """``repeat_interleave.self_Tensor(Tensor self, Tensor repeats, int? dim=None, *, SymInt? output_size=None)``.

    Of counts that are known at run time only, TensorRT for RTX builds it if ``output_size`` is given.
    """
    value = emit.flatten(self) if dim is None else emit.tensor(self)
    axis = 0 if dim is None else emit.axis_of(dim, emit.rank_of(value))
    if not emit.rank_of(value):
        value = emit.reshape(value, [1])
    if emit.static_shape(repeats) in ((), (1,)):  # one count for all
        if isinstance(repeats, torch.Tensor):
            return aten_repeat_interleave(self=self, repeats=int(repeats), dim=dim)
        if output_size is None:  # the count may be computed from sizes, which needs no look at any value
            return aten_repeat_interleave(self=self, repeats=emit.as_dim(repeats), dim=dim)
        repeats = emit.reshape(repeats, [1])
    if emit.static_shape(repeats) in ((1,), (-1,)):
        repeats = emit.expand(repeats, [emit.size_of(value, axis)])
    return emit.gather(value, _source_rows(repeats, output_size), axis)


@op("aten::repeat_interleave.Tensor")
def aten_repeat_interleave_counts(repeats: Tensor, output_size: Dim | None = None) -> Any:
    """``repeat_interleave.Tensor(Tensor repeats, *, SymInt? output_size=None)``: row ``i``, ``repeats[i]`` times."""
    return emit.cast(_source_rows(repeats, output_size), emit.dtype_of(repeats))


def _source_rows(repeats: Tensor, output_size: Dim | None) -> Any:
    """Which row each row of the result comes from: how many running totals of the counts lie at or below it."""
    if isinstance(repeats, torch.Tensor):
        return torch.repeat_interleave(repeats)
    counts = emit.cast(emit.reshape(repeats, [-1]), torch.int64)
    if output_size is None:
        output_size = emit.as_dim(emit.reduce("SUM", counts, [0], keepdim=False))
    size = emit.size_of(counts, 0)
    before = emit.cast(emit.band_mask(size, size, 0, lower=True), torch.int64)
    totals = emit.reduce("SUM", emit.elementwise("PROD", before, emit.unsqueeze(counts, 0)), [1], keepdim=False)
    row = emit.unsqueeze(emit.iota(output_size), 1)
    past = emit.logical_not(emit.compare("LESS", row, emit.unsqueeze(totals, 0)))
    return emit.reduce("SUM", emit.cast(past, torch.int64), [1], keepdim=False)


def _at_least(self: Tensor, rank: int) -> Any:
    return emit.at_least_3d(self) if rank == 3 else emit.pad_rank(self, rank)


def _register_at_least(rank: int) -> None:
    def one(self: Tensor) -> Any:
        return _at_least(self, rank)

    def many(tensors: Sequence[Tensor]) -> Any:
        return [_at_least(value, rank) for value in tensors]

    one.__doc__ = f"``atleast_{rank}d(Tensor self) -> Tensor``."
    many.__doc__ = f"``atleast_{rank}d.Sequence(Tensor[] tensors) -> Tensor[]``."
    op(f"aten::atleast_{rank}d")(emit.moves_bytes(one))
    op(f"aten::atleast_{rank}d.Sequence")(emit.moves_bytes(many))


for _rank in (1, 2, 3):
    _register_at_least(_rank)
