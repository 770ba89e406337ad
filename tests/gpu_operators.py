"""CPU kernels for operators that PyTorch has on GPUs alone, so that a trace on the CPU can hold them.

Each is written from PyTorch's documentation of the layer that it belongs to, or calls the operator for all devices;
``test_gpu_operators.py`` holds them against the kernels of a GPU. Importing this module registers them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

NAMES: set[str] = set()
_LIBRARY = torch.library.Library("aten", "IMPL")


def _kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    _LIBRARY.impl(function.__name__, function, "CPU")
    NAMES.add(function.__name__)
    return function


@_kernel
def _thnn_fused_lstm_cell(input_gates, hidden_gates, cx, input_bias=None, hidden_bias=None):
    """torch.nn.LSTMCell's formulas; the workspace holds the gates."""
    gates = _with_bias(input_gates, input_bias) + _with_bias(hidden_gates, hidden_bias)
    i, f, g, o = gates.chunk(4, 1)
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    cell = f * cx + i * g
    return o * torch.tanh(cell), cell, torch.cat((i, f, g, o), 1)


@_kernel
def _thnn_fused_gru_cell(input_gates, hidden_gates, hx, input_bias=None, hidden_bias=None):
    """torch.nn.GRUCell's formulas; the workspace holds the gates, the state and the hidden part of the new gate."""
    ours, theirs = _with_bias(input_gates, input_bias), _with_bias(hidden_gates, hidden_bias)
    (ri, zi, ni), (rh, zh, nh) = ours.chunk(3, 1), theirs.chunk(3, 1)
    r, z = torch.sigmoid(ri + rh), torch.sigmoid(zi + zh)
    n = torch.tanh(ni + r * nh)
    return (1 - z) * n + z * hx, torch.cat((r, z, n, hx, nh), 1)


def _with_bias(gates: Tensor, bias: Tensor | None) -> Tensor:
    return gates if bias is None else gates + bias
