"""The few operators of ``torch.ops.prims`` that are called as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Dim, Tensor
from ..registry import op


@op("prims::sum")
def prims_sum(inp: Tensor, dims: Sequence[int] | None) -> Any:
    """``prims::sum(Tensor inp, int[]? dims, ...) -> Tensor``; None means all axes."""
    axes = list(range(emit.rank_of(inp))) if dims is None else list(dims)
    return emit.accumulated("SUM", inp, axes, False, emit.traced_dtype() or emit.dtype_of(inp))


@op("prims::div")
def prims_div(self: Tensor, other: Tensor) -> Any:
    """``prims::div(Tensor self, Tensor other) -> Tensor``; integers are cut off towards zero."""
    if emit.is_float(emit.result_type(self, other)):
        return emit.true_divide(self, other)
    return emit.truncated_quotient(self, other)


@op("prims::broadcast_in_dim")
def prims_broadcast_in_dim(a: Tensor, shape: Sequence[Dim], broadcast_dimensions: Sequence[int]) -> Any:
    """``prims::broadcast_in_dim(Tensor a, SymInt[] shape, int[] broadcast_dimensions) -> Tensor``."""
    sizes: list[Dim] = [1] * len(shape)
    for axis, place in enumerate(broadcast_dimensions):
        sizes[place] = emit.size_of(a, axis)
    return emit.expand(emit.reshape(a, sizes), shape)


@op("prims::prod")
def prims_prod(inp: Tensor, dims: Sequence[int] | None) -> Any:
    """``prims::prod(Tensor inp, int[]? dims, ...) -> Tensor``; None means all axes."""
    axes = list(range(emit.rank_of(inp))) if dims is None else list(dims)
    return emit.accumulated("PROD", inp, axes, False, emit.traced_dtype() or emit.dtype_of(inp))


@op("prims::convert_element_type")
def prims_convert_element_type(a: Tensor, dtype: torch.dtype) -> Any:
    """``prims::convert_element_type(Tensor a, ScalarType dtype) -> Tensor``."""
    return emit.convert(a, dtype)


@op("prims::view_of")
def prims_view_of(a: Tensor) -> Any:
    """``prims::view_of(Tensor a) -> Tensor``: the tensor itself."""
    return a


@op("prims::collapse", "prims::collapse_view")
@emit.moves_bytes
def prims_collapse(a: Tensor, start: int, end: int) -> Any:
    """``prims::collapse(Tensor a, int start, int end) -> Tensor``: the axes from start to end as one, both included."""
    return emit.flatten(a, start, end) if emit.rank_of(a) else emit.reshape(a, [1])


@op("prims::split_dim")
@emit.moves_bytes
def prims_split_dim(a: Tensor, dim: int, outer_length: Dim) -> Any:
    """``prims::split_dim(Tensor a, int dim, SymInt outer_length) -> Tensor``: one axis as two."""
    sizes = emit.shape_of(a)
    inner = emit.dim_floordiv(sizes[dim], outer_length)
    return emit.reshape(a, [*sizes[:dim], outer_length, inner, *sizes[dim + 1 :]])


@op("prims::squeeze")
@emit.moves_bytes
def prims_squeeze(a: Tensor, dimensions: Sequence[int]) -> Any:
    """``prims::squeeze(Tensor a, int[] dimensions) -> Tensor``: without axes of size 1."""
    return emit.squeeze(a, [emit.axis_of(axis, emit.rank_of(a)) for axis in dimensions])
