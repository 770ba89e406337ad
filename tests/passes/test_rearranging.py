"""Chains of reshapes and permutations, and linear layers between them."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

import torch2trt
from tests.passes.rewrites import check_rewrite, layer_types, users_handler
from torch2trt import core
from torch2trt.passes.arrangement import Arrangement, Mismatch
from torch2trt.passes.fold import fold

X = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))

CHAINS = {
    "reshape twice": (lambda x: x.view(6, 20).reshape(3, 2, 4, 5) + 1, 1, 1),
    "there and back": (lambda x: x.permute(1, 3, 0, 2).permute(2, 0, 3, 1) + 1, 1, 0),
    "reshape there and back": (lambda x: x.flatten(1).unflatten(1, (3, 4, 5)) + 1, 1, 0),
    "heads": (lambda x: x.view(2, 3, 20).view(2, 3, 10, 2).transpose(1, 2) + 1, 1, 1),
    "heads back": (lambda x: x.transpose(1, 2).contiguous().view(2, 4, 15) + 1, 1, 1),
    "permute and merge": (lambda x: x.permute(0, 2, 3, 1).reshape(2, 20, 3).unsqueeze(1) + 1, 1, 1),
    "window": (lambda x: x.view(2, 3, 2, 2, 5).permute(0, 2, 1, 3, 4).reshape(4, 6, 5) + 1, 1, 2),
    "squeeze": (lambda x: x.unsqueeze(0).transpose(0, 3).squeeze(3) + 1, 1, 1),
    "transposed axes of size 1": (lambda x: x.view(2, 1, 60).transpose(0, 1).reshape(120) + 1, 1, 1),
    "cuts across": (lambda x: x.transpose(2, 3).reshape(2, 3, 4, 5) + 1, 1, 1),
    "cuts across unevenly": (lambda x: x.view(8, 15).transpose(0, 1).reshape(12, 10).t() + 1, 2, 2),
    "one": (lambda x: x.transpose(1, 2) + 1, 0, 1),
    "read between": (lambda x: (x.transpose(1, 2) + 1, x.transpose(1, 2).reshape(2, 60)), 1, 2),
    "read by others too": (lambda x: _read_twice(x.transpose(1, 2)), 0, 2),
    "output": (lambda x: x.transpose(1, 2).transpose(1, 2), 1, 0),
}


def _read_twice(y):
    return y + 1, y.reshape(2, 60) + 1


@pytest.mark.parametrize("function, count, layers", CHAINS.values(), ids=CHAINS.keys())
def test_merge_views(function, count, layers):
    def copied(x):  # no input is an output
        return function(x * 2)

    prepared = torch2trt.convert(copied, X, optimize=["no_ops", "merge_views"])
    assert prepared.graph.rewrites["merge_views"] == count
    assert layer_types(prepared)["SHUFFLE"] == layers
    expected, actual = copied(X), prepared.evaluate(X)
    for left, right in zip(actual, expected, strict=True):
        torch.testing.assert_close(left, right)


def test_merged_views_of_a_dynamic_size():
    def function(x):
        return x.flatten(2).view(x.shape[0], 3, 10, 2).permute(0, 2, 1, 3).reshape(-1, 60) + 1

    dynamic = {"x": {0: (1, 2, 8)}}
    check_rewrite("merge_views", function, X, 1, dynamic=dynamic, others=[torch.randn(n, 3, 4, 5) for n in (1, 7)])


def test_views_of_two_dynamic_sizes():
    def function(x):
        y = x.transpose(0, 1).transpose(1, 2).unsqueeze(1).transpose(0, 1) * 2
        return y + x.reshape(x.shape[1], x.shape[0], 4, 5).sum()

    dynamic = {"x": {0: (1, 2, 8), 1: (1, 3, 8)}}
    check_rewrite("merge_views", function, X, 1, dynamic=dynamic, others=[torch.randn(4, 2, 4, 5)], half=False)


def test_two_unknown_sizes_that_a_reshape_exchanges_stay():
    def function(x):
        return x.flatten(2).reshape(x.shape[1], x.shape[0], 20) + 1

    dynamic = {"x": {0: (1, 2, 8), 1: (1, 3, 8)}}
    check_rewrite("merge_views", function, X, 0, dynamic=dynamic, others=[torch.randn(4, 2, 4, 5)])


def test_empty_tensors_are_left_alone():
    check_rewrite("merge_views", lambda x: x.view(0, 12).view(3, 0, 4).transpose(0, 1), torch.zeros(0, 3, 4), 0)


def test_a_users_handler_of_a_view_sees_it():
    with users_handler("aten::transpose.int") as seen:
        torch2trt.convert(lambda x: x.transpose(0, 1).transpose(0, 1) + 1, X)
    assert len(seen) == 2


def test_every_arrangement_of_small_tensors():
    """Each is what PyTorch makes of the same reshapes and permutations."""
    shapes = [(2, 3, 4), (6, 4), (2, 12), (3, 8), (1, 24), (4, 1, 6), (24,), (2, 2, 6)]
    tried = 0
    for base, first, second in itertools.product([(2, 3, 4), (6, 4), (24,)], shapes, shapes):
        for order in itertools.permutations(range(len(first))):
            x = torch.arange(24.0).view(base)
            arrangement = Arrangement(x.shape)
            try:
                arrangement.reshape(first)
                arrangement.permute(order)
                arrangement.reshape(second)
            except Mismatch:
                continue
            expected = x.reshape(first).permute(order).reshape(second)
            steps = arrangement.steps()
            assert steps is not None and len(steps) <= 2
            for op, arguments in steps:
                if op == "rearrange":
                    x = x.permute(arguments[0]).reshape(arguments[1]).permute(arguments[2])
                elif op == "split":
                    x = x.reshape(arguments[0]).permute(arguments[1])
                else:
                    x = x.reshape(arguments[0]) if op == "reshape" else x.permute(arguments[0])
            assert torch.equal(x, expected)
            tried += 1
    assert tried > 150


class Projected(nn.Module):
    """A linear layer between exchanges of batch and length, as nn.MultiheadAttention has."""

    def __init__(self, how: str) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.linear, self.how = nn.Linear(20, 6), how
        for tensor in self.parameters():
            tensor.data.copy_(torch.rand(tensor.shape, generator=generator))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = x.shape[0]
        if self.how == "exchanged":
            return self.linear(x.flatten(2).transpose(0, 1)).transpose(0, 1) + 1
        if self.how == "flat":
            return self.linear(x.reshape(n * 3, 20)).view(n, 3, 6) + 1
        if self.how == "heads":
            return self.linear(x.permute(1, 0, 2, 3).reshape(3 * n, 20)).view(3, n, 6).transpose(0, 1) + 1
        if self.how == "features from several axes":
            return self.linear(x.permute(1, 0, 3, 2).reshape(3, n, 20)).transpose(0, 1) + 1
        if self.how == "not undone":
            return self.linear(x.flatten(2).transpose(0, 1)) + 1
        return self.linear(x.flatten(2)).transpose(0, 1) + 1


@pytest.mark.parametrize(
    "how, count",
    [("exchanged", 1), ("flat", 1), ("heads", 1), ("features from several axes", 1), ("not undone", 0), ("plain", 0)],
)
def test_views_after_linear(how, count):
    module = Projected(how)
    check_rewrite("views_after_linear", module, X, count)
    dynamic = {"x": {0: (1, 2, 8)}}
    check_rewrite("views_after_linear", module, X, count, dynamic=dynamic, others=[torch.randn(5, 3, 4, 5)])


@pytest.mark.parametrize(
    "how, layers", [("exchanged", 1), ("flat", 1), ("heads", 1), ("features from several axes", 1)]
)
def test_what_comes_after_undoes_it(how, layers):
    converted = torch2trt.convert(Projected(how), X)
    assert layer_types(converted)["SHUFFLE"] == layers
    with torch.no_grad():
        torch.testing.assert_close(converted.evaluate(X), Projected(how)(X))


def test_multihead_attention_exchanges_nothing():
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = torch.randn(3, 5, 8)
    plan = fold(core.prepare(lambda x: module(x, x, x, need_weights=False)[0], x).graph)
    core.optimize_plan(plan)
    shapes = [value.shape for node in plan.nodes for value in node.outputs if node.kind == "aten::linear"]
    assert shapes == [(3, 5, 24), (3, 5, 8)]
