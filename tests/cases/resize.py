"""Resizing, and moving channels to space and back."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from tests.harness import Case, rand

aten = torch.ops.aten


def _resize(**options: Any) -> Callable[..., torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, **options)

    return run


def _call(function: Any, *args: Any) -> Callable[..., torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = function(x, *args)
        return result

    return run


def _like(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, size=y.shape[-2:], mode="bilinear", align_corners=False)


def _to_sizes(mode: str) -> Callable[..., torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, size=(x.shape[2] * 2, x.shape[3] + 3), mode=mode)

    return run


def _to_thirds(mode: str) -> Callable[..., torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        sizes = (x.shape[3] // 3 + 1, x.shape[2] + 1)
        return F.interpolate(x, size=sizes, mode=mode, antialias=True, align_corners=True)

    return run


_AXES = {1: (7,), 2: (5, 7), 3: (4, 5, 7)}
_SMOOTH = {1: "linear", 2: "bilinear", 3: "trilinear"}
_NEAREST_SIZES = {1: (16,), 2: (11, 3), 3: (8, 3, 14)}
_SIZES = {"x": {0: (1, 2, 8), 2: (3, 5, 20), 3: (3, 7, 20)}}
_OTHERS = [rand(1, 3, 3, 20), rand(8, 3, 14, 11)]
_UINT8 = {"dtype": torch.uint8, "low": 0, "high": 255}


def _drawn(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
    return (drawn * 50 + 100).clamp(0, 255).to(dtype) if dtype == torch.uint8 else drawn.to(dtype)


def _by(factor: Any, mode: str, axes: int, **options: Any) -> Case:
    """A row of a scale that double precision holds just below a fraction.

    ``floor(50 * 2.3)`` and ``floor(90 * 0.7)`` are one less than the fractions give; 60 and 100 lose nothing.
    """
    trailing = (6, 90, 50)[3 - axes :]
    shapes = [(1, 2, *sizes) for sizes in ((9, 7, 8), trailing, (50, 60, 90), (3, 100, 60))]
    shapes = [(*shape[:2], *shape[-axes:]) for shape in shapes]
    sizes = {2 + axis: (3, 8, 100) for axis in range(axes)}
    dtype = options.pop("dtype", torch.float32)
    name = "-".join([mode, str(axes), "dynamic", str(factor), *options, *([] if dtype.itemsize == 4 else [str(dtype)])])
    inputs, *others = (_drawn(*shape, dtype=dtype) for shape in shapes)
    return Case(name, _resize(scale_factor=factor, mode=mode, **options), inputs, {"x": sizes}, others)


CASES = [
    *(
        Case(f"{mode}{count}d", _resize(size=_NEAREST_SIZES[count], mode=mode), rand(2, 3, *_AXES[count]))
        for mode in ("nearest", "nearest-exact")
        for count in (1, 2, 3)
    ),
    *(
        Case(f"{mode}{count}d-scale", _resize(scale_factor=scale, mode=mode), rand(2, 3, *_AXES[count]))
        for mode in ("nearest", "nearest-exact")
        for count, scale in ((1, 2.0), (2, 1.7), (3, 0.6))
    ),
    *(
        Case(
            f"linear{count}d-{corners}",
            _resize(size=_NEAREST_SIZES[count], mode=_SMOOTH[count], align_corners=corners),
            rand(2, 3, *_AXES[count]),
        )
        for count in (1, 2, 3)
        for corners in (False, True)
    ),
    *(
        Case(f"linear{count}d-scale", _resize(scale_factor=scale, mode=_SMOOTH[count]), rand(2, 3, *_AXES[count]))
        for count, scale in ((1, 2.0), (2, 1.7), (3, 0.6))
    ),
    Case("linear2d-scale-corners", _resize(scale_factor=1.7, mode="bilinear", align_corners=True), rand(2, 3, 5, 7)),
    Case("linear2d-scales", _resize(scale_factor=(2.0, 0.5), mode="bilinear"), rand(2, 3, 5, 7)),
    Case(
        "linear2d-recompute",
        _resize(scale_factor=1.7, mode="bilinear", recompute_scale_factor=True),
        rand(2, 3, 5, 7),
    ),
    Case("linear2d-to-one", _resize(size=(1, 4), mode="bilinear", align_corners=True), rand(2, 3, 5, 7)),
    Case("linear2d-from-one", _resize(size=(6, 4), mode="bilinear", align_corners=True), rand(2, 3, 1, 1)),
    Case("linear2d-same", _resize(size=(5, 7), mode="bilinear"), rand(2, 3, 5, 7)),
    Case("linear2d-half", _resize(size=(11, 3), mode="bilinear"), rand(2, 3, 5, 7, dtype=torch.float16)),
    Case("nearest2d-uint8", _resize(size=(11, 3)), rand(2, 3, 5, 7, **_UINT8)),
    Case("nearest2d-uint8-scale", _resize(scale_factor=1.7), rand(2, 3, 5, 7, **_UINT8)),
    Case("cubic", _resize(size=(11, 3), mode="bicubic"), rand(2, 3, 5, 7)),
    Case("cubic-corners", _resize(size=(11, 3), mode="bicubic", align_corners=True), rand(2, 3, 5, 7)),
    Case("cubic-scale", _resize(scale_factor=1.7, mode="bicubic"), rand(2, 3, 5, 7)),
    Case("area", _resize(size=(3, 5), mode="area"), rand(2, 3, 5, 7)),
    Case("area-dynamic-sizes", _to_sizes("area"), rand(2, 3, 5, 7), _SIZES, _OTHERS),
    Case("area-dynamic", _resize(scale_factor=0.6, mode="area"), rand(2, 3, 5, 7), _SIZES, _OTHERS),
    Case("nearest-dynamic", _resize(scale_factor=2.0), rand(2, 3, 5, 7), _SIZES, _OTHERS),
    Case("linear-dynamic", _resize(scale_factor=3.0, mode="bilinear"), rand(2, 3, 5, 7), _SIZES, _OTHERS),
    Case("cubic-dynamic", _resize(scale_factor=2.0, mode="bicubic"), rand(2, 3, 5, 7), _SIZES, _OTHERS),
    Case(
        "linear-dynamic-corners",
        _resize(scale_factor=1.5, mode="bilinear", align_corners=True),
        rand(2, 3, 5, 7),
        _SIZES,
        _OTHERS,
    ),
    Case(
        "linear-dynamic-recompute",
        _resize(scale_factor=0.5, mode="bilinear", recompute_scale_factor=True),
        rand(2, 3, 5, 7),
        _SIZES,
        _OTHERS,
    ),
    *(
        Case(f"{mode}-dynamic-{factor}", _resize(scale_factor=factor, mode=mode), rand(2, 3, 5, 7), _SIZES, _OTHERS)
        for mode in ("nearest", "nearest-exact", "bilinear", "bicubic")
        for factor in (1.5, 0.75, (2.0, 1.25))
    ),
    Case("linear-dynamic-fixed", _resize(size=(6, 9), mode="bilinear"), rand(2, 3, 5, 7), _SIZES, _OTHERS),
    *(
        Case(f"{mode}-dynamic-sizes", _to_sizes(mode), rand(2, 3, 5, 7), _SIZES, _OTHERS)
        for mode in ("nearest", "nearest-exact", "bilinear", "bicubic")
    ),
    Case(
        "linear-dynamic-like",
        _like,
        (rand(2, 3, 5, 7), rand(1, 1, 8, 9)),
        {"y": {2: (2, 8, 16), 3: (2, 9, 16)}},
        [(rand(2, 3, 5, 7), rand(1, 1, 2, 16)), (rand(2, 3, 5, 7), rand(1, 1, 13, 5))],
    ),
    Case("smoothed", _resize(size=(3, 12), mode="bilinear", antialias=True), rand(2, 3, 9, 7)),
    Case("smoothed-cubic", _resize(size=(3, 12), mode="bicubic", antialias=True), rand(2, 3, 9, 7)),
    Case("smoothed-scale", _resize(scale_factor=0.37, mode="bilinear", antialias=True), rand(2, 3, 9, 7)),
    Case(
        "smoothed-corners",
        _resize(size=(3, 5), mode="bicubic", antialias=True, align_corners=True),
        rand(2, 3, 9, 7),
    ),
    *(
        Case(f"smoothed-dynamic-{mode}-{name}", function, rand(2, 3, 5, 7), _SIZES, _OTHERS)
        for mode in ("bilinear", "bicubic")
        for name, function in {
            "fixed": _resize(size=(3, 12), mode=mode, antialias=True),
            "factor": _resize(scale_factor=(0.4, 1.5), mode=mode, antialias=True),
            "corners": _resize(size=(2, 5), mode=mode, antialias=True, align_corners=True),
            "sizes": _to_thirds(mode),
        }.items()
    ),
    Case(
        "smoothed-dynamic",
        _resize(size=(3, 5), mode="bilinear", antialias=True),
        rand(2, 3, 9, 7),
        {"x": {0: (1, 2, 8)}},
        [rand(1, 3, 9, 7), rand(8, 3, 9, 7)],
    ),
    Case("operator-nearest1d", _call(aten.upsample_nearest1d, [9]), rand(2, 3, 7)),
    Case("operator-nearest2d", _call(aten.upsample_nearest2d, [9, 11], 1.9, None), rand(2, 3, 5, 7)),
    Case("operator-nearest3d", _call(aten.upsample_nearest3d, [9, 11, 3]), rand(2, 3, 4, 5, 7)),
    Case("operator-exact1d", _call(aten._upsample_nearest_exact1d, [9]), rand(2, 3, 7)),
    Case("operator-exact2d", _call(aten._upsample_nearest_exact2d, [9, 11]), rand(2, 3, 5, 7)),
    Case("operator-exact3d", _call(aten._upsample_nearest_exact3d, [9, 11, 3]), rand(2, 3, 4, 5, 7)),
    Case("operator-linear1d", _call(aten.upsample_linear1d, [9], False, 1.3), rand(2, 3, 7)),
    Case("operator-linear2d", _call(aten.upsample_bilinear2d, [9, 11], False, None, 1.6), rand(2, 3, 5, 7)),
    Case("operator-linear3d", _call(aten.upsample_trilinear3d, [9, 11, 3], True), rand(2, 3, 4, 5, 7)),
    Case("operator-cubic", _call(aten.upsample_bicubic2d, [9, 11], False), rand(2, 3, 5, 7)),
    Case("operator-smoothed", _call(aten._upsample_bilinear2d_aa, [3, 11], False), rand(2, 3, 5, 7)),
    Case("operator-smoothed-cubic", _call(aten._upsample_bicubic2d_aa, [3, 11], False), rand(2, 3, 5, 7)),
    Case("pixel_shuffle", _call(F.pixel_shuffle, 2), rand(2, 8, 3, 5)),
    Case("pixel_shuffle-lead", _call(F.pixel_shuffle, 2), rand(2, 3, 8, 3, 5)),
    Case(
        "pixel_shuffle-dynamic",
        _call(F.pixel_shuffle, 3),
        rand(2, 9, 5, 7),
        _SIZES,
        [rand(1, 9, 3, 20), rand(8, 9, 14, 11)],
    ),
    Case("pixel_unshuffle", _call(F.pixel_unshuffle, 2), rand(2, 3, 6, 4)),
    Case("pixel_unshuffle-uint8", _call(F.pixel_unshuffle, 2), rand(2, 3, 6, 4, **_UINT8)),
    Case("channel_shuffle", _call(torch.channel_shuffle, 3), rand(2, 6, 4, 5)),
    Case("channel_shuffle-native", _call(torch.native_channel_shuffle, 2), rand(2, 6, 4, 5)),
    *(
        Case(f"{name}-size-and-factors-{kind}", _call(function, (10, 14), *corners, 3.0, 1.7), rand(2, 3, 5, 7), *rest)
        for kind, rest in (("static", ()), ("dynamic", (_SIZES, [rand(2, 3, 10, 14), rand(2, 3, 5, 14), *_OTHERS])))
        for name, function, corners in (
            ("nearest", aten.upsample_nearest2d, ()),
            ("nearest-exact", aten._upsample_nearest_exact2d, ()),
            ("linear", aten.upsample_bilinear2d, (False,)),
            ("cubic", aten.upsample_bicubic2d, (False,)),
        )
    ),
    *(_by(factor, mode, 2) for factor in (2.3, 0.7, (0.7, 2.3)) for mode in ("nearest", "nearest-exact", "bilinear")),
    *(_by(factor, "bicubic", 2, align_corners=corners) for factor, corners in ((0.7, None), (2.3, True))),
    *(_by((2.3, 0.7), mode, 2, antialias=True) for mode in ("bilinear", "bicubic")),
    *(_by(factor, "linear", 1) for factor in (2.3, 0.7, 8.2, 1 / 3, 1.5707963267948966)),
    _by(0.7, "nearest", 1, dtype=torch.uint8),
    _by(2.3, "nearest", 1, dtype=torch.float16),
    _by(0.7, "trilinear", 3),
    *(_by(factor, "area", 2) for factor in (2.3, 0.7)),
    *(_by(factor, "bilinear", 2, recompute_scale_factor=True) for factor in (2.3, 0.7)),
    *(_by(2.3, "nearest", axes) for axes in (1, 3)),
    *(
        Case(f"area-by-{factor}", _resize(scale_factor=factor, mode="area"), _drawn(1, 2, 90, 50))
        for factor in (0.7, 2.3)
    ),
    _by((2.3, 1.0, 0.7), "nearest-exact", 3),
]
