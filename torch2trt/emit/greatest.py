"""The greatest elements of windows and their places, found along one axis after the other."""

from __future__ import annotations

import math
from typing import Any

import torch

from .dims import Dim, rank_of, size_of
from .dtypes import Tensor, dtype_of, is_float
from .math import compare, elementwise, gather, reduce, unary, where
from .reduction import NOWHERE, extreme
from .shape import squeeze
from .whole import chosen_where, positions, shaped, whole


def lowest(dtype: torch.dtype) -> float | int:
    """What no element is less than."""
    return -math.inf if dtype.is_floating_point else torch.iinfo(dtype).min


def plus_row(chosen: Tensor, axis: int, length: Dim, inner: Dim) -> Any:
    """Flat indices within the later axes become flat indices that this axis counts in too."""
    rows = whole("PROD", positions(length), inner)
    return whole("SUM", chosen, shaped(rows, [-1 if index == axis else 1 for index in range(rank_of(chosen))]))


def greatest(value: Any, chosen: Tensor | None, axis: int) -> tuple[Any, Any]:
    """The greatest element along one axis, which stays with size 1, and its place.

    Args:
        value: where to look.
        chosen: the flat index of every element; None if nothing reads the places, which are None then.
        axis: counted from the front.

    Returns:
        the element, and the least index of those that equal it; the greatest index of NaN, if there is any.
    """
    best = extreme("MAX", value, [axis], keepdim=True)
    if chosen is None:
        return best, None
    equal = where(elementwise("EQUAL", value, best), chosen, torch.tensor(NOWHERE))
    first = reduce("MIN", equal, [axis], keepdim=True)
    if not is_float(value):
        return best, first
    last = reduce("MAX", where(unary("ISNAN", value), chosen, torch.tensor(-1)), [axis], keepdim=True)
    return best, where(compare("LESS", last, torch.tensor(0)), first, last)


def greatest_of_windows(
    value: Any, chosen: Tensor | None, axis: int, places: Tensor, inside: Tensor | None
) -> tuple[Any, Any]:
    """The greatest elements of windows along one axis, and their places; arguments as for :func:`greatest`.

    Args:
        value: where to look.
        chosen: the flat index of every element, or None.
        axis: that the windows lie along.
        places: the elements of each window, by their index on the axis; (windows, elements).
        inside: which of them count; None if all do.
    """
    parts = gather(value, places, axis)
    flat = None if chosen is None else gather(chosen, places, axis)
    if inside is not None:
        trailing = [1] * (rank_of(value) - axis - 1)
        mask = shaped(inside, [size_of(places, 0), size_of(places, 1), *trailing])
        parts = where(mask, parts, torch.tensor(lowest(dtype_of(value)), dtype=dtype_of(value)))
        flat = None if flat is None else chosen_where(mask, flat, torch.tensor(NOWHERE))
    best, flat = greatest(parts, flat, axis + 1)
    return squeeze(best, [axis + 1]), None if flat is None else squeeze(flat, [axis + 1])
