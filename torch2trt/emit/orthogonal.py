"""Orthogonal polynomials of float32, of a degree that is known or itself a tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from ..errors import UnsupportedArgumentError
from .dtypes import Tensor, cast, tensor
from .math import compare, elementwise, logical_not, unary, where
from .special import add, affine, multiply, number, subtract

HIGHEST = 64
"""The highest degree that a recurrence is unrolled to where the degree is a tensor; above it the result is NaN."""

Step = Callable[[Any, Any, Any, int], Any]
"""Gives the polynomial of degree ``k + 1`` from ``x``, those of degrees ``k`` and ``k - 1``, and ``k``."""


def _hermite_h(x: Any, this: Any, last: Any, k: int) -> Any:
    twice = multiply(elementwise("PROD", x, this), 2.0)
    return elementwise("SUB", twice, multiply(last, 2.0 * k))


def _hermite_he(x: Any, this: Any, last: Any, k: int) -> Any:
    return elementwise("SUB", elementwise("PROD", x, this), multiply(last, float(k)))


def _laguerre(x: Any, this: Any, last: Any, k: int) -> Any:
    factor = subtract(2.0 * k + 1, x)
    total = elementwise("SUB", elementwise("PROD", factor, this), multiply(last, float(k)))
    return multiply(total, 1 / (k + 1))


def _legendre(x: Any, this: Any, last: Any, k: int) -> Any:
    product = multiply(elementwise("PROD", x, this), 2.0 * k + 1)
    return multiply(elementwise("SUB", product, multiply(last, float(k))), 1 / (k + 1))


def _chebyshev(x: Any, this: Any, last: Any, k: int) -> Any:
    return elementwise("SUB", multiply(elementwise("PROD", x, this), 2.0), last)


# Kind: the step, and the polynomial of degree 1 as (scale, shift).
RECURRENCES: dict[str, tuple[Step, tuple[float, float]]] = {
    "hermite_polynomial_h": (_hermite_h, (2.0, 0.0)),
    "hermite_polynomial_he": (_hermite_he, (1.0, 0.0)),
    "laguerre_polynomial_l": (_laguerre, (-1.0, 1.0)),
    "legendre_polynomial_p": (_legendre, (1.0, 0.0)),
    "chebyshev_polynomial_t": (_chebyshev, (1.0, 0.0)),
    "chebyshev_polynomial_u": (_chebyshev, (2.0, 0.0)),
    "chebyshev_polynomial_v": (_chebyshev, (2.0, -1.0)),
    "chebyshev_polynomial_w": (_chebyshev, (2.0, 1.0)),
}


def of_known_degree(kind: str, value: Tensor, degree: int) -> Any:
    """The polynomial of a known degree by its recurrence; 0 for a negative degree, as in PyTorch.

    Raises:
        UnsupportedArgumentError: the degree is above 64.
    """
    if degree > HIGHEST:
        raise UnsupportedArgumentError(f"degree {degree} of {kind} would need {degree} steps", hint="stay below 65")
    zero = multiply(value, 0.0)
    if degree < 0:
        return zero
    step, (scale, shift) = RECURRENCES[kind]
    last, this = add(zero, 1.0), affine(value, scale, shift)
    for k in range(1, degree):
        last, this = this, step(value, this, last, k)
    return this if degree else last


def of_degree(kind: str, value: Tensor, degree: Tensor) -> Any:
    """The polynomial of a degree that is a float32 tensor of whole numbers, by its recurrence; NaN above 64."""
    step, (scale, shift) = RECURRENCES[kind]
    last, this = number(1.0), affine(value, scale, shift)
    result = where(compare("EQUAL", degree, 0), 1.0, where(compare("LESS", degree, 0), 0.0, this))
    for k in range(1, HIGHEST):
        last, this = this, step(value, this, last, k)
        result = where(compare("EQUAL", degree, float(k + 1)), this, result)
    return where(compare("GREATER", degree, float(HIGHEST)), math.nan, result)


# Kind: what is added to the degree, the functions of the angle (cosine or sine; over which of half the angle).
_FORMS: dict[str, tuple[float, str, str, float]] = {
    "chebyshev_polynomial_t": (0.0, "COS", "", 0.0),
    "chebyshev_polynomial_u": (1.0, "SIN", "SIN", 1.0),
    "chebyshev_polynomial_v": (0.5, "COS", "COS", 0.5),
    "chebyshev_polynomial_w": (0.5, "SIN", "SIN", 0.5),
}
_MIRRORED = {"chebyshev_polynomial_v": "chebyshev_polynomial_w", "chebyshev_polynomial_w": "chebyshev_polynomial_v"}
_HYPERBOLIC = {"COS": "COSH", "SIN": "SINH"}


def chebyshev(kind: str, value: Tensor, degree: Tensor) -> Any:
    """A Chebyshev polynomial of a degree that is a float32 tensor of whole numbers, by its closed form.

    The angle is that of ``abs(x)``; on the left ``P(-x) = (-1) ** n * P(x)``, where the third and fourth kinds swap.
    """
    magnitude = unary("ABS", value)
    inside = compare("LESS", magnitude, 1.0)
    half = multiply(degree, 0.5)
    odd = logical_not(compare("EQUAL", half, unary("FLOOR", half)))
    right = _closed_form(kind, magnitude, degree, inside)
    left = right if kind not in _MIRRORED else _closed_form(_MIRRORED[kind], magnitude, degree, inside)
    left = where(odd, unary("NEG", left), left)
    result = where(compare("LESS", value, 0), left, right)
    result = where(compare("EQUAL", degree, 0), 1.0, result)
    return where(compare("LESS", degree, 0), 0.0, result)


def _closed_form(kind: str, magnitude: Any, degree: Any, inside: Any) -> Any:
    """The value for ``x`` of 0 and more: of the angle ``acos(x)``, or of ``acosh(x)`` above 1."""
    shift, above, below, part = _FORMS[kind]
    places = add(degree, shift)
    found = []
    for angle, names in (("ACOS", {}), ("ACOSH", _HYPERBOLIC)):
        turn = unary(angle, magnitude)
        result = unary(names.get(above, above), elementwise("PROD", places, turn))
        if below:
            result = elementwise("DIV", result, unary(names.get(below, below), multiply(turn, part)))
        found.append(result)
    result = where(inside, *found)
    limit = multiply(places, 1 / part) if above == "SIN" else number(1.0)
    return where(compare("EQUAL", magnitude, 1.0), limit, result)


def whole(degree: Tensor) -> Any:
    """A degree as float32: towards zero, as PyTorch converts it to an integer."""
    degree = tensor(degree)
    return cast(cast(degree, torch.int64), torch.float32)
