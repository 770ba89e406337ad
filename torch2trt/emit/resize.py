"""Interpolation with PyTorch's coordinates: TensorRT's resize layer where these agree, gathers where they do not."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import UnsupportedArgumentError
from ..scales import whole_formula
from .dims import (
    Dim,
    all_known,
    as_dim,
    dim_add,
    dim_floordiv,
    dim_max,
    dim_mul,
    dim_sub,
    rank_of,
    shape_of,
    shape_tensor,
    size_of,
)
from .dtypes import Tensor, cast, dtype_of, is_float, tensor
from .math import compare, elementwise, gather, reduce, unary, where
from .network import add_layer, enum
from .pointwise import is_half
from .shape import unsqueeze
from .whole import positions, shaped

_CUBIC = -0.75
"""Keys' coefficient in PyTorch (``get_cubic_upsample_coefficients`` in aten/src/ATen/native/UpSample.h)."""


def _copied(kind: str, spatial: int) -> tuple[int, ...]:
    """Multiples of the old size at which PyTorch does not look at the factor that it is given (UpSample.h)."""
    return (1,) if kind == "linear" else (1, 2) if kind == "nearest" and spatial == 2 else ()


@dataclass(frozen=True)
class Axis:
    """How one axis is resized.

    Args:
        axis: which.
        length: its size before.
        resized: its size after.
        factor: the scale that the user gave; None if the sizes decide.
        scaled: whether ``resized`` is ``length`` times the factor; it may be any size where both are given.
        copied: multiples of ``length`` at which the factor does not count.
    """

    axis: int
    length: Dim
    resized: Dim
    factor: float | None
    scaled: bool = False
    copied: tuple[int, ...] = ()

    @property
    def known(self) -> bool:
        """Whether both sizes are."""
        return all_known([self.length, self.resized])


def resize(
    value: Tensor,
    kind: str,
    spatial: int,
    sizes: Sequence[Dim] | None,
    factors: Sequence[float | None] | None,
    align_corners: bool = False,
) -> Any:
    """``torch.nn.functional.interpolate``.

    Args:
        value: of shape ``(N, C, *spatial)``.
        kind: ``nearest``, ``nearest_exact``, ``linear`` or ``cubic``.
        spatial: how many axes.
        sizes: the new sizes; None if the factors give them.
        factors: scales, one an axis.
        align_corners: whether the corners' centres stay.
    """
    axes = _axes(value, spatial, sizes, factors, align_corners, _copied(kind, spatial))
    changed = [axis for axis in axes if not axis.known or axis.length != axis.resized or not _stays(axis)]
    if not changed:
        return tensor(value)
    if all(_layer_agrees(axis, kind, align_corners) for axis in changed):
        return _layer(value, kind, axes, align_corners)
    return _by_gathers(value, kind, changed, align_corners)


def _stays(axis: Axis) -> bool:
    """Whether an axis of which the size stays is left as it is."""
    return axis.factor in (None, 1) or 1 in axis.copied


def _axes(
    value: Tensor,
    spatial: int,
    sizes: Sequence[Dim] | None,
    factors: Sequence[float | None] | None,
    align_corners: bool,
    copied: tuple[int, ...] = (),
) -> list[Axis]:
    """The resized axes; with aligned corners the sizes alone decide."""
    first = rank_of(value) - spatial
    axes = []
    for index, factor in enumerate([None] * spatial if factors is None else list(factors)):
        length = size_of(value, first + index)
        resized = scaled_size(length, factor or 1.0) if sizes is None else sizes[index]
        given = None if factor is None or factor <= 0 or align_corners else factor
        axes.append(Axis(first + index, length, resized, given, sizes is None, copied))
    return axes


def scaled_size(length: Dim, factor: float) -> Dim:
    """``floor(length * factor)``, as PyTorch computes it in double precision.

    A length that is known at run time only may be up to 2**20 - 1; whole numbers alone are computed with.

    Raises:
        UnsupportedArgumentError: the length is known at run time only, and no formula gives the same for all lengths.
    """
    if isinstance(length, int):
        return math.floor(length * factor)
    numerator, denominator, first, last = whole_formula(factor)
    size = dim_floordiv(dim_mul(length, numerator), denominator)
    if not first:
        return size
    after, before = (
        elementwise(operation, torch.tensor(bounds), as_dim(length))
        for operation, bounds in (("GREATER", first), ("LESS", last))
    )
    within = unary("NOT", elementwise("OR", after, before))
    found = reduce("SUM", cast(within, torch.int64), [0], keepdim=False)
    turn = dim_floordiv(length, denominator)
    exact = elementwise("EQUAL", as_dim(dim_mul(turn, denominator)), as_dim(length))
    return dim_sub(size, dim_mul(found, cast(exact, torch.int64)))


def _ratio(axis: Axis, align_corners: bool) -> torch.Tensor:
    """Distance of the sources of two neighbours, in float32 (``area_pixel_compute_scale`` in UpSample.h)."""
    length, resized = int(axis.length), int(axis.resized)
    if align_corners:
        return torch.tensor((length - 1) / (resized - 1) if resized > 1 else 0.0)
    return torch.tensor(1 / axis.factor if axis.factor else length / resized)


def _nearest_places(axis: Axis, kind: str) -> torch.Tensor:
    """The source index of each place (``nearest_idx`` and ``nearest_exact_idx`` in UpSample.h)."""
    if axis.resized in [axis.length * times for times in axis.copied]:
        return torch.arange(int(axis.resized)) * int(axis.length) // max(int(axis.resized), 1)
    place = torch.arange(int(axis.resized), dtype=torch.float32)
    moved = place + 0.5 if kind == "nearest_exact" else place
    return torch.floor(moved * _ratio(axis, False)).long().clamp(max=int(axis.length) - 1)


def _ratio_at_run_time(axis: Axis) -> Tensor:
    """Distance of the sources of two neighbours; at some multiples of the old size whatever the factor is."""
    if axis.factor:
        ratio: Tensor = torch.tensor(1 / axis.factor)
        for times in axis.copied:
            same = compare("EQUAL", as_dim(axis.resized), as_dim(dim_mul(axis.length, times)))
            ratio = where(same, torch.tensor(1 / times), ratio)
        return ratio
    return elementwise("DIV", *(cast(as_dim(size), torch.float32) for size in (axis.length, axis.resized)))


def _last_at_run_time(axis: Axis) -> Any:
    return elementwise("SUB", cast(as_dim(axis.length), torch.float32), torch.tensor(1.0))


def _nearest_at_run_time(axis: Axis, kind: str) -> Any:
    """``nearest_idx`` and ``nearest_exact_idx`` step by step: the resize layer rounds some places to a neighbour."""
    place = cast(positions(axis.resized), torch.float32)
    if kind == "nearest_exact":
        place = elementwise("SUM", place, torch.tensor(0.5))
    source = unary("FLOOR", elementwise("PROD", place, _ratio_at_run_time(axis)))
    return cast(elementwise("MIN", source, _last_at_run_time(axis)), torch.int64)


def _taps_at_run_time(axis: Axis, kind: str) -> list[tuple[Any, Any]]:
    """As :func:`_taps`, without aligned corners, for sizes that are known at run time only."""
    zero, half, one = torch.zeros(()), torch.tensor(0.5), torch.ones(())
    last = _last_at_run_time(axis)
    place = elementwise("SUM", cast(positions(axis.resized), torch.float32), half)
    ratio = _ratio_at_run_time(axis)
    source = elementwise("SUB", elementwise("PROD", place, ratio), half)
    if kind == "linear":
        source = elementwise("MAX", source, zero)
        low = elementwise("MIN", unary("FLOOR", source), last)
        part = elementwise("MIN", elementwise("MAX", elementwise("SUB", source, low), zero), one)
        taps = [(low, elementwise("SUB", one, part)), (elementwise("MIN", elementwise("SUM", low, one), last), part)]
    else:
        low = unary("FLOOR", source)
        part = elementwise("SUB", source, low)
        rest = elementwise("SUB", one, part)
        weights = [
            _polynomial(elementwise("SUM", part, one), _keys_far(_CUBIC)),
            _polynomial(part, _keys_near(_CUBIC)),
            _polynomial(rest, _keys_near(_CUBIC)),
            _polynomial(elementwise("SUM", rest, one), _keys_far(_CUBIC)),
        ]
        moved = (elementwise("SUM", low, torch.tensor(offset)) for offset in (-1.0, 0.0, 1.0, 2.0))
        places = [elementwise("MIN", elementwise("MAX", place, zero), last) for place in moved]
        taps = list(zip(places, weights, strict=True))
    return [(cast(index, torch.int64), weight) for index, weight in taps]


def _keys_near(a: float) -> tuple[float, ...]:
    """Coefficients of Keys' kernel up to a distance of 1."""
    return a + 2, -(a + 3), 0.0, 1.0


def _keys_far(a: float) -> tuple[float, ...]:
    """Coefficients of Keys' kernel from a distance of 1 to 2."""
    return a, -5 * a, 8 * a, -4 * a


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    result: Tensor = torch.tensor(coefficients[0])
    for coefficient in coefficients[1:]:
        result = elementwise("SUM", elementwise("PROD", result, x), torch.tensor(coefficient))
    return result


def _layer_agrees(axis: Axis, kind: str, align_corners: bool) -> bool:
    """Whether TensorRT's resize layer, which knows sizes alone, has PyTorch's coordinates on an axis."""
    if not axis.known:
        # With a whole factor the ratio of sizes is the factor; with none that ratio decides.
        whole_factor = axis.scaled and axis.factor is not None and axis.factor == int(axis.factor)
        return whole_factor or (axis.factor is None and kind != "nearest_exact")
    length, resized = int(axis.length), int(axis.resized)
    if length == 0 or resized == 0:
        return False
    if kind.startswith("nearest"):
        # Exact arithmetic, and float32 arithmetic in either order, must all give PyTorch's index.
        place = torch.arange(resized)
        double = 2 * place + 1 if kind == "nearest_exact" else 2 * place
        exact = double * length // (2 * resized)
        moved = double.float() / 2
        shift = 0.5 if kind == "nearest_exact" else 0.0
        ratio = torch.tensor(length / resized)
        candidates = [exact, torch.floor(moved * ratio - shift + shift), torch.floor(moved / (resized / length))]
        wanted = _nearest_places(axis, kind)
        return all(torch.equal(found.long().clamp(max=length - 1), wanted) for found in candidates)
    return axis.factor is None or length * axis.factor == resized


_MODES = {"nearest": "NEAREST", "nearest_exact": "NEAREST", "linear": "LINEAR", "cubic": "CUBIC"}


def _layer(value: Tensor, kind: str, axes: Sequence[Axis], align_corners: bool) -> Any:
    held = dtype_of(value)
    image = tensor(value if is_float(value) else cast(value, torch.float32))
    sizes = shape_of(image)
    for axis in axes:
        sizes[axis.axis] = axis.resized
    exact = kind == "nearest_exact"
    transformation = "ALIGN_CORNERS" if align_corners else "ASYMMETRIC" if kind == "nearest" else "HALF_PIXEL"
    attributes: dict[str, Any] = {
        "resize_mode": enum("InterpolationMode", _MODES[kind]),
        "coordinate_transformation": enum("ResizeCoordinateTransformation", transformation),
        "nearest_rounding": enum("ResizeRoundMode", "HALF_UP" if exact else "FLOOR"),
    }
    if kind == "cubic":
        attributes["cubic_coeff"] = _CUBIC
    if all_known(sizes):
        return cast(add_layer("resize", image, shape=tuple(sizes), **attributes), held)
    return cast(add_layer("resize", image, inputs={1: shape_tensor(sizes)}, **attributes), held)


def _by_gathers(value: Tensor, kind: str, axes: Sequence[Axis], align_corners: bool) -> Any:
    """Axis by axis: the nearest elements, or a weighted sum of gathered ones."""
    if align_corners and not all(axis.known for axis in axes):
        raise UnsupportedArgumentError(
            "interpolation with align_corners=True, of an axis of which one size is known at run time only and the "
            "resize layer does not agree with PyTorch",
            hint="make the axis static",
        )
    dtype = dtype_of(value)
    if kind.startswith("nearest"):
        value = tensor(value if is_float(value) else cast(value, torch.float32))
        for axis in axes:
            places = _nearest_places(axis, kind) if axis.known else _nearest_at_run_time(axis, kind)
            value = gather(value, places, axis.axis)
        return cast(value, dtype)
    result = tensor(value, torch.float32 if is_half(dtype) else dtype)
    for axis in axes:
        trailing = [1] * (rank_of(result) - axis.axis - 1)
        parts = [
            elementwise("PROD", gather(result, index, axis.axis), shaped(weight, [-1, *trailing]))
            for index, weight in (_taps(axis, kind, align_corners) if axis.known else _taps_at_run_time(axis, kind))
        ]
        result = functools.reduce(functools.partial(elementwise, "SUM"), parts)
    return cast(result, dtype)


def _taps(axis: Axis, kind: str, align_corners: bool) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Source indices and their weights (``area_pixel_compute_source_index`` in UpSample.h)."""
    place = torch.arange(int(axis.resized), dtype=torch.float32)
    ratio, last = _ratio(axis, align_corners), int(axis.length) - 1
    source = place * ratio if align_corners else (place + 0.5) * ratio - 0.5
    if kind == "linear":
        source = source.clamp(min=0)
        low = torch.floor(source).clamp(max=last)
        part = (source - low).clamp(0, 1)
        return [(low.long(), 1 - part), ((low + 1).clamp(max=last).long(), part)]
    low = torch.floor(source)
    part = source - low
    weights = [_far(part + 1), _near(part), _near(1 - part), _far(2 - part)]
    return [
        ((low + offset - 1).clamp(0, last).long(), weight) for offset, weight in zip(range(4), weights, strict=True)
    ]


def _near(x: torch.Tensor, a: float = _CUBIC) -> torch.Tensor:
    """Keys' kernel up to a distance of 1."""
    return ((a + 2) * x - (a + 3)) * x * x + 1


def _far(x: torch.Tensor, a: float = _CUBIC) -> torch.Tensor:
    """Keys' kernel from a distance of 1 to 2."""
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a


def resize_smoothed(
    value: Tensor,
    kind: str,
    sizes: Sequence[Dim] | None,
    factors: Sequence[float | None] | None,
    align_corners: bool,
) -> Any:
    """``torch.nn.functional.interpolate(..., antialias=True)``: gathered and weighted axis by axis; in float32.

    Args:
        value: of shape ``(N, C, H, W)``.
        kind: ``linear`` or ``cubic``.
        sizes: the new sizes; None if the factors give them.
        factors: scales, one an axis.
        align_corners: whether the corners' centres stay.

    Raises:
        UnsupportedArgumentError: the image is not floating point.
    """
    dtype = dtype_of(value)
    rows, columns = _axes(value, 2, sizes, factors, align_corners)
    if not dtype.is_floating_point:
        raise UnsupportedArgumentError(
            f"interpolation with antialias=True of {dtype} rounds as PIL does", hint="cast the image to float32"
        )
    result = tensor(value, torch.float32 if is_half(dtype) else dtype)
    for axis in (columns, rows):
        if axis.known and axis.length == axis.resized and axis.factor in (None, 1):
            continue
        places, weights = (_smoothing if axis.known else _smoothing_at_run_time)(axis, kind, align_corners)
        weights = unsqueeze(weights, range(2, rank_of(result) - axis.axis + 1))
        # A product with a matrix would round to TF32.
        parts = elementwise("PROD", gather(result, places, axis.axis), weights)
        result = reduce("SUM", parts, [axis.axis + 1], keepdim=False)
    return cast(result, dtype)


def _smoothing(axis: Axis, kind: str, align_corners: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """For each place the source elements, and their weights: two tensors of shape ``(resized, elements)``.

    (``_compute_indices_min_size_weights_aa`` in aten/src/ATen/native/cpu/UpSampleKernel.cpp.)
    """
    ratio = _ratio(axis, align_corners)
    reach = _REACH[kind] * ratio.clamp(min=1)
    center = (ratio * (torch.arange(int(axis.resized), dtype=torch.float32) + 0.5)).unsqueeze(1)
    first = (center - reach + 0.5).trunc().clamp(min=0)
    last = (center + reach + 0.5).trunc().clamp(max=int(axis.length))
    place = first + torch.arange(int((last - first).max()))
    distance = ((place - center + 0.5) / ratio.clamp(min=1)).abs()
    if kind == "linear":
        weights = (1 - distance).clamp(min=0)
    else:
        far = torch.where(distance < 2, _far(distance, -0.5), torch.zeros(()))
        weights = torch.where(distance < 1, _near(distance, -0.5), far)
    weights = torch.where(place < last, weights, torch.zeros(()))
    return place.clamp(max=int(axis.length) - 1).long(), weights / weights.sum(1, keepdim=True)


def _smoothing_at_run_time(axis: Axis, kind: str, align_corners: bool) -> tuple[Any, Any]:
    """As :func:`_smoothing`, for sizes that are known at run time only."""
    zero, half, one = torch.zeros(()), torch.tensor(0.5), torch.ones(())
    ratio = _aligned_ratio_at_run_time(axis) if align_corners else _ratio_at_run_time(axis)
    stretch = elementwise("MAX", ratio, one)
    reach = elementwise("PROD", stretch, torch.tensor(float(_REACH[kind])))
    place = elementwise("SUM", cast(positions(axis.resized), torch.float32), half)
    center = unsqueeze(elementwise("PROD", ratio, place), 1)
    middle = elementwise("SUM", center, half)
    first = elementwise("MAX", unary("FLOOR", elementwise("SUB", middle, reach)), zero)
    length = cast(as_dim(axis.length), torch.float32)
    end = elementwise("MIN", unary("FLOOR", elementwise("SUM", middle, reach)), length)
    source = elementwise("SUM", first, cast(positions(_window(axis, kind, align_corners)), torch.float32))
    distance = elementwise("DIV", elementwise("SUM", elementwise("SUB", source, center), half), stretch)
    weights = where(compare("LESS", source, end), _kernel(unary("ABS", distance), kind), zero)
    weights = elementwise("DIV", weights, reduce("SUM", weights, [1], keepdim=True))
    return cast(elementwise("MIN", source, _last_at_run_time(axis)), torch.int64), weights


_REACH = {"linear": 1, "cubic": 2}
"""How far the kernels reach, in elements of the larger image."""


def _aligned_ratio_at_run_time(axis: Axis) -> Any:
    gaps = cast(as_dim(dim_max(dim_sub(axis.resized, 1), 1)), torch.float32)
    ratio = elementwise("DIV", _last_at_run_time(axis), gaps)
    return where(compare("GREATER", as_dim(axis.resized), 1), ratio, torch.zeros(()))


def _window(axis: Axis, kind: str, align_corners: bool) -> Dim:
    """A number of source elements that no place needs more than."""
    if axis.factor:
        return math.ceil(2 * _REACH[kind] * max(1 / axis.factor, 1.0)) + 1
    less = 1 if align_corners else 0
    gaps = dim_max(dim_sub(axis.resized, less), 1)
    ratio = dim_add(dim_floordiv(dim_sub(axis.length, less), gaps), 1)
    return dim_add(dim_mul(ratio, 2 * _REACH[kind]), 1)


def _kernel(distance: Any, kind: str) -> Any:
    """The weight of an element at a distance, which is not negative."""
    zero, one = torch.zeros(()), torch.ones(())
    if kind == "linear":
        return elementwise("MAX", elementwise("SUB", one, distance), zero)
    far = where(compare("LESS", distance, 2.0), _polynomial(distance, _keys_far(-0.5)), zero)
    return where(compare("LESS", distance, 1.0), _polynomial(distance, _keys_near(-0.5)), far)
