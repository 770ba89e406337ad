"""Exact floating-point remainders, by the exponents and mantissas of float32 in integers."""

from __future__ import annotations

import math
from typing import Any

import torch

from .dtypes import Tensor, cast, tensor
from .math import compare, elementwise, gather, unary, where
from .pointwise import choose

_LOWEST, _HIGHEST = -126, 127
_HALF_RANGE = 75
"""Scaling by up to 2 ** 149, the ratio of 1 to the smallest float32, is done in two steps of at most this exponent."""

_SHIFT = 39
"""A 24-bit mantissa shifted by this still fits in an int64."""


def exponent_of(value: Tensor) -> Any:
    """``floor(log2(abs(value)))`` of float32 as int64, at least -126; undefined for NaN and infinities."""
    magnitude = unary("ABS", tensor(value))
    guess = unary("FLOOR", elementwise("DIV", unary("LOG", magnitude), cast(math.log(2), torch.float32)))
    guess = _bounded(cast(guess, torch.int64))
    # The logarithm is off by one ulp at most, which matters next to a power of two.
    power = _power_of_two(guess, _LOWEST, _HIGHEST)
    below = cast(compare("LESS", magnitude, power), torch.int64)
    twice = elementwise("SUM", power, power)
    above = cast(compare("GREATER", twice, magnitude), torch.int64)
    step = elementwise("SUB", cast(1, torch.int64), above)
    return _bounded(elementwise("SUM", elementwise("SUB", guess, below), step))


def _bounded(exponent: Any) -> Any:
    raised = elementwise("MAX", exponent, cast(_LOWEST, torch.int64))
    return elementwise("MIN", raised, cast(_HIGHEST, torch.int64))


def _power_of_two(exponent: Any, lowest: int, highest: int) -> Any:
    """``2.0 ** exponent`` from a table, since TensorRT's POW rounds."""
    table = torch.tensor([2.0**place for place in range(lowest, highest + 1)])
    return gather(table, elementwise("SUB", exponent, cast(lowest, torch.int64)), 0)


def scale_by_power(value: Tensor, exponent: Any) -> Any:
    """``value * 2.0 ** exponent`` for an int64 exponent of -150 to 150; exact unless the result is subnormal."""
    first = elementwise("FLOOR_DIV", exponent, cast(2, torch.int64))
    second = elementwise("SUB", exponent, first)
    for part in (first, second):
        value = elementwise("PROD", value, _power_of_two(part, -_HALF_RANGE, _HALF_RANGE))
    return value


def exact_fmod(left: Tensor, right: Tensor) -> Any:
    """``fmod`` of float32, exact for every quotient; NaN for infinite ``left`` or a ``right`` of zero.

    Both are written as an integer mantissa below 2 ** 24 times a power of two; the remainder of the mantissas is
    taken in int64, shifted by at most 39 bits at a time.
    """
    left, right = tensor(left), tensor(right)
    rest, divisor = unary("ABS", left), unary("ABS", right)
    low, high = exponent_of(divisor), exponent_of(rest)
    bits = cast(23, torch.int64)
    # a divisor of zero is caught below; 1 keeps the integer division defined
    mantissa = cast(scale_by_power(divisor, elementwise("SUB", bits, low)), torch.int64)
    mantissa = elementwise("MAX", mantissa, cast(1, torch.int64))
    number = cast(scale_by_power(rest, elementwise("SUB", bits, high)), torch.int64)
    shift = elementwise("MAX", elementwise("SUB", high, low), cast(0, torch.int64))
    number = _rest(number, mantissa)
    for _ in range(-(-(_HIGHEST - _LOWEST) // _SHIFT)):
        step = elementwise("MIN", shift, cast(_SHIFT, torch.int64))
        factor = gather(torch.tensor([1 << place for place in range(_SHIFT + 1)]), step, 0)
        number = _rest(elementwise("PROD", number, factor), mantissa)
        shift = elementwise("SUB", shift, step)
    result = scale_by_power(cast(number, torch.float32), elementwise("SUB", low, bits))
    result = where(compare("LESS", left, 0), unary("NEG", result), result)
    result = where(compare("LESS", rest, divisor), left, result)  # the sign of zero included
    return _undefined(result, left, right, rest, divisor)


def _rest(number: Any, divisor: Any) -> Any:
    turns = elementwise("PROD", elementwise("DIV", number, divisor), divisor)
    return elementwise("SUB", number, turns)


def _undefined(result: Any, left: Any, right: Any, rest: Any, divisor: Any) -> Any:
    """``result``, but NaN where either is NaN, ``left`` is infinite or ``right`` is zero."""
    finite = compare("LESS", rest, math.inf)
    proper = elementwise("AND", finite, compare("GREATER", divisor, 0))
    return choose(proper, result, math.nan, torch.float32)


def mantissa_and_exponent(value: Tensor) -> tuple[Any, Any]:
    """``torch.frexp`` of normal float32: a mantissa in [0.5, 1) and an int32 exponent; 0 and infinities stay."""
    value = tensor(value)
    exponent = elementwise("SUM", exponent_of(value), cast(1, torch.int64))
    mantissa = scale_by_power(value, elementwise("SUB", cast(0, torch.int64), exponent))
    magnitude = unary("ABS", value)
    normal = elementwise("AND", compare("LESS", magnitude, math.inf), compare("GREATER", magnitude, 0))
    mantissa = choose(normal, mantissa, value, torch.float32)
    return mantissa, choose(normal, cast(exponent, torch.int32), 0, torch.int32)


def next_after(value: Tensor, towards: Tensor, dtype: torch.dtype) -> Any:
    """``torch.nextafter`` in ``dtype`` of float32 values that it holds: the neighbour on the side of ``towards``.

    Away from 0 that is one unit in the last place; towards 0 half of it next to a power of two. Of 0 and of subnormal
    float32 numbers it is as good as the device's subnormal arithmetic.
    """
    value, towards = tensor(value), tensor(towards)
    limits = torch.finfo(dtype)
    digits, lowest = -round(math.log2(limits.eps)), round(math.log2(limits.tiny))
    magnitude = unary("ABS", value)
    exponent = elementwise("MAX", exponent_of(value), cast(lowest, torch.int64))
    last_place = elementwise("SUB", exponent, cast(digits, torch.int64))
    outward = elementwise("OR", _same_sign_further(value, towards), compare("EQUAL", value, 0))
    power = compare("EQUAL", magnitude, _power_of_two(exponent, _LOWEST, _HIGHEST))
    halved = elementwise("AND", power, compare("GREATER", exponent, lowest))
    inward = where(halved, elementwise("SUB", last_place, cast(1, torch.int64)), last_place)
    one = cast(1.0, torch.float32)
    further = elementwise("SUM", magnitude, scale_by_power(one, last_place))
    nearer = elementwise("SUB", magnitude, scale_by_power(one, inward))
    result = where(outward, further, where(unary("ISINF", value), limits.max, nearer))
    negative = where(compare("EQUAL", value, 0), compare("LESS", towards, 0), compare("LESS", value, 0))
    result = where(negative, unary("NEG", result), result)
    result = where(compare("EQUAL", value, towards), towards, result)
    unknown = elementwise("OR", unary("ISNAN", value), unary("ISNAN", towards))
    return where(unknown, math.nan, result)


def _same_sign_further(value: Tensor, towards: Tensor) -> Any:
    """Whether ``towards`` lies on the far side of ``value`` as seen from 0."""
    above = elementwise("AND", compare("GREATER", value, 0), compare("GREATER", towards, value))
    below = elementwise("AND", compare("LESS", value, 0), compare("LESS", towards, value))
    return elementwise("OR", above, below)
