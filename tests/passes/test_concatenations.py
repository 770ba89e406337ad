"""Concatenations and slices that undo each other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torch2trt
from tests.passes.rewrites import check_rewrite, layer_types, users_handler

X = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
COS, SIN = (
    torch.rand(3, 8, generator=torch.Generator().manual_seed(1)),
    torch.rand(1, 3, 8, generator=torch.Generator().manual_seed(2)),
)


def cat(*parts):
    return torch.cat(parts, -1) + 1


JOINED = {
    "all": (lambda x: cat(x[..., :3], x[..., 3:]), 1),
    "a part": (lambda x: cat(x[..., 1:3], x[..., 3:7]), 1),
    "halves exchanged": (lambda x: cat(x[..., 4:], x[..., :4]), 1),
    "unequal parts exchanged": (lambda x: cat(x[..., 3:], x[..., :1], x[..., 1:3]), 1),
    "split": (lambda x: cat(*x.split([2, 5, 1], -1)), 1),
    "chunk": (lambda x: cat(*x.chunk(3, 2)), 1),
    "split, other order": (lambda x: cat(*reversed(x.split(4, -1))), 1),
    "a gap": (lambda x: cat(x[..., :3], x[..., 4:]), 0),
    "an overlap": (lambda x: cat(x[..., :3], x[..., 2:]), 0),
    "twice": (lambda x: cat(x[..., 4:], x[..., :4], x[..., 4:]), 0),
    "a step": (lambda x: cat(x[..., :4:2], x[..., 4:]), 0),
    "another axis": (lambda x: torch.cat([x[:, :, :4], x[:, :, 4:]], 0), 0),
    "another tensor": (lambda x: cat(x[..., :4], (x * 2)[..., 4:]), 0),
}


@pytest.mark.parametrize("function, count", JOINED.values(), ids=JOINED.keys())
def test_join_parts(function, count):
    converted = check_rewrite("join_parts", function, X, count)
    assert layer_types(converted)["CONCATENATION"] == (1 - count)


def test_join_parts_beside_a_dynamic_size():
    dynamic, others = {"x": {0: (1, 2, 8)}}, [torch.randn(5, 3, 8)]
    check_rewrite("join_parts", JOINED["halves exchanged"][0], X, 1, dynamic=dynamic, others=others)


def test_an_axis_of_unknown_size_is_left_alone():
    dynamic, others = {"x": {2: (5, 8, 16)}}, [torch.randn(2, 3, 11)]
    check_rewrite("join_parts", JOINED["all"][0], X, 0, dynamic=dynamic, others=others)


PARTS = {
    "slice": (lambda x: torch.cat([x.sin(), x.cos()], -1)[..., 8:] + 1, 1),
    "split": (lambda x: torch.cat([x.sin(), x.cos()], 1).chunk(2, 1)[1] + 1, 2),
    "across": (lambda x: torch.cat([x.sin(), x.cos()], -1)[..., 2:9] + 1, 0),
    "another axis": (lambda x: torch.cat([x.sin(), x.cos()], 1)[..., :3] + 1, 0),
    "promoted": (lambda x: torch.cat([x.sin(), x.half()], -1)[..., 8:] + 1, 0),
}


@pytest.mark.parametrize("function, count", PARTS.values(), ids=PARTS.keys())
def test_parts_of_joined(function, count):
    converted = check_rewrite("parts_of_joined", function, X, count)
    assert (layer_types(converted)["CONCATENATION"] == 0) == bool(count)


class Rotary(nn.Module):
    """As Llama rotates queries and keys."""

    def __init__(self, factor: torch.Tensor = SIN) -> None:
        super().__init__()
        self.factor = nn.Parameter(factor.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rotated = torch.cat((-x[..., 4:], x[..., :4]), dim=-1)
        return x * COS + rotated * self.factor


SIGNS = {
    "rotary": (Rotary(), 1),
    "one number": (lambda x: torch.cat([-x, x], -1) * 2, 0),
    "one column": (lambda x: torch.cat([-x, x], -1) * torch.ones(3, 1), 0),
    "no sign": (lambda x: torch.cat([x[..., 4:], x[..., :4]], -1) * SIN, 0),
    "another axis": (lambda x: torch.cat([-x, x], 0) * SIN, 0),
    "read twice": (lambda x: _twice(torch.cat([-x[..., 4:], x[..., :4]], -1)), 0),
}


def _twice(rotated):
    return rotated * SIN + rotated


@pytest.mark.parametrize("function, count", SIGNS.values(), ids=SIGNS.keys())
def test_signs_into_constants(function, count):
    converted = check_rewrite("signs_into_constants", function, X, count)
    assert not count or layer_types(converted)["UNARY"] == 0


def test_a_rotation_is_four_layers():
    module = Rotary()
    converted = torch2trt.convert(module, X)
    kinds = layer_types(converted)
    assert (kinds["SLICE"], kinds["ELEMENTWISE"], kinds["CONCATENATION"], kinds["UNARY"]) == (1, 3, 0, 0)
    torch.testing.assert_close(converted.evaluate(X), module(X).detach())
    state = {"factor": SIN + 1}
    expected = Rotary(SIN + 1)(X).detach()
    torch.testing.assert_close(converted.evaluate_with(state, X), expected)


@pytest.mark.parametrize("name", ["aten::cat", "aten::slice.Tensor", "aten::neg"])
def test_a_users_handler_of_a_part_of_a_rotation_sees_it(name):
    with users_handler(name) as seen:
        torch2trt.convert(Rotary(), X)
    assert len(seen) == (2 if "slice" in name else 1)
