"""Sizes that depend on values of the inputs are no constants of the trace."""

from __future__ import annotations

import pytest
import torch

import torch2trt
from tests import harness


def _cut(x, n):
    y = x[: n + 1]
    return y.new_zeros(y.size(0)) + 1, y.reshape(1, y.shape[0]), torch.ones(y.numel())


def _range(x, n):
    y = torch.arange(n)
    return y * 2, torch.ones(y.size(0), 2), x.repeat(2, 1)


@pytest.mark.parametrize("function", [_cut, _range])
def test_bounds_that_are_inputs(function):
    """An engine would need to know the range of ``n``; the network itself takes any."""
    inputs = harness.rand(6), torch.tensor(3)
    converted = torch2trt.convert(function, inputs)
    for count in (3, 1, 5):
        given = inputs[0], torch.tensor(count)
        harness.assert_same(converted.evaluate(*given), function(*given))


def _elements(x):
    y = torch.zeros_like(x)
    y[x > 1] = x[x > 1].log()
    return y


def _rows(x):
    y, mask = x.clone(), x[:, 0] > 1
    y[mask] = x[mask] * 2 + 1
    return y


@pytest.mark.parametrize("function", [_elements, _rows])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_assignments_by_masks_take_any_number(function, count):
    """Python's assignment takes axes of size 1 off the values, which those of one element of the mask have."""
    some = [torch.cat([torch.full((rows, 2), 3.0), torch.full((3 - rows, 2), -3.0)]) for rows in range(4)]
    if function is _elements:
        some = [x[:, 0] for x in some]
    converted = torch2trt.convert(function, some[count])
    for x in some:
        x = x + harness.rand(*x.shape, low=0, high=1)
        harness.assert_same(converted.evaluate(x), function(x))


def test_sizes_that_are_known_stay_so():
    """Only what follows from values is marked: other sizes stay constants of the network."""

    def function(x):
        picked = x[x[:, 0] > 0]
        other = x.new_ones(x.size(0), 2)
        other[:] = picked.sum()
        return picked, other.reshape(x.size(0) * 2)

    graph = torch2trt.core.prepare(function, harness.rand(4, 3)).graph
    picked, other = graph.outputs
    assert picked.shape == (None, None)
    assert picked.traced is not None
    assert other.shape == (8,)
