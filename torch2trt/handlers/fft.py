"""Fourier transforms as matrix products, and where complex values begin and end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Dim, Shape, Tensor, fourier
from ..emit import complex as pairs
from ..errors import UnsupportedArgumentError
from ..pairs import Complex, is_complex
from ..registry import op

_INVERSE_NORM = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}
"""The norm that makes a forward transform scale as the inverse one does."""


def _scale(norm: str | None, count: Dim, inverse: bool) -> Any:
    """The factor of a transform over ``count`` elements; by default the inverse one is scaled."""
    scaled = norm == "forward" if not inverse else norm in (None, "backward")
    if isinstance(count, int):
        return 1 / math.sqrt(count) if norm == "ortho" else 1 / count if scaled else 1.0
    if norm != "ortho" and not scaled:
        return torch.tensor(1.0)
    number = emit.as_float32(emit.as_dim(count))
    return emit.unary("RECIP", emit.unary("SQRT", number) if norm == "ortho" else number)


def _length(value: Any, axis: int) -> Dim:
    """The number of elements along an axis."""
    return emit.size_of(pairs.parts(value).real if is_complex(value) else value, axis)


def _complex_transform(value: Any, n: Dim | None, axis: int, norm: str | None, inverse: bool) -> Complex:
    size = _length(value, axis) if n is None else n
    return fourier.transform(value, axis, n, inverse, _scale(norm, size, inverse))


def _to_half(value: Tensor, n: Dim | None, axis: int, norm: str | None) -> Complex:
    size = _length(value, axis) if n is None else n
    return fourier.half_transform(value, axis, n, _scale(norm, size, inverse=False))


def _from_half(value: Any, n: Dim | None, axis: int, norm: str | None) -> Any:
    size = emit.dim_mul(emit.dim_sub(_length(value, axis), 1), 2) if n is None else n
    if isinstance(size, int) and size < 1:
        raise UnsupportedArgumentError(f"an inverse Fourier transform to {size} elements")
    return fourier.real_from_half(value, axis, size, _scale(norm, size, inverse=True))


@op("aten::fft_fft")
def aten_fft_fft(self: Tensor | Complex, n: Dim | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """``fft_fft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> Tensor``."""
    return _complex_transform(self, n, dim, norm, inverse=False)


@op("aten::fft_ifft")
def aten_fft_ifft(self: Tensor | Complex, n: Dim | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """``fft_ifft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> Tensor``."""
    return _complex_transform(self, n, dim, norm, inverse=True)


@op("aten::fft_rfft")
def aten_fft_rfft(self: Tensor, n: Dim | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """``fft_rfft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> Tensor``."""
    return _to_half(self, n, dim, norm)


@op("aten::fft_irfft")
def aten_fft_irfft(self: Tensor | Complex, n: Dim | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """``fft_irfft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> Tensor``."""
    return _from_half(self, n, dim, norm)


@op("aten::fft_hfft")
def aten_fft_hfft(self: Tensor | Complex, n: Dim | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """``fft_hfft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> Tensor``."""
    return _from_half(pairs.conjugate(self), n, dim, _INVERSE_NORM[norm])


@op("aten::fft_ihfft")
def aten_fft_ihfft(self: Tensor, n: Dim | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """``fft_ihfft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> Tensor``."""
    return pairs.conjugate(_to_half(self, n, dim, _INVERSE_NORM[norm]))


def _axes_and_sizes(value: Any, s: Shape | None, dim: int | Sequence[int] | None) -> list[tuple[int, Dim | None]]:
    """The axes of a transform over several, with the size of each; None for its own."""
    rank = emit.rank_of(pairs.parts(value).real if is_complex(value) else value)
    sizes = [s] if isinstance(s, int) else s
    if dim is None:
        axes = list(range(rank)) if sizes is None else list(range(rank - len(sizes), rank))
    else:
        axes = [emit.axis_of(axis, rank) for axis in ([dim] if isinstance(dim, int) else dim)]
    found = (
        [None if isinstance(size, int) and size == -1 else size for size in sizes]
        if sizes is not None
        else [None] * len(axes)
    )
    return list(zip(axes, found, strict=True))


def _transform_all(value: Any, axes: Sequence[tuple[int, Dim | None]], norm: str | None, inverse: bool) -> Any:
    for axis, size in axes:
        value = _complex_transform(value, size, axis, norm, inverse)
    return value if is_complex(value) else pairs.parts(value)


def _register_several(name: str, default: Sequence[int] | None) -> None:
    """``fftn`` and its relatives, of which the two-dimensional ones have other default axes."""

    def fftn(self: Tensor | Complex, s: Any = None, dim: Any = default, norm: str | None = None) -> Any:
        return _transform_all(self, _axes_and_sizes(self, s, dim), norm, inverse=False)

    def ifftn(self: Tensor | Complex, s: Any = None, dim: Any = default, norm: str | None = None) -> Any:
        return _transform_all(self, _axes_and_sizes(self, s, dim), norm, inverse=True)

    def rfftn(self: Tensor, s: Any = None, dim: Any = default, norm: str | None = None) -> Any:
        *rest, (last, size) = _axes_and_sizes(self, s, dim)
        return _transform_all(_to_half(self, size, last, norm), rest, norm, inverse=False)

    def irfftn(self: Tensor | Complex, s: Any = None, dim: Any = default, norm: str | None = None) -> Any:
        *rest, (last, size) = _axes_and_sizes(self, s, dim)
        return _from_half(_transform_all(self, rest, norm, inverse=True), size, last, norm)

    def hfftn(self: Tensor | Complex, s: Any = None, dim: Any = default, norm: str | None = None) -> Any:
        *rest, (last, size) = _axes_and_sizes(self, s, dim)
        value = _transform_all(self, rest, norm, inverse=False)
        return _from_half(pairs.conjugate(value), size, last, _INVERSE_NORM[norm])

    def ihfftn(self: Tensor, s: Any = None, dim: Any = default, norm: str | None = None) -> Any:
        *rest, (last, size) = _axes_and_sizes(self, s, dim)
        half = pairs.conjugate(_to_half(self, size, last, _INVERSE_NORM[norm]))
        return _transform_all(half, rest, norm, inverse=True)

    for kind, handler in (
        ("fft", fftn),
        ("ifft", ifftn),
        ("rfft", rfftn),
        ("irfft", irfftn),
        ("hfft", hfftn),
        ("ihfft", ihfftn),
    ):
        handler.__doc__ = f"``fft_{kind}{name}(Tensor self, SymInt[1]? s=None, int[1]? dim, str? norm=None)``."
        op(f"aten::fft_{kind}{name}")(handler)


_register_several("n", None)
_register_several("2", (-2, -1))


def _shifted(value: Tensor, dim: int | Sequence[int] | None, inverse: bool) -> Any:
    rank = emit.rank_of(value)
    axes = range(rank) if dim is None else [dim] if isinstance(dim, int) else dim
    sizes = emit.shape_of(value)
    if emit.is_empty(value) or not rank:
        return emit.tensor(value)
    starts: list[Any] = [0] * rank
    for axis in axes:
        axis = emit.axis_of(axis, rank)
        # A roll by half the size, or by what is left of it.
        half = emit.dim_floordiv(sizes[axis], 2)
        starts[axis] = half if inverse else emit.dim_sub(sizes[axis], half)
        starts[axis] = emit.dim_remainder(starts[axis], emit.dim_max(sizes[axis], 1))
    return emit.wrapped_window(value, starts, sizes)


@op("aten::fft_fftshift")
@emit.moves_bytes
def aten_fft_fftshift(self: Tensor, dim: Any = None) -> Any:
    """``fft_fftshift(Tensor self, int[1]? dim=None) -> Tensor``."""
    return _shifted(self, dim, inverse=False)


@op("aten::fft_ifftshift")
@emit.moves_bytes
def aten_fft_ifftshift(self: Tensor, dim: Any = None) -> Any:
    """``fft_ifftshift(Tensor self, int[1]? dim=None) -> Tensor``."""
    return _shifted(self, dim, inverse=True)


@op("aten::view_as_complex")
def aten_view_as_complex(self: Tensor) -> Any:
    """``view_as_complex(Tensor self) -> Tensor``: the last axis holds real and imaginary part."""
    return pairs.from_last_axis(pairs.as_float(self))


@op("aten::view_as_real")
def aten_view_as_real(self: Complex) -> Any:
    """``view_as_real(Tensor self) -> Tensor``: real and imaginary part as a last axis."""
    return pairs.as_last_axis(self)


@op("aten::complex")
def aten_complex(real: Tensor, imag: Tensor) -> Any:
    """``complex(Tensor real, Tensor imag) -> Tensor``."""
    dims = emit.broadcast_shape(emit.shape_of(real), emit.shape_of(imag))
    return Complex(emit.expand(pairs.as_float(real), dims), emit.expand(pairs.as_float(imag), dims))


@op("aten::polar")
def aten_polar(abs: Tensor, angle: Tensor) -> Any:
    """``polar(Tensor abs, Tensor angle) -> Tensor``."""
    angle = pairs.as_float(angle)
    return Complex(
        emit.elementwise("PROD", abs, emit.unary("COS", angle)), emit.elementwise("PROD", abs, emit.unary("SIN", angle))
    )
