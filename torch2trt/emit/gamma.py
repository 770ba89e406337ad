"""The incomplete gamma functions of float32, by Gauss-Legendre quadrature along an added axis."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch

from .arithmetic import extremum
from .dims import shape_of
from .dtypes import Tensor
from .math import compare, elementwise, reduce, unary, where
from .shape import broadcast_shape, expand, reshape
from .special import add, divide, lgamma, multiply, polynomial, subtract

_NODES = 32
_SHIFT = 4
"""The lower function is integrated at ``a + 4``, where its integrand is smooth at 0, and brought back by recurrence."""

_REACH = 22.0
"""The integrals end where the integrand has fallen to about exp(-22)."""


@functools.cache
def _quadrature() -> tuple[torch.Tensor, torch.Tensor]:
    """Nodes on (0, 1) and weights of Gauss and Legendre, from the eigenvalues of the Jacobi matrix (Golub, Welsch)."""
    place = torch.arange(1, _NODES, dtype=torch.float64)
    beside = place / torch.sqrt(4 * place * place - 1)
    values, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return ((values + 1) / 2).float().reshape(1, -1), (vectors[0] ** 2).float().reshape(1, -1)


def incomplete_gamma(shape: Tensor, value: Tensor, upper: bool) -> Any:
    """The regularised lower (P) or upper (Q) incomplete gamma function of ``shape`` and ``value``, broadcast.

    Above ``value = shape + 1`` the upper integral is taken and the lower one is its complement, below the reverse.
    NaN for negative arguments, for both 0 and for both infinite.
    """
    sizes = broadcast_shape(shape_of(shape), shape_of(value))
    shape, value = (reshape(expand(item, sizes), [-1, 1]) for item in (shape, value))
    density = _density(shape, value)
    above = compare("GREATER", value, add(shape, 1.0))
    tail, head = _tail(shape, value, density), _head(shape, value, density)
    if upper:
        result = where(above, tail, subtract(1.0, head))
    else:
        result = where(above, subtract(1.0, tail), head)
    return reshape(_limits(result, shape, value, upper), sizes)


def _density(shape: Tensor, value: Tensor) -> Any:
    """``value ** shape * exp(-value) / gamma(shape)``; from 10 on by Stirling's series, which cancels less."""
    small = elementwise("SUB", elementwise("PROD", shape, unary("LOG", value)), value)
    small = unary("EXP", elementwise("SUB", small, lgamma(shape)))
    inverse = unary("RECIP", shape)
    series = polynomial(elementwise("PROD", inverse, inverse), [1 / 12, -1 / 360, 1 / 1260])
    ratio = elementwise("DIV", value, shape)
    bend = elementwise("SUB", unary("LOG", ratio), add(ratio, -1.0))
    exponent = elementwise("SUB", elementwise("PROD", shape, bend), elementwise("PROD", series, inverse))
    large = elementwise("PROD", unary("EXP", exponent), unary("SQRT", multiply(shape, 1 / (2 * math.pi))))
    return where(compare("GREATER", shape, 10.0), large, small)


def _tail(shape: Tensor, value: Tensor, density: Tensor) -> Any:
    """Q for ``value`` above ``shape + 1``: the integral of ``(1 + u / x) ** (a - 1) * exp(-u)``."""
    nodes, weights = _quadrature()
    slope = elementwise("DIV", subtract(add(value, 1.0), shape), value)
    slope = extremum("MAX", slope, divide(3.0, unary("SQRT", add(value, 9.0))))
    reach = divide(_REACH, slope)
    place = elementwise("PROD", reach, nodes)
    growth = log1p_of_positive(elementwise("DIV", place, value))
    exponent = elementwise("SUB", elementwise("PROD", add(shape, -1.0), growth), place)
    total = reduce("SUM", elementwise("PROD", unary("EXP", exponent), weights), [1], keepdim=True)
    return elementwise("PROD", elementwise("DIV", density, value), elementwise("PROD", total, reach))


def log1p_of_positive(value: Tensor) -> Any:
    """``log(1 + x)`` for ``x`` of 0 and more; near 0 as ``2 atanh(x / (x + 2))``."""
    near = multiply(unary("ATANH", elementwise("DIV", value, add(value, 2.0))), 2.0)
    return where(compare("LESS", value, 0.5), near, unary("LOG", add(value, 1.0)))


def _head(shape: Tensor, value: Tensor, density: Tensor) -> Any:
    """P for ``value`` up to ``shape + 1``: the integral of ``(1 - v) ** (a + 3) * exp(x v)`` and four terms."""
    nodes, weights = _quadrature()
    terms = None
    for step in range(_SHIFT):
        place = add(shape, float(step)) if step else shape
        term = elementwise("DIV", density, place)
        terms = term if terms is None else elementwise("SUM", terms, term)
        density = elementwise("PROD", term, value)
    power = add(shape, _SHIFT - 1.0)
    slope = extremum("MAX", elementwise("SUB", power, value), multiply(unary("SQRT", add(power, 1.0)), 3.0))
    reach = extremum("MIN", divide(_REACH, slope), 1.0)
    place = elementwise("PROD", reach, nodes)
    fall = unary("LOG", subtract(1.0, place))
    exponent = elementwise("SUM", elementwise("PROD", power, fall), elementwise("PROD", value, place))
    total = reduce("SUM", elementwise("PROD", unary("EXP", exponent), weights), [1], keepdim=True)
    return elementwise("SUM", terms, elementwise("PROD", density, elementwise("PROD", total, reach)))


def _limits(result: Tensor, shape: Tensor, value: Tensor, upper: bool) -> Any:
    """The values at 0 and infinity, and NaN where the function is not defined."""
    nothing, everything = (1.0, 0.0) if upper else (0.0, 1.0)
    result = where(compare("EQUAL", shape, math.inf), nothing, result)
    result = where(compare("EQUAL", value, math.inf), everything, result)
    result = where(compare("EQUAL", value, 0), nothing, result)
    result = where(compare("EQUAL", shape, 0), everything, result)
    same = compare("EQUAL", shape, value)
    ends = elementwise("OR", compare("EQUAL", shape, 0), compare("EQUAL", shape, math.inf))
    undefined = elementwise("AND", same, ends)
    negative = elementwise("OR", compare("LESS", shape, 0), compare("LESS", value, 0))
    unknown = elementwise("OR", unary("ISNAN", shape), unary("ISNAN", value))
    undefined = elementwise("OR", undefined, elementwise("OR", negative, unknown))
    return where(undefined, math.nan, result)
