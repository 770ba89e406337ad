"""Regions of interest: boxes of a feature map pooled to one size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import UnsupportedArgumentError
from .dims import Dim, dim_floordiv, dim_mul, dim_sub, shape_of, size_of, static_shape
from .dtypes import Tensor, cast, dtype_of, tensor
from .math import elementwise, gather, logical_not, reduce, unary, where
from .moving import take
from .sampling import float_size, number
from .shape import permute, reshape, unsqueeze
from .whole import positions, shaped, whole


@dataclass(frozen=True)
class Regions:
    """Boxes, and how they are pooled.

    Args:
        boxes: of shape ``(K, 5)``: batch index, then x and y of two corners.
        scale: from their coordinates to those of the feature map.
        size: rows and columns of the result.
        samples: per bin and axis; none or negative: as many as a bin covers elements.
    """

    boxes: Tensor
    scale: float
    size: tuple[int, int]
    samples: int

    @property
    def batch(self) -> Any:
        """Which image each box is of: int64 of shape ``(K,)``."""
        return cast(take(self._float(), 0, 1), torch.int64)

    def _float(self) -> Any:
        return tensor(self.boxes, torch.float32)

    def edge(self, axis: int, last: bool) -> Any:
        """The first or last coordinate of each box along y (0) or x (1), scaled; float32 of shape ``(K,)``."""
        edge = take(self._float(), (3 if last else 1) + 1 - axis, 1)
        return elementwise("PROD", edge, number(self.scale))

    def sample_count(self, axis: int, minimum: float | None) -> int:
        """How many samples a bin takes along an axis.

        Raises:
            UnsupportedArgumentError: it depends on boxes that are known at run time only, or differs among boxes.
        """
        if self.samples > 0:
            return self.samples
        if not isinstance(self.boxes, torch.Tensor):
            raise UnsupportedArgumentError(
                "without a sampling ratio the number of samples depends on boxes that are known at run time only",
                hint="pass sampling_ratio=2, as torchvision's detection models do",
            )
        edges = self.boxes.float() * torch.tensor(self.scale)
        length = edges[:, 4 - axis] - edges[:, 2 - axis]
        if minimum is not None:
            length = length.clamp(min=minimum)
        counts = set(torch.ceil(length / self.size[axis]).int().tolist()) or {1}
        if len(counts) > 1 or min(counts) < 1:
            raise UnsupportedArgumentError(
                f"without a sampling ratio the boxes take different numbers of samples: {sorted(counts)}",
                hint="pass a sampling ratio",
            )
        return counts.pop()


def _sample_places(start: Any, length: Any, bins: int, samples: int) -> Any:
    """Where the samples lie along one axis: float32 of shape ``(K, bins * samples)``."""
    size = elementwise("DIV", length, number(bins))
    first = torch.arange(bins, dtype=torch.float32).repeat_interleave(samples).reshape(1, -1)
    within = (torch.arange(samples, dtype=torch.float32) + 0.5).repeat(bins).reshape(1, -1)
    step = elementwise("DIV", elementwise("PROD", unsqueeze(size, 1), within), number(samples))
    corner = elementwise("SUM", unsqueeze(start, 1), elementwise("PROD", unsqueeze(size, 1), first))
    return elementwise("SUM", corner, step)


def _neighbours(place: Any, size: Dim) -> tuple[Any, Any]:
    """The two neighbours of each sample of shape ``(K, S)``: int64 indices and weights of shape ``(K, 2, S)``.

    A sample up to one element outside reads the border; one farther away weighs nothing (``bilinear_interpolate`` in
    torchvision/csrc/ops/cpu/roi_align_common.h).
    """
    outside = elementwise(
        "OR", elementwise("LESS", place, number(-1.0)), elementwise("GREATER", place, float_size(size))
    )
    last = float_size(size - 1) if isinstance(size, int) else elementwise("SUB", float_size(size), number(1.0))
    held = elementwise("MIN", elementwise("MAX", place, number(0.0)), last)
    low = unary("FLOOR", held)
    fraction = unsqueeze(elementwise("SUB", held, low), 1)
    sign, offset = torch.tensor([-1.0, 1.0]).reshape(1, 2, 1), torch.tensor([1.0, 0.0]).reshape(1, 2, 1)
    weight = elementwise("SUM", elementwise("PROD", fraction, sign), offset)
    weight = where(unsqueeze(outside, 1), number(0.0), weight)
    pair = elementwise("MIN", elementwise("SUM", unsqueeze(low, 1), torch.tensor([0.0, 1.0]).reshape(1, 2, 1)), last)
    # The last maximum keeps the index of a NaN in range.
    return cast(elementwise("MAX", pair, number(0.0)), torch.int64), weight


def _split(value: Any, bins: int, samples: int) -> Any:
    """``(K, 2, bins * samples)`` to ``(K, 2, bins, samples)``."""
    return reshape(value, [size_of(value, 0), 2, bins, samples])


def _samples(regions: Regions, value: Any, starts: Sequence[Any], lengths: Sequence[Any], counts: Sequence[int]) -> Any:
    """Per axis the neighbours' indices and weights, shaped ``(K, 2, bins, samples)``."""
    found = []
    for axis in (0, 1):
        place = _sample_places(starts[axis], lengths[axis], regions.size[axis], counts[axis])
        index, weight = _neighbours(place, size_of(value, 2 + axis))
        found.append(tuple(_split(part, regions.size[axis], counts[axis]) for part in (index, weight)))
    return found


def roi_align(value: Tensor, regions: Regions, aligned: bool) -> Any:
    """``torchvision.ops.roi_align`` in float32: rows of channels are gathered, weighted and averaged."""
    dtype, value = dtype_of(value), tensor(value)
    starts, lengths, counts = [], [], []
    for axis in (0, 1):
        first, last = regions.edge(axis, False), regions.edge(axis, True)
        length = elementwise("SUB", last, first)
        starts.append(elementwise("SUB", first, number(0.5)) if aligned else first)
        lengths.append(length if aligned else elementwise("MAX", length, number(1.0)))
        counts.append(regions.sample_count(axis, None if aligned else 1.0))
    (rows, row_weight), (columns, column_weight) = _samples(regions, value, starts, lengths, counts)
    batch, channels, height, width = shape_of(value)
    # (K, 2, bins, samples, 2, bins, samples), rows first
    rows, row_weight = (unsqueeze(part, [4, 5, 6]) for part in (rows, row_weight))
    columns, column_weight = (unsqueeze(part, [1, 2, 3]) for part in (columns, column_weight))
    image = unsqueeze(regions.batch, range(1, 7))
    index = whole("SUM", whole("PROD", whole("SUM", whole("PROD", image, height), rows), width), columns)
    pixels = reshape(permute(value, [0, 2, 3, 1]), [dim_mul(batch, dim_mul(height, width)), channels])
    found = cast(gather(pixels, index, 0), torch.float32)
    weight = elementwise("PROD", row_weight, column_weight)
    total = reduce("SUM", elementwise("PROD", found, unsqueeze(weight, 7)), [1, 3, 4, 6], keepdim=False)
    mean = elementwise("DIV", total, number(counts[0] * counts[1]))
    return cast(permute(mean, [0, 3, 1, 2]), dtype)


def channel_mapping(value: Tensor, regions: Regions) -> Any:
    """The input channel of each element of a position-sensitive result; int32 of shape ``(K, C, rows, columns)``."""
    high, wide = regions.size
    kept = dim_floordiv(size_of(value, 1), high * wide)
    channel = shaped(positions(dim_mul(kept, high * wide)), [1, kept, high, wide])
    repeated = whole("SUM", channel, shaped(_zeros(regions), [-1, 1, 1, 1]))
    return cast(repeated, torch.int32)


def _zeros(regions: Regions) -> Any:
    """One int64 zero a box."""
    return whole("PROD", positions(size_of(regions.boxes, 0)), 0)


def ps_roi_align(value: Tensor, regions: Regions) -> Any:
    """``torchvision.ops.ps_roi_align`` in float32."""
    dtype, value = dtype_of(value), tensor(value)
    starts, lengths, counts = [], [], []
    for axis in (0, 1):
        first, last = (elementwise("SUB", regions.edge(axis, end), number(0.5)) for end in (False, True))
        starts.append(first)
        lengths.append(elementwise("SUB", last, first))
        counts.append(regions.sample_count(axis, None))
    (rows, row_weight), (columns, column_weight) = _samples(regions, value, starts, lengths, counts)
    batch, channels, height, width = shape_of(value)
    high, wide = regions.size
    kept = dim_floordiv(channels, high * wide)
    # (K, C, 2, rows, samples, 2, columns, samples)
    rows, row_weight = (unsqueeze(part, [1, 5, 6, 7]) for part in (rows, row_weight))
    columns, column_weight = (unsqueeze(part, [1, 2, 3, 4]) for part in (columns, column_weight))
    image = unsqueeze(regions.batch, range(1, 8))
    channel = shaped(positions(dim_mul(kept, high * wide)), [1, kept, 1, high, 1, 1, wide, 1])
    plane = whole("SUM", whole("PROD", image, channels), channel)
    index = whole("SUM", whole("PROD", whole("SUM", whole("PROD", plane, height), rows), width), columns)
    flat = reshape(value, [dim_mul(dim_mul(batch, channels), dim_mul(height, width))])
    found = cast(gather(flat, index, 0), torch.float32)
    weight = elementwise("PROD", row_weight, column_weight)
    total = reduce("SUM", elementwise("PROD", found, weight), [2, 4, 5, 7], keepdim=False)
    return cast(elementwise("DIV", total, number(counts[0] * counts[1])), dtype)


def _rounded(value: Any) -> Any:
    """``std::round``: halves away from zero."""
    size = unary("FLOOR", elementwise("SUM", unary("ABS", value), number(0.5)))
    return where(elementwise("LESS", value, number(0.0)), unary("NEG", size), size)


_LONGEST = 4096
"""Boxes of up to this many elements have their bins in a table."""


def _bin_edges(regions: Regions, axis: int, length: Any) -> tuple[Any, Any]:
    """Where each bin starts, rounded down, and ends, rounded up, counted from its box; float32 of ``(K, bins)``.

    Rounding makes the last bit of the bins' size count, and TensorRT divides by a constant less exactly than PyTorch:
    so the bounds come from a table.

    Args:
        regions: the boxes.
        axis: y (0) or x (1).
        length: of each box, a whole number of at least 1; float32 of shape ``(K,)``.
    """
    bins = regions.size[axis]
    place = torch.arange(bins, dtype=torch.float32).reshape(1, -1)
    sizes = torch.arange(_LONGEST + 1, dtype=torch.float32).reshape(-1, 1) / bins
    row = cast(elementwise("MIN", length, number(_LONGEST)), torch.int64)
    step = unsqueeze(elementwise("DIV", length, number(bins)), 1)
    longer = unsqueeze(elementwise("GREATER", length, number(_LONGEST)), 1)
    edges = []
    for rounding, function, bound in (("FLOOR", torch.floor, place), ("CEIL", torch.ceil, place + 1)):
        table = function(sizes * bound)
        computed = unary(rounding, elementwise("PROD", step, bound))
        edges.append(where(longer, computed, gather(table, row, 0)))
    return edges[0], edges[1]


def _covering(first: Any, last: Any, size: Dim) -> Any:
    """Which elements of an axis lie in ``first <= place < last``; booleans of shape ``(K, bins, size)``."""
    place = cast(shaped(positions(size), [1, 1, -1]), torch.float32)
    begun = logical_not(elementwise("LESS", place, unsqueeze(first, 2)))
    return elementwise("AND", begun, elementwise("LESS", place, unsqueeze(last, 2)))


def _images(value: Tensor, regions: Regions) -> Any:
    """The image of each box, ``(K, C, H, W)``; a single image is not repeated."""
    return tensor(value) if static_shape(value)[0] == 1 else gather(value, regions.batch, 0)


def roi_pool(value: Tensor, regions: Regions) -> tuple[Any, Any]:
    """``torchvision.ops.roi_pool``, and the place of each maximum in its image; -1 where a bin is empty."""
    dtype = dtype_of(value)
    images = _images(value, regions)
    height, width = shape_of(images)[2:]
    best = images
    chosen: Any = shaped(positions(dim_mul(height, width)), [1, 1, height, width])
    for axis, size in ((1, width), (0, height)):
        start, end = (_rounded(regions.edge(axis, last)) for last in (False, True))
        length = elementwise("MAX", elementwise("SUM", elementwise("SUB", end, start), number(1.0)), number(1.0))
        low, high = (elementwise("SUM", edge, unsqueeze(start, 1)) for edge in _bin_edges(regions, axis, length))
        inside = _covering(low, high, size)
        best, chosen = _greatest(best, chosen, inside, 2 + axis)
    empty = elementwise("EQUAL", best, torch.tensor(-math.inf, dtype=dtype))
    values = where(empty, torch.zeros((), dtype=dtype), best)
    return values, cast(where(empty, torch.tensor(-1), chosen), torch.int32)


def _greatest(value: Any, chosen: Any, inside: Any, axis: int) -> tuple[Any, Any]:
    """The maximum of each bin along an axis and the least of the places that have it; ``inside`` is (K, bins, size)."""
    mask = unsqueeze(inside, [1, 2] if axis == 3 else [1, 4])
    parts = unsqueeze(value, axis)
    parts = where(mask, parts, torch.tensor(-math.inf, dtype=dtype_of(value)))
    best = reduce("MAX", parts, [axis + 1], keepdim=True)
    same = elementwise("AND", mask, elementwise("EQUAL", parts, best))
    nowhere = torch.tensor(torch.iinfo(torch.int64).max)
    places = where(same, unsqueeze(chosen, axis), nowhere)
    shape = [size for index, size in enumerate(shape_of(best)) if index != axis + 1]
    return reshape(best, shape), reduce("MIN", places, [axis + 1], keepdim=False)


def ps_roi_pool(value: Tensor, regions: Regions) -> Any:
    """``torchvision.ops.ps_roi_pool`` in float32: the mean of each bin, 0 where it is empty."""
    dtype = dtype_of(value)
    high, wide = regions.size
    height, width = shape_of(value)[2:]
    images = _images(tensor(value, torch.float32), regions)
    kept = dim_floordiv(size_of(value, 1), high * wide)
    parts = reshape(images, [size_of(images, 0), kept, high, wide, height, width])
    total: Any = None
    for axis, size in ((1, width), (0, height)):
        start, end = (_rounded(regions.edge(axis, last)) for last in (False, True))
        length = elementwise("MAX", elementwise("SUB", end, start), number(1.0))
        low, high = (elementwise("SUM", edge, unsqueeze(start, 1)) for edge in _bin_edges(regions, axis, length))
        # torchvision leaves the last row and column out (ps_roi_pool_kernel.cpp clips to size - 1)
        inside = _covering(low, elementwise("MIN", high, float_size(dim_sub(size, 1))), size)
        mask = unsqueeze(inside, [1, 2, 4] if axis == 1 else [1, 3])
        parts = reduce("SUM", where(mask, parts, number(0.0)), [5 if axis == 1 else 4], keepdim=False)
        covered = reduce("SUM", cast(inside, torch.float32), [2], keepdim=False)
        covered = unsqueeze(covered, [1, 2] if axis == 1 else [1, 3])
        total = covered if total is None else elementwise("PROD", total, covered)
    mean = elementwise("DIV", parts, elementwise("MAX", total, number(1.0)))
    return cast(mean, dtype)
