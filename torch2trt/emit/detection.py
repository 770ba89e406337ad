"""Suppression of overlapping boxes, and deformable convolution."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..context import building
from ..graph import Value
from ..trt_compat import trt
from .dims import Dim, as_dim, dim_min, dim_mul, dim_sub, shape_of, size_of, static_shape
from .dtypes import Tensor, cast, dtype_of, tensor
from .math import elementwise, gather, logical_not, matmul, reduce, where
from .network import add_layer, add_layer_object
from .pointwise import number_like
from .sampling import linear_places, number, sample
from .shape import concatenate, reshape, slice_axis, strided_slice, unsqueeze
from .sliding import Windows
from .sorting import order_along
from .whole import positions, shaped, whole

BOX_LIMIT = 5000
"""Most boxes that TensorRT's NMS layer considers (``INMSLayer.topk_box_limit``)."""


def non_maximum_suppression(boxes: Tensor, scores: Tensor, overlap: float) -> Any:
    """``torchvision.ops.nms``: int64 indices of the boxes that are kept, by falling score.

    The layer leaves open which of equal scores comes first and takes scores above a threshold alone. It is therefore
    given each box's rank, which torchvision's stable sort defines, in place of its score. More boxes than one layer
    considers are taken in turns, best first: those that overlap a box kept before are out. How many turns there are
    the example's number of boxes says, and a network that gets more stops with an error.
    """
    boxes = tensor(boxes, torch.float32)
    count = size_of(boxes, 0)
    turns = _turns(count)
    if not isinstance(count, int):
        most = turns * BOX_LIMIT
        few = elementwise("LESS", as_dim(count), torch.tensor(most + 1))
        add_layer_object("assertion", few, f"nms got more than {most} boxes; convert with an example of as many")
    threshold = _threshold(overlap)
    if turns == 1:
        return _suppressed(boxes, _falling_rank(scores, count), count, threshold)
    # Of a known length, which takes a sort of any number of elements; those that fill it up come last.
    filled_up = strided_slice(scores, [0], [turns * BOX_LIMIT], [1], mode="FILL", fill=number_like(-math.inf, scores))
    order = slice_axis(order_along(filled_up, 0, descending=True), 0, 0, count)
    kept = _in_turns(gather(boxes, order, 0), count, threshold, turns)
    return gather(order, kept, 0)


def _threshold(overlap: float) -> float:
    """The largest float32 number that is not above ``overlap``, which torchvision compares with in float64."""
    nearest = torch.tensor(overlap, dtype=torch.float32)
    if nearest.item() > overlap:
        nearest = torch.nextafter(nearest, torch.tensor(-math.inf))
    return float(nearest.item())


def _turns(count: Dim) -> int:
    """How many layers it takes for ``count`` boxes, or for as many as the trace had."""
    if not isinstance(count, int):
        node = building().node
        values = [value for value in node.args if isinstance(value, Value)] if node is not None else []
        shapes = [value.traced[0][0] if value.traced else value.shape for value in values]
        count = max((shape[0] or 1 for shape in shapes if shape), default=1)
    return max(1, -(-count // BOX_LIMIT))


def _in_turns(boxes: Any, count: Dim, overlap: float, turns: int) -> Any:
    """The places that are kept of boxes sorted by falling score."""
    places: list[Any] = []
    kept: list[Any] = []
    for turn in range(turns):
        start = dim_min(turn * BOX_LIMIT, count)
        size = dim_min(dim_sub(count, start), BOX_LIMIT)
        part = slice_axis(boxes, 0, start, size)
        rank = tensor(cast(whole("SUB", size, positions(size)), torch.float32))
        for before in kept:  # one turn's boxes at a time: all pairs at once would take too much memory
            rank = where(_is_overlapped(part, before, overlap), number(0.0), rank)
        found = _suppressed(part, rank, size, overlap)
        kept.append(gather(part, found, 0))
        places.append(tensor(whole("SUM", found, start)))
    return concatenate(places, 0)


def _suppressed(boxes: Any, rank: Any, count: Dim, overlap: float) -> Any:
    """One NMS layer: indices of the boxes that are kept, by falling rank; those of rank 0 are out."""
    most = torch.tensor(count, dtype=torch.int32) if isinstance(count, int) else cast(as_dim(count), torch.int32)
    layer = add_layer_object(
        "nms",
        unsqueeze(boxes, 0),
        unsqueeze(rank, [0, 2]),
        tensor(most),
        trt.int64,
        inputs={3: tensor(number(overlap)), 4: tensor(number(0.0))},
        topk_box_limit=BOX_LIMIT,
    )
    return add_layer("gather", layer.get_output(0), tensor(2, torch.int32), 1)


def _is_overlapped(boxes: Any, others: Any, overlap: float) -> Any:
    """Which boxes have a greater intersection over union than ``overlap`` with one of the others."""
    mine, theirs = unsqueeze(boxes, 1), unsqueeze(others, 0)
    low = elementwise("MAX", slice_axis(mine, 2, 0, 2), slice_axis(theirs, 2, 0, 2))
    high = elementwise("MIN", slice_axis(mine, 2, 2, 2), slice_axis(theirs, 2, 2, 2))
    common = _area(elementwise("MAX", elementwise("SUB", high, low), number(0.0)))
    areas = [_area(elementwise("SUB", slice_axis(box, 2, 2, 2), slice_axis(box, 2, 0, 2))) for box in (mine, theirs)]
    union = elementwise("SUB", elementwise("SUM", *areas), common)
    hit = elementwise("GREATER", elementwise("DIV", common, union), number(overlap))
    return elementwise("GREATER", reduce("MAX", cast(hit, torch.int32), [1], keepdim=False), torch.tensor(0).int())


def _area(sides: Any) -> Any:
    return reduce("PROD", sides, [2], keepdim=False)


def _falling_rank(scores: Tensor, count: Dim) -> Any:
    """``count`` for the box that a stable sort by falling score puts first, 1 for the last; float32 of ``(K,)``."""
    mine, other = unsqueeze(scores, 1), unsqueeze(scores, 0)
    place = positions(count)
    earlier = whole("LESS", shaped(place, [1, -1]), shaped(place, [-1, 1]))
    tied = elementwise("AND", elementwise("EQUAL", other, mine), earlier)
    before = elementwise("OR", elementwise("GREATER", other, mine), tied)
    after = cast(logical_not(before), torch.float32)
    return reduce("SUM", after, [1], keepdim=False)


def deformed_convolution(
    value: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor,
    spec: Windows,
    *,
    groups: int,
    offset_groups: int,
) -> Any:
    """``torchvision.ops.deform_conv2d``: shifted elements are gathered, then multiplied with the weight."""
    dtype = dtype_of(value)
    batch, channels, height, width = shape_of(value)
    rows, columns = size_of(offset, 2), size_of(offset, 3)
    taps = spec.size[0] * spec.size[1]
    maps = static_shape(weight)[0]
    points = dim_mul(taps, dim_mul(rows, columns))
    sets = dim_mul(batch, offset_groups)
    shifts = reshape(tensor(offset, torch.float32), [sets, taps, 2, rows, columns])
    places = []
    for axis, size in ((0, height), (1, width)):
        base = _tap_places(spec, axis, rows, columns)
        shift = add_layer("gather", shifts, tensor(axis, torch.int32), 2)
        coordinate = reshape(elementwise("SUM", shift, base), [sets, points])
        places.append(linear_places(coordinate, size, zero_outside=True))
    grouped = reshape(value, [sets, channels // offset_groups, height, width])
    found = sample(grouped, places)
    if mask is not None:
        found = elementwise("PROD", found, reshape(tensor(mask, torch.float32), [sets, 1, points]))
    depth = channels // groups * taps
    found = reshape(cast(found, dtype), [batch, groups, depth, dim_mul(rows, columns)])
    kernel = shaped(weight, [1, groups, maps // groups, depth])
    result = reshape(matmul(kernel, found), [batch, maps, rows, columns])
    return elementwise("SUM", result, shaped(bias, [1, maps, 1, 1]))


def _tap_places(spec: Windows, axis: int, rows: Dim, columns: Dim) -> Any:
    """Where each element of each window lies along an axis before it is shifted; ``(1, taps, rows, columns)``."""
    taps = torch.arange(spec.size[0] * spec.size[1])
    element = taps // spec.size[1] if axis == 0 else taps % spec.size[1]
    start = positions(rows if axis == 0 else columns, -spec.padding[axis], spec.stride[axis])
    start = shaped(start, [1, 1, -1, 1] if axis == 0 else [1, 1, 1, -1])
    return cast(whole("SUM", (element * spec.dilation[axis]).reshape(1, -1, 1, 1), start), torch.float32)
