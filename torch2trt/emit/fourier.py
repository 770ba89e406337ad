"""Discrete Fourier transforms as matrix products; long ones in two steps (Cooley and Tukey).

Of a length that is known at run time only, the network computes the matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from ..errors import UnsupportedArgumentError
from ..pairs import Complex, is_complex
from .complex import as_float, conjugate, multiply_complex, parts
from .dims import Dim, as_dim, axis_of, dim_add, dim_floordiv, rank_of, shape_of, size_of
from .dtypes import Tensor, cast
from .math import compare, elementwise, unary, where
from .moving import padded
from .shape import concatenate, permute, reshape, slice_axis, strided_slice
from .tf32 import full_matmul
from .whole import positions, shaped, whole

LONGEST_DIRECT = 256
"""A longer transform is done in two shorter ones, if its length is no prime."""

LONGEST = 8192
"""The longest transform by one matrix, which holds four numbers for every pair of elements."""


def transform(value: Any, axis: int, size: Dim | None, inverse: bool, scale: Tensor) -> Complex:
    """``scale * sum_t value[t] exp(-2 pi i k t / n)`` along an axis, or with a plus sign.

    Args:
        value: real or complex.
        axis: counted from the front or the back.
        size: n; the axis is cut off or filled with zeros.
        inverse: the sign of the exponent.
        scale: a factor; a 0-d float32 ITensor where the length is known at run time only.
    """
    moved, back, n = _prepared(value, axis, size)
    sign = 1.0 if inverse else -1.0
    done = _along_last(moved, n, sign, scale) if isinstance(n, int) else _run_time(moved, n, n, sign, scale)
    return _permuted(done, back)


def half_transform(value: Tensor, axis: int, size: Dim | None, scale: Tensor) -> Complex:
    """The first half of the transform of a real tensor, from which the rest follows: ``n // 2 + 1`` frequencies."""
    moved, back, n = _prepared(value, axis, size)
    if not isinstance(n, int):
        return _permuted(_run_time(moved, n, _half(n), -1.0, scale), back)
    if n <= LONGEST_DIRECT:
        return _permuted(_direct(moved, *_known_basis(n, n // 2 + 1, -1.0, scale)), back)
    whole = _along_last(moved, n, -1.0, scale)
    axis = rank_of(whole.real) - 1
    return _permuted(Complex(*(slice_axis(part, axis, 0, n // 2 + 1) for part in whole)), back)


def real_from_half(value: Any, axis: int, n: Dim, scale: Tensor) -> Any:
    """``scale`` times the real tensor of ``n`` elements whose transform starts with ``value``.

    The imaginary parts of the first frequency, and of the middle one for an even ``n``, do not count.
    """
    held = parts(value)
    held, back, _ = _prepared(held, axis, _half(n))
    if not isinstance(n, int):
        return permute(_real_at_run_time(held, n, scale), back)
    if n <= LONGEST_DIRECT:
        return permute(_times(_joined(held, -1), half_inverse(n, scale)), back)
    whole = _along_last(_whole(held, n), n, 1.0, scale)
    return permute(whole.real, back)


def _whole(held: Complex, n: int) -> Complex:
    """All frequencies of a real tensor from the first half: the others are conjugates, in reverse order."""
    last = rank_of(held.real) - 1
    rest = n - (n // 2 + 1)
    # The first frequency, and the middle one of an even n, are real.
    edge = torch.ones(n // 2 + 1)
    edge[0] = 0
    if n % 2 == 0:
        edge[-1] = 0
    held = Complex(held.real, multiply_complex(Complex(held.imag, held.imag), edge).real)
    turned = []
    for part in conjugate(held):
        sizes = [*shape_of(part)[:-1], rest]
        starts = [0] * last + [rest]
        turned.append(strided_slice(part, starts, sizes, [1] * last + [-1]))
    return Complex(*(concatenate([part, other], last) for part, other in zip(held, turned, strict=True)))


def _half(n: Dim) -> Dim:
    """How many frequencies a real tensor of ``n`` elements has."""
    return dim_add(dim_floordiv(n, 2), 1)


def _run_time(value: Any, n: Dim, count: Dim, sign: float, scale: Tensor) -> Complex:
    """``count`` frequencies of the transform along the last axis, of ``n`` elements."""
    cosine, sine = (elementwise("PROD", part, scale) for part in _basis_at_run_time(n, n, count, sign))
    return _direct(value, cosine, sine)


def _real_at_run_time(held: Complex, n: Dim, scale: Tensor) -> Any:
    """As :func:`real_from_half` along the last axis: all frequencies but the first and the middle one count twice."""
    count = _half(n)
    place = positions(count)
    once = elementwise("OR", compare("EQUAL", place, 0), compare("EQUAL", whole("PROD", place, 2), n))
    weights = elementwise("PROD", where(once, torch.tensor(1.0), torch.tensor(2.0)), scale)
    weighted = [elementwise("PROD", part, weights) for part in held]
    cosine, sine = _basis_at_run_time(n, count, n, 1.0)
    return _times(_joined(weighted, -1), _joined([cosine, _negative(sine)], 0))


def _basis_at_run_time(n: Dim, rows: Dim, columns: Dim, sign: float) -> tuple[Any, Any]:
    """Real and imaginary part of ``exp(sign 2 pi i t k / n)``, of shape ``(rows, columns)``."""
    product = whole("PROD", shaped(positions(rows), [rows, 1]), positions(columns))
    turn = whole("SUB", product, whole("PROD", whole("FLOOR_DIV", product, n), n))  # exact, so that angles are small
    fraction = elementwise("DIV", cast(turn, torch.float32), cast(as_dim(n), torch.float32))
    angle = elementwise("PROD", fraction, torch.tensor(sign * 2 * math.pi))
    return unary("COS", angle), unary("SIN", angle)


def _prepared(value: Any, axis: int, size: Dim | None) -> tuple[Any, list[int], Dim]:
    """The value with the axis last and of its final size; the order that moves it back; and that size."""
    values = tuple(value) if isinstance(value, Complex) else tuple(parts(value)) if is_complex(value) else (value,)
    rank = rank_of(values[0])
    axis = axis_of(axis, rank)
    n = size_of(values[0], axis) if size is None else size
    if isinstance(n, int) and n < 1:
        raise UnsupportedArgumentError("a Fourier transform of no elements")
    order = [other for other in range(rank) if other != axis] + [axis]
    held = [as_float(part) for part in values]
    moved = [permute(part if size is None else padded(part, axis, n), order) for part in held]
    return (Complex(*moved) if len(moved) == 2 else moved[0]), [order.index(other) for other in range(rank)], n


def _permuted(value: Complex, order: list[int]) -> Complex:
    return Complex(*(permute(part, order) for part in value))


def _along_last(value: Any, n: int, sign: float, scale: float) -> Complex:
    """The transform along the last axis, of ``n`` elements."""
    first = _factor(n) if n > LONGEST_DIRECT else n
    if first in (1, n):
        if n > LONGEST:
            raise UnsupportedArgumentError(
                f"a Fourier transform of length {n}, which has no factor up to {LONGEST_DIRECT}",
                hint="pad to a length with small factors",
            )
        return _direct(value, *_known_basis(n, n, sign, scale))
    return _in_two_steps(value, first, n // first, sign, scale)


def _factor(n: int) -> int:
    """The divisor of n nearest to its square root from below; 1 for a prime."""
    return next(divisor for divisor in range(math.isqrt(n), 0, -1) if n % divisor == 0)


def _in_two_steps(value: Any, first: int, second: int, sign: float, scale: float) -> Complex:
    """Element ``first * t2 + t1`` and frequency ``second * k1 + k2``: over t2, a twiddle factor, then over t1."""
    n = first * second
    split = [_regrouped(part, [second, first]) for part in (value if isinstance(value, Complex) else (value,))]
    inner = Complex(*split) if len(split) == 2 else split[0]
    rank = rank_of(split[0])
    swapped = [*range(rank - 2), rank - 1, rank - 2]
    inner = Complex(*(permute(part, swapped) for part in inner)) if len(split) == 2 else permute(inner, swapped)
    done = _along_last(inner, second, sign, 1.0)  # (..., t1, k2)
    angle = torch.arange(first, dtype=torch.float64).outer(torch.arange(second, dtype=torch.float64))
    twiddle = torch.polar(torch.ones_like(angle), sign * 2 * math.pi * angle / n).to(torch.complex64)
    turned = _permuted(multiply_complex(done, twiddle), swapped)  # (..., k2, t1)
    outer = _permuted(_along_last(turned, first, sign, scale), swapped)  # (..., k1, k2)
    sizes = shape_of(outer.real)
    return Complex(*(reshape(part, [*sizes[:-2], n]) for part in outer))


def _regrouped(value: Any, sizes: list[int]) -> Any:
    return reshape(value, [*shape_of(value)[:-1], *sizes])


def basis(n: int, count: int, sign: float, scale: float) -> torch.Tensor:
    """``scale * exp(sign 2 pi i t k / n)`` for n rows t and ``count`` columns k, in complex128; exact on the axes."""
    product = torch.arange(n).outer(torch.arange(count)) % n
    angle = product.to(torch.float64) * (sign * 2 * math.pi / n)
    found = torch.polar(torch.full_like(angle, scale), angle)
    real, imaginary = found.real, found.imag
    return torch.complex(
        torch.where((4 * product) % (2 * n) == n, 0, real), torch.where((2 * product) % n == 0, 0, imaginary)
    )


def _known_basis(n: int, count: int, sign: float, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Real and imaginary part of :func:`basis`, in float32."""
    held = basis(n, count, sign, scale)
    return held.real.float(), held.imag.float()


def _direct(value: Any, cosine: Tensor, sine: Tensor) -> Complex:
    """``value @ (cosine + i sine)`` by one real matrix product.

    With a product for each part TensorRT for RTX 1.4 gives wrong numbers for some graphs of dynamic sizes, such as the
    real part of a transform along three axes.
    """
    left, right = value, _joined([cosine, sine], 1)
    if isinstance(value, Complex):
        left, right = _joined(value, -1), _joined([right, _joined([_negative(sine), cosine], 1)], 0)
    product = _times(left, right)
    axis, count = rank_of(product) - 1, size_of(cosine, 1)
    return Complex(slice_axis(product, axis, 0, count), slice_axis(product, axis, count, count))


def _joined(parts: Sequence[Tensor], axis: int) -> Tensor:
    """The parts one after another; known if they are."""
    known = [part for part in parts if isinstance(part, torch.Tensor)]
    return torch.cat(known, axis) if len(known) == len(parts) else concatenate(parts, axis)


def _negative(value: Tensor) -> Tensor:
    return -value if isinstance(value, torch.Tensor) else unary("NEG", value)


def _times(value: Any, matrix: Tensor) -> Any:
    """``value @ matrix``, of rank 1 and higher."""
    if rank_of(value) == 1:
        return reshape(full_matmul(reshape(value, [1, -1]), matrix), [size_of(matrix, 1)])
    return full_matmul(value, matrix)


def half_inverse(n: int, scale: float) -> torch.Tensor:
    """From real and imaginary parts of ``n // 2 + 1`` frequencies, side by side, to n real elements."""
    kernel = basis(n, n // 2 + 1, 1.0, scale).T
    weights = torch.full((n // 2 + 1, 1), 2.0, dtype=torch.float64)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return torch.cat([kernel.real * weights, -kernel.imag * weights], 0).float()
