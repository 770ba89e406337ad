"""Where two networks part."""

from __future__ import annotations

import math

import pytest
import torch

from torch2trt.errors import InputError
from torch2trt.reference import diff
from torch2trt.reference.diff import compare
from torch2trt.trt_compat import logger, trt

from .conformance.case import Net
from .networks import activation, binary, linear_network, named

WEIGHT, BIAS = torch.arange(6.0).reshape(2, 3) - 2, torch.tensor([0.5, -1.0, 2.0])
X = {"x": torch.tensor([[1.0, -2.0], [0.5, 3.0]])}


def fresh() -> Net:
    return Net(trt.Builder(logger()))


def pair(weight: torch.Tensor, bias: torch.Tensor) -> tuple[Net, Net]:
    a, b = fresh(), fresh()
    linear_network(a, WEIGHT, BIAS)
    linear_network(b, weight, bias)
    return a, b


def test_equal_networks() -> None:
    a, b = pair(WEIGHT, BIAS)
    found = diff(a.network, b.network, X)
    assert found.first is None
    assert {"product", "total", "y"} <= set(found.compared)
    assert "x" not in found.compared
    assert str(found) == f"the networks agree on {len(found.compared)} tensors"


def test_the_first_tensor_that_differs() -> None:
    a, b = pair(WEIGHT, BIAS + torch.tensor([0.0, 0.0, 1.0]))
    found = diff(a.network, b.network, X, names={"(Unnamed Layer* 1) [Constant]_output": "nowhere"})
    first = found.first
    assert first is not None
    assert first.name in ("fc.bias_output", "total")
    totals = [item for item in found.differences if item.name == "total"]
    assert totals[0].index == (0, 2)
    assert totals[0].max_absolute == 1.0
    assert "total: value" in str(totals[0])
    assert "product" not in [item.name for item in found.differences]


def test_tolerance() -> None:
    a, b = pair(WEIGHT * (1 + 1e-4), BIAS)
    assert diff(a.network, b.network, X).first is not None
    assert diff(a.network, b.network, X, rtol=1e-3).first is None


def test_shapes_and_dtypes() -> None:
    a, b = fresh(), fresh()
    for network, shape in ((a, (2, 3)), (b, (3, 2))):
        shuffle = network.network.add_shuffle(network.input(torch.ones(6), name="x"))
        shuffle.reshape_dims = shape
        network.network.mark_output(named(shuffle.get_output(0), "y"))
    first = diff(a.network, b.network, {"x": torch.ones(6)}).first
    assert first is not None
    assert (first.reason, first.first, first.second) == ("shape", "[2, 3]", "[3, 2]")
    c, d = fresh(), fresh()
    for network, dtype in ((c, trt.int32), (d, trt.int64)):
        cast = network.network.add_cast(network.input(torch.ones(6), name="x"), dtype)
        network.network.mark_output(named(cast.get_output(0), "y"))
    assert str(diff(c.network, d.network, {"x": torch.ones(6)})).endswith(
        "first y: dtype torch.int32 against torch.int64"
    )


def test_names_that_differ() -> None:
    a, b = fresh(), fresh()
    for network, names in ((a, ("x", "hidden", "y")), (b, ("input", "h", "y"))):
        hidden = named(activation(network, network.input(torch.ones(3), name=names[0])), names[1])
        network.network.mark_output(named(binary(network, hidden, hidden), names[2]))
    with pytest.raises(InputError, match="missing inputs: 'input'"):
        diff(a.network, b.network, {"x": torch.ones(3)})
    found = diff(a.network, b.network, {"x": torch.ones(3)}, names={"x": "input", "hidden": "h"})
    assert found.compared == ("hidden", "y")
    assert found.first is None


def test_nothing_in_common() -> None:
    a, b = fresh(), fresh()
    for network, name in ((a, "first"), (b, "second")):
        network.network.mark_output(named(activation(network, network.input(torch.ones(3), name="x")), name))
    with pytest.raises(InputError, match="no tensor name in common"):
        diff(a.network, b.network, {"x": torch.ones(3)})


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ([math.nan, 1.0], [math.nan, 1.0], True),
        ([math.inf, 1.0], [math.inf, 1.0], True),
        ([math.inf, 1.0], [-math.inf, 1.0], False),
        ([math.nan, 1.0], [0.0, 1.0], False),
        ([0.0, 1.0], [math.nan, 1.0], False),
        ([1.0, 1.0], [math.inf, 1.0], False),
        ([], [], True),
    ],
)
def test_special_values(a: list[float], b: list[float], same: bool) -> None:
    found = compare("t", "t", torch.tensor(a), torch.tensor(b), 1e-5, 1e-6)
    assert (found is None) == same
    if found is not None:
        assert found.index == (0,)
        assert found.max_absolute == math.inf


def test_largest_difference_is_named() -> None:
    a, b = torch.zeros(2, 3), torch.zeros(2, 3)
    a[1, 0], a[0, 2] = 0.5, -2.0
    found = compare("t", "t", a, b, 1e-5, 1e-6)
    assert found is not None
    assert (found.index, found.max_absolute, found.first) == ((0, 2), 2.0, "-2")
