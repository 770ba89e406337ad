"""Largest and smallest elements, and where they are."""

import math

import torch

from tests.harness import Case, rand

_I, _J, _H, _B, _U = torch.int64, torch.int32, torch.float16, torch.bool, torch.uint8

_SPECIAL = torch.tensor(
    [
        [1.0, math.nan, 3.0, math.nan],
        [math.inf, math.nan, -math.inf, 2.0],
        [-math.inf, -math.inf, -math.inf, -math.inf],
        [math.nan] * 4,
        [2.0, 5.0, 5.0, 2.0],
        [-0.0, 0.0, -0.0, 0.0],
        [math.inf, math.inf, 1.0, math.nan],
    ]
)
_TIES = rand(5, 6, 7, low=-3, high=3).round()


def _all(x):
    return (
        torch.max(x),
        torch.min(x),
        torch.max(x, 1),
        torch.min(x, -1, keepdim=True),
        torch.amax(x, (0, -1)),
        torch.amin(x),
        torch.amax(x, 1, keepdim=True),
        torch.amin(x, -2),
        torch.aminmax(x),
        torch.aminmax(x, dim=0, keepdim=True),
    )


def _places(x):
    return (
        x.argmax(),
        x.argmin(keepdim=True),
        x.argmax(0),
        x.argmin(-1, keepdim=True),
        x.argmax(1, keepdim=True),
        x.argmin(1),
    )


def _dynamic(name, function, *shapes, **options):
    return Case(
        name,
        function,
        {"x": rand(*shapes[0], **options)},
        dynamic={"x": {0: (1, 4, 16)}},
        others=[{"x": rand(*shape, **options)} for shape in shapes[1:]],
    )


_SIZES = ((3, 4, 5), (1, 4, 5), (7, 4, 5))
_DTYPES = {"float": torch.float32, "half": _H, "bfloat": torch.bfloat16, "int": _I, "int32": _J}
_LARGE = torch.tensor([[2**62 + 1, 2**62, -(2**62) - 1], [-(2**63), 2**63 - 1, 0]])

CASES = [
    *(Case(f"extremes-{name}", _all, _TIES.to(dtype)) for name, dtype in _DTYPES.items()),
    *(Case(f"places-{name}", _places, _TIES.to(dtype)) for name, dtype in _DTYPES.items()),
    Case("extremes-bool", _all, rand(3, 4, 5, dtype=_B)),
    Case("extremes-uint8", _all, rand(3, 4, 5, dtype=_U, low=0, high=6)),
    Case("places-uint8", _places, rand(3, 4, 5, dtype=_U, low=0, high=6)),
    Case("extremes-nan", lambda x: (x.max(1), x.min(1), x.amax(1), x.amin(1), x.aminmax(dim=1), x.max()), _SPECIAL),
    Case("places-nan", lambda x: (x.argmax(1), x.argmin(1), x.argmax(0), x.argmax()), _SPECIAL),
    Case("places-nan-half", lambda x: (x.argmax(1), x.argmin(1), x.max(1)), _SPECIAL.to(_H)),
    Case("extremes-large", lambda x: (x.max(1), x.min(1), x.amax(), x.argmin(1)), _LARGE),
    Case("extremes-scalar", lambda x: (x.max(), x.max(0), x.amin(-1), x.argmax(), x.argmin(0), x.aminmax()), rand()),
    Case("extremes-rank-8", lambda x: (x.max(-1), x.amax((0, 7))), rand(2, 1, 2, 1, 2, 1, 2, 3)),
    Case("extremes-empty", lambda x: (x.amax(0), x.max(0), x.argmax(0)), rand(3, 0, 2)),
    _dynamic("extremes-dynamic", _all, *_SIZES),
    _dynamic("places-dynamic", _places, *_SIZES),
    _dynamic("places-int-dynamic", _places, *_SIZES, dtype=_I, low=-3, high=3),
]
