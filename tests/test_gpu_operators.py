"""Operators that PyTorch has on GPUs alone: what is refused, and the stand-ins against the kernels of a GPU."""

from __future__ import annotations

import pytest
import torch

import torch2trt
from tests import gpu_operators, harness
from tests.harness import rand
from torch2trt.errors import UnsupportedArgumentError

_aten = torch.ops.aten

CALLS = {
    "lstm": ("_thnn_fused_lstm_cell", (rand(2, 16), rand(2, 16), rand(2, 4), rand(16), rand(16)), {}),
    "lstm-no-bias": ("_thnn_fused_lstm_cell", (rand(2, 16), rand(2, 16), rand(2, 4)), {}),
    "gru": ("_thnn_fused_gru_cell", (rand(2, 12), rand(2, 12), rand(2, 4), rand(12), rand(12)), {}),
    "gru-no-bias": ("_thnn_fused_gru_cell", (rand(2, 12), rand(2, 12), rand(2, 4)), {}),
}
"""Operator, arguments, how many of the results are compared (all by default)."""


def _on_gpu(value):
    return value.cuda() if isinstance(value, torch.Tensor) else value


@pytest.mark.gpu
@pytest.mark.parametrize("name", CALLS)
def test_stand_in(name):
    operator, args, options = CALLS[name]
    rtol, count = options.get("rtol", 1e-4), options.get("count")
    with torch.no_grad():
        expected = getattr(_aten, operator)(*[_on_gpu(arg) for arg in args])
        actual = getattr(_aten, operator)(*args)
    expected, actual = (r if isinstance(r, tuple) else (r,) for r in (expected, actual))
    harness.assert_same(list(actual[:count]), list(expected[:count]), rtol=rtol)


def test_every_stand_in_is_held_against_a_gpu():
    assert {operator for operator, _, _ in CALLS.values()} == gpu_operators.NAMES


def test_results_for_a_backward_pass_are_refused():
    gates, state = torch.randn(2, 16), torch.randn(2, 4)
    with pytest.raises(UnsupportedArgumentError, match="does not compute the workspace of a cell") as caught:
        torch2trt.convert(lambda gates, state: _aten._thnn_fused_lstm_cell(gates, gates, state)[2] + 1, (gates, state))
    assert caught.value.location.kind == "aten::_thnn_fused_lstm_cell" and caught.value.hint
