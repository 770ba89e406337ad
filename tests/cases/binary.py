"""Arithmetic of two tensors."""

import math

import torch

from tests.harness import EXACT, Case, rand

_I, _J, _B, _U, _H, _G = torch.int64, torch.int32, torch.bool, torch.uint8, torch.float16, torch.bfloat16
_aten = torch.ops.aten
_VALUES = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 0.1, -0.1, 2.5, -2.0])
_PAIRS = (_VALUES.repeat_interleave(len(_VALUES)), _VALUES.repeat(len(_VALUES)))
_FLOATS = (rand(2, 3, 4), rand(3, 1))
_DIVISORS = rand(3, 4, dtype=_I, low=1, high=9)
_INTEGERS = (rand(3, 4, dtype=_I, low=-50, high=50), torch.where(rand(3, 4, dtype=_B), _DIVISORS, -_DIVISORS))
_EDGES = torch.tensor([0, 1, -1, 2, 63, 2**31 - 1, -(2**31), 2**40 + 5, 2**63 - 1, -(2**63)])

_ON_FLOATS = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "div-trunc": lambda x, y: torch.div(x, y, rounding_mode="trunc"),
    "div-floor": lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "floor_divide": torch.floor_divide,
    "fmod": torch.fmod,
    "remainder": torch.remainder,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "fmax": torch.fmax,
    "fmin": torch.fmin,
    "atan2": torch.atan2,
    "hypot": torch.hypot,
    "copysign": torch.copysign,
    "logaddexp": torch.logaddexp,
    "logaddexp2": torch.logaddexp2,
    "xlogy": torch.xlogy,
    "xlog1py": torch.special.xlog1py,
    "heaviside": torch.heaviside,
    "nextafter": torch.nextafter,
}
_EXACT = ("maximum", "minimum", "fmax", "fmin", "copysign", "heaviside", "nextafter")
"""Functions that give their arguments' own numbers, or the next ones to them."""

_ON_INTEGERS = ("add", "sub", "mul", "div", "div-trunc", "div-floor", "floor_divide", "fmod", "remainder", "maximum")
_ON_INTEGERS += ("minimum", "fmax", "fmin", "atan2", "copysign", "heaviside", "xlogy")


def _exactly(name):
    return EXACT if name in _EXACT else {}


def _dynamic(name, function):
    x, y = {"x": rand(2, 3), "y": rand(1, 3)}, [{"x": rand(5, 3), "y": rand(1, 3)}, {"x": rand(1, 3), "y": rand(1, 3)}]
    return Case(name, function, x, dynamic={"x": {0: (1, 2, 8)}}, others=y)


CASES = [
    *(Case(name, function, _FLOATS, **_exactly(name)) for name, function in _ON_FLOATS.items()),
    *(Case(f"{name}-scalar", function, (rand(), rand()), **_exactly(name)) for name, function in _ON_FLOATS.items()),
    *(Case(f"{name}-special", function, _PAIRS, **_exactly(name)) for name, function in _ON_FLOATS.items()),
    *(Case(f"{name}-int", _ON_FLOATS[name], _INTEGERS) for name in _ON_INTEGERS),
    *(
        Case(f"{name}-half", function, (rand(40, dtype=_H, low=-9.0, high=9.0), rand(40, dtype=_H)), **_exactly(name))
        for name, function in _ON_FLOATS.items()
    ),
    _dynamic("dynamic", lambda x, y: (x + y, x.fmod(y), torch.maximum(x, y), torch.atan2(x, y), x**2)),
    # numbers, promotion
    Case("add-alpha", lambda x, y: (torch.add(x, y, alpha=0.3), torch.sub(x, y, alpha=2), x + 1, 2 - x), _FLOATS),
    Case("add-mixed", lambda x, y: (x + y, y - x, x * y, x / y), (rand(3, 4), rand(4, dtype=_I, low=1, high=5))),
    Case("add-int-float", lambda x: (x + 0.5, x * 2.5, x / 2, 3 / x), rand(3, 4, dtype=_I, low=1, high=5)),
    Case("add-0d", lambda x, y: (x + y, y * x), (rand(3, 4, dtype=_H), rand())),
    Case(
        "add-bool", lambda x, y: (x + y, x * y, x + 1, torch.maximum(x, y)), (rand(3, 4, dtype=_B), rand(4, dtype=_B))
    ),
    Case("add-half-alpha", lambda x, y: torch.add(x, y, alpha=0.3), (rand(40, dtype=_H), rand(40, dtype=_H))),
    Case(
        "mul-half-range", lambda x: (x * 1e-9 * 2**14, x / 1e6, x * 1e5), rand(40, dtype=_H, low=-60000.0, high=60000.0)
    ),
    Case("mul-bfloat16", lambda x, y: x * y + 1, (rand(3, 4, dtype=_G), rand(4, dtype=_G))),
    Case("uint8", lambda x, y: (x + y, x - y, x * y, x / 3), (rand(9, dtype=_U, low=0, high=255),) * 2),
    Case("uint8-rest", lambda x: (x % 7, x // 7, torch.fmod(x, 7), x**3), rand(9, dtype=_U, low=0, high=255)),
    Case("wrap", lambda x: (x + x, x * x, x - 1, x * 3), _EDGES),
    Case("max.other", lambda x, y: (torch.max(x, y), torch.min(x, y)), _PAIRS),
    Case("rsub", lambda x: (_aten.rsub(x, 3, 2), torch.rsub(x, 3)), rand(3, 4)),
    Case("scalars", lambda x: (_aten.add.Scalar(x, 2, 3), _aten.sub.Scalar(x, 2), _aten.mul.Scalar(x, 2)), rand(3, 4)),
    Case("scalars-2", lambda x: (_aten.div.Scalar(x, 2), torch.div(x, 2, rounding_mode="floor")), rand(3, 4)),
    Case("scalars-3", lambda x: (_aten.div.Scalar_mode(x, 2, rounding_mode="trunc"), x // 0.7), rand(3, 4)),
    Case("scalars-8", lambda x: (_aten.floor_divide.Scalar(x, 2), x % 0.7, 5 % (x + 3), x.fmod(0.7)), rand(3, 4)),
    Case("scalars-half", lambda x: (x // 2.7, x % 2.7, x.fmod(2.7), x // 2), rand(400, dtype=_H, low=-9.0, high=9.0)),
    Case("copysign-number", lambda x: (x.copysign(-1.0), x.copysign(2)), rand(3, 4)),
    Case("rest-large", lambda x, y: (x % y, x // y), (rand(99, low=-1e9, high=1e9), rand(99, low=0.01, high=3.0))),
    Case("rest-edges", lambda x: (x % 7, x // 7, x.fmod(-7), x // -3), _EDGES),
    # powers
    Case("pow", torch.pow, (rand(2, 3, 4, low=0.1, high=3.0), rand(3, 1))),
    Case("pow-special", torch.pow, _PAIRS),
    Case("pow-numbers", lambda x: (x**2, x**3, x**-1, x**-2, x**0, x**1, x**4.0), rand(3, 4)),
    Case("pow-roots", lambda x: (x**0.5, x**-0.5, x**1.7, 2**x, 0.5**x), rand(3, 4, low=0.1, high=3.0)),
    Case("pow-int", torch.pow, (_INTEGERS[0], _DIVISORS)),
    Case("pow-int-negative", torch.pow, (torch.tensor([1, -1, 1, -1, 2, 0]), torch.tensor([-3, -3, -2, -2, -1, 5]))),
    Case("pow-int-wraps", lambda x, y: x**y, (rand(9, dtype=_J, low=-9, high=9), rand(9, dtype=_J, low=0, high=90))),
    Case("pow-int-numbers", lambda x: (x**2, x**5, x**0, 2 ** x.abs(), x**0.5), rand(3, 4, dtype=_I, low=1, high=9)),
    Case("pow-bool", lambda x: (x.square(), x**2), rand(3, 4, dtype=_B)),
    *(
        Case(f"ldexp-{name}", torch.ldexp, (rand(3, 4, dtype=dtype), rand(3, 4, dtype=_I, low=-5, high=5)))
        for name, dtype in {"half": _H, "bfloat": _G}.items()
    ),
    Case("ldexp", torch.ldexp, (rand(3, 4), rand(3, 4, dtype=_I, low=-5, high=5))),
    Case(
        "float_power",
        lambda x, y: (
            torch.float_power(x, y).float(),
            torch.float_power(x, 2).float(),
            torch.float_power(2, y).float(),
        ),
        (rand(3, 4, low=0.1, high=2.0), rand(3, 4)),
        options={"allow_float64_as_float32": True},
    ),
    # more
    Case("xlogy-numbers", lambda x: (torch.xlogy(x, 2.0), torch.xlogy(2.0, x)), rand(3, 4, low=0.1, high=2.0)),
    Case(
        "special-xlogy-numbers", lambda x: (torch.special.xlogy(2.0, x), torch.special.xlogy(x, 2.0)), rand(3, low=0.1)
    ),
    Case("xlog1py-numbers", lambda x: (torch.special.xlog1py(2.0, x), torch.special.xlog1py(x, 2.0)), rand(3, low=0.1)),
    Case("lerp", lambda x, y, w: (x.lerp(y, w), x.lerp(y, 0.3), x.lerp(y, 0.8)), (rand(3, 4), rand(3, 4), rand(4))),
    Case("lerp-half", lambda x, y: x.lerp(y, 0.3), (rand(3, 4, dtype=_H), rand(3, 4, dtype=_H))),
    Case("addcmul", lambda x, y, z: (x.addcmul(y, z), x.addcmul(y, z, value=0.3)), (rand(3, 4), rand(4), rand(3, 1))),
    Case("addcdiv", lambda x, y, z: (x.addcdiv(y, z), x.addcdiv(y, z, value=0.3)), (rand(3, 4), rand(4), rand(3, 1))),
    Case("addcmul-int", lambda x, y: x.addcmul(y, x, value=2), _INTEGERS),
    Case("gcd", lambda x, y: (torch.gcd(x, y), torch.lcm(x, y)), _INTEGERS),
    Case("gcd-large", torch.gcd, (rand(9, dtype=_J, low=0, high=2**31 - 1), rand(9, dtype=_J, low=0, high=2**31 - 1))),
    Case("gcd-uint8", lambda x, y: (torch.gcd(x, y), torch.lcm(x, y)), (rand(9, dtype=_U, low=0, high=15),) * 2),
]
