"""Resize and grid sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .registry import LayerContext, Run, layer
from .types import FLOATING, dims, widen


@dataclass(frozen=True)
class ResizeRule:
    """The attributes of an ``IResizeLayer``, by enum name."""

    mode: str
    transformation: str
    selector: str
    rounding: str
    exclude_outside: bool
    cubic: float

    def coordinates(self, length: int, resized: int, scale: float | None, dtype: torch.dtype) -> torch.Tensor:
        """The source coordinate of each of ``resized`` places (NvInfer.h, ResizeCoordinateTransformation).

        Args:
            length: the input's size.
            resized: the output's size.
            scale: the layer's own scale where scales are set, else the ratio of the sizes holds.
            dtype: in which to compute.
        """
        place = torch.arange(resized, dtype=dtype)
        if resized == 1 and self.selector == "UPPER":
            return torch.zeros(1, dtype=dtype)
        if self.transformation == "ALIGN_CORNERS":
            return place * ((length - 1) / (resized - 1)) if resized > 1 else torch.zeros_like(place)
        ratio = 1 / scale if scale else length / resized
        if self.transformation == "ASYMMETRIC":
            return place * ratio
        return (place + 0.5) * ratio - 0.5


_ROUNDINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "HALF_UP": lambda x: torch.floor(x + 0.5),
    "HALF_DOWN": lambda x: torch.ceil(x - 0.5),
    "FLOOR": torch.floor,
    "CEIL": torch.ceil,
}


def _cubic_weights(fraction: torch.Tensor, a: float) -> list[torch.Tensor]:
    """Keys' cubic convolution weights of the four neighbours at distances 1+f, f, 1-f, 2-f."""

    def near(d: torch.Tensor) -> torch.Tensor:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: torch.Tensor) -> torch.Tensor:
        return ((d - 5) * d + 8) * d * a - 4 * a

    return [far(fraction + 1), near(fraction), near(1 - fraction), far(2 - fraction)]


def _taps(rule: ResizeRule, source: torch.Tensor, length: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Index and weight of each input element that an output place reads along one axis."""
    if rule.mode == "NEAREST":
        index = _ROUNDINGS[rule.rounding](source).long()
        return [(index.clamp(0, length - 1), torch.ones_like(source))]
    base = torch.floor(source)
    fraction = source - base
    if rule.mode == "LINEAR":
        first, weights = 0, [1 - fraction, fraction]
    else:
        first, weights = -1, _cubic_weights(fraction, rule.cubic)
    indices = [base.long() + first + offset for offset in range(len(weights))]
    if rule.exclude_outside:
        weights = [
            torch.where((index >= 0) & (index < length), weight, 0.0)
            for index, weight in zip(indices, weights, strict=True)
        ]
        total = torch.stack(weights).sum(0)
        weights = [weight / total for weight in weights]
    return [(index.clamp(0, length - 1), weight) for index, weight in zip(indices, weights, strict=True)]


def resize_axis(x: torch.Tensor, axis: int, resized: int, rule: ResizeRule, scale: float | None) -> torch.Tensor:
    """``x`` resized along one axis; floating point unless the mode is NEAREST."""
    length = x.shape[axis]
    exact = torch.float64 if x.dtype == torch.float64 else torch.float32
    source = rule.coordinates(length, resized, scale, exact)
    result = None
    view = [-1 if i == axis else 1 for i in range(x.dim())]
    for index, weight in _taps(rule, source, length):
        part = x.index_select(axis, index.to(x.device))
        if rule.mode == "NEAREST":
            return part
        part = part * weight.to(x.device, x.dtype).reshape(view)
        result = part if result is None else result + part
    return x if result is None else result


@layer("RESIZE")
def resize(context: LayerContext) -> Run:
    """``IResizeLayer``: NEAREST of any axes, LINEAR of up to three, CUBIC of the last two.

    The output's sizes come from input 1, from the layer's shape, or from its scales: ``floor(size * scale)``.
    Interpolation is done in float32 for half types, as a GPU does, and axis by axis.
    """
    node, rank = context.layer, context.rank()
    context.require_dtype(0, *FLOATING)
    rule = ResizeRule(
        node.resize_mode.name,
        node.coordinate_transformation.name,
        node.selector_for_single_pixel.name,
        node.nearest_rounding.name,
        bool(node.exclude_outside),
        node.cubic_coeff,
    )
    dynamic = context.has_input(1)
    scales = [] if dynamic else list(node.scales)
    shape = None if dynamic or scales else dims(node.shape)

    def sizes_of(x: torch.Tensor, wanted: torch.Tensor | None) -> Sequence[int]:
        if wanted is not None:
            return wanted.tolist()
        if scales:
            # float32, as TensorRT keeps the scales
            return [math.floor(torch.tensor(s) * n) for s, n in zip(scales, x.shape, strict=True)]
        return [n if s == -1 else s for s, n in zip(shape or x.shape, x.shape, strict=True)]

    def run(x: torch.Tensor, wanted: torch.Tensor | None = None) -> torch.Tensor:
        sizes = sizes_of(x, wanted)
        dtype = x.dtype
        if rule.mode != "NEAREST":
            x = widen(x)
        for axis in range(rank):
            scale = scales[axis] if scales else None
            if sizes[axis] != x.shape[axis] or (scale is not None and scale != 1):
                x = resize_axis(x, axis, sizes[axis], rule, scale)
        return x.to(dtype)

    return run


_INTERPOLATIONS = {"NEAREST": "nearest", "LINEAR": "bilinear", "CUBIC": "bicubic"}
_BORDERS = {"FILL": "zeros", "CLAMP": "border", "REFLECT": "reflection"}


@layer("GRID_SAMPLE")
def grid_sample(context: LayerContext) -> Run:
    """``IGridSampleLayer``: x [N, C, H, W] at grid [N, h, w, 2] in -1..1; FILL, CLAMP and REFLECT borders."""
    node = context.layer
    context.require_dtype(0, *FLOATING)
    context.require_same_dtype(0, 1)
    mode, border = _INTERPOLATIONS.get(node.interpolation_mode.name), _BORDERS.get(node.sample_mode.name)
    corners = node.align_corners
    if mode is None or border is None:
        raise context.error(f"no grid sample with {node.interpolation_mode.name} and {node.sample_mode.name}")
    return lambda x, grid: F.grid_sample(widen(x), widen(grid), mode, border, corners).to(x.dtype)
