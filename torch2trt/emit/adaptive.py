"""Adaptive pooling: as many windows as asked for, of sizes that differ by at most one or two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..absent import absent, is_read
from .dims import Dim, all_known, dim_add, dim_floordiv, dim_mul, dim_sub, rank_of, size_of
from .dtypes import Tensor, cast, dtype_of, tensor
from .greatest import greatest, greatest_of_windows, plus_row
from .math import elementwise, gather, reduce, where
from .pointwise import is_half
from .pooling import INDICES, average_pool, max_pool_with_indices
from .sliding import Windows
from .whole import is_known, positions, shaped, whole


def _even(lengths: Sequence[Dim], counts: Sequence[Dim]) -> Windows | None:
    """The windows as those of an ordinary pooling; None if they are uneven or a size is not known."""
    if not all_known(lengths) or not all_known(counts):
        return None
    if any(count == 0 or length % count for length, count in zip(lengths, counts, strict=True)):
        return None
    size = tuple(length // count for length, count in zip(lengths, counts, strict=True))
    return Windows(size, size, (0,) * len(size), (1,) * len(size), False)


def _bounds(length: Dim, count: Dim) -> tuple[Tensor, Tensor]:
    """First and past-the-last index of each window: ``floor(i * length / count)``, ``ceil((i + 1) * length / count)``.

    (``start_index`` and ``end_index`` in aten/src/ATen/native/AdaptivePooling.h.)
    """
    start = whole("FLOOR_DIV", whole("PROD", positions(count), length), count)
    raised = whole("SUM", whole("PROD", positions(count, 1), length), dim_sub(count, 1))
    return start, whole("FLOOR_DIV", raised, count)


def _resolved(value: Tensor, output_size: Sequence[Any], spatial: int) -> tuple[list[Dim], list[Dim]]:
    """The spatial sizes before and after."""
    rank = rank_of(value)
    lengths = [size_of(value, rank - spatial + axis) for axis in range(spatial)]
    listed = list(output_size) * (spatial if len(output_size) == 1 else 1)
    return lengths, listed


def adaptive_average_pool(value: Tensor, output_size: Sequence[Any], spatial: int) -> Any:
    """``torch.nn.functional.adaptive_avg_pool1d`` to ``3d``."""
    lengths, counts = _resolved(value, output_size, spatial)
    rank = rank_of(value)
    if all_known(counts) and all(count == 1 for count in counts):
        return reduce("AVG", value, range(rank - spatial, rank), keepdim=True)
    if lengths == counts and all_known(lengths):
        return tensor(value)
    even = _even(lengths, counts)
    if even is not None:
        return average_pool(value, even, True, None)
    dtype = dtype_of(value)
    result = tensor(value, torch.float32 if is_half(dtype) else dtype)
    for axis, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        if not all_known([length, count]) or length != count:
            result = _average_along(result, rank - spatial + axis, length, count)
    return cast(result, dtype)


def _average_along(value: Any, axis: int, length: Dim, count: Dim) -> Any:
    if isinstance(count, int) and count == 1:
        return reduce("AVG", value, [axis], keepdim=True)
    dtype = dtype_of(value)
    parts, mask = _gathered(value, axis, length, count)
    total = reduce("SUM", where(mask, parts, torch.zeros((), dtype=dtype)), [axis + 1], keepdim=False)
    start, end = _bounds(length, count)
    size = shaped(whole("SUB", end, start), [count, *[1] * (rank_of(value) - axis - 1)])
    return elementwise("DIV", total, cast(size, dtype))


def _gathered(value: Any, axis: int, length: Dim, count: Dim) -> tuple[Any, Tensor]:
    """``value`` with ``axis`` replaced by windows and their elements, and which of these count."""
    places, inside = _places(length, count)
    trailing = [1] * (rank_of(value) - axis - 1)
    return gather(value, places, axis), shaped(inside, [count, size_of(places, 1), *trailing])


def _places(length: Dim, count: Dim) -> tuple[Tensor, Tensor]:
    """The elements of each window, the last repeated where others have more, and which count; (windows, elements)."""
    start, end = (shaped(bound, [count, 1]) for bound in _bounds(length, count))
    if is_known(start, end):
        width: Dim = int((end - start).max())
    else:  # no window reaches over more than one element beside a whole number of them
        width = dim_add(dim_floordiv(dim_sub(dim_add(length, count), 1), count), 1)
    places = whole("SUM", start, positions(width))
    return whole("MIN", places, whole("SUB", end, 1)), whole("LESS", places, end)


def adaptive_max_pool(value: Tensor, output_size: Sequence[Any], spatial: int) -> tuple[Any, Any]:
    """``torch.nn.functional.adaptive_max_pool1d`` to ``3d`` with indices; the first of equals, the last NaN."""
    lengths, counts = _resolved(value, output_size, spatial)
    even = _even(lengths, counts)
    if even is not None and any(count > 1 for count in counts):
        return max_pool_with_indices(value, even)
    first = rank_of(value) - spatial
    best = tensor(value)
    read = is_read(1)
    chosen: Tensor | None = torch.zeros((1,) * rank_of(value), dtype=torch.int64) if read else None
    inner: Dim = 1
    for axis in reversed(range(spatial)):  # the least flat index among equals is the first of them in row-major order
        if chosen is not None:
            chosen = plus_row(chosen, first + axis, lengths[axis], inner)
            inner = dim_mul(inner, lengths[axis])
        best, chosen = _greatest_along(best, chosen, first + axis, lengths[axis], counts[axis])
    return best, chosen if read else absent(INDICES)


def _greatest_along(value: Any, chosen: Tensor | None, axis: int, length: Dim, count: Dim) -> tuple[Any, Any]:
    if all_known([length, count]) and length == count:
        return value, chosen
    if isinstance(count, int) and count == 1:
        return greatest(value, chosen, axis)
    places, inside = _places(length, count)
    even = isinstance(inside, torch.Tensor) and bool(inside.all())
    return greatest_of_windows(value, chosen, axis, places, None if even else inside)
