"""Comparisons, logic and selection, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op

_COMPARISONS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "eq": lambda left, right: emit.compare("EQUAL", left, right),
    "ne": lambda left, right: emit.logical_not(emit.compare("EQUAL", left, right)),
    "gt": lambda left, right: emit.compare("GREATER", left, right),
    "lt": lambda left, right: emit.compare("LESS", left, right),
    "ge": lambda left, right: emit.either("GREATER", left, right),
    "le": lambda left, right: emit.either("LESS", left, right),
}


def _register_comparison(name: str, function: Callable[[Tensor, Tensor], Any]) -> None:
    def tensors(self: Tensor, other: Tensor) -> Any:
        return function(emit.widened(self), emit.widened(other))

    tensors.__doc__ = f"``{name}.Tensor(Tensor self, Tensor other) -> Tensor``; NaN compares as in PyTorch."
    op(f"aten::{name}.Tensor", f"aten::{name}.Scalar")(tensors)


def _register_number_comparison(name: str, function: Callable[[Tensor, Tensor], Any]) -> None:
    def numbers(a: Any, b: Any) -> Any:
        return function(a, b)

    numbers.__doc__ = f"``{name}.int(int a, int b) -> bool``: of sizes that are known at run time only."
    op(f"aten::{name}.int")(numbers)


for _name, _function in _COMPARISONS.items():
    _register_comparison(_name, _function)
    _register_number_comparison(_name, _function)


def _register_logical(name: str, operation: str) -> None:
    def handler(self: Tensor, other: Tensor) -> Any:
        return emit.elementwise(operation, emit.logical(self), emit.logical(other))

    handler.__doc__ = f"``{name}(Tensor self, Tensor other) -> Tensor``; what is not zero is true, NaN too."
    op(f"aten::{name}")(handler)


for _name, _operation in {"logical_and": "AND", "logical_or": "OR", "logical_xor": "XOR"}.items():
    _register_logical(_name, _operation)


@op("aten::logical_not")
def aten_logical_not(self: Tensor) -> Any:
    """``logical_not(Tensor self) -> Tensor``."""
    return emit.logical_not(self) if emit.is_bool(self) else emit.compare("EQUAL", emit.widened(self), 0)


@op("aten::where.self", "aten::where.ScalarOther", "aten::where.ScalarSelf", "aten::where.Scalar")
def aten_where(condition: Tensor, self: Tensor, other: Tensor) -> Any:
    """``where.self(Tensor condition, Tensor self, Tensor other) -> Tensor``; promoted and broadcast."""
    return emit.choose(condition, self, other, emit.result_type(self, other))


@op("aten::masked_fill.Scalar", "aten::masked_fill.Tensor")
def aten_masked_fill(self: Tensor, mask: Tensor, value: Tensor) -> Any:
    """``masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor``; the value takes self's dtype."""
    return emit.choose(mask, value, self, emit.dtype_of(self))


def _register_bitwise(names: tuple[str, ...], operation: str) -> None:
    def handler(self: Tensor, other: Tensor) -> Any:
        dtype = emit.result_type(self, other)
        if dtype != torch.bool:
            return emit.bitwise(operation, self, other)
        return emit.elementwise(operation, emit.cast(self, dtype), emit.cast(other, dtype))

    handler.__doc__ = f"``{names[0]}.Tensor(Tensor self, Tensor other) -> Tensor``: of booleans and integers."
    op(*(f"aten::{name}.{overload}" for name in names for overload in ("Tensor", "Scalar")))(handler)
    op(f"aten::{names[0]}.Scalar_Tensor")(handler)


_register_bitwise(("bitwise_and", "__and__"), "AND")
_register_bitwise(("bitwise_or", "__or__"), "OR")
_register_bitwise(("bitwise_xor", "__xor__"), "XOR")


@op("aten::bitwise_not")
def aten_bitwise_not(self: Tensor) -> Any:
    """``bitwise_not(Tensor self) -> Tensor``: of booleans the complement, of integers ``-1 - x``."""
    if emit.is_bool(self):
        return emit.logical_not(self)
    if emit.dtype_of(self) == torch.uint8:
        return emit.to_uint8(emit.sub(255, emit.widened(self)))
    return emit.sub(-1, self)


@op("aten::bitwise_left_shift.Tensor", "aten::bitwise_left_shift.Tensor_Scalar")
@op("aten::bitwise_left_shift.Scalar_Tensor", "aten::__lshift__.Tensor", "aten::__lshift__.Scalar")
def aten_bitwise_left_shift(self: Tensor, other: Tensor) -> Any:
    """``bitwise_left_shift.Tensor(Tensor self, Tensor other) -> Tensor``; wraps, 0 for shifts out of range."""
    return emit.shift(self, other, to_left=True)


@op("aten::bitwise_right_shift.Tensor", "aten::bitwise_right_shift.Tensor_Scalar")
@op("aten::bitwise_right_shift.Scalar_Tensor", "aten::__rshift__.Tensor", "aten::__rshift__.Scalar")
def aten_bitwise_right_shift(self: Tensor, other: Tensor) -> Any:
    """``bitwise_right_shift.Tensor(Tensor self, Tensor other) -> Tensor``; keeps the sign."""
    return emit.shift(self, other, to_left=False)


@op("aten::isclose")
def aten_isclose(self: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """``isclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> Tensor``.

    Integers are compared in the default float dtype, as in eager.
    """
    equal = emit.compare("EQUAL", emit.widened(self), emit.widened(other))
    if emit.is_float(self) and equal_nan:
        equal = emit.elementwise("OR", equal, emit.elementwise("AND", emit.is_nan(self), emit.is_nan(other)))
    if rtol == 0 and atol == 0:
        return equal
    left, right = emit.to_float(self), emit.to_float(other)
    allowed = emit.arithmetic("SUM", emit.unary("ABS", emit.arithmetic("PROD", right, rtol)), atol)
    gap = emit.unary("ABS", emit.elementwise("SUB", left, right))
    close = emit.elementwise("AND", emit.compare("LESS", gap, math.inf), emit.either("LESS", gap, allowed))
    return emit.elementwise("OR", equal, close)


@op("aten::allclose")
def aten_allclose(self: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """``allclose(Tensor self, Tensor other, ...) -> bool``: as a 0-d boolean tensor."""
    return emit.all_true(aten_isclose(self, other, rtol, atol, equal_nan))


@op("aten::equal")
def aten_equal(self: Tensor, other: Tensor) -> Any:
    """``equal(Tensor self, Tensor other) -> bool``: as a 0-d boolean tensor; the sizes must be known."""
    if not (emit.is_static(self) and emit.is_static(other)):
        raise UnsupportedArgumentError(
            "aten::equal cannot compare tensors whose sizes are known at run time only", hint="make the sizes static"
        )
    if emit.static_shape(self) != emit.static_shape(other):
        return False
    return emit.all_true(emit.compare("EQUAL", emit.widened(self), emit.widened(other)))
