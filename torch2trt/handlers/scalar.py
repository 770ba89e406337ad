"""Python numbers that are known at run time only, as scripted code computes with them.

An int is a 0-d int64 tensor, a float a 0-d float32 tensor (TensorRT has no float64), a bool a 0-d boolean tensor.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from .. import emit, torch_compat
from ..emit import Dim, special
from ..errors import UnsupportedArgumentError
from ..registry import op
from ..torch_compat import Schema

Function = Callable[..., Any]

_NUMBERS = frozenset({"int", "float", "bool", "number"})
_DTYPES = {"int": torch.int64, "float": torch.float32, "bool": torch.bool}


def _as_result(value: Any, schema: Schema) -> Any:
    """``value`` in the dtype of the Python type that the schema returns."""
    dtype = _DTYPES.get(schema.returns[0].type)
    return value if dtype is None else emit.cast(value, dtype)


def _register(kind: str, names: tuple[str, ...], function: Function, *but: str) -> None:
    """A handler for every overload that takes numbers of these names and nothing else, except the overloads ``but``."""
    for schema in torch_compat.schemas_of(kind):
        numbers = {argument.type for argument in schema.arguments} <= _NUMBERS
        if numbers and schema.argument_names == names and schema.overload not in but:
            make = _unary if len(names) == 1 else _binary
            op(f"{kind}.{schema.overload}" if schema.overload else kind)(make(function, schema))


def _unary(function: Function, schema: Schema) -> Function:
    def handler(a: Any) -> Any:
        return _as_result(function(emit.scalar(a)), schema)

    handler.__doc__ = f"``{schema.text.partition('::')[2]}``."
    return handler


def _binary(function: Function, schema: Schema) -> Function:
    def handler(a: Any, b: Any) -> Any:
        return _as_result(function(a, b), schema)

    handler.__doc__ = f"``{schema.text.partition('::')[2]}``."
    return handler


def _float_power(a: Any, b: Any) -> Any:
    return emit.arithmetic("POW", *(emit.cast(value, torch.float32) for value in (a, b)))


def _logarithm(a: Any, b: Any = math.e) -> Any:
    left, right = (emit.unary("LOG", emit.cast(value, torch.float32)) for value in (a, b))
    return emit.elementwise("DIV", left, right)


def _rounded(operation: str) -> Function:
    """TensorRT rounds floats only; an integer is round."""
    return lambda a: a if emit.is_integer(a) else emit.unary(operation, a)


def _scaled(factor: float) -> Function:
    return lambda a: emit.elementwise("PROD", emit.cast(a, torch.float32), torch.tensor(factor))


_BINARY: dict[str, Function] = {
    "add": lambda a, b: emit.arithmetic("SUM", a, b),
    "sub": lambda a, b: emit.arithmetic("SUB", a, b),
    "mul": lambda a, b: emit.arithmetic("PROD", a, b),
    "div": emit.true_divide,
    "floordiv": emit.floored_quotient,
    "remainder": emit.remainder,
    "fmod": emit.fmod,
    "atan2": lambda a, b: emit.atan2(emit.cast(a, torch.float32), emit.cast(b, torch.float32)),
    "gcd": lambda a, b: emit.greatest_divisor(a, b, torch.int64),
    "__and__": lambda a, b: _logic("AND", a, b),
    "__or__": lambda a, b: _logic("OR", a, b),
    "__xor__": lambda a, b: _logic("XOR", a, b),
    "__lshift__": lambda a, b: emit.shift(a, b, True),
    "__rshift__": lambda a, b: emit.shift(a, b, False),
}
_COMPARISONS: dict[str, Function] = {
    "eq": lambda a, b: emit.compare("EQUAL", a, b),
    "ne": lambda a, b: emit.logical_not(emit.compare("EQUAL", a, b)),
    "gt": lambda a, b: emit.compare("GREATER", a, b),
    "lt": lambda a, b: emit.compare("LESS", a, b),
    "ge": lambda a, b: emit.either("GREATER", a, b),
    "le": lambda a, b: emit.either("LESS", a, b),
}
_UNARY: dict[str, Function] = {
    "neg": lambda a: emit.sub(0, a) if emit.is_integer(a) else emit.unary("NEG", a),
    "fabs": lambda a: emit.float_function("ABS", a),
    "ceil": _rounded("CEIL"),
    "floor": _rounded("FLOOR"),
    "round": _rounded("ROUND"),
    "tanh": lambda a: emit.activation("TANH", emit.to_float(a)),
    "log10": lambda a: _logarithm(a, 10.0),
    "log1p": lambda a: emit.log1p(emit.to_float(a)),
    "expm1": lambda a: emit.expm1(emit.to_float(a)),
    "erfc": lambda a: special.erfc(emit.to_float(a)),
    "degrees": _scaled(180 / math.pi),
    "radians": _scaled(math.pi / 180),
}
for _name in "sqrt exp log sin cos tan sinh cosh asin acos atan asinh acosh atanh erf".split():  # noqa: SIM905
    _UNARY[_name] = functools.partial(emit.float_function, _name.upper())


def _logic(operation: str, a: Any, b: Any) -> Any:
    if emit.is_bool(a) and emit.is_bool(b):
        return emit.elementwise(operation, a, b)
    return emit.bitwise(operation, a, b)


_PAIR = ("a", "b")
for _name, _function in _BINARY.items():
    _register(f"aten::{_name}", _PAIR, _function)
for _name, _function in _COMPARISONS.items():
    _register(f"aten::{_name}", _PAIR, _function, "int")
for _name, _function in _UNARY.items():
    _register(f"aten::{_name}", ("a",), _function, *(["int"] if _name == "ceil" else []))
_register("aten::log", _PAIR, _logarithm)
_register("aten::pow", _PAIR, _float_power, "int_to_int")
_register("prim::min", _PAIR, lambda a, b: emit.arithmetic("MIN", a, b))
_register("prim::max", _PAIR, lambda a, b: emit.arithmetic("MAX", a, b))
_register("prim::abs", ("a",), lambda a: emit.unary("ABS", a))


@op("aten::__not__")
def aten_not(self: Any) -> Any:
    """``__not__(bool self) -> bool``."""
    return emit.logical_not(self)


@op("aten::__derive_index")
def aten_derive_index(index: Dim, start: Dim, step: Dim) -> Dim:
    """``__derive_index(int index, int start, int step) -> int``: what ``range(start, stop, step)`` gives."""
    return emit.dim_add(start, emit.dim_mul(index, step))


@op("aten::__range_length")
def aten_range_length(lo: Dim, hi: Dim, step: int) -> Dim:
    """``__range_length(int lo, int hi, int step) -> int``: of ``range(lo, hi, step)``."""
    if step == 0:
        raise UnsupportedArgumentError("range() with a step of 0")
    low, high, step = (lo, hi, step) if step > 0 else (hi, lo, -step)
    return emit.dim_max(0, emit.dim_floordiv(emit.dim_add(emit.dim_sub(high, low), step - 1), step))


def _register_reduction(name: str, kinds: Sequence[str], function: Function) -> None:
    def handler(self: Any) -> Any:
        return functools.reduce(function, self)

    handler.__doc__ = f"``{name}.{kinds[0]}({kinds[0]}[] self)``: of a list of numbers."
    op(*(f"{name}.{kind}" for kind in kinds))(handler)


_register_reduction("aten::sum", ("int", "float"), lambda a, b: emit.arithmetic("SUM", a, b))
_register_reduction("prim::min", ("self_int", "self_float"), lambda a, b: emit.arithmetic("MIN", a, b))
_register_reduction("prim::max", ("self_int", "self_float"), lambda a, b: emit.arithmetic("MAX", a, b))


def _register_quantifier(name: str, operation: str) -> None:
    def handler(self: Any) -> Any:
        return functools.reduce(lambda a, b: emit.elementwise(operation, a, b), map(emit.logical, self))

    handler.__doc__ = f"``{name}.bool(bool[] self) -> bool``: of a list of numbers."
    op(*(f"aten::{name}.{kind}" for kind in ("int", "float", "bool")))(handler)


_register_quantifier("all", "AND")
_register_quantifier("any", "OR")


@op("aten::__contains__.int_list", "aten::__contains__.float_list")
def aten_contains(l: Any, item: Any) -> Any:  # noqa: E741
    """``__contains__.int_list(int[] l, int item) -> bool``."""
    found = [emit.scalar(emit.compare("EQUAL", other, item)) for other in l]
    return functools.reduce(lambda a, b: emit.elementwise("OR", a, b), found) if found else torch.tensor(False)


def _equal_lists(a: Sequence[Any], b: Sequence[Any]) -> Any:
    if len(a) != len(b):
        return torch.tensor(False)
    same = [emit.compare("EQUAL", left, right) for left, right in zip(a, b, strict=True)]
    return functools.reduce(lambda left, right: emit.elementwise("AND", left, right), same)


@op("aten::eq.int_list", "aten::eq.float_list")
def aten_eq_list(a: Any, b: Any) -> Any:
    """``eq.int_list(int[] a, int[] b) -> bool``; lists of other lengths differ."""
    return _equal_lists(a, b)


@op("aten::ne.int_list", "aten::ne.float_list")
def aten_ne_list(a: Any, b: Any) -> Any:
    """``ne.int_list(int[] a, int[] b) -> bool``; lists of other lengths differ."""
    return emit.logical_not(_equal_lists(a, b))


@op("aten::divmod.int", "aten::divmod.float", "aten::divmod.int_float", "aten::divmod.float_int")
def aten_divmod(x: Any, y: Any) -> tuple[Any, Any]:
    """``divmod.int(int x, int y) -> (int, int)``; rounds down, as in Python."""
    return emit.floored_quotient(x, y), emit.remainder(x, y)
