"""Functions of complex values, each by real ones.

The inverse functions are those of W. Kahan, Branch Cuts for Complex Elementary Functions (1987).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from ..pairs import Complex
from ..weights import derive
from . import functions as real_functions
from .arithmetic import copy_sign
from .complex import (
    add_complex,
    as_last_axis,
    choose,
    conjugate,
    divide_complex,
    each,
    from_last_axis,
    magnitude,
    multiply_complex,
    negative,
    negative_complex,
    parts,
    phase,
)
from .dims import rank_of, shape_of, size_of
from .dtypes import cast
from .math import activation, add, compare, elementwise, logical_not, mul, sub, true_divide, unary, where
from .scan import scan
from .shape import expand, permute, squeeze

_ONE = torch.ones(())


def is_nonzero(value: Any) -> Any:
    """Where a complex value is not zero."""
    return elementwise("OR", *(logical_not(compare("EQUAL", part, 0)) for part in parts(value)))


def scaled(value: Any, factor: float) -> Complex:
    """A complex value times a real number."""
    return each(mul, value, factor)


def _times_i(value: Any) -> Complex:
    held = parts(value)
    return Complex(negative(held.imag), held.real)


def _over_i(value: Complex) -> Complex:
    return Complex(value.imag, negative(value.real))


def _plus(value: Any, number: float) -> Complex:
    held = parts(value)
    return Complex(add(held.real, number), held.imag)


def exp(value: Any) -> Complex:
    """The exponential: the real part grows, the imaginary part turns."""
    held = parts(value)
    size = unary("EXP", held.real)
    return Complex(*(elementwise("PROD", size, unary(name, held.imag)) for name in ("COS", "SIN")))


def expm1(value: Any) -> Complex:
    """``exp(z) - 1``, which cancels nothing near 0."""
    held = parts(value)
    half = unary("SIN", mul(held.imag, 0.5))
    grown = mul(real_functions.expm1(held.real), unary("COS", held.imag))
    return Complex(sub(grown, mul(2.0, mul(half, half))), mul(unary("EXP", held.real), unary("SIN", held.imag)))


def log(value: Any) -> Complex:
    """The logarithm of the magnitude, and the angle."""
    return Complex(unary("LOG", magnitude(value)), phase(value))


def log1p(value: Any) -> Complex:
    """``log(1 + z)``, which cancels nothing near 0."""
    held, moved = parts(value), _plus(value, 1.0)
    square = add(mul(held.real, add(held.real, 2.0)), mul(held.imag, held.imag))  # that of abs(1 + z), less 1
    near = elementwise("AND", *(compare("LESS", unary("ABS", part), 0.5) for part in held))
    size = where(near, mul(real_functions.log1p(square), 0.5), unary("LOG", magnitude(moved)))
    return Complex(size, phase(moved))


def sqrt(value: Any) -> Complex:
    """The root whose real part is not negative."""
    held = parts(value)
    large = unary("SQRT", mul(add(magnitude(held), unary("ABS", held.real)), 0.5))
    small = true_divide(unary("ABS", held.imag), mul(where(compare("EQUAL", large, 0), _ONE, large), 2.0))
    left = compare("LESS", held.real, 0)
    return Complex(where(left, small, large), copy_sign(where(left, large, small), held.imag))


def sinh(value: Any) -> Complex:
    """``sinh(a + bi) = sinh a cos b + i cosh a sin b``."""
    held = parts(value)
    real = mul(unary("SINH", held.real), unary("COS", held.imag))
    return Complex(real, mul(unary("COSH", held.real), unary("SIN", held.imag)))


def cosh(value: Any) -> Complex:
    """``cosh(a + bi) = cosh a cos b + i sinh a sin b``."""
    held = parts(value)
    real = mul(unary("COSH", held.real), unary("COS", held.imag))
    return Complex(real, mul(unary("SINH", held.real), unary("SIN", held.imag)))


def tanh(value: Any) -> Complex:
    """With t = tanh a, ``(t + i sin b cos b / cosh(a)^2) / (cos(b)^2 + t^2 sin(b)^2)`` of a + bi: nothing overflows."""
    held = parts(value)
    tangent, height = activation("TANH", held.real), unary("COSH", held.real)
    sine, cosine = unary("SIN", held.imag), unary("COS", held.imag)
    turned = mul(tangent, sine)
    below = add(mul(cosine, cosine), mul(turned, turned))
    imag = true_divide(true_divide(mul(sine, cosine), height), height)
    return Complex(true_divide(tangent, below), true_divide(imag, below))


def sin(value: Any) -> Complex:
    """``sin z = -i sinh(iz)``."""
    return _over_i(sinh(_times_i(value)))


def cos(value: Any) -> Complex:
    """``cos z = cosh(iz)``."""
    return cosh(_times_i(value))


def tan(value: Any) -> Complex:
    """``tan z = -i tanh(iz)``."""
    return _over_i(tanh(_times_i(value)))


def _roots(value: Any) -> tuple[Complex, Complex]:
    """``sqrt(1 - z)`` and ``sqrt(1 + z)``."""
    return sqrt(_plus(negative_complex(value), 1.0)), sqrt(_plus(value, 1.0))


def asin(value: Any) -> Complex:
    """The arc sine."""
    left, right = _roots(value)
    real = real_functions.atan2(parts(value).real, multiply_complex(left, right).real)
    return Complex(real, unary("ASINH", multiply_complex(conjugate(left), right).imag))


def acos(value: Any) -> Complex:
    """The arc cosine."""
    left, right = _roots(value)
    real = mul(real_functions.atan2(left.real, right.real), 2.0)
    return Complex(real, unary("ASINH", multiply_complex(conjugate(right), left).imag))


def acosh(value: Any) -> Complex:
    """The inverse of cosh."""
    left, right = sqrt(_plus(value, -1.0)), sqrt(_plus(value, 1.0))
    imag = mul(real_functions.atan2(left.imag, right.real), 2.0)
    return Complex(unary("ASINH", multiply_complex(conjugate(left), right).real), imag)


def asinh(value: Any) -> Complex:
    """``asinh z = -i asin(iz)``."""
    return _over_i(asin(_times_i(value)))


def atanh(value: Any) -> Complex:
    """``atanh z = (log(1 + z) - log(1 - z)) / 2``, its imaginary part as one angle."""
    held = parts(value)
    distance = sub(1.0, held.real)
    square = mul(held.imag, held.imag)
    ratio = true_divide(mul(held.real, 4.0), add(mul(distance, distance), square))
    angle = real_functions.atan2(mul(held.imag, 2.0), sub(mul(distance, add(held.real, 1.0)), square))
    return Complex(mul(real_functions.log1p(ratio), 0.25), mul(angle, 0.5))


def atan(value: Any) -> Complex:
    """``atan z = -i atanh(iz)``."""
    return _over_i(atanh(_times_i(value)))


def sigmoid(value: Any) -> Complex:
    """``1 / (1 + exp(-z))``."""
    return divide_complex(_ONE, _plus(exp(negative_complex(value)), 1.0))


def sinc(value: Any) -> Complex:
    """``sin(pi z) / (pi z)``, 1 at 0."""
    turned = scaled(value, math.pi)
    return choose(is_nonzero(turned), divide_complex(sin(turned), turned), _ONE)


def sgn(value: Any) -> Complex:
    """The number of magnitude 1 in the same direction; 0 of 0."""
    size = magnitude(value)
    return divide_complex(value, where(compare("EQUAL", size, 0), _ONE, size))


def power(base: Any, exponent: Any) -> Complex:
    """``exp(exponent * log(base))``; of 0 it is 0, and 1 if the exponent is 0."""
    if isinstance(base, (int, float, complex)):
        base = torch.tensor(base)
    if isinstance(base, torch.Tensor) and bool(base.all()):
        return exp(multiply_complex(exponent, derive(_known_log, base)))
    result = exp(multiply_complex(exponent, log(base)))
    of_zero = cast(logical_not(is_nonzero(exponent)), torch.float32)
    return choose(is_nonzero(base), result, Complex(of_zero, torch.zeros(())))


def _known_log(value: torch.Tensor) -> torch.Tensor:
    return value.to(torch.complex64).log()


def logaddexp(left: Any, right: Any) -> Complex:
    """``log(exp(left) + exp(right))`` by the one whose real part is larger."""
    first, second = parts(left), parts(right)
    ahead = compare("GREATER", first.real, second.real)
    larger, smaller = choose(ahead, first, second), choose(ahead, second, first)
    return add_complex(larger, log1p(exp(add_complex(smaller, larger, -1))))


def running(value: Any, axis: int, combine: Callable[[Any, Any], Complex], start: complex) -> tuple[Complex, Complex]:
    """What ``combine`` makes of all elements up to each one along an axis, one after another; and of all of them.

    Args:
        value: complex.
        axis: counted from the front.
        combine: from what was before and an element, what both make.
        start: what is before the first.
    """
    packed = as_last_axis(value)
    order = [axis, *(other for other in range(rank_of(packed)) if other != axis)]
    sequence = permute(packed, order)
    before = expand(torch.view_as_real(torch.tensor(start, dtype=torch.complex64)), [1, *shape_of(sequence)[1:]])

    def step(element: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        after = as_last_axis(combine(from_last_axis(states[0]), from_last_axis(element)))
        return after, [after]

    found, (last,) = scan(step, sequence, [before]) if size_of(sequence, 0) else (sequence, [before])
    back = [order.index(place) for place in range(len(order))]
    return from_last_axis(permute(found, back)), from_last_axis(squeeze(last, [0]))
