"""Special functions."""

import math

import torch

from tests.harness import Case, rand

_H, _I = torch.float16, torch.int64
_S = torch.special
_nan, _inf = math.nan, math.inf
_KINDS = (
    "chebyshev_polynomial_t",
    "chebyshev_polynomial_u",
    "chebyshev_polynomial_v",
    "chebyshev_polynomial_w",
    "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u",
    "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w",
    "hermite_polynomial_h",
    "hermite_polynomial_he",
    "laguerre_polynomial_l",
    "legendre_polynomial_p",
)
_LIMITS = torch.tensor([_nan, _inf, -_inf, 0.0, 1.0, 0.5])

# Function: the interval on which its values are held against eager, and the ends that go beside it.
_FUNCTIONS = {
    "erfc": (torch.erfc, -4.0, 9.0, _LIMITS),
    "erfcx": (_S.erfcx, -4.0, 30.0, _LIMITS),
    "erfinv": (torch.erfinv, -1.0, 1.0, torch.tensor([1.0, -1.0, 0.0, 1.5, _nan])),
    "ndtr": (_S.ndtr, -9.0, 9.0, _LIMITS),
    "ndtri": (_S.ndtri, 0.0, 1.0, torch.tensor([0.0, 1.0, -0.5, 1e-30, _nan])),
    "log_ndtr": (_S.log_ndtr, -30.0, 6.0, torch.tensor([_nan, _inf, 0.0])),
    "entr": (_S.entr, -1.0, 4.0, _LIMITS),
    "lgamma": (torch.lgamma, -6.0, 30.0, torch.tensor([_nan, _inf, -_inf, 0.0, -1.0, 1.0, 2.0])),
    "digamma": (torch.digamma, 0.1, 30.0, torch.tensor([_nan, _inf, 0.0, -0.0, -1.0, -2.5])),
    "i0": (torch.i0, -20.0, 20.0, torch.tensor([_nan, 0.0])),
    "i0e": (_S.i0e, -40.0, 40.0, _LIMITS),
    "i1": (_S.i1, -20.0, 20.0, torch.tensor([_nan, 0.0])),
    "i1e": (_S.i1e, -40.0, 40.0, _LIMITS),
    "modified_bessel_i0": (_S.modified_bessel_i0, -20.0, 20.0, torch.tensor([_nan, 0.0])),
    "modified_bessel_i1": (_S.modified_bessel_i1, -20.0, 20.0, torch.tensor([_nan, 0.0])),
    "modified_bessel_k0": (_S.modified_bessel_k0, 0.1, 20.0, torch.tensor([_nan, 0.0, -1.0])),
    "modified_bessel_k1": (_S.modified_bessel_k1, 0.1, 20.0, torch.tensor([_nan, 0.0, -1.0])),
    "scaled_modified_bessel_k0": (_S.scaled_modified_bessel_k0, 0.1, 40.0, torch.tensor([_nan, 0.0, -1.0])),
    "scaled_modified_bessel_k1": (_S.scaled_modified_bessel_k1, 0.1, 40.0, torch.tensor([_nan, 0.0, -1.0])),
    "bessel_j0": (_S.bessel_j0, -40.0, 40.0, torch.tensor([_nan, 0.0, 5.0])),
    "bessel_j1": (_S.bessel_j1, -40.0, 40.0, torch.tensor([_nan, 0.0, 5.0])),
    "bessel_y0": (_S.bessel_y0, 0.1, 40.0, torch.tensor([_nan, 0.0, -1.0])),
    "bessel_y1": (_S.bessel_y1, 0.1, 40.0, torch.tensor([_nan, 0.0, -1.0])),
    "spherical_bessel_j0": (_S.spherical_bessel_j0, -20.0, 20.0, _LIMITS),
    "airy_ai": (_S.airy_ai, -12.0, 8.0, torch.tensor([_nan, 0.0, 2.1, -2.1])),
    "mvlgamma": (lambda x: torch.mvlgamma(x, 3), 1.1, 20.0, torch.tensor([2.0])),
    "polygamma-0": (lambda x: torch.polygamma(0, x), 0.2, 20.0, torch.tensor([_nan])),
    "polygamma-1": (lambda x: torch.polygamma(1, x), 0.2, 20.0, torch.tensor([_inf, -1.5])),
    "polygamma-2": (lambda x: torch.polygamma(2, x), 0.3, 20.0, torch.tensor([-1.5, -2.3])),
    "polygamma-5": (lambda x: torch.polygamma(5, x), 0.5, 20.0, torch.tensor([-1.5, -2.3])),
}

_WIDE = ("erfc", "erfcx", "lgamma", "log_ndtr", "i0", "i1", "modified_bessel_i0", "modified_bessel_i1")
_WIDE += ("modified_bessel_k0", "modified_bessel_k1", "polygamma-5")
"""Functions whose largest value would hide the others."""

_OF_EACH = {"rtol": 2e-5, "atol": 0, "each": True}


def _points(low, high, ends):
    return torch.cat([torch.linspace(low, high, 100)[1:-1], ends])


def _of_both(kind):
    return lambda x, n: getattr(_S, kind)(x, n)


def _places(kind):
    return _PLACES / 2 + 0.5 if kind.startswith("shifted") else _PLACES


def _of_numbers(kind):
    function = getattr(_S, kind)
    return lambda x: tuple(function(x, n) for n in (0, 1, 2, 7, -1))


def _of_number(kind):
    return lambda n: getattr(_S, kind)(0.7, n)


def _dynamic(name, function):
    dynamic, others = {"x": {0: (1, 2, 8)}}, [{"x": rand(5, 3, low=0.1)}, {"x": rand(1, 3, low=0.1)}]
    return Case(name, function, {"x": rand(2, 3, low=0.1)}, dynamic=dynamic, others=others)


_DEGREES = torch.arange(-1, 6).repeat(6)
_PLACES = torch.tensor([-1.1, -1.0, -0.6, 0.3, 1.0, 1.3]).repeat_interleave(7)
_GAMMA = (rand(80, low=0.01, high=20.0), rand(80, low=0.0, high=30.0))
_ENDS = torch.tensor([0.0, 0.5, 2.0, _inf])

CASES = [
    *(
        Case(name, function, _points(low, high, ends), **(_OF_EACH if name in _WIDE else {}))
        for name, (function, low, high, ends) in _FUNCTIONS.items()
    ),
    *(Case(f"{name}-scalar", function, torch.tensor(high / 4)) for name, (function, _, high, _) in _FUNCTIONS.items()),
    Case("lgamma-large", torch.lgamma, torch.tensor([50.0, 1e3, 1e6, 1e20, 1e30]), **_OF_EACH),
    Case("lgamma-int", lambda x: (x.lgamma(), x.erfc(), x.i0(), _S.i1e(x)), rand(3, 4, dtype=_I, low=1, high=5)),
    Case("lgamma-half", lambda x: (x.lgamma(), x.erfc(), x.erfinv()), rand(30, dtype=_H, low=0.05, high=0.9)),
    Case("erfc-tail", lambda x: _S.erfc(x) * 1e20, rand(64, low=6.0, high=7.0)),
    Case("zeta", _S.zeta, (rand(60, low=0.5, high=9.0), rand(60, low=0.1, high=20.0))),
    Case(
        "zeta-left",
        _S.zeta,
        (torch.tensor([2.0, 3.0, 2.5, 2.0, 1.0, 0.5]), torch.tensor([-1.5, -0.3, -1.5, -3.0, 2.0, 2.0])),
    ),
    Case("zeta-numbers", lambda x: (_S.zeta(x, 2.0), _S.zeta(3.0, x)), rand(9, low=1.1, high=5.0)),
    Case("igamma", lambda a, x: (torch.igamma(a, x), torch.igammac(a, x)), _GAMMA, atol=2e-6),
    Case(
        "igamma-ends",
        lambda a, x: (torch.igamma(a, x), torch.igammac(a, x)),
        (_ENDS.repeat_interleave(4), _ENDS.repeat(4)),
        atol=2e-6,
    ),
    Case("igamma-broadcast", torch.igamma, (rand(3, 1, low=0.1), rand(4, low=0.1)), atol=2e-6),
    *(Case(f"{kind}", _of_both(kind), (_places(kind), _DEGREES), rtol=2e-5) for kind in _KINDS),
    *(
        Case(f"{kind}-high", _of_both(kind), (rand(8, low=-0.1, high=0.1), torch.arange(6, 14)), rtol=5e-5)
        for kind in _KINDS
    ),
    *(Case(f"{kind}-n", _of_numbers(kind), rand(3, 4), rtol=2e-5) for kind in _KINDS),
    *(Case(f"{kind}-x", _of_number(kind), torch.arange(8), rtol=2e-5) for kind in _KINDS),
    _dynamic("dynamic", lambda x: (x.lgamma(), x.digamma(), x.erfc(), x.i0())),
    _dynamic("igamma-dynamic", lambda x: torch.igamma(x, x + 0.5)),
]
