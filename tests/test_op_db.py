"""PyTorch's own operator database: nothing may come out wrong; what cannot be converted is refused."""

from __future__ import annotations

import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

from tests.op_db import RIGHT, UNUSABLE, WRONG, run_dynamic, run_sample, samples

_OPS = [op for op in op_db if torch.float32 in op.dtypes]


def _check(ops, dtype: torch.dtype, most: int, dynamic: bool = False) -> dict[str, int]:
    counts = {RIGHT: 0, UNUSABLE: 0}
    wrong = []
    for op in ops:
        if dtype not in op.dtypes:
            continue
        for sample in samples(op, dtype, most):
            for status, why in run_dynamic(op, sample) if dynamic else [run_sample(op, sample)]:
                counts[status] = counts.get(status, 0) + 1
                if status == WRONG:
                    wrong.append(f"{op.name}: {why}")
    assert not wrong, "\n".join(wrong)
    return counts


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(4))
def test_some_operators(part: int) -> None:
    counts = _check(_OPS[part * 3 :: 12], torch.float32, most=2)
    assert counts[RIGHT] > 40


@pytest.mark.filterwarnings("ignore")
def test_some_operators_at_other_sizes() -> None:
    counts = _check(_OPS[1::12], torch.float32, most=1, dynamic=True)
    assert counts[RIGHT] > 20


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64], ids=str)
@pytest.mark.parametrize("part", range(4))
def test_all_operators_at_other_sizes(part: int, dtype: torch.dtype) -> None:
    _check(_OPS[part::4], dtype, most=3, dynamic=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("part", range(8))
def test_all_operators(part: int, dtype: torch.dtype) -> None:
    _check(_OPS[part::8], dtype, most=8)
