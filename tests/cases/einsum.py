"""Einstein summation."""

import torch

from tests.harness import Case, rand

_EQUATIONS = {
    "ij,jk->ik": ((2, 3), (3, 4)),
    "ij,jk": ((2, 3), (3, 4)),
    "ij,kj->ik": ((2, 3), (4, 3)),
    "bhqd,bhkd->bhqk": ((2, 2, 3, 4), (2, 2, 5, 4)),
    "bhqk,bkhd->bqhd": ((2, 2, 3, 4), (2, 4, 2, 5)),
    "...ij,...jk->...ik": ((1, 5, 2, 3), (4, 1, 3, 2)),
    "...ij,jk": ((2, 5, 3), (3, 4)),
    "i...->...": ((2, 3, 4),),
    "ii->i": ((3, 3),),
    "ii": ((3, 3),),
    "iij,jk->ik": ((3, 3, 4), (4, 2)),
    "iijj->ij": ((3, 3, 2, 2),),
    "ij->ji": ((2, 3),),
    "i,j->ji": ((3,), (4,)),
    "i,i": ((3,), (3,)),
    "bij,bij->b": ((2, 3, 4), (2, 3, 4)),
    "bij,bij->bij": ((2, 3, 4), (2, 3, 4)),
    "ij,jk,kl->il": ((2, 3), (3, 4), (4, 5)),
    "a,b,c->": ((2,), (3,), (1,)),
    "bn,anm,bm->ba": ((2, 5), (3, 5, 4), (2, 4)),
    "bhwc,hkc->bhwk": ((2, 3, 4, 5), (3, 6, 5)),
    "abcd,abcd->bd": ((2, 3, 4, 5), (2, 3, 4, 5)),
    "bi,ij->bj": ((2, 1), (3, 4)),
    "bk,bk->bk": ((1, 3), (2, 1)),
}


def _function(equation):
    return lambda *tensors: torch.einsum(equation, *tensors)


def _rows(kind, **options):
    return [
        Case(f"{kind}-{equation}", _function(equation), tuple(rand(*shape, **options) for shape in shapes))
        for equation, shapes in _EQUATIONS.items()
    ]


CASES = [
    *_rows("float"),
    *_rows("int32", dtype=torch.int32, low=-5, high=5),
    Case("half", _function("bij,kj->bik"), (rand(2, 3, 4, dtype=torch.float16), rand(5, 4, dtype=torch.float16))),
    Case("half-sum", _function("ij->j"), rand(3, 4, dtype=torch.float16)),
    Case("uint8", _function("ij,jk->ik"), tuple(rand(3, 3, dtype=torch.uint8, low=0, high=255) for _ in range(2))),
    Case(
        "path",
        lambda x, y, z: torch.ops.aten.einsum("ij,jk,kl->il", [x, y, z], path=[1, 2, 0, 1]),
        (rand(2, 3), rand(3, 4), rand(4, 5)),
    ),
    Case(
        "dynamic",
        lambda x, y: torch.einsum("bihd,bjhd->bhij", x, y),
        {"x": rand(2, 3, 4, 5), "y": rand(2, 6, 4, 5)},
        dynamic={"x": {0: (1, 2, 8), 1: (1, 2, 8)}, "y": {0: (1, 2, 8)}},
        others=[
            {"x": rand(1, 5, 4, 5), "y": rand(1, 6, 4, 5)},
            {"x": rand(7, 1, 4, 5), "y": rand(7, 6, 4, 5)},
        ],
    ),
]
