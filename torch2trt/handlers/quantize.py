"""Fake quantisation."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..errors import UnsupportedArgumentError
from ..quantized import LEAST, bounds, calibration, channel_axis, scale_of
from ..registry import op
from ..weights import derive


@op("aten::fake_quantize_per_tensor_affine")
def aten_fake_quantize_per_tensor(
    self: Tensor, scale: Tensor, zero_point: Tensor, quant_min: int, quant_max: int
) -> Any:
    """``fake_quantize_per_tensor_affine(Tensor self, float scale, int zero_point, int quant_min, quant_max)``.

    Symmetric int8 becomes a quantize and a dequantize layer, which TensorRT builds where there is a GPU.
    """
    return emit.fake_quantize(self, scale, zero_point, quant_min, quant_max, None)


@op("aten::fake_quantize_per_tensor_affine_cachemask")
def aten_fake_quantize_per_tensor_cachemask(
    self: Tensor, scale: Tensor, zero_point: Tensor, quant_min: int, quant_max: int
) -> tuple[Any, Any]:
    """``fake_quantize_per_tensor_affine_cachemask(...) -> (Tensor output, Tensor mask)``: which were in range."""
    arguments = (self, scale, zero_point, quant_min, quant_max, None)
    return emit.fake_quantize(*arguments), emit.in_range(*arguments)


@op("aten::fake_quantize_per_channel_affine")
def aten_fake_quantize_per_channel(
    self: Tensor, scale: Tensor, zero_point: Tensor, axis: int, quant_min: int, quant_max: int
) -> Any:
    """``fake_quantize_per_channel_affine(Tensor self, Tensor scale, Tensor zero_point, int axis, ...) -> Tensor``."""
    return emit.fake_quantize(self, scale, zero_point, quant_min, quant_max, axis)


@op("aten::fake_quantize_per_channel_affine_cachemask")
def aten_fake_quantize_per_channel_cachemask(
    self: Tensor, scale: Tensor, zero_point: Tensor, axis: int, quant_min: int, quant_max: int
) -> tuple[Any, Any]:
    """``fake_quantize_per_channel_affine_cachemask(...) -> (Tensor output, Tensor mask)``: which were in range."""
    arguments = (self, scale, zero_point, quant_min, quant_max, axis)
    return emit.fake_quantize(*arguments), emit.in_range(*arguments)


@op("aten::fused_moving_avg_obs_fake_quant")
def aten_fused_moving_avg_obs_fake_quant(
    self: Tensor,
    observer_on: Tensor,
    fake_quant_on: Tensor,
    running_min: Tensor,
    running_max: Tensor,
    scale: Tensor,
    zero_point: Tensor,
    averaging_const: float,
    quant_min: int,
    quant_max: int,
    ch_axis: int,
    per_row_fake_quant: bool = False,
    symmetric_quant: bool = False,
) -> Any:
    """``fused_moving_avg_obs_fake_quant(Tensor self, Tensor observer_on, Tensor fake_quant_on, ...) -> Tensor``.

    The fake quantisation of torch.ao's default settings; its observer must be off, as it is after calibration.
    """
    if not isinstance(observer_on, torch.Tensor) or not isinstance(fake_quant_on, torch.Tensor):
        raise UnsupportedArgumentError("observer_on and fake_quant_on must be known at conversion")
    if bool(observer_on):
        raise UnsupportedArgumentError(
            "observer_on=1 would go on calibrating, and an engine keeps no state",
            hint="model.apply(torch.ao.quantization.disable_observer) before the conversion",
        )
    if not bool(fake_quant_on):
        return self
    state, limits = (running_min, running_max, scale, zero_point), (quant_min, quant_max)
    if not all(isinstance(tensor, torch.Tensor) for tensor in state):
        raise UnsupportedArgumentError("running_min, running_max, scale and zero_point must be known at conversion")
    scale, zero_point = calibration(state, *limits, per_row_fake_quant, symmetric_quant)
    return emit.fake_quantize(self, scale, zero_point, *limits, ch_axis if per_row_fake_quant else None)


@op("torch2trt::fake_quantize")
def torch2trt_fake_quantize(
    input: Tensor, amax: Tensor, bits: int, exponent_bits: int, unsigned: bool, narrow: bool
) -> Any:
    """``fake_quantize(Tensor input, Tensor amax, int bits, int exponent_bits, bool unsigned, bool narrow) -> Tensor``.

    The fake quantisation of modelopt to integers or FP8, ``amax`` known.
    """
    if not isinstance(amax, torch.Tensor):
        raise UnsupportedArgumentError(
            "amax is known at run time only", hint="calibrate the quantiser, so that amax is a buffer"
        )
    least, most = bounds(bits, exponent_bits, unsigned, narrow)
    axis = channel_axis(amax)
    if axis is not None and amax.dim() != emit.rank_of(input):
        raise UnsupportedArgumentError(
            f"amax of shape {list(amax.shape)} for an input of rank {emit.rank_of(input)}",
            hint="give amax a size for every axis of the input",
        )
    scale = derive(scale_of, amax, most, axis is None)
    if exponent_bits:
        return emit.fake_quantize_float8(input, scale, axis)
    rounded = emit.fake_quantize(input, scale, 0, int(least), int(most), axis)
    silent = amax.float() <= LEAST
    return emit.arithmetic("PROD", rounded, (~silent).to(emit.dtype_of(input))) if bool(silent.any()) else rounded


_DECOMPOSED = "quantized_decomposed::"


@op(f"{_DECOMPOSED}quantize_per_tensor")
def quantize_per_tensor(
    input: Tensor, scale: Tensor, zero_point: Tensor, quant_min: int, quant_max: int, dtype: torch.dtype
) -> Any:
    """``quantize_per_tensor(Tensor input, float scale, int zero_point, ..., ScalarType dtype) -> Tensor``.

    Of modules that torch.export quantised; with the dequantisation behind it, it becomes one fake quantisation.
    """
    return emit.quantize(input, scale, zero_point, quant_min, quant_max, None)


@op(f"{_DECOMPOSED}quantize_per_channel")
def quantize_per_channel(
    input: Tensor, scales: Tensor, zero_points: Tensor, axis: int, quant_min: int, quant_max: int, dtype: torch.dtype
) -> Any:
    """``quantize_per_channel(Tensor input, Tensor scales, Tensor zero_points, int axis, ...) -> Tensor``."""
    return emit.quantize(input, scales, zero_points, quant_min, quant_max, axis % emit.rank_of(input))


@op(f"{_DECOMPOSED}dequantize_per_tensor")
def dequantize_per_tensor(
    input: Tensor,
    scale: Tensor,
    zero_point: Tensor,
    quant_min: Any,
    quant_max: Any,
    dtype: torch.dtype,
    out_dtype: torch.dtype | None = None,
) -> Any:
    """``dequantize_per_tensor(Tensor input, float scale, int zero_point, ..., ScalarType? out_dtype) -> Tensor``."""
    return emit.dequantize(input, scale, zero_point, None, out_dtype or torch.float32)


@op(f"{_DECOMPOSED}dequantize_per_channel")
def dequantize_per_channel(
    input: Tensor,
    scales: Tensor,
    zero_points: Tensor | None,
    axis: int,
    quant_min: int,
    quant_max: int,
    dtype: torch.dtype,
    out_dtype: torch.dtype | None = None,
) -> Any:
    """``dequantize_per_channel(Tensor input, Tensor scales, Tensor? zero_points, int axis, ...) -> Tensor``."""
    zero = 0 if zero_points is None else zero_points
    return emit.dequantize(input, scales, zero, axis % emit.rank_of(input), out_dtype or torch.float32)
