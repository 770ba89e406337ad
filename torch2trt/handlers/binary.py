"""Arithmetic of two tensors, element by element, with PyTorch's promotion and broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .. import emit
from ..context import has_trt_tensor
from ..emit import Tensor
from ..registry import op


def _scaled_sum(operation: str, left: Tensor, right: Tensor, alpha: Tensor) -> Any:
    """``left <operation> alpha * right``, rounded once in half precision as eager does."""
    dtype = emit.result_type(left, right)
    if has_trt_tensor(alpha):  # a size
        alpha = emit.cast(alpha, torch.float32 if emit.is_half(dtype) else dtype)
    elif alpha == 1:
        return emit.arithmetic(operation, left, right)
    if dtype == torch.bool:  # alpha is False here, and False * x adds nothing
        return emit.arithmetic(operation, left, False)
    if emit.is_half(dtype):
        product = emit.arithmetic("PROD", emit.cast(right, torch.float32), alpha)
        return emit.cast(emit.elementwise(operation, emit.cast(left, torch.float32), product), dtype)
    return emit.arithmetic(operation, left, emit.arithmetic("PROD", emit.cast(right, dtype), alpha))


@op("aten::add.Tensor", "aten::add.Scalar")
def aten_add(self: Tensor, other: Tensor, alpha: Tensor = 1) -> Any:
    """``add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor``; booleans add as OR."""
    return _scaled_sum("SUM", self, other, alpha)


@op("aten::sub.Tensor", "aten::sub.Scalar")
def aten_sub(self: Tensor, other: Tensor, alpha: Tensor = 1) -> Any:
    """``sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor``."""
    return _scaled_sum("SUB", self, other, alpha)


@op("aten::rsub.Scalar")
def aten_rsub(self: Tensor, other: Tensor, alpha: Tensor = 1) -> Any:
    """``rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor``: ``other - alpha * self``."""
    return _scaled_sum("SUB", other, self, alpha)


@op("aten::mul.Tensor", "aten::mul.Scalar")
def aten_mul(self: Tensor, other: Tensor) -> Any:
    """``mul.Tensor(Tensor self, Tensor other) -> Tensor``; booleans multiply as AND."""
    return emit.arithmetic("PROD", self, other)


@op("aten::div.Tensor", "aten::div.Scalar", "aten::div.Tensor_mode", "aten::div.Scalar_mode")
def aten_div(self: Tensor, other: Tensor, rounding_mode: str | None = None) -> Any:
    """``div.Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor``.

    Without a rounding mode integers divide in floating point.
    """
    if rounding_mode is None:
        return emit.arithmetic("DIV", self, other, to_float=True)
    if rounding_mode == "trunc":
        return emit.truncated_quotient(self, other)
    return emit.floored_quotient(self, other)


@op("aten::floor_divide", "aten::floor_divide.Scalar")
def aten_floor_divide(self: Tensor, other: Tensor) -> Any:
    """``floor_divide(Tensor self, Tensor other) -> Tensor``."""
    return emit.floored_quotient(self, other)


@op("aten::pow.Tensor_Tensor", "aten::pow.Tensor_Scalar", "aten::pow.Scalar")
def aten_pow(self: Tensor, exponent: Tensor) -> Any:
    """``pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor``.

    Of integers it wraps as in PyTorch; the exponent must be a known number then.
    """
    return emit.power(self, exponent)


@op("aten::fmod.Tensor", "aten::fmod.Scalar")
def aten_fmod(self: Tensor, other: Tensor) -> Any:
    """``fmod.Tensor(Tensor self, Tensor other) -> Tensor``: exact, with the sign of ``self``."""
    return emit.fmod(self, other)


@op("aten::remainder.Tensor", "aten::remainder.Scalar", "aten::remainder.Scalar_Tensor")
def aten_remainder(self: Tensor, other: Tensor) -> Any:
    """``remainder.Tensor(Tensor self, Tensor other) -> Tensor``: exact, with the sign of ``other``."""
    return emit.remainder(self, other)


@op("aten::maximum", "aten::max.other")
def aten_maximum(self: Tensor, other: Tensor) -> Any:
    """``maximum(Tensor self, Tensor other) -> Tensor``; NaN if either is NaN."""
    return emit.extremum("MAX", self, other)


@op("aten::minimum", "aten::min.other")
def aten_minimum(self: Tensor, other: Tensor) -> Any:
    """``minimum(Tensor self, Tensor other) -> Tensor``; NaN if either is NaN."""
    return emit.extremum("MIN", self, other)


@op("aten::fmax")
def aten_fmax(self: Tensor, other: Tensor) -> Any:
    """``fmax(Tensor self, Tensor other) -> Tensor``; NaN only where both are."""
    return emit.extremum_of_numbers("MAX", self, other)


@op("aten::fmin")
def aten_fmin(self: Tensor, other: Tensor) -> Any:
    """``fmin(Tensor self, Tensor other) -> Tensor``; NaN only where both are."""
    return emit.extremum_of_numbers("MIN", self, other)


@op("aten::atan2")
def aten_atan2(self: Tensor, other: Tensor) -> Any:
    """``atan2(Tensor self, Tensor other) -> Tensor``; signs of zero and infinities as in C."""
    return _in_float32(emit.atan2, self, other)


@op("aten::hypot")
def aten_hypot(self: Tensor, other: Tensor) -> Any:
    """``hypot(Tensor self, Tensor other) -> Tensor``; does not overflow before its result does."""
    return _in_float32(emit.hypot, self, other)


@op("aten::copysign.Tensor", "aten::copysign.Scalar")
def aten_copysign(self: Tensor, other: Tensor) -> Any:
    """``copysign.Tensor(Tensor self, Tensor other) -> Tensor``; integers give the default float dtype."""
    return emit.copy_sign(*emit.promote(self, other, to_float=True))


@op("aten::logaddexp")
def aten_logaddexp(self: Tensor, other: Tensor) -> Any:
    """``logaddexp(Tensor self, Tensor other) -> Tensor``: ``log(exp(x) + exp(y))`` without overflow."""
    return _in_float32(emit.logaddexp, self, other)


@op("aten::logaddexp2")
def aten_logaddexp2(self: Tensor, other: Tensor) -> Any:
    """``logaddexp2(Tensor self, Tensor other) -> Tensor``: the same in base 2."""
    return _in_float32(lambda x, y: emit.logaddexp(x, y, 2.0), self, other)


@op("aten::xlogy.Tensor", "aten::xlogy.Scalar_Self", "aten::xlogy.Scalar_Other")
def aten_xlogy(self: Tensor, other: Tensor) -> Any:
    """``xlogy.Tensor(Tensor self, Tensor other) -> Tensor``: ``x log(y)``, 0 where x is 0 unless y is NaN."""
    return _in_float32(lambda x, y: emit.vanishing_product(x, emit.unary("LOG", y), y), self, other)


@op("aten::special_xlog1py", "aten::special_xlog1py.self_scalar", "aten::special_xlog1py.other_scalar")
def aten_xlog1py(self: Tensor, other: Tensor) -> Any:
    """``special_xlog1py(Tensor self, Tensor other) -> Tensor``: ``x log(1 + y)``, 0 where x is 0 unless y is NaN."""
    return _in_float32(lambda x, y: emit.vanishing_product(x, emit.log1p(y), y), self, other)


def _in_float32(function: Callable[..., Any], left: Tensor, right: Tensor) -> Any:
    """``function`` of two float32 tensors, in the float dtype that PyTorch promotes to."""
    dtype = emit.result_type(left, right, to_float=True)
    wide = torch.float32 if emit.is_half(dtype) else dtype
    # known numbers in the rank of the other: of 0-d constants TensorRT computes shapes
    return emit.cast(function(*emit.align_ranks([emit.cast(left, wide), emit.cast(right, wide)])), dtype)


@op("aten::heaviside")
def aten_heaviside(self: Tensor, values: Tensor) -> Any:
    """``heaviside(Tensor self, Tensor values) -> Tensor``: ``values`` at 0, else 1 where positive, 0 for NaN."""
    dtype = emit.result_type(self, values)
    step = emit.convert(emit.compare("GREATER", emit.widened(self), 0), dtype)
    return emit.choose(emit.compare("EQUAL", emit.widened(self), 0), values, step, dtype)


@op("aten::ldexp.Tensor")
def aten_ldexp(self: Tensor, other: Tensor) -> Any:
    """``ldexp.Tensor(Tensor self, Tensor other) -> Tensor``: ``x * 2 ** y``, in floating point.

    In the dtype that the trace recorded: torch 2.11 keeps half precision where older versions gave float32.
    """
    result = emit.arithmetic("PROD", self, emit.power(2.0, other))
    return emit.cast(result, emit.traced_dtype() or emit.dtype_of(result))


@op("aten::lerp.Scalar", "aten::lerp.Tensor")
def aten_lerp(self: Tensor, end: Tensor, weight: Tensor) -> Any:
    """``lerp.Tensor(Tensor self, Tensor end, Tensor weight) -> Tensor``; from the nearer end, as in eager."""
    dtype = emit.dtype_of(self)
    wide = torch.float32 if emit.is_half(dtype) else dtype
    start, end, weight = (emit.cast(value, wide) for value in (self, end, weight))
    span = emit.sub(end, start)
    near = emit.add(start, emit.mul(weight, span))
    far = emit.sub(end, emit.mul(span, emit.sub(1, weight)))
    return emit.cast(emit.where(emit.compare("LESS", emit.unary("ABS", weight), 0.5), near, far), dtype)


@op("aten::addcmul")
def aten_addcmul(self: Tensor, tensor1: Tensor, tensor2: Tensor, value: float = 1) -> Any:
    """``addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor``."""
    return _add_combined("PROD", self, tensor1, tensor2, value)


@op("aten::addcdiv")
def aten_addcdiv(self: Tensor, tensor1: Tensor, tensor2: Tensor, value: float = 1) -> Any:
    """``addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor``."""
    return _add_combined("DIV", self, tensor1, tensor2, value)


def _add_combined(operation: str, value: Tensor, first: Tensor, second: Tensor, factor: float) -> Any:
    """``value + factor * (first <operation> second)``; half precision in float32, as in eager."""
    dtype = emit.result_type(value, first, second)
    wide = torch.float32 if emit.is_half(dtype) else emit.computable(dtype)
    value, first, second = (emit.cast(item, wide) for item in (value, first, second))
    combined = emit.elementwise(operation, emit.scaled(first, factor), second)
    return emit.convert(emit.elementwise("SUM", value, combined), dtype)


@op("aten::float_power.Tensor_Tensor", "aten::float_power.Tensor_Scalar", "aten::float_power.Scalar")
def aten_float_power(self: Tensor, exponent: Tensor) -> Any:
    """``float_power.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor``: in float64, which must be allowed."""
    wide = emit.held_dtype(torch.float64)
    base = self if isinstance(self, (int, float)) else emit.cast(self, wide)
    if not isinstance(exponent, (int, float)):
        exponent = emit.cast(exponent, wide)
    return emit.cast(emit.power(base, exponent), wide)


@op("aten::gcd")
def aten_gcd(self: Tensor, other: Tensor) -> Any:
    """``gcd(Tensor self, Tensor other) -> Tensor``: of integers, by as many steps of Euclid as their width may need."""
    dtype = emit.result_type(self, other)
    return emit.convert(emit.greatest_divisor(self, other, dtype), dtype)


@op("aten::lcm")
def aten_lcm(self: Tensor, other: Tensor) -> Any:
    """``lcm(Tensor self, Tensor other) -> Tensor``: of integers; 0 if either is 0."""
    dtype = emit.result_type(self, other)
    wide = emit.computable(dtype)
    left, right = emit.tensor(self, wide), emit.tensor(other, wide)
    divisor = emit.greatest_divisor(left, right, dtype)
    parts = emit.elementwise("DIV", left, emit.elementwise("MAX", divisor, emit.cast(1, wide)))
    return emit.convert(emit.unary("ABS", emit.elementwise("PROD", parts, right)), dtype)


@op("aten::nextafter")
def aten_nextafter(self: Tensor, other: Tensor) -> Any:
    """``nextafter(Tensor self, Tensor other) -> Tensor``; exact for all but subnormal float32 numbers."""
    dtype = emit.held_dtype(emit.result_type(self, other))
    left, right = (emit.as_float32(emit.cast(value, dtype)) for value in (self, other))
    return emit.cast(emit.next_after(left, right, dtype), dtype)
