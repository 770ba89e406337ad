"""Bessel and Airy functions of float32, from polynomials on pieces of the line; each takes and gives float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import polynomials
from .dtypes import Tensor
from .math import compare, elementwise, unary, where
from .special import add, affine, divide, multiply, polynomial

_AIRY_END = 2.1
_AIRY_START = 2 / 3 * _AIRY_END**1.5


def i0e(value: Tensor) -> Any:
    """The modified Bessel function of the first kind and order 0, times ``exp(-abs(x))``."""
    magnitude = unary("ABS", value)
    near = polynomial(affine(magnitude, 0.25, -1.0), polynomials.I0_NEAR)
    return where(compare("GREATER", magnitude, 8.0), _modified_far(magnitude, polynomials.I0_FAR), near)


def i1e(value: Tensor) -> Any:
    """The modified Bessel function of the first kind and order 1, times ``exp(-abs(x))``."""
    magnitude = unary("ABS", value)
    near = elementwise("PROD", value, polynomial(affine(magnitude, 0.25, -1.0), polynomials.I1_NEAR))
    far = elementwise("PROD", unary("SIGN", value), _modified_far(magnitude, polynomials.I1_FAR))
    return where(compare("GREATER", magnitude, 8.0), far, near)


def _modified_far(magnitude: Tensor, table: Sequence[float]) -> Any:
    """Above 8: a polynomial in 1 / x, over the root of x."""
    return elementwise(
        "DIV", polynomial(affine(unary("RECIP", magnitude), 16.0, -1.0), table), unary("SQRT", magnitude)
    )


def i0(value: Tensor) -> Any:
    """The modified Bessel function of the first kind and order 0."""
    return elementwise("PROD", unary("EXP", unary("ABS", value)), i0e(value))


def i1(value: Tensor) -> Any:
    """The modified Bessel function of the first kind and order 1."""
    return elementwise("PROD", unary("EXP", unary("ABS", value)), i1e(value))


def _modified_second(value: Tensor, order: int, scaled: bool) -> Any:
    """The modified Bessel function of the second kind; infinite at 0, NaN below."""
    near_table, far_table = (
        (polynomials.K0_NEAR, polynomials.K0_FAR) if order == 0 else (polynomials.K1_NEAR, polynomials.K1_FAR)
    )
    square = elementwise("PROD", value, value)
    logarithm = unary("LOG", multiply(value, 0.5))
    near = polynomial(affine(square, 0.5, -1.0), near_table)
    first = i0(value) if order == 0 else i1(value)
    if order == 0:
        near = elementwise("SUB", near, elementwise("PROD", logarithm, first))
    else:
        near = elementwise("SUM", elementwise("DIV", near, value), elementwise("PROD", logarithm, first))
    if scaled:
        near = elementwise("PROD", near, unary("EXP", value))
    far = polynomial(affine(unary("RECIP", value), 4.0, -1.0), far_table)
    far = elementwise("DIV", far, unary("SQRT", value))
    if not scaled:
        far = elementwise("PROD", far, unary("EXP", unary("NEG", value)))
    result = where(compare("GREATER", value, 2.0), far, near)
    result = where(compare("EQUAL", value, 0), math.inf, result)
    return where(compare("LESS", value, 0), math.nan, result)


def k0(value: Tensor) -> Any:
    """The modified Bessel function of the second kind and order 0."""
    return _modified_second(value, 0, scaled=False)


def k1(value: Tensor) -> Any:
    """The modified Bessel function of the second kind and order 1."""
    return _modified_second(value, 1, scaled=False)


def k0e(value: Tensor) -> Any:
    """The modified Bessel function of the second kind and order 0, times ``exp(x)``."""
    return _modified_second(value, 0, scaled=True)


def k1e(value: Tensor) -> Any:
    """The modified Bessel function of the second kind and order 1, times ``exp(x)``."""
    return _modified_second(value, 1, scaled=True)


def _first_near(value: Tensor, order: int) -> Any:
    """``J`` of order 0 or 1 on [0, 5]."""
    square = affine(elementwise("PROD", value, value), 2 / 25, -1.0)
    found = polynomial(square, polynomials.J0_NEAR if order == 0 else polynomials.J1_NEAR)
    return found if order == 0 else elementwise("PROD", found, value)


def _oscillating(value: Tensor, order: int, second: bool) -> Any:
    """``J`` or ``Y`` of order 0 or 1 for ``x`` of at least 5: a phase and an amplitude in 1/x."""
    cosines, sines = (polynomials.P0, polynomials.Q0) if order == 0 else (polynomials.P1, polynomials.Q1)
    inverse = unary("RECIP", value)
    place = affine(elementwise("PROD", inverse, inverse), 50.0, -1.0)
    even = polynomial(place, cosines)
    odd = multiply(elementwise("PROD", polynomial(place, sines), inverse), 5.0)
    phase = add(value, -math.pi / 4 - order * math.pi / 2)
    cosine, sine = unary("COS", phase), unary("SIN", phase)
    if second:
        wave = elementwise("SUM", elementwise("PROD", even, sine), elementwise("PROD", odd, cosine))
    else:
        wave = elementwise("SUB", elementwise("PROD", even, cosine), elementwise("PROD", odd, sine))
    return elementwise("PROD", wave, unary("SQRT", multiply(inverse, 2 / math.pi)))


def _first(value: Tensor, order: int) -> Any:
    magnitude = unary("ABS", value)
    far = _oscillating(magnitude, order, second=False)
    return where(compare("GREATER", magnitude, 5.0), far, _first_near(magnitude, order))


def j0(value: Tensor) -> Any:
    """The Bessel function of the first kind and order 0; NaN at infinity, as in PyTorch."""
    return _first(value, 0)


def j1(value: Tensor) -> Any:
    """The Bessel function of the first kind and order 1."""
    result = _first(value, 1)
    return where(compare("LESS", value, 0), unary("NEG", result), result)


def _second(value: Tensor, order: int) -> Any:
    table = polynomials.Y0_NEAR if order == 0 else polynomials.Y1_NEAR
    near = polynomial(affine(elementwise("PROD", value, value), 2 / 25, -1.0), table)
    first = elementwise("PROD", unary("LOG", value), _first_near(value, order))
    if order == 1:
        near = elementwise("PROD", near, value)
        first = elementwise("SUB", first, unary("RECIP", value))
    near = elementwise("SUM", near, multiply(first, 2 / math.pi))
    result = where(compare("GREATER", value, 5.0), _oscillating(value, order, second=True), near)
    result = where(compare("EQUAL", value, 0), -math.inf, result)
    return where(compare("LESS", value, 0), math.nan, result)


def y0(value: Tensor) -> Any:
    """The Bessel function of the second kind and order 0; -infinity at 0, NaN below."""
    return _second(value, 0)


def y1(value: Tensor) -> Any:
    """The Bessel function of the second kind and order 1; -infinity at 0, NaN below."""
    return _second(value, 1)


def spherical_j0(value: Tensor) -> Any:
    """``sin(x) / x``; 1 at 0, 0 at infinity."""
    result = elementwise("DIV", unary("SIN", value), value)
    result = where(compare("EQUAL", value, 0), 1.0, result)
    return where(unary("ISINF", value), 0.0, result)


def airy(value: Tensor) -> Any:
    """The Airy function of the first kind; NaN at infinities."""
    near = polynomial(multiply(value, 1 / _AIRY_END), polynomials.AIRY_NEAR)
    magnitude = unary("ABS", value)
    root = unary("SQRT", magnitude)
    phase = multiply(elementwise("PROD", magnitude, root), 2 / 3)
    quarter = multiply(unary("SQRT", root), math.sqrt(math.pi))
    ratio = divide(_AIRY_START, phase)
    right = polynomial(affine(ratio, 2.0, -1.0), polynomials.AIRY_RIGHT)
    right = elementwise("PROD", right, unary("EXP", unary("NEG", phase)))
    right = elementwise("DIV", multiply(right, 0.5), quarter)
    place = affine(elementwise("PROD", ratio, ratio), 2.0, -1.0)
    angle = add(phase, math.pi / 4)
    sine = elementwise("PROD", unary("SIN", angle), polynomial(place, polynomials.AIRY_SINE))
    cosine = elementwise("PROD", unary("COS", angle), polynomial(place, polynomials.AIRY_COSINE))
    left = elementwise("DIV", elementwise("SUB", sine, elementwise("PROD", cosine, ratio)), quarter)
    result = where(compare("GREATER", value, _AIRY_END), right, near)
    result = where(compare("LESS", value, -_AIRY_END), left, result)
    return where(unary("ISINF", value), math.nan, result)
