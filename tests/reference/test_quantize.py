"""Quantised types: rounding, saturation, packing, refusals."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from torch2trt.errors import EvaluationError
from torch2trt.reference import evaluate
from torch2trt.reference.quantize import e8m0_ceiling, spread_scale, to_fp4
from torch2trt.reference.weights import as_tensor
from torch2trt.trt_compat import trt

from .conformance.case import Net
from .networks import net

__all__ = ["net"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (0.24, 0.0),
        (0.25, 0.0),  # a tie between 0 and 0.5 goes to the even significand
        (0.26, 0.5),
        (0.75, 1.0),
        (1.25, 1.0),
        (1.75, 2.0),
        (2.5, 2.0),
        (3.5, 4.0),
        (5.0, 4.0),
        (5.1, 6.0),
        (100.0, 6.0),
        (-2.5, -2.0),
        (-math.inf, -6.0),
        (math.nan, 6.0),
    ],
)
def test_fp4_rounds_to_the_nearest_even(given: float, wanted: float) -> None:
    assert float(to_fp4(torch.tensor(given)).float()) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"), [(1.0, 1.0), (1.01, 2.0), (0.3, 0.5), (0.25, 0.25), (2.0**-120, 2.0**-120)]
)
def test_e8m0_rounds_up(given: float, wanted: float) -> None:
    assert float(e8m0_ceiling(torch.tensor([given])).float()) == wanted


def quantized(net: Net, dtype: str, values: list[float], scale: float) -> list[float]:
    x = torch.tensor([values])
    net.output(net.network.add_quantize(net.input(x), net.constant(scale), getattr(trt, dtype)).get_output(0))
    return evaluate(net.network, {"x0": x})["y0"].float().reshape(-1).tolist()


def test_int8(net: Net) -> None:
    assert quantized(net, "int8", [0.25, 0.75, 1.25, -0.25, 900.0, -900.0], 0.5) == [0, 2, 2, 0, 127, -128]


def test_int4(net: Net) -> None:
    assert quantized(net, "int4", [0.25, 0.75, 3.0, -3.0, 900.0, -900.0], 0.5) == [0, 2, 6, -6, 7, -8]


def test_fp8(net: Net) -> None:
    found = quantized(net, "fp8", [1.0, 1.06, 17.0, 1e6, -1e6, 2e-4], 1.0)
    assert found == [1.0, 1.0, 16.0, 448.0, -448.0, 0.0]


def test_fp8_keeps_nan(net: Net) -> None:
    assert math.isnan(quantized(net, "fp8", [math.nan], 1.0)[0])


@pytest.mark.parametrize("zero", [0, 3])
def test_zero_point_must_be_zero(net: Net, zero: int) -> None:
    layer = net.network.add_quantize(net.input(torch.ones(1, 2)), net.constant(0.5), trt.int8)
    layer.set_input(2, net.constant(zero, torch.int8))
    net.output(layer.get_output(0))
    if zero == 0:
        assert evaluate(net.network, {"x0": torch.ones(1, 2)})["y0"].tolist() == [[2, 2]]
        return
    with pytest.raises(EvaluationError, match="zero point must hold zeros only"):
        evaluate(net.network, {"x0": torch.ones(1, 2)})


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 5)])
def test_a_scale_that_fits_nothing(shape: tuple[int, ...]) -> None:
    with pytest.raises(EvaluationError):
        spread_scale(torch.ones(shape), torch.Size((4, 8)), 0)


def test_blocks_of_any_axis() -> None:
    scale = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    found = spread_scale(scale, torch.Size((2, 4)), -1)
    assert found.tolist() == [[1, 1, 2, 2], [3, 3, 4, 4]]
    assert spread_scale(scale, torch.Size((4, 2)), -1).tolist() == [[1, 2], [1, 2], [3, 4], [3, 4]]


def test_packed_int4_weights(net: Net) -> None:
    """Two values to a byte, the first in the low bits, in two's complement; an odd count leaves a nibble unused."""
    raw = torch.tensor([0x21, 0xF8, 0x07], dtype=torch.uint8)
    assert as_tensor(trt.Weights(trt.int4, raw.data_ptr(), 5)).tolist() == [1, 2, -8, -1, 7]


def test_packed_fp4_weights(net: Net) -> None:
    raw = torch.tensor([0x10, 0x7F], dtype=torch.uint8)
    assert as_tensor(trt.Weights(trt.fp4, raw.data_ptr(), 4)).float().tolist() == [0.0, 0.5, -6.0, 6.0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn])
def test_opaque_weights(dtype: torch.dtype) -> None:
    values = torch.randn(7).to(dtype)
    name = {torch.bfloat16: trt.bfloat16, torch.float8_e4m3fn: trt.fp8}[dtype]
    found = as_tensor(trt.Weights(name, values.data_ptr(), 7))
    assert found is not None
    assert found.dtype == dtype
    assert found.data_ptr() == values.data_ptr()
    assert torch.equal(found.float(), values.float())


def test_weights_of_another_layout_are_refused() -> None:
    """What stands in memory is held against what the object says."""
    with pytest.raises(EvaluationError, match="cannot reach the memory of BF16 weights"):
        as_tensor(SimpleNamespace(dtype=trt.bfloat16, size=3))


def test_no_weights() -> None:
    assert as_tensor(trt.Weights(trt.bfloat16)) is None
    assert as_tensor(None) is None
