"""Sorting, the k largest, medians, quantiles, modes."""

import math

import torch

from tests.harness import EXACT, Case, rand

_I, _J, _H, _B, _U = torch.int64, torch.int32, torch.float16, torch.bool, torch.uint8
_MOST = torch.finfo(torch.float32).max
_SPECIAL = torch.tensor(
    [
        [math.nan, 1.0, math.inf, -math.inf, math.nan, math.inf, _MOST, -_MOST],
        [0.0, -0.0, math.nan, 2.0, -0.0, 0.0, math.nan, -1.0],
        [math.inf, math.inf, math.nan, -math.inf, -math.inf, 1.0, 2.0, 3.0],
    ]
)
_TIES = rand(4, 9, 5, low=-4, high=4).round()
_DTYPES = {"float": torch.float32, "half": _H, "bfloat": torch.bfloat16, "int": _I, "int32": _J}
_LARGE = torch.tensor([[2**62 + 1, 2**62, -(2**63), 2**63 - 1, 5, 5, -(2**62) - 1, 0]])


def _distinct(*shape):
    """Numbers that are all different, so that every index is defined."""
    return torch.randperm(math.prod(shape), generator=torch.Generator().manual_seed(7)).float().reshape(shape) / 8


def _dynamic(name, function, *shapes, axes=None):
    return Case(
        name,
        function,
        {"x": _distinct(*shapes[0])},
        dynamic={"x": axes or {0: (1, 4, 16)}},
        others=[{"x": _distinct(*shape)} for shape in shapes[1:]],
    )


def _sorts(x):
    return (
        torch.sort(x, dim=1, stable=True),
        torch.sort(x, dim=-1, descending=True, stable=True),
        torch.argsort(x, dim=0, stable=True),
        torch.msort(x),
    )


def _picks(x):
    return x.topk(3), x.topk(2, 1, largest=False), x.kthvalue(2), x.kthvalue(4, 1, keepdim=True), x.topk(4, 0)


def _medians(x):
    return (
        x.median(),
        x.nanmedian(),
        x.median(1).values,
        x.median(-1, keepdim=True).values,
        x.nanmedian(1).values,
        x.nanmedian(0, keepdim=True).values,
    )


def _quantiles(x, q):
    return (
        x.quantile(0.3),
        x.quantile(q, 1),
        x.quantile(q, -1, keepdim=True),
        x.nanquantile(q),
        x.nanquantile(0.75, 0, keepdim=True),
        x.quantile(0.5, keepdim=True),
    )


def _interpolations(x, q):
    ways = ("linear", "lower", "higher", "midpoint", "nearest")
    return [x.quantile(q, 1, interpolation=way) for way in ways] + [
        x.nanquantile(q, 1, interpolation=way) for way in ways
    ]


_SIZES = ((3, 7, 5), (1, 7, 5), (6, 7, 5))
_POINTS = torch.tensor([0.0, 0.1, 0.5, 0.77, 1.0])

CASES = [
    *(Case(f"sort-{name}", _sorts, _TIES.to(dtype)) for name, dtype in _DTYPES.items()),
    Case("sort-bool", _sorts, rand(3, 9, 4, dtype=_B)),
    Case("sort-uint8", _sorts, rand(3, 9, 4, dtype=_U, low=0, high=5)),
    Case("sort-nan", lambda x: (x.sort(stable=True), x.sort(descending=True, stable=True)), _SPECIAL, **EXACT),
    Case(
        "sort-nan-half",
        lambda x: (x.sort(stable=True), x.sort(descending=True, stable=True)),
        _SPECIAL.to(_H),
        **EXACT,
    ),
    Case("sort-large", lambda x: (x.sort(stable=True), x.sort(descending=True, stable=True)), _LARGE),
    Case("sort-unstable", lambda x: (x.sort(), x.sort(0, True), x.argsort(), x.argsort(1, True)), _distinct(5, 6)),
    Case("sort-scalar", lambda x: (x.sort(), x.argsort(), x.median(0), x.mode(), x.kthvalue(1), x.topk(1)), rand()),
    Case("sort-empty", lambda x: (x.sort(), x.topk(0, 0), x.argsort(0), x.mode(0)), rand(3, 0)),
    Case("sort-rank-8", lambda x: x.sort(dim=2, stable=True), rand(2, 1, 3, 1, 2, 1, 2, 3)),
    Case(
        "sort-long",
        lambda x: (x.sort(stable=True), x.sort(descending=True, stable=True), x.topk(3841)),
        _distinct(2, 4000),
    ),
    Case("sort-long-ties", lambda x: x.sort(dim=0, stable=True), rand(9000, 2, dtype=_I, low=-9, high=9)),
    Case("sort-long-bool", lambda x: x.sort(dim=0, descending=True, stable=True), rand(4000, dtype=_B)),
    _dynamic("sort-dynamic", _sorts, *_SIZES, axes={0: (1, 4, 16), 1: (7, 7, 7)}),
    _dynamic("sort-dynamic-axis", lambda x: (x.sort(0), x.argsort(0, descending=True)), *_SIZES),
    Case("topk", _picks, _distinct(4, 6, 5)),
    Case("topk-int", _picks, _distinct(4, 6, 5).mul(8).to(_I)),
    Case("topk-half", _picks, _distinct(4, 6, 5).to(_H)),
    Case("topk-unsorted-equal", lambda x: x.topk(4, sorted=True).values, _TIES),
    Case(
        "topk-nan",
        lambda x: (x.topk(3).values, x.topk(8).values, x.topk(7, largest=False).values, x.kthvalue(8).values),
        _SPECIAL,
        **EXACT,
    ),
    _dynamic("topk-dynamic", _picks, *((6, 7, 5), (4, 7, 5), (9, 7, 5)), axes={0: (4, 4, 16)}),
    _dynamic("topk-size", lambda x: x.topk(x.size(0), 0), *_SIZES),
    Case("median", lambda x: (x.median(), x.median(1), x.nanmedian(-1), x.median(0, keepdim=True)), _distinct(4, 6, 5)),
    Case("median-even", _medians, _distinct(4, 6)),
    Case("median-nan", _medians, _SPECIAL),
    Case("median-first-nan", lambda x: (x.median(1), x.median(1, keepdim=True)), _SPECIAL),
    Case("median-half", _medians, _SPECIAL.to(_H), **EXACT),
    Case("median-int", _medians, rand(4, 6, dtype=_I, low=-5, high=5)),
    Case("median-all-nan", lambda x: (x.nanmedian(), x.nanmedian(1)), torch.full((2, 3), math.nan)),
    Case("median-empty", lambda x: (x.median(), x.nanmedian()), rand(0, 3)),
    _dynamic("median-dynamic", lambda x: (x.median(), x.median(0), x.nanmedian(0)), *_SIZES),
    *(Case(f"mode-{name}", lambda x: (x.mode(1), x.mode(0, True)), _TIES.to(dtype)) for name, dtype in _DTYPES.items()),
    Case("mode-nan", lambda x: x.mode(-1).values, torch.full((2, 3), math.nan)),
    Case("mode-bool", lambda x: x.mode(0), rand(5, 3, dtype=_B)),
    _dynamic("mode-dynamic", lambda x: x.mode(0).values, *_SIZES),
    Case("quantile", _quantiles, (rand(4, 6, 5), _POINTS)),
    Case("quantile-nan", _quantiles, (_SPECIAL[1:].reshape(2, 4, 2), _POINTS)),
    Case("quantile-interpolation", _interpolations, (rand(4, 6), _POINTS)),
    Case("quantile-vector", lambda x: (x.quantile(0.2), x.quantile(torch.tensor([0.5, 0.9]), 0)), rand(9)),
    Case("quantile-scalar", lambda x: (x.quantile(0.2), x.quantile(torch.tensor([0.5]), 0, keepdim=True)), rand()),
    Case("quantile-point", lambda x, q: (x.quantile(q), x.nanquantile(q, 1)), (rand(3, 4), torch.tensor(0.4))),
    _dynamic("quantile-dynamic", lambda x: (x.quantile(0.3, 0), x.quantile(0.3), x.nanquantile(0.6, 1)), *_SIZES),
]
