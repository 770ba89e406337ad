"""Dropout in evaluation, and draws of no elements."""

import torch
import torch.nn.functional as F

from tests.harness import Case, rand

_aten = torch.ops.aten


def _like(x):
    return torch.rand_like(x), torch.randn_like(x), torch.randint_like(x, 5), torch.randint_like(x, 2, 5)


def _like_more(x):
    return torch.bernoulli(x), _aten.bernoulli(x, x), _aten.bernoulli(x, 0.5)


def _distributions(x):
    return torch.poisson(x), torch.binomial(x, x), torch._standard_gamma(x), torch._sample_dirichlet(x)


def _functional(x):
    parts = _aten.uniform(x), _aten.cauchy(x), _aten.exponential(x), _aten.geometric(x, 0.5), _aten.log_normal(x)
    return (*parts, _aten.random(x), _aten.random(x, 5), _aten.normal_functional(x))


def _normal(x):
    return torch.normal(x, x.exp()), torch.normal(x, 2.0), torch.normal(1.0, x.exp())


def _fresh(x):
    n = x.size(0)
    drawn = torch.rand(n, 3), torch.randn(n, 3), torch.randint(5, (n, 3)), torch.randint(2, 5, (n, 3))
    return tuple(part + x for part in (*drawn, torch.normal(0.0, 1.0, (n, 3))))


_DROPPED = {
    "dropout": lambda x: F.dropout(x, training=False),
    "alpha_dropout": lambda x: F.alpha_dropout(x, training=False),
    "dropout2d": lambda x: F.dropout2d(x, training=False),
    "feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x, training=False),
    "rrelu": lambda x: F.rrelu(x, 0.1, 0.4),
}
_NONE = rand(0, 3)

CASES = [
    *(Case(name, lambda x, f=function: f(x) + 1, rand(2, 3, 4, 5)) for name, function in _DROPPED.items()),
    Case("dropout-nothing", lambda x: F.dropout(x, 0.0, training=True) + 1, rand(2, 3)),
    Case(
        "dropout-all",
        lambda x: tuple(
            function(value, 1.0, True)
            for function in (F.dropout, F.dropout2d, F.alpha_dropout, F.feature_alpha_dropout, _aten.native_dropout)
            for value in (x, x / 0, x.half())
        ),
        (rand(2, 3, 4, 5),),
    ),
    Case("native_dropout", lambda x: _aten.native_dropout(x, 0.5, False), rand(2, 3)),
    Case(
        "native_dropout_backward",
        lambda x, m: _aten.native_dropout_backward(x, m, 2.0),
        (rand(2, 3), rand(2, 3, dtype=torch.bool)),
    ),
    Case("rrelu-special", lambda x: F.rrelu(x), rand(3, 4)),
    Case("like-nothing", _like, _NONE),
    Case(
        "like-nothing-dynamic",
        lambda x: (torch.randn_like(x), torch.rand(0, x.size(1))),
        {"x": rand(0, 3)},
        dynamic={"x": {1: (1, 3, 9)}},
        others=[{"x": rand(0, 9)}, {"x": rand(0, 1)}],
    ),
    Case("like-nothing-2", _like_more, _NONE),
    Case("distributions-nothing", _distributions, _NONE),
    Case("functional-nothing", _functional, _NONE),
    Case("normal-nothing", _normal, _NONE),
    Case("fresh-nothing", _fresh, _NONE),
    Case("multinomial-nothing", lambda x: torch.multinomial(x, 2), _NONE),
    Case("randperm-nothing", lambda x: torch.randperm(0) + x.size(0), _NONE),
]
