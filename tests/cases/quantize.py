"""Fake quantisation."""

from collections.abc import Callable
from typing import Any

import torch

from tests.harness import Case, rand
from torch2trt import quantized as _quantized  # noqa: F401  (registers the operator)

fake_quantize = torch.ops.torch2trt.fake_quantize
aten = torch.ops.aten

_NO_GPU = "" if torch.cuda.is_available() else "TensorRT for RTX builds int8 quantisation where there is a GPU"


def _per_tensor(scale: float, zero: int, low: int, high: int) -> Callable[..., torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, low, high)

    return run


def _qparams(x: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
    return torch.fake_quantize_per_tensor_affine(x, scale, zero, -8, 7)


def _per_channel(axis: int, zero: list[int], low: int, high: int) -> Callable[..., torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        scale = torch.linspace(0.01, 0.02, x.shape[axis])
        return torch.fake_quantize_per_channel_affine(x, scale, torch.tensor(zero, dtype=torch.int32), axis, low, high)

    return run


def _mask(x: torch.Tensor) -> Any:
    return aten.fake_quantize_per_tensor_affine_cachemask(x, 0.1, 3, 0, 15)


def _channel_mask(x: torch.Tensor) -> Any:
    scale, zero = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0, 1, 2], dtype=torch.int32)
    return aten.fake_quantize_per_channel_affine_cachemask(x, scale, zero, 1, 0, 15)


def _calibrated(least: list[float], most: list[float], low: int, high: int, symmetric: bool) -> Callable[..., Any]:
    """What torch.ao's default fake quantisation calls, its observer off; several extrema are those of axis 1."""
    size = len(least)

    def run(x: torch.Tensor) -> torch.Tensor:
        off, on = torch.tensor([0]), torch.tensor([1])
        state = (torch.tensor(least), torch.tensor(most), torch.ones(size), torch.zeros(size, dtype=torch.int32))
        return aten.fused_moving_avg_obs_fake_quant(x, off, on, *state, 0.01, low, high, 1, size > 1, symmetric)

    return run


def _greatest(
    amax: Any, bits: int, exponent_bits: int, unsigned: bool = False, narrow: bool = False
) -> Callable[..., Any]:
    def run(x: torch.Tensor) -> torch.Tensor:
        return fake_quantize(x, torch.tensor(amax), bits, exponent_bits, unsigned, narrow)

    return run


_SIZES = {"x": {0: (1, 2, 8)}}
_OTHERS = [rand(1, 3, 5), rand(8, 3, 5)]

CASES = [
    Case("tensor", _per_tensor(0.013, 0, -128, 127), rand(2, 3, 5), unbuilt=_NO_GPU),
    Case("tensor-half", _per_tensor(0.013, 0, -128, 127), rand(2, 3, 5, dtype=torch.float16), unbuilt=_NO_GPU),
    Case("tensor-dynamic", _per_tensor(0.013, 0, -128, 127), rand(2, 3, 5), _SIZES, _OTHERS, unbuilt=_NO_GPU),
    Case("tensor-zero-point", _per_tensor(0.013, 5, 0, 255), rand(2, 3, 5)),
    Case("tensor-few-bits", _per_tensor(0.3, 0, -8, 7), rand(2, 3, 5)),
    Case("tensor-scalar", _per_tensor(0.013, 0, -128, 127), torch.tensor(0.77)),
    Case("tensor-known-qparams", _qparams, (rand(2, 3, 5), torch.tensor(0.2), torch.tensor(1, dtype=torch.int32))),
    Case("channel", _per_channel(1, [0, 0, 0], -128, 127), rand(2, 3, 5), unbuilt=_NO_GPU),
    Case("channel-zero-points", _per_channel(1, [0, 5, 9], 0, 255), rand(2, 3, 5)),
    Case("channel-first", _per_channel(0, [0, 1], -8, 7), rand(2, 3, 5)),
    Case("calibrated", _calibrated([-1.0], [1.5], -128, 127, True), rand(2, 3, 5), unbuilt=_NO_GPU),
    Case("calibrated-zero-point", _calibrated([-1.0], [1.5], 0, 255, False), rand(2, 3, 5), _SIZES, _OTHERS),
    Case("calibrated-channel", _calibrated([-1.0, 0.0, -2.0], [0.5, 1.5, 1.0], 0, 15, False), rand(2, 3, 5)),
    Case("greatest", _greatest(1.3, 8, 0), rand(2, 3, 5), _SIZES, _OTHERS, unbuilt=_NO_GPU),
    Case("greatest-narrow", _greatest(1.3, 8, 0, narrow=True), rand(2, 3, 5)),
    Case("greatest-unsigned", _greatest(1.3, 8, 0, unsigned=True), rand(2, 3, 5)),
    Case("greatest-few-bits", _greatest(1.3, 4, 0), rand(2, 3, 5)),
    Case("greatest-channel", _greatest([[[1.3], [0.4], [0.0]]], 8, 0), rand(2, 3, 5), unbuilt=_NO_GPU),
    Case("greatest-float8", _greatest(1.3, 8, 4), rand(2, 3, 5), _SIZES, _OTHERS, unbuilt=_NO_GPU),
    Case("greatest-float8-half", _greatest(1.3, 8, 4), rand(2, 3, 5, dtype=torch.float16), unbuilt=_NO_GPU),
    Case("greatest-float8-scalar", _greatest(1.3, 8, 4), torch.tensor(0.77), unbuilt=_NO_GPU),
    Case("tensor-mask", _mask, rand(2, 3, 5)),
    Case("channel-mask", _channel_mask, rand(2, 3, 5)),
]
