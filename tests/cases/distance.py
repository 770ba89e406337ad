"""Distances and similarities."""

import math

import torch
import torch.nn.functional as F

from tests.harness import Case, rand

_H = torch.float16
_aten = torch.ops.aten
_inf = float("inf")
_ORDERS = (2.0, 1.0, 0.0, 3.0, 0.5, _inf)


def _dynamic(name, function):
    dynamic, others = {"x": {0: (1, 2, 8)}}, [{"x": rand(5, 3), "y": rand(4, 3)}, {"x": rand(1, 3), "y": rand(4, 3)}]
    return Case(name, function, {"x": rand(2, 3), "y": rand(4, 3)}, dynamic=dynamic, others=others)


CASES = [
    Case(
        "pairwise_distance", lambda x, y: tuple(F.pairwise_distance(x, y, p) for p in _ORDERS), (rand(3, 4), rand(3, 4))
    ),
    Case("pairwise_distance-vector", lambda x, y: F.pairwise_distance(x, y, keepdim=True), (rand(4), rand(4))),
    Case("pairwise_distance-half", F.pairwise_distance, (rand(3, 4, dtype=_H), rand(4, dtype=_H))),
    Case(
        "pairwise_distance-rounded",
        lambda x, y: F.pairwise_distance(x, y).float() - F.pairwise_distance(x.float(), y.float()),
        (rand(9, 4, dtype=torch.bfloat16), rand(9, 4, dtype=torch.bfloat16)),
        rtol=1e-4,
    ),
    Case(
        "cosine_similarity",
        lambda x, y: (F.cosine_similarity(x, y), F.cosine_similarity(x, y, -1)),
        (rand(2, 3, 4), rand(3, 4)),
    ),
    Case("cosine_similarity-zero", lambda x, y: F.cosine_similarity(x * 0, y), (rand(3, 4), rand(3, 4))),
    Case("cosine_similarity-scalar", lambda x, y: F.cosine_similarity(x, y, 0), (rand(), rand())),
    Case("cosine_similarity-half", F.cosine_similarity, (rand(3, 4, dtype=_H), rand(3, 4, dtype=_H))),
    Case("dist", lambda x, y: tuple(torch.dist(x, y, p) for p in (*_ORDERS, -_inf, -1.0)), (rand(3, 4), rand(4))),
    Case("dist-nan", lambda x, y: tuple(torch.dist(x / 0, y, p) for p in (1, _inf)), (rand(3) * 0, rand(3))),
    Case("dist-scalar", lambda x, y: (torch.dist(x, y), torch.dist(x, y, _inf)), (rand(), rand())),
    Case("cdist", lambda x, y: tuple(torch.cdist(x, y, p) for p in _ORDERS), (rand(2, 3, 4), rand(2, 5, 4))),
    Case("cdist-product", torch.cdist, (rand(30, 4), rand(5, 4)), rtol=1e-4),
    Case(
        "cdist-modes",
        lambda x, y: (
            torch.cdist(x, y, 2.0, "use_mm_for_euclid_dist"),
            torch.cdist(x, y, 2.0, "donot_use_mm_for_euclid_dist"),
        ),
        (rand(3, 4), rand(5, 4)),
        rtol=1e-4,
    ),
    Case("_cdist_forward", lambda x, y: _aten._cdist_forward(x, y, 1.0, None), (rand(3, 4), rand(5, 4))),
    _dynamic("cdist-dynamic", lambda x, y: (torch.cdist(x, y), torch.cdist(x, y, 1.0))),
    Case("pdist", lambda x: tuple(F.pdist(x, p) for p in _ORDERS), rand(5, 4)),
    Case("_pdist_forward", lambda x: _aten._pdist_forward(x, 1.0), rand(5, 4)),
    Case(
        "pdist-dynamic",
        lambda x: (F.pdist(x), F.pdist(x, 1.0), _aten._pdist_forward(x, math.inf)),
        rand(5, 3),
        {"x": {0: (2, 5, 700)}},
        [rand(rows, 3) for rows in (2, 64, 601)],
    ),
]
