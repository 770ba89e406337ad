"""Ifs that compare sizes: decided at conversion where layers cannot tell the sizes apart, layers otherwise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import torch2trt
from tests import harness
from tests.harness import rand
from torch2trt import errors
from torch2trt.emit.sizes import Size, add, compare, floor_divide, multiply, number, subtract, variable

Function = Callable[[torch.Tensor], torch.Tensor]


@torch.jit.script
def same_rows(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Of another rank where the first sizes differ, so that no layer can choose."""
    if x.size(0) != y.size(0):
        return (x + 1).unsqueeze(0)
    else:
        return x * 2


@torch.jit.script
def longer(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    if x.size(0) > y.size(0):
        return x * 2
    else:
        return (x + 1).unsqueeze(0)


def _heads(x: torch.Tensor) -> torch.Tensor:
    rows, columns, _ = x.shape
    split = x.view(rows, columns, 2, 2).permute(0, 2, 1, 3)
    return split.reshape(-1, columns, 2)


def _rotated(x: torch.Tensor) -> torch.Tensor:
    return torch.cat((x[..., 1:] * 2, x[..., :1]), -1)


EQUAL: dict[str, Function] = {
    "elementwise": lambda x: torch.relu(x) + x * 2,
    "broadcast": lambda x: x + torch.ones(4),
    "softmax": lambda x: x.softmax(-1).to(torch.float16),
    "norm": lambda x: torch.nn.functional.layer_norm(x, (4,)),
    "linear": lambda x: torch.nn.functional.linear(x, torch.ones(5, 4)),
    "matmul": lambda x: x @ x.transpose(1, 2),
    "select": lambda x: torch.where(x > 0, x, -x),
    "reduce": lambda x: x.mean(1, keepdim=True),
    "twice transposed": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "heads": lambda x: _heads(x).view(x.shape[0], 2, x.shape[1], 2),
    "flattened": lambda x: x.reshape(-1, 4).view(x.shape[0], -1, 4),
    "divided": lambda x: torch.cat((x, x))[: x.shape[0] * x.shape[1] * 4 // (x.shape[1] * 4)],
    "concatenated": _rotated,
    "halves": lambda x: torch.cat((x, x))[: x.shape[0]],
    "counted": lambda x: torch.arange(x.shape[0]).float()[:, None] + x[:, 0],
    "embedded": lambda x: torch.nn.functional.embedding((x[..., 0] > 0).long(), torch.ones(2, 3)),
    "padded": lambda x: torch.nn.functional.pad(x, (0, 0, 0, 0, 1, 2))[3:],
    "expanded": lambda x: x[:1].expand(x.shape[0], -1, -1),
    "smaller": lambda x: x[: min(x.shape[0], x.shape[0] + 1)],
}


def convert(function: Function) -> torch2trt.Converted:
    sizes = {"x": {0: (1, 3, 9), 1: (1, 5, 9)}}
    return torch2trt.convert(function, rand(3, 5, 4), dynamic_shapes=sizes, input_names=["x"])


def check(converted: torch2trt.Converted, function: Function) -> None:
    for shape in ((3, 5, 4), (5, 3, 4), (4, 4, 4), (1, 9, 4)):
        x = rand(*shape)
        harness.assert_same(converted.evaluate(x), function(x))
    assert converted.serialize(optimization_level=0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EQUAL)
def test_equal_sizes_decide(name: str) -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        return same_rows(x, EQUAL[name](x))

    converted = convert(function)
    network = converted.network
    assert not any("CONDITION" in network.get_layer(index).type.name for index in range(network.num_layers))
    check(converted, function)


@pytest.mark.filterwarnings("ignore")
def test_sizes_that_always_differ_decide() -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        return longer(torch.nn.functional.pad(x, (0, 0, 0, 0, 1, 0)), x)

    check(convert(function), function)


OTHER: dict[str, Function] = {
    "another axis": lambda x: x.transpose(0, 1),
    "a part": lambda x: x[: x.shape[0] // 2 + 1],
    "the elements": lambda x: x.reshape(-1),
    "concatenated": lambda x: torch.cat((x, x), 1).transpose(0, 1),
    "one or all": lambda x: x.mean(0, keepdim=True),
    "data": lambda x: x[x[:, 0, 0] > -9],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OTHER)
def test_sizes_that_may_differ_do_not(name: str) -> None:
    with pytest.raises(errors.UnsupportedArgumentError, match="on a run-time condition"):
        convert(lambda x: same_rows(x, OTHER[name](x)))


def test_polynomials() -> None:
    a, b, two = variable("a"), variable("b"), number(2)
    assert multiply(add(a, b), subtract(a, b)) == subtract(multiply(a, a), multiply(b, b))
    assert subtract(a, a) == number(0) and subtract(a, a).number == 0 and a.number is None
    assert floor_divide(multiply(two, multiply(a, b)), multiply(b, two)) == a
    assert floor_divide(a, two) != floor_divide(add(a, number(1)), two)
    assert floor_divide(a, two) == floor_divide(a, two) and floor_divide(number(7), two).number is None
    assert floor_divide(number(0), a) == Size({})
    assert compare("EQUAL", a, a) is True and compare("EQUAL", a, b) is None
    assert compare("EQUAL", add(a, number(1)), number(0)) is False and compare("EQUAL", a, number(0)) is None
    assert compare("GREATER", add(a, b), a) is None and compare("LESS", add(a, b), a) is False
    assert compare("LESS", a, number(0)) is False and compare("LESS", variable("?a"), number(0)) is None
