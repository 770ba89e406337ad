"""Pooling turned round, and pooling over windows at random places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .dims import Dim, as_dim, dim_product, dim_sub, rank_of, shape_of, size_of
from .dtypes import Tensor, cast, dtype_of, tensor
from .folding import candidates
from .math import elementwise, gather, gather_elements, reduce, scatter_elements, unary, where
from .shape import expand, reshape, slice_axis, unsqueeze
from .sliding import Windows
from .whole import positions, shaped, whole


def max_unpool(value: Tensor, indices: Tensor, sizes: Sequence[Dim]) -> Any:
    """``torch.nn.functional.max_unpool2d`` and ``3d``: values at the places that pooling took them from, else 0.

    Args:
        value: of shape ``(N, C, *pooled)`` or ``(C, *pooled)``.
        indices: int64 places in the flattened output of one channel; of the shape of ``value``.
        sizes: the output's spatial sizes.
    """
    lead = shape_of(value)[: rank_of(value) - len(sizes)]
    flat = [*lead, dim_product(shape_of(value)[len(lead) :])]
    zeros = expand(tensor(torch.zeros((1,) * len(flat), dtype=dtype_of(value))), [*lead, dim_product(sizes)])
    result = scatter_elements(zeros, reshape(indices, flat), reshape(value, flat), len(flat) - 1)
    return reshape(result, [*lead, *sizes])


def max_pool_backward(gradient: Tensor, value: Tensor, indices: Tensor, spec: Windows) -> Any:
    """The gradient of a 2-d maximum pooling: each place sums the gradients of the windows that chose it."""
    lead = rank_of(value) - 2
    lengths = shape_of(value)[lead:]
    counts = shape_of(gradient)[lead:]
    parts, chosen, inside = tensor(gradient), tensor(indices), None
    for axis in (1, 0):
        _, window, valid = candidates(spec, axis, lengths[axis], counts[axis])
        held = whole("MIN", whole("MAX", window, 0), whole("SUB", counts[axis], 1))
        parts, chosen = (gather(part, held, lead + axis) for part in (parts, chosen))
        # (height, candidates, width, candidates)
        valid = shaped(valid, [lengths[axis], -1, 1, 1] if axis == 0 else [1, 1, lengths[axis], -1])
        inside = valid if inside is None else whole("AND", inside, valid)
    row = whole("PROD", shaped(positions(lengths[0]), [-1, 1, 1, 1]), lengths[1])
    place = whole("SUM", row, shaped(positions(lengths[1]), [1, 1, -1, 1]))
    hit = elementwise("AND", elementwise("EQUAL", chosen, place), inside)
    kept = where(hit, parts, torch.zeros((), dtype=dtype_of(gradient)))
    return reduce("SUM", kept, [lead + 1, lead + 3], keepdim=False)


def fractional_max_pool(
    value: Tensor, window: Sequence[int], counts: Sequence[int], samples: Tensor, order: Sequence[int]
) -> tuple[Any, Any]:
    """Maxima, and their places, of windows that a random number a channel and axis has placed.

    Args:
        value: of shape ``(N, C, *spatial)`` or ``(C, *spatial)``.
        window: sizes.
        counts: how many windows lie on each axis.
        samples: numbers in 0..1 of shape ``(N, C, axes)``.
        order: which of the numbers each axis takes.
    """
    spatial = len(window)
    planes = dim_product(shape_of(value)[:-spatial])
    lengths = shape_of(value)[-spatial:]
    flat = reshape(value, [planes, dim_product(lengths)])
    numbers = reshape(tensor(samples), [planes, spatial])
    index: Any = torch.zeros((), dtype=torch.int64)
    for axis in range(spatial):
        start = _intervals(slice_axis(numbers, 1, order[axis], 1), lengths[axis], counts[axis], window[axis])
        place = elementwise("SUM", unsqueeze(start, 2), torch.arange(window[axis]).reshape(1, 1, -1))
        # (planes, windows of every axis, elements of every axis)
        others = [1 + other for other in range(2 * spatial) if other not in (axis, spatial + axis)]
        index = whole("SUM", whole("PROD", index, lengths[axis]), unsqueeze(place, others))
    total, each = torch.Size(counts).numel(), torch.Size(window).numel()
    index = reshape(index, [planes, total, each])
    elements = reshape(gather_elements(flat, reshape(index, [planes, total * each]), 1), [planes, total, each])
    best = reduce("MAX", elements, [2], keepdim=True)
    same = elementwise("OR", elementwise("EQUAL", elements, best), unary("ISNAN", elements))
    chosen = reduce("MIN", where(same, index, torch.tensor(torch.iinfo(torch.int64).max)), [2], keepdim=False)
    result = [*shape_of(value)[:-spatial], *counts]
    return reshape(best, result), reshape(chosen, result)


def _intervals(sample: Any, length: Dim, count: int, window: int) -> Any:
    """Where windows start: int64 of shape ``(planes, count)``; rounded to the sample's dtype at every step.

    (``generate_intervals`` in aten/src/ATen/native/FractionalMaxPooling.h.)
    """
    dtype = dtype_of(sample)
    span = dim_sub(length, window)
    last = shaped(torch.tensor(span) if isinstance(span, int) else span, [1, 1])
    if count == 1:
        return expand(tensor(last), [size_of(sample, 0), 1])
    gaps = torch.tensor(count - 1, dtype=dtype)
    known = isinstance(span, int)
    step = torch.tensor(span, dtype=dtype) / gaps if known else elementwise("DIV", cast(as_dim(span), dtype), gaps)
    place = torch.arange(count, dtype=dtype).reshape(1, -1)
    scaled = cast(elementwise("PROD", elementwise("SUM", place, sample), step), torch.int64)
    first = cast(elementwise("PROD", sample, step), torch.int64)
    start = elementwise("SUB", scaled, first)
    return where(torch.arange(count).reshape(1, -1) == count - 1, last, start)
