"""Modules that torch.export quantised: quantisations and dequantisations around floating-point operators."""

from __future__ import annotations

import torch
from torch.ao.quantization.fx import _decomposed  # noqa: F401  (registers its operators)

import torch2trt
from tests import harness
from tests.passes.rewrites import check_rewrite, layer_types

decomposed = torch.ops.quantized_decomposed
INT8 = (-128, 127, torch.int8)


def _rounded(x: torch.Tensor, scale: float, zero: int = 0) -> torch.Tensor:
    steps = decomposed.quantize_per_tensor(x, scale, zero, *INT8)
    result: torch.Tensor = decomposed.dequantize_per_tensor(steps, scale, zero, *INT8)
    return result


class Quantised(torch.nn.Module):
    """A linear layer as torch.export's quantisation leaves it, its weight 8-bit numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", harness.rand(6, 8, dtype=torch.int8, low=-127, high=127))
        self.register_buffer("scales", torch.linspace(0.01, 0.02, 6))
        self.register_buffer("zeros", torch.zeros(6, dtype=torch.int64))
        self.bias = torch.nn.Parameter(harness.rand(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = decomposed.dequantize_per_channel(self.weight, self.scales, self.zeros, 0, -127, 127, torch.int8)
        return _rounded(torch.nn.functional.linear(_rounded(x, 0.02), weight, self.bias), 0.03)


def test_linear_of_8_bit_numbers() -> None:
    module, x = Quantised().eval(), harness.rand(4, 8)
    converted = torch2trt.convert(module, x, dynamic_shapes={"x": {0: (1, 4, 16)}})
    assert converted.graph.rewrites["fake_quantize"] == 2
    # Input, weight and result; the weight's numbers are constants, so nothing quantises it.
    assert layer_types(converted)["DEQUANTIZE"] == 3 and layer_types(converted)["QUANTIZE"] == 2
    other = harness.rand(7, 8)
    harness.assert_same(converted.evaluate(other), module(other), atol=0.031)  # a step: values half way between two


def test_pairs_of_other_parameters_stay() -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        steps = decomposed.quantize_per_tensor(x, 0.1, 0, *INT8)
        return decomposed.dequantize_per_tensor(steps, 0.2, 0, *INT8)

    check_rewrite("fake_quantize", function, harness.rand(4, 5), 0, half=False)


def test_channels_and_zero_points() -> None:
    scales, zeros = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0, 3, -4])

    def function(x: torch.Tensor) -> torch.Tensor:
        steps = decomposed.quantize_per_channel(x, scales, zeros, 1, *INT8)
        return _rounded(decomposed.dequantize_per_channel(steps, scales, zeros, 1, *INT8), 0.25, 5)

    check_rewrite("fake_quantize", function, harness.rand(4, 3, 5), 2, half=False)
