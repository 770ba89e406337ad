"""Running sums, products, extrema: an inclusive scan of any associative operation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from .control import Loop
from .dims import Dim, as_dim, dim_sub, rank_of, shape_of, size_of
from .dtypes import Tensor, cast, is_float, tensor
from .functions import logaddexp
from .math import compare, elementwise, gather, logical_not, unary, where
from .moving import along_axis, iota
from .network import add_layer, enum
from .pointwise import number_like
from .reduction import places
from .shape import strided_slice

Combine = Callable[[Any, Any], Any]


def cumulative_sum(value: Tensor, axis: int) -> Any:
    """Inclusive sums along one axis; integers or floating point."""
    value = tensor(value)
    operation = enum("CumulativeOperation", "SUM")
    return add_layer("cumulative", value, tensor(axis, torch.int32), operation, False, False)


def scan_doubling(value: Tensor, axis: int, combine: Combine, neutral: float | int) -> Any:
    """The inclusive scan of an associative operation: each step combines twice as many elements as the one before.

    The steps are as many as the logarithm of the axis's size: a loop where that is known at run time only.

    Args:
        value: any tensor.
        axis: counted from the front.
        combine: gives what the elements on the left and those on the right make together.
        neutral: what changes no element.
    """
    value, length = tensor(value), size_of(value, axis)
    if not isinstance(length, int):
        return _scan_in_loop(value, axis, combine, neutral, length)
    step = 1
    while step < length:
        value = combine(_delayed(value, axis, step, neutral), value)
        step *= 2
    return value


def _scan_in_loop(value: Any, axis: int, combine: Combine, neutral: float | int, length: Dim) -> Any:
    loop = Loop()
    scanned, shift = loop.carry(value), loop.carry(as_dim(1))
    current, by = scanned.get_output(0), shift.get_output(0)
    loop.go_on_while(compare("LESS", by, length))
    # Windows with a start that the loop computes would have unknown sizes, which TensorRT builds outside of loops only.
    source = elementwise("SUB", iota(length), by)
    earlier = gather(current, elementwise("MAX", source, cast(0, torch.int64)), axis)
    inside = along_axis(logical_not(compare("LESS", source, 0)), axis, rank_of(value))
    loop.update(scanned, combine(where(inside, earlier, number_like(neutral, value)), current))
    loop.update(shift, elementwise("SUM", by, by))
    return loop.last(scanned)


def _delayed(value: Any, axis: int, by: int, neutral: float | int) -> Any:
    """``value`` moved ``by`` elements back along ``axis``; ``neutral`` comes in."""
    rank = rank_of(value)
    starts: list[Dim] = [0] * rank
    starts[axis] = dim_sub(0, by)
    fill = number_like(neutral, value)
    return strided_slice(value, starts, shape_of(value), [1] * rank, mode="FILL", fill=fill)


def running_product(value: Tensor, axis: int) -> Any:
    """``torch.cumprod`` in the dtype of ``value``."""
    return scan_doubling(value, axis, lambda left, right: elementwise("PROD", left, right), 1)


def running_extreme(operation: str, value: Tensor, axis: int) -> tuple[Any, Any]:
    """``torch.cummax`` (``MAX``) or ``cummin`` (``MIN``): values, and the int64 index of the last that is it.

    From the first NaN on all are NaN, and the index is that of the last NaN.
    """
    value = tensor(value)
    best, hit = _running_values(operation, value, axis)
    here = where(hit, places(value, axis), torch.tensor(-1))
    index = scan_doubling(here, axis, lambda left, right: elementwise("MAX", left, right), -1)
    return best, index


def _running_values(operation: str, value: Any, axis: int) -> tuple[Any, Any]:
    def further(left: Any, right: Any) -> Any:
        return elementwise(operation, left, right)

    if not is_float(value):
        info = torch.iinfo(torch.int64 if "INT64" in str(value.dtype) else torch.int32)
        best = scan_doubling(value, axis, further, info.min if operation == "MAX" else info.max)
        return best, compare("EQUAL", value, best)
    worst = -math.inf if operation == "MAX" else math.inf
    nans = unary("ISNAN", value)
    numbers = scan_doubling(where(nans, number_like(worst, value), value), axis, further, worst)
    seen = compare("GREATER", cumulative_sum(cast(nans, torch.int32), axis), 0)
    best = where(seen, number_like(math.nan, value), numbers)
    return best, elementwise("OR", nans, compare("EQUAL", value, best))


def running_log_sum_exp(value: Tensor, axis: int) -> Any:
    """``torch.logcumsumexp`` of a float32 tensor."""
    return scan_doubling(value, axis, logaddexp, -math.inf)
