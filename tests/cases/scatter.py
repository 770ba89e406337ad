"""Writing elements at indices: scatter, index_add, index_copy, index_fill, put."""

import math

import torch

from tests.harness import Case, rand

_I, _J, _H, _B, _U = torch.int64, torch.int32, torch.float16, torch.bool, torch.uint8
_DTYPES = {"float": torch.float32, "half": _H, "int": _I, "int32": _J, "uint8": _U}
_aten = torch.ops.aten
_REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


def _of(dtype, *shape):
    return rand(*shape, low=0, high=5).to(dtype)


def _indices(high, *shape):
    return rand(*shape, dtype=_I, low=0, high=high)


def _permuted(rows, high, count):
    """Indices that differ from each other within a row."""
    generator = torch.Generator().manual_seed(5)
    return torch.stack([torch.randperm(high, generator=generator)[:count] for _ in range(rows)])


def _reduced(x, i, s):
    return [
        x.scatter_reduce(1, i, s, reduction, include_self=include)
        for reduction in _REDUCTIONS
        for include in (True, False)
    ]


def _few(x, i, s):
    return [
        x.scatter_reduce(0, i, s, reduction, include_self=include)
        for reduction in _REDUCTIONS
        for include in (True, False)
    ]


def _by_rows(x, i, s):
    return [
        x.index_reduce(1, i, s, reduction, include_self=include)
        for reduction in _REDUCTIONS[1:]
        for include in (True, False)
    ]


def _dynamic(name, function, *rows):
    """A row whose inputs x, i and s have a dynamic first axis."""
    inputs = [dict(zip(("x", "i", "s"), row, strict=True)) for row in rows]
    return Case(name, function, inputs[0], dynamic={key: {0: (1, 4, 16)} for key in ("x", "i", "s")}, others=inputs[1:])


_NAN = torch.tensor([[1.0, math.nan, 2.0, math.inf, -math.inf, 5.0]])
_NAN_INDEX = torch.tensor([[0, 0, 1, 1, 2, 2]])

CASES = [
    *(
        Case(
            f"scatter-{name}",
            lambda x, i, s: (x.scatter(1, i, s), x.scatter(-1, i, 3), x.scatter(1, i[:2], s)),
            (_of(dtype, 4, 7), _permuted(4, 7, 4), _of(dtype, 4, 6)),
        )
        for name, dtype in _DTYPES.items()
    ),
    Case(
        "scatter-bool",
        lambda x, i, s: x.scatter(1, i, s),
        (rand(4, 7, dtype=_B), _permuted(4, 7, 4), rand(4, 4, dtype=_B)),
    ),
    Case("scatter-axis", lambda x, i, s: x.scatter(0, i, s), (rand(6, 3), _permuted(3, 6, 4).t(), rand(5, 3))),
    Case(
        "scatter-scalar",
        lambda x, i, s: (x.scatter(0, i, s), x.scatter(0, i, 2.0), x.scatter_add(0, i, s)),
        (rand(), torch.tensor(0), rand()),
    ),
    Case(
        "scatter-empty",
        lambda x, i, s: (x.scatter(1, i, s), x.scatter_add(1, i, s)),
        (rand(3, 4), torch.empty(3, 0, dtype=_I), rand(3, 4)),
    ),
    Case(
        "scatter-named-reduction",
        lambda x, i, s: (
            x.scatter(1, i, s, reduce="add"),
            x.scatter(1, i, s, reduce="multiply"),
            x.scatter(0, i[:, :5] % 3, 2, reduce="add"),
        ),
        (rand(3, 5), _indices(5, 3, 9), rand(3, 9)),
    ),
    _dynamic(
        "scatter-dynamic",
        lambda x, i, s: (x.scatter(1, i, s), x.scatter(1, i, 2.0)),
        *((rand(n, 7), _permuted(n, 7, 4), rand(n, 4)) for n in (3, 1, 9)),
    ),
    *(
        Case(
            f"scatter_add-{name}",
            lambda x, i, s: (x.scatter_add(1, i, s), x.scatter_add(0, i % 3, s)),
            (_of(dtype, 3, 5), _indices(5, 2, 5), _of(dtype, 3, 6)),
        )
        for name, dtype in _DTYPES.items()
    ),
    Case(
        "scatter_add-half-range",
        lambda x, i, s: x.scatter_add(0, i, s),
        (rand(2, dtype=_H), _indices(2, 3000), rand(3000, dtype=_H, low=0, high=1)),
    ),
    Case("scatter_add-nan", lambda x, i, s: x.scatter_add(1, i, s), (rand(1, 4), _NAN_INDEX, _NAN)),
    Case("scatter_add-few", lambda x, i, s: x.scatter_add(0, i, s), (rand(90, 3), _indices(4, 9, 3) * 22, rand(9, 3))),
    _dynamic(
        "scatter_add-dynamic",
        lambda x, i, s: (x.scatter_add(1, i, s), x.scatter_add(0, i * 0, s)),
        *((rand(n, 5), _indices(5, n, 5), rand(n, 5)) for n in (3, 1, 9)),
    ),
    *(
        Case(f"scatter_reduce-{name}", _reduced, (_of(dtype, 3, 5), _indices(5, 3, 8), _of(dtype, 3, 8)))
        for name, dtype in _DTYPES.items()
        if dtype != _U
    ),
    Case(
        "scatter_reduce-bool",
        lambda x, i, s: [x.scatter_reduce(1, i, s, how, include_self=False) for how in ("amax", "amin", "prod")],
        (rand(3, 5, dtype=_B), _indices(5, 3, 8), rand(3, 8, dtype=_B)),
    ),
    Case("scatter_reduce-nan", _reduced, (rand(1, 4), _NAN_INDEX, _NAN)),
    Case("scatter_reduce-few", _few, (rand(40, 3), _indices(4, 7, 3) * 9, rand(7, 3))),
    Case(
        "scatter_reduce-few-int",
        _few,
        (rand(40, 2, dtype=_I, low=-9, high=9), _indices(4, 7, 2) * 9, rand(7, 2, dtype=_I, low=-9, high=9)),
    ),
    Case(
        "scatter_reduce-rank-8",
        lambda x, i, s: x.scatter_reduce(3, i, s, "amax"),
        (rand(2, 1, 2, 5, 1, 1, 2, 2), _indices(5, 2, 1, 1, 7, 1, 1, 2, 1), rand(2, 1, 2, 7, 1, 1, 2, 2)),
    ),
    _dynamic(
        "scatter_reduce-dynamic",
        _reduced,
        *((rand(n, 5), _indices(5, n, 8), rand(n, 8)) for n in (3, 1, 9)),
    ),
    *(
        Case(
            f"index_add-{name}",
            lambda x, i, s: (x.index_add(1, i, s), x.index_add(-2, i, s, alpha=2)),
            (_of(dtype, 3, 5, 4), _indices(5, 7), _of(dtype, 3, 7, 4)),
        )
        for name, dtype in _DTYPES.items()
    ),
    Case(
        "index_add-few",
        lambda x, i, s: x.index_add(0, i, s, alpha=-0.5),
        (rand(50, 4), _indices(3, 6) * 16, rand(6, 4)),
    ),
    Case("index_add-known", lambda x, s: x.index_add(0, torch.tensor([2, 0, 2]), s), (rand(4, 3), rand(3, 3))),
    Case("index_add-scalar", lambda x, i, s: x.index_add(0, i, s), (rand(), torch.tensor([0]), rand())),
    Case("index_add-empty", lambda x, i, s: x.index_add(0, i, s), (rand(3, 4), torch.empty(0, dtype=_I), rand(0, 4))),
    Case(
        "index_add-int32-index", lambda x, i, s: x.index_add(0, i, s), (rand(3, 4), _indices(3, 5).to(_J), rand(5, 4))
    ),
    _dynamic(
        "index_add-dynamic",
        lambda x, i, s: x.index_add(0, i, s),
        *((rand(n, 5), _indices(n, m), rand(m, 5)) for n, m in ((3, 4), (1, 9), (9, 2))),
    ),
    *(
        Case(f"index_reduce-{name}", _by_rows, (_of(dtype, 3, 5, 4), _indices(5, 7), _of(dtype, 3, 7, 4)))
        for name, dtype in _DTYPES.items()
        if dtype != _U
    ),
    Case(
        "index_reduce-few",
        lambda x, i, s: x.index_reduce(0, i, s, "amin"),
        (rand(50, 4), _indices(3, 6) * 16, rand(6, 4)),
    ),
    *(
        Case(
            f"index_copy-{name}",
            lambda x, i, s, t: (x.index_copy(1, i, s), x.index_copy(0, i % 3, t)),
            (_of(dtype, 3, 5, 4), torch.tensor([4, 0, 2]), _of(dtype, 3, 3, 4), _of(dtype, 3, 5, 4)),
        )
        for name, dtype in _DTYPES.items()
    ),
    Case("index_copy-scalar", lambda x, i, s: x.index_copy(0, i, s), (rand(), torch.tensor([0]), rand())),
    _dynamic(
        "index_copy-dynamic",
        lambda x, i, s: x.index_copy(0, i, s),
        *((rand(n, 5), _permuted(1, n, m)[0], rand(m, 5)) for n, m in ((3, 2), (1, 1), (9, 4))),
    ),
    *(
        Case(
            f"index_fill-{name}",
            lambda x, i, v: (x.index_fill(1, i, 3), x.index_fill(-1, i % 4, v)),
            (_of(dtype, 3, 5, 4), torch.tensor([4, 0, -2, 0]), _of(dtype)),
        )
        for name, dtype in _DTYPES.items()
    ),
    Case(
        "index_fill-bool",
        lambda x, i, v: x.index_fill(0, i, v),
        (rand(3, 4, dtype=_B), torch.tensor([1]), rand(dtype=_B)),
    ),
    Case("index_fill-known", lambda x: x.index_fill(1, torch.tensor([0, 2]), -1.0), rand(3, 4)),
    Case(
        "index_fill-scalar",
        lambda x, i: (x.index_fill(0, i, 2.0), x.index_fill(0, i[:0], 3.0)),
        (rand(), torch.tensor([0])),
    ),
    Case(
        "index_fill-dynamic",
        lambda x, i: x.index_fill(0, i, 2.0),
        {"x": rand(3, 4), "i": torch.tensor([0, 2])},
        dynamic={"x": {0: (1, 4, 16)}, "i": {0: (1, 4, 16)}},
        others=[{"x": rand(1, 4), "i": torch.tensor([0, 0, -1])}, {"x": rand(9, 4), "i": torch.tensor([8])}],
    ),
    *(
        Case(
            f"put-{name}",
            lambda x, i, j, s: (x.put(i, s), x.put(j, s, accumulate=True)),
            (_of(dtype, 4, 5), torch.tensor([[3, -1], [-20, 7]]), torch.tensor([[3, -1], [19, 3]]), _of(dtype, 2, 2)),
        )
        for name, dtype in _DTYPES.items()
    ),
    Case("put-empty", lambda x, i, s: x.put(i, s), (rand(3, 4), torch.empty(0, dtype=_I), rand(0))),
    _dynamic(
        "put-dynamic",
        lambda x, i, s: x.put(i, s, accumulate=True),
        *((rand(n, 5), rand(m, dtype=_I, low=-5, high=5), rand(m)) for n, m in ((3, 4), (1, 9), (9, 2))),
    ),
]
