"""Reductions as PyTorch defines them: accumulated in float32, with its NaN rules, for every dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .dims import Dim, as_dim, axis_of, dim_max, dim_product, dim_sub, rank_of, size_of, static_shape
from .dtypes import Tensor, cast, dtype_of, is_bool, is_float, tensor
from .fill import filled
from .math import compare, elementwise, logical, reduce, unary, where
from .moving import iota
from .pointwise import computable, convert, is_half, number_like, to_uint8, widened
from .shape import reshape, squeeze, unsqueeze


def reduced_shape(value: Tensor, axes: Sequence[int], keepdim: bool) -> list[Dim]:
    """The sizes that a reduction over ``axes`` leaves."""
    rank = rank_of(value)
    kept = [axis for axis in range(rank) if keepdim or axis not in axes]
    return [1 if axis in axes else size_of(value, axis) for axis in kept]


def reduces_nothing(value: Tensor, axes: Sequence[int]) -> bool:
    """Whether a reduced axis is known to be empty."""
    sizes = static_shape(value)
    return any(sizes[axis] == 0 for axis in axes)


def sum_dtype(value: Tensor, dtype: torch.dtype | None = None) -> torch.dtype:
    """The dtype of a sum or product, ``dtype`` if given: integers and booleans add up in int64."""
    return dtype or (dtype_of(value) if is_float(value) else torch.int64)


def accumulated(operation: str, value: Tensor, axes: Sequence[int], keepdim: bool, dtype: torch.dtype) -> Any:
    """A ``SUM``, ``PROD`` or ``AVG`` with a result of ``dtype``, in which the elements are added.

    Half precision accumulates in float32, uint8 wraps, and booleans are or-ed (summed) or and-ed (multiplied).
    """
    if dtype == torch.bool:
        return holds("MAX" if operation == "SUM" else "MIN", logical(value), axes, keepdim)
    value = convert(value, dtype)
    wide = torch.float32 if is_half(dtype) else computable(dtype)
    result = reduce(operation, cast(value, wide), axes, keepdim)
    return to_uint8(result) if dtype == torch.uint8 else cast(result, dtype)


def holds(operation: str, value: Tensor, axes: Sequence[int], keepdim: bool) -> Any:
    """Whether a boolean tensor is true anywhere (``MAX``) or everywhere (``MIN``) along ``axes``.

    Compared with 0, what TensorRT gives for no elements is right too: the least and the largest number.
    """
    return compare("GREATER", reduce(operation, cast(value, torch.int32), axes, keepdim), 0)


def extreme(operation: str, value: Tensor, axes: Sequence[int], keepdim: bool) -> Any:
    """The maximum (``MAX``) or minimum (``MIN``) along ``axes``: NaN where any element is.

    TensorRT's own reduction keeps or drops a NaN by chance, so that NaNs, and nothing else, are summed beside it.
    """
    dtype = dtype_of(value)
    if is_bool(value):
        return compare("GREATER", reduce(operation, cast(value, torch.int32), axes, keepdim), 0)
    if dtype == torch.uint8:
        return to_uint8(reduce(operation, widened(value), axes, keepdim))
    best = reduce(operation, value, axes, keepdim)
    if not is_float(value):
        return best
    nans = where(unary("ISNAN", value), value, number_like(0, value))
    return elementwise("SUM", best, reduce("SUM", nans, axes, keepdim))


def arg_extreme(operation: str, value: Tensor, axis: int, keepdim: bool) -> tuple[Any, Any]:
    """The maximum or minimum along one axis, and the int64 index of the first element that is it, or is NaN.

    It compares and reduces: TensorRT's top-k takes NaN for the least number, and promises no order of equals.
    """
    dtype = dtype_of(value)
    if rank_of(value) == 0:
        return tensor(value), torch.zeros((), dtype=torch.int64)
    value = cast(value, torch.int32) if dtype in (torch.bool, torch.uint8) else tensor(value)
    best = extreme(operation, value, [axis], keepdim=True)
    hit = elementwise("EQUAL", value, best)
    if is_float(value):
        hit = elementwise("OR", hit, unary("ISNAN", value))
    place = first_true(hit, axis)
    if not keepdim:
        best = squeeze(best, [axis])
    else:
        place = unsqueeze(place, axis)
    return convert(best, dtype), place


def places(value: Tensor, axis: int) -> Tensor:
    """``0, 1, ...`` along one axis of ``value``, int64, to broadcast with it; known if the size is."""
    count = size_of(value, axis)
    shape = [1] * rank_of(value)
    shape[axis] = -1
    numbers = iota(count)
    return numbers.reshape(shape) if isinstance(numbers, torch.Tensor) else reshape(numbers, shape)


NOWHERE = torch.iinfo(torch.int64).max


def first_true(hit: Tensor, axis: int) -> Any:
    """The int64 index of the first true element along ``axis``, which is removed; :data:`NOWHERE` if none is."""
    return reduce("MIN", where(hit, places(hit, axis), torch.tensor(NOWHERE)), [axis], keepdim=False)


def flat(value: Tensor) -> Any:
    """``value`` as a vector."""
    return reshape(value, [-1] if 0 not in static_shape(value) else [dim_product(list(static_shape(value)))])


def count_of(value: Tensor, axes: Sequence[int]) -> Dim:
    """How many elements a reduction over ``axes`` takes in."""
    return dim_product([size_of(value, axis) for axis in axes])


def variance(value: Tensor, axes: Sequence[int], correction: float, keepdim: bool) -> tuple[Any, Any]:
    """Variance and mean of a float tensor, both in float32.

    The sum of squares is divided by ``max(0, count - correction)``, as in torch.var. The mean of infinite elements is
    infinite; that of eager's, which is updated element by element, is NaN.
    """
    value = cast(value, torch.float32)
    mean = reduce("AVG", value, axes, keepdim=True)
    gap = elementwise("SUB", value, mean)
    squares = elementwise("PROD", gap, gap)
    if correction == 0:
        spread = reduce("AVG", squares, axes, keepdim)
    else:
        spread = elementwise("DIV", reduce("SUM", squares, axes, keepdim), _degrees(value, axes, correction))
    if not keepdim:
        mean = squeeze(mean, axes)
    return spread, mean


def _degrees(value: Tensor, axes: Sequence[int], correction: float) -> Tensor:
    count = count_of(value, axes)
    if isinstance(count, int):
        return torch.tensor(max(0.0, count - correction), dtype=torch.float32)
    if correction == int(correction):
        return cast(as_dim(dim_max(0, dim_sub(count, int(correction)))), torch.float32)
    rest = elementwise("SUB", cast(count, torch.float32), torch.tensor(correction, dtype=torch.float32))
    return elementwise("MAX", rest, torch.tensor(0.0))


def log_sum_exp(value: Tensor, axes: Sequence[int], keepdim: bool) -> Any:
    """``log(sum(exp(value)))`` of a float32 tensor without overflow; infinite where the largest element is."""
    peak = reduce("MAX", value, axes, keepdim=True)
    peak = where(unary("ISINF", peak), torch.tensor(0.0), peak)
    total = reduce("SUM", unary("EXP", elementwise("SUB", value, peak)), axes, keepdim)
    return elementwise("SUM", unary("LOG", total), peak if keepdim else squeeze(peak, axes))


def full_result(value: Tensor, axes: Sequence[int], keepdim: bool, number: float, dtype: torch.dtype) -> Any:
    """``number`` in the shape that a reduction over ``axes`` leaves."""
    return filled(reduced_shape(value, axes, keepdim), number, dtype)


def axis_or_all(value: Tensor, axis: int | None, keepdim: bool) -> tuple[Any, int, list[Dim] | None]:
    """What an op reduces that takes one axis or, for None, the flattened tensor.

    Returns:
        the tensor, the axis, and the sizes to give the result, or None if they are right already.
    """
    rank = rank_of(value)
    value = widened(value)  # TensorRT reshapes no uint8
    if axis is not None or rank == 0:
        return tensor(value), axis_of(axis or 0, rank), None
    return flat(value), 0, [1] * rank if keepdim else None
