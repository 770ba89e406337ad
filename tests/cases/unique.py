"""Distinct values."""

import math

import torch

from tests.harness import Case, rand

_I = torch.int64
_NO_NON_ZERO = "TensorRT for RTX has no non-zero layer"
_TIES = rand(4, 6, low=-3, high=3).round()
_aten = torch.ops.aten


def _case(name, function, value):
    return Case(name, function, value, unbuilt=_NO_NON_ZERO)


def _with_all(function, **options):
    return lambda x: function(x, return_inverse=True, return_counts=True, **options)


CASES = [
    _case("unique", _with_all(torch.unique), _TIES),
    _case("unique-values", lambda x: torch.unique(x), _TIES),
    _case("unique-inverse", lambda x: torch.unique(x, return_inverse=True), _TIES),
    _case("unique-counts", lambda x: torch.unique(x, return_counts=True), _TIES),
    _case("unique-pair", lambda x: _aten._unique(x, True, True), _TIES),
    _case("unique-int", _with_all(torch.unique), _TIES.to(_I)),
    _case("unique-bool", _with_all(torch.unique), _TIES > 0),
    _case("unique-nan", lambda x: torch.unique(x), torch.tensor([1.0, math.nan, 1.0, math.nan, math.inf])),
    _case("unique-one", _with_all(torch.unique), rand(1)),
    _case("unique-scalar", _with_all(torch.unique), rand()),
    Case("unique-empty", _with_all(torch.unique), rand(0, 3)),
    _case("unique-rows", _with_all(torch.unique, dim=0), rand(9, 2, low=-1, high=1).round()),
    _case("unique-columns", _with_all(torch.unique, dim=-1), rand(2, 2, 9, low=-1, high=1).round()),
    _case("unique-rows-values", lambda x: torch.unique(x, dim=1), rand(2, 9, dtype=_I, low=0, high=2)),
    _case("consecutive", _with_all(torch.unique_consecutive), rand(4, 9, low=-1, high=1).round()),
    _case("consecutive-values", lambda x: torch.unique_consecutive(x), rand(20, dtype=_I, low=0, high=2)),
    _case("consecutive-rows", _with_all(torch.unique_consecutive, dim=0), rand(9, 1, low=-1, high=1).round()),
    Case("consecutive-empty", _with_all(torch.unique_consecutive), rand(0)),
]
