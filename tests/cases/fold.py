"""Sliding windows as columns, and back."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from tests.harness import Case, rand


def _unfold(*args: Any, **options: Any) -> Callable[..., torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        return F.unfold(x, *args, **options)

    return run


def _fold(*args: Any, **options: Any) -> Callable[..., torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        return F.fold(x, *args, **options)

    return run


def _there_and_back(x: torch.Tensor) -> torch.Tensor:
    columns = F.unfold(x, 3, padding=1, stride=2)
    return F.fold(columns * 2, x.shape[-2:], 3, padding=1, stride=2)


_SIZES = {"x": {0: (1, 2, 4), 2: (5, 6, 16), 3: (5, 9, 16)}}
_OTHERS = [rand(1, 3, 5, 16), rand(3, 3, 12, 7)]

CASES = [
    Case("unfold", _unfold((2, 3), padding=(1, 0), stride=(1, 2)), rand(2, 3, 6, 9)),
    Case("unfold-dilation", _unfold(3, dilation=(1, 2), padding=1), rand(2, 3, 6, 9)),
    Case("unfold-touching", _unfold((2, 3), stride=(2, 3)), rand(2, 3, 6, 9)),
    Case("unfold-unbatched", _unfold((2, 3)), rand(3, 6, 9)),
    Case("unfold-half", _unfold((2, 3)), rand(2, 3, 6, 9, dtype=torch.float16)),
    Case("unfold-dynamic", _unfold(3, padding=1, stride=2, dilation=2), rand(2, 3, 6, 9), _SIZES, _OTHERS),
    Case("fold", _fold((6, 9), (2, 3), stride=(1, 2)), rand(2, 3 * 6, 20)),
    Case("fold-padding", _fold((5, 7), 3, padding=(1, 2), stride=2), rand(2, 2 * 9, 3 * 5)),
    Case("fold-gaps", _fold((7, 8), 2, stride=3), rand(2, 2 * 4, 6)),
    Case("fold-dilation", _fold((6, 9), 2, dilation=(3, 2), stride=(1, 2)), rand(2, 2 * 4, 3 * 4)),
    Case("fold-touching", _fold((6, 9), (2, 3), stride=(2, 3)), rand(2, 3 * 6, 9)),
    Case("fold-unbatched", _fold((6, 9), (2, 3)), rand(3 * 6, 35)),
    Case("fold-dynamic", _there_and_back, rand(2, 3, 6, 9), _SIZES, _OTHERS),
]
