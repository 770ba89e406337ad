"""Quantise, dequantise and dynamic quantise, by TensorRT's quantisation schemes.

Formulas: NvInfer.h, IQuantizeLayer, and NVIDIA's documentation, "Quantization Schemes".
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..errors import EvaluationError
from .registry import LayerContext, Run, layer
from .types import FLOATING, dims
from .weights import FP4_VALUES

FP8_MAX = 448.0
FP4_MAX = 6.0
_E8M0_BIAS = 127


def to_fp4(x: torch.Tensor) -> torch.Tensor:
    """The nearest E2M1 value, ties to an even significand, saturating, NaN the greatest; held in float8_e4m3fn."""
    table = torch.tensor(FP4_VALUES, dtype=x.dtype, device=x.device)
    size = x.nan_to_num(FP4_MAX).abs().clamp(max=FP4_MAX)
    upper = torch.searchsorted(table, size).clamp(max=len(FP4_VALUES) - 1)
    lower = (upper - 1).clamp(min=0)
    above, below = table[upper] - size, size - table[lower]
    # Codes of even index have an even significand.
    choose_upper = (above < below) | ((above == below) & (upper % 2 == 0))
    return torch.where(choose_upper, table[upper], table[lower]).copysign(x).to(torch.float8_e4m3fn)


def _clipped(low: float, high: float, held: torch.dtype) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: torch.round(x).clamp(low, high).to(held)


# From the scaled value to the quantised one; torch rounds to the nearest even both in round() and to float8.
ROUNDINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "INT8": _clipped(-128, 127, torch.int8),
    "INT4": _clipped(-8, 7, torch.int8),
    "FP8": lambda x: x.clamp(-FP8_MAX, FP8_MAX).to(torch.float8_e4m3fn),
    "FP4": to_fp4,
}


def spread_scale(scale: torch.Tensor, shape: torch.Size, axis: int) -> torch.Tensor:
    """A scale made to broadcast against the data.

    Args:
        scale: one value; one per element of ``axis``, 1-d; or one per block, of the data's rank.
        shape: the data's shape.
        axis: the channel axis of a 1-d scale.

    Raises:
        EvaluationError: its shape fits none of these.
    """
    if scale.numel() == 1:
        return scale.reshape(())
    if scale.dim() == 1 and len(shape) != 1:
        axis += len(shape) if axis < 0 else 0
        if scale.numel() != shape[axis]:
            raise EvaluationError(f"a scale of {scale.numel()} for axis {axis} of shape {list(shape)}")
        return scale.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    if scale.dim() != len(shape):
        raise EvaluationError(f"a scale of shape {list(scale.shape)} for data of shape {list(shape)}")
    for i, size in enumerate(shape):
        blocks = scale.shape[i]
        if blocks not in (1, size):
            if not blocks or size % blocks:
                raise EvaluationError(f"blocks of shape {list(scale.shape)} do not divide {list(shape)}")
            scale = scale.repeat_interleave(size // blocks, i)
    return scale


def _wide(context: LayerContext) -> torch.dtype:
    """The dtype in which scaling is done: float32, or the evaluation's own."""
    return context.settings.compute_dtype or torch.float32


def _refuse_offset(zero: torch.Tensor | None) -> None:
    """TensorRT's quantisation is symmetric: a zero point may be there, but holds zeros only."""
    if zero is not None and bool((zero.float() != 0).any()):
        raise EvaluationError("the zero point must hold zeros only: TensorRT's quantisation is symmetric")


@layer("QUANTIZE")
def quantize(context: LayerContext) -> Run:
    """``IQuantizeLayer``: ``clamp(round(x / scale))`` to INT8, FP8, INT4, FP4; per tensor, channel or block.

    The quotient of halves is a half: rounding twice shows in ties (NvInfer.h does not say; measured with TensorRT for
    RTX 1.4.0.76 from bfloat16 to FP8).

    Raises:
        EvaluationError: the zero point (input 2) is not zero.
    """
    kind, axis, wide = context.outputs[0].dtype.name, context.layer.axis, _wide(context)
    context.require_dtype(0, *FLOATING)
    rounding = ROUNDINGS.get(kind)
    if rounding is None:
        raise context.error(f"cannot quantise to {kind}")

    def run(x: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        _refuse_offset(zero)
        quotient = x.to(wide) / spread_scale(scale.to(wide), x.shape, axis)
        return rounding(quotient.to(x.dtype).to(wide))

    return run


@layer("DEQUANTIZE")
def dequantize(context: LayerContext) -> Run:
    """``IDequantizeLayer``: ``x * scale`` from INT8, FP8, INT4, FP4; per tensor, channel or block."""
    axis, held, wide = context.layer.axis, context.outputs[0].held, _wide(context)
    context.require_dtype(0, *ROUNDINGS)

    def run(x: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None = None) -> torch.Tensor:
        _refuse_offset(zero)
        return (x.to(wide) * spread_scale(scale.to(wide), x.shape, axis)).to(held)

    return run


def block_maxima(x: torch.Tensor, blocks: tuple[int, ...]) -> torch.Tensor:
    """The greatest magnitude in each block of the sizes given."""
    split: list[int] = []
    for size, block in zip(x.shape, blocks, strict=True):
        if size % block:
            raise EvaluationError(f"blocks of {list(blocks)} do not divide shape {list(x.shape)}")
        split += [size // block, block]
    return x.abs().reshape(split).amax(tuple(range(1, len(split), 2)))


def e8m0_ceiling(x: torch.Tensor) -> torch.Tensor:
    """The least power of two that is not below each positive value, as E8M0."""
    fraction, exponent = torch.frexp(x)
    exponent = torch.where(fraction == 0.5, exponent - 1, exponent)
    code = torch.where(x > 0, exponent + _E8M0_BIAS, 0).clamp(0, 254).to(torch.uint8)
    return code.view(torch.float8_e8m0fnu)


@layer("DYNAMIC_QUANTIZE")
def dynamic_quantize(context: LayerContext) -> Run:
    """``IDynamicQuantizeLayer``: the quantised data, and a scale per block: its greatest magnitude over the type's.

    NVFP4 divides the scale by the double-quantisation scale (input 1) and rounds it to FP8; MXFP8 rounds it up to a
    power of two, so that no value saturates. The data is divided by the scale as rounded.
    """
    node, rank = context.layer, context.rank()
    context.require_dtype(0, *FLOATING)
    kind, scale_kind = context.outputs[0].dtype.name, context.outputs[1].dtype.name
    if (kind, scale_kind) not in (("FP4", "FP8"), ("FP8", "E8M0"), ("FP8", "FLOAT"), ("FP4", "FLOAT")):
        raise context.error(f"cannot quantise to {kind} with {scale_kind} scales")
    axis = node.axis + (rank if node.axis < 0 else 0)
    shape = dims(node.block_shape) or tuple(node.block_size if i == axis else 1 for i in range(rank))
    most, wide, rounding = (FP4_MAX if kind == "FP4" else FP8_MAX), _wide(context), ROUNDINGS[kind]

    def run(x: torch.Tensor, double: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        blocks = tuple(size if block == -1 else block for size, block in zip(x.shape, shape, strict=True))
        outer = torch.ones((), dtype=wide, device=x.device) if double is None else double.to(wide).reshape(())
        scale = block_maxima(x.to(wide), blocks) / most / outer
        if scale_kind == "E8M0":
            stored = e8m0_ceiling(scale)
        else:
            stored = ROUNDINGS["FP8"](scale) if scale_kind == "FP8" else scale.to(context.outputs[1].held)
        used = spread_scale(stored.to(wide) * outer, x.shape, axis)
        scaled = torch.where(used == 0, torch.zeros_like(x, dtype=wide), x.to(wide) / used)
        return rounding(scaled), stored

    return run
