"""Where values lie among others: every pair is compared, and what is true is counted.

TensorRT fuses the comparison with the count, so that no memory holds the pairs (seen on an H200).
"""

from __future__ import annotations

import math
from typing import Any

import torch

from ..errors import UnsupportedArgumentError
from .arithmetic import either
from .dims import Dim, dim_product, rank_of, shape_of, size_of
from .dtypes import Tensor, cast, promoted, tensor
from .fill import filled
from .math import compare, elementwise, gather, logical_not, reduce, where
from .moving import iota, is_empty
from .scattering import MOST
from .shape import reshape, unsqueeze


def check_pairs(*sizes: Dim) -> None:
    """Refuse more comparisons than :data:`~torch2trt.emit.scattering.MOST`.

    Raises:
        UnsupportedArgumentError: there are more.
    """
    total = math.prod(size for size in sizes if isinstance(size, int))
    if total > MOST:
        raise UnsupportedArgumentError(
            f"this op compares every value with every other, {total} times here, and {MOST} is the most",
            hint="use fewer values, or keep this op in PyTorch with torch2trt.compile",
        )


def insertion_points(bounds: Tensor, values: Tensor, right: bool) -> Any:
    """For each value, how many of the sorted bounds go before it; int64. NaN goes after all.

    Args:
        bounds: of shape ``(b,)``, or ``(..., b)`` for values of shape ``(..., v)``.
        values: of any shape, 0-d too, if ``bounds`` is a vector.
        right: whether equal bounds go before.
    """
    shape = shape_of(values)
    lead = shape_of(bounds)[:-1]
    width = size_of(bounds, -1)
    rows: Dim = dim_product(lead)
    each = shape[-1] if lead else dim_product(shape)
    check_pairs(rows, each, width)
    bounds, values = promoted(bounds, values)
    bounds = reshape(bounds, [rows, 1, width])
    values = reshape(values, [rows, each, 1])
    after = compare("GREATER", bounds, values) if right else either("GREATER", bounds, values)
    count = reduce("SUM", cast(logical_not(after), torch.int64), [2], keepdim=False)
    return reshape(count, shape)


def is_among(elements: Tensor, tests: Tensor) -> Any:
    """Which elements equal one of the tests; a boolean tensor in the shape of ``elements``."""
    shape = shape_of(elements)
    if is_empty(elements) or is_empty(tests):
        return filled(shape, False, torch.bool)
    elements, tests = (reshape(value, [-1]) for value in promoted(elements, tests))
    check_pairs(size_of(elements, 0), size_of(tests, 0))
    same = compare("EQUAL", unsqueeze(elements, 1), unsqueeze(tests, 0))
    found = compare("GREATER", reduce("MAX", cast(same, torch.int32), [1], keepdim=False), 0)
    return reshape(found, shape)


def binned(places: Any, inside: Any, bins: int, weight: Tensor | None) -> Any:
    """How many places, or what sum of their weights, fall into each of ``bins`` bins; float32.

    Args:
        places: an int64 vector.
        inside: which of them count.
        bins: the number of bins.
        weight: a float32 vector; 1 each by default.
    """
    check_pairs(bins, size_of(places, 0))
    hit = elementwise("EQUAL", unsqueeze(places, 0), torch.arange(bins).unsqueeze(1))
    hit = elementwise("AND", hit, unsqueeze(inside, 0))
    if weight is None:
        return reduce("SUM", cast(hit, torch.float32), [1], keepdim=False)
    return reduce("SUM", where(hit, unsqueeze(weight, 0), torch.tensor(0.0)), [1], keepdim=False)


def runs(value: Any, axis: int) -> Any:
    """Where slices along ``axis`` differ from the one before; the first does. A boolean vector; NaN differs from all.

    Args:
        value: not empty.
        axis: counted from the front.
    """
    rank = rank_of(value)
    count = size_of(value, axis)
    if isinstance(count, int) and count == 1:
        return tensor(torch.ones(1, dtype=torch.bool))
    later = elementwise("MAX", tensor(iota(count)), torch.tensor(1))
    before = elementwise("SUB", later, torch.tensor(1))
    differs = logical_not(compare("EQUAL", gather(value, later, axis), gather(value, before, axis)))
    others = [index for index in range(rank) if index != axis]
    if others:
        differs = compare("GREATER", reduce("MAX", cast(differs, torch.int32), others, keepdim=False), 0)
    first = compare("EQUAL", tensor(iota(count)), 0)
    return elementwise("OR", differs, first)
