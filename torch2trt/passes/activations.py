"""Activations that the module writes out in arithmetic, as one node."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..graph import Operand, Value
from .fold import Plan
from .rewriting import Rewriter

_DEEPEST = 8
"""How many nodes deep a written-out activation is looked for; none in use takes more."""


def gelu(plan: Plan) -> int:
    """``0.5 x (1 + erf(x / sqrt 2))`` and ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``, however written."""
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        result = node.outputs[0] if len(node.outputs) == 1 else None
        if node.kind != "aten::mul" or result is None or result.dtype is None or not result.dtype.is_floating_point:
            continue
        found = _gelu(rewriter, result)
        if found is not None and found[0].dtype == result.dtype:
            rewriter.call(node, "aten::gelu", *found)
            count += 1
    rewriter.finish()
    return count


def silu(plan: Plan) -> int:
    """``x sigmoid(x)`` and ``x / (1 + exp(-x))``: the exponential would overflow in half precision."""
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        result = node.outputs[0] if len(node.outputs) == 1 else None
        source = None if result is None else _silu(rewriter, result)
        if source is not None and result is not None and source.dtype == result.dtype:
            rewriter.call(node, "aten::silu", source)
            count += 1
    rewriter.finish()
    return count


def _silu(rewriter: Rewriter, result: Value) -> Value | None:
    product = rewriter.maker(result, "aten::mul")
    if product is not None:
        for source, gate in (product.args[:2], product.args[1::-1]):
            sigmoid = rewriter.maker(gate, "aten::sigmoid")
            if sigmoid is not None and isinstance(source, Value) and sigmoid.args[0] is source:
                return source
    quotient = rewriter.maker(result, "aten::div")
    if quotient is None or len(quotient.args) != 2 or not isinstance(quotient.args[0], Value):
        return None
    source, divisor = quotient.args
    shifted = rewriter.maker(divisor, "aten::add", "aten::rsub")
    if shifted is None or shifted.kind != "aten::add" or rewriter.number(shifted.args[2]) != 1:
        return None
    for term, one in (shifted.args[:2], shifted.args[1::-1]):
        power = rewriter.maker(term, "aten::exp")
        if (
            power is not None
            and rewriter.number(one) == 1
            and _polynomial(rewriter, power.args[0], source) == {1: -1.0}
        ):
            return source
    return None


def _gelu(rewriter: Rewriter, result: Value) -> tuple[Value, str] | None:
    for gate in _factors(rewriter, result):
        function = _one_plus(rewriter, gate)
        if function is None:
            continue
        kind, inner = function
        for source in _factors(rewriter, result):
            if source.dtype != result.dtype or source is gate or not _is_gelu_of(rewriter, kind, inner, source):
                continue
            if _product(rewriter, result, {source: 1, gate: 1}, 0.5):
                return source, "none" if kind == "aten::erf" else "tanh"
    return None


def _is_gelu_of(rewriter: Rewriter, kind: str, inner: Operand, source: Value) -> bool:
    found = _polynomial(rewriter, inner, source)
    slope = math.sqrt(2 / math.pi)
    expected = {1: math.sqrt(0.5)} if kind == "aten::erf" else {1: slope, 3: 0.044715 * slope}
    if found is None or set(found) != set(expected):
        return False
    return all(math.isclose(found[power], expected[power], rel_tol=1e-4) for power in expected)


def _one_plus(rewriter: Rewriter, gate: Value) -> tuple[str, Operand] | None:
    """For ``1 + erf(z)`` and ``1 + tanh(z)``, the function and z."""
    total = rewriter.maker(gate, "aten::add")
    if total is None or rewriter.number(total.args[2]) != 1:
        return None
    for one, term in (total.args[:2], total.args[1::-1]):
        function = rewriter.maker(term, "aten::erf", "aten::tanh")
        if function is not None and rewriter.number(one) == 1:
            return function.kind, function.args[0]
    return None


def _factors(rewriter: Rewriter, value: Operand, depth: int = _DEEPEST) -> Iterator[Value]:
    """The values that a product is made of, intermediate products too."""
    if not isinstance(value, Value) or depth == 0:
        return
    yield value
    product = rewriter.maker(value, "aten::mul", "aten::div")
    if product is not None and (product.kind == "aten::mul" or rewriter.number(product.args[1]) is not None):
        for factor in product.args[:2]:
            if rewriter.number(factor) is None:
                yield from _factors(rewriter, factor, depth - 1)


def _product(rewriter: Rewriter, value: Operand, wanted: dict[Value, int], constant: float) -> bool:
    """Whether a value is the product of ``constant`` and of the values in ``wanted``, each as often as it says."""
    found: dict[Value, int] = {}
    numbers = 1.0
    waiting: list[Operand] = [value]
    for _ in range(2 * _DEEPEST):
        if not waiting:
            break
        factor = waiting.pop()
        number = rewriter.number(factor)
        if number is not None:
            numbers *= number
        elif isinstance(factor, Value) and factor in wanted:
            found[factor] = found.get(factor, 0) + 1
        else:
            product = rewriter.maker(factor, "aten::mul", "aten::div")
            divisor = None if product is None or product.kind == "aten::mul" else rewriter.number(product.args[1])
            if product is None or (product.kind == "aten::div" and (not divisor or len(product.args) != 2)):
                return False
            numbers = numbers / divisor if divisor else numbers
            waiting += product.args[:1] if divisor else product.args[:2]
    return not waiting and found == wanted and math.isclose(numbers, constant, rel_tol=1e-4)


Polynomial = dict[int, float]


def _polynomial(rewriter: Rewriter, value: Operand, variable: Value, depth: int = _DEEPEST) -> Polynomial | None:
    """The coefficients, by power, of a value that is a polynomial of another one; None when it is none."""
    if value is variable:
        return {1: 1.0}
    number = rewriter.number(value)
    if number is not None:
        return {0: float(number)}
    node = rewriter.maker(value, "aten::add", "aten::mul", "aten::div", "aten::pow", "aten::neg", "aten::square")
    if node is None or depth == 0:
        return None
    base = _polynomial(rewriter, node.args[0], variable, depth - 1)
    if base is None:
        return None
    if node.kind in ("aten::neg", "aten::square"):
        return _times(base, {0: -1.0} if node.kind == "aten::neg" else base)
    if node.kind in ("aten::div", "aten::pow"):
        number = rewriter.number(node.args[1])
        if node.kind == "aten::div":
            return _times(base, {0: 1 / number}) if number and len(node.args) == 2 else None
        return _power(base, number)
    other = _polynomial(rewriter, node.args[1], variable, depth - 1)
    if other is None:
        return None
    if node.kind == "aten::mul":
        return _times(base, other)
    factor = rewriter.number(node.args[2])
    if factor is None:
        return None
    return {power: base.get(power, 0.0) + factor * other.get(power, 0.0) for power in {*base, *other}}


def _power(base: Polynomial, exponent: float | None) -> Polynomial | None:
    if exponent not in (1, 2, 3):
        return None
    result = base
    for _ in range(int(exponent) - 1):
        result = _times(result, base)
    return result


def _times(left: Polynomial, right: Polynomial) -> Polynomial:
    result: Polynomial = {}
    for first, a in left.items():
        for second, b in right.items():
            result[first + second] = result.get(first + second, 0.0) + a * b
    return result
