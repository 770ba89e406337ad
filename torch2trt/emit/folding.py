"""Windows as columns and back: ``unfold`` and ``fold``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .dims import Dim, all_known, dim_add, dim_floordiv, dim_mul, dim_product, dim_sub, rank_of, shape_of
from .dtypes import Tensor, dtype_of, tensor
from .math import gather, reduce, where
from .padding import pad
from .shape import permute, reshape, squeeze, unsqueeze
from .sliding import Windows
from .whole import positions, remainder_and_quotient, shaped, whole


def _touching(spec: Windows, lengths: Sequence[Dim]) -> bool:
    """Whether the windows lie side by side and cover everything."""
    return (
        spec.stride == spec.size
        and not any(spec.padding)
        and max(spec.dilation) == 1
        and all_known(lengths)
        and all(int(length) % size == 0 for length, size in zip(lengths, spec.size, strict=True))
    )


def unfold(value: Tensor, spec: Windows) -> Any:
    """``torch.nn.functional.unfold``: ``(N, C, H, W)`` to ``(N, C * windows' elements, windows)``; batch optional."""
    batched = rank_of(value) == 4
    image = tensor(value) if batched else unsqueeze(value, 0)
    batch, channels, *lengths = shape_of(image)
    counts = [spec.count(axis, length) for axis, length in enumerate(lengths)]
    if _touching(spec, lengths):
        (rows, columns), (high, wide) = counts, spec.size
        split = reshape(image, [batch, channels, rows, high, columns, wide])
        windows = permute(split, [0, 1, 3, 5, 2, 4])
    else:
        image = pad(image, [spec.padding[1], spec.padding[1], spec.padding[0], spec.padding[0]], 0)
        for axis in (1, 0):
            place = 2 + axis
            single = _is_single(spec, axis)
            image = unsqueeze(image, place) if single else gather(image, _elements(spec, axis, counts[axis]), place)
        windows = permute(image, [0, 1, 2, 4, 3, 5])
    merged = dim_mul(channels, spec.size[0] * spec.size[1])
    result = reshape(windows, [batch, merged, dim_product(counts)])
    return result if batched else squeeze(result, [0])


def _is_single(spec: Windows, axis: int) -> bool:
    """Whether every element along an axis is a window."""
    return (spec.size[axis], spec.stride[axis], spec.padding[axis]) == (1, 1, 0)


def _elements(spec: Windows, axis: int, count: Dim) -> Tensor:
    """The index of each element of each window: ``(elements, windows)``."""
    offset = torch.arange(spec.size[axis]).reshape(-1, 1) * spec.dilation[axis]
    return _narrow(whole("SUM", offset, shaped(positions(count, 0, spec.stride[axis]), [1, -1])))


def _narrow(index: Tensor) -> Tensor:
    """A known index as int32, which takes half of the memory in an engine."""
    return index.int() if isinstance(index, torch.Tensor) else index


def fold(value: Tensor, sizes: Sequence[Dim], spec: Windows) -> Any:
    """``torch.nn.functional.fold``: columns back to ``(N, C, H, W)``, what overlaps is summed; batch optional."""
    batched = rank_of(value) == 3
    columns = tensor(value) if batched else unsqueeze(value, 0)
    batch, merged, _ = shape_of(columns)
    channels = dim_floordiv(merged, spec.size[0] * spec.size[1])
    counts = [spec.count(axis, length) for axis, length in enumerate(sizes)]
    parts = reshape(columns, [batch, channels, *spec.size, *counts])
    parts = permute(parts, [0, 1, 2, 4, 3, 5])  # a window's rows beside the windows' rows, and so the columns
    if _touching(spec, sizes):
        result = reshape(permute(parts, [0, 1, 3, 2, 5, 4]), [batch, channels, *sizes])
    else:
        high, wide = (dim_mul(size, count) for size, count in zip(spec.size, counts, strict=True))
        parts = reshape(parts, [batch, channels, high, wide])
        for axis in (0, 1):
            parts = _summed(parts, spec, axis, sizes[axis], counts[axis])
        result = parts
    return result if batched else squeeze(result, [0])


def _frames(size: int, hop: int) -> Windows:
    return Windows((1, size), (1, hop), (0, 0), (1, 1), False)


def frames(signal: Tensor, size: int, hop: int) -> Any:
    """Of a signal ``(N, length)`` frames, each ``hop`` after the one before: ``(N, size, number of frames)``."""
    batch, length = shape_of(signal)
    return unfold(reshape(signal, [batch, 1, 1, length]), _frames(size, hop))


def overlap_add(pieces: Tensor, hop: int) -> Any:
    """The sum of :func:`frames`, each in its place."""
    batch, size, count = shape_of(pieces)
    length = dim_add(dim_mul(dim_sub(count, 1), hop), size)
    signal = fold(pieces, [1, length], _frames(size, hop))
    return reshape(signal, [batch, length])


def _summed(value: Any, spec: Windows, axis: int, length: Dim, count: Dim) -> Any:
    """Windows along an axis, flattened as ``(elements, windows)``, summed where they lie on one another."""
    if _is_single(spec, axis):
        return value
    index, inside = overlapping(spec, axis, length, count)
    trailing = [1] * (rank_of(value) - 3 - axis)
    found = gather(value, _narrow(index), 2 + axis)
    zero = torch.zeros((), dtype=dtype_of(value))
    kept = where(shaped(inside, [length, -1, *trailing]), found, zero)
    return reduce("SUM", kept, [3 + axis], keepdim=False)


def overlapping(spec: Windows, axis: int, length: Dim, count: Dim) -> tuple[Tensor, Tensor]:
    """For each place of an axis the elements of windows that lie on it.

    Returns:
        int64 indices ``element * count + window`` of shape ``(length, candidates)``, in range, and which of them count.
    """
    element, window, inside = candidates(spec, axis, length, count)
    index = whole("SUM", whole("PROD", element, count), window)
    most = whole("SUB", whole("PROD", count, spec.size[axis]), 1)
    return whole("MIN", whole("MAX", index, 0), most), inside


def candidates(spec: Windows, axis: int, length: Dim, count: Dim) -> tuple[Tensor, Tensor, Tensor]:
    """For each place of an axis pairs of an element and the window that has it there; ``(length, candidates)`` each.

    Returns:
        elements, windows, and which of the pairs exist.
    """
    size, stride, step = spec.size[axis], spec.stride[axis], spec.dilation[axis]
    place = shaped(positions(length, spec.padding[axis]), [-1, 1])
    if step == 1:  # every stride-th element of a window is a candidate
        rest, last = remainder_and_quotient(place, stride)
        offset = torch.arange(-(-size // stride)).reshape(1, -1)
        element, window = whole("SUM", rest, offset * stride), whole("SUB", last, offset)
        inside = whole("LESS", element, size)
    else:
        element = torch.arange(size).reshape(1, -1)
        rest, window = remainder_and_quotient(whole("SUB", place, element * step), stride)
        inside = whole("EQUAL", rest, 0)
    inside = whole("AND", inside, whole("GREATER", window, -1))
    return element, window, whole("AND", inside, whole("LESS", window, count))
