"""Scattering with duplicates, which TensorRT's own scatter leaves undefined: compared, masked and reduced."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..errors import UnsupportedArgumentError
from .arithmetic import extremum
from .cumulative import cumulative_sum
from .dims import Dim, dim_product, rank_of, shape_of, size_of
from .dtypes import Tensor, cast, dtype_of, is_float, tensor
from .math import compare, elementwise, gather, gather_elements, logical, reduce, scatter_elements, where
from .moving import along_axis, iota, padded
from .pointwise import convert, is_half
from .reduction import extreme
from .shape import expand, reshape, slice_axis, strided_slice, unsqueeze

MOST = 1 << 30
"""The most comparisons of places with updates: on an H200 2 ** 28 of them take 1.7 ms, and no memory, since TensorRT
fuses comparison, choice and reduction. (A product with a one-hot matrix would round the updates to TF32 there, even
with TF32 off.)"""

REDUCTIONS = {"sum": "sum", "add": "sum", "prod": "prod", "multiply": "prod", "mean": "mean"}
REDUCTIONS |= {"amax": "amax", "amin": "amin"}
"""The names that PyTorch gives reductions."""

_OPERATIONS = {"sum": "SUM", "mean": "SUM", "prod": "PROD", "amax": "MAX", "amin": "MIN"}


def scatter_reduced(value: Tensor, index: Tensor, updates: Tensor, axis: int, how: str, include_self: bool) -> Any:
    """``value`` with ``updates`` reduced into the places that ``index`` names along ``axis``; duplicates count.

    Args:
        value: of any rank from 1.
        index: of the rank of ``updates``, or a vector, which stands for all positions of the other axes.
        updates: along the other axes no larger than ``value``.
        axis: counted from the front.
        how: a key of :data:`REDUCTIONS`.
        include_self: whether what is there takes part.

    Raises:
        UnsupportedArgumentError: the comparisons would be more than :data:`MOST`.
    """
    dtype = dtype_of(value)
    wide = torch.float32 if is_half(dtype) else torch.int32 if dtype == torch.bool else dtype
    inner = shape_of(updates)
    inner[axis] = size_of(value, axis)
    whole = inner == shape_of(value)
    part = value if whole else strided_slice(value, [0] * len(inner), inner, [1] * len(inner))
    three = [_three(cast(tensor, wide), axis) for tensor in (part, updates)]
    vector = rank_of(index) == 1 and rank_of(updates) != 1
    index = along_axis(index, 1, 3) if vector else _three(index, axis)
    reduced = reshape(_scatter(three[0], index, three[1], REDUCTIONS[how], include_self), inner)
    if dtype == torch.bool:
        reduced = logical(reduced)
    reduced = cast(reduced, dtype)
    return reduced if whole else _laid_over(value, reduced)


def _three(value: Tensor, axis: int) -> Any:
    """``value`` with the axes before and after ``axis`` merged: rank 3."""
    sizes = shape_of(value)
    return reshape(value, [dim_product(sizes[:axis]), sizes[axis], dim_product(sizes[axis + 1 :])])


def _laid_over(value: Tensor, part: Tensor) -> Any:
    """``value`` with its first elements along every axis replaced by ``part``."""
    rank = rank_of(value)
    inside: Any = None
    spread = cast(part, torch.float32) if dtype_of(part) in (torch.bool, torch.uint8) else part
    for axis in range(rank):
        total, length = size_of(value, axis), size_of(part, axis)
        if total == length:
            continue
        within = compare("LESS", along_axis(iota(total), axis, rank), tensor(length))
        inside = within if inside is None else elementwise("AND", inside, within)
        spread = padded(spread, axis, total)
    return where(inside, convert(spread, dtype_of(value)), value)


def _scatter(value: Any, index: Tensor, updates: Any, how: str, include_self: bool) -> Any:
    """All of rank 3: ``value`` ``(a, n, c)``, ``updates`` ``(a, m, c)``, ``index`` of those sizes or 1."""
    targets, count = size_of(value, 1), size_of(updates, 1)
    if isinstance(targets, int) and isinstance(count, int) and count < targets and how != "mean":
        return _scatter_few(value, index, updates, how, include_self)
    numbers = unsqueeze(tensor(iota(targets)), [0, 2, 3])
    hit = elementwise("EQUAL", unsqueeze(cast(index, torch.int64), 1), numbers)
    return _combined(value, hit, updates, how, include_self)


def _scatter_few(value: Any, index: Tensor, updates: Any, how: str, include_self: bool) -> Any:
    """As :func:`_scatter` where the updates are fewer than the places: they are compared with each other.

    Each update becomes what its place becomes. The first of equals is written there, and the others are written, each
    on its own, beyond the end, which is then cut off.
    """
    index = cast(index, torch.int64)
    count, targets = size_of(updates, 1), size_of(value, 1)
    same = elementwise("EQUAL", unsqueeze(index, 2), unsqueeze(index, 1))
    spread = expand(index, shape_of(updates))
    rows = _combined(gather_elements(value, spread, 1), same, updates, how, include_self)
    earlier = torch.ones(count, count, dtype=torch.bool).tril(-1).reshape(1, count, count, 1)
    repeated = reduce("SUM", cast(elementwise("AND", same, earlier), torch.int32), [2], keepdim=False)
    beyond = along_axis(torch.arange(targets, targets + count), 1, 3)
    unique = where(compare("GREATER", repeated, 0), beyond, index)
    longer = padded(value, 1, targets + count)
    written = scatter_elements(longer, expand(unique, shape_of(updates)), rows, 1)
    return slice_axis(written, 1, 0, targets)


def _combined(value: Any, hit: Any, updates: Any, how: str, include_self: bool) -> Any:
    """What each row of ``value`` becomes.

    Args:
        value: of shape ``(a, k, c)``.
        hit: which updates belong to a row: booleans of shape ``(a or 1, k, m, c or 1)``.
        updates: of shape ``(a, m, c)``.
        how: the reduction.
        include_self: whether the row itself takes part.
    """
    _check_size([*shape_of(value), size_of(hit, 2)])
    result = _masked(hit, updates, how)
    if include_self and how != "mean":
        return _joined_with(value, result, how)
    hits = reduce("SUM", cast(hit, dtype_of(value)), [2], keepdim=False)
    if how == "mean":
        return _mean(value, result, hits, include_self)
    return where(compare("GREATER", hits, 0), result, value)


def _check_size(sizes: list[Dim]) -> None:
    total = math.prod(size for size in sizes if isinstance(size, int))
    if total > MOST:
        raise UnsupportedArgumentError(
            f"scattering with duplicate indices compares every place with every update, {total} times here, "
            f"and {MOST} is the most",
            hint="scatter fewer values at once, or keep this op in PyTorch with torch2trt.compile",
        )


def _masked(hit: Any, updates: Any, how: str) -> Any:
    operation = _OPERATIONS[how]
    dtype = dtype_of(updates)
    chosen = where(hit, unsqueeze(updates, 1), torch.tensor(_neutral(operation, dtype), dtype=dtype))
    if operation in ("MAX", "MIN"):
        return extreme(operation, chosen, [2], keepdim=False)
    return reduce(operation, chosen, [2], keepdim=False)


def _neutral(operation: str, dtype: torch.dtype) -> float | int:
    if operation in ("SUM", "PROD"):
        return int(operation == "PROD")
    if dtype.is_floating_point:
        return -math.inf if operation == "MAX" else math.inf
    return torch.iinfo(dtype).min if operation == "MAX" else torch.iinfo(dtype).max


def _joined_with(value: Any, result: Any, how: str) -> Any:
    if how in ("amax", "amin"):
        return extremum(_OPERATIONS[how], value, result)
    return elementwise(_OPERATIONS[how], value, result)


def _mean(value: Any, total: Any, hits: Any, include_self: bool) -> Any:
    """The mean of what was summed; of integers rounded down, as ``torch.scatter_reduce`` does."""
    one = torch.tensor(1, dtype=dtype_of(hits))
    if include_self:
        total, count = elementwise("SUM", total, value), elementwise("SUM", hits, one)
    else:
        count = elementwise("MAX", hits, one)
    mean = elementwise("DIV" if is_float(value) else "FLOOR_DIV", total, count)
    return where(compare("GREATER", hits, 0), mean, value)


def scatter_sum(value: Tensor, index: Tensor, updates: Tensor, axis: int) -> Any:
    """``value.scatter_add(axis, index, updates)``, or ``index_add`` if ``index`` is a vector."""
    return scatter_reduced(value, index, updates, axis, "sum", include_self=True)


def compaction(mask: Any) -> Any:
    """For a boolean vector, where each true element goes when they are moved to the front: int64."""
    counted = cumulative_sum(cast(mask, torch.int64), 0)
    return elementwise("SUB", counted, torch.tensor(1))


def masked_values(value: Tensor, mask: Any, source: Any) -> Any:
    """``value`` with the elements where ``mask``, a vector, replaced by ``source``'s, in order, along axis 0."""
    place = elementwise("MAX", compaction(mask), torch.tensor(0))
    chosen = gather(source, place, 0)
    rank = rank_of(value)
    return where(along_axis(mask, 0, rank) if rank > 1 else mask, chosen, value)
