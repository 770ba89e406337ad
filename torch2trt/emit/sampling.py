"""Reading images at fractional places: corners gathered and weighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .dims import Dim, as_dim, dim_mul, dim_product, dim_sub, rank_of, shape_of, size_of
from .dtypes import Tensor, cast, tensor
from .math import elementwise, reduce, unary, where
from .network import add_layer, enum
from .shape import reshape, squeeze, unsqueeze
from .whole import positions, whole


@dataclass(frozen=True)
class Places:
    """Places along one axis, and what they weigh.

    Args:
        index: int64 indices in range, of shape ``(N, corners, P)``.
        weight: of the same shape; None for 1.
        inside: which of them count; None for all.
    """

    index: Any
    weight: Any
    inside: Any


def gather_batch(value: Tensor, indices: Tensor) -> Any:
    """``value[n, c, indices[n, ...]]`` for ``value`` of shape ``(N, C, L)`` and ``indices`` of shape ``(N, P)``."""
    return add_layer(
        "gather_v2", tensor(value), tensor(indices), enum("GatherMode", "DEFAULT"), axis=2, num_elementwise_dims=1
    )


def number(value: float) -> torch.Tensor:
    """A float32 constant of one element."""
    return torch.tensor(value, dtype=torch.float32)


def float_size(size: Dim) -> Tensor:
    """A size in float32."""
    return number(size) if isinstance(size, int) else cast(as_dim(size), torch.float32)


def linear_places(coordinate: Any, size: Dim, *, zero_outside: bool) -> Places:
    """The two neighbours of each coordinate.

    Args:
        coordinate: float32, of shape ``(N, P)``.
        size: of the axis.
        zero_outside: neighbours outside count as 0; else they are those at the border.
    """
    low = unary("FLOOR", coordinate)
    fraction = unsqueeze(elementwise("SUB", coordinate, low), 1)
    # 1 - fraction for the lower neighbour, fraction for the upper one
    sign, offset = torch.tensor([-1.0, 1.0]).reshape(1, 2, 1), torch.tensor([1.0, 0.0]).reshape(1, 2, 1)
    weight = elementwise("SUM", elementwise("PROD", fraction, sign), offset)
    pair = elementwise("SUM", unsqueeze(low, 1), torch.tensor([0.0, 1.0]).reshape(1, 2, 1))
    return _in_range(pair, weight, size, zero_outside)


def nearest_places(coordinate: Any, size: Dim, *, zero_outside: bool) -> Places:
    """The nearest neighbour of each coordinate of shape ``(N, P)``; halves go to the even one."""
    return _in_range(unsqueeze(unary("ROUND", coordinate), 1), None, size, zero_outside)


def _in_range(place: Any, weight: Any, size: Dim, zero_outside: bool) -> Places:
    last = elementwise("SUB", float_size(size), number(1.0)) if not isinstance(size, int) else number(size - 1)
    # The maximum comes last: where one operand is NaN, TensorRT gives the other one, and the index stays in range.
    held = elementwise("MAX", elementwise("MIN", place, last), number(0.0))
    inside = elementwise("EQUAL", held, place) if zero_outside else None
    return Places(cast(held, torch.int64), weight, inside)


def sample(value: Tensor, axes: Sequence[Places]) -> Any:
    """The weighted sum of the corners at every place.

    Args:
        value: of shape ``(N, C, *spatial)``.
        axes: where to read along each spatial axis.

    Returns:
        a tensor of shape ``(N, C, P)``, in float32.
    """
    spatial = len(axes)
    lengths = shape_of(value)[2:]
    batch, channels = size_of(value, 0), size_of(value, 1)
    index, weight, inside = _corner(axes[0], 0, spatial), _weight(axes[0], 0, spatial), _inside(axes[0], 0, spatial)
    for axis in range(1, spatial):
        index = whole("SUM", whole("PROD", index, lengths[axis]), _corner(axes[axis], axis, spatial))
        weight = _product("PROD", weight, _weight(axes[axis], axis, spatial))
        inside = _product("AND", inside, _inside(axes[axis], axis, spatial))
    count = size_of(index, rank_of(index) - 1)
    corners = [size_of(index, axis) for axis in range(1, rank_of(index) - 1)]
    flat = reshape(value, [batch, channels, dim_product(lengths)])
    total = dim_mul(dim_product(corners), count)
    found = cast(gather_batch(flat, reshape(index, [batch, total])), torch.float32)
    found = reshape(found, [batch, channels, *corners, count])
    if inside is not None:
        found = where(unsqueeze(inside, 1), found, number(0.0))
    if weight is not None:
        found = elementwise("PROD", found, unsqueeze(weight, 1))
    axes_of_corners = list(range(2, 2 + spatial))
    return squeeze(found, axes_of_corners) if weight is None else reduce("SUM", found, axes_of_corners, keepdim=False)


def _product(operation: str, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return right if left is None else left
    return elementwise(operation, left, right)


def _spread(value: Any, axis: int, spatial: int) -> Any:
    """``(N, corners, P)`` to ``(N, 1, corners, 1, P)``, the corners at the axis' place."""
    others = [1 + other for other in range(spatial) if other != axis]
    return unsqueeze(value, others) if others else value


def _corner(places: Places, axis: int, spatial: int) -> Any:
    return _spread(places.index, axis, spatial)


def _weight(places: Places, axis: int, spatial: int) -> Any:
    return None if places.weight is None else _spread(places.weight, axis, spatial)


def _inside(places: Places, axis: int, spatial: int) -> Any:
    return None if places.inside is None else _spread(places.inside, axis, spatial)


def unnormalized(coordinate: Any, size: Dim, align_corners: bool) -> Any:
    """Coordinates in -1..1 as places of an axis (``grid_sampler_unnormalize``, GridSampler.h in ATen)."""
    length = float_size(size)
    raised = elementwise("SUM", coordinate, number(1.0))
    if align_corners:
        half = elementwise("DIV", raised, number(2.0))
        return elementwise("PROD", half, float_size(dim_sub(size, 1)))
    scaled = elementwise("SUB", elementwise("PROD", raised, length), number(1.0))
    return elementwise("DIV", scaled, number(2.0))


def clipped(coordinate: Any, size: Dim) -> Any:
    """Coordinates held between the first and the last place."""
    low = elementwise("MAX", coordinate, number(0.0))
    return elementwise("MIN", low, float_size(dim_sub(size, 1)))


def reflected(coordinate: Any, size: Dim, align_corners: bool) -> Any:
    """Coordinates reflected into range (``reflect_coordinates`` in aten/src/ATen/native/GridSampler.h)."""
    least = number(0.0 if align_corners else -0.5)
    span = float_size(dim_sub(size, 1)) if align_corners else float_size(size)
    if align_corners and isinstance(size, int) and size == 1:
        return elementwise("PROD", coordinate, number(0.0))
    distance = unary("ABS", elementwise("SUB", coordinate, least))
    flips = unary("FLOOR", elementwise("DIV", distance, span))
    extra = elementwise("SUB", distance, elementwise("PROD", flips, span))
    half = elementwise("PROD", flips, number(0.5))
    even = elementwise("EQUAL", unary("FLOOR", half), half)
    forth = elementwise("SUM", extra, least)
    back = elementwise("SUM", elementwise("SUB", span, extra), least)
    return clipped(where(even, forth, back), size)


def axis_steps(count: Dim, align_corners: bool, dtype: torch.dtype) -> Tensor:
    """``linspace(-1, 1, count)``, drawn in by half a step at both ends if the corners are not aligned; known or not.

    (``linspace_from_neg_one`` in aten/src/ATen/native/AffineGridGenerator.cpp.)
    """
    if isinstance(count, int):
        steps = torch.linspace(-1, 1, count, dtype=dtype) if count > 1 else torch.zeros(count, dtype=dtype)
        return steps if align_corners else steps * (count - 1) / count
    place = cast(positions(count), dtype)
    most = cast(elementwise("MAX", as_dim(dim_sub(count, 1)), torch.tensor(1)), dtype)
    steps = elementwise("SUB", elementwise("DIV", elementwise("PROD", place, number(2.0)), most), number(1.0))
    steps = where(elementwise("EQUAL", as_dim(count), torch.tensor(1)), number(0.0), steps)
    if align_corners:
        return steps
    shrink = elementwise("DIV", float_size(dim_sub(count, 1)), float_size(count))
    return elementwise("PROD", steps, shrink)
