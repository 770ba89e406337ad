"""Special functions of float32, from polynomials on pieces of the line; each takes and gives float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from . import polynomials
from .arithmetic import extremum
from .dtypes import Tensor, cast, tensor
from .math import compare, elementwise, unary, where

_FAR_MIDDLE, _FAR_HALF = (10 + math.sqrt(5)) / 2, (10 - math.sqrt(5)) / 2
"""The interval of ``polynomials.ERFINV_FAR``."""


def number(value: float) -> torch.Tensor:
    """A known float32 number."""
    return torch.tensor(value)


def add(left: Tensor, right: Tensor | float) -> Any:
    """The sum with a tensor or a number."""
    return elementwise("SUM", left, cast(right, torch.float32))


def multiply(left: Tensor, right: Tensor | float) -> Any:
    """The product with a tensor or a number."""
    return elementwise("PROD", left, cast(right, torch.float32))


def divide(left: Tensor | float, right: Tensor | float) -> Any:
    """The quotient of tensors or numbers."""
    return elementwise("DIV", cast(left, torch.float32), cast(right, torch.float32))


def subtract(left: Tensor | float, right: Tensor | float) -> Any:
    """The difference of tensors or numbers."""
    return elementwise("SUB", cast(left, torch.float32), cast(right, torch.float32))


def polynomial(value: Tensor, coefficients: Sequence[float]) -> Any:
    """Horner's scheme; the coefficients come from the constant term on."""
    result: Any = number(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = add(multiply(result, value), coefficient)
    return result


def affine(value: Tensor, scale: float, shift: float) -> Any:
    """``scale * value + shift``."""
    return add(multiply(value, scale), shift)


def exp_of_square(value: Tensor, sign: float) -> Any:
    """``exp(sign * x * x)`` for ``x`` of 0 and more, without the error that squaring in float32 has in the exponent.

    ``x`` is split into a multiple of 1/16, whose square is exact, and a rest; above 30 the result is 0 or infinite.
    """
    value = extremum("MIN", value, 30.0)
    coarse = multiply(unary("ROUND", multiply(value, 16.0)), 1 / 16)
    rest = elementwise("PROD", elementwise("SUB", value, coarse), elementwise("SUM", value, coarse))
    parts = [elementwise("PROD", coarse, coarse), rest]
    return elementwise("PROD", *(unary("EXP", multiply(part, sign)) for part in parts))


def _erfcx_of_positive(value: Tensor) -> Any:
    near = polynomial(add(value, -1.0), polynomials.ERFCX_NEAR)
    far = elementwise("DIV", polynomial(affine(unary("RECIP", value), 4.0, -1.0), polynomials.ERFCX_FAR), value)
    return where(compare("GREATER", value, 2.0), far, near)


def erfcx(value: Tensor) -> Any:
    """``exp(x * x) * erfc(x)``."""
    magnitude = unary("ABS", value)
    result = _erfcx_of_positive(magnitude)
    mirrored = elementwise("SUB", multiply(exp_of_square(magnitude, 1.0), 2.0), result)
    return where(compare("LESS", value, 0), mirrored, result)


def erfc(value: Tensor) -> Any:
    """``1 - erf(x)``, accurate where it is small."""
    magnitude = unary("ABS", value)
    result = elementwise("PROD", exp_of_square(magnitude, -1.0), _erfcx_of_positive(magnitude))
    return where(compare("LESS", value, 0), subtract(2.0, result), result)


def ndtr(value: Tensor) -> Any:
    """The distribution function of the standard normal distribution."""
    return multiply(erfc(multiply(value, -math.sqrt(0.5))), 0.5)


def log_ndtr(value: Tensor) -> Any:
    """The logarithm of :func:`ndtr`, accurate far below 0."""
    scaled = multiply(value, -math.sqrt(0.5))
    magnitude = unary("ABS", scaled)
    scale = _erfcx_of_positive(magnitude)
    below = elementwise("SUB", unary("LOG", multiply(scale, 0.5)), elementwise("PROD", scaled, scaled))
    tail = multiply(elementwise("PROD", exp_of_square(magnitude, -1.0), scale), 0.5)
    inside = where(compare("LESS", value, 0), unary("LOG", tail), log_of_one_minus(tail))
    return where(compare("LESS", value, -1.0), below, inside)


def log_of_one_minus(value: Tensor) -> Any:
    """``log(1 - x)`` for ``x`` in [0, 1/2]: ``-2 atanh(x / (2 - x))``."""
    return multiply(unary("ATANH", elementwise("DIV", value, subtract(2.0, value))), -2.0)


def _erfinv_of(value: Tensor, product: Tensor) -> Any:
    """The inverse error function of ``value``, where ``product`` is ``1 - value * value``."""
    exponent = unary("NEG", unary("LOG", product))
    near = polynomial(affine(exponent, 0.4, -1.0), polynomials.ERFINV_NEAR)
    root = unary("SQRT", exponent)
    far = polynomial(affine(root, 1 / _FAR_HALF, -_FAR_MIDDLE / _FAR_HALF), polynomials.ERFINV_FAR)
    return elementwise("PROD", value, where(compare("GREATER", exponent, 5.0), far, near))


def erfinv(value: Tensor) -> Any:
    """The inverse error function; NaN outside of [-1, 1]."""
    result = _erfinv_of(value, elementwise("PROD", subtract(1.0, value), add(value, 1.0)))
    return where(compare("EQUAL", unary("ABS", value), 1.0), multiply(value, math.inf), result)


def ndtri(value: Tensor) -> Any:
    """The inverse of :func:`ndtr`; NaN outside of [0, 1]."""
    centred = add(elementwise("SUM", value, value), -1.0)
    product = multiply(elementwise("PROD", value, subtract(1.0, value)), 4.0)
    result = multiply(_erfinv_of(centred, product), math.sqrt(2))
    return where(compare("EQUAL", product, 0), multiply(centred, math.inf), result)


def entr(value: Tensor) -> Any:
    """``-x log(x)``; 0 at 0, -infinity below."""
    product = unary("NEG", elementwise("PROD", value, unary("LOG", value)))
    product = where(compare("EQUAL", value, 0), 0.0, product)
    return where(compare("LESS", value, 0), -math.inf, product)


def to_nearest(value: Tensor) -> Any:
    """``x`` less the nearest integer: the argument of functions of period 1, in [-1/2, 1/2]."""
    return elementwise("SUB", value, unary("ROUND", value))


def lgamma(value: Tensor) -> Any:
    """The logarithm of the absolute value of the gamma function.

    On (0, 3] a polynomial times its zeros at 1 and 2, above 3 Stirling's series, below 0 the reflection formula.
    """
    mirror = compare("LESS", value, 0)
    argument = where(mirror, subtract(1.0, value), value)
    small = compare("LESS", argument, 1.0)
    from_one = where(small, argument, add(argument, -1.0))  # lgamma(x) = lgamma(x + 1) - log(x) below 1
    from_two = add(from_one, -1.0)
    near = elementwise("PROD", elementwise("PROD", from_one, from_two), _lgamma_factor(from_two))
    near = elementwise("SUB", near, where(small, unary("LOG", argument), 0.0))
    result = where(compare("GREATER", argument, 3.0), _stirling(argument), near)
    sine = unary("ABS", unary("SIN", multiply(to_nearest(value), math.pi)))
    mirrored = elementwise("SUB", unary("LOG", divide(math.pi, sine)), result)
    result = where(mirror, mirrored, result)
    return where(compare("EQUAL", value, -math.inf), math.inf, result)


def _lgamma_factor(from_two: Tensor) -> Any:
    return polynomial(from_two, polynomials.LGAMMA_NEAR)


def _stirling(value: Tensor) -> Any:
    """``lgamma`` above 3: ``(x - 1/2) (log(x) - 1)`` and the series in 1/x."""
    inverse = unary("RECIP", value)
    series = polynomial(elementwise("PROD", inverse, inverse), [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188])
    main = elementwise("PROD", add(value, -0.5), add(unary("LOG", value), -1.0))
    return add(elementwise("SUM", main, elementwise("PROD", series, inverse)), 0.5 * math.log(2 * math.pi) - 0.5)


def digamma(value: Tensor) -> Any:
    """The derivative of ``lgamma``; NaN at negative integers, infinite at 0, with the sign opposite to its own."""
    mirror = compare("LESS", value, 0)
    argument = where(mirror, subtract(1.0, value), value)
    shifts = None
    for step in range(5):
        part = unary("RECIP", add(argument, float(step)) if step else argument)
        shifts = part if shifts is None else elementwise("SUM", shifts, part)
    shifted = add(argument, 5.0)
    inverse = unary("RECIP", shifted)
    square = elementwise("PROD", inverse, inverse)
    series = elementwise("PROD", square, polynomial(square, [1 / 12, -1 / 120, 1 / 252, -1 / 240]))
    main = elementwise("SUB", unary("LOG", shifted), elementwise("SUM", multiply(inverse, 0.5), series))
    result = elementwise("SUB", main, shifts)
    rest = to_nearest(value)
    turn = divide(math.pi, unary("TAN", multiply(rest, math.pi)))
    mirrored = where(compare("EQUAL", rest, 0), math.nan, elementwise("SUB", result, turn))
    result = where(mirror, mirrored, result)
    return where(compare("EQUAL", value, 0), unary("NEG", unary("RECIP", value)), result)


def polygamma(order: int, value: Tensor) -> Any:
    """The derivative of ``digamma`` of a known order; below 1/2 by the reflection formula."""
    if order == 0:
        return digamma(value)
    mirror = compare("LESS", value, 0.5)
    argument = where(mirror, subtract(1.0, value), value)
    sign, factorial = (-1.0) ** (order + 1), float(math.factorial(order))
    result = multiply(hurwitz(number(float(order + 1)), argument, terms=10), sign * factorial)
    cotangent = unary("RECIP", unary("TAN", multiply(to_nearest(value), math.pi)))
    derivative = multiply(polynomial(cotangent, _cotangent_derivative(order)), -(math.pi ** (order + 1)))
    mirrored = elementwise("SUB", derivative, multiply(result, sign))
    mirrored = where(compare("EQUAL", to_nearest(value), 0), sign * math.inf, mirrored)
    result = where(compare("EQUAL", value, math.inf), 0.0, result)
    return where(mirror, mirrored, result)


def _cotangent_derivative(order: int) -> list[float]:
    """Coefficients in ``c = cot(x)`` of its derivative: each is ``-(1 + c * c)`` times that of the one before."""
    found = [0.0, 1.0]
    for _ in range(order):
        slope = [power * value for power, value in enumerate(found)][1:]
        padded = [0.0, 0.0, *slope]
        found = [-(low + high) for low, high in zip([*slope, 0.0, 0.0], padded, strict=True)]
    return found


def hurwitz(exponent: Tensor, value: Tensor, terms: int) -> Any:
    """``sum((value + k) ** -exponent for k in range(infinity))`` by Euler and Maclaurin after ``terms`` terms.

    ``exponent`` must be above 1 and ``value + terms`` at least 9.
    """
    minus = unary("NEG", tensor(exponent))
    total = term = None
    for step in range(terms):
        place = add(value, float(step)) if step else value
        term = elementwise("POW", place, minus)
        total = term if total is None else elementwise("SUM", total, term)
    rest = elementwise("DIV", elementwise("PROD", term, place), add(exponent, -1.0))
    total = elementwise("SUM", total, elementwise("SUB", rest, multiply(term, 0.5)))
    # B(2 j) / (2 j)! for j of 1 to 6
    factor, inverse = term, unary("RECIP", place)
    for index, bernoulli in enumerate((1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -5.284190139e-10)):
        for step in [0] if index == 0 else [2 * index - 1, 2 * index]:
            factor = elementwise("PROD", factor, elementwise("PROD", add(exponent, float(step)), inverse))
        total = elementwise("SUM", total, multiply(factor, bernoulli))
    return total


ZETA_TERMS = 32
"""How many terms ``zeta`` adds one by one: it reaches down to this many, less 9, below 0."""


def zeta(exponent: Tensor, value: Tensor) -> Any:
    """The Hurwitz zeta function; NaN below an exponent of 1, infinite at 1 and at values that are no positive integer.

    Below -23 it is NaN, where PyTorch adds terms one by one until they are positive.
    """
    result = hurwitz(exponent, value, ZETA_TERMS)
    whole = compare("EQUAL", value, unary("FLOOR", value))
    even = compare("EQUAL", exponent, unary("FLOOR", exponent))
    below = where(even, where(compare("LESS", value, 9.0 - ZETA_TERMS), math.nan, result), math.nan)
    below = where(whole, math.inf, below)
    result = where(compare("GREATER", value, 0), result, below)
    result = where(compare("EQUAL", exponent, 1.0), math.inf, result)
    result = where(compare("LESS", exponent, 1.0), math.nan, result)
    unknown = elementwise("OR", unary("ISNAN", value), unary("ISNAN", exponent))
    return where(unknown, math.nan, result)
