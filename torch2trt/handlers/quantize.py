"""Fake quantisation."""

from __future__ import annotations

from typing import Any

from .. import emit
from ..emit import Tensor
from ..registry import op


@op("aten::fake_quantize_per_tensor_affine")
def aten_fake_quantize_per_tensor(
    self: Tensor, scale: Tensor, zero_point: Tensor, quant_min: int, quant_max: int
) -> Any:
    """``fake_quantize_per_tensor_affine(Tensor self, float scale, int zero_point, int quant_min, quant_max)``.

    Symmetric int8 becomes a quantize and a dequantize layer, which TensorRT builds where there is a GPU.
    """
    return emit.fake_quantize(self, scale, zero_point, quant_min, quant_max, None)[0]


@op("aten::fake_quantize_per_tensor_affine_cachemask")
def aten_fake_quantize_per_tensor_cachemask(
    self: Tensor, scale: Tensor, zero_point: Tensor, quant_min: int, quant_max: int
) -> tuple[Any, Any]:
    """``fake_quantize_per_tensor_affine_cachemask(...) -> (Tensor output, Tensor mask)``: which were in range."""
    return emit.fake_quantize(self, scale, zero_point, quant_min, quant_max, None)


@op("aten::fake_quantize_per_channel_affine")
def aten_fake_quantize_per_channel(
    self: Tensor, scale: Tensor, zero_point: Tensor, axis: int, quant_min: int, quant_max: int
) -> Any:
    """``fake_quantize_per_channel_affine(Tensor self, Tensor scale, Tensor zero_point, int axis, ...) -> Tensor``."""
    return emit.fake_quantize(self, scale, zero_point, quant_min, quant_max, axis)[0]


@op("aten::fake_quantize_per_channel_affine_cachemask")
def aten_fake_quantize_per_channel_cachemask(
    self: Tensor, scale: Tensor, zero_point: Tensor, axis: int, quant_min: int, quant_max: int
) -> tuple[Any, Any]:
    """``fake_quantize_per_channel_affine_cachemask(...) -> (Tensor output, Tensor mask)``: which were in range."""
    return emit.fake_quantize(self, scale, zero_point, quant_min, quant_max, axis)
