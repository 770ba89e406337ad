"""Sorting as PyTorch does: stable, NaN the largest, for axes of any length.

TensorRT's top-k gives equals in the order of their indices (seen on an H200 for float32, float16, int32 and int64, for
up to 2,000,000 elements), but takes NaN for the least number of all and returns at most 3,840 elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from ..errors import UnsupportedArgumentError
from .dims import Dim, axis_of, dim_product, dim_sub, rank_of, shape_of, size_of
from .dtypes import Tensor, cast, dtype_of, is_float, tensor
from .math import compare, elementwise, gather, gather_elements, logical_not, reduce, topk, unary, where
from .moving import is_empty
from .pointwise import convert, is_half, number_like
from .reduction import places
from .shape import concatenate, expand, permute, reshape, slice_axis, strided_slice, unsqueeze

MOST = 3840
"""The most elements that a top-k layer gives (NvInfer.h, addTopK)."""

_BLOCK = MOST // 2
_MOST_BLOCKS = 64

_LARGEST = torch.finfo(torch.float32).max
_NEXT = torch.nextafter(torch.tensor(_LARGEST), torch.tensor(0.0)).item()


def sorted_along(value: Tensor, axis: int, descending: bool, count: Dim | None = None) -> tuple[Any, Any]:
    """The ``count`` first along one axis, all by default, of a stable sort; and their int64 indices.

    Of float32 the two largest finite numbers count as equal: their places go to infinity and to NaN.

    Args:
        value: of any rank and dtype that TensorRT computes in, bool and uint8 among them.
        axis: counted from either end.
        descending: largest first; NaN is larger than all.
        count: how many; at most the axis's size.

    Raises:
        UnsupportedArgumentError: the axis is too long.
    """
    values, indices = _sorted(value, axis, descending, count)
    return convert(values, dtype_of(value)), indices


def order_along(value: Tensor, axis: int, descending: bool) -> Any:
    """The indices of :func:`sorted_along` alone."""
    return _sorted(value, axis, descending, None)[1]


def _sorted(value: Tensor, axis: int, descending: bool, count: Dim | None) -> tuple[Any, Any]:
    """As :func:`sorted_along`; booleans and uint8 stay int32."""
    rank = rank_of(value)
    axis = axis_of(axis, rank)
    if rank == 0:
        return tensor(value), torch.zeros((), dtype=torch.int64)
    sizes = shape_of(value)
    count = sizes[axis] if count is None else count
    if is_empty(value) or count == 0:
        final = (*sizes[:axis], count, *sizes[axis + 1 :])
        return torch.empty(final, dtype=dtype_of(value)), torch.empty(final, dtype=torch.int64)
    last = permute(_sortable(value), [*range(axis), *range(axis + 1, rank), axis])
    rows = reshape(last, [dim_product(sizes[:axis] + sizes[axis + 1 :]), sizes[axis]])
    moved = [*sizes[:axis], *sizes[axis + 1 :], count]
    back = [*range(axis), rank - 1, *range(axis, rank - 1)]
    values, indices = (permute(reshape(part, moved), back) for part in _sort_rows(rows, count, descending))
    return values, indices


def _sortable(value: Tensor) -> Any:
    return cast(value, torch.int32) if dtype_of(value) in (torch.bool, torch.uint8) else tensor(value)


def _sort_rows(rows: Any, count: Dim, descending: bool) -> tuple[Any, Any]:
    keys = _keys(rows)
    operation = "MAX" if descending else "MIN"
    if isinstance(count, int) and count > MOST:
        indices = _sort_long(keys, count, operation)
        return gather_elements(rows, indices, 1), indices
    found, indices = topk(operation, keys, count, 1)
    if keys is not rows:
        found = gather_elements(rows, indices, 1)
    return found, cast(indices, torch.int64)


def _keys(rows: Any) -> Any:
    """Numbers that top-k puts in the order that PyTorch puts ``rows`` in: NaN becomes the largest."""
    if not is_float(rows):
        return rows
    wide = cast(rows, torch.float32)
    largest, infinite = number_like(_LARGEST, wide), number_like(math.inf, wide)
    if is_half(rows):  # float32 has room above the largest number of either half-precision type
        keys = elementwise("MIN", wide, largest)
    else:
        keys = elementwise("MIN", wide, number_like(_NEXT, wide))
        keys = where(compare("EQUAL", wide, infinite), largest, keys)
    return where(unary("ISNAN", wide), infinite, keys)


def _sort_long(keys: Any, count: int, operation: str) -> Any:
    """The indices of the first ``count`` of each row, by a sorting network whose elements are blocks.

    Two blocks are sorted together by two stable top-k layers, the first of which puts them in the order of their
    indices; the first half goes to the first block. The network is Batcher's odd-even merge sort (Knuth, The Art of
    Computer Programming, volume 3, 5.2.2M; blocks in the place of numbers: 5.3.4, exercise 38).
    """
    rows, length = size_of(keys, 0), size_of(keys, 1)
    blocks = -(-length // _BLOCK) if isinstance(length, int) else _MOST_BLOCKS + 1
    if blocks > _MOST_BLOCKS:
        raise UnsupportedArgumentError(
            f"TensorRT's top-k gives {MOST} elements at most; more of them are sorted here only if the axis has a "
            f"known size of at most {_MOST_BLOCKS * _BLOCK}, and its size is {length if length else 'not known'}",
            hint=f"take {MOST} or fewer with torch.topk, or keep this op in PyTorch with torch2trt.compile",
        )
    total = blocks * _BLOCK
    numbers = torch.arange(total, dtype=torch.int32).reshape(1, blocks, _BLOCK)
    held = [
        reshape(_filled_up(keys, total, operation), [rows, blocks, _BLOCK]),
        expand(numbers, [rows, blocks, _BLOCK]),
    ]
    for pairs in _network(blocks):
        held = _exchange(held, pairs, operation)
    flat = reshape(held[1], [rows, total])
    return cast(slice_axis(flat, 1, 0, count), torch.int64)


def _filled_up(keys: Any, total: int, operation: str) -> Any:
    """``keys`` with elements that come last, after equals too since their indices are larger."""
    if is_float(keys):
        last = -math.inf if operation == "MAX" else math.inf
    else:
        info = torch.iinfo(dtype_of(keys))
        last = info.min if operation == "MAX" else info.max
    sizes = [size_of(keys, 0), total]
    return strided_slice(keys, [0, 0], sizes, [1, 1], mode="FILL", fill=number_like(last, keys))


def _exchange(held: Sequence[Any], pairs: Sequence[tuple[int, int]], operation: str) -> list[Any]:
    """Sort each pair of blocks, keys and indices, and put the halves in their places."""
    blocks = size_of(held[0], 1)
    firsts, seconds = (torch.tensor([pair[side] for pair in pairs]) for side in (0, 1))
    keys, indices = (concatenate([gather(part, firsts, 1), gather(part, seconds, 1)], 2) for part in held)
    indices, order = topk("MIN", indices, MOST, 2)
    keys, order = topk(operation, gather_elements(keys, order, 2), MOST, 2)
    indices = gather_elements(indices, order, 2)
    source = torch.arange(blocks)
    source[firsts] = blocks + torch.arange(len(pairs))
    source[seconds] = blocks + len(pairs) + torch.arange(len(pairs))
    return [
        gather(concatenate([old, slice_axis(new, 2, 0, _BLOCK), slice_axis(new, 2, _BLOCK, _BLOCK)], 1), source, 1)
        for old, new in zip(held, (keys, indices), strict=True)
    ]


def _network(count: int) -> list[list[tuple[int, int]]]:
    """Rounds of disjoint comparators that sort ``count`` elements; those with elements beyond are left out."""
    rounds = []
    whole = 1 << max(0, count - 1).bit_length()
    merged = 1
    while merged < whole:
        apart = merged
        while apart >= 1:
            pairs = [
                (first, first + apart)
                for start in range(apart % merged, whole - apart, 2 * apart)
                for first in range(start, min(start + apart, whole - apart))
                if first // (2 * merged) == (first + apart) // (2 * merged) and first + apart < count
            ]
            if pairs:
                rounds.append(pairs)
            apart //= 2
        merged *= 2
    return rounds


def most_frequent(value: Any) -> tuple[Any, Any]:
    """The least of the most frequent elements along the last axis, which is kept, and the index of its last.

    All pairs are compared; TensorRT fuses that with the sum, so that no memory holds them.
    """
    axis = rank_of(value) - 1
    pairs = elementwise("EQUAL", unsqueeze(value, axis + 1), unsqueeze(value, axis))
    counts = reduce("SUM", cast(pairs, torch.int32), [axis + 1], keepdim=False)
    if is_float(value):  # a NaN, which equals nothing, is there once
        counts = elementwise("MAX", counts, torch.tensor(1, dtype=torch.int32))
    often = elementwise("EQUAL", counts, reduce("MAX", counts, [axis], keepdim=True))
    if is_float(value):
        nans = unary("ISNAN", value)
        number = elementwise("AND", often, logical_not(nans))
        best = reduce("MIN", where(number, value, number_like(math.inf, value)), [axis], keepdim=True)
        any_number = compare("GREATER", reduce("MAX", cast(number, torch.int32), [axis], keepdim=True), 0)
        best = where(any_number, best, number_like(math.nan, value))
        same = elementwise("EQUAL", value, best)
        hit = elementwise("OR", same, elementwise("AND", nans, logical_not(any_number)))
    else:
        largest = torch.iinfo(dtype_of(value)).max
        best = reduce("MIN", where(often, value, number_like(largest, value)), [axis], keepdim=True)
        hit = elementwise("EQUAL", value, best)
    last = reduce("MAX", where(hit, places(value, axis), torch.tensor(-1)), [axis], keepdim=True)
    return best, last


def interpolated(ordered: Any, points: Any, how: str, ignore_nan: bool) -> Any:
    """Quantiles of sorted floats along the last axis.

    Args:
        ordered: ascending, NaN last.
        points: the quantiles, 0 to 1, along the last axis of a tensor of the same rank; of the same dtype.
        how: ``linear``, ``lower``, ``higher``, ``midpoint`` or ``nearest``.
        ignore_nan: whether NaN are left out; otherwise they make the result NaN.
    """
    axis = rank_of(ordered) - 1
    dtype = dtype_of(ordered)
    count = size_of(ordered, axis)
    nans = unary("ISNAN", ordered)
    if ignore_nan:
        numbers = reduce("SUM", cast(logical_not(nans), torch.int64), [axis], keepdim=True)
        last: Any = cast(elementwise("SUB", numbers, torch.tensor(1)), dtype)
    else:
        last = tensor(float(count - 1) if isinstance(count, int) else dim_sub(count, 1), dtype)
    ranks = elementwise("PROD", points, last)
    if ignore_nan:
        ranks = elementwise("MAX", ranks, number_like(0, ranks))
    rounding = {"lower": "FLOOR", "higher": "CEIL", "nearest": "ROUND"}.get(how)
    if rounding is not None:
        ranks = unary(rounding, ranks)
    lead = shape_of(ordered)[:axis]
    width = size_of(ranks, axis)

    def element(place: Any) -> Any:
        return gather_elements(ordered, expand(cast(place, torch.int64), [*lead, width]), axis)

    below = unary("FLOOR", ranks)
    result = element(below)
    if how in ("linear", "midpoint"):
        weight = number_like(0.5, ranks) if how == "midpoint" else elementwise("SUB", ranks, below)
        result = _between(result, element(unary("CEIL", ranks)), weight)
    if ignore_nan:
        return result
    spoiled = compare("GREATER", reduce("MAX", cast(nans, torch.int32), [axis], keepdim=True), 0)
    return where(spoiled, number_like(math.nan, result), result)


def _between(low: Any, high: Any, weight: Any) -> Any:
    """``torch.lerp``: from the nearer end (aten/src/ATen/native/Lerp.h)."""
    gap = elementwise("SUB", high, low)
    near = elementwise("SUM", low, elementwise("PROD", weight, gap))
    rest = elementwise("SUB", number_like(1, low), weight)
    far = elementwise("SUB", high, elementwise("PROD", gap, rest))
    return where(compare("LESS", weight, 0.5), near, far)
