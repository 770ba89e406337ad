"""The few operators of ``torch.ops.prims`` that are called as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
