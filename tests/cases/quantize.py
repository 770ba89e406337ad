"""Fake quantisation."""

from collections.abc import Callable
from typing import Any

import torch
from torch.ao.quantization.fx import _decomposed  # noqa: F401  (registers its operators)

from tests.harness import Case, rand
from torch2trt import quantized as _quantized  # noqa: F401  (registers the operator)

fake_quantize = torch.ops.torch2trt.fake_quantize
aten = torch.ops.aten
decomposed = torch.ops.quantized_decomposed

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


def _numbers(scale: float, zero: int, low: int, high: int, dtype: torch.dtype) -> Callable[..., torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        number: torch.Tensor = decomposed.quantize_per_tensor(x, scale, zero, low, high, dtype)
        return number

    return run


def _there_and_back(x: torch.Tensor) -> Any:
    parameters = (0.05, 3, 0, 255, torch.uint8)
    steps = decomposed.quantize_per_tensor(x, *parameters)
    moved = decomposed.dequantize_per_tensor(steps.reshape(-1), *parameters)
    return moved, decomposed.dequantize_per_tensor(steps, *parameters, out_dtype=torch.float16)


def _channels(x: torch.Tensor) -> Any:
    scales, zeros = torch.tensor([0.1, 0.2, 0.05]), torch.tensor([1, 0, -3])
    steps = decomposed.quantize_per_channel(x, scales, zeros, 1, -128, 127, torch.int8)
    return steps, decomposed.dequantize_per_channel(steps, scales, None, 1, -128, 127, torch.int8)


def _reference_channels(x: torch.Tensor) -> torch.Tensor:
    scales, zeros = torch.tensor([0.1, 0.2, 0.05]), torch.tensor([1, 0, -3])
    return torch.quantize_per_channel(x, scales, zeros, 1, torch.qint8).dequantize()


def _reference_twice(x: torch.Tensor) -> Any:
    numbers = torch.quantize_per_tensor(x, torch.tensor(0.02), torch.tensor(0), torch.qint8)
    return numbers.dequantize() + 1, torch.dequantize(numbers).sum(-1)


_WAVES = 9 * torch.arange(24.0).sin().reshape(2, 3, 4)

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
    *(
        Case(f"decomposed-{dtype}".replace("torch.", ""), _numbers(0.03, zero, low, high, dtype), rand(3, 40))
        for zero, low, high, dtype in (
            (0, -128, 127, torch.int8),
            (7, 0, 255, torch.uint8),
            (-100, -(2**15), 2**15 - 1, torch.int16),
            (0, -1000, 1000, torch.int32),
        )
    ),
    Case("decomposed-ties", _numbers(0.03, 0, -128, 127, torch.int8), torch.arange(-16, 17) / 8),
    Case("decomposed-half", _numbers(0.03, 3, -128, 127, torch.int8), rand(3, 40, dtype=torch.float16)),
    Case("decomposed-there-and-back", _there_and_back, rand(2, 5, 4)),
    Case(
        "decomposed-dynamic",
        _there_and_back,
        rand(2, 5, 4),
        {"x": {0: (1, 2, 8)}},
        [rand(1, 5, 4), rand(8, 5, 4)],
    ),
    Case("decomposed-channels", _channels, rand(2, 3, 4)),
    Case(
        "decomposed-input",
        lambda x: decomposed.dequantize_per_tensor(x, 0.1, 2, -128, 127, torch.int8),
        rand(3, 4, dtype=torch.int8, low=-128, high=127),
    ),
    Case("reference-tensor", lambda x: torch.quantize_per_tensor(x, 0.07, 9, torch.quint8).dequantize(), _WAVES),
    Case("reference-channel", _reference_channels, _WAVES, {"x": {0: (1, 2, 8)}}, [_WAVES[:1], _WAVES.repeat(2, 1, 1)]),
    Case("reference-twice", _reference_twice, _WAVES, unbuilt=_NO_GPU),
]
