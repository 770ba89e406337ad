"""Products of matrices and vectors."""

import functools

import torch
from torch import nn

from tests.harness import Case, rand

_I, _H, _B, _U, _BF = torch.int64, torch.float16, torch.bool, torch.uint8, torch.bfloat16
_aten = torch.ops.aten


def _dynamic(name, function, *shapes):
    return Case(
        name,
        function,
        {"x": rand(*shapes[0])},
        dynamic={"x": {0: (1, 4, 16)}},
        others=[{"x": rand(*shape)} for shape in shapes[1:]],
    )


class _Decomposed(nn.Module):
    """A linear layer as addmm over a transposed weight."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 5)

    def forward(self, x):
        return torch.addmm(self.inner.bias, x, self.inner.weight.t())


class _LastLinear(nn.Module):
    """A linear layer whose argument is called x."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 5)

    def forward(self, x):
        return self.inner(x)


def _scaled(name, factor):
    """An op with factors, and one that ignores its first argument."""
    function = getattr(torch, name)
    return lambda x, y, z: (
        function(x, y, z, beta=2 * factor, alpha=3 * factor),
        function(x, y, z, beta=0, alpha=factor),
    )


def _ends(*places):
    return torch.tensor(places, dtype=torch.int32)


def _routed(x, w, group):
    """Each row times its own group's matrix: sorted by group, as mixtures of experts do it."""
    order = group.argsort()
    ends = torch.histc(group.float(), bins=3, min=0, max=2).cumsum(0, dtype=torch.int32)
    return torch._grouped_mm(x[order], w, offs=ends)[order.argsort()]


def _numbers(*shapes, **options):
    return tuple(rand(*shape, **options) for shape in shapes)


_PAIRS = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (6, 3, 4)),
    ((2, 1, 5, 1, 2, 3), (4, 1, 6, 3, 4)),
    ((2, 0), (0, 3)),
    ((0, 3), (3, 4)),
]
_SUMS = {
    "addmm": ((3, 4), (3, 2), (2, 4)),
    "addmv": ((3,), (3, 2), (2,)),
    "baddbmm": ((5, 3, 4), (5, 3, 2), (5, 2, 4)),
    "addbmm": ((3, 4), (5, 3, 2), (5, 2, 4)),
    "addr": ((3, 4), (3,), (4,)),
}
_GROUPS = {"float": {}, "int": {"dtype": _I, "low": -5, "high": 5}, "half": {"dtype": _H}}

CASES = [
    Case("linear", nn.Linear(6, 5), rand(2, 6)),
    Case("linear-no-bias", nn.Linear(6, 5, bias=False), rand(2, 3, 4, 6)),
    Case("linear-vector", nn.Linear(6, 5), rand(6)),
    Case("linear-half", nn.Linear(6, 5).half(), rand(2, 6, dtype=_H)),
    Case("linear-bfloat16", nn.Linear(6, 5).bfloat16(), rand(2, 6, dtype=_BF)),
    Case("linear-runtime", nn.functional.linear, _numbers((2, 6), (5, 6), (5,))),
    Case("linear-vector-weight", nn.functional.linear, _numbers((2, 6), (6,))),
    Case("linear-uint8", nn.functional.linear, _numbers((2, 6), (5, 6), (5,), dtype=_U, low=0, high=255)),
    _dynamic("linear-dynamic", _LastLinear(), (2, 3, 6), (1, 3, 6), (9, 3, 6)),
    *(Case(f"matmul-{i}", torch.matmul, _numbers(*shapes)) for i, shapes in enumerate(_PAIRS)),
    *(
        Case(f"matmul-int-{i}", torch.matmul, _numbers(*shapes, dtype=_I, low=-9, high=9))
        for i, shapes in enumerate(_PAIRS)
    ),
    Case("matmul-uint8", torch.matmul, _numbers((2, 3), (3, 4), dtype=_U, low=0, high=255)),
    Case("matmul-half", torch.matmul, _numbers((5, 2, 3), (3, 4), dtype=_H)),
    Case("matmul-known", lambda x: torch.ones(4, 3) @ x @ torch.arange(8.0).reshape(4, 2).mT.mT, rand(3, 4)),
    Case("matmul-known-int", lambda x: x @ torch.arange(8).reshape(4, 2), rand(3, 4, dtype=_I)),
    _dynamic(
        "matmul-dynamic",
        lambda x: (x @ x.mT, x[0].mT @ x[0], x @ x[0, 0], x[0] @ x[0, 0]),
        (2, 3, 4),
        (1, 3, 4),
        (7, 3, 4),
    ),
    Case("mm", lambda x, y: (torch.mm(x, y), torch.linalg.matmul(x, y)), _numbers((2, 3), (3, 4))),
    Case("bmm", torch.bmm, _numbers((5, 2, 3), (5, 3, 4))),
    Case("mv", torch.mv, _numbers((2, 3), (3,))),
    Case("dot", lambda x, y: (torch.dot(x, y), torch.vdot(x, y)), _numbers((3,), (3,))),
    *(
        Case(f"{name}-{group}", getattr(torch, name), _numbers(*shapes, **options))
        for name, shapes in _SUMS.items()
        for group, options in _GROUPS.items()
    ),
    *(
        Case(
            f"{name}-scaled-{group}",
            _scaled(name, factor),
            _numbers(*shapes, **options),
        )
        for name, shapes in _SUMS.items()
        for group, options, factor in (("float", {}, 0.5), ("int", _GROUPS["int"], 1), ("half", _GROUPS["half"], 0.5))
    ),
    Case("addmm-zero-beta", lambda x, y, z: torch.addmm(x.log(), y, z, beta=0), _numbers((3, 4), (3, 2), (2, 4))),
    Case(
        "addmm-fractions-of-int",
        lambda x, y: torch.addmm(x, y, y, beta=2.7, alpha=1.6),
        _numbers((2, 2), (2, 2), dtype=_I),
    ),
    Case("addmm-broadcast", torch.addmm, _numbers((4,), (3, 2), (2, 4))),
    Case("addmm-decomposed", _Decomposed(), rand(3, 6)),
    Case("addr-bool", torch.addr, _numbers((3, 4), (3,), (4,), dtype=_B)),
    Case("outer", lambda x, y: (torch.outer(x, y), torch.ger(x, y)), _numbers((3,), (4,))),
    Case("outer-promotes", torch.outer, (rand(3), rand(4, dtype=_I))),
    Case("inner", torch.inner, _numbers((2, 3), (4, 5, 3))),
    Case("inner-scalar", torch.inner, _numbers((2, 3), ())),
    Case("tensordot", lambda x, y: torch.tensordot(x, y, ([0, -1], [1, 0])), _numbers((2, 3, 4), (4, 2, 5))),
    Case("tensordot-all", lambda x, y: torch.tensordot(x, y, 2), _numbers((2, 3), (2, 3))),
    Case("tensordot-none", lambda x, y: torch.tensordot(x, y, 0), _numbers((2,), (3,))),
    Case(
        "tensordot-ones-dynamic",
        lambda x, y: (torch.tensordot(x, y, ([1], [0])), torch.tensordot(y, x, ([0], [1]))),
        {"x": rand(2, 1), "y": rand(3, 4)},
        dynamic={"y": {0: (2, 3, 8)}},
        others=[{"x": rand(2, 1), "y": rand(8, 4)}, {"x": rand(2, 1), "y": rand(2, 4)}],
    ),
    Case("tensordot-ones", lambda x, y: torch.tensordot(x, y, ([1], [0])), _numbers((2, 1), (3, 4))),
    Case("kron", torch.kron, _numbers((2, 3), (4, 5))),
    Case("kron-ranks", torch.kron, (rand(2, 3, 2), rand(4, dtype=_I))),
    Case("bilinear", nn.Bilinear(3, 4, 5), _numbers((2, 6, 3), (2, 6, 4))),
    Case("bilinear-runtime", nn.functional.bilinear, _numbers((2, 3), (2, 4), (5, 3, 4))),
    Case("multi_dot", lambda *x: torch.linalg.multi_dot(x), _numbers((9, 2), (2, 8), (8, 1), (1, 7))),
    Case("multi_dot-vectors", lambda *x: torch.linalg.multi_dot(x), _numbers((2,), (2, 8), (8,))),
    Case("chain_matmul", lambda *x: torch.chain_matmul(*x), _numbers((2, 3), (3, 4), (4, 2))),
    Case("chain_matmul-one", lambda x: torch.chain_matmul(x), rand(2, 3)),
    Case(
        "vecdot", lambda x, y: (torch.linalg.vecdot(x, y), torch.linalg.vecdot(x, y, dim=0)), _numbers((3, 4), (3, 4))
    ),
    Case("vecdot-half", torch.linalg.vecdot, _numbers((3, 4), (3, 4), dtype=_H)),
    Case("cross", lambda x, y: (torch.cross(x, y), torch.linalg.cross(x, y, dim=0)), _numbers((3, 3), (3, 3))),
    Case("cross-broadcast", lambda x, y: torch.linalg.cross(x, y), (rand(2, 1, 3), rand(1, 4, 3))),
    _dynamic("cross-dynamic", lambda x: torch.linalg.cross(x, x.flip(1)), (2, 3), (1, 3), (9, 3)),
    *(
        Case(
            f"grouped_mm-{name}",
            functools.partial(torch._grouped_mm, offs=_ends(*ends)),
            _numbers(*shapes, dtype=dtype),
        )
        for name, ends, shapes, dtype in (
            ("rows", (2, 2, 7), ((7, 4), (3, 4, 8)), torch.float32),
            ("rows-of-one", (7,), ((7, 4), (1, 4, 8)), torch.float32),
            ("rows-half", (4, 6, 8), ((8, 8), (3, 8, 8)), _H),
            ("columns", (4, 4, 8), ((3, 2, 8), (8, 8)), torch.float32),
            ("inner", (4, 4, 12), ((3, 12), (12, 8)), torch.float32),
        )
    ),
    Case("grouped_mm-batch", torch._grouped_mm, _numbers((3, 2, 4), (3, 4, 8))),
    Case("grouped_mm-computed", _routed, (rand(7, 4), rand(3, 4, 8), rand(7, dtype=_I, low=0, high=3))),
    Case(
        "grouped_mm-dynamic",
        _routed,
        {"x": rand(7, 4), "w": rand(3, 4, 8), "group": rand(7, dtype=_I, low=0, high=3)},
        dynamic={"x": {0: ("n", 1, 7, 16)}, "group": {0: "n"}},
        others=[{"x": rand(n, 4), "w": rand(3, 4, 8), "group": rand(n, dtype=_I, low=0, high=3)} for n in (1, 12)],
    ),
    Case(
        "_int_mm",
        lambda x, y: torch._int_mm(x, y),
        {
            "x": rand(20, 16, dtype=torch.int8, low=-128, high=127),
            "y": rand(16, 24, dtype=torch.int8, low=-128, high=127),
        },
        {"x": {0: (18, 20, 40)}},
        [
            {"x": rand(rows, 16, dtype=torch.int8, low=-128, high=127), "y": rand(16, 24, dtype=torch.int8, high=9)}
            for rows in (18, 37)
        ],
    ),
]
