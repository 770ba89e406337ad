"""Quotients, remainders, powers and extrema as PyTorch defines them."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import UnsupportedArgumentError
from .dims import rank_of, shape_of
from .dtypes import Tensor, cast, dtype_of, is_float, result_type, tensor
from .exponents import exact_fmod
from .fill import filled
from .math import compare, elementwise, logical_not, reduce, unary, where
from .pointwise import arithmetic, choose, computable, is_half, is_number, to_uint8, widened


def full_like(value: Tensor, number: Tensor, dtype: torch.dtype) -> Any:
    """``number`` in the shape of ``value``: known if the shape and the number are."""
    return filled(shape_of(value), number, dtype)


def truncated(value: Tensor) -> Any:
    """A float tensor rounded towards zero, the sign of zero kept."""
    return where(compare("LESS", value, 0), unary("CEIL", value), unary("FLOOR", value))


def either(operation: str, left: Tensor, right: Tensor) -> Any:
    """``GREATER`` or ``LESS``, or equal; false for NaN, for which the complement of the opposite would be true."""
    if not is_float(result_type(left, right)):
        return logical_not(compare("LESS" if operation == "GREATER" else "GREATER", left, right))
    return elementwise("OR", compare(operation, left, right), compare("EQUAL", left, right))


def all_true(value: Tensor) -> Any:
    """Whether a boolean tensor is true everywhere, as a 0-d boolean tensor; true for an empty one."""
    false = reduce("SUM", cast(logical_not(value), torch.float32), range(rank_of(value)), keepdim=False)
    return compare("EQUAL", false, 0)


def is_nan(value: Tensor) -> Any:
    """Whether a float tensor is NaN."""
    return unary("ISNAN", tensor(value))


def negative(value: Tensor) -> Any:
    """The sign bit of a float tensor, for negative zero too; that of a NaN counts as not set."""
    value = tensor(value)
    return elementwise("OR", compare("LESS", value, 0), compare("LESS", unary("RECIP", value), 0))


def copy_sign(value: Tensor, sign: Tensor) -> Any:
    """``abs(value)`` with the sign of ``sign``; float tensors of one dtype."""
    magnitude = unary("ABS", value)
    return where(negative(sign), unary("NEG", magnitude), magnitude)


def truncated_quotient(left: Tensor, right: Tensor) -> Any:
    """``torch.div(left, right, rounding_mode="trunc")``; of integers by zero it is undefined, as in TensorRT."""
    dtype = result_type(left, right)
    if not dtype.is_floating_point:
        return _integer_quotient("DIV", left, right, dtype)
    return cast(truncated(elementwise("DIV", *_quotient_operands(left, right, dtype))), dtype)


def _quotient_operands(left: Tensor, right: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """The operands of a rounded division: in ``dtype``, but in float32 for half precision by a number.

    That is what eager does on the CPU, where a 0-d divisor keeps its own precision (div_trunc_kernel and
    div_floor_kernel in aten/src/ATen/native/cpu/BinaryOpsKernel.cpp).
    """
    wide = torch.float32 if is_half(dtype) and rank_of(right) == 0 else dtype
    return [cast(value, wide) for value in (left, right)]


def _integer_quotient(operation: str, left: Tensor, right: Tensor, dtype: torch.dtype) -> Any:
    if dtype == torch.bool:
        raise UnsupportedArgumentError("PyTorch divides no booleans with a rounding mode", hint="cast to int32")
    wide = computable(dtype)
    result = elementwise(operation, cast(left, wide), cast(right, wide))
    return to_uint8(result) if dtype == torch.uint8 else result


def floored_quotient(left: Tensor, right: Tensor) -> Any:
    """``torch.div(left, right, rounding_mode="floor")``: the exact quotient rounded down, not the rounded one.

    Of floats it is ``(left - remainder) / right`` rounded to the nearest integer, as in eager
    (div_floor_floating in c10/util/generic_math.h).
    """
    dtype = result_type(left, right)
    if not dtype.is_floating_point:
        return _integer_quotient("FLOOR_DIV", left, right, dtype)
    left, right = _quotient_operands(left, right, dtype)
    if is_number(right) and _is_power_of_two(float(right)):
        return cast(unary("FLOOR", elementwise("DIV", left, right)), dtype)
    wide = result_type(left, right)
    one = cast(1, wide)
    quotient = elementwise("DIV", left, right)
    rest = cast(exact_fmod(_float32(left), _float32(right)), wide)
    whole = elementwise("DIV", elementwise("SUB", left, rest), right)
    whole = where(_needs_turn(rest, right), elementwise("SUB", whole, one), whole)
    down = unary("FLOOR", whole)
    above = compare("GREATER", elementwise("SUB", whole, down), 0.5)
    rounded = where(above, elementwise("SUM", down, one), down)
    zero = copy_sign(full_like(quotient, 0, wide), quotient)
    result = where(compare("EQUAL", whole, 0), zero, rounded)
    return cast(where(compare("EQUAL", right, 0), quotient, result), dtype)


def _float32(value: Tensor) -> Tensor:
    """``value`` in float32; known values stay known."""
    return cast(value, torch.float32)


def _is_power_of_two(number: float) -> bool:
    """Whether dividing by ``number``, at least 1, is exact."""
    return number >= 1 and number == int(number) and int(number) & (int(number) - 1) == 0


def _needs_turn(rest: Tensor, divisor: Tensor) -> Any:
    """Whether a truncating remainder is not zero and its sign is not that of the divisor."""
    signs = elementwise("XOR", compare("LESS", rest, 0), compare("LESS", divisor, 0))
    return elementwise("AND", signs, logical_not(compare("EQUAL", rest, 0)))


def fmod(left: Tensor, right: Tensor) -> Any:
    """``torch.fmod``: exact, with the sign of ``left``."""
    dtype = result_type(left, right)
    if not dtype.is_floating_point:
        return _integer_rest("DIV", left, right, dtype)
    return cast(exact_fmod(_float32(cast(left, dtype)), _float32(cast(right, dtype))), dtype)


def remainder(left: Tensor, right: Tensor) -> Any:
    """``torch.remainder``: exact, with the sign of ``right``."""
    dtype = result_type(left, right)
    if not dtype.is_floating_point:
        return _integer_rest("FLOOR_DIV", left, right, dtype)
    divisor = _float32(cast(right, dtype))
    rest = exact_fmod(_float32(cast(left, dtype)), divisor)
    return cast(where(_needs_turn(rest, divisor), elementwise("SUM", rest, divisor), rest), dtype)


def _integer_rest(division: str, left: Tensor, right: Tensor, dtype: torch.dtype) -> Any:
    wide = computable(dtype)
    left, right = cast(left, wide), cast(right, wide)
    rest = elementwise("SUB", left, elementwise("PROD", elementwise(division, left, right), right))
    return to_uint8(rest) if dtype == torch.uint8 else rest


def power(base: Tensor, exponent: Tensor) -> Any:
    """``torch.pow``: small known exponents by products and roots, as eager does them; integers wrap."""
    dtype = result_type(base, exponent)
    if isinstance(exponent, torch.Tensor) and exponent.dim() == 0:
        exponent = exponent.item()
    if isinstance(exponent, (int, float)):
        found = _known_power(base, exponent, dtype)
        if found is not None:
            return found
    if dtype.is_floating_point:
        return arithmetic("POW", base, exponent)
    return integer_power(base, exponent, dtype)


_ROOTS = {0.5: ("SQRT",), -0.5: ("SQRT", "RECIP"), -1: ("RECIP",)}


def _known_power(base: Tensor, exponent: float, dtype: torch.dtype) -> Any | None:
    if exponent == 0:
        return full_like(base, 1, dtype)
    value = tensor(base, computable(dtype))
    if dtype.is_floating_point:
        if exponent in _ROOTS:
            for operation in _ROOTS[exponent]:
                value = unary(operation, value)
            return value
        if exponent == -2:
            return unary("RECIP", elementwise("PROD", value, value))
    if exponent in (1, 2, 3) or (not dtype.is_floating_point and exponent > 0):
        result = _repeated_product(value, int(exponent))
        return to_uint8(result) if dtype == torch.uint8 else result
    return None


def _repeated_product(value: Any, count: int) -> Any:
    """``value ** count`` by squaring."""
    result = None
    while True:
        if count & 1:
            result = value if result is None else elementwise("PROD", result, value)
        count >>= 1
        if not count:
            return result
        value = elementwise("PROD", value, value)


def integer_power(base: Tensor, exponent: Tensor, dtype: torch.dtype) -> Any:
    """Integers to the power of integers: modulo 2 ** 64 as in PyTorch, by squaring over all bits of the exponent.

    TensorRT's own POW goes through floating point and saturates. Negative exponents give 0, or 1 and -1 for bases of
    1 and -1 (powi in aten/src/ATen/native/Pow.h).
    """
    wide = computable(dtype)
    base, exponent = tensor(base, wide), tensor(exponent, wide)
    one, two = cast(1, wide), cast(2, wide)
    result, square, rest = one, base, exponent
    bits = {torch.uint8: 8, torch.int32: 31}.get(dtype, 63)
    for _ in range(bits):
        half = elementwise("FLOOR_DIV", rest, two)
        odd = compare("GREATER", rest, elementwise("PROD", half, two))
        result = elementwise("PROD", result, where(odd, square, one))
        square, rest = elementwise("PROD", square, square), half
    odd = compare("GREATER", exponent, elementwise("PROD", elementwise("FLOOR_DIV", exponent, two), two))
    minus = where(compare("EQUAL", base, -1), where(odd, cast(-1, wide), one), cast(0, wide))
    negative_result = where(compare("EQUAL", base, 1), one, minus)
    result = where(compare("LESS", exponent, 0), negative_result, result)
    return to_uint8(result) if dtype == torch.uint8 else result


def extremum(operation: str, left: Tensor, right: Tensor) -> Any:
    """``MAX`` or ``MIN`` of two, NaN if either is: TensorRT's own operations drop a NaN on one side or the other."""
    dtype = result_type(left, right)
    if not dtype.is_floating_point:
        return arithmetic(operation, left, right)
    if isinstance(left, (torch.Tensor, int, float)):
        left, right = right, left
    left, right = cast(left, dtype), cast(right, dtype)
    further = "GREATER" if operation == "MAX" else "LESS"
    if isinstance(right, torch.Tensor) and not bool(right.isnan().any()):
        return where(compare(further, right, left), right, left)  # false where left is NaN
    # where right is NaN the comparison is false, which chooses it
    return where(elementwise("OR", compare(further, left, right), is_nan(left)), left, right)


def extremum_of_numbers(operation: str, left: Tensor, right: Tensor) -> Any:
    """``torch.fmax`` (``MAX``) or ``torch.fmin`` (``MIN``): NaN only where both are."""
    dtype = result_type(left, right)
    if not dtype.is_floating_point:
        return arithmetic(operation, left, right)
    left, right = cast(left, dtype), cast(right, dtype)
    further = compare("GREATER" if operation == "MAX" else "LESS", right, left)
    return where(elementwise("OR", further, is_nan(left)), right, left)


def absolute(value: Tensor) -> Any:
    """``torch.abs``: of floats and integers; uint8 is its own."""
    return tensor(value) if dtype_of(value) == torch.uint8 else unary("ABS", value)


def sign_of(value: Tensor) -> Any:
    """``torch.sign``: 0 for NaN, in the dtype of ``value``."""
    dtype = dtype_of(value)
    if dtype == torch.bool:
        return tensor(value)
    if dtype == torch.uint8:
        return cast(cast(compare("GREATER", widened(value), 0), torch.float32), dtype)
    result = unary("SIGN", tensor(value))
    return choose(is_nan(value), 0, result, dtype) if is_float(dtype) else result
