"""Look-ups in tables of vectors."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tests.harness import Case, rand


def _indices(*shape: int) -> torch.Tensor:
    return rand(*shape, dtype=torch.int64, low=0, high=10)


def _layer(module: nn.Module) -> nn.Module:
    torch.manual_seed(5)
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -2, 2)
    return module.eval()


def _bag(**options: Any) -> nn.Module:
    return _layer(nn.EmbeddingBag(10, 3, **options))


def _look_up(table: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return F.embedding(index, table)


class _Renormed(nn.Module):
    """A table whose rows are scaled down when looked up; on a copy, since that writes to the table."""

    def __init__(self, order: float) -> None:
        super().__init__()
        self.table, self.order = nn.Parameter(rand(10, 3)), order

    def forward(self, index: torch.Tensor) -> Any:
        table = self.table.detach().clone()
        return F.embedding(index, table, max_norm=1.0, norm_type=self.order), table


def _renormed(order: float) -> Callable[..., torch.Tensor]:
    def run(table: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return F.embedding(index, table.clone(), max_norm=1.5, norm_type=order)

    return run


def _operator(mode: int) -> Callable[..., Any]:
    def run(table: torch.Tensor, index: torch.Tensor) -> Any:
        return torch.embedding_bag(table, index, torch.tensor([0, 4, 4, 5]), False, mode)

    return run


def _weighted(table: torch.Tensor, index: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    return F.embedding_bag(index, table, torch.tensor([0, 3]), mode="sum", per_sample_weights=factors)


def _known_bags(index: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    return F.embedding_bag(index, table, torch.tensor([0, 0, 6]), mode="max", padding_idx=2)


def _plain(mode: int, padding_idx: int = -1, name: str = "_embedding_bag") -> Callable[..., Any]:
    function = getattr(torch.ops.aten, name)

    def run(table: torch.Tensor, index: torch.Tensor, offsets: torch.Tensor) -> Any:
        return function(table, index, offsets, False, mode, False, None, False, padding_idx)[0]

    return run


def _one_hot(index: torch.Tensor) -> Any:
    return F.one_hot(index, 11), F.one_hot(index[0, 0], 10), F.one_hot(index[:0], 12)


_ROWS = {"input": {0: (1, 2, 8)}}
_OFFSETS = {"input": {0: (1, 8, 20)}, "offsets": {0: (1, 4, 9)}}

CASES = [
    Case("table", _layer(nn.Embedding(10, 3)), _indices(2, 4)),
    Case("table-padding", _layer(nn.Embedding(10, 3, padding_idx=1)), _indices(2, 4)),
    Case("table-int32", _layer(nn.Embedding(10, 3)), _indices(2, 4).int()),
    Case("table-scalar", _layer(nn.Embedding(10, 3)), torch.tensor(7)),
    Case("table-half", _layer(nn.Embedding(10, 3)).half(), _indices(2, 4)),
    Case("table-run-time", _look_up, (rand(10, 3), _indices(2, 4))),
    Case("table-dynamic", _layer(nn.Embedding(10, 3)), _indices(2, 4), _ROWS, [_indices(1, 4), _indices(8, 4)]),
    Case("table-max-norm", _Renormed(2.0), _indices(2, 4)),
    Case("table-max-norm-3", _Renormed(3.0), _indices(4)),
    *(
        Case(f"table-max-norm-run-time-{order}", _renormed(order), (rand(10, 3), _indices(2, 4)))
        for order in (1.0, 2.0)
    ),
    Case("bag-sum", _bag(mode="sum"), _indices(2, 4)),
    Case("bag-mean", _bag(mode="mean", padding_idx=3), _indices(4, 5)),
    Case("bag-max", _bag(mode="max"), _indices(2, 4)),
    Case("bag-half", _bag(mode="mean").half(), _indices(2, 4)),
    Case("bag-offsets", _bag(mode="mean"), (_indices(8), torch.tensor([0, 3, 3, 5]))),
    Case("bag-include-last", _bag(mode="sum", include_last_offset=True), (_indices(8), torch.tensor([0, 3, 3, 8]))),
    Case("bag-known-offsets", _known_bags, (_indices(8), rand(10, 3))),
    Case("bag-weighted", _weighted, (rand(10, 3), _indices(8), rand(8))),
    Case("bag-all-results-sum", _operator(0), (rand(10, 3), _indices(8))),
    Case("bag-all-results-mean", _operator(1), (rand(10, 3), _indices(8))),
    Case("bag-all-results-max", _operator(2), (rand(10, 3).round(), _indices(8))),
    Case(
        "bag-dynamic",
        _bag(mode="max"),
        (_indices(8), torch.tensor([0, 3, 3, 5])),
        _OFFSETS,
        [(_indices(3), torch.tensor([0])), (_indices(20), torch.tensor([0, 2, 9, 10, 10, 20]))],
    ),
    Case(
        "bag-dynamic-rows",
        _bag(mode="mean", padding_idx=0),
        _indices(2, 4),
        _ROWS,
        [_indices(1, 4), _indices(8, 4)],
    ),
    *(
        Case(f"bag-plain-{mode}", _plain(mode), (rand(10, 3), _indices(8), torch.tensor([0, 3, 3, 5])))
        for mode in range(3)
    ),
    Case("bag-plain-padding", _plain(1, 2), (rand(10, 3), _indices(8), torch.tensor([0, 3, 3, 5]))),
    Case(
        "bag-plain-forward-only",
        _plain(0, name="_embedding_bag_forward_only"),
        (rand(10, 3), _indices(8), torch.tensor([0, 3])),
    ),
    Case(
        "embedding-dynamic-rows",
        lambda w, i: F.embedding(i, w, padding_idx=-1),
        {"w": rand(10, 3), "i": _indices(4)},
        {"w": {0: (10, 10, 16)}},
        [{"w": rand(12, 3), "i": _indices(4)}, {"w": rand(16, 3), "i": _indices(4)}],
    ),
    Case(
        "one_hot-dynamic-classes",
        lambda input: F.one_hot(input, input.size(0) + 11),
        _indices(2, 4),
        _ROWS,
        [_indices(1, 4), _indices(8, 4)],
    ),
    Case("one_hot", _one_hot, _indices(2, 4)),
    Case(
        "one_hot-dynamic", lambda input: F.one_hot(input, 10), _indices(2, 4), _ROWS, [_indices(1, 4), _indices(8, 4)]
    ),
]
