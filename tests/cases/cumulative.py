"""Running sums, products and extrema; differences and integrals along an axis."""

import math

import torch

from tests.harness import Case, rand

_I, _J, _H, _B = torch.int64, torch.int32, torch.float16, torch.bool
_NAN = torch.tensor(
    [
        [1.0, 3.0, math.nan, 2.0, 9.0],
        [-math.inf, 1.0, math.inf, 1.0, math.inf],
        [math.nan, 1.0, 5.0, math.nan, 2.0],
        [2.0, 2.0, 1.0, 2.0, 2.0],
        [-math.inf] * 5,
    ]
)
_NUMBERS = rand(3, 5, 4)
_DTYPES = {"float": torch.float32, "half": _H, "bfloat": torch.bfloat16, "int": _I, "int32": _J, "bool": _B}


def _dynamic(name, function, *shapes, axes=None, **options):
    return Case(
        name,
        function,
        {"x": rand(*shapes[0], **options)},
        dynamic={"x": axes or {0: (1, 4, 16)}},
        others=[{"x": rand(*shape, **options)} for shape in shapes[1:]],
    )


def _of(dtype):
    return (_NUMBERS * 3).trunc().to(dtype)


_SIZES = ((3, 5, 4), (1, 5, 4), (7, 5, 4))

CASES = [
    *(Case(f"cumsum-{name}", lambda x: (x.cumsum(0), x.cumsum(-1)), _of(dtype)) for name, dtype in _DTYPES.items()),
    Case("cumsum-dtype", lambda x: (x.cumsum(0, dtype=_H), x.cumsum(1, dtype=_J)), _NUMBERS),
    Case("cumsum-scalar", lambda x: (x.cumsum(0), x.cumprod(0), x.cummax(0), x.logcumsumexp(-1)), rand()),
    Case("cumsum-nan", lambda x: x.cumsum(1), _NAN),
    Case("cumsum-half-range", lambda x: x.cumsum(0), rand(2000, 2, dtype=_H, low=0, high=1)),
    Case("cumsum-empty", lambda x: (x.cumsum(1), x.cummin(1), x.cumprod(0)), rand(2, 0)),
    _dynamic("cumsum-dynamic", lambda x: (x.cumsum(0), x.cumsum(1)), *_SIZES),
    *(Case(f"cumprod-{name}", lambda x: (x.cumprod(0), x.cumprod(-2)), _of(dtype)) for name, dtype in _DTYPES.items()),
    Case("cumprod-dtype", lambda x: x.cumprod(1, dtype=_I), _NUMBERS * 2),
    Case("cumprod-long", lambda x: x.cumprod(0), rand(100, low=0.9, high=1.1)),
    _dynamic("cumprod-dynamic", lambda x: x.cumprod(1), *_SIZES),
    *(Case(f"cummax-{name}", lambda x: (x.cummax(1), x.cummin(0)), _of(dtype)) for name, dtype in _DTYPES.items()),
    Case("cummax-nan", lambda x: (x.cummax(1), x.cummin(1)), _NAN),
    Case("cummax-uint8", lambda x: (x.cummax(0), x.cummin(0)), rand(9, 2, dtype=torch.uint8, low=0, high=5)),
    Case("cummax-long", lambda x: (x.cummax(0), x.cummin(0)), rand(300, low=-9, high=9).round()),
    _dynamic("cummax-dynamic", lambda x: (x.cummax(1), x.cummin(-1)), *_SIZES),
    Case("logcumsumexp", lambda x: (x.logcumsumexp(0), x.logcumsumexp(-1)), _NUMBERS * 30),
    Case("logcumsumexp-nan", lambda x: x.logcumsumexp(1), _NAN),
    Case("logcumsumexp-half", lambda x: x.logcumsumexp(1), _of(_H)),
    *(
        _dynamic(f"{name}-loop", function, *_SIZES, (17, 5, 1), axes={0: (1, 4, 32), 2: (1, 4, 8)})
        for name, function in {
            "cumprod": lambda x: (x.cumprod(0), x.cumprod(-1, dtype=_I), x.half().cumprod(0)),
            "cummax": lambda x: (x.cummax(0), x.cummin(-1), x.long().cummax(0), (x > 0).cummin(0)),
            "logcumsumexp": lambda x: (x.logcumsumexp(0), x.logcumsumexp(2)),
        }.items()
    ),
    Case(
        "cummax-loop-nan",
        lambda x: (x.cummax(1), x.cummin(0)),
        {"x": _NAN},
        {"x": {0: (0, 5, 8), 1: (1, 5, 8)}},
        [{"x": _NAN.T[:3]}, {"x": _NAN[:0, :2]}],
    ),
    Case("diff", lambda x: (x.diff(), x.diff(2, dim=0), x.diff(0), x.diff(9, dim=1)), _NUMBERS),
    Case("diff-bool", lambda x: x.diff(dim=0), rand(4, 5, dtype=_B)),
    Case(
        "diff-joined",
        lambda x, y, z: (x.diff(prepend=y, append=z), x.diff(2, dim=1, append=y)),
        (rand(2, 3), rand(2, 1), rand(2, 2)),
    ),
    Case("diff-int", lambda x: x.diff(dim=0), rand(4, 5, dtype=_I, low=-9, high=9)),
    _dynamic("diff-dynamic", lambda x: (x.diff(dim=0), x.diff()), *_SIZES),
    Case(
        "trapezoid",
        lambda y: (torch.trapezoid(y), torch.trapezoid(y, dx=0.5, dim=0), torch.trapz(y, dx=2.0, dim=1)),
        _NUMBERS,
    ),
    Case(
        "trapezoid-points",
        lambda y, x, z: (torch.trapezoid(y, x, dim=1), torch.trapz(y, z), torch.cumulative_trapezoid(y, x, dim=1)),
        (_NUMBERS, rand(5), rand(3, 5, 4)),
    ),
    Case(
        "trapezoid-int",
        lambda y: (torch.trapezoid(y), torch.cumulative_trapezoid(y, dim=0), torch.cumulative_trapezoid(y, dx=3)),
        rand(3, 4, dtype=_I, low=-9, high=9),
    ),
    _dynamic("trapezoid-dynamic", lambda x: (torch.trapezoid(x, dim=0), torch.cumulative_trapezoid(x)), *_SIZES),
]
