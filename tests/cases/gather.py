"""Reading elements at indices: gather, index_select, take, masked_select."""

import torch

from tests.harness import Case, rand

_I, _J, _H, _B, _U = torch.int64, torch.int32, torch.float16, torch.bool, torch.uint8
_DTYPES = {"float": torch.float32, "half": _H, "int": _I, "int32": _J, "bool": _B, "uint8": _U}
_NO_NON_ZERO = "TensorRT for RTX has no non-zero layer"
_aten = torch.ops.aten


def _of(dtype, *shape):
    return rand(*shape, low=0, high=9).to(dtype) if dtype != _B else rand(*shape, dtype=_B)


def _indices(high, *shape):
    return rand(*shape, dtype=_I, low=0, high=high)


def _dynamic(name, function, first, *others, axes=None):
    """A row whose inputs x and i have a dynamic first axis."""
    return Case(
        name,
        function,
        dict(zip(("x", "i"), first, strict=True)),
        dynamic={key: {0: (1, 4, 16)} for key in axes or ("x", "i")},
        others=[dict(zip(("x", "i"), other, strict=True)) for other in others],
    )


CASES = [
    *(
        Case(
            f"gather-{name}",
            lambda x, i, j: (x.gather(1, i), x.gather(-1, j, sparse_grad=True)),
            (_of(dtype, 4, 5, 6), _indices(5, 4, 3, 6), _indices(6, 2, 5, 9)),
        )
        for name, dtype in _DTYPES.items()
    ),
    Case("gather-scalar", lambda x, i, j: (x.gather(0, i), x.gather(0, j)), (rand(), torch.tensor(0), _indices(1, 3))),
    Case(
        "gather-vector", lambda x, i, j: (x.gather(0, i), x.gather(-1, j)), (rand(5), torch.tensor(3), _indices(5, 9))
    ),
    Case("gather-empty", lambda x, i: x.gather(1, i), (rand(3, 4), torch.empty(3, 0, dtype=_I))),
    _dynamic(
        "gather-dynamic",
        lambda x, i: (x.gather(1, i), i.gather(0, (i * 0))),
        (rand(3, 5), _indices(5, 3, 4)),
        (rand(1, 5), _indices(5, 1, 4)),
        (rand(7, 5), _indices(5, 7, 4)),
    ),
    Case(
        "take_along_dim",
        lambda x, i, j: (x.take_along_dim(i, 1), x.take_along_dim(j), x.take_along_dim(i[:1], -2)),
        (rand(4, 5, 6), _indices(5, 4, 3, 1), _indices(100, 2, 3)),
    ),
    Case(
        "take_along_dim-modulo",
        lambda x, i: (x.take_along_dim(i - 20, 1), x.take_along_dim(torch.tensor([[7], [-1], [-9]]), 0)),
        (rand(3, 4), _indices(40, 3, 9)),
    ),
    Case("take_along_dim-uint8", lambda x, i: x.take_along_dim(i, 0), (_of(_U, 4, 5), _indices(4, 3, 1))),
    _dynamic(
        "take_along_dim-dynamic",
        lambda x, i: x.take_along_dim(i, 1),
        (rand(3, 5), _indices(5, 3, 4)),
        (rand(1, 5), _indices(5, 1, 4)),
        (rand(7, 5), _indices(5, 7, 4)),
    ),
    *(
        Case(
            f"index_select-{name}",
            lambda x, i, j: (x.index_select(1, i), x.index_select(-1, j)),
            (_of(dtype, 4, 5, 6), _indices(5, 7), torch.tensor(2, dtype=_J)),
        )
        for name, dtype in _DTYPES.items()
    ),
    Case("index_select-scalar", lambda x, i: x.index_select(0, i), (rand(), torch.tensor([0]))),
    Case("index_select-known", lambda x: x.index_select(1, torch.tensor([2, 0, 2])), rand(3, 4)),
    _dynamic(
        "index_select-dynamic",
        lambda x, i: (x.index_select(1, i), x.index_select(0, i * 0)),
        (rand(3, 5), _indices(5, 3)),
        (rand(1, 5), _indices(5, 9)),
        (rand(7, 5), _indices(5, 1)),
    ),
    Case("take", lambda x, i: x.take(i), (rand(4, 5), rand(3, 7, dtype=_I, low=-20, high=20))),
    Case("take-bool", lambda x, i: x.take(i), (rand(4, 5, dtype=_B), _indices(20, 3))),
    _dynamic(
        "take-dynamic",
        lambda x, i: x.take(i),
        (rand(3, 5), rand(3, 2, dtype=_I, low=-15, high=15)),
        (rand(1, 5), rand(6, 2, dtype=_I, low=-5, high=5)),
        (rand(7, 5), rand(1, 2, dtype=_I, low=-35, high=35)),
    ),
    Case("masked_select-known", lambda x: x.masked_select(torch.tensor([True, False, True])), rand(4, 3)),
    Case("masked_select", torch.masked_select, (rand(4, 5), rand(5, dtype=_B)), unbuilt=_NO_NON_ZERO),
    Case("masked_select-scalar", torch.masked_select, (rand(), rand(3, dtype=_B)), unbuilt=_NO_NON_ZERO),
    Case("masked_select-uint8", torch.masked_select, (_of(_U, 4, 5), rand(4, 1, dtype=_B)), unbuilt=_NO_NON_ZERO),
]
