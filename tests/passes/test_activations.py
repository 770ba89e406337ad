"""Activations written out in arithmetic become one node."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import torch2trt
from tests.passes.rewrites import check_rewrite, users_handler

X = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
ROOT = math.sqrt(2 / math.pi)


class Learned(nn.Module):
    """GELU by a factor that is a parameter: a refit may change it."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x * (1 + torch.erf(x / math.sqrt(2)))


GELUS = {
    "erf": (lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))), 1),
    "erf, half last": (lambda x: x * (torch.erf(x * math.sqrt(0.5)) + 1) * 0.5, 1),
    "erf, divided": (lambda x: x * (1.0 + torch.erf(x / 1.41421)) / 2.0 * 1, 1),
    "tanh of gpt2": (lambda x: 0.5 * x * (1.0 + torch.tanh(ROOT * (x + 0.044715 * torch.pow(x, 3.0)))), 1),
    "tanh of bloom": (lambda x: x * 0.5 * (1.0 + torch.tanh(0.79788456 * x * (1 + 0.044715 * x * x))), 1),
    "of a product": (lambda x: _gelu(x * x.sin()), 1),
    "of a sum": (lambda x: _gelu(x + 1), 1),
    "twice": (lambda x: _gelu(_gelu(x)), 2),
    "other constant": (lambda x: 0.6 * x * (1 + torch.erf(x / math.sqrt(2))), 0),
    "other slope": (lambda x: 0.5 * x * (1 + torch.erf(x * 0.75)), 0),
    "other cube": (lambda x: 0.5 * x * (1.0 + torch.tanh(ROOT * (x + 0.05 * torch.pow(x, 3.0)))), 0),
    "other value": (lambda x: 0.5 * (x + 1) * (1 + torch.erf(x / math.sqrt(2))), 0),
    "plus alpha": (lambda x: 0.5 * x * torch.add(1.0, torch.erf(x / math.sqrt(2)), alpha=2), 0),
    "extra factor": (lambda x: 0.5 * x * x * (1 + torch.erf(x / math.sqrt(2))), 0),
    "learned": (Learned(), 0),
}


def _gelu(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


@pytest.mark.parametrize("function, count", GELUS.values(), ids=GELUS.keys())
def test_gelu(function, count):
    converted = check_rewrite("gelu", function, X, count)
    kinds = {converted.network.get_layer(index).name for index in range(converted.network.num_layers)}
    assert any(kind.startswith("gelu.") for kind in kinds) == bool(count)


def test_gelu_of_dynamic_sizes():
    check_rewrite("gelu", _gelu, X, 1, dynamic={"x": {0: (1, 3, 8), 2: (1, 5, 8)}}, others=[torch.randn(2, 4, 7)])


@pytest.mark.parametrize("name", ["aten::erf", "aten::gelu"])
def test_a_users_handler_of_a_part_sees_it(name):
    with users_handler(name) as seen:
        torch2trt.convert(_gelu, X)
    assert seen == (["aten::erf"] if name == "aten::erf" else ["aten::gelu"])


SILUS = {
    "product": (lambda x: x * torch.sigmoid(x), 1),
    "product, other order": (lambda x: x.sigmoid() * x, 1),
    "quotient": (lambda x: x / (1 + torch.exp(-x)), 1),
    "other value": (lambda x: x * torch.sigmoid(1.702 * x), 0),
    "other quotient": (lambda x: x / (2 + torch.exp(-x)), 0),
    "no minus": (lambda x: x / (1 + torch.exp(x)), 0),
}


@pytest.mark.parametrize("function, count", SILUS.values(), ids=SILUS.keys())
def test_silu(function, count):
    check_rewrite("silu", function, X, count)
