"""Sizes that a module made Python ints: followed where every trace bears it out, refused elsewhere."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch.nn import functional

import torch2trt
from tests import harness
from torch2trt import errors


def convert(function, *inputs, dynamic):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return torch2trt.convert(function, inputs, input_names=["x", "y"][: len(inputs)], dynamic_shapes=dynamic)


def numbered(x):
    return x + torch.arange(int(x.shape[1]))


def test_an_int_that_is_a_size_is_followed_with_a_warning():
    with pytest.warns(
        UserWarning, match=r"ints are taken to follow sizes.*axis 1 of 'x' \(.*test_followed_sizes.py:\d+\)"
    ):
        converted = convert(numbered, harness.rand(2, 6), dynamic={"x": {1: (1, 6, 20)}})
    for size in (6, 1, 13, 20):
        x = harness.rand(2, size)
        harness.assert_same(converted.evaluate(x), numbered(x), what=str(size))
    assert converted.serialize(optimization_level=0)


@pytest.mark.filterwarnings("ignore:ints are taken to follow sizes")
def test_masks_by_vmap_follow_sizes():
    """Inside of vmap sizes are ints."""

    def allowed(row, column):
        return row.new_ones((), dtype=torch.bool) & (column <= row)

    def function(x):
        places = torch.arange(x.shape[1])
        mask = torch.vmap(torch.vmap(allowed, (None, 0)), (0, None))(places, places)
        return torch.nn.functional.scaled_dot_product_attention(x, x, x, attn_mask=mask)

    converted = convert(function, harness.rand(2, 6, 4), dynamic={"x": {1: (1, 6, 20)}})
    for size in (6, 1, 13, 20):
        x = harness.rand(2, size, 4)
        harness.assert_same(converted.evaluate(x), function(x), what=str(size))


@pytest.mark.filterwarnings("ignore:ints are taken to follow sizes")
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.sum() + torch.arange(int(x.shape[1]) + 3),
        lambda x: x.sum() + torch.arange(int(x.shape[1]) - 1),
        lambda x: x.sum() + torch.arange(3 * int(x.shape[1])),
        lambda x: x.reshape(int(x.shape[0]) * 2, int(x.shape[1]) * 2).repeat(1, int(x.shape[0])),
        lambda x: x.reshape(int(x.shape[0]) * int(x.shape[1]), 4),
        lambda x: x.reshape(math.prod(int(size) for size in x.shape[:2]), 4) + int(x.shape[1]) ** 2,
        lambda x: x[:, : int(x.shape[1] / 2)],
        lambda x: functional.interpolate(x.mT, size=int(x.shape[1] * 1.5)),
        lambda x: x.sum() + torch.arange(int(math.ceil(x.shape[1] / 7)) * 7),  # noqa: RUF046
        lambda x: functional.pad(x, (0, 0, 0, int(math.ceil(x.shape[1] / 3)) * 3 - x.shape[1])),  # noqa: RUF046
        lambda x: x.sum() + torch.arange(len(range(0, x.shape[1], 1))),
        lambda x: torch.cat([x, x[:, :1]], 1).cumsum(1) * _later(int(torch.cat([x, x[:, :1]], 1).shape[1])).sum(0),
    ],
    ids=[
        *("more", "less", "times", "two axes", "product", "square", "half", "scaled", "rounded", "padded", "range"),
        "mask of a result's size",
    ],
)
def test_ints_that_come_of_a_size_are_followed(function):
    converted = convert(function, harness.rand(2, 6, 4), dynamic={"x": {0: (1, 2, 5), 1: (1, 6, 20)}})
    for sizes in ((2, 6), (1, 1), (5, 13), (3, 20)):
        x = harness.rand(*sizes, 4)
        harness.assert_same(converted.evaluate(x), function(x), what=str(sizes))


def padded(x):
    """Branches at heights that are no multiples of 8, which the ranges do not have."""
    rows = (8 - x.shape[1] % 8) % 8
    if rows:
        x = functional.pad(x, (0, 0, 0, rows))
    return x.reshape(int(x.shape[0]), -1)


def test_ints_are_followed_where_other_sizes_than_the_ranges_branch():
    dynamic = {"x": {0: (1, 2, 3), 1: (16, 24, 40)}}
    with pytest.warns(UserWarning, match=r"results may be wrong at sizes such as x \[2, 17, 4\]"):
        converted = convert(padded, harness.rand(2, 24, 4), dynamic=dynamic)
    for sizes in ((2, 24), (1, 16), (3, 40), (3, 32)):
        x = harness.rand(*sizes, 4)
        harness.assert_same(converted.evaluate(x), padded(x), what=str(sizes))


def clamped(x):
    return x.sum() + torch.arange(min(int(x.shape[1]), 10))


def chunked(x):
    """As many numbers as there are thousands of columns: one for one row and two for two, as it happens."""
    return x.sum() + torch.arange(int(x.shape[1]) // 1000)


@pytest.mark.parametrize(
    ("function", "shape", "axes"),
    [
        (clamped, (2, 6), {1: (1, 4, 64)}),
        (lambda x: x.sum() + torch.arange(max(int(x.shape[1]), 10)), (2, 20), {1: (2, 30, 64)}),
        (chunked, (1, 1000), {0: (1, 1, 2), 1: (1000, 1000, 2000)}),
    ],
    ids=["at most", "at least", "by chance"],
)
def test_an_int_that_is_a_size_in_some_traces_only_is_refused(function, shape, axes):
    with pytest.raises(errors.ShapeError, match=r"baked into the trace(.|\n)*test_followed_sizes.py"):
        convert(function, harness.rand(*shape), dynamic={"x": axes})


@pytest.mark.filterwarnings("ignore:ints are taken to follow sizes")
def test_an_int_that_may_follow_several_axes_is_refused():
    both = {0: (2, 4, 9), 1: (2, 4, 9)}
    with pytest.raises(errors.ShapeError, match=r"it may follow axis 0 of 'x', axis 1 of 'x': give"):
        convert(numbered, harness.rand(4, 4), dynamic={"x": both})
    different = convert(numbered, harness.rand(5, 4), dynamic={"x": both})
    x = harness.rand(3, 8)
    harness.assert_same(different.evaluate(x), numbered(x))
    alike = convert(numbered, harness.rand(4, 4), dynamic={"x": {0: ("n", 2, 4, 9), 1: "n"}})
    x = harness.rand(7, 7)
    harness.assert_same(alike.evaluate(x), numbered(x))


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize(
    "function", [lambda x: x.squeeze(0), lambda x: (x + 1).squeeze(), lambda x: x.squeeze((-3, 2))]
)
def test_axes_that_squeeze_cannot_drop_are_told(function, rows):
    """A network has one rank at all sizes, also where the trace dropped the axis."""
    x = harness.rand(rows, 3, 1)
    with pytest.warns(UserWarning, match=r"squeeze keeps axis 0, which PyTorch drops.*test_followed_sizes.py"):
        converted = convert(function, x, dynamic={"x": {0: (1, rows, 4)}})
    assert converted.evaluate(x).shape[0] == rows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert(function, harness.rand(3, 3, 1), dynamic={"x": {0: (2, 3, 4)}})
        convert(lambda x: x.squeeze(-1), x, dynamic={"x": {0: (1, rows, 4)}})


def _later(size):
    """Which place comes after which, as masks by ``vmap`` are made: its sizes are ints."""
    places = torch.arange(size)
    return torch.vmap(lambda a: torch.vmap(lambda b: a > b)(places))(places).sum(0, keepdim=True).mT


def test_what_a_batch_of_one_does_otherwise_is_warned_of():
    function = lambda x: x * 2 if x.shape[0] > 1 else x  # noqa: E731
    with pytest.warns(UserWarning, match=r"results may be wrong at sizes such as x \[1, 3\]"):
        harness.convert(harness.Case("", function, {"x": torch.ones(2, 3)}, {"x": {0: (1, 2, 4)}}))


class Table(torch.nn.Module):
    """Keeps a table of the length that it had last."""

    def __init__(self):
        super().__init__()
        self.length, self.table = None, None

    def forward(self, x):
        if x.shape[1] != self.length:
            self.length, self.table = x.shape[1], torch.arange(x.shape[1]).cos()
        return x * self.table


@pytest.mark.parametrize("length", [None, 5, 10, 13])
def test_a_table_of_the_last_length(length):
    module = Table()
    if length is not None:
        module(torch.ones(1, length))
    converted = torch2trt.convert(module, torch.ones(1, 10), dynamic_shapes={"x": {1: (5, 10, 13)}})
    for size in (5, 10, 13):
        x = harness.rand(1, size)
        harness.assert_same(converted.evaluate(x), module(x))
