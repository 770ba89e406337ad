"""Resize and grid sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from torch2trt.trt_compat import trt

from .case import Case, Net, short, sizes
from .rows import BF16, F16, F32, I32, data, wide

TRANSFORMS = ("ALIGN_CORNERS", "ASYMMETRIC", "HALF_PIXEL")
ROUNDINGS = ("HALF_UP", "HALF_DOWN", "FLOOR", "CEIL")


@dataclass(frozen=True)
class Resize:
    """One row of a resize layer: sizes or scales of every axis."""

    mode: str
    shape: tuple[int, ...]
    to: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()
    transform: str = "HALF_PIXEL"
    rounding: str = "FLOOR"
    selector: str = "FORMULA"
    exclude: bool = False
    cubic: float = -0.75
    dtype: torch.dtype = F32
    how: str = "static"

    @property
    def label(self) -> str:
        target = sizes(self.to) if self.to else "by" + "x".join(map(str, self.scales))
        parts = [self.mode, sizes(self.shape), target, self.transform, self.selector]
        parts += [self.rounding] * (self.mode == "NEAREST") + ["exclude"] * self.exclude
        parts += [f"a{self.cubic}"] * (self.mode == "CUBIC")
        return "-".join([*parts, short(self.dtype), self.how])


def source(row: Resize, place: int, length: int, resized: int, scale: float) -> float:
    if resized == 1 and row.selector == "UPPER":
        return 0.0
    if row.transform == "ALIGN_CORNERS":
        return place * (length - 1) / (resized - 1) if resized > 1 else 0.0
    if row.transform == "ASYMMETRIC":
        return place / scale
    return (place + 0.5) / scale - 0.5


def taps(row: Resize, at: float, length: int) -> list[tuple[int, float]]:
    """The elements read at a coordinate, with their weights."""
    if row.mode == "NEAREST":
        index = {
            "HALF_UP": math.floor(at + 0.5),
            "HALF_DOWN": math.ceil(at - 0.5),
            "FLOOR": math.floor(at),
            "CEIL": math.ceil(at),
        }[row.rounding]
        return [(min(max(index, 0), length - 1), 1.0)]
    base = math.floor(at)

    def weight(distance: float) -> float:
        d, a = abs(distance), row.cubic
        if row.mode == "LINEAR":
            return max(0.0, 1 - d)
        if d <= 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0

    near = [(k, weight(at - k)) for k in range(base - 1, base + 3)]
    if row.exclude:
        near = [(k, w if 0 <= k < length else 0.0) for k, w in near]
        total = sum(w for _, w in near)
        near = [(k, w / total) for k, w in near]
    return [(min(max(k, 0), length - 1), w) for k, w in near]


def resize_by_hand(row: Resize, v: torch.Tensor) -> torch.Tensor:
    dtype, v = v.dtype, v.double()
    for axis in range(v.dim()):
        length = v.shape[axis]
        resized = row.to[axis] if row.to else math.floor(length * row.scales[axis])
        scale = row.scales[axis] if row.scales else resized / length
        if resized == length and scale == 1:
            continue
        parts = []
        for place in range(resized):
            near = taps(row, source(row, place, length, resized, scale), length)
            parts.append(sum(v.select(axis, k) * w for k, w in near))
        v = torch.stack(parts, axis)
    return v.to(dtype)


def resize_case(row: Resize) -> Case:
    x = data(row.label, row.shape, row.dtype, -9, 9)

    def build(net: Net) -> None:
        layer = net.network.add_resize(net.input(x))
        layer.resize_mode = getattr(trt.InterpolationMode, row.mode)
        layer.coordinate_transformation = getattr(trt.ResizeCoordinateTransformation, row.transform)
        layer.nearest_rounding = getattr(trt.ResizeRoundMode, row.rounding)
        layer.selector_for_single_pixel = getattr(trt.ResizeSelector, row.selector)
        layer.exclude_outside, layer.cubic_coeff = row.exclude, row.cubic
        if row.scales:
            layer.scales = row.scales
        elif row.how == "static":
            layer.shape = row.to
        else:
            layer.set_input(1, net.shape_input(torch.tensor(row.to, dtype=I32), name="dims"))
        net.output(layer.get_output(0))

    def expected(v: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return resize_by_hand(row, v.float()).to(v.dtype)

    return Case(f"resize-{row.label}", build, expected, tolerance=2e-5 if row.dtype == F32 else 0.0)


SHAPE, UP, DOWN = (1, 2, 4, 5), (1, 2, 7, 10), (1, 2, 3, 2)

RESIZES = [
    *(
        Resize("NEAREST", SHAPE, to, transform=t, rounding=r)
        for to in (UP, DOWN)
        for t in TRANSFORMS
        for r in ROUNDINGS
    ),
    *(Resize("LINEAR", SHAPE, to, transform=t) for to in (UP, DOWN) for t in TRANSFORMS),
    *(Resize("CUBIC", SHAPE, to, transform=t) for to in (UP, DOWN) for t in TRANSFORMS),
    *(Resize("CUBIC", SHAPE, UP, cubic=a, exclude=e) for a, e in ((-0.5, False), (-0.5, True), (-0.75, True))),
    *(
        Resize(mode, SHAPE, (1, 2, 1, 1), transform=t, selector=s)
        for mode in ("LINEAR", "NEAREST")
        for t in TRANSFORMS
        for s in ("FORMULA", "UPPER")
    ),
    *(
        Resize(mode, SHAPE, scales=(1.0, 1.0, 2.0, 1.5), transform=t)
        for mode in ("NEAREST", "LINEAR")
        for t in ("ASYMMETRIC", "HALF_PIXEL")
    ),
    Resize("LINEAR", SHAPE, scales=(1.0, 1.0, 0.6, 0.7)),
    Resize("LINEAR", (2, 3, 6), (2, 3, 9)),
    Resize("LINEAR", (1, 2, 3, 4, 5), (1, 2, 5, 6, 4)),
    Resize("NEAREST", (1, 2, 3, 4, 5), (1, 2, 5, 6, 4)),
    *(Resize(mode, SHAPE, UP, dtype=d) for mode in ("NEAREST", "LINEAR") for d in (F16, BF16)),
    Resize("CUBIC", SHAPE, UP, dtype=F16),
    *(Resize(mode, SHAPE, UP, how="input") for mode in ("NEAREST", "LINEAR")),
]


def grid_case(mode: str, border: str, corners: bool, dtype: torch.dtype = F32) -> Case:
    label = f"{mode}-{border}-{'corners' if corners else 'centres'}-{short(dtype)}"
    x, grid = data(label, (2, 3, 5, 6), dtype), data(label + "g", (2, 4, 3, 2), dtype, -1.6, 1.6)

    def build(net: Net) -> None:
        layer = net.network.add_grid_sample(net.input(x), net.input(grid))
        layer.interpolation_mode = getattr(trt.InterpolationMode, mode)
        layer.sample_mode = getattr(trt.SampleMode, border)
        layer.align_corners = corners
        net.output(layer.get_output(0))

    names = {"NEAREST": "nearest", "LINEAR": "bilinear", "CUBIC": "bicubic"}
    borders = {"FILL": "zeros", "CLAMP": "border", "REFLECT": "reflection"}

    def expected(v: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return F.grid_sample(v, g, names[mode], borders[border], corners)

    return Case(f"grid_sample-{label}", build, wide(expected), tolerance=5e-5 if dtype == F32 else 0.0)


CASES = [
    *(resize_case(row) for row in RESIZES),
    *(
        grid_case(mode, border, corners)
        for mode in ("NEAREST", "LINEAR", "CUBIC")
        for border in ("FILL", "CLAMP", "REFLECT")
        for corners in (False, True)
    ),
    grid_case("LINEAR", "FILL", False, F16),
]
