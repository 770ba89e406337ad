"""Counting values: searches in sorted boundaries, histograms, membership."""

import math

import torch

from tests.harness import Case, rand

_I, _J, _H, _B = torch.int64, torch.int32, torch.float16, torch.bool
_BOUNDS = torch.tensor([-2.0, -1.0, 0.0, 0.0, 1.5, 3.0])
_WHOLE = rand(9, dtype=_I, low=-9, high=9)
_VALUES = torch.tensor([[-3.0, -1.0, 0.0, math.nan], [1.5, 9.0, math.inf, -math.inf]])


def _searches(b, v):
    return (
        torch.searchsorted(b, v),
        torch.searchsorted(b, v, right=True),
        torch.searchsorted(b, v, side="right", out_int32=True),
        torch.bucketize(v, b),
        torch.bucketize(v, b, right=True, out_int32=True),
    )


def _dynamic(name, function, *shapes, **options):
    return Case(
        name,
        function,
        {"x": rand(*shapes[0], **options)},
        dynamic={"x": {0: (1, 4, 16)}},
        others=[{"x": rand(*shape, **options)} for shape in shapes[1:]],
    )


_SIZES = ((3, 5), (1, 5), (9, 5))

CASES = [
    Case("search", _searches, (_BOUNDS, _VALUES)),
    Case("search-half", _searches, (_BOUNDS.to(_H), _VALUES.to(_H))),
    Case("search-int", _searches, (_WHOLE.sort().values, _WHOLE[:6].reshape(2, 3) + 1)),
    Case("search-large", _searches, (torch.tensor([-(2**63), 2**62, 2**62 + 1]), torch.tensor([2**62, 2**62 + 1, 0]))),
    Case("search-known", lambda v: _searches(_BOUNDS, v), _VALUES),
    Case(
        "search-rows",
        lambda b, v: (torch.searchsorted(b, v), torch.searchsorted(b, v, right=True)),
        (rand(2, 3, 5).sort(-1).values, rand(2, 3, 7)),
    ),
    Case(
        "search-scalar",
        lambda b: (torch.searchsorted(b, 0.0), torch.searchsorted(b, 0, right=True), torch.bucketize(1.5, b)),
        _BOUNDS,
    ),
    Case(
        "search-sorter",
        lambda b, v: torch.searchsorted(b, v, sorter=torch.argsort(b, stable=True)),
        (rand(2, 6), rand(2, 5)),
    ),
    Case("search-empty", lambda b, v: (torch.searchsorted(b[:0], v), torch.bucketize(v[:, :0], b)), (_BOUNDS, _VALUES)),
    _dynamic(
        "search-dynamic", lambda x: (torch.bucketize(x, _BOUNDS), torch.searchsorted(x.sort(-1).values, x)), *_SIZES
    ),
    *(
        Case(
            f"isin-{name}",
            lambda x, y: (torch.isin(x, y), torch.isin(x, y, invert=True), torch.isin(x, y[0], assume_unique=True)),
            (rand(3, 4, low=-4, high=4).round().to(dtype), rand(2, 3, low=-4, high=4).round().to(dtype)),
        )
        for name, dtype in (("float", torch.float32), ("half", _H), ("int", _I), ("int32", _J))
    ),
    Case("isin-mixed", torch.isin, (rand(3, 4, dtype=_J, low=-4, high=4), rand(5, dtype=_I, low=-4, high=4))),
    Case("isin-nan", lambda x: torch.isin(x, x), _VALUES),
    Case(
        "isin-scalar",
        lambda x: (torch.isin(x, 2), torch.isin(x, 2, invert=True), torch.isin(2, x), torch.isin(77, x, invert=True)),
        rand(3, 4, dtype=_I, low=0, high=4),
    ),
    Case("isin-empty", lambda x: (torch.isin(x, x[:0]), torch.isin(x[:0], x)), rand(3, 4)),
    _dynamic("isin-dynamic", lambda x: torch.isin(x, torch.arange(4)), *_SIZES, dtype=_I, low=-9, high=9),
    Case(
        "histc",
        lambda x: (x.histc(5, -2, 2), x.histc(7), x.histc(4, min=0, max=1), x.histc(1, -9, 9)),
        rand(6, 7),
    ),
    Case("histc-one-value", lambda x: x.histc(4), torch.full((3,), 2.5)),
    Case("histc-edges", lambda x: x.histc(4, 0, 4), torch.tensor([0.0, 1, 2, 3, 4, 4, 5, -1, math.nan])),
    Case("histc-half", lambda x: x.histc(7, -2, 2), rand(50, dtype=_H)),
    Case("histc-empty", lambda x: x.histc(3), rand(0)),
    _dynamic("histc-dynamic", lambda x: (x.histc(5, -2, 2), x.histc(4)), *_SIZES),
    Case(
        "bincount",
        lambda w: (torch.bincount(torch.tensor([4, 0, 2, 2]), w), torch.bincount(torch.tensor([1, 1, 0, 1]), w, 6)),
        rand(4),
    ),
    Case("bincount-empty", lambda w: torch.bincount(torch.tensor([], dtype=_I), w, 3), rand(0)),
    Case(
        "histogram",
        lambda x, w: (
            torch.histogram(x, 5),
            torch.histogram(x, 4, range=(-1.0, 1.5), weight=w),
            torch.histogram(x, 3, density=True),
            torch.histogram(x, torch.tensor([-2.0, -1, 0.5, 1, 3]), weight=w, density=True),
        ),
        (rand(6, 7), rand(6, 7, low=0, high=2)),
    ),
    Case("histogram-one-value", lambda x: torch.histogram(x, 4), torch.full((3,), 2.5)),
    Case("histogram-empty", lambda x: torch.histogram(x, 4), rand(0)),
    Case(
        "histogramdd",
        lambda x, w: (
            torch.histogramdd(x, [3, 2]),
            torch.histogramdd(x, 4, range=[-1.0, 1.0, -2.0, 1.0], weight=w),
            torch.histogramdd(x, [torch.tensor([-2.0, 0, 1, 2]), torch.tensor([-1.0, 1])], density=True),
        ),
        (rand(30, 2), rand(30, low=0, high=2)),
    ),
]
