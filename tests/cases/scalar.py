"""Python numbers that are known at run time only: each operator of TorchScript, for each type that it takes."""

import itertools
import linecache
import math

import torch

from tests.harness import Case

_PREFIX = """
def function(x):
    i = int(x[0])
    j = int(x[1])
    f = float(x[2])
    g = float(x[3])
    s = x[2].item()
    t = x[3].item()
    p = bool(x[4] > 0)
    q = bool(x[5] > 0)
"""

_numbers = itertools.count()


def script(*expressions: str):
    """A scripted function that gives each expression as a tensor."""
    lines = [f"    r{index} = torch.tensor({text})\n" for index, text in enumerate(expressions)]
    results = ", ".join(f"r{index}" for index in range(len(expressions)))
    source = f"{_PREFIX}{''.join(lines)}    return ({results},)\n"
    name = f"scalar {next(_numbers)}"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)  # where TorchScript reads it
    scope = {"torch": torch, "math": math, "__name__": __name__}
    exec(compile(source, name, "exec"), scope)
    return torch.jit.script(scope["function"])


def binary(text: str):
    """``text`` with ``a`` and ``b`` an int, a float, and once two numbers of unknown type."""
    found = [text.format(a=left, b=right) for left, right in itertools.product("if", "jg")]
    return script(*found, f"float({text.format(a='s', b='t')})")


def unary(text: str):
    """``text`` with ``a`` an int, a float, and a number of unknown type."""
    return script(*(text.format(a=name) for name in "if"), f"float({text.format(a='s')})")


# Ints and floats of either sign, in the domains of all functions.
_X = torch.tensor([7.0, 3.0, 2.5, 1.25, 1.0, -1.0])
_OTHERS = [torch.tensor([5.0, 2.0, 1.75, 4.5, -1.0, 1.0]), torch.tensor([4.0, 4.0, 3.0, 3.0, 1.0, 1.0])]
_SIGNED = [*_OTHERS, torch.tensor([-7.0, 3.0, -2.5, 1.25, 1.0, -1.0]), torch.tensor([7.0, -3.0, 2.5, -1.25, 1.0, 1.0])]
_INSIDE = [torch.tensor([-1.0, 1.0, 0.25, -0.5, 1.0, 1.0]), torch.tensor([0.0, 1.0, 0.75, 0.5, 1.0, 1.0])]

_ARITHMETIC = {
    "add": "{a} + {b}",
    "sub": "{a} - {b}",
    "mul": "{a} * {b}",
    "floordiv": "{a} // {b}",
    "remainder": "{a} % {b}",
    "eq": "{a} == {b}",
    "ne": "{a} != {b}",
    "lt": "{a} < {b}",
    "le": "{a} <= {b}",
    "gt": "{a} > {b}",
    "ge": "{a} >= {b}",
    "min": "min({a}, {b})",
    "max": "max({a}, {b})",
}
_FLOATS = {
    "div": "{a} / {b}",
    "fmod": "math.fmod({a}, {b})",
    "pow": "math.pow({a}, {b})",
    "atan2": "math.atan2({a}, {b})",
    "log-base": "math.log({a}, {b})",
}
_FUNCTIONS = {
    name: f"math.{name}({{a}})"
    for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asinh", "atan", "erf", "expm1")
}
_NARROW = {name: f"math.{name}({{a}})" for name in ["asin", "acos", "atanh"]}
_ROUNDED = {
    "neg": "-{a}",
    "abs": "abs({a})",
    "fabs": "math.fabs({a})",
    "ceil": "math.ceil({a})",
    "floor": "math.floor({a})",
    "round": "round({a})",
    "degrees": "math.degrees({a})",
    "radians": "math.radians({a})",
}


def _all(texts, kind, x, others, **options):
    return [Case(name, kind(text), x, others=others, **options) for name, text in texts.items()]


CASES = [
    *_all(_ARITHMETIC, binary, _X, _SIGNED),
    *_all({key: _FLOATS[key] for key in ("pow", "log-base")}, binary, _X, _OTHERS),
    *_all({key: _FLOATS[key] for key in ("div", "fmod", "atan2")}, binary, _X, _SIGNED),
    *_all(_FUNCTIONS, unary, _X, _OTHERS),
    *_all({"erfc": "math.erfc({a})"}, unary, _X, _SIGNED, rtol=1e-5, atol=0, each=True),
    *_all(_NARROW, unary, torch.tensor([1.0, 1.0, -0.5, 0.25, 1.0, 1.0]), _INSIDE),
    *_all({"acosh": "math.acosh({a})", "log10": "math.log10({a})", "log1p": "math.log1p({a})"}, unary, _X, _OTHERS),
    *_all(_ROUNDED, unary, _X, [*_SIGNED, torch.tensor([2.0, 3.0, 2.5, -0.5, 1.0, 1.0])]),
    Case("bits", script("i & j", "i | j", "i ^ j", "i << j", "i >> j"), _X, others=_OTHERS),
    Case(
        "bools", script("p & q", "p | q", "p ^ q", "p and q", "p or q", "not p", "p == q", "p != q"), _X, others=_OTHERS
    ),
    Case("gcd", script("math.gcd(i * 4, j * 6)"), _X, others=_OTHERS),
    Case("int-power", script("i ** j", "i ** 2", "2 ** j"), _X, others=_OTHERS),
    Case(
        "divmod",
        script("divmod(i, j)[0]", "divmod(i, j)[1]", "divmod(f, g)[0]", "divmod(i, g)[1]", "divmod(f, j)[1]"),
        _X,
    ),
    Case(
        "lists",
        script("sum([i, j, 2])", "sum([f, g])", "min([i, j])", "max([f, g])", "min([f, 2.0])", "max([i, 3])"),
        _X,
        others=_SIGNED,
    ),
    Case(
        "quantifiers",
        script("all([p, q])", "any([p, q])", "all([i, j])", "any([f, g])", "all([f])", "any([i - 7])"),
        _X,
        others=_OTHERS,
    ),
    Case("contains", script("i in [5, 7]", "f in [2.5, 3.5]", "j in [i, 4]"), _X, others=_OTHERS),
    Case(
        "equal-lists",
        script("[i, 3] == [7, j]", "[f] == [g]", "[i] != [j]", "[f, g] != [f, g]", "[i] == [i, j]"),
        _X,
        others=_OTHERS,
    ),
]
