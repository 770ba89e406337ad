"""The few operators of ``torch.ops.prims`` that are called as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Dim, Shape, Tensor
from ..registry import op
from .arrange import aten_flip
from .compare import aten_where
from .join import aten_cat
from .reshape import aten_reshape


def _axes(value: Tensor, dims: Sequence[int] | None) -> list[int]:
    """The axes of a reduction; none means all."""
    return list(dims) if dims else list(range(emit.rank_of(value)))


@op("prims::sum")
def prims_sum(inp: Tensor, dims: Sequence[int] | None) -> Any:
    """``prims::sum(Tensor inp, int[]? dims, ...) -> Tensor``; None means all axes."""
    return emit.accumulated("SUM", inp, _axes(inp, dims), False, emit.traced_dtype() or emit.dtype_of(inp))


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
    return emit.accumulated("PROD", inp, _axes(inp, dims), False, emit.traced_dtype() or emit.dtype_of(inp))


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


@op("prims::reshape")
def prims_reshape(a: Tensor, shape: Shape) -> Any:
    """``prims::reshape(Tensor a, SymInt[] shape) -> Tensor``."""
    return aten_reshape(self=a, shape=shape)


@op("prims::transpose")
@emit.moves_bytes
def prims_transpose(a: Tensor, permutation: Sequence[int]) -> Any:
    """``prims::transpose(Tensor a, int[] permutation) -> Tensor``: any order of the axes."""
    return emit.permute(a, permutation)


@op("prims::cat")
def prims_cat(tensors: Sequence[Tensor], dim: int) -> Any:
    """``prims::cat(Tensor[] tensors, int dim) -> Tensor``."""
    return aten_cat(tensors=tensors, dim=dim)


@op("prims::rev")
def prims_rev(a: Tensor, dims: Sequence[int]) -> Any:
    """``prims::rev(Tensor a, int[] dims) -> Tensor``: turned around along some axes."""
    return aten_flip(self=a, dims=dims)


@op("prims::clone")
def prims_clone(self: Tensor) -> Any:
    """``prims::clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor``: the tensor itself."""
    return self


@op("prims::where")
def prims_where(pred: Tensor, a: Tensor, b: Tensor) -> Any:
    """``prims::where(Tensor pred, Tensor a, Tensor b) -> Tensor``."""
    return aten_where(pred, a, b)


def _register_extreme(name: str, operation: str) -> None:
    def handler(inp: Tensor, dims: Sequence[int] | None) -> Any:
        return emit.extreme(operation, inp, _axes(inp, dims), False)

    handler.__doc__ = f"``prims::{name}(Tensor inp, int[]? dims, ...) -> Tensor``; None means all axes."
    op(f"prims::{name}")(handler)


_register_extreme("amax", "MAX")
_register_extreme("amin", "MIN")


@op("prims::var")
def prims_var(inp: Tensor, dims: Sequence[int] | None, correction: float | None = 1) -> Any:
    """``prims::var(Tensor inp, int[]? dims, float? correction=1, ...) -> Tensor``; None means all axes, and 1."""
    found, _ = emit.variance(inp, _axes(inp, dims), 1 if correction is None else correction, False)
    return emit.cast(found, emit.dtype_of(inp))


@op("prims::rsqrt")
def prims_rsqrt(self: Tensor) -> Any:
    """``prims::rsqrt(Tensor self) -> Tensor``."""
    return emit.unary("RECIP", emit.unary("SQRT", emit.to_float(self)))
