"""Advanced indexing, read and written, and where elements are not zero."""

import torch

from tests.harness import Case, rand

_I, _J, _H, _B, _U = torch.int64, torch.int32, torch.float16, torch.bool, torch.uint8
_NO_NON_ZERO = "TensorRT for RTX has no non-zero layer"
_aten = torch.ops.aten
_X = rand(4, 5, 6, 3)


def _indices(high, *shape, low=None):
    return rand(*shape, dtype=_I, low=-high if low is None else low, high=high)


def _different(high, count):
    """Indices that are all different, some of them negative."""
    chosen = torch.randperm(high, generator=torch.Generator().manual_seed(3))[:count]
    return torch.where(chosen % 2 == 0, chosen, chosen - high)


_A, _C = _indices(4, 7), _indices(6, 2, 1)


def _reads(x, i, j):
    return (
        x[i],
        x[:, :, j],
        x[i, i],
        x[:, i, i],
        x[i, :, i],
        x[..., j % 3],
        x[i, :, j, None],
        x[None, i, 1:3, j],
        x[i, 2, :, 1],
    )


def _known(x):
    i = torch.tensor([[0, -1], [2, 1]])
    return x[i], x[:, i, i], x[i, :, i], x[:, [0, 2, -1]], x[:, torch.tensor([True, False, True, True, False])]


def _written(update):
    """In-place writes to a copy."""

    def function(x, *rest):
        y = x.clone()
        update(y, *rest)
        return y

    return function


def _set(y, i, j, v):
    y[i] = 1.5
    y[:, :, j] = v
    y[i, 2] = y[i, 1]


def _add_up(y, i, v):
    y.index_put_((i,), v, accumulate=True)
    y.index_put_((i, i), v[0, 0, 0] * 0 + 2, accumulate=True)


def _mask_writes(y, m, n, v):
    y[m] = 0
    y[m] = v
    y[n] = v[0]
    y[:, :, m[0, :3]] = 2
    y[n, 1] = 7


def _one_each(y, m, v):
    y[m] = v


def _many(y, m, v):
    y[m] = v[: y[m].shape[0]]


_PUTS = {"float": torch.float32, "half": _H, "int": _I, "int32": _J}


def _dynamic(name, function, first, *others):
    return Case(
        name,
        function,
        dict(zip(("x", "i"), first, strict=True)),
        dynamic={key: {0: (1, 4, 16)} for key in ("x", "i")},
        others=[dict(zip(("x", "i"), other, strict=True)) for other in others],
    )


CASES = [
    Case("read", _reads, (_X, _A, _C)),
    Case("read-half", _reads, (_X.to(_H), _A, _C)),
    Case("read-bool", _reads, (_X > 0, _A, _C)),
    Case("read-uint8", lambda x, i: x[i, :, i], ((_X * 9).abs().to(_U), _A)),
    Case("read-int32-index", lambda x, i: (x[i], x[:, i, i]), (_X, _A.to(_J))),
    Case("read-known", _known, _X),
    Case("read-scalar-index", lambda x, i: (x[i], x[:, i], x[i, i]), (_X, torch.tensor(-2))),
    Case("read-empty", lambda x, i: (x[i], x[:, i, i]), (_X, torch.empty(0, dtype=_I))),
    Case("read-unsafe", lambda x, i: _aten._unsafe_index.Tensor(x, [None, i % 4]), (_X, _A)),
    Case("read-from-table", lambda i: torch.arange(24).reshape(4, 6)[i, i], _A),
    Case("read-mask", lambda x, m: x[m], (_X, rand(4, 5, dtype=_B)), unbuilt=_NO_NON_ZERO),
    Case("read-mask-inside", lambda x, m: x[:, m], (_X, rand(5, dtype=_B)), unbuilt=_NO_NON_ZERO),
    Case("read-mask-and-index", lambda x, m: x[m, torch.tensor(1)], (_X, rand(4, dtype=_B)), unbuilt=_NO_NON_ZERO),
    Case("read-mask-uint8", lambda x, m: x[m], (_X, rand(4, dtype=_B).to(_U)), unbuilt=_NO_NON_ZERO),
    _dynamic(
        "read-dynamic",
        lambda x, i: (x[i], x[:, i % 5], x[i, i % 5], x[i, :, i % 2]),
        (rand(3, 5, 2), _indices(3, 4)),
        (rand(2, 5, 2), _indices(2, 1)),
        (rand(7, 5, 2), _indices(7, 16)),
    ),
    *(
        Case(f"write-{name}", _written(_set), (_X.to(dtype), _different(4, 2), _different(6, 3), rand(3, 1).to(dtype)))
        for name, dtype in _PUTS.items()
    ),
    Case("write-bool", _written(_set), (_X > 0, _different(4, 2), _different(6, 3), rand(3, 1, dtype=_B))),
    Case(
        "write-uint8",
        lambda x, i, v: x.index_put((i,), v),
        (rand(5, 3, dtype=_U, low=0, high=9), _different(5, 2), rand(2, 3, dtype=_U, low=0, high=9)),
    ),
    *(
        Case(
            f"accumulate-{name}",
            _written(_add_up) if dtype.is_floating_point else lambda x, i, v: x.index_put((i,), v, accumulate=True),
            (rand(4, 5, 3, low=-9, high=9).to(dtype), _indices(4, 9), rand(9, 5, 3, low=-9, high=9).to(dtype)),
        )
        for name, dtype in _PUTS.items()
    ),
    Case(
        "accumulate-few",
        lambda x, i, v: x.index_put((i, i), v, accumulate=True),
        (rand(40, 40), _indices(40, 5).repeat(2), rand(10)),
    ),
    Case(
        "accumulate-infinite",
        lambda x, i, v: x.index_put((i,), v, accumulate=True),
        (rand(4), torch.tensor([0, 0, 1, 1, 2]), torch.tensor([float("inf"), 1, float("inf"), -float("inf"), 3])),
    ),
    Case(
        "write-unsafe",
        lambda x, i, v: (_aten._unsafe_index_put(x, [None, i], v), _aten._index_put_impl(x, [None, i], v, False, True)),
        (rand(3, 4), _different(4, 2), rand(2)),
    ),
    Case(
        "write-gap",
        lambda x, i, v: _aten.index_put(x, [i, None, i], v),
        (_X, _different(4, 3), rand(3, 5, 3)),
    ),
    Case("write-mask", _written(_mask_writes), (rand(4, 5, 3), rand(4, 5, dtype=_B), rand(4, dtype=_B), rand(1, 3))),
    Case(
        "write-mask-in-order",
        lambda x, v: x.index_put((x > 0.5,), v) + x.index_put((x > 0.5,), v, accumulate=True),
        (torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]), rand(3)),
    ),
    Case(
        "write-mask-rows",
        lambda x, v: _aten.index_put(x, [None, x[0, :, 0] > 0.5], v),
        (torch.stack([torch.tensor([1.0, 0.0, 2.0, 0.0])] * 3)[..., None].repeat(1, 1, 2), rand(3, 2, 2)),
    ),
    Case("write-mask-values", _written(_one_each), (rand(4, 3), torch.tensor([True, False, True, True]), rand(3, 3))),
    Case(
        "write-mask-counted",
        _written(_many),
        (rand(4, 3), torch.tensor([True, False, True, True]), rand(4, 3)),
        unbuilt=_NO_NON_ZERO,
    ),
    _dynamic(
        "write-dynamic",
        lambda x, i: (x.index_put((i % 5 * 0, i % 5), torch.tensor(3.0)), _aten.index_put(x, [i * 0], x[:1], True)),
        (rand(3, 5), _indices(5, 4)),
        (rand(2, 5), _indices(5, 1)),
        (rand(7, 5), _indices(5, 16)),
    ),
    Case(
        "unsafe_masked_index",
        lambda x, m, i: _aten._unsafe_masked_index(x, m, [None, i], 2.5),
        (rand(3, 4), rand(3, 6, dtype=_B), rand(6, dtype=_I, low=-9, high=9)),
    ),
    Case(
        "unsafe_masked_index_put_accumulate",
        lambda x, m, i, v: _aten._unsafe_masked_index_put_accumulate(x, m, [i], v),
        (rand(4, 2), rand(6, 2, dtype=_B), rand(6, dtype=_I, low=-9, high=9), rand(6, 2)),
    ),
    Case("masked_scatter", torch.masked_scatter, (rand(3, 4), rand(4, dtype=_B), rand(20))),
    Case("masked_scatter-half", torch.masked_scatter, (rand(4, dtype=_H), rand(3, 4, dtype=_B), rand(20, dtype=_H))),
    Case(
        "masked_scatter-uint8",
        torch.masked_scatter,
        (rand(4, dtype=_U, low=0, high=9), rand(4, dtype=_B), rand(20, dtype=_U, low=0, high=9)),
    ),
    Case("nonzero", lambda x: (x.nonzero(), torch.argwhere(x)), rand(3, 4).round(), unbuilt=_NO_NON_ZERO),
    Case("nonzero-scalar", torch.nonzero, rand(), unbuilt=_NO_NON_ZERO),
    Case(
        "nonzero-tuple", lambda x: x.nonzero(as_tuple=True), rand(3, 4, dtype=_I, low=0, high=2), unbuilt=_NO_NON_ZERO
    ),
    Case("where-condition", torch.where, rand(3, 4, dtype=torch.bool), unbuilt=_NO_NON_ZERO),
    Case(
        "where-condition-dynamic",
        lambda x: (*torch.where(x > 0), x[torch.where(x > 0.5)]),
        rand(3, 4),
        {"x": {0: (0, 3, 8), 1: (1, 4, 8)}},
        [rand(5, 2), rand(0, 3), rand(1, 1)],
        unbuilt=_NO_NON_ZERO,
    ),
    Case("where-condition-scalar", torch.where, torch.tensor(2.0), unbuilt=_NO_NON_ZERO),
    Case("nonzero-tuple-scalar", lambda x: x.nonzero(as_tuple=True), torch.tensor(2.0), unbuilt=_NO_NON_ZERO),
    Case(
        "nonzero_static",
        lambda x: (torch.nonzero_static(x, size=5), torch.nonzero_static(x, size=40, fill_value=7)),
        rand(3, 4, 2).round(),
    ),
    Case("nonzero_static-empty", lambda x: torch.nonzero_static(x, size=3, fill_value=4) + x.sum().int(), rand(0, 2)),
    Case("nonzero_static-scalar", lambda x: torch.nonzero_static(x, size=2), rand()),
    Case(
        "nonzero_static-dynamic",
        lambda x: torch.nonzero_static(x, size=5),
        {"x": rand(3, 4).round()},
        dynamic={"x": {0: (1, 4, 16)}},
        others=[{"x": rand(1, 4).round()}, {"x": rand(9, 4).round()}],
    ),
]
