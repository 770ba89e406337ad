"""Queries, keys and values that one linear layer gives are brought apart at once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torch2trt
from tests.passes.rewrites import check_rewrite, layer_types, users_handler

X = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
HEADS, WIDTH = 3, 4


def heads(part):
    return part.unflatten(-1, (HEADS, WIDTH)).transpose(1, 2)


def slices(y):
    return [heads(part) for part in (y[..., 24:], y[..., :12], y[..., 12:24])]


def permuted(y):
    return y.reshape(*y.shape[:-1], 3, HEADS, WIDTH).permute(2, 0, 3, 1, 4)


FORMS = {
    "slices": (slices, 1),
    "chunks": (lambda y: [heads(part) for part in y.chunk(3, -1)], 1),
    "split": (lambda y: [heads(part) for part in y.split([12, 12, 12], -1)], 1),
    "unbound": (lambda y: permuted(y).unbind(0), 1),
    "selected": (lambda y: [permuted(y)[1], permuted(y)[2] + 1, permuted(y)[0]], 1),
    "keys transposed": (lambda y: y.reshape(2, 5, 3, HEADS, WIDTH).permute(2, 0, 3, 4, 1).unbind(0), 1),
    "after views that undo each other": (lambda y: slices(y.flatten(0, 1).view(2, 5, 36)), 1),
    "two parts": (lambda y: [heads(part[..., :12]) for part in y.chunk(2, -1)], 0),
    "of several sizes": (lambda y: [heads(part) for part in y.split([12, 24], -1)[:1]], 0),
    "one is left out": (lambda y: [heads(y[..., :12]), heads(y[..., 12:24])], 0),
    "not rearranged": (lambda y: [part * 2 for part in y.chunk(3, -1)], 0),
    "heads before parts": (lambda y: y.reshape(2, 5, HEADS, 3, WIDTH).permute(3, 0, 2, 1, 4).unbind(0), 0),
    "of the rows": (lambda y: [part.transpose(1, 2) for part in y.chunk(5, 1)], 0),
}


class Parts(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.linear = nn.Linear(12, 36)
        self.form = form

    def forward(self, x):
        return [part.sin() for part in self.form(self.linear(x))]


@pytest.mark.parametrize("form, count", FORMS.values(), ids=FORMS.keys())
def test_parts(form, count):
    check_rewrite("parts_of_linear", Parts(form).eval(), X, count)


@pytest.mark.parametrize("form", ["chunks", "unbound"])
def test_any_size(form):
    sizes, others = {"x": {0: (1, 2, 4), 1: (2, 5, 9)}}, (torch.randn(1, 9, 12), torch.randn(4, 2, 12))
    check_rewrite("parts_of_linear", Parts(FORMS[form][0]).eval(), X, 1, dynamic=sizes, others=others)


@pytest.mark.parametrize("form", ["slices", "chunks", "unbound", "selected"])
def test_all_forms_become_one(form):
    converted = torch2trt.convert(Parts(FORMS[form][0]).eval(), X)
    types = layer_types(converted)
    assert types["SLICE"] == 0 and types["SHUFFLE"] == 4  # one to bring the parts apart, and one each


def test_three_layers_on_one_input():
    class Three(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(12, 12) for _ in range(3))

        def forward(self, x):
            return [heads(layer(x)).sin() for layer in self.layers]

    module = Three().eval()
    converted = torch2trt.convert(module, X)
    assert converted.graph.rewrites["merge_linears"] == converted.graph.rewrites["parts_of_linear"] == 1
    for actual, expected in zip(converted.evaluate(X), module(X), strict=True):
        torch.testing.assert_close(actual, expected.detach())


def test_a_users_handler_keeps_its_node():
    with users_handler("aten::chunk") as seen:
        torch2trt.convert(Parts(FORMS["chunks"][0]).eval(), X)
    assert seen == ["aten::chunk"]
