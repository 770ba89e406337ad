"""Functions of one tensor, element by element."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..registry import op

# ATen's name: TensorRT's unary operations, one after another, for functions that compute in floating point.
_FLOAT_FUNCTIONS: dict[str, tuple[str, ...]] = {
    "exp": ("EXP",),
    "log": ("LOG",),
    "sqrt": ("SQRT",),
    "rsqrt": ("SQRT", "RECIP"),
    "sin": ("SIN",),
    "cos": ("COS",),
    "tan": ("TAN",),
    "sinh": ("SINH",),
    "cosh": ("COSH",),
    "asin": ("ASIN",),
    "acos": ("ACOS",),
    "atan": ("ATAN",),
    "asinh": ("ASINH",),
    "acosh": ("ACOSH",),
    "atanh": ("ATANH",),
    "erf": ("ERF",),
    "reciprocal": ("RECIP",),
}


def _register(name: str, operations: tuple[str, ...]) -> None:
    def handler(self: Tensor) -> Any:
        value = emit.to_float(self)
        for operation in operations:
            value = emit.unary(operation, value)
        return value

    handler.__doc__ = f"``{name}(Tensor self) -> Tensor``; integers and booleans give the default float dtype."
    op(f"aten::{name}")(handler)


for _name, _operations in _FLOAT_FUNCTIONS.items():
    _register(_name, _operations)


@op("aten::abs")
def aten_abs(self: Tensor) -> Any:
    """``abs(Tensor self) -> Tensor``; keeps the dtype."""
    return emit.absolute(self)


@op("aten::neg")
def aten_neg(self: Tensor) -> Any:
    """``neg(Tensor self) -> Tensor``; keeps the dtype, uint8 wraps."""
    if emit.dtype_of(self) == torch.uint8:
        return emit.arithmetic("SUB", 0, self)
    return emit.unary("NEG", self)


@op("aten::sign", "aten::sgn")
def aten_sign(self: Tensor) -> Any:
    """``sign(Tensor self) -> Tensor``; 0 for NaN, keeps the dtype."""
    return emit.sign_of(self)


@op("aten::signbit")
def aten_signbit(self: Tensor) -> Any:
    """``signbit(Tensor self) -> Tensor``; true for -0.0; the sign bit of a NaN counts as not set."""
    if emit.is_float(self):
        return emit.negative(self)
    if emit.dtype_of(self) in (torch.bool, torch.uint8):
        return emit.full_like(self, False, torch.bool)
    return emit.compare("LESS", self, 0)


def _register_rounding(names: tuple[str, ...], operation: str) -> None:
    def handler(self: Tensor) -> Any:
        return emit.unary(operation, self) if emit.is_float(self) else self

    handler.__doc__ = f"``{names[0]}(Tensor self) -> Tensor``; integers stay as they are."
    op(*(f"aten::{name}" for name in names))(handler)


_register_rounding(("ceil",), "CEIL")
_register_rounding(("floor",), "FLOOR")


@op("aten::trunc")
def aten_trunc(self: Tensor) -> Any:
    """``trunc(Tensor self) -> Tensor``: towards zero; integers stay as they are."""
    return emit.truncated(self) if emit.is_float(self) else self


@op("aten::frac")
def aten_frac(self: Tensor) -> Any:
    """``frac(Tensor self) -> Tensor``: ``x - trunc(x)``; NaN for infinities."""
    return emit.elementwise("SUB", self, emit.truncated(self))


@op("aten::round", "aten::round.decimals")
def aten_round(self: Tensor, decimals: int = 0) -> Any:
    """``round.decimals(Tensor self, *, int decimals) -> Tensor``: half to even; integers stay as they are.

    With decimals it is computed as in eager: scaled by a power of ten, rounded, and scaled back.
    """
    if not emit.is_float(self):
        return self
    if decimals == 0:
        return emit.unary("ROUND", self)
    value, factor = emit.compute_in_float32(self), float(10 ** abs(decimals))
    there, back = ("PROD", "DIV") if decimals > 0 else ("DIV", "PROD")
    rounded = emit.unary("ROUND", emit.arithmetic(there, value, factor))
    return emit.cast(emit.arithmetic(back, rounded, factor), emit.dtype_of(self))


@op("aten::square")
def aten_square(self: Tensor) -> Any:
    """``square(Tensor self) -> Tensor``; keeps the dtype of integers."""
    return emit.power(self, 2)


@op("aten::exp2")
def aten_exp2(self: Tensor) -> Any:
    """``exp2(Tensor self) -> Tensor``."""
    return emit.power(2.0, emit.to_float(self))


@op("aten::expm1")
def aten_expm1(self: Tensor) -> Any:
    """``expm1(Tensor self) -> Tensor``: ``exp(x) - 1``, accurate near 0."""
    return emit.in_float32(emit.expm1, self)


@op("aten::log1p")
def aten_log1p(self: Tensor) -> Any:
    """``log1p(Tensor self) -> Tensor``: ``log(1 + x)``, accurate near 0."""
    return emit.in_float32(emit.log1p, self)


@op("aten::log2")
def aten_log2(self: Tensor) -> Any:
    """``log2(Tensor self) -> Tensor``; exact for powers of two."""
    return emit.in_float32(emit.log2, self)


@op("aten::log10")
def aten_log10(self: Tensor) -> Any:
    """``log10(Tensor self) -> Tensor``."""
    return emit.in_float32(lambda value: emit.arithmetic("DIV", emit.unary("LOG", value), math.log(10)), self)


@op("aten::deg2rad")
def aten_deg2rad(self: Tensor) -> Any:
    """``deg2rad(Tensor self) -> Tensor``."""
    return emit.arithmetic("PROD", emit.to_float(self), math.pi / 180)


@op("aten::rad2deg")
def aten_rad2deg(self: Tensor) -> Any:
    """``rad2deg(Tensor self) -> Tensor``."""
    return emit.arithmetic("PROD", emit.to_float(self), 180 / math.pi)


@op("aten::sinc")
def aten_sinc(self: Tensor) -> Any:
    """``sinc(Tensor self) -> Tensor``: ``sin(pi x) / (pi x)``, 1 at 0."""

    def sinc(value: Any) -> Any:
        angle = emit.arithmetic("PROD", value, math.pi)
        ratio = emit.elementwise("DIV", emit.unary("SIN", angle), angle)
        return emit.choose(emit.compare("EQUAL", value, 0), 1, ratio, torch.float32)

    return emit.in_float32(sinc, self)


@op("aten::angle")
def aten_angle(self: Tensor) -> Any:
    """``angle(Tensor self) -> Tensor``: of real numbers, pi where negative, else 0; NaN stays."""
    value = emit.to_float(self)
    dtype = emit.dtype_of(value)
    turned = emit.choose(emit.compare("LESS", value, 0), math.pi, 0, dtype)
    return emit.choose(emit.is_nan(value), value, turned, dtype)


@op("aten::logit")
def aten_logit(self: Tensor, eps: float | None = None) -> Any:
    """``logit(Tensor self, float? eps=None) -> Tensor``: ``log(x / (1 - x))``, x clamped to [eps, 1 - eps]."""

    def logit(value: Any) -> Any:
        if eps is not None:
            value = emit.clamp(value, eps, 1 - eps)
        return emit.unary("LOG", emit.elementwise("DIV", value, emit.sub(1, value)))

    return emit.in_float32(logit, self)


def _register_test(name: str, on_float: Any, otherwise: bool) -> None:
    def handler(self: Tensor) -> Any:
        return on_float(self) if emit.is_float(self) else emit.full_like(self, otherwise, torch.bool)

    handler.__doc__ = f"``{name}(Tensor self) -> Tensor``; {otherwise} for integers."
    op(f"aten::{name}")(handler)


_register_test("isnan", emit.is_nan, False)
_register_test("isinf", lambda value: emit.unary("ISINF", value), False)
_register_test("isfinite", lambda value: emit.compare("LESS", emit.unary("ABS", value), math.inf), True)
_register_test("isposinf", lambda value: emit.compare("EQUAL", value, math.inf), False)
_register_test("isneginf", lambda value: emit.compare("EQUAL", value, -math.inf), False)
_register_test("isreal", lambda value: emit.full_like(value, True, torch.bool), True)


@op("aten::nan_to_num")
def aten_nan_to_num(
    self: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """``nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor``.

    By default NaN becomes 0 and infinities the largest and lowest numbers of the dtype.
    """
    if not emit.is_float(self):
        return self
    dtype = emit.dtype_of(self)
    limits = torch.finfo(dtype)
    result = emit.choose(emit.is_nan(self), 0.0 if nan is None else nan, self, dtype)
    for infinity, number in ((math.inf, limits.max if posinf is None else posinf),):
        result = emit.choose(emit.compare("EQUAL", self, infinity), number, result, dtype)
    return emit.choose(emit.compare("EQUAL", self, -math.inf), limits.min if neginf is None else neginf, result, dtype)


@op("aten::frexp.Tensor")
def aten_frexp(self: Tensor) -> tuple[Any, Any]:
    """``frexp.Tensor(Tensor self) -> (Tensor mantissa, Tensor exponent)``; subnormal float32 numbers differ."""
    mantissa, exponent = emit.mantissa_and_exponent(emit.as_float32(self))
    return emit.cast(mantissa, emit.dtype_of(self)), exponent
