"""Equal layers are added once, casts to float32 and back are none, and nothing outlives its network."""

from __future__ import annotations

import gc

import torch

import torch2trt
from tests.passes.rewrites import layer_types
from torch2trt import context

X = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))


def test_equal_layers_are_added_once():
    converted = torch2trt.convert(lambda x: x.exp() * 2 + x.exp() * 2, X, optimize=False)
    assert layer_types(converted)["UNARY"] == 1
    torch.testing.assert_close(converted.evaluate(X), 4 * X.exp())


def test_other_attributes_make_other_layers():
    def function(x):
        y = x.softmax(0) + x.softmax(1)
        return y + x.sum(1, True) + x.sum(0, True) + x.reshape(4, 2).sum() + x.reshape(8).exp().sum()

    torch.testing.assert_close(torch2trt.convert(function, X).evaluate(X), function(X))


def test_two_outputs_that_are_computed_alike_are_two():
    converted = torch2trt.convert(lambda x: (x.exp(), x.exp()), X, output_names=["a", "b"])
    assert converted.output_names == ["a", "b"] and converted.network.num_outputs == 2
    for actual in converted.evaluate(X):
        torch.testing.assert_close(actual, X.exp())


def test_one_output_given_twice_is_one():
    def function(x):
        y = x.exp()
        return y, y

    converted = torch2trt.convert(function, X, output_names=["a", "b"])
    assert converted.output_names == ["a", "a"] and converted.network.num_outputs == 1


def test_half_to_float32_and_back_is_no_cast():
    converted = torch2trt.convert(lambda x: x.float().half() + 1, X.half(), optimize=False)
    assert layer_types(converted)["CAST"] <= 1
    torch.testing.assert_close(converted.evaluate(X.half()), X.half() + 1)
    converted = torch2trt.convert(lambda x: x.half().float() + 1, X, optimize=False)  # this one rounds
    torch.testing.assert_close(converted.evaluate(X), X.half().float() + 1)
    assert not torch.equal(X.half().float(), X)


def test_a_network_goes_when_nobody_holds_it():
    gc.collect()
    before = len(context._states)
    torch2trt.convert(torch.nn.Linear(4, 4), X)
    gc.collect()
    assert len(context._states) == before
