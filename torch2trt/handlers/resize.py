"""Resizing: interpolation to other sizes, and moving channels to space and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import emit
from ..emit import Dim, Tensor
from ..registry import op


def _register_vectors(kind: str, name: str, spatial: int) -> None:
    """The overloads that ``interpolate`` calls: sizes or factors, one a spatial axis."""

    def nearest(input: Tensor, output_size: Sequence[Dim] | None, scale_factors: Sequence[float] | None) -> Any:
        return emit.resize(input, kind, spatial, output_size, scale_factors)

    def smooth(
        input: Tensor, output_size: Sequence[Dim] | None, align_corners: bool, scale_factors: Sequence[float] | None
    ) -> Any:
        return emit.resize(input, kind, spatial, output_size, scale_factors, align_corners)

    handler: Callable[..., Any] = nearest if kind.startswith("nearest") else smooth
    handler.__doc__ = f"``{name}.vec(Tensor input, SymInt[]? output_size, ..., float[]? scale_factors) -> Tensor``."
    op(f"aten::{name}.vec")(handler)


def _register_sizes(kind: str, name: str, spatial: int) -> None:
    """The overloads with sizes, and factors where the sizes came from some."""

    def nearest(
        self: Tensor,
        output_size: Sequence[Dim],
        scales: float | None = None,
        scales_d: float | None = None,
        scales_h: float | None = None,
        scales_w: float | None = None,
    ) -> Any:
        factors = [scales, scales_d, scales_h, scales_w]
        return emit.resize(self, kind, spatial, output_size, factors[:1] if spatial == 1 else factors[-spatial:])

    def smooth(
        self: Tensor,
        output_size: Sequence[Dim],
        align_corners: bool,
        scales: float | None = None,
        scales_d: float | None = None,
        scales_h: float | None = None,
        scales_w: float | None = None,
    ) -> Any:
        factors = [scales, scales_d, scales_h, scales_w]
        chosen = factors[:1] if spatial == 1 else factors[-spatial:]
        return emit.resize(self, kind, spatial, output_size, chosen, align_corners)

    handler: Callable[..., Any] = nearest if kind.startswith("nearest") else smooth
    handler.__doc__ = f"``{name}(Tensor self, SymInt[{spatial}] output_size, ..., float? scales=None) -> Tensor``."
    op(f"aten::{name}")(handler)


for _kind, _name, _spatial in (
    *(("nearest", f"upsample_nearest{_count}d", _count) for _count in (1, 2, 3)),
    *(("nearest_exact", f"_upsample_nearest_exact{_count}d", _count) for _count in (1, 2, 3)),
    ("linear", "upsample_linear1d", 1),
    ("linear", "upsample_bilinear2d", 2),
    ("linear", "upsample_trilinear3d", 3),
    ("cubic", "upsample_bicubic2d", 2),
):
    _register_vectors(_kind, _name, _spatial)
    _register_sizes(_kind, _name, _spatial)


def _register_smoothed(kind: str, name: str) -> None:
    def by_sizes(
        self: Tensor,
        output_size: Sequence[Dim],
        align_corners: bool,
        scales_h: float | None = None,
        scales_w: float | None = None,
    ) -> Any:
        return emit.resize_smoothed(self, kind, output_size, (scales_h, scales_w), align_corners)

    def by_vectors(
        input: Tensor, output_size: Sequence[Dim] | None, align_corners: bool, scale_factors: Sequence[float] | None
    ) -> Any:
        return emit.resize_smoothed(input, kind, output_size, scale_factors, align_corners)

    by_sizes.__doc__ = f"``{name}(Tensor self, SymInt[2] output_size, bool align_corners, ...) -> Tensor``."
    by_vectors.__doc__ = f"``{name}.vec(Tensor input, SymInt[]? output_size, bool align_corners, ...) -> Tensor``."
    op(f"aten::{name}")(by_sizes)
    op(f"aten::{name}.vec")(by_vectors)


_register_smoothed("linear", "_upsample_bilinear2d_aa")
_register_smoothed("cubic", "_upsample_bicubic2d_aa")


@op("aten::pixel_shuffle")
@emit.moves_bytes
def aten_pixel_shuffle(self: Tensor, upscale_factor: int) -> Any:
    """``pixel_shuffle(Tensor self, int upscale_factor) -> Tensor``: ``(*, C r r, H, W)`` to ``(*, C, H r, W r)``."""
    *lead, channels, height, width = emit.shape_of(self)
    factor, rank = upscale_factor, len(lead)
    kept = emit.dim_floordiv(channels, factor * factor)
    split = emit.reshape(self, [*lead, kept, factor, factor, height, width])
    moved = emit.permute(split, [*range(rank), *(rank + axis for axis in (0, 3, 1, 4, 2))])
    return emit.reshape(moved, [*lead, kept, emit.dim_mul(height, factor), emit.dim_mul(width, factor)])


@op("aten::pixel_unshuffle")
@emit.moves_bytes
def aten_pixel_unshuffle(self: Tensor, downscale_factor: int) -> Any:
    """``pixel_unshuffle(Tensor self, int downscale_factor) -> Tensor``: the inverse of ``pixel_shuffle``."""
    *lead, channels, height, width = emit.shape_of(self)
    factor, rank = downscale_factor, len(lead)
    height, width = emit.dim_floordiv(height, factor), emit.dim_floordiv(width, factor)
    split = emit.reshape(self, [*lead, channels, height, factor, width, factor])
    moved = emit.permute(split, [*range(rank), *(rank + axis for axis in (0, 2, 4, 1, 3))])
    return emit.reshape(moved, [*lead, emit.dim_mul(channels, factor * factor), height, width])


@op("aten::channel_shuffle", "aten::native_channel_shuffle")
@emit.moves_bytes
def aten_channel_shuffle(self: Tensor, groups: int) -> Any:
    """``channel_shuffle(Tensor self, SymInt groups) -> Tensor``: channels are axis 1."""
    batch, channels, *rest = sizes = emit.shape_of(self)
    split = emit.reshape(self, [batch, groups, emit.dim_floordiv(channels, groups), *rest])
    return emit.reshape(emit.swap_axes(split, 1, 2), sizes)
