"""Gradients that modules take in forward: followed by the trace, or refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torch2trt
from tests import harness
from torch2trt import errors


def _with_gradients(x, w):
    """Gradients of several values at once, weighted and not."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = (x * x) @ w
        (weighted,) = torch.autograd.grad(y, x, torch.cos(y.detach()), create_graph=True)
        several = torch.autograd.grad([y, weighted.sum()], [x], [2 * torch.ones_like(y), None])
    return weighted.detach(), several[0]


def test_gradients_of_weighted_values():
    x, w = harness.rand(3, 4), harness.rand(4, 5)
    converted = torch2trt.convert(_with_gradients, (x, w), dynamic_shapes={"x": {0: (1, 3, 8)}})
    for rows in (3, 1, 8):
        x = harness.rand(rows, 4)
        harness.assert_same(converted.evaluate(x, w), _with_gradients(x, w), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "function", [nn.LogSigmoid(), lambda x: torch.einsum("ij,kj->ik", x, x).exp(), nn.MaxPool1d(2)]
)
def test_gradients_of_what_the_trace_lacks_are_refused(function):
    """A constant of the trace in its place would give the example's gradient for every input."""

    def slope(x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(function(x).sum(), x)[0]

    with pytest.raises(errors.TraceError, match="a gradient is computed of a result that the trace does not hold"):
        torch2trt.convert(slope, harness.rand(3, 4))


def test_parameters_are_differentiable_after_a_trace():
    linear = nn.Linear(4, 4)
    linear.bias.requires_grad_(False)

    def slope(x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(linear(x).tanh().sum(), x)[0]

    x = harness.rand(3, 4)
    converted = torch2trt.convert(slope, harness.rand(3, 4))
    harness.assert_same(converted.evaluate(x), slope(x), rtol=1e-5, atol=1e-6)
    assert [parameter.requires_grad for parameter in linear.parameters()] == [True, False]
