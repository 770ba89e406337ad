"""Sizes in a trace: operators that take them, and those that agree by chance at the sizes that are traced."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch.nn import functional

import torch2trt
from tests import harness
from torch2trt import errors


def _by_operators(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
    aten = torch.ops.aten
    rows, columns = aten.sym_size.int(x, 0), x.shape[1]
    return (
        aten.roll.default(x, [rows // 2, columns // 2], [0, 1]),
        aten.view(x, (rows * columns, 2)),
        aten.slice(x, 0, -(rows // 2), None, 1),
        aten.full.default([rows, 3], columns * 2),
        aten.add.Tensor(x, x, alpha=rows),
        aten.sub(y, y, alpha=columns),
        aten.arange.start_step(0, torch.sym_max(rows, columns), 2),
        aten.mul.Scalar(x, aten.sym_numel(x)),
    )


def test_sizes_are_followed_into_operators():
    """``torch.ops`` takes the value of a traced size; PyTorch's own functions record where it comes from."""
    x, y = harness.rand(4, 5, 2), harness.rand(3, dtype=torch.int32, high=9)
    shapes = {"x": {0: (3, 4, 9), 1: (2, 5, 9)}}
    converted = torch2trt.convert(_by_operators, (x, y), dynamic_shapes=shapes)
    for sizes in ((4, 5), (3, 2), (7, 9)):
        other = harness.rand(*sizes, 2)
        harness.assert_same(converted.evaluate(other, y), _by_operators(other, y), what=str(sizes))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: functional.pad(x, (0, math.ceil(x.shape[-1] / 7) * 7 - x.shape[-1])),
        lambda x: x[..., : round(x.shape[-1] / 2)] * round(x.shape[-1] / 8, 1),
        lambda x: x[..., math.floor(x.shape[-1] * 0.5) :] + math.trunc(x.shape[-1] / 3),
        lambda x: x[..., : min(x.shape[-1], 20)] * max([x.shape[-1], 13, 9]),
        lambda x: x.new_ones(max(x.shape[-1] - 3, x.shape[0] + 9)) * x.sum(),
    ],
)
def test_sizes_that_python_rounds_are_followed(function):
    """A size is a tensor while it is traced, which has none of these methods else."""
    converted = torch2trt.convert(function, harness.rand(2, 12), dynamic_shapes={"x": {1: (8, 12, 40)}})
    for size in (8, 13, 14, 15, 21, 40):
        x = harness.rand(2, size)
        harness.assert_same(converted.evaluate(x), function(x), what=str(size))
    assert not hasattr(torch.Tensor, "__ceil__") and math.ceil(torch.tensor(2.5)) == 3


@pytest.mark.filterwarnings("ignore:ints are taken to follow sizes", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(
    "function",
    [
        lambda x: functional.interpolate(x[None], size=int(x.shape[1] * 0.7)),
        lambda x: x[:, : math.floor(0.7 * x.shape[1])],
        lambda x: x.sum() * torch.ones(int(x.shape[1] * 2.3)),
        lambda x: x.sum() + torch.arange(int(x.shape[1] * 0.7) * 2),
        lambda x: x[:, : x.shape[1] + math.floor(x.shape[1] * -0.5)],
    ],
)
def test_sizes_by_a_factor_are_those_of_python(function):
    """``90 * 0.7`` is below 63 in float64, and 63 in float32, which a trace computes in."""
    converted = torch2trt.convert(function, harness.rand(2, 60), dynamic_shapes={"x": {1: (7, 60, 200)}})
    for size in (7, 50, 89, 90, 100, 180, 200):
        x = harness.rand(2, size)
        harness.assert_same(converted.evaluate(x), function(x), what=str(size))
        harness.assert_same(torch2trt.convert(function, x).evaluate(x), function(x), what=str(size))


def _by_methods(x: torch.Tensor) -> torch.Tensor:
    columns = x.shape[-1]
    return x * 2 if (columns / 4).is_integer() and columns.bit_length() == 4 else x


def test_methods_of_numbers_of_static_sizes():
    """In Python 3.11 an int has no ``is_integer``; a traced size has it."""
    x = harness.rand(2, 12)
    harness.assert_same(torch2trt.convert(_by_methods, x).evaluate(x), x * 2)


def test_sizes_that_agree_by_chance_are_followed():
    """Halves of 3 and of 2 are one number; at the odd sizes of the third trace they are not."""

    def function(x: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.roll.default(x, [x.shape[0] // 2], [0])

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        converted = torch2trt.convert(function, harness.rand(3, 4), dynamic_shapes={"x": {0: (2, 3, 9)}})
    x = harness.rand(7, 4)
    harness.assert_same(converted.evaluate(x), function(x))


class _InWindows(torch.nn.Module):
    """Padded to whole windows: by 9 and 10 columns alike there are 5, and by 8 there are 4."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.pad(x, (0, (-x.shape[1]) % 2))
        return x.view(x.shape[0], x.shape[1] // 2, 2).sum(-1)


@pytest.mark.parametrize("sizes", [(8, 9, 10), (5, 9, 10)], ids=["no odd size is left", "odd sizes"])
def test_shapes_that_agree_by_chance_are_dynamic(sizes):
    converted = torch2trt.convert(_InWindows().eval(), harness.rand(3, 9), dynamic_shapes={"x": {1: sizes}})
    for size in range(sizes[0], sizes[2] + 1):
        x = harness.rand(3, size)
        harness.assert_same(converted.evaluate(x), _InWindows()(x), what=str(size))


def test_a_size_that_an_operator_takes_for_a_number():
    """Without dynamic axes too: the overload for numbers refuses the tensor that a size is while tracing."""
    x = harness.rand(3, 4)
    function = lambda x: torch.ops.aten.div.Scalar(x, x.shape[0])  # noqa: E731
    harness.assert_same(torch2trt.convert(function, x).evaluate(x), function(x))


def test_a_tensor_of_sizes_for_a_list():
    x = harness.rand(4, 3)

    def function(x: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.full(torch._shape_as_tensor(x) * 2, 1.5)

    converted = torch2trt.convert(function, x, dynamic_shapes={"x": {0: (2, 4, 9)}})
    harness.assert_same(converted.evaluate(harness.rand(7, 3)), torch.full((14, 6), 1.5))


def _checked(x: torch.Tensor) -> torch.Tensor:
    torch._check(x.shape[0] >= 2, lambda: "too few rows")
    torch._check_value(x.shape[1] == 4)
    torch._assert(x.shape[0] < 9, "too many rows")
    return x * 2


def test_checks_of_sizes_are_looked_at_and_left_out():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        converted = torch2trt.convert(_checked, harness.rand(5, 4), dynamic_shapes={"x": {0: (2, 5, 8)}})
    assert [node.kind for node in converted.graph.nodes] == ["aten::mul"]
    with pytest.raises(errors.TraceError, match="too few rows"):
        torch2trt.convert(_checked, harness.rand(1, 4))
    with pytest.raises(TypeError, match="must be a bool"):
        torch._check(torch.tensor(True))  # as PyTorch has it, outside of a trace


class _Masked(torch.nn.Module):
    def forward(self, x: torch.Tensor, mask: torch.Tensor, count: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first = count.item()
        torch._check(first >= 0)
        torch._check(first <= x.shape[0])
        return x[mask].sum(0), x[:first].mean(0)


def test_exported_checks_of_what_depends_on_values():
    inputs = harness.rand(5, 4), torch.tensor([True, False, True, False, True]), torch.tensor(3)
    converted = torch2trt.convert(torch.export.export(_Masked(), inputs).module(), inputs)
    others = harness.rand(5, 4), torch.tensor([False, False, True, False, False]), torch.tensor(4)
    for values in (inputs, others):
        harness.assert_same(converted.evaluate(*values), _Masked()(*values))


class _Sized(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.plain = torch.tensor(2)
        self.register_buffer("rows", torch.tensor(2))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [torch.ops.aten.view.default(x, [size, -1]) for size in (self.plain, self.rows, _TWO, x.shape[1] // 3)]


_TWO = torch.tensor(2)


def test_known_tensors_among_sizes():
    x = harness.rand(4, 6)
    harness.assert_same(torch2trt.convert(_Sized(), x).evaluate(x), _Sized()(x))


def _tensors_of_sizes(x: torch.Tensor) -> list[torch.Tensor]:
    rows, columns = x.shape
    return [
        torch.tensor([columns, rows]),
        torch.tensor((columns - 1.0, rows), device=x.device),
        torch.tensor(x.shape),
        torch.tensor([[rows - 1, 2], [3, columns]], dtype=torch.float16),
        torch.as_tensor([rows, 1.5]),
        x.new_tensor([rows - 1]),
        x[torch.tensor([0, rows - 1])],
        torch.tensor([True, False]) & (x.sum() > 0),
    ]


def test_tensors_made_of_sizes():
    x = harness.rand(4, 6)
    converted = torch2trt.convert(_tensors_of_sizes, x, dynamic_shapes={"x": {0: (2, 4, 9), 1: (2, 6, 9)}})
    for sizes in ((4, 6), (7, 5), (2, 9)):
        other = harness.rand(*sizes)
        harness.assert_same(converted.evaluate(other), _tensors_of_sizes(other), what=str(sizes))
