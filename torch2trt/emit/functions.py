"""Functions that several handlers share, built from TensorRT's layers."""

from __future__ import annotations

import math
from typing import Any

import torch

from .arithmetic import absolute, extremum, is_nan, negative
from .dims import rank_of
from .dtypes import Tensor, cast, is_float, result_type, tensor
from .math import activation, compare, elementwise, reduce, unary, where
from .pointwise import computable, to_uint8


def clamp(value: Tensor, low: Tensor | None, high: Tensor | None) -> Any:
    """``torch.clamp``: a NaN stays; ``high`` wins where ``low`` is above it; promoted and broadcast."""
    dtype = result_type(value, *(bound for bound in (low, high) if bound is not None))
    wide = computable(dtype)
    result = cast(value, wide)
    if low is not None:
        result = extremum("MAX", result, cast(low, wide))
    if high is not None:
        result = extremum("MIN", result, cast(high, wide))
    return to_uint8(result) if dtype == torch.uint8 else tensor(result)


def clip(value: Tensor, low: float, high: float) -> Any:
    """``value`` between two numbers by one layer, which TensorRT fuses into the convolution before it.

    In an engine a NaN becomes ``low`` or stays, as the kernel has it; the exact :func:`clamp` takes four layers, which
    cost a MobileNetV2 20 % of its speed on an H200.
    """
    if not is_float(value):
        return clamp(value, int(low), int(high))
    return activation("CLIP", value, min(float(low), float(high)), float(high))


def softplus(value: Tensor, beta: float = 1) -> Any:
    """``log(1 + exp(beta * x)) / beta``, in the dtype of ``value``."""
    return activation("SOFTPLUS", value, 1 / beta, beta)


def log_sigmoid(value: Tensor) -> Any:
    """``log(sigmoid(x))`` in the dtype of ``value``."""
    return unary("NEG", softplus(unary("NEG", value)))


def log_softmax(value: Tensor, axis: int) -> Any:
    """``log(softmax(value))`` along one axis, counted from the front, without the underflow of the softmax."""
    value = tensor(value)
    if rank_of(value) == 0:
        return elementwise("SUB", value, value)
    shifted = elementwise("SUB", value, reduce("MAX", value, [axis], keepdim=True))
    total = reduce("SUM", unary("EXP", shifted), [axis], keepdim=True)
    return elementwise("SUB", shifted, unary("LOG", total))


def expm1(value: Tensor) -> Any:
    """``exp(x) - 1`` of float32 as ``2 exp(x / 2) sinh(x / 2)``, which cancels nothing near 0."""
    # below -40 the result is -1, and further down exp would vanish beside an infinite sinh
    half = elementwise("PROD", where(compare("LESS", value, -40.0), -40.0, value), _number(0.5))
    product = elementwise("PROD", unary("EXP", half), unary("SINH", half))
    return elementwise("SUM", product, product)


def log1p(value: Tensor) -> Any:
    """``log(1 + x)`` of float32; near 0 as ``2 atanh(x / (x + 2))``."""
    ratio = elementwise("DIV", value, elementwise("SUM", value, _number(2.0)))
    near = unary("ATANH", ratio)
    far = unary("LOG", elementwise("SUM", value, _number(1.0)))
    small = compare("LESS", unary("ABS", value), 0.5)
    return where(small, elementwise("SUM", near, near), far)


def log2(value: Tensor) -> Any:
    """Base-2 logarithm of float32; exact for powers of two, where the quotient of logarithms may be off."""
    quotient = elementwise("DIV", unary("LOG", value), _number(math.log(2)))
    nearest = unary("ROUND", quotient)
    exact = compare("EQUAL", elementwise("POW", _number(2.0), nearest), value)
    return where(exact, nearest, quotient)


def atan2(y: Tensor, x: Tensor) -> Any:
    """The angle of (x, y) in float32; signs of zero and infinities as in C's atan2."""
    height, width = unary("ABS", y), unary("ABS", x)
    ratio = elementwise("DIV", height, width)
    ratio = where(compare("EQUAL", height, width), 1.0, ratio)  # infinity over infinity
    ratio = where(compare("EQUAL", width, 0), where(compare("EQUAL", height, 0), 0.0, ratio), ratio)
    angle = unary("ATAN", ratio)
    angle = where(negative(x), elementwise("SUB", _number(math.pi), angle), angle)
    return where(negative(y), unary("NEG", angle), angle)


def hypot(left: Tensor, right: Tensor) -> Any:
    """``sqrt(x * x + y * y)`` of float32 without overflow; infinite if either is, NaN or not."""
    left, right = unary("ABS", left), unary("ABS", right)
    larger, smaller = extremum("MAX", left, right), extremum("MIN", left, right)
    ratio = elementwise("DIV", smaller, larger)
    root = unary("SQRT", elementwise("SUM", elementwise("PROD", ratio, ratio), _number(1.0)))
    result = where(compare("EQUAL", larger, 0), larger, elementwise("PROD", larger, root))
    infinite = elementwise("OR", unary("ISINF", left), unary("ISINF", right))
    return where(infinite, math.inf, result)


def logaddexp(left: Tensor, right: Tensor, base: float = math.e) -> Any:
    """``log(exp(x) + exp(y))`` of float32, or the same in another base."""
    larger = extremum("MAX", left, right)
    gap = unary("NEG", unary("ABS", elementwise("SUB", left, right)))
    sum_of_powers = log1p(unary("EXP", gap if base == math.e else elementwise("PROD", gap, _number(math.log(base)))))
    if base != math.e:
        sum_of_powers = elementwise("DIV", sum_of_powers, _number(math.log(base)))
    result = elementwise("SUM", larger, sum_of_powers)
    return where(compare("EQUAL", left, right), _doubled(left, base), result)  # equal infinities have no gap


def _doubled(value: Tensor, base: float) -> Any:
    return elementwise("SUM", value, _number(math.log(2) / math.log(base)))


def vanishing_product(factor: Tensor, other: Tensor, argument: Tensor) -> Any:
    """``factor * other``, but 0 where ``factor`` is 0, unless ``argument`` is NaN."""
    nothing = where(is_nan(argument), argument, 0.0)
    return where(compare("EQUAL", factor, 0), nothing, elementwise("PROD", factor, other))


def greatest_divisor(left: Tensor, right: Tensor, dtype: torch.dtype) -> Any:
    """The greatest common divisor of two integers of ``dtype``, by Euclid's algorithm unrolled.

    Lame's theorem bounds its steps by the index of the largest Fibonacci number that the dtype holds.
    """
    wide = computable(dtype)
    larger, smaller = absolute(tensor(left, wide)), absolute(tensor(right, wide))
    for _ in range({torch.uint8: 13, torch.int32: 46}.get(dtype, 92)):
        divisor = elementwise("MAX", smaller, cast(1, wide))
        turns = elementwise("PROD", elementwise("DIV", larger, divisor), divisor)
        rest = elementwise("SUB", larger, turns)
        larger, smaller = where(compare("GREATER", smaller, 0), smaller, larger), rest
    return larger


def _number(value: float) -> torch.Tensor:
    """A known float32 number."""
    return torch.tensor(value)
