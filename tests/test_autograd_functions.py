"""Custom autograd functions: traced operator by operator."""

from __future__ import annotations

import concurrent.futures

import pytest
import torch
from torch import nn

from tests.harness import trace
from torch2trt import errors


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.exp(x) * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def test_custom_autograd_function_is_looked_into():
    graph = trace(lambda x: Double.apply(x + 1), torch.randn(2))
    assert [node.kind for node in graph.nodes] == ["aten::add", "aten::exp", "aten::mul"]


class ByLayer(torch.autograd.Function):
    """A module and a list among its arguments, and two results."""

    @staticmethod
    def forward(ctx, x, layer, others):
        ctx.save_for_backward(x)
        assert not any(ctx.needs_input_grad)
        return layer(x), x * others[0]


class WithoutContext(torch.autograd.Function):
    @staticmethod
    def forward(x, factor=3):
        return x * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        raise AssertionError("no gradient is asked for")


double = Double.apply  # as many packages hold it


def test_custom_autograd_functions_are_their_forward():
    layer = nn.Linear(2, 2)

    def function(x):
        first, second = ByLayer.apply(x, layer, [x + 1, x])
        return WithoutContext.apply(double(first)) + second

    graph = trace(function, torch.randn(1, 2))
    kinds = [node.kind.removeprefix("aten::") for node in graph.nodes]
    assert kinds == ["add", "linear", "mul", "exp", "mul", "mul", "add"]
    assert set(graph.parameters) == {"layer.weight", "layer.bias"}


def test_custom_autograd_functions_of_traced_modules_are_looked_into():
    class Calls(nn.Module):
        def forward(self, x):
            return double(x) + 1

    x = torch.randn(2)
    inner = torch.jit.trace(Calls(), x)
    graph = trace(nn.Sequential(inner, nn.ReLU()).eval(), x)
    assert [node.kind for node in graph.nodes] == ["aten::exp", "aten::mul", "aten::add", "aten::relu"]


class FilledByNumpy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        result = torch.empty_like(x)
        result.numpy()[:] = 1.0
        return result


class FilledByParts(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        result = torch.empty_like(x)
        result[0], result[1:] = x[1], x[:1]
        return result


def test_what_compiled_code_fills_is_refused():
    with pytest.raises(errors.TraceError, match=r"FilledByNumpy fills its result in compiled code") as error:
        trace(lambda x: FilledByNumpy.apply(x) + 1, torch.randn(2))
    assert "test_autograd_functions.py:" in str(error.value)
    assert trace(lambda x: FilledByParts.apply(x), torch.randn(2)).nodes


def test_functions_of_other_threads_keep_their_gradients():
    class Watched(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x = x * 2
            if not seen:
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    seen.append(pool.submit(lambda: double(torch.ones(2, requires_grad=True)).requires_grad).result())
            return x

    seen: list[bool] = []
    trace(lambda x: Watched.apply(x), torch.randn(2))
    assert seen == [True]
    assert double(torch.ones(2, requires_grad=True)).requires_grad
