"""Sums, means, products, variances, norms and other reductions."""

import math

import torch

from tests.harness import Case, rand

_I, _J, _H, _B, _U = torch.int64, torch.int32, torch.float16, torch.bool, torch.uint8
_aten = torch.ops.aten
_NAN = torch.tensor([[1.0, math.nan, 3.0], [math.inf, 2.0, -1.0], [-math.inf, math.inf, 0.5], [math.nan] * 3])


def _each(value):
    """The tensor in every dtype that reductions treat differently."""
    return {
        "float": value,
        "half": value.to(_H),
        "bfloat": value.to(torch.bfloat16),
        "int": value.to(_I),
        "int32": value.to(_J),
        "bool": value > 0,
        "uint8": value.abs().to(_U),
    }


def _dynamic(name, function, *shapes, axes=None, **options):
    return Case(
        name,
        function,
        {"x": rand(*shapes[0], **options)},
        dynamic={"x": axes or {0: (1, 4, 16)}},
        others=[{"x": rand(*shape, **options)} for shape in shapes[1:]],
    )


def _axes(function):
    return lambda x: (function(x), function(x, dim=-1), function(x, dim=(0, 2), keepdim=True))


_NUMBERS = rand(3, 4, 5, low=-4, high=4)
_SIZES = ((3, 4, 5), (1, 4, 5), (7, 4, 5))


def _variances(x):
    return (
        torch.var(x),
        torch.var(x, 1),
        torch.var(x, (0, -1), correction=0, keepdim=True),
        torch.std(x, -1, correction=2.5),
        torch.std(x, unbiased=False),
        torch.var_mean(x, (0, 1)),
        torch.std_mean(x, -1, keepdim=True),
        torch.var_mean(x),
    )


def _variances_by_position(x):
    return (
        _aten.var(x, False),
        _aten.var.dim(x, [1], False, True),
        _aten.std(x, True),
        _aten.std.dim(x, [0], True),
        _aten.var_mean(x, False),
        _aten.var_mean.dim(x, [0, 1]),
        _aten.std_mean(x, True),
        _aten.std_mean.dim(x, [2], False, True),
        _aten.std_mean.correction(x, None, correction=1),
        _aten.std.correction(x, [0], correction=0),
        _aten.var.correction(x),
    )


def _norms(x):
    orders = (2, 1, 0, 3, 0.5, -1, math.inf, -math.inf)
    return [torch.linalg.vector_norm(x, order, dim=(0, -1)) for order in orders]


def _old_norms(x):
    return (
        _aten.norm.Scalar(x, 3),
        _aten.norm.ScalarOpt_dim(x, None, [1]),
        _aten.norm.ScalarOpt_dim(x, 1, [0, 2], True),
        _aten.norm.ScalarOpt_dim_dtype(x, 2, [0], False, dtype=torch.float32),
        _aten.norm.ScalarOpt_dtype(x, 2, dtype=torch.float32),
        _aten.frobenius_norm.dim(x, [0, 1], True),
    )


def _singular_norms(x):
    return [
        torch.linalg.matrix_norm(x, order, dim=dim, keepdim=keep)
        for order in (2, -2, "nuc")
        for dim, keep in (((-2, -1), False), ((0, 2), True), ((2, 0), False))
    ] + [torch.linalg.norm(x[0], 2), torch.norm(x, "nuc", dim=(1, 2)), torch.linalg.norm(x, "nuc", dim=(1, 2))]


def _linalg_norms(x):
    orders = (None, "fro", 1, -1, math.inf, -math.inf)
    return [torch.linalg.norm(x, order, dim=(0, -1), keepdim=True) for order in orders] + [
        torch.linalg.norm(x),
        torch.linalg.norm(x, 3, dim=1),
        torch.linalg.matrix_norm(x),
        torch.linalg.matrix_norm(x, "fro", dim=(-1, 0)),
        torch.linalg.matrix_norm(x, math.inf),
        torch.linalg.matrix_norm(x, -1, dim=(2, 1), keepdim=True),
    ]


CASES = [
    *(Case(f"sum-{name}", _axes(torch.sum), value) for name, value in _each(_NUMBERS).items()),
    Case("sum-dtype", lambda x: (x.sum(dtype=_H), x.sum(1, dtype=_I), x.sum(0, dtype=_B)), _NUMBERS),
    Case("sum-uint8-dtype", lambda x: x.sum(0, dtype=_U), rand(9, 4, dtype=_U, low=100, high=255)),
    Case("sum-int32-dtype", lambda x: x.sum(0, dtype=_J), rand(9, 4, dtype=_B)),
    Case("sum-half-range", lambda x: (x.sum(), x.mean()), rand(64, 64, dtype=_H, low=10, high=15)),
    Case("sum-nan", lambda x: (x.sum(1), x.nansum(1), x.nansum(), x.nanmean(1)), _NAN),
    Case("sum-scalar", lambda x: (x.sum(), x.sum(0), x.sum(-1, keepdim=True), x.mean(0), x.prod(-1)), rand()),
    Case("sum-empty", lambda x: (x.sum(), x.sum(1), x.prod(0), x.mean(1), x.logsumexp(1)), rand(2, 0)),
    Case("sum-rank-8", lambda x: x.sum((1, -1)), rand(2, 1, 2, 1, 2, 1, 2, 3)),
    Case("sum-known", lambda x: x.sum([]) + x.sum(()), rand(2, 3)),
    _dynamic("sum-dynamic", _axes(torch.sum), *_SIZES),
    _dynamic("sum-int-dynamic", _axes(torch.sum), *_SIZES, dtype=_I, low=-9, high=9),
    Case("nansum-int", lambda x: (x.nansum(0), x.nansum(dtype=torch.float32)), rand(3, 4, dtype=_I, low=-9, high=9)),
    Case("nansum-half", lambda x: x.nansum(0), _NAN.to(_H)),
    Case("nanmean", lambda x: (x.nanmean(), x.nanmean((0, 1), keepdim=True), x.nanmean(-1)), _NAN),
    Case("sum_to_size", lambda x: (x.sum_to_size(4, 1), x.sum_to_size(1, 4, 5), x.sum_to_size(3, 4, 5)), _NUMBERS),
    Case(
        "sum_to_size-scalar",
        lambda x: (x.sum_to_size(()), x[0, 0].sum_to_size(())),
        rand(3, 4, dtype=_J, low=-9, high=9),
    ),
    Case("sum_to_size-bool", lambda x: x.sum_to_size(1, 4), rand(3, 4, dtype=_B)),
    *(
        Case(f"mean-{name}", _axes(torch.mean), value)
        for name, value in _each(_NUMBERS).items()
        if value.is_floating_point()
    ),
    Case(
        "mean-dtype", lambda x: (x.mean(dtype=torch.float32), x.mean(1, dtype=_H)), rand(4, 3, dtype=_I, low=0, high=9)
    ),
    _dynamic("mean-dynamic", _axes(torch.mean), *_SIZES),
    *(
        Case(f"prod-{name}", lambda x: (x.prod(), x.prod(-1), x.prod(0, keepdim=True)), value)
        for name, value in _each(rand(2, 3, 4, low=-2.5, high=2.5)).items()
    ),
    Case("prod-dtype", lambda x: (x.prod(dtype=torch.float32), x.prod(0, dtype=_I)), rand(3, 4)),
    _dynamic("prod-dynamic", lambda x: x.prod(0), *_SIZES),
    *(
        Case(
            f"all-{name}", lambda x: (x.all(), x.all(-1), x.all((0, 2)), x.any(), x.any(1, True), x.any((0, 1))), value
        )
        for name, value in _each(rand(3, 4, 5, low=-2.2, high=2.2).trunc()).items()
    ),
    Case("all-nan", lambda x: (x.all(1), x.any(1), x.count_nonzero(1)), _NAN),
    Case("all-scalar", lambda x: (x.all(), x.any(0), x.count_nonzero()), rand()),
    Case("all-empty", lambda x: (x.all(), x.all(1), x.any(1), x.any()), rand(3, 0)),
    _dynamic("all-dynamic", lambda x: (x.all(0), x.any(0), x.all(), x.count_nonzero(0)), *_SIZES, dtype=_B),
    *(
        Case(
            f"count_nonzero-{name}", lambda x: (x.count_nonzero(), x.count_nonzero(-1), x.count_nonzero((0, 1))), value
        )
        for name, value in _each(rand(6, 4, low=-2.2, high=2.2).trunc()).items()
    ),
    Case("var", _variances, _NUMBERS),
    Case("var-half", _variances, (_NUMBERS * 20).to(_H)),
    Case("var-by-position", _variances_by_position, _NUMBERS),
    Case("var-one", lambda x: (x.var(0), x.std(0), x.var(0, correction=3)), rand(1, 4)),
    Case("var-empty", lambda x: (x.var(0), torch.std_mean(x, 0)), rand(0, 4)),
    Case("var-nan", lambda x: (x.var(1), x.std(0), torch.var_mean(x[::3], 1)), _NAN),
    Case("var-large-mean", lambda x: x.var(0), rand(40, 3, low=1000, high=1001), rtol=1e-4),
    _dynamic("var-dynamic", lambda x: (x.var(0), x.std(0, correction=0), x.var(), x.var(0, correction=0.5)), *_SIZES),
    Case("logsumexp", lambda x: (x.logsumexp(1), x.logsumexp((0, -1), keepdim=True)), _NUMBERS * 40),
    Case("logsumexp-nan", lambda x: (x.logsumexp(1), torch.special.logsumexp(x, 0)), _NAN),
    Case("logsumexp-infinite", lambda x: x.logsumexp(0), torch.tensor([[-math.inf, math.inf, 1.0], [-math.inf, 0, 2]])),
    Case("logsumexp-int", lambda x: x.logsumexp(0), rand(3, 4, dtype=_I, low=-9, high=9)),
    Case("logsumexp-half", lambda x: x.logsumexp(0), rand(3, 4, dtype=_H)),
    Case("logsumexp-scalar", lambda x: x.logsumexp(0), rand()),
    _dynamic("logsumexp-dynamic", lambda x: x.logsumexp((0, 2)), *_SIZES),
    Case("vector_norm", _norms, _NUMBERS),
    Case("vector_norm-half", lambda x: torch.linalg.vector_norm(x, dim=1), rand(3, 40, dtype=_H, low=50, high=90)),
    Case("vector_norm-dtype", lambda x: torch.linalg.vector_norm(x, 2, dtype=torch.float32), rand(3, 4, dtype=_H)),
    Case("vector_norm-scalar", lambda x: (torch.linalg.vector_norm(x), torch.linalg.vector_norm(x, 0)), rand()),
    Case("vector_norm-nan", lambda x: [torch.linalg.vector_norm(x, p, dim=1) for p in (2, math.inf, -math.inf)], _NAN),
    _dynamic("vector_norm-dynamic", _norms, *_SIZES),
    Case("norm", _old_norms, _NUMBERS),
    Case("linalg_norm", _linalg_norms, _NUMBERS),
    Case("linalg_norm-matrix", lambda x: [torch.linalg.norm(x, p) for p in (None, "fro", 1, -math.inf)], rand(3, 4)),
    Case("linalg_norm-empty", lambda x: (torch.linalg.matrix_norm(x, math.inf), torch.linalg.norm(x)), rand(2, 0)),
    Case("linalg_norm-singular", _singular_norms, rand(2, 3, 4), rtol=1e-4),
    Case("linalg_norm-singular-empty", lambda x: torch.linalg.matrix_norm(x, "nuc"), rand(2, 0, 3)),
    Case("nuclear_norm", lambda x: (_aten.nuclear_norm(x), _aten.nuclear_norm.dim(x, [1, 0], True)), rand(3, 4)),
    Case(
        "linalg_norm-singular-dynamic",
        lambda x: (torch.linalg.matrix_norm(x, 2), torch.linalg.norm(x, "nuc", dim=(2, 1))),
        {"x": rand(2, 3, 4)},
        {"x": {0: (1, 2, 8)}},
        [{"x": rand(1, 3, 4)}, {"x": rand(5, 3, 4)}],
        rtol=1e-4,
    ),
    Case("renorm", lambda x: (x.renorm(2, 0, 1.5), x.renorm(1, -1, 3), x.renorm(math.inf, 1, 0.5)), _NUMBERS),
    Case("renorm-half", lambda x: x.renorm(2, 0, 1.5), rand(3, 4, dtype=_H)),
    _dynamic("renorm-dynamic", lambda x: x.renorm(2, 0, 1.5), *_SIZES),
]
