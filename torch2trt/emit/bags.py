"""Sums, means and maxima over bags of rows of a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import UnsupportedArgumentError
from ..weights import derive
from .dims import Dim, as_dim, dim_sub, rank_of, shape_of, size_of
from .dtypes import Tensor, cast, dtype_of, tensor
from .math import elementwise, gather, logical_not, reduce, scatter_elements, unary, where
from .pointwise import is_half
from .shape import concatenate, expand, slice_axis, unsqueeze
from .whole import is_known, positions, shaped, whole


@dataclass(frozen=True)
class Bags:
    """Which rows are in which bag.

    Args:
        place: places in the list of rows, ``(bags, L)``, or ``(1, L)`` where all bags look at all rows.
        inside: which of them are in the bag, ``(bags, L)``.
        bag: the bag of each row in the list.
    """

    place: Tensor
    inside: Tensor
    bag: Tensor


def bags(offsets: Tensor, count: Dim, include_last: bool) -> Bags:
    """The bags of ``count`` rows, each starting at an offset; short lists if the offsets are known."""
    starts, ends = _limits(offsets, count, include_last)
    everything = shaped(positions(count), [1, -1])
    begun = whole("GREATER", whole("SUM", everything, 1), shaped(starts, [-1, 1]))
    inside = whole("AND", begun, whole("LESS", everything, shaped(ends, [-1, 1])))
    number = shaped(positions(size_of(inside, 0)), [-1, 1])
    if not isinstance(inside, torch.Tensor) or not isinstance(starts, torch.Tensor):
        bag = reduce("SUM", where(inside, tensor(number), torch.tensor(0)), [0], keepdim=False)
        return Bags(everything, inside, bag)
    length = max(int(inside.sum(1).max()) if inside.numel() else 0, 1)
    place = starts.reshape(-1, 1) + torch.arange(length)
    held = place.clamp(max=max(inside.shape[1] - 1, 0))
    return Bags(held, place < torch.as_tensor(ends).reshape(-1, 1), (inside * number).sum(0))


def _limits(offsets: Tensor, count: Dim, include_last: bool) -> tuple[Tensor, Tensor]:
    """Where each bag starts and ends; int64."""
    starts, size = cast(offsets, torch.int64), size_of(offsets, 0)
    last = dim_sub(size, 1)
    if include_last:
        return _part(starts, 0, last), _part(starts, 1, last)
    total = torch.tensor([count]) if isinstance(count, int) else shaped(as_dim(count), [1])
    following = _part(starts, 1, last)
    if is_known(following, total):
        return starts, torch.cat((following, total))
    return starts, concatenate([following, total], 0)


def _part(value: Tensor, start: int, count: Dim) -> Tensor:
    if isinstance(value, torch.Tensor) and isinstance(count, int):
        return value[start : start + count]
    return slice_axis(value, 0, start, count)


def embedding_bag(
    weight: Tensor,
    indices: Tensor,
    found: Bags,
    mode: str,
    per_sample: Tensor | None,
    padding: int | None,
    no_row: int = 0,
) -> tuple[Any, Any, Any]:
    """``torch.nn.functional.embedding_bag``; half precision sums in float32.

    Args:
        weight: the table, ``(rows, features)``.
        indices: rows, of all bags one after another.
        found: which of them are in which bag.
        mode: ``sum``, ``mean`` or ``max``.
        per_sample: a factor for each row; of mode ``sum`` alone.
        padding: rows of this index do not count.
        no_row: where the maximum of an empty bag is said to come from.

    Returns:
        ``(bags, features)``; how many rows each bag has; and for ``max`` the row of each maximum.
    """
    dtype = dtype_of(weight)
    wide = torch.float32 if is_half(dtype) else dtype
    chosen = gather(indices, found.place, 0)
    rows = cast(gather(weight, chosen, 0), wide)
    if per_sample is not None:
        rows = elementwise("PROD", rows, unsqueeze(gather(cast(per_sample, wide), found.place, 0), 2))
    inside = tensor(found.inside)
    if padding is not None:
        padded = elementwise("EQUAL", chosen, torch.tensor(padding, dtype=dtype_of(indices)))
        inside = elementwise("AND", inside, logical_not(padded))
    sizes = reduce("SUM", cast(inside, torch.int64), [1], keepdim=False)
    fill = torch.tensor(-math.inf if mode == "max" else 0.0, dtype=wide)
    parts = where(unsqueeze(inside, 2), rows, fill)
    result = reduce("MAX" if mode == "max" else "SUM", parts, [1], keepdim=False)
    counts = unsqueeze(sizes, 1)
    if mode == "sum":
        return cast(result, dtype), sizes, None
    if mode == "mean":
        result = elementwise("DIV", result, cast(elementwise("MAX", counts, torch.tensor(1)), wide))
        return cast(result, dtype), sizes, None
    empty = elementwise("EQUAL", counts, torch.tensor(0))
    source = _row_of(parts, result, chosen, inside)
    maxima = where(empty, torch.zeros((), dtype=wide), result)
    return cast(maxima, dtype), sizes, where(empty, torch.tensor(no_row, dtype=dtype_of(source)), source)


def _row_of(parts: Any, best: Any, chosen: Any, inside: Any) -> Any:
    """The table's row that gave each maximum, the first of equals: ``(bags, features)``."""
    place = torch.tensor(torch.iinfo(torch.int64).max)
    listed = shaped(positions(size_of(parts, 1)), [1, -1, 1])
    same = elementwise("AND", elementwise("EQUAL", parts, unsqueeze(best, 1)), unsqueeze(inside, 2))
    first = reduce("MIN", where(same, listed, place), [1], keepdim=True)
    here = elementwise("EQUAL", listed, first)
    rows = where(here, unsqueeze(cast(chosen, torch.int64), 2), torch.tensor(0))
    return reduce("SUM", rows, [1], keepdim=False)


def renormed_rows(weight: Tensor, indices: Tensor, most: float, order: float) -> Any:
    """``torch.embedding_renorm``: the rows named by ``indices`` are scaled down to a norm of ``most``.

    Raises:
        UnsupportedArgumentError: the order of the norm is not 1, 2 or infinity.
    """
    if isinstance(weight, torch.Tensor):
        scaled: Tensor = derive(_renormed, weight, most, order)
    else:
        scaled = _renormed_layers(weight, most, order)
    count = size_of(weight, 0)
    flat = shaped(indices, [-1]) if rank_of(indices) != 1 else indices
    ones = expand(tensor(torch.ones(1)), shape_of(flat))
    zeros = expand(tensor(torch.zeros(1)), [count])
    named = elementwise("GREATER", scatter_elements(zeros, flat, ones, 0), torch.zeros(()))
    return where(unsqueeze(named, 1), scaled, weight)


def _renormed(weight: torch.Tensor, most: float, order: float) -> torch.Tensor:
    """Every row scaled down (``embedding_renorm_cpu_`` in aten/src/ATen/native/Embedding.cpp)."""
    norm = weight.norm(order, 1, keepdim=True)
    return torch.where(norm > most, weight * (most / (norm + 1e-7)), weight)


def _renormed_layers(weight: Tensor, most: float, order: float) -> Any:
    image = tensor(weight, torch.float32)
    size = unary("ABS", image)
    if order == 2:
        norm = unary("SQRT", reduce("SUM", elementwise("PROD", image, image), [1], keepdim=True))
    elif order in (1, math.inf):
        norm = reduce("SUM" if order == 1 else "MAX", size, [1], keepdim=True)
    else:
        raise UnsupportedArgumentError(
            f"max_norm with norm_type={order} of a weight that is known at run time only", hint="use norm_type=2"
        )
    factor = elementwise("DIV", torch.tensor(most), elementwise("SUM", norm, torch.tensor(1e-7)))
    shrunk = where(elementwise("GREATER", norm, torch.tensor(most)), elementwise("PROD", image, factor), image)
    return cast(shrunk, dtype_of(weight))
