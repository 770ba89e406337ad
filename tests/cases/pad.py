"""Padding."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from tests.harness import Case, rand

aten = torch.ops.aten


def _pad(amounts: Sequence[int], mode: str = "constant", value: float | None = None) -> Callable[..., torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        return F.pad(x, amounts, mode, value)

    return run


def _call(function: Any, *args: Any) -> Callable[..., torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = function(x, *args)
        return result

    return run


def _to_a_multiple(x: torch.Tensor) -> torch.Tensor:
    return F.pad(x, (0, -x.shape[-1] % 8, 0, -x.shape[-2] % 8), value=-1.0)


_SIZES = {"x": {0: (1, 2, 8), 2: (4, 5, 20), 3: (4, 6, 20)}}
_OTHERS = [rand(1, 3, 4, 20), rand(8, 3, 13, 5)]

CASES = [
    Case("constant", _pad((1, 2)), rand(2, 5)),
    Case("constant-value", _pad((1, 2, 0, 3), value=0.5), rand(2, 3, 5, 6)),
    Case("constant-infinite", _pad((1, 2), value=float("-inf")), rand(2, 5)),
    Case("constant-negative", _pad((-1, 2, 3, -2), value=1.5), rand(2, 3, 5, 6)),
    Case("constant-nothing", _pad((0, 0)), rand(2, 5)),
    Case("constant-integers", _pad((1, 1), value=7), rand(2, 5, dtype=torch.int64, low=-9, high=9)),
    Case("constant-bool", _pad((1, 1), value=True), rand(2, 5, dtype=torch.bool)),
    Case("constant-uint8", _pad((1, -1), value=200), rand(2, 5, dtype=torch.uint8, low=0, high=255)),
    Case("constant-half", _pad((1, 1), value=0.1), rand(2, 5, dtype=torch.float16)),
    Case("constant-rank8", _pad((1, 0, 0, 1)), rand(1, 2, 1, 2, 1, 2, 2, 3)),
    Case("constant-empty", _pad((1, 1), value=3.0), rand(2, 0)),
    Case("constant-dynamic", _pad((1, 2, 3, -1), value=2.0), rand(2, 3, 5, 6), _SIZES, _OTHERS),
    Case("constant-to-a-multiple", _to_a_multiple, rand(2, 3, 5, 6), _SIZES, _OTHERS),
    Case("constant_pad_nd", _call(aten.constant_pad_nd, [1, 1], 0.25), rand(2, 5)),
    Case("reflect1d", _pad((2, 3), "reflect"), rand(2, 3, 5)),
    Case("reflect2d", _pad((2, 1, 0, 3), "reflect"), rand(2, 3, 5, 6)),
    Case("reflect2d-unbatched", _pad((2, 1, 0, 3), "reflect"), rand(3, 5, 6)),
    Case("reflect2d-dynamic", _pad((2, 1, 3, 3), "reflect"), rand(2, 3, 5, 6), _SIZES, _OTHERS),
    Case("reflect3d", _pad((2, 1, 0, 3, 1, 1), "reflect"), rand(2, 3, 4, 5, 6)),
    Case("replicate1d", _pad((7, 3), "replicate"), rand(2, 3, 5)),
    Case("replicate2d", _pad((2, 1, 0, 3), "replicate"), rand(2, 3, 5, 6)),
    Case("replicate2d-negative", _pad((2, -1, -2, 3), "replicate"), rand(2, 3, 5, 6)),
    Case("replicate2d-dynamic", _pad((2, 1, 3, 3), "replicate"), rand(2, 3, 5, 6), _SIZES, _OTHERS),
    Case("replicate3d", _pad((2, 1, 0, 3, 1, 1), "replicate"), rand(2, 3, 4, 5, 6)),
    Case("circular1d", _pad((2, 3), "circular"), rand(2, 3, 5)),
    Case("circular2d", _pad((2, 1, 0, 3), "circular"), rand(2, 3, 5, 6)),
    Case("circular2d-negative", _pad((2, -1, -2, 3), "circular"), rand(2, 3, 5, 6)),
    Case("circular2d-dynamic", _pad((2, 1, 3, 3), "circular"), rand(2, 3, 5, 6), _SIZES, _OTHERS),
    Case("reflection_pad1d", _call(aten.reflection_pad1d, [1, 2]), rand(2, 3, 5)),
    Case("reflection_pad2d", _call(aten.reflection_pad2d, [1, 2, 0, 1]), rand(2, 3, 5, 6)),
    Case("reflection_pad3d", _call(aten.reflection_pad3d, [1, 2, 0, 1, 1, 1]), rand(2, 3, 4, 5, 6)),
    Case("replication_pad1d", _call(aten.replication_pad1d, [1, 2]), rand(2, 3, 5)),
    Case("replication_pad2d", _call(aten.replication_pad2d, [1, 2, 0, 1]), rand(2, 3, 5, 6)),
    Case("replication_pad3d", _call(aten.replication_pad3d, [1, 2, 0, 1, 1, 1]), rand(2, 3, 4, 5, 6)),
    Case("_pad_circular", _call(aten._pad_circular, [1, 2]), rand(2, 3, 5)),
    Case("_pad_enum", _call(aten._pad_enum, [1, 2], 2), rand(2, 3, 5)),
]
