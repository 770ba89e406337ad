"""Arithmetic of complex values: pairs of real and imaginary parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..errors import DtypeError
from ..pairs import Complex, is_complex
from ..weights import derive
from .arithmetic import full_like
from .dims import rank_of
from .dtypes import Tensor, cast, dtype_of, held_dtype, is_float
from .functions import atan2, hypot
from .math import compare, elementwise, logical_not, unary, where
from .moving import take
from .pointwise import arithmetic
from .product import product
from .shape import concatenate, unsqueeze


def parts(value: Any) -> Complex:
    """Real and imaginary part; of a real value the imaginary part is zeros.

    Raises:
        DtypeError: the value is complex of half precision, or of float64, unless that is allowed as float32.
    """
    if isinstance(value, Complex):
        return value
    if isinstance(value, complex):
        return Complex(torch.tensor(value.real), torch.tensor(value.imag))
    if isinstance(value, torch.Tensor) and value.is_complex():
        if value.dtype == torch.complex128:
            held_dtype(torch.float64)  # refused, unless it is allowed as float32
        elif value.dtype != torch.complex64:
            raise DtypeError(f"complex values of {value.dtype}", hint="use complex64")
        return Complex(derive(_real, value), derive(_imag, value))
    held = as_float(value)
    return Complex(held, full_like(held, 0.0, torch.float32))


def each(function: Callable[..., Any], value: Any, *rest: Any) -> Complex:
    """A function of the real part and of the imaginary part, with the same further arguments."""
    return Complex(*(function(part, *rest) for part in parts(value)))


def choose(condition: Any, chosen: Any, other: Any) -> Complex:
    """``chosen`` where a condition holds, else ``other``; either may be real."""
    return Complex(*(where(condition, a, b) for a, b in zip(parts(chosen), parts(other), strict=True)))


def _real(value: torch.Tensor) -> torch.Tensor:
    return value.real.float().contiguous()


def _imag(value: torch.Tensor) -> torch.Tensor:
    return value.imag.float().contiguous()


def as_float(value: Tensor) -> Tensor:
    """A real value in the dtype of a complex64's parts.

    Raises:
        DtypeError: its complex dtype would be another than complex64.
    """
    dtype = dtype_of(value)
    if is_float(value) and dtype != torch.float32:
        raise DtypeError(f"complex values of {dtype}", hint="cast to float32 before")
    return cast(value, torch.float32)


def add_complex(left: Any, right: Any, sign: int = 1) -> Complex:
    """The sum, or the difference for a ``sign`` of -1."""
    operation = "SUM" if sign > 0 else "SUB"
    first, second = parts(left), parts(right)
    return Complex(*(arithmetic(operation, a, b) for a, b in zip(first, second, strict=True)))


def multiply_complex(left: Any, right: Any) -> Complex:
    """The product; a real factor multiplies both parts."""
    if not is_complex(left) and not isinstance(left, complex):
        left, right = right, left
    first = parts(left)
    if not is_complex(right) and not isinstance(right, complex):
        factor = as_float(right)
        return Complex(arithmetic("PROD", first.real, factor), arithmetic("PROD", first.imag, factor))
    second = parts(right)
    real = elementwise(
        "SUB", elementwise("PROD", first.real, second.real), elementwise("PROD", first.imag, second.imag)
    )
    imag = elementwise(
        "SUM", elementwise("PROD", first.real, second.imag), elementwise("PROD", first.imag, second.real)
    )
    return Complex(real, imag)


def matmul_complex(left: Any, right: Any) -> Complex:
    """The product of matrices, or of vectors with them, that ``torch.matmul`` gives."""
    first, second = parts(left), parts(right)
    real = elementwise("SUB", product(first.real, second.real), product(first.imag, second.imag))
    imag = elementwise("SUM", product(first.real, second.imag), product(first.imag, second.real))
    return Complex(real, imag)


def divide_complex(left: Any, right: Any) -> Complex:
    """The quotient, by R. L. Smith's algorithm (1962), as PyTorch has it; a real divisor divides both parts."""
    first = parts(left)
    if not is_complex(right) and not isinstance(right, complex):
        divisor = as_float(right)
        return Complex(arithmetic("DIV", first.real, divisor), arithmetic("DIV", first.imag, divisor))
    second = parts(right)
    wide = logical_not(compare("LESS", unary("ABS", second.real), unary("ABS", second.imag)))
    large, small = where(wide, second.real, second.imag), where(wide, second.imag, second.real)
    ratio = where(compare("EQUAL", large, 0), torch.zeros(()), elementwise("DIV", small, large))
    scale = unary("RECIP", elementwise("SUM", large, elementwise("PROD", small, ratio)))
    along, across = where(wide, first.real, first.imag), where(wide, first.imag, first.real)
    real = elementwise("SUM", along, elementwise("PROD", across, ratio))
    imag = elementwise("SUB", across, elementwise("PROD", along, ratio))
    imag = where(wide, imag, unary("NEG", imag))
    return Complex(elementwise("PROD", real, scale), elementwise("PROD", imag, scale))


def negative(value: Tensor) -> Any:
    """``-value`` of a real tensor; known if it is."""
    return derive(torch.neg, value) if isinstance(value, torch.Tensor) else unary("NEG", value)


def negative_complex(value: Any) -> Complex:
    """``-value`` of a complex value."""
    return each(negative, value)


def conjugate(value: Any) -> Complex:
    """The complex conjugate."""
    held = parts(value)
    return Complex(held.real, negative(held.imag))


def magnitude(value: Any) -> Any:
    """The absolute value; its squares do not overflow."""
    return hypot(*parts(value))


def phase(value: Any) -> Any:
    """The angle."""
    held = parts(value)
    return atan2(held.imag, held.real)


def from_last_axis(value: Any) -> Complex:
    """The pair whose parts lie along the last axis of a real tensor, as ``torch.view_as_complex`` reads it."""
    axis = rank_of(value) - 1
    return Complex(take(value, 0, axis), take(value, 1, axis))


def as_last_axis(value: Any) -> Any:
    """A real tensor with real and imaginary part along a new last axis, as ``torch.view_as_real`` gives it."""
    held = parts(value)
    axis = rank_of(held.real)
    return concatenate([unsqueeze(part, axis) for part in held], axis)
