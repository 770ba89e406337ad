"""Functions of complex values, element by element, and what asks whether they are zero."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from .. import emit
from ..emit import complex as pairs
from ..emit import complex_functions as functions
from ..graph import Node
from ..pairs import Complex, RealHandler, complex_op, is_complex
from .complex import one

_FUNCTIONS: dict[str, Callable[[Any], Complex]] = {
    "acos": functions.acos,
    "acosh": functions.acosh,
    "asin": functions.asin,
    "asinh": functions.asinh,
    "atan": functions.atan,
    "atanh": functions.atanh,
    "cos": functions.cos,
    "cosh": functions.cosh,
    "exp": functions.exp,
    "exp2": lambda value: functions.exp(functions.scaled(value, math.log(2))),
    "expm1": functions.expm1,
    "log": functions.log,
    "log10": lambda value: functions.scaled(functions.log(value), 1 / math.log(10)),
    "log1p": functions.log1p,
    "log2": lambda value: functions.scaled(functions.log(value), 1 / math.log(2)),
    "reciprocal": lambda value: pairs.divide_complex(torch.ones(()), value),
    "rsqrt": lambda value: pairs.divide_complex(torch.ones(()), functions.sqrt(value)),
    "sgn": functions.sgn,
    "sigmoid": functions.sigmoid,
    "silu": lambda value: pairs.multiply_complex(value, functions.sigmoid(value)),
    "sin": functions.sin,
    "sinc": functions.sinc,
    "sinh": functions.sinh,
    "sqrt": functions.sqrt,
    "square": lambda value: pairs.multiply_complex(value, value),
    "tan": functions.tan,
    "tanh": functions.tanh,
}


for _name, _function in _FUNCTIONS.items():
    complex_op(f"aten::{_name}")(one(_function))


_LARGEST_POWER = 16
"""Whole powers up to this one are products, which lose fewer digits than logarithms."""


@complex_op("aten::pow")
def _pow(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """A power; base, exponent or both are complex."""
    base, exponent = args[0], args[1]
    number = exponent.real if isinstance(exponent, complex) and not exponent.imag else exponent
    if isinstance(number, (int, float)):
        if number == 0.5:
            return functions.sqrt(base)
        if number == int(number) and abs(number) <= _LARGEST_POWER:
            return _whole_power(base, int(number))
    return functions.power(base, exponent)


def _whole_power(base: Any, exponent: int) -> Complex:
    if exponent == 0:
        return pairs.parts(emit.full_like(pairs.parts(base).real, 1.0, torch.float32))
    result = pairs.parts(base)
    for _step in range(abs(exponent) - 1):
        result = pairs.multiply_complex(result, base)
    return result if exponent > 0 else pairs.divide_complex(torch.ones(()), result)


@complex_op("aten::ldexp")
def _ldexp(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """``self * 2 ** other``."""
    return pairs.multiply_complex(args[0], functions.power(torch.full((), 2.0), args[1]))


complex_op("aten::logaddexp")(lambda node, args, _: functions.logaddexp(args[0], args[1]))


@complex_op("aten::lerp")
def _lerp(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """``self + weight * (end - self)``."""
    start, end, weight = args
    return pairs.add_complex(start, pairs.multiply_complex(weight, pairs.add_complex(end, start, -1)))


@complex_op("aten::addcmul")
def _addcmul(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """``self + value * tensor1 * tensor2``."""
    start, left, right, value = args
    return pairs.add_complex(start, pairs.multiply_complex(pairs.multiply_complex(left, right), value))


@complex_op("aten::addcdiv")
def _addcdiv(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """``self + value * tensor1 / tensor2``."""
    start, left, right, value = args
    return pairs.add_complex(start, pairs.multiply_complex(pairs.divide_complex(left, right), value))


@complex_op(*(f"aten::{name}" for name in ["all", "any", "logical_and", "logical_not", "logical_or", "logical_xor"]))
@complex_op(*(f"aten::{name}" for name in ["argwhere", "count_nonzero", "nonzero", "nonzero_numpy", "nonzero_static"]))
def _of_truths(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """An op that asks only which elements are zero."""
    return real_handler(node, [functions.is_nonzero(value) if is_complex(value) else value for value in args])[0]


@complex_op("aten::isreal")
def _isreal(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """Where the imaginary part is zero."""
    return emit.compare("EQUAL", pairs.parts(args[0]).imag, 0)


@complex_op("aten::isclose")
def _isclose(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """``abs(self - other) <= atol + rtol * abs(other)``, where that is finite, or both are equal."""
    left, right, rtol, atol, equal_nan = args
    gap = pairs.magnitude(pairs.add_complex(left, right, -1))
    allowed = emit.add(emit.mul(pairs.magnitude(right), rtol), atol)
    near = emit.logical_not(emit.compare("GREATER", gap, allowed))
    finite = emit.logical_not(emit.elementwise("OR", emit.is_nan(gap), emit.unary("ISINF", gap)))
    same = emit.elementwise(
        "AND", *(emit.compare("EQUAL", a, b) for a, b in zip(pairs.parts(left), pairs.parts(right), strict=True))
    )
    close = emit.elementwise("OR", same, emit.elementwise("AND", near, finite))
    if not equal_nan:
        return close
    nans = [emit.elementwise("OR", *map(emit.is_nan, pairs.parts(value))) for value in (left, right)]
    return emit.elementwise("OR", close, emit.elementwise("AND", *nans))
