"""Several tensors as one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op


def _joined(tensors: Sequence[Tensor], axis: int) -> Any:
    """The tensors, promoted to one dtype, one after another; known neighbours are joined now."""
    dtype = emit.result_type(*tensors)
    return emit.concatenate([emit.cast(value, dtype) for value in tensors], axis)


@op("aten::cat")
@emit.moves_bytes
def aten_cat(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    """``cat(Tensor[] tensors, int dim=0) -> Tensor``; promotes; vectors without elements are left out."""
    dtype = emit.result_type(*tensors)
    kept = [value for value in tensors if emit.static_shape(value) != (0,)] or list(tensors[:1])
    return emit.concatenate([emit.cast(value, dtype) for value in kept], dim)


@op("aten::stack", "aten::_stack")
@emit.moves_bytes
def aten_stack(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    """``stack(Tensor[] tensors, int dim=0) -> Tensor``; promotes."""
    axis = emit.axis_of(dim, emit.rank_of(tensors[0]) + 1)
    return _joined([emit.unsqueezed(value, axis) for value in tensors], axis)


@op("aten::pad_sequence")
def aten_pad_sequence(
    sequences: Sequence[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Any:
    """``pad_sequence(Tensor[] sequences, bool batch_first=False, float padding_value=0., str padding_side="right")``.

    Each along axis 0 up to the longest.
    """
    lengths = [emit.size_of(value, 0) for value in sequences]
    longest = functools.reduce(emit.dim_max, lengths)
    padded = []
    for value, length in zip(sequences, lengths, strict=True):
        amounts = [0] * (2 * emit.rank_of(value))
        amounts[-2 if padding_side == "left" else -1] = emit.dim_sub(longest, length)
        padded.append(emit.pad(value, amounts, padding_value))
    return aten_stack(tensors=padded, dim=0 if batch_first else 1)


@op("aten::hstack")
@emit.moves_bytes
def aten_hstack(tensors: Sequence[Tensor]) -> Any:
    """``hstack(Tensor[] tensors) -> Tensor``: along axis 1, vectors along axis 0."""
    values = [emit.pad_rank(value, 1) for value in tensors]
    return aten_cat(tensors=values, dim=0 if emit.rank_of(values[0]) == 1 else 1)


@op("aten::vstack")
@emit.moves_bytes
def aten_vstack(tensors: Sequence[Tensor]) -> Any:
    """``vstack(Tensor[] tensors) -> Tensor``: along axis 0, vectors as rows."""
    return aten_cat(tensors=[emit.pad_rank(value, 2) for value in tensors], dim=0)


@op("aten::dstack")
@emit.moves_bytes
def aten_dstack(tensors: Sequence[Tensor]) -> Any:
    """``dstack(Tensor[] tensors) -> Tensor``: along axis 2."""
    return aten_cat(tensors=[emit.at_least_3d(value) for value in tensors], dim=2)


@op("aten::column_stack")
@emit.moves_bytes
def aten_column_stack(tensors: Sequence[Tensor]) -> Any:
    """``column_stack(Tensor[] tensors) -> Tensor``: along axis 1, vectors as columns."""
    columns = [emit.reshape(value, [-1, 1]) if emit.rank_of(value) < 2 else value for value in tensors]
    return aten_cat(tensors=columns, dim=1)


@op("aten::_chunk_cat")
@emit.moves_bytes
def aten_chunk_cat(tensors: Sequence[Tensor], dim: int, num_chunks: int) -> Any:
    """``_chunk_cat(Tensor[] tensors, int dim, int num_chunks) -> Tensor``.

    Each tensor is padded with zeros to ``num_chunks`` chunks of one size along ``dim``; all that a chunk holds becomes
    one axis, and chunks of the same place stand one after another.
    """
    axis = emit.axis_of(dim, emit.rank_of(tensors[0]))
    chunked = []
    for value in tensors:
        length = emit.size_of(value, axis)
        size = emit.dim_floordiv(emit.dim_add(length, num_chunks - 1), num_chunks)
        missing = emit.dim_sub(emit.dim_mul(size, num_chunks), length)
        shape = emit.shape_of(value)
        zeros = emit.filled([*shape[:axis], missing, *shape[axis + 1 :]], 0, emit.dtype_of(value))
        whole = value if missing == 0 else emit.concatenate([value, zeros], axis)
        content = emit.dim_product([size, *shape[axis + 1 :]])
        chunked.append(emit.reshape(whole, [*shape[:axis], num_chunks, content]))
    return _joined(chunked, axis + 1)


@op("aten::flatten_dense_tensors")
@emit.moves_bytes
def aten_flatten_dense_tensors(tensors: Sequence[Tensor]) -> Any:
    """``flatten_dense_tensors(Tensor[] tensors) -> Tensor``."""
    return _joined([emit.flatten(value) for value in tensors], 0)


@op("aten::meshgrid", "aten::meshgrid.indexing")
@emit.moves_bytes
def aten_meshgrid(tensors: Sequence[Tensor], indexing: str = "ij") -> Any:
    """``meshgrid.indexing(Tensor[] tensors, *, str indexing) -> Tensor[]``."""
    values = [emit.pad_rank(value, 1) for value in tensors]
    rank = len(values)
    places = list(range(rank))
    if indexing == "xy" and rank > 1:
        places[:2] = [1, 0]
    sizes = [emit.size_of(value, 0) for value in values]
    grid = [sizes[places.index(axis)] for axis in range(rank)]
    return [emit.expand(emit.along_axis(value, axis, rank), grid) for value, axis in zip(values, places, strict=True)]


@op("aten::cartesian_prod")
@emit.moves_bytes
def aten_cartesian_prod(tensors: Sequence[Tensor]) -> Any:
    """``cartesian_prod(Tensor[] tensors) -> Tensor``: every combination, one a row."""
    if len(tensors) == 1:
        return emit.tensor(tensors[0])
    grids = aten_meshgrid(tensors=tensors)
    return emit.concatenate([emit.reshape(grid, [-1, 1]) for grid in emit.promote(*grids)], 1)


@op("aten::combinations")
@emit.moves_bytes
def aten_combinations(self: Tensor, r: int = 2, with_replacement: bool = False) -> Any:
    """``combinations(Tensor self, int r=2, bool with_replacement=False) -> Tensor``; of a static size."""
    count = emit.size_of(self, 0)
    if not isinstance(count, int):
        raise UnsupportedArgumentError("the number of combinations depends on a size known at run time only")
    places = torch.combinations(torch.arange(count), r, with_replacement)
    if not places.numel():
        return torch.empty(places.shape, dtype=emit.dtype_of(self))
    return emit.gather_known(self, places, 0)


@op("aten::block_diag")
@emit.moves_bytes
def aten_block_diag(tensors: Sequence[Tensor]) -> Any:
    """``block_diag(Tensor[] tensors) -> Tensor``: matrices along the diagonal; vectors are rows."""
    dtype = emit.result_type(*tensors)
    blocks = [emit.cast(emit.pad_rank(value, 2), dtype) for value in tensors]
    widths = [emit.size_of(block, 1) for block in blocks]
    total = emit.dim_sum(widths)
    before: Any = 0
    rows = []
    for block, width in zip(blocks, widths, strict=True):
        rows.append(emit.padded(block, 1, total, before))
        before = emit.dim_add(before, width)
    return emit.concatenate(rows, 0)
