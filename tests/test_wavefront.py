"""The layers of a long recurrent network at once, and which steps are unrolled."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torch2trt
from tests.passes.rewrites import layer_types
from torch2trt.emit import wavefront

LENGTH = 20

FORMS = {
    "lstm": (nn.LSTM, {}),
    "lstm-projected": (nn.LSTM, {"proj_size": 5}),
    "lstm-no-bias": (nn.LSTM, {"bias": False}),
    "lstm-batch-first": (nn.LSTM, {"batch_first": True}),
    "gru": (nn.GRU, {}),
    "gru-no-bias": (nn.GRU, {"bias": False}),
    "tanh": (nn.RNN, {}),
    "relu": (nn.RNN, {"nonlinearity": "relu"}),
}


def make(kind, batch=2, layers=3, length=LENGTH, **options):
    """A recurrent network, and its input and initial states."""
    torch.manual_seed(0)
    module = kind(6, 8, layers, **options).eval()
    x = torch.randn((batch, length, 6) if module.batch_first else (length, batch, 6))
    states = [torch.randn(layers, batch, size) for size in (options.get("proj_size", 8), 8)]
    return module, x, tuple(states) if kind is nn.LSTM else states[0]


def loops(converted):
    return layer_types(converted)["TRIP_LIMIT"]


def flat(results):
    output, states = results
    return [output, *(states if isinstance(states, tuple) else [states])]


@pytest.mark.parametrize("given", [False, True], ids=["zeros", "states"])
@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("name", FORMS)
def test_all_forms(name, layers, given):
    kind, options = FORMS[name]
    module, x, states = make(kind, layers=layers, **options)
    inputs = (x, states) if given else (x,)
    converted = torch2trt.convert(module, inputs)
    assert loops(converted) == 1
    for actual, expected in zip(flat(converted.evaluate(*inputs)), flat(module(*inputs)), strict=True):
        torch.testing.assert_close(actual, expected.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "largest", "together"), [(2, 32 * 8, True), (2, 32 * 8 - 1, False), (3, 32 * 8, False)]
)
def test_small_matrices_of_two_layers_are_one(layers, largest, together, monkeypatch):
    monkeypatch.setattr(wavefront, "_SMALL", largest)
    module, x, states = make(nn.LSTM, layers=layers)
    converted = torch2trt.convert(module, (x, states))
    layers = [converted.network.get_layer(index) for index in range(converted.network.num_layers)]
    products = [tuple(layer.get_output(0).shape) for layer in layers if layer.type.name == "MATRIX_MULTIPLY"]
    assert ((2, 2 * 32) in products) == together
    for actual, expected in zip(flat(converted.evaluate(x, states)), flat(module(x, states)), strict=True):
        torch.testing.assert_close(actual, expected.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_other_weights(name):
    kind, options = FORMS[name]
    module, x, states = make(kind, **options)
    converted = torch2trt.convert(module, (x, states))
    module.load_state_dict({key: value * 0.5 for key, value in module.state_dict().items()})
    for actual, expected in zip(
        flat(converted.evaluate_with(module.state_dict(), x, states)), flat(module(x, states)), strict=True
    ):
        torch.testing.assert_close(actual, expected.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half(dtype):
    module, x, states = make(nn.LSTM)
    inputs = x.to(dtype), tuple(state.to(dtype) for state in states)
    converted = torch2trt.convert(module.to(dtype), inputs)
    assert loops(converted) == 1
    expected = module.float()(x.to(dtype).float(), tuple(state.to(dtype).float() for state in states))
    for actual, wanted in zip(flat(converted.evaluate(*inputs)), flat(expected), strict=True):
        torch.testing.assert_close(
            actual.float(), wanted.detach(), rtol=0, atol=5e-2 if dtype == torch.bfloat16 else 5e-3
        )


OTHERS = {
    "one layer": ({"layers": 1}, 1),
    "both directions": ({"layers": 2, "bidirectional": True}, 4),
    "many sequences": ({"layers": 2, "batch": 9}, 2),
    "a short sequence": ({"layers": 2, "length": 5}, 0),
}


@pytest.mark.parametrize("name", OTHERS)
def test_layer_after_layer_elsewhere(name):
    options, count = OTHERS[name]
    module, x, _ = make(nn.LSTM, **options)
    converted = torch2trt.convert(module, (x,))
    assert loops(converted) == count
    torch.testing.assert_close(converted.evaluate(x)[0], module(x)[0].detach(), rtol=1e-5, atol=1e-5)


def test_any_length():
    module, x, _ = make(nn.LSTM, layers=2)
    converted = torch2trt.convert(module, (x,), dynamic_shapes={"input": {0: (2, 20, 40)}})
    assert loops(converted) == 2
    longer = torch.randn(31, 2, 6)
    torch.testing.assert_close(converted.evaluate(longer)[0], module(longer)[0].detach(), rtol=1e-5, atol=1e-5)


class Stack(nn.Module):
    """Recurrent layers that are modules of their own."""

    def __init__(self, count):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.GRU(8, 8) for _ in range(count))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)[0]
        return x


@pytest.mark.parametrize("length, layers, unrolled", [(16, 6, 4), (8, 9, 8), (17, 2, 0)])
def test_a_network_unrolls_so_many_steps(length, layers, unrolled):
    module, x = Stack(layers).eval(), torch.randn(length, 2, 8)
    converted = torch2trt.convert(module, (x,))
    assert loops(converted) == layers - unrolled
    torch.testing.assert_close(converted.evaluate(x), module(x).detach())


@pytest.mark.parametrize(("size", "expected"), [(4, 0), (10, 1), (24, 1), (25, 2)])
def test_small_triangular_systems_are_unrolled(size, expected):
    """Elimination becomes a loop before substitution does, whose kernels TensorRT for RTX 1.4 compiles slowly."""
    assert loops(torch2trt.convert(torch.linalg.inv, torch.eye(size))) == expected
