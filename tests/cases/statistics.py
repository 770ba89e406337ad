"""Covariance and correlation."""

import torch

from tests.harness import Case, rand

_I, _H = torch.int64, torch.float16
_F, _A = torch.tensor([1, 0, 3, 2, 2]), torch.tensor([0.5, 1.0, 2.0, 0.1, 1.5])

CASES = [
    Case("cov", lambda x: (x.cov(), x.cov(correction=0), x[0].cov(), x[:, 0].cov(correction=2)), rand(3, 5)),
    Case(
        "cov-weights",
        lambda x, f, a: (
            x.cov(fweights=f),
            x.cov(aweights=a),
            x.cov(correction=0, fweights=f, aweights=a),
            x.cov(correction=2, fweights=f, aweights=a),
        ),
        (rand(3, 5), _F, _A),
    ),
    Case("cov-int", lambda x: x.cov(), rand(3, 5, dtype=_I, low=-9, high=9)),
    Case("cov-half", lambda x: x.cov(), rand(3, 5, dtype=_H)),
    Case(
        "cov-dynamic",
        lambda x: (x.cov(), x.t().cov()),
        {"x": rand(3, 4)},
        dynamic={"x": {0: (2, 4, 16)}},
        others=[{"x": rand(2, 4)}, {"x": rand(9, 4)}],
    ),
    Case("corrcoef", lambda x: (x.corrcoef(), x[0].corrcoef()), rand(3, 5)),
    Case("corrcoef-half", lambda x: x.corrcoef(), rand(3, 5, dtype=_H)),
]
