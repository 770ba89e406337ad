"""No-ops, common subexpressions, dead nodes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torch2trt
from tests.passes.rewrites import check_rewrite, users_handler
from torch2trt import core
from torch2trt.passes.fold import fold
from torch2trt.passes.simplify import dead_nodes

X = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))

NO_OPS = {
    "to": (lambda x: x.to(torch.float32).exp(), 1),
    "to another": (lambda x: x.to(torch.float16).to(torch.float32), 0),
    "contiguous": (lambda x: x.transpose(0, 1).contiguous() + 1, 1),
    "dropout": (lambda x: nn.functional.dropout(x, 0.5, training=False) + 1, 1),
    "view": (lambda x: x.view(3, 4, 5) * 2, 1),
    "other view": (lambda x: x.view(3, 5, 4) * 2, 0),
    "exchanged sizes": (lambda x: x.transpose(0, 1) * 2, 0),
    "expand": (lambda x: x.expand(3, 4, 5) * 2, 1),
    "slice": (lambda x: x[:, :] * 2, 2),
    "short slice": (lambda x: x[1:] * 2, 0),
    "flip by a slice of the same sizes": (lambda x: x.flip(0) * 2, 0),
    "chain": (lambda x: x.contiguous().view(3, 4, 5).to(torch.float32).detach() + 1, 4),
    "as the output": (lambda x: (x + 1).contiguous(), 1),
}


@pytest.mark.parametrize("function, count", NO_OPS.values(), ids=NO_OPS.keys())
def test_no_ops(function, count):
    check_rewrite("no_ops", function, X, count)


def test_no_ops_of_dynamic_sizes():
    def function(x):
        return x[:, :].to(torch.float32).reshape(x.shape[0], -1, x.shape[2]) + 1

    others = [torch.randn(5, 4, 6), torch.randn(2, 4, 9)]
    check_rewrite("no_ops", function, X, 3, dynamic={"x": {0: (1, 3, 8), 2: (1, 5, 16)}}, others=others)


def test_a_view_that_exchanges_unknown_sizes_stays():
    def function(x):
        return x.reshape(x.shape[1], x.shape[0]) + 1

    x = torch.arange(6.0).view(2, 3)
    dynamic = {"x": {0: (1, 2, 8), 1: (1, 3, 8)}}
    check_rewrite("no_ops", function, x, 0, dynamic=dynamic, others=[torch.arange(20.0).view(4, 5)])


def test_dropout_in_training_is_no_no_op():
    prepared = core.prepare(lambda x: nn.functional.dropout(x, 0.5, training=True), X)
    plan = fold(prepared.graph)
    assert core.optimize_plan(plan, ["no_ops"]) == {"no_ops": 0}


def test_no_ops_leave_a_users_handler_its_node():
    with users_handler("aten::contiguous") as seen:
        torch2trt.convert(lambda x: x.contiguous() + 1, X)
    assert seen == ["aten::contiguous"]


SUBEXPRESSIONS = {
    "same": (lambda x: x.exp() + x.exp(), 1),
    "chain": (lambda x: (x.exp() * 2).sin() + (x.exp() * 2).sin(), 3),
    "other number": (lambda x: x * 2 + x * 3, 0),
    "sign of zero": (
        lambda x: torch.copysign(x, torch.full_like(x, 0.0)) + torch.copysign(x, -torch.zeros(3, 4, 5)),
        0,
    ),
    "other type of number": (lambda x: torch.full_like(x, 1.0) + x * True + x * 1, 0),
    "two outputs": (lambda x: (x.exp(), x.exp()), 0),
    "weights": (lambda x: nn.functional.linear(x, WEIGHT) + nn.functional.linear(x, WEIGHT), 1),
}
WEIGHT = torch.randn(5, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("function, count", SUBEXPRESSIONS.values(), ids=SUBEXPRESSIONS.keys())
def test_common_subexpressions(function, count):
    check_rewrite("common_subexpressions", function, X, count)


def test_random_numbers_are_drawn_twice():
    def function(x):
        return torch.rand_like(x) - torch.rand_like(x)

    plan = fold(core.prepare(function, X).graph)
    assert core.optimize_plan(plan, ["common_subexpressions"]) == {"common_subexpressions": 0}


def test_sizes_are_common_subexpressions():
    def function(x):
        return x.flatten(0, 1).reshape(x.shape[0], -1) + x.reshape(x.shape[0], -1)

    check_rewrite(
        "common_subexpressions",
        function,
        X,
        3,
        dynamic={"x": {0: (1, 3, 8), 1: (1, 4, 8)}},
        others=[torch.randn(2, 7, 5)],
    )


def test_subexpressions_with_a_users_handler_stay():
    with users_handler("aten::exp") as seen:
        torch2trt.convert(lambda x: x.exp() + x.exp(), X)
    assert seen == ["aten::exp"] * 2


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return scripted(x)


@torch.jit.script
def scripted(x: torch.Tensor) -> torch.Tensor:
    if bool(x.sum() > 0):
        unused = x.exp().sin()
        y, unused = x + 1, unused * 2
    else:
        y, unused = x - 1, x
    return y


def test_dead_nodes_in_a_branch():
    prepared = core.prepare(Branch(), X)
    plan = fold(prepared.graph)
    kinds = {inner.kind for node in plan.nodes for block in node.blocks for inner in block.nodes}
    before = "aten::sin" in kinds
    count = dead_nodes(plan)
    kinds = {inner.kind for node in plan.nodes for block in node.blocks for inner in block.nodes}
    assert "aten::sin" not in kinds and "aten::add" in kinds
    assert (count >= 2) == before
    check_rewrite("dead_nodes", Branch(), X, count, others=[-X], half=False)
