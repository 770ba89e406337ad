"""Reductions of consecutive pieces of an axis."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op

_INITIAL = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "max": -math.inf, "min": math.inf}
_OPERATIONS = {"sum": "SUM", "mean": "SUM", "prod": "PROD", "max": "MAX", "min": "MIN"}


@op("aten::segment_reduce")
def aten_segment_reduce(
    data: Tensor,
    reduce: str,
    lengths: Tensor = None,
    offsets: Tensor = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> Any:
    """``segment_reduce(Tensor data, str reduce, *, Tensor? lengths=None, Tensor? indices=None, Tensor? offsets=None,
    int axis=0, bool unsafe=False, Scalar? initial=None) -> Tensor``: sum, mean, prod, max, min.

    Every element is compared with the ends of every segment, as segment_reduce_lengths_cpu_kernel in
    aten/src/ATen/native/SegmentReduce.cpp defines them.
    """
    sizes = emit.shape_of(data)
    lead = emit.dim_product(sizes[:axis])
    values = emit.reshape(emit.compute_in_float32(data), [lead, 1, sizes[axis], emit.dim_product(sizes[axis + 1 :])])
    starts, ends = _bounds(lengths, offsets, lead)
    place = emit.along_axis(emit.tensor(emit.iota(sizes[axis])), 2, 4)
    hit = emit.elementwise(
        "AND", emit.elementwise("LESS", place, ends), emit.logical_not(emit.elementwise("LESS", place, starts))
    )
    emit.check_pairs(*emit.shape_of(values), emit.size_of(starts, 1))
    result = _reduced(values, hit, reduce, initial)
    result = emit.reshape(result, [*sizes[:axis], emit.size_of(starts, 1), *sizes[axis + 1 :]])
    return emit.cast(result, emit.dtype_of(data))


def _bounds(lengths: Tensor, offsets: Tensor, lead: Any) -> tuple[Any, Any]:
    """First index of each segment and that after its last: int64 of shape ``(lead, segments, 1, 1)``."""
    given = offsets if lengths is None else lengths
    if given is None:
        raise UnsupportedArgumentError("segment_reduce needs lengths or offsets")
    table = emit.cast(emit.reshape(emit.tensor(given), [lead, emit.size_of(given, -1)]), torch.int64)
    if lengths is not None:
        ends = emit.cumulative_sum(table, 1)
        starts = emit.elementwise("SUB", ends, table)
    else:
        count = emit.dim_sub(emit.size_of(table, 1), 1)
        starts, ends = emit.slice_axis(table, 1, 0, count), emit.slice_axis(table, 1, 1, count)
    return emit.unsqueeze(starts, [2, 3]), emit.unsqueeze(ends, [2, 3])


def _reduced(values: Any, hit: Any, how: str, initial: float | None) -> Any:
    """The reduction of ``values``, of shape ``(lead, 1, elements, inner)``, by segments."""
    operation = _OPERATIONS[how]
    start = torch.tensor(_INITIAL[how] if initial is None else float(initial))
    chosen = emit.where(hit, values, torch.tensor(_INITIAL[how]))
    if operation in ("MAX", "MIN"):
        result = emit.extremum(operation, emit.extreme(operation, chosen, [2], keepdim=False), start)
    else:
        result = emit.elementwise(operation, emit.reduce(operation, chosen, [2], keepdim=False), start)
    if how != "mean":
        return result
    count = emit.reduce("SUM", emit.cast(hit, torch.float32), [2], keepdim=False)
    mean = emit.elementwise("DIV", result, emit.elementwise("MAX", count, torch.tensor(1.0)))
    if initial is not None:
        return mean
    return emit.where(emit.compare("GREATER", count, 0), mean, torch.tensor(math.nan))
