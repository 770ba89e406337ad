"""The operators of torch.ops.prims that are called as they are."""

from typing import Any

import torch

from tests.harness import Case, rand

prims = torch.ops.prims
_I = torch.int64
_WAVES = torch.arange(24.0).sin().reshape(2, 3, 4)


def _moves(x: torch.Tensor) -> Any:
    joined = prims.cat([prims.clone(x), prims.rev(x, [0, 2])], 1)
    return (
        joined,
        prims.rev((9 * x).abs().byte(), [1]),
        prims.transpose(x, [2, 0, 1]),
        prims.reshape(x, [4, 6]),
        prims.clone(x) + 1,
    )


def _decomposed(x: torch.Tensor) -> torch.Tensor:
    """Several on a tensor of dynamic size."""
    gap = x - prims.broadcast_in_dim(prims.var(x, [2], 0), x.shape, [0, 1])
    ratio: torch.Tensor = prims.rsqrt(prims.amax(gap * gap, [2]) + 1e-3)
    return prims.where(gap > 0, gap, prims.rev(gap, [2])) * prims.reshape(ratio, [x.shape[0], 3, 1])


CASES = [
    Case("sum", lambda x: (prims.sum(x, [0, 2]), prims.sum(x, [1])), rand(2, 3, 4)),
    Case("sum-int", lambda x: prims.sum(x, [0]), rand(2, 3, dtype=_I, low=-9, high=9)),
    Case("div", prims.div, (rand(2, 3), rand(2, 3, low=1.0))),
    Case("div-int", prims.div, (rand(9, dtype=_I, low=-9, high=9), rand(9, dtype=_I, low=1, high=5))),
    Case("broadcast_in_dim", lambda x: prims.broadcast_in_dim(x, [4, 2, 5, 3, 1], [1, 3]), rand(2, 3)),
    Case(
        "sum-dynamic",
        lambda x: prims.sum(x, [0]) + prims.sum(x, [0, 1]),
        {"x": rand(2, 3)},
        dynamic={"x": {0: (1, 2, 8)}},
        others=[{"x": rand(5, 3)}, {"x": rand(8, 3)}],
    ),
    Case("prod", lambda x: (prims.prod(x, [0, 2]), prims.prod(x, [1])), rand(2, 3, 4)),
    Case("convert_element_type", lambda x: prims.convert_element_type(x, torch.int32), rand(2, 3)),
    Case("view_of", lambda x: prims.view_of(x) + 1, rand(2, 3)),
    Case("collapse", lambda x: (prims.collapse(x, 1, 2), prims.collapse_view(x, 0, 3)), rand(2, 3, 4, 5)),
    Case("squeeze", lambda x: (prims.squeeze(x, [0, 2]), prims.squeeze(x, [])), rand(1, 3, 1, 5)),
    Case("split_dim", lambda x: prims.split_dim(x, 1, 3), rand(2, 6, 4)),
    Case(
        "views-dynamic",
        lambda x: (prims.split_dim(x, 0, 2), prims.collapse(x, 0, 1)),
        {"x": rand(4, 3, 2)},
        dynamic={"x": {0: (2, 4, 8)}},
        others=[{"x": rand(2, 3, 2)}, {"x": rand(8, 3, 2)}],
    ),
    Case("moves", _moves, _WAVES),
    Case("extrema", lambda x: (prims.amax(x, [0, 2]), prims.amin(x, [1]), prims.amax(x, []), prims.sum(x, [])), _WAVES),
    Case("var", lambda x: (prims.var(x, [0, 2], 0.0), prims.var(x, [1], 2), prims.var(x, [], 0.5)), _WAVES),
    Case("where", lambda x: prims.where(x > 0.2, x, x * 3), _WAVES),
    Case("rsqrt", lambda x: prims.rsqrt(x + 2), _WAVES),
    Case(
        "decomposed-dynamic",
        _decomposed,
        {"x": _WAVES},
        dynamic={"x": {0: (1, 2, 8)}},
        others=[{"x": _WAVES[:1]}, {"x": _WAVES.repeat(3, 1, 1)}],
    ),
]
