"""Functions of one tensor."""

import math

import torch

from tests.harness import EXACT, Case, rand

_I, _J, _B, _U, _H, _G = torch.int64, torch.int32, torch.bool, torch.uint8, torch.float16, torch.bfloat16
_aten = torch.ops.aten
_POSITIVE = {"low": 0.1, "high": 3.0}
_INSIDE = {"low": -0.9, "high": 0.9}

_DOMAINS = {
    "exp": {},
    "log": _POSITIVE,
    "sqrt": _POSITIVE,
    "rsqrt": _POSITIVE,
    "sin": {},
    "cos": {},
    "tan": _INSIDE,
    "sinh": {},
    "cosh": {},
    "asin": _INSIDE,
    "acos": _INSIDE,
    "atan": {},
    "asinh": {},
    "acosh": {"low": 1.1, "high": 4.0},
    "atanh": _INSIDE,
    "erf": {},
    "reciprocal": _POSITIVE,
    "abs": {},
    "neg": {},
    "sign": {},
    "ceil": {"low": -4.0, "high": 4.0},
    "floor": {"low": -4.0, "high": 4.0},
    "trunc": {"low": -4.0, "high": 4.0},
    "frac": {"low": -4.0, "high": 4.0},
    "round": {"low": -4.0, "high": 4.0},
    "square": {},
    "exp2": {},
    "expm1": {},
    "log1p": {"low": -0.9, "high": 3.0},
    "log2": _POSITIVE,
    "log10": _POSITIVE,
    "deg2rad": {},
    "rad2deg": {},
    "sinc": {},
    "angle": {},
    "logit": {"low": 0.01, "high": 0.99},
}
_OF_INTEGERS = ("abs", "neg", "sign", "ceil", "floor", "trunc", "round", "square", "exp2", "expm1", "deg2rad", "sinc")

_nan, _inf = math.nan, math.inf
SPECIAL = torch.tensor([_nan, _inf, -_inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-8, -1e-8, 3.0, 0.3])
"""What functions treat in their own ways: NaN, infinities, signed zeros, ties, small numbers."""


def _tests(x):
    return x.isnan(), x.isinf(), x.isfinite(), x.isposinf(), x.isneginf(), _aten.isreal(x), x.signbit()


def _dynamic(name, function):
    dynamic, others = {"x": {0: (1, 2, 8)}}, [{"x": rand(5, 3)}, {"x": rand(1, 3)}]
    return Case(name, function, {"x": rand(2, 3)}, dynamic=dynamic, others=others)


CASES = [
    *(Case(name, getattr(torch, name), rand(2, 3, 4, **domain)) for name, domain in _DOMAINS.items()),
    *(Case(f"{name}-scalar", getattr(torch, name), rand(**domain)) for name, domain in _DOMAINS.items()),
    *(
        Case(f"{name}-int", getattr(torch, name), rand(3, 4, dtype=dtype, low=-3, high=4).triu())  # zeros among them
        for name, dtype in zip(_OF_INTEGERS, (_I, _J) * 6, strict=True)
    ),
    *(Case(f"{name}-half", getattr(torch, name), rand(4, 5, dtype=_H, low=-4)) for name in ("exp", "round", "expm1")),
    *(
        Case(f"{name}-special", getattr(torch, name), SPECIAL, each=True)
        for name in _DOMAINS
        if name not in ("tan", "frac")
    ),
    Case("exp-int", torch.exp, rand(3, 4, dtype=_I, low=-3, high=3)),
    Case("exp-bool", torch.exp, rand(3, 4, dtype=_B)),
    Case("exp-empty", torch.exp, rand(0, 4)),
    Case("exp-rank8", torch.exp, rand(1, 2, 1, 2, 1, 2, 1, 3)),
    Case("exp-bfloat16", torch.exp, rand(3, 4, dtype=_G)),
    Case("tests", _tests, SPECIAL),
    Case("tests-int", _tests, rand(3, 4, dtype=_I)),
    Case("tests-bool", lambda x: (x.isnan(), x.signbit(), x.sign()), rand(3, 4, dtype=_B)),
    Case("uint8", lambda x: (x.abs(), x.neg(), x.sign(), x.square(), x.signbit()), rand(9, dtype=_U, low=0, high=255)),
    Case("sgn", torch.sgn, SPECIAL),
    Case("round-decimals", lambda x: (x.round(decimals=2), x.round(decimals=-1)), rand(3, 4, low=-50.0, high=50.0)),
    Case("round-decimals-half", lambda x: x.round(decimals=1), rand(3, 4, dtype=_H)),
    Case("log2-powers", torch.log2, 2.0 ** torch.arange(-126.0, 128.0), rtol=0, atol=0),
    Case("expm1-small", lambda x: torch.expm1(x) * 1e6, rand(64, low=-1e-6, high=1e-6)),
    Case("log1p-small", lambda x: torch.log1p(x) * 1e6, rand(64, low=-1e-6, high=1e-6)),
    Case("logit-eps", lambda x: torch.logit(x, eps=0.1), rand(3, 4, low=0.0, high=1.0)),
    Case("nan_to_num", lambda x: (x.nan_to_num(), x.nan_to_num(2.0, 3.0, -4.0)), SPECIAL, **EXACT),
    Case("nan_to_num-half", torch.nan_to_num, SPECIAL.half(), **EXACT),
    Case("nan_to_num-int", torch.nan_to_num, rand(3, dtype=_I)),
    Case("frexp", torch.frexp, rand(40, low=-9.0, high=9.0)),
    Case("frexp-powers", torch.frexp, torch.cat([SPECIAL, 2.0 ** torch.arange(-126.0, 128.0)])),
    Case("frexp-half", torch.frexp, rand(40, dtype=_H, low=-9.0, high=9.0)),
    _dynamic("exp-dynamic", torch.exp),
    _dynamic("tests-dynamic", lambda x: (x.isreal(), x.expm1(), x.frac())),
]
