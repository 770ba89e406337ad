"""Windows that slide over spatial axes: pooling layers, and what they cannot do by slices."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from ..absent import absent, is_read
from ..errors import UnsupportedArgumentError
from .convolution import unit_axes
from .dims import (
    Dim,
    Shape,
    dim_add,
    dim_floordiv,
    dim_mul,
    dim_sub,
    expand_list,
    is_static,
    rank_of,
    shape_of,
    size_of,
    static_shape,
)
from .dtypes import Tensor, cast, dtype_of, is_float, tensor
from .greatest import greatest_of_windows, lowest, plus_row
from .math import compare, elementwise, gather, reduce, unary, where
from .moving import traced_sizes
from .network import add_layer, enum
from .shape import expand, reshape, squeeze, swap_axes, unsqueeze
from .sliding import Windows, extended, taps
from .whole import chosen_where, positions, shaped, whole


def windows(
    size: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    ceil: bool,
    spatial: int,
) -> Windows:
    """The arguments of a PyTorch pooling function; an empty stride is the window's size."""
    sizes = expand_list(size, spatial)
    strides = sizes if stride is None or (not isinstance(stride, int) and not stride) else expand_list(stride, spatial)
    return Windows(
        tuple(sizes),
        tuple(strides),
        tuple(expand_list(padding, spatial)),
        tuple(expand_list(dilation, spatial)),
        ceil,
    )


def _unit(spec: Windows) -> Windows:
    """The windows of a 1-d pooling over a leading spatial axis of size 1."""
    if spec.spatial > 1:
        return spec
    return Windows((1, *spec.size), (1, *spec.stride), (0, *spec.padding), (1, *spec.dilation), spec.ceil)


def pooled(value: Tensor, spec: Windows, function: Callable[[Any, Windows], Any]) -> Any:
    """``function`` on a tensor with a batch axis and at least two spatial ones; its results as PyTorch has them."""
    added = unit_axes(rank_of(value), spec.spatial)
    image = unsqueeze(value, added) if added else tensor(value)
    unit = _within(_unit(spec), static_shape(image)[2:])
    if unit.ceil and unit.rounds_nothing(static_shape(image)[2:]):
        unit = replace(unit, ceil=False)
    results = function(image, unit)
    if not added:
        return results
    if isinstance(results, tuple):
        return tuple(squeeze(result, added) for result in results)
    return squeeze(results, added)


def _within(spec: Windows, lengths: Sequence[int]) -> Windows:
    """The windows, no longer than the padded input, as rounding up allows, nor farther apart.

    Args:
        spec: the windows.
        lengths: of the input's spatial axes; -1 for those that are not known.
    """
    sizes, strides = list(spec.size), list(spec.stride)
    for axis, length in enumerate(lengths):
        if length > 0:
            most = length + 2 * spec.padding[axis]
            strides[axis] = min(strides[axis], most)
            if spec.dilation[axis] == 1:
                sizes[axis] = min(sizes[axis], most)
    return replace(spec, size=tuple(sizes), stride=tuple(strides))


def pool_by_sizes(operation: str, value: Tensor, size: Shape, stride: Shape, spatial: int, plain: bool) -> Any:
    """Pooling by windows whose sizes are known at run time only, such as that of the whole image.

    Args:
        operation: ``AVG`` or ``MAX``.
        value: the images.
        size: of a window, one number an axis, or one for all.
        stride: the same; the size if empty.
        spatial: how many axes.
        plain: whether there is neither padding nor dilation, nor a divisor, and the number of windows is rounded down.

    Raises:
        UnsupportedArgumentError: it is not plain.
    """
    if not plain:
        raise UnsupportedArgumentError(
            "pooling by windows of a size that is known at run time only, with more than a stride",
            hint="pad the input before it, or pass a kernel_size that is known",
        )
    sizes = _one_an_axis(size, spatial)
    strides = _one_an_axis(stride, spatial) if stride else sizes
    result, first = tensor(value), rank_of(value) - spatial
    for axis, (extent, step) in enumerate(zip(sizes, strides, strict=True), first):
        count = dim_add(dim_floordiv(dim_sub(size_of(result, axis), extent), step), 1)
        starts = whole("PROD", positions(count), step)
        places = whole("SUM", shaped(starts, [count, 1]), positions(extent))
        result = reduce(operation, gather(result, places, axis), [axis + 1], keepdim=False)
    return reshape(result, _sizes_of_trace(result))


def _sizes_of_trace(value: Any) -> list[Dim]:
    """The sizes of ``value``, which takes the node's place; 1 where both traces have one window, that of a whole axis.

    Should they meet by chance only, a reshape to these sizes fails at a third size: it cannot give wrong numbers.
    """
    traced = traced_sizes([-1] * rank_of(value))
    return [1 if isinstance(dim, int) and dim == 1 else size_of(value, axis) for axis, dim in enumerate(traced)]


def _one_an_axis(values: Any, count: int) -> list[Dim]:
    listed = list(values) if isinstance(values, (list, tuple)) else [values]
    return listed * count if len(listed) == 1 else listed


def max_pool(value: Tensor, spec: Windows) -> Any:
    """The greatest element of each window."""
    return pooled(value, spec, _max_pool)


def _max_pool(value: Any, spec: Windows) -> Any:
    if is_float(value) and max(spec.dilation) == 1:
        return _native(value, spec, "MAX", -math.inf)
    for axis in range(spec.spatial):  # one axis after the other takes the fewest slices
        if spec.size[axis] > 1 or spec.stride[axis] > 1 or spec.padding[axis]:
            found, _ = taps(value, _only(spec, axis), lowest(dtype_of(value)))
            value = functools.reduce(functools.partial(elementwise, "MAX"), [tap for _, tap in found])
    return value


def _only(spec: Windows, axis: int) -> Windows:
    """The windows along one axis alone."""

    def pick(numbers: tuple[int, ...], other: int) -> tuple[int, ...]:
        return tuple(number if index == axis else other for index, number in enumerate(numbers))

    return Windows(pick(spec.size, 1), pick(spec.stride, 1), pick(spec.padding, 0), pick(spec.dilation, 1), spec.ceil)


_TOO_MANY = 100_000
"""Elements of a window that TensorRT's layer does not take."""
_TOO_WIDE = 257
"""Elements of a window along the last axis with which kernels of TensorRT for RTX 1.4 leave their memory (H200)."""


def _native(value: Any, spec: Windows, kind: str, fill: float, **attributes: Any) -> Any:
    """A pooling layer, or one an axis where its windows are too large for TensorRT."""
    if math.prod(spec.size) < _TOO_MANY and spec.size[-1] < _TOO_WIDE:
        return _layer(value, spec, kind, fill, **attributes)
    first = rank_of(value) - spec.spatial
    for axis in range(spec.spatial):
        along = _only(spec, axis)
        if along.size[axis] == static_shape(value)[first + axis] and not along.padding[axis]:
            value = reduce({"AVERAGE": "AVG"}.get(kind, kind), value, [first + axis], keepdim=True)
        elif along.size[-1] < _TOO_WIDE:
            value = _layer(value, along, kind, fill, **attributes)
        else:
            swapped = _layer(swap_axes(value, -2, -1), _swapped(along), kind, fill, **attributes)
            value = swap_axes(swapped, -2, -1)
    return value


def _swapped(spec: Windows) -> Windows:
    """The windows on an input whose last two axes changed places."""

    def swap(numbers: tuple[int, ...]) -> tuple[int, ...]:
        return (*numbers[:-2], numbers[-1], numbers[-2])

    return Windows(swap(spec.size), swap(spec.stride), swap(spec.padding), swap(spec.dilation), spec.ceil)


def _layer(value: Any, spec: Windows, kind: str, fill: float, **attributes: Any) -> Any:
    """A pooling layer; where rounding up would count other windows than PyTorch, on an input padded beforehand."""
    padding, mode = spec.padding, "EXPLICIT_ROUND_DOWN"
    if spec.ceil:
        if _rounds_up(value, spec):
            mode = "EXPLICIT_ROUND_UP"
        else:
            value, _ = extended(value, spec, fill)
            padding = (0,) * spec.spatial
    return add_layer(
        "pooling_nd",
        value,
        enum("PoolingType", kind),
        spec.size,
        stride_nd=spec.stride,
        padding_nd=padding,
        padding_mode=enum("PaddingMode", mode),
        **attributes,
    )


def _rounds_up(value: Any, spec: Windows) -> bool:
    """Whether TensorRT's rounding up gives PyTorch's windows; with sizes known at run time engines of it fail."""
    return spec.never_start_outside and is_static(value)


def average_pool(value: Tensor, spec: Windows, include_padding: bool, divisor: int | None) -> Any:
    """The mean of each window: over the padded input, or the input alone, or its sum over ``divisor``."""
    return pooled(value, spec, lambda image, unit: _average_pool(image, unit, include_padding, divisor))


def _average_pool(value: Any, spec: Windows, include_padding: bool, divisor: int | None) -> Any:
    if not is_float(value):
        found, counts = taps(value, spec, 0)
        total = functools.reduce(functools.partial(elementwise, "SUM"), [tap for _, tap in found])
        return elementwise("DIV", total, _divisors(value, spec, counts, include_padding, divisor, dtype_of(value)))
    # What rounding up reaches beyond the padding counts in TensorRT's divisor unless that leaves all padding out.
    excludes = not include_padding or not any(spec.padding)
    fits = not spec.ceil or (excludes and _rounds_up(value, spec))
    if divisor is None and fits:
        return _native(value, spec, "AVERAGE", 0.0, average_count_excludes_padding=excludes)
    image, counts = extended(value, spec, 0.0)
    plain = Windows(spec.size, spec.stride, (0,) * spec.spatial, spec.dilation, False)
    mean = _native(image, plain, "AVERAGE", 0.0)
    factor: Any = torch.tensor(float(math.prod(spec.size)))
    if divisor is not None:
        return elementwise("PROD", mean, (factor / divisor).to(dtype_of(value)))
    divisors = _divisors(value, spec, counts, include_padding, None, torch.float32)
    total = elementwise("PROD", cast(mean, torch.float32), factor)
    return cast(elementwise("DIV", total, divisors), dtype_of(value))


def _divisors(
    value: Any, spec: Windows, counts: Sequence[Dim], include_padding: bool, divisor: int | None, dtype: torch.dtype
) -> Tensor:
    """How many elements of each window count, to broadcast to the windows; known if the sizes are."""
    result: Tensor = torch.tensor(1 if divisor is None else divisor)
    if divisor is None:
        lead = rank_of(value) - spec.spatial
        for axis, count in enumerate(counts):
            along = _covered(spec, axis, size_of(value, lead + axis), count, include_padding)
            result = whole("PROD", result, shaped(along, _along(spec, axis)))
    return cast(result, dtype)


def _along(spec: Windows, axis: int) -> list[int]:
    """The shape of a vector along one spatial axis."""
    return [-1 if other == axis else 1 for other in range(spec.spatial)]


def _covered(spec: Windows, axis: int, length: Dim, count: Dim, include_padding: bool) -> Tensor:
    """How many elements each window along one axis covers; int64."""
    margin = spec.padding[axis] if include_padding else 0
    start = positions(count, -spec.padding[axis], spec.stride[axis])
    end = whole("MIN", whole("SUM", start, spec.size[axis]), dim_add(length, margin))
    return whole("SUB", end, whole("MAX", start, -margin))


INDICES = "the indices of a maximum, which nothing read when it was converted"
_MANY = 16
"""Elements of a window that are compared one after the other; with more of them it is done along one axis at a time."""


def max_pool_with_indices(value: Tensor, spec: Windows) -> tuple[Any, Any]:
    """The greatest element of each window, and its place among the input's spatial elements; the first of equals.

    A NaN is the greatest, the last one of several, as in aten/src/ATen/native/cpu/MaxPoolKernel.cpp. Where nothing
    reads the places, it is :func:`max_pool`.
    """
    if not is_read(1):
        return max_pool(value, spec), absent(INDICES)
    values, indices = pooled(value, spec, _max_pool_with_indices)
    return values, indices


def _max_pool_with_indices(value: Any, spec: Windows) -> tuple[Any, Any]:
    padded = spec.ceil or any(spec.padding)
    if math.prod(spec.size) > _MANY and (max(spec.dilation) == 1 or not padded):  # each window has an element inside
        return _max_pool_by_axis(value, spec, padded)
    lead = rank_of(value) - spec.spatial
    lengths = [size_of(value, lead + axis) for axis in range(spec.spatial)]
    least = lowest(dtype_of(value))
    found, counts = taps(value, spec, least)
    if any(spec.padding):
        best = tensor(torch.full((1,) * rank_of(value), least, dtype=dtype_of(value)))
        chosen = _flat([_first_inside(spec, axis, count) for axis, count in enumerate(counts)], spec, lengths)
    else:  # the first element is inside; TensorRT refuses to choose between two equal constants
        best = found.pop(0)[1]
        chosen = _flat([_tap_index(spec, axis, 0, count) for axis, count in enumerate(counts)], spec, lengths)
    for place, tap in found:
        along = [_tap_index(spec, axis, index, counts[axis]) for axis, index in enumerate(place)]
        better = compare("GREATER", tap, best)
        if is_float(value):
            better = elementwise("OR", better, unary("ISNAN", tap))
        best = where(better, tap, best)
        chosen = where(better, _flat(along, spec, lengths), chosen)
    return best, _spread(chosen, best)


def _max_pool_by_axis(value: Any, spec: Windows, padded: bool) -> tuple[Any, Any]:
    """The same, one axis after the other: windows of whatever size take a few layers each."""
    lead = rank_of(value) - spec.spatial
    best, inner = value, 1
    chosen: Tensor = torch.zeros((1,) * rank_of(value), dtype=torch.int64)
    for axis in reversed(range(spec.spatial)):
        length = size_of(value, lead + axis)
        chosen, inner = plus_row(chosen, lead + axis, length, inner), dim_mul(inner, length)
        if spec.size[axis] == spec.stride[axis] == 1 and not spec.padding[axis]:
            continue
        start = shaped(_tap_index(spec, axis, 0, spec.count(axis, length)), [-1, 1])
        places = whole("SUM", start, torch.arange(spec.size[axis]) * spec.dilation[axis])
        inside = None
        if padded:
            inside = whole("AND", whole("GREATER", places, -1), whole("LESS", places, length))
            places = whole("MAX", whole("MIN", places, dim_sub(length, 1)), 0)
        best, chosen = greatest_of_windows(best, chosen, lead + axis, places, inside)
    return best, chosen


def _spread(chosen: Tensor, best: Any) -> Any:
    """Indices in the sizes of the values that they belong to."""
    if not isinstance(chosen, torch.Tensor):
        return chosen
    return expand(tensor(chosen), shape_of(best))


def _tap_index(spec: Windows, axis: int, index: int, count: Dim) -> Tensor:
    """Where the ``index``-th element of each window lies on an axis."""
    return positions(count, index * spec.dilation[axis] - spec.padding[axis], spec.stride[axis])


def _first_inside(spec: Windows, axis: int, count: Dim) -> Tensor:
    """Where the first element of each window that is no padding lies on an axis."""
    result = _tap_index(spec, axis, 0, count)
    for step in range(1, -(-spec.padding[axis] // spec.dilation[axis]) + 1):
        result = chosen_where(whole("LESS", result, 0), _tap_index(spec, axis, step, count), result)
    return result


def _flat(along: Sequence[Tensor], spec: Windows, lengths: Sequence[Dim]) -> Tensor:
    """Coordinates, one vector a spatial axis, as places in the flattened spatial axes; known if all are."""
    result: Tensor = 0
    for axis, (places, length) in enumerate(zip(along, lengths, strict=True)):
        result = whole("SUM", whole("PROD", result, length), shaped(places, _along(spec, axis)))
    return result
