"""Known tensors that hold multiples of a scale, as fake quantisation leaves them.

Folding computes the fake quantisation of a weight like any other node on known values. What it computed is noted here,
so that a product can take the weight as the 8-bit numbers that an engine multiplies. The note goes with the tensor;
whatever is computed from it is an ordinary tensor again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .weights import derive

INT8 = (-128, 127)
FP8_MAX = 448.0
LEAST = 1.0 / (1 << 24)  # modelopt: a greatest magnitude up to this stands for a tensor of zeros

_LIBRARY = torch.library.Library("torch2trt", "FRAGMENT")
_LIBRARY.define(
    "fake_quantize(Tensor input, Tensor amax, int bits, int exponent_bits, bool unsigned, bool narrow) -> Tensor"
)


@dataclass(frozen=True, eq=False)
class Steps:
    """How a tensor is numbers times a scale.

    Args:
        scale: float32; one number, or one a channel.
        axis: of the channels; None for one scale in all.
        dtype: of the numbers: int8, or float8_e4m3fn.
    """

    scale: torch.Tensor
    axis: int | None
    dtype: torch.dtype

    def numbers(self, tensor: torch.Tensor) -> torch.Tensor:
        """The numbers of ``tensor``; they remember how they came from parameters."""
        return derive(_numbers, tensor, self.scale, self.axis, self.dtype)


def _numbers(tensor: torch.Tensor, scale: torch.Tensor, axis: int | None, dtype: torch.dtype) -> torch.Tensor:
    quotient = tensor.float() / along(scale, axis, tensor.dim())
    return quotient.to(dtype) if dtype.is_floating_point else quotient.round().clamp(*INT8).to(dtype)


def along(scale: torch.Tensor, axis: int | None, rank: int) -> torch.Tensor:
    """A scale in the shape that broadcasts against a tensor of ``rank``."""
    return scale if axis is None else scale.reshape([-1 if other == axis else 1 for other in range(rank)])


_steps_of: dict[int, tuple[weakref.ref[torch.Tensor], Steps]] = {}


def steps_of(tensor: torch.Tensor) -> Steps | None:
    """How ``tensor`` is numbers times a scale; None when that is not known."""
    entry = _steps_of.get(id(tensor))
    return entry[1] if entry is not None and entry[0]() is tensor else None


def note(kind: str, args: Sequence[Any], result: Any) -> None:
    """Remember what an operator did to known tensors, if it is one that quantises.

    Args:
        kind: the operator.
        args: one for each argument of its schema.
        result: what it gave.
    """
    reader = _READERS.get(kind)
    if reader is None:
        return
    steps = reader(args)
    tensor = result[0] if isinstance(result, (list, tuple)) else result
    if steps is None or not isinstance(tensor, torch.Tensor) or not bool((steps.scale > 0).all()):
        return
    key = id(tensor)
    _steps_of[key] = (weakref.ref(tensor, lambda _: _steps_of.pop(key, None)), steps)


def _affine(scale: Any, zero_point: Any, axis: int | None, lowest: int, highest: int) -> Steps | None:
    """Integers between two limits; None unless 0 stands for 0 and int8 holds them."""
    if bool(torch.as_tensor(zero_point).any()) or lowest < INT8[0] or highest > INT8[1]:
        return None
    return Steps(derive(_as_scale, scale, axis is None), axis, torch.int8)


def _as_scale(scale: Any, single: bool) -> torch.Tensor:
    tensor = torch.as_tensor(scale, dtype=torch.float32)
    return tensor.reshape(()) if single else tensor.reshape(-1)


def calibration(
    state: Sequence[torch.Tensor], lowest: int, highest: int, per_channel: bool, symmetric: bool
) -> Sequence[torch.Tensor]:
    """The scale and zero point that ``fused_moving_avg_obs_fake_quant`` rounds with.

    With its observer off it computes them from the extrema that were seen, whatever it is given for them. PyTorch
    does that here as well, on copies and an input that does not matter.

    Args:
        state: the smallest and largest values that were seen, scale and zero point.
        lowest: the smallest step.
        highest: the largest step.
        per_channel: whether there is one of each a channel.
        symmetric: whether 0 is the middle.
    """
    return derive(_calibrate, list(state), lowest, highest, per_channel, symmetric)


def _calibrate(
    state: list[torch.Tensor], lowest: int, highest: int, per_channel: bool, symmetric: bool
) -> tuple[torch.Tensor, ...]:
    copies = [tensor.clone() for tensor in state]
    off, on = (torch.tensor([flag], device=copies[0].device) for flag in (0, 1))
    values = torch.zeros(state[2].numel(), 1, device=copies[0].device)
    torch.ops.aten.fused_moving_avg_obs_fake_quant(
        values, off, on, *copies, 0.01, lowest, highest, 0, per_channel, symmetric
    )
    return copies[2], copies[3]


def _moving_average(args: Sequence[Any]) -> Steps | None:
    observer_on, fake_quant_on = args[1:3]
    lowest, highest, axis, per_channel, symmetric = args[8:]
    if bool(observer_on) or not bool(fake_quant_on):
        return None
    scale, zero_point = calibration(args[3:7], lowest, highest, per_channel, symmetric)
    return _affine(scale, zero_point, axis if per_channel else None, lowest, highest)


def _dequantized(args: Sequence[Any]) -> Steps | None:
    """Of a quantised tensor; None unless it is of qint8."""
    tensor = args[0]
    if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.qint8:
        return None
    if tensor.qscheme() in (torch.per_channel_affine, torch.per_channel_symmetric):
        scale = derive(torch.Tensor.q_per_channel_scales, tensor)
        return _affine(scale, tensor.q_per_channel_zero_points(), tensor.q_per_channel_axis(), *INT8)
    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return _affine(derive(_scale_of_all, tensor), tensor.q_zero_point(), None, *INT8)
    return None


def _scale_of_all(tensor: torch.Tensor) -> torch.Tensor:
    return torch.tensor(tensor.q_scale())


def _greatest(args: Sequence[Any]) -> Steps | None:
    tensor, amax, bits, exponent_bits, unsigned, narrow = args
    limits = bounds(bits, exponent_bits, unsigned, narrow)
    if not exponent_bits and (limits[0] < INT8[0] or limits[1] > INT8[1]):
        return None
    axis = channel_axis(amax)
    if axis is not None and amax.dim() != tensor.dim():
        return None
    scale = derive(scale_of, amax, limits[1], axis is None)
    return Steps(scale, axis, torch.float8_e4m3fn if exponent_bits else torch.int8)


def scale_of(amax: torch.Tensor, most: float, single: bool) -> torch.Tensor:
    """What the greatest number of a format has to be multiplied with to give ``amax``; 1 where that is 0."""
    scale = torch.where(amax.float() <= LEAST, 1.0, 1 / (most / amax.float()))
    return scale.reshape(()) if single else scale.reshape(-1)


def channel_axis(amax: torch.Tensor) -> int | None:
    """The axis along which greatest magnitudes differ; None for one in all.

    Raises:
        ValueError: they differ along several axes.
    """
    if amax.numel() == 1:
        return None
    axes = [axis for axis, size in enumerate(amax.shape) if size > 1]
    if len(axes) > 1:
        raise ValueError(f"greatest magnitudes of shape {list(amax.shape)} differ along several axes")
    return axes[0]


def bounds(bits: int, exponent_bits: int, unsigned: bool, narrow: bool) -> tuple[float, float]:
    """The least and the greatest number of a format."""
    if exponent_bits:
        return -FP8_MAX, FP8_MAX
    most = 2.0 ** (bits - 1 + unsigned) - 1
    return (0.0 if unsigned else -most if narrow else -most - 1), most


def fake_quantize(
    input: torch.Tensor, amax: torch.Tensor, bits: int, exponent_bits: int, unsigned: bool, narrow: bool
) -> torch.Tensor:
    """``input`` rounded to what a format holds whose greatest number stands for ``amax``: modelopt's quantisers.

    Args:
        input: floating point.
        amax: the greatest magnitude; one, or one a channel in a shape that broadcasts.
        bits: of the integers, or 8 for FP8.
        exponent_bits: 4 for FP8 (E4M3), 0 for integers.
        unsigned: whether the integers start at 0.
        narrow: whether the lowest integer is left out.
    """
    least, most = bounds(bits, exponent_bits, unsigned, narrow)
    zero = amax.float() <= LEAST
    factor = torch.where(zero, 1.0, most / amax.float())
    scaled = input.float() * (factor if exponent_bits else factor.masked_fill(zero, 0.0))
    if exponent_bits:
        return (scaled.clamp(least, most).to(torch.float8_e4m3fn).float() * (1 / factor)).to(input.dtype)
    return (scaled.round().clamp(least, most) / factor).to(input.dtype)


_LIBRARY.impl("fake_quantize", fake_quantize, "CompositeExplicitAutograd")

_READERS: dict[str, Callable[[Sequence[Any]], Steps | None]] = {
    "aten::fake_quantize_per_tensor_affine": lambda args: _affine(args[1], args[2], None, *args[3:5]),
    "aten::fake_quantize_per_tensor_affine_cachemask": lambda args: _affine(args[1], args[2], None, *args[3:5]),
    "aten::fake_quantize_per_channel_affine": lambda args: _affine(*args[1:6]),
    "aten::fake_quantize_per_channel_affine_cachemask": lambda args: _affine(*args[1:6]),
    "aten::fused_moving_avg_obs_fake_quant": _moving_average,
    "aten::dequantize": _dequantized,
    "torch2trt::fake_quantize": _greatest,
    "quantized_decomposed::dequantize_per_tensor": lambda args: _affine(args[1], args[2], None, *args[3:5]),
    "quantized_decomposed::dequantize_per_channel": lambda args: _affine(
        args[1], 0 if args[2] is None else args[2], *args[3:6]
    ),
}
