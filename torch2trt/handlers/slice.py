"""Parts of a tensor, and tensors with a part replaced."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch

from .. import emit, strides
from ..context import building
from ..emit import Dim, Shape, Tensor
from ..errors import UnsupportedArgumentError
from ..graph import Node, Value, aten_kinds
from ..metadata import describe_traced
from ..registry import op


@op("aten::slice.Tensor", "aten::slice_copy.Tensor")
@emit.moves_bytes
def aten_slice(self: Tensor, dim: int = 0, start: Dim | None = None, end: Dim | None = None, step: int = 1) -> Any:
    """``slice.Tensor(Tensor self, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> Tensor``."""
    length = emit.size_of(self, dim)
    first, size = emit.slice_bounds(start, end, step, length)
    if isinstance(size, int) and size == length:
        return emit.tensor(self)
    return emit.slice_axis(self, dim, first, size, step)


@op("aten::select.int", "aten::select_copy.int")
@emit.moves_bytes
def aten_select(self: Tensor, dim: int, index: Dim) -> Any:
    """``select.int(Tensor self, int dim, SymInt index) -> Tensor``."""
    axis = emit.axis_of(dim, emit.rank_of(self))
    return emit.take(self, emit.wrap_index(index, emit.size_of(self, axis)), axis)


@op("aten::narrow", "aten::narrow.Tensor", "aten::narrow_copy")
@emit.moves_bytes
def aten_narrow(self: Tensor, dim: int, start: Dim, length: Dim) -> Any:
    """``narrow(Tensor self, int dim, SymInt start, SymInt length) -> Tensor``."""
    size = emit.size_of(self, dim)
    start = int(start) if isinstance(start, torch.Tensor) else start
    if isinstance(start, int) and isinstance(size, int):
        first: Dim = start + size if start < 0 else start  # the end itself is a start too: of nothing
    else:
        first = emit.wrap_index(start, size)
    return emit.slice_axis(self, dim, first, length)


@op("aten::split.Tensor", "aten::unsafe_split.Tensor", "aten::split_copy.Tensor")
@emit.moves_bytes
def aten_split(self: Tensor, split_size: Dim, dim: int = 0) -> Any:
    """``split.Tensor(Tensor self, SymInt split_size, int dim=0) -> Tensor[]``.

    Sizes that are known at run time only give as many pieces as the trace took; those of which PyTorch gives another
    number fail.
    """
    length, node = emit.size_of(self, dim), building().node
    if isinstance(length, int) and isinstance(split_size, int):
        return emit.split_at(self, dim, [0] if split_size == 0 else emit.split_sizes(length, split_size))
    pieces = None if node is None else node.attributes.get("pieces")
    if pieces is None:
        raise UnsupportedArgumentError(
            "the number of pieces depends on a size that is known at run time only",
            hint="split by sizes, or make this axis static",
        )
    starts = [emit.dim_mul(split_size, index) for index in range(pieces + 1)]
    reached, passed = (emit.compare("LESS", emit.as_dim(start), emit.as_dim(length)) for start in starts[-2:])
    fits = emit.logical_not(passed)
    emit.assertion(fits if pieces == 1 else emit.elementwise("AND", reached, fits), f"a split into {pieces} pieces")
    sizes = [*([split_size] * (pieces - 1)), emit.dim_sub(length, starts[-2])]
    return [emit.slice_axis(self, dim, start, size) for start, size in zip(starts, sizes, strict=False)]


@op("aten::split.sizes", "aten::split_with_sizes")
@op("aten::unsafe_split_with_sizes", "aten::split_with_sizes_copy")
@emit.moves_bytes
def aten_split_with_sizes(self: Tensor, split_size: Shape = None, split_sizes: Shape = None, dim: int = 0) -> Any:
    """``split_with_sizes(Tensor self, SymInt[] split_sizes, int dim=0) -> Tensor[]``."""
    return emit.split_at(self, dim, list(split_sizes if split_size is None else split_size))


@op("aten::chunk", "aten::unsafe_chunk")
@emit.moves_bytes
def aten_chunk(self: Tensor, chunks: int, dim: int = 0) -> Any:
    """``chunk(Tensor self, int chunks, int dim=0) -> Tensor[]``.

    An axis whose size is known at run time only gives ``chunks`` pieces; sizes of which PyTorch gives fewer fail.
    """
    length = emit.size_of(self, dim)
    if isinstance(length, int):
        if length == 0:
            return emit.split_at(self, dim, [0] * chunks)
        return emit.split_at(self, dim, emit.split_sizes(length, -(-length // chunks)))
    size = emit.dim_floordiv(emit.dim_add(length, chunks - 1), chunks)
    reached = emit.compare("LESS", emit.as_dim(emit.dim_mul(size, chunks - 1)), emit.as_dim(length))
    whole = emit.elementwise("OR", reached, emit.compare("EQUAL", emit.as_dim(length), 0))
    emit.assertion(whole, f"an axis that gives fewer than {chunks} chunks")
    starts = [emit.dim_min(emit.dim_mul(size, index), length) for index in range(chunks)]
    return [emit.slice_axis(self, dim, first, emit.dim_min(size, emit.dim_sub(length, first))) for first in starts]


def _pieces_between(self: Tensor, bounds: Sequence[Dim], dim: int) -> list[Any]:
    """The pieces that ``self[0:b0], self[b0:b1], ... self[bn:]`` give, as slices are read."""
    length = emit.size_of(self, dim)
    edges: list[Dim | None] = [None, *bounds, None]
    pieces = []
    for start, end in itertools.pairwise(edges):
        first, size = emit.slice_bounds(start, end, 1, length)
        pieces.append(emit.slice_axis(self, dim, first, size))
    return pieces


def _sections(self: Tensor, sections: int, dim: int) -> list[Any]:
    """Equal pieces, the first ones larger by one where the size is no multiple."""
    length = emit.size_of(self, dim)
    quotient, remainder = emit.dim_floordiv(length, sections), emit.dim_remainder(length, sections)
    starts = [
        emit.dim_add(emit.dim_mul(quotient, index), emit.dim_min(remainder, index)) for index in range(sections + 1)
    ]
    return [emit.slice_axis(self, dim, first, emit.dim_sub(last, first)) for first, last in itertools.pairwise(starts)]


@op("aten::tensor_split.sections")
@emit.moves_bytes
def aten_tensor_split(self: Tensor, sections: int, dim: int = 0) -> Any:
    """``tensor_split.sections(Tensor self, SymInt sections, int dim=0) -> Tensor[]``."""
    return _sections(self, sections, dim)


@op("aten::tensor_split.indices")
@emit.moves_bytes
def aten_tensor_split_indices(self: Tensor, indices: Shape, dim: int = 0) -> Any:
    """``tensor_split.indices(Tensor self, SymInt[] indices, int dim=0) -> Tensor[]``."""
    return _pieces_between(self, list(indices), dim)


@op("aten::tensor_split.tensor_indices_or_sections")
def aten_tensor_split_tensor(self: Tensor, tensor_indices_or_sections: Tensor, dim: int = 0) -> Any:
    """``tensor_split.tensor_indices_or_sections(Tensor self, Tensor tensor_indices_or_sections, int dim=0)``.

    Indices may be known at run time only; a number of pieces may not, for which a list of ints or an int is passed.
    """
    places = tensor_indices_or_sections
    if isinstance(places, torch.Tensor):
        if places.dim() == 0:
            return aten_tensor_split(self=self, sections=int(places), dim=dim)
        return aten_tensor_split_indices(self=self, indices=places.tolist(), dim=dim)
    count = emit.static_shape(places)
    if not count or count[0] < 0:
        raise UnsupportedArgumentError("the number of pieces must be known at conversion", hint="pass a list of ints")
    bounds = [emit.as_dim(emit.take(places, index, 0)) for index in range(count[0])]
    return aten_tensor_split_indices(self=self, indices=bounds, dim=dim)


def _register_split(name: str, least_rank: int) -> None:
    """``hsplit``, ``vsplit``, ``dsplit``: along axis 1, 0 or 2; hsplit along 0 of a vector."""

    def axis(value: Tensor) -> int:
        return 0 if name == "vsplit" or emit.rank_of(value) == 1 else least_rank - 1

    def sections_handler(self: Tensor, sections: int) -> Any:
        return _sections(self, sections, axis(self))

    def array_handler(self: Tensor, indices: Sequence[int]) -> Any:
        return _pieces_between(self, list(indices), axis(self))

    sections_handler.__doc__ = f"``{name}.int(Tensor self, int sections) -> Tensor[]``."
    array_handler.__doc__ = f"``{name}.array(Tensor self, int[] indices) -> Tensor[]``."
    op(f"aten::{name}.int")(emit.moves_bytes(sections_handler))
    op(f"aten::{name}.array")(emit.moves_bytes(array_handler))


for _name, _least_rank in (("hsplit", 2), ("vsplit", 2), ("dsplit", 3)):
    _register_split(_name, _least_rank)


@op("aten::unbind.int", "aten::unbind_copy.int")
@emit.moves_bytes
def aten_unbind(self: Tensor, dim: int = 0) -> Any:
    """``unbind.int(Tensor self, int dim=0) -> Tensor[]``; the axis must be static."""
    axis = emit.axis_of(dim, emit.rank_of(self))
    count = emit.size_of(self, axis)
    if not isinstance(count, int):
        raise UnsupportedArgumentError(
            "the number of tensors depends on a size that is known at run time only", hint="make this axis static"
        )
    return [emit.take(self, index, axis) for index in range(count)]


@op("aten::unfold", "aten::unfold_copy")
@emit.moves_bytes
def aten_unfold(self: Tensor, dimension: int, size: int, step: int) -> Any:
    """``unfold(Tensor self, int dimension, int size, int step) -> Tensor``: windows, their elements as a last axis."""
    if not emit.rank_of(self):
        return emit.slice_axis(emit.reshape(self, [1]), 0, 0, size)
    rank = emit.rank_of(self)
    axis = emit.axis_of(dimension, rank)
    length = emit.size_of(self, axis)
    count = emit.dim_add(emit.dim_floordiv(emit.dim_sub(length, size), step), 1)
    sizes = emit.shape_of(self)
    if size == step:  # windows that do not overlap are a reshape
        used = emit.slice_axis(self, axis, 0, emit.dim_mul(count, size))
        windows = emit.reshape(used, [*sizes[:axis], count, size, *sizes[axis + 1 :]])
    else:
        starts = emit.unsqueeze(emit.arithmetic("PROD", emit.iota(count), step), 1)
        windows = emit.gather(self, emit.elementwise("SUM", starts, torch.arange(size)), axis)
    order = [index for index in range(rank + 1) if index != axis + 1]
    return emit.permute(windows, [*order, axis + 1])


def _strided_places(
    self: Tensor, size: Shape, stride: Sequence[int], storage_offset: int | None
) -> tuple[Any, torch.Tensor]:
    """``self`` as a vector, and where in it each element of a strided window lies.

    Memory outside of the tensor does not exist in a network; how the tensor lies in memory is what the trace says.
    """
    dims = emit.known_ints(size, "the size of as_strided")
    if not emit.is_static(self):
        raise UnsupportedArgumentError(
            "as_strided of a tensor whose sizes are known at run time only", hint="use slicing, or unfold"
        )
    shape = emit.static_shape(self)
    offset = None if storage_offset is None else emit.known_ints([storage_offset], "storage_offset")[0]
    places = strides.window(shape, _layout(shape, offset), dims, stride, offset or 0)
    if places is None:
        raise UnsupportedArgumentError(
            "as_strided reaches memory outside of the tensor", hint="apply it to the tensor that owns the memory"
        )
    return emit.reshape(self, [-1]) if math.prod(shape) else emit.tensor(self), places


def _layout(shape: Sequence[int], storage_offset: int | None) -> Sequence[int]:
    """The strides of the first argument of the node that is being converted; those of a contiguous tensor if unknown.

    Raises:
        UnsupportedArgumentError: the window's start counts from that of memory which the tensor may be a part of.
    """
    node = building().node
    source = node.args[0] if node is not None and node.args else None
    if not isinstance(source, Value):
        return torch.empty(tuple(shape), device="meta").stride()
    maker = source.node
    if storage_offset is not None and maker is not None and _is_view(maker):
        raise UnsupportedArgumentError(
            f"as_strided with storage_offset={storage_offset} of what {maker.kind} gives, a view that may start "
            "elsewhere in memory",
            hint="leave storage_offset out, or clone() the tensor first",
        )
    return source.strides or torch.empty(tuple(shape), device="meta").stride()


def _is_view(node: Node) -> bool:
    """Whether what a node gives may be a part of another tensor's memory; ``_unsafe_view`` does not declare it."""
    return node.schema is not None and (bool(node.schema.returns[0].alias) or node.kind == "aten::_unsafe_view")


@op("aten::_reshape_alias")
@emit.moves_bytes
def aten_reshape_alias(self: Tensor, size: Shape, stride: Sequence[Dim]) -> Any:
    """``_reshape_alias(Tensor self, SymInt[] size, SymInt[] stride) -> Tensor``: ``as_strided`` without an offset.

    Strides that are known at run time only are taken to be those of a view.
    """
    if not emit.is_static(self) or not emit.all_known([*size, *stride]):
        return emit.reshape(self, emit.traced_sizes(size))
    return _strided(self, size, [int(step) for step in stride])


@op("aten::as_strided", "aten::as_strided_copy")
@emit.moves_bytes
def aten_as_strided(self: Tensor, size: Shape, stride: Shape, storage_offset: Dim | None = None) -> Any:
    """``as_strided(Tensor self, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) -> Tensor``.

    Where a size, stride or offset is known at run time only, of a contiguous tensor that is all of its memory.
    """
    if emit.is_static(self) and emit.all_known([*size, *stride, storage_offset or 0]):
        return _strided(self, size, stride, storage_offset)
    _check_owns_memory()
    place: Any = emit.as_dim(storage_offset or 0)
    for axis, (count, step) in enumerate(zip(size, stride, strict=True)):
        steps = emit.elementwise("PROD", emit.tensor(emit.iota(count)), emit.as_dim(step))
        place = emit.elementwise("SUM", place, emit.along_axis(steps, axis, len(size)))
    return emit.gather(emit.flatten(self), place, 0)


_WHOLE_VIEWS = aten_kinds(
    "view view_as unflatten _unsafe_view squeeze unsqueeze reshape reshape_as flatten ravel detach alias contiguous to "
    "type_as permute movedim transpose t numpy_T mT swapaxes swapdims select"
)
"""Views of all elements of their first argument, ``select`` where there is one index to select."""


def _check_owns_memory() -> None:
    """Check that the first argument of the node that is being converted is contiguous and all of a memory.

    What TensorRT is given as an input lies in memory of its own.

    Raises:
        UnsupportedArgumentError: that is not certain.
    """
    node = building().node
    source = node.args[0] if node is not None and node.args else None
    traces = [describe_traced(source, trace) for trace in (0, 1)]
    owner = source
    while isinstance(owner, Value) and owner.node is not None and (owner.node.schema is None or _is_view(owner.node)):
        maker = owner.node
        owner = maker.args[0] if maker.kind in _WHOLE_VIEWS else None
        if not isinstance(owner, Value) or any(_count(owner, trace) != _count(source, trace) for trace in (0, 1)):
            owner = None
    if not isinstance(owner, Value) or not all(trace is not None and trace.is_contiguous() for trace in traces):
        raise UnsupportedArgumentError(
            "as_strided with sizes known at run time only, of a tensor that may be a part of its memory or lie there "
            "in another order",
            hint="use slicing, or unfold",
        )


def _count(value: Any, trace: int) -> int | None:
    """How many elements a value has in the first or second trace; None where that is not known."""
    described = describe_traced(value, trace)
    return None if described is None else described.numel()


def _strided(self: Tensor, size: Shape, stride: Sequence[int], storage_offset: int | None = None) -> Any:
    flat, places = _strided_places(self, size, stride, storage_offset)
    if not places.numel():
        return torch.empty(places.shape, dtype=emit.dtype_of(self))
    if torch.equal(places.flatten(), torch.arange(math.prod(emit.static_shape(self)))):
        return emit.reshape(self, list(places.shape))
    return emit.gather_known(flat, places, 0)


@op("aten::as_strided_scatter")
@emit.moves_bytes
def aten_as_strided_scatter(
    self: Tensor, src: Tensor, size: Shape, stride: Sequence[int], storage_offset: int | None = None
) -> Any:
    """``as_strided_scatter(Tensor self, Tensor src, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None)``.

    Of a tensor of static sizes; where the window overlaps itself, its last element counts.
    """
    flat, places = _strided_places(self, size, stride, storage_offset)
    if not places.numel():
        return emit.tensor(self)
    source = torch.full((math.prod(emit.static_shape(self)),), -1)
    for position, place in enumerate(places.flatten().tolist()):
        source[place] = position
    update = emit.reshape(emit.cast(src, emit.dtype_of(self)), [-1])
    return emit.reshape(emit.overlay(flat, update, source, 0), emit.static_shape(self))


@op("aten::slice_scatter")
@emit.moves_bytes
def aten_slice_scatter(
    self: Tensor, src: Tensor, dim: int = 0, start: Dim | None = None, end: Dim | None = None, step: int = 1
) -> Any:
    """``slice_scatter(Tensor self, Tensor src, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1)``."""
    axis = emit.axis_of(dim, emit.rank_of(self))
    length = emit.size_of(self, axis)
    first, size = emit.slice_bounds(start, end, step, length)
    update = emit.cast(src, emit.dtype_of(self))
    window = [size if index == axis else dim for index, dim in enumerate(emit.shape_of(self))]
    return _replaced(self, emit.expand(update, window), axis, first, size, step)


@op("aten::select_scatter")
@emit.moves_bytes
def aten_select_scatter(self: Tensor, src: Tensor, dim: int, index: Dim) -> Any:
    """``select_scatter(Tensor self, Tensor src, int dim, SymInt index) -> Tensor``."""
    axis = emit.axis_of(dim, emit.rank_of(self))
    first = emit.wrap_index(index, emit.size_of(self, axis))
    sizes = emit.shape_of(self)
    update = emit.expand(emit.cast(src, emit.dtype_of(self)), [*sizes[:axis], *sizes[axis + 1 :]])
    row = emit.unsqueeze(update, axis)
    if isinstance(first, int):
        return _replaced(self, row, axis, first, 1, 1)
    # Parts around an unknown index would have unknown sizes, which TensorRT builds outside of loops only.
    place = emit.compare("EQUAL", emit.iota(sizes[axis]), first)
    return emit.where(emit.unsqueeze(place, range(1, len(sizes) - axis)), row, self)


def _replaced(self: Tensor, update: Tensor, axis: int, first: Dim, size: Dim, step: int) -> Any:
    """``self`` with ``size`` entries along ``axis`` replaced."""
    length = emit.size_of(self, axis)
    if isinstance(size, int) and size == 0:
        return emit.tensor(self)
    if isinstance(size, int) and size == length:
        return emit.tensor(update)
    if step != 1:
        return _replaced_by_steps(self, update, axis, first, size, step)
    before = emit.slice_axis(self, axis, 0, first) if first != 0 or not isinstance(first, int) else None
    last = emit.dim_add(first, size)
    rest = emit.dim_sub(length, last)
    after = emit.slice_axis(self, axis, last, rest) if rest != 0 or not isinstance(rest, int) else None
    return emit.concatenate([part for part in (before, update, after) if part is not None], axis)


def _replaced_by_steps(self: Tensor, update: Tensor, axis: int, first: Dim, size: Dim, step: int) -> Any:
    length = emit.size_of(self, axis)
    if isinstance(length, int) and isinstance(first, int) and isinstance(size, int):
        known = torch.full((length,), -1)
        known[first : first + size * step : step] = torch.arange(size)
        return emit.overlay(self, update, known, axis)
    place = emit.elementwise("SUB", emit.tensor(emit.iota(length)), emit.as_dim(first))
    turn = emit.elementwise("FLOOR_DIV", place, torch.tensor(step))
    exact = emit.compare("EQUAL", emit.elementwise("PROD", turn, torch.tensor(step)), place)
    inside = emit.elementwise("AND", emit.compare("GREATER", turn, -1), emit.compare("LESS", turn, emit.as_dim(size)))
    source = emit.clamped(turn, 0, emit.dim_max(0, emit.dim_sub(size, 1)))
    mask = emit.along_axis(emit.elementwise("AND", exact, inside), axis, emit.rank_of(self))
    return emit.where(mask, emit.gather(update, source, axis), self)


@op("aten::diagonal", "aten::diagonal_copy")
@emit.moves_bytes
def aten_diagonal(self: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """``diagonal(Tensor self, int offset=0, int dim1=0, int dim2=1) -> Tensor``; the diagonal is the last axis."""
    return emit.diagonal(emit.axes_last(self, dim1, dim2), offset)


@op("aten::linalg_diagonal")
@emit.moves_bytes
def aten_linalg_diagonal(A: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """``linalg_diagonal(Tensor A, *, int offset=0, int dim1=-2, int dim2=-1) -> Tensor``."""
    return emit.diagonal(emit.axes_last(A, dim1, dim2), offset)


@op("aten::diagonal_scatter")
@emit.moves_bytes
def aten_diagonal_scatter(self: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """``diagonal_scatter(Tensor self, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor``."""
    moved = emit.axes_last(self, dim1, dim2)
    written = emit.on_diagonal(moved, emit.cast(src, emit.dtype_of(self)), offset)
    return emit.axes_back(written, dim1, dim2)
