"""Tensors made inside forward."""

import torch

from tests.harness import Case, rand

_I, _J, _B, _U, _H = torch.int64, torch.int32, torch.bool, torch.uint8, torch.float16
_aten = torch.ops.aten


def _dynamic(name, function, **options):
    dynamic, others = {"x": {0: (1, 2, 8)}}, [{"x": rand(5, 3, **options)}, {"x": rand(1, 3, **options)}]
    return Case(name, function, {"x": rand(2, 3, **options)}, dynamic=dynamic, others=others)


def _sized(x):
    n = x.size(0)
    return torch.zeros(n, 2), torch.ones(3, n, dtype=_I), torch.full((n, n), 2.5)


def _sized_dtypes(x):
    n = x.size(0)
    return torch.full((n,), 7), torch.full((n,), 7, dtype=_H), torch.ones(n, dtype=_B), torch.full((n,), 9, dtype=_U)


def _full_of_input(x):
    return torch.full_like(x, 2.0), torch.full((2, 3), x.size(0)), torch.full_like(x, x.size(0))


def _like(x):
    return torch.zeros_like(x), torch.ones_like(x, dtype=_I), torch.full_like(x, 2.5), torch.zeros_like(x, dtype=_B)


def _new(x):
    n = x.size(0)
    return x.new_zeros(n, 2), x.new_ones(3, n, dtype=_I), x.new_full((n,), 2.5), x.new_zeros(2)


def _empty(x):
    n = x.size(0)
    parts = torch.empty(n, 2), torch.empty_like(x), x.new_empty(n), torch.empty_strided((n, 2), (2, 1))
    return tuple(part.zero_() for part in (*parts, x.new_empty_strided((n, 2), (2, 1))))


@torch.jit.script
def _functional(x: torch.Tensor):
    y = torch.scalar_tensor(x.size(0), dtype=torch.float32) * x
    end = float(x.size(0))
    return torch.fill(x, 2.0) + y, torch.fill(x, x.sum()), torch.linspace(0.0, end, 5), torch.logspace(0.0, end, 5)


def _ranges(x):
    n = x.size(0)
    return torch.arange(n), torch.arange(1, n + 1), torch.arange(0, 3 * n, 2), torch.arange(n, 0, -1)


def _spaced(x):
    n = x.size(0)
    return (
        torch.linspace(0.0, 1.0, n),
        torch.linspace(9, n, n + 3, dtype=_I),
        torch.linspace(-7.7, n, n + 4, dtype=_H),
        torch.logspace(0.3, 2.0, n, 2.0),
    )


def _eyes(x):
    n = x.size(0)
    return torch.eye(n), torch.eye(n, 3, dtype=_I), torch.eye(2, n, dtype=_B), torch.eye(n, n + 1, dtype=_H)


def _ranges_dtypes(x):
    n = x.size(0)
    return (
        torch.arange(n, dtype=torch.float32),
        torch.arange(n, dtype=_J),
        torch.arange(n, dtype=_H),
        torch.arange(n) * 0.5,
    )


CASES = [
    Case("like", _like, rand(3, 4)),
    Case("like-scalar", _like, rand()),
    Case("like-empty", _like, rand(0, 4)),
    _dynamic("eye", _eyes),
    _dynamic("like-dynamic", _like),
    _dynamic("like-dynamic-int", lambda x: (torch.zeros_like(x), torch.full_like(x, 7)), dtype=_I),
    _dynamic("sized", _sized),
    _dynamic("sized-dtypes", _sized_dtypes),
    _dynamic("sized-values", _full_of_input),
    _dynamic("new", _new),
    _dynamic("empty", _empty),
    _dynamic("functional", _functional),
    _dynamic("arange", _ranges),
    _dynamic("arange-dtypes", _ranges_dtypes),
    Case(
        "dim-arange",
        lambda x: torch._dim_arange(x, -1) * x[0].sum(),
        {"x": torch.eye(4)[:2]},
        {"x": {0: (1, 2, 4), 1: (2, 4, 6)}},
        [{"x": torch.eye(6)[:3]}, {"x": 2 * torch.eye(3)[:1]}],
    ),
    _dynamic("linspace-dynamic", _spaced),
    _dynamic("arange-float", lambda x: torch.arange(0.5, x.size(0) + 0.25, 0.5)),
    Case(
        "linspace",
        lambda x: (torch.linspace(x, 3.0, 7), torch.linspace(-1.0, x, 4), torch.linspace(x, x + 1, 1)),
        rand(),
    ),
    Case(
        "linspace-int",
        lambda x, y: (torch.linspace(x, y, 9, dtype=_I), torch.linspace(x, y, 0)),
        (rand(low=1.0), rand(low=5.0, high=9.0)),
    ),
    Case(
        "linspace-whole",
        lambda x, y: tuple(torch.linspace(x, y, count, dtype=torch.int64) for count in (1, 2, 8, 15, 29, 50)),
        (torch.tensor(4), torch.tensor(-3)),
    ),
    Case(
        "linspace-long",
        lambda x, y: (torch.linspace(x, y, 5, dtype=torch.int64), torch.linspace(y, x, 4, dtype=torch.int64)),
        (torch.tensor(2**40 + 3), torch.tensor(-7)),
    ),
    Case(
        "logspace",
        lambda x: (torch.logspace(x, 3.0, 7), torch.logspace(-1.0, x, 4), torch.logspace(x, x + 1, 3, 2.0)),
        rand(),
    ),
    Case(
        "logspace-half",
        lambda x: (
            torch.logspace(x, 4.3, 9, 1.2, dtype=torch.bfloat16),
            torch.logspace(4.3, x, 7, dtype=torch.bfloat16),
            torch.logspace(x, 3.0, 1, dtype=_H),
        ),
        rand(),
    ),
    Case("vander", lambda x: (torch.linalg.vander(x), torch.linalg.vander(x, N=2)), rand(3, 4)),
    Case("vander-vector", lambda x: (torch.vander(x), torch.vander(x, 3, increasing=True)), rand(4)),
    Case("vander-int", torch.linalg.vander, rand(4, dtype=_J, low=-3, high=4)),
    Case("fill", lambda x: (torch.fill(x, 2.5), torch.fill(x, True), torch.fill(x, x[0, 0])), rand(3, 4)),
]
