"""Short-time Fourier transforms: frames times a matrix, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Dim, Tensor, fourier
from ..emit import complex as pairs
from ..errors import UnsupportedArgumentError
from ..pairs import Complex, is_complex
from ..registry import op
from ..weights import derive

_LARGEST_MATRIX = 1024
"""A longer transform is done in two steps: as one product it would need ``12 n_fft ** 2`` bytes of constants."""


def _window(window: Tensor | None, length: int, size: int) -> Tensor:
    """The window, ones by default, in the middle of ``size`` elements."""
    before = (size - length) // 2
    if window is None:
        window = torch.ones(length)
    if is_complex(window):
        raise UnsupportedArgumentError("a complex window", hint="use a real one")
    if isinstance(window, torch.Tensor):
        return derive(_in_the_middle, window, before, size)
    return emit.padded(window, 0, size, before)


def _in_the_middle(window: torch.Tensor, before: int, size: int) -> torch.Tensor:
    return torch.nn.functional.pad(window.float(), (before, size - len(window) - before))


def _windowed(pieces: Tensor, window: Tensor) -> Any:
    """Frames of shape ``(N, n, frames)`` times the window."""
    column = derive(torch.unsqueeze, window, 1) if isinstance(window, torch.Tensor) else emit.unsqueeze(window, 1)
    return emit.elementwise("PROD", pieces, column)


def _weighted(basis: torch.Tensor, window: Tensor) -> Tensor:
    """Rows of shape ``(..., n)`` times the window."""
    if isinstance(window, torch.Tensor):
        return derive(torch.mul, basis, window)
    return emit.elementwise("PROD", basis, window)


@op("aten::stft")
def aten_stft(
    self: Tensor | Complex,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
) -> Any:
    """``stft(Tensor self, int n_fft, int? hop_length=None, int? win_length=None, Tensor? window=None, ...)``."""
    onesided = not is_complex(self) if onesided is None else onesided
    count = n_fft // 2 + 1 if onesided else n_fft
    shape, scale = _window(window, win_length or n_fft, n_fft), 1 / math.sqrt(n_fft) if normalized else 1.0
    signals = [pairs.as_float(part) for part in (pairs.parts(self) if is_complex(self) else (self,))]
    batched = emit.rank_of(signals[0]) == 2
    signals = signals if batched else [emit.unsqueeze(signal, 0) for signal in signals]
    pieces = [emit.frames(signal, n_fft, hop_length or n_fft // 4) for signal in signals]
    if n_fft > _LARGEST_MATRIX:
        windowed = [_windowed(piece, shape) for piece in pieces]
        held = Complex(*windowed) if len(windowed) == 2 else windowed[0]
        found = (
            fourier.half_transform(held, 1, None, scale) if onesided else fourier.transform(held, 1, None, False, scale)
        )
    else:
        found = _by_matrix(pieces, fourier.basis(n_fft, count, -1.0, scale), shape)
    result = Complex(*(part if batched else emit.squeeze(part, [0]) for part in found))
    as_complex = is_complex(self) if return_complex is None else return_complex
    return result if as_complex else pairs.as_last_axis(result)


def _by_matrix(pieces: Sequence[Tensor], basis: torch.Tensor, window: Tensor) -> Complex:
    """The transforms of frames, real or of real and imaginary parts, by one product each."""
    kernel = _weighted(torch.cat([basis.real.T, basis.imag.T]).float(), window)
    count = basis.shape[1]
    sums = [emit.split_at(emit.full_matmul(kernel, piece), 1, [count, count]) for piece in pieces]
    real, imag = sums[0]
    if len(sums) == 2:
        real, imag = emit.elementwise("SUB", real, sums[1][1]), emit.elementwise("SUM", imag, sums[1][0])
    return Complex(real, imag)


@op("aten::istft")
def aten_istft(
    self: Complex,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: Dim | None = None,
) -> Any:
    """``istft(Tensor self, int n_fft, int? hop_length=None, ...) -> Tensor``: to a real signal."""
    hop = hop_length or n_fft // 4
    parts = [part if emit.rank_of(part) == 3 else emit.unsqueeze(part, 0) for part in pairs.parts(self)]
    count = n_fft // 2 + 1
    half = [emit.slice_axis(part, 1, 0, count) for part in parts]
    shape, scale = _window(window, win_length or n_fft, n_fft), 1 / math.sqrt(n_fft) if normalized else 1 / n_fft
    frames = emit.size_of(half[0], 2)
    if n_fft > _LARGEST_MATRIX:
        pieces = _windowed(fourier.real_from_half(Complex(*half), 1, n_fft, scale), shape)
    else:
        table = _weighted(fourier.half_inverse(n_fft, scale), shape)
        pieces = emit.full_matmul(table, emit.concatenate(half, 1), transpose_left=True)
    signal = emit.overlap_add(pieces, hop)
    square = derive(torch.square, shape) if isinstance(shape, torch.Tensor) else emit.elementwise("PROD", shape, shape)
    envelope = _envelope(square, frames, hop)
    start = n_fft // 2 if center else 0
    total = emit.dim_add(emit.dim_mul(emit.dim_sub(frames, 1), hop), n_fft)
    kept = emit.dim_sub(total, 2 * start) if length is None else emit.dim_min(emit.dim_sub(total, start), length)
    scaled = emit.elementwise("DIV", emit.slice_axis(signal, 1, start, kept), emit.slice_axis(envelope, 1, start, kept))
    if length is not None:
        scaled = emit.padded(scaled, 1, length)
    return scaled if emit.rank_of(pairs.parts(self).real) == 3 else emit.squeeze(scaled, [0])


def _envelope(square: Tensor, frames: Any, hop: int) -> Any:
    """The sum of the squared windows over each element of the signal, of shape ``(1, length)``."""
    if isinstance(square, torch.Tensor) and isinstance(frames, int):
        return derive(_known_envelope, square, frames, hop)
    size = emit.size_of(square, 0)
    return emit.overlap_add(emit.expand(emit.reshape(square, [1, size, 1]), [1, size, frames]), hop)


def _known_envelope(square: torch.Tensor, frames: int, hop: int) -> torch.Tensor:
    return torch.nn.functional.conv_transpose1d(torch.ones(1, frames), square.reshape(1, 1, -1), stride=hop)
