"""Norms written out in arithmetic become one node."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torch2trt
from tests.passes.rewrites import check_rewrite, layer_types, users_handler

X = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0))


class Rms(nn.Module):
    """As Llama writes it."""

    def __init__(self, *, cast: bool = True, plus: float = 0.0, eps: float = 1e-6, axis: int = -1) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn(6, generator=generator))
        self.cast, self.plus, self.eps, self.axis = cast, plus, eps, axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.to(torch.float32) if self.cast else x
        normed = wide * torch.rsqrt(wide.pow(2).mean(self.axis, keepdim=True) + self.eps)
        return (self.plus + self.weight if self.plus else self.weight) * normed.to(x.dtype)


class T5(Rms):
    """As T5 writes it: a square by hand."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * (x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.eps))


NORMS = {
    "llama": (Rms(), 1),
    "no casts": (Rms(cast=False), 1),
    "gemma": (Rms(plus=1.0), 1),
    "t5": (T5(), 1),
    "no weight": (lambda x: x * torch.rsqrt(x.square().mean(2, True) + 1e-5), 1),
    "other axis": (lambda x: x * torch.rsqrt(x.square().mean(1, True) + 1e-5), 0),
    "a cube": (lambda x: x * torch.rsqrt(x.pow(4).mean(-1, True) + 1e-5), 0),
    "of another value": (lambda x: x * torch.rsqrt((x + 1).pow(2).mean(-1, True) + 1e-5), 0),
    "eps times alpha": (lambda x: x * torch.rsqrt(torch.add(x.pow(2).mean(-1, True), 0.5, alpha=2)), 0),
}


@pytest.mark.parametrize("function, count", NORMS.values(), ids=NORMS.keys())
def test_rms_norm(function, count):
    check_rewrite("rms_norm", function, X, count)


def test_a_half_precision_norm_in_float32_is_one_of_half():
    module, x = Rms().half(), X.half()
    converted = torch2trt.convert(module, x, optimize=["rms_norm"])
    plain = torch2trt.convert(module, x, optimize=False)
    assert converted.graph.rewrites == {"rms_norm": 1}
    assert layer_types(converted)["CAST"] == layer_types(plain)["CAST"] == 2
    torch.testing.assert_close(converted.evaluate(x), module(x).detach(), rtol=2e-3, atol=2e-3)


def test_rms_norm_of_dynamic_sizes_and_new_weights():
    module = Rms()
    converted = check_rewrite(
        "rms_norm", module, X, 1, dynamic={"x": {0: (1, 3, 8), 1: (1, 4, 8)}}, others=[torch.randn(1, 7, 6)]
    )
    state = {"weight": torch.arange(6.0)}
    module.load_state_dict(state)
    torch.testing.assert_close(converted.evaluate_with(state, X), module(X).detach())


def test_a_users_handler_of_a_part_of_a_norm_sees_it():
    with users_handler("aten::rsqrt") as seen:
        converted = torch2trt.convert(Rms(), X)
    assert seen == ["aten::rsqrt"] and converted.graph.rewrites["rms_norm"] == 0


class Layer(nn.Module):
    """A layer norm by hand."""

    def __init__(self, kind: str = "pow", *, weight: bool = True, bias: bool = True) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        self.weight = nn.Parameter(torch.randn(6, generator=generator)) if weight else None
        self.bias = nn.Parameter(torch.randn(6, generator=generator)) if bias else None
        self.kind = kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        if self.kind == "var":
            y = centred / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-6)
        elif self.kind == "unbiased":
            y = centred / torch.sqrt(x.var(-1, keepdim=True) + 1e-6)
        elif self.kind == "other":
            y = centred / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        else:
            y = centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + 1e-6)
        y = y if self.weight is None else self.weight * y
        return y if self.bias is None else y + self.bias


LAYERS = {
    "pow": (Layer(), 1),
    "var": (Layer("var"), 1),
    "no bias": (Layer(bias=False), 1),
    "bias alone": (Layer(weight=False), 1),
    "plain": (Layer(weight=False, bias=False), 1),
    "unbiased": (Layer("unbiased"), 0),
    "other": (Layer("other"), 0),
}


@pytest.mark.parametrize("module, count", LAYERS.values(), ids=LAYERS.keys())
def test_layer_norm(module, count):
    converted = check_rewrite("layer_norm", module, X, count)
    assert layer_types(converted)["NORMALIZATION"] == count
    assert not count or not layer_types(converted)["REDUCE"]


def test_layer_norm_of_new_weights():
    module = Layer()
    converted = torch2trt.convert(module, X, optimize=["layer_norm"])
    state = {"weight": torch.arange(6.0), "bias": torch.ones(6)}
    module.load_state_dict(state)
    torch.testing.assert_close(converted.evaluate_with(state, X), module(X).detach(), rtol=1e-4, atol=1e-5)
