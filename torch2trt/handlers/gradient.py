"""Numerical derivatives along axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..registry import op


@op(
    "aten::gradient.scalarint",
    "aten::gradient.scalararray",
    "aten::gradient.array",
    "aten::gradient.tensorarrayint",
    "aten::gradient.tensorarray",
)
def aten_gradient(self: Tensor, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> list[Any]:
    """``gradient.scalarint(Tensor self, *, Scalar? spacing=None, int? dim=None, int edge_order=1) -> Tensor[]``: one
    derivative an axis, with one distance for all, one an axis, or the coordinates along each axis.
    """
    rank = emit.rank_of(self)
    listed = range(rank) if dim is None else [dim] if isinstance(dim, int) else dim
    axes = [emit.axis_of(axis, rank) for axis in listed]
    given = spacing if isinstance(spacing, (list, tuple)) else [1 if spacing is None else spacing] * len(axes)
    value = emit.to_float(self)
    dtype = emit.dtype_of(value)
    wide = emit.compute_in_float32(value)
    return [
        emit.cast(_derivative(wide, axis, _weights(wide, axis, distance), edge_order), dtype)
        for axis, distance in zip(axes, given, strict=True)
    ]


def _weights(value: Any, axis: int, distance: Tensor) -> Any:
    """The distances between neighbours along ``axis``, to broadcast with ``value``; float32."""
    if isinstance(distance, (int, float)):
        return torch.full((1,) * emit.rank_of(value), float(distance))
    points = emit.tensor(distance, torch.float32)
    count = emit.dim_sub(emit.size_of(points, 0), 1)
    gaps = emit.elementwise("SUB", emit.slice_axis(points, 0, 1, count), emit.slice_axis(points, 0, 0, count))
    return emit.along_axis(gaps, axis, emit.rank_of(value))


def _derivative(value: Any, axis: int, gaps: Tensor, edge_order: int) -> Any:
    """As torch.gradient: second order inside, ``edge_order`` at both ends (aten/src/ATen/native/ReduceOps.cpp)."""
    count = emit.size_of(value, axis)

    def part(start: Any, size: Any) -> Any:
        return emit.slice_axis(value, axis, start, size)

    def gap(start: Any, size: Any) -> Any:
        return gaps if isinstance(gaps, torch.Tensor) else emit.slice_axis(gaps, axis, start, size)

    inner = emit.dim_sub(count, 2)
    centre = _stencil([part(0, inner), part(1, inner), part(2, inner)], gap(0, inner), gap(1, inner), 1)
    last = emit.dim_sub(count, 1)
    if edge_order == 1:
        first = _quotient(_difference(part(1, 1), part(0, 1)), gap(0, 1))
        final = _quotient(_difference(part(last, 1), part(inner, 1)), gap(inner, 1))
    else:
        before = emit.dim_sub(count, 3)
        first = _stencil([part(0, 1), part(1, 1), part(2, 1)], gap(0, 1), gap(1, 1), 0)
        final = _stencil([part(before, 1), part(inner, 1), part(last, 1)], gap(before, 1), gap(inner, 1), 2)
    return emit.concatenate([first, centre, final], axis)


def _difference(left: Any, right: Any) -> Any:
    return emit.elementwise("SUB", left, right)


def _quotient(left: Any, right: Any) -> Any:
    return emit.elementwise("DIV", left, right)


def _stencil(values: Sequence[Any], gap: Any, next_gap: Any, at: int) -> Any:
    """The derivative of the parabola through three values: at the first (0), second (1) or third (2).

    Args:
        values: three neighbours.
        gap: from the first to the second.
        next_gap: from the second to the third.
        at: where.
    """
    slopes = [
        _quotient(_difference(values[1], values[0]), gap),
        _quotient(_difference(values[2], values[1]), next_gap),
    ]
    both = emit.elementwise("SUM", emit.tensor(gap), emit.tensor(next_gap))
    bend = _quotient(_difference(slopes[1], slopes[0]), both)
    if at == 2:
        return emit.elementwise("SUM", slopes[1], emit.elementwise("PROD", next_gap, bend))
    turn = emit.elementwise("PROD", gap, bend)
    return emit.elementwise("SUM" if at == 1 else "SUB", slopes[0], turn)
