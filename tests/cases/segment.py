"""Reductions of consecutive pieces of an axis."""

import math

import torch

from tests.harness import Case, rand

_LENGTHS = torch.tensor([2, 0, 3, 1])
_WAYS = ("sum", "mean", "prod", "max", "min")


def _by_lengths(x, n):
    return [torch.segment_reduce(x, way, lengths=n, unsafe=True) for way in _WAYS] + [
        torch.segment_reduce(x, way, lengths=n, initial=0.5, unsafe=True) for way in _WAYS
    ]


def _by_offsets(x, o):
    return [torch.segment_reduce(x, way, offsets=o) for way in _WAYS]


CASES = [
    Case("lengths", _by_lengths, (rand(6, 3), _LENGTHS)),
    Case("lengths-vector", _by_lengths, (rand(6), _LENGTHS)),
    Case("lengths-half", _by_lengths, (rand(6, 3, dtype=torch.float16), _LENGTHS)),
    Case("lengths-known", lambda x: torch.segment_reduce(x, "max", lengths=torch.tensor([4, 2])), rand(6, 3)),
    Case(
        "lengths-nan",
        lambda x, n: [torch.segment_reduce(x, way, lengths=n) for way in _WAYS],
        (torch.tensor([1.0, math.nan, 2.0, math.inf, -math.inf, 5.0]), torch.tensor([2, 3, 1])),
    ),
    Case(
        "lengths-axis",
        lambda x, n: [torch.segment_reduce(x, way, lengths=n, axis=1) for way in _WAYS],
        (rand(2, 5, 3), torch.tensor([[2, 3], [1, 4]])),
    ),
    Case("offsets", _by_offsets, (rand(6, 3), torch.tensor([0, 2, 2, 6]))),
]
