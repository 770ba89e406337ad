"""Quantise, dequantise and dynamic quantise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from torch2trt.trt_compat import to_trt_dtype, trt

from .case import Case, Net, short, sizes
from .rows import BF16, F16, F32, data, wide

FP4 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
LIMITS = {"int8": (-128, 127), "fp8": (-448, 448), "int4": (-8, 7), "fp4": (-6, 6)}


def rounded(kind: str, x: torch.Tensor) -> torch.Tensor:
    """The nearest value that a type has, in float32, ties to the even one."""
    low, high = LIMITS[kind]
    x = x.clamp(low, high)
    if kind in ("int8", "int4"):
        return x.round()
    if kind == "fp8":
        return x.to(torch.float8_e4m3fn).float()
    table = torch.tensor(sorted({*FP4, *(-v for v in FP4)}))
    distance = (x.unsqueeze(-1) - table).abs()
    best = distance.amin(-1, keepdim=True)
    even = torch.tensor([FP4.index(abs(v)) % 2 == 0 for v in table.tolist()])
    return table[torch.where(distance == best, torch.where(even, 2, 1), 0).argmax(-1)]


def spread(scale: torch.Tensor, shape: Sequence[int], axis: int) -> torch.Tensor:
    if scale.dim() == 0:
        return scale
    if scale.dim() == 1:
        return scale.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    for i, size in enumerate(shape):
        scale = scale.repeat_interleave(size // scale.shape[i], i)
    return scale


def round_trip_case(
    kind: str, shape: tuple[int, ...], scale: torch.Tensor, axis: int = -1, dtype: torch.dtype = F32, **more: Any
) -> Case:
    """Quantise, then dequantise."""
    x = data("quantize" + kind, shape, dtype, -3, 3)
    scale = scale.to(dtype)

    def build(net: Net) -> None:
        s = net.constant(scale)
        quantize = net.network.add_quantize(net.input(x), s, getattr(trt, kind))
        dequantize = net.network.add_dequantize(quantize.get_output(0), s, to_trt_dtype(dtype))
        if scale.dim() == 1:
            quantize.axis = dequantize.axis = axis
        net.output(dequantize.get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        s = spread(scale.float(), shape, axis)
        # Measured: the quotient has the input's dtype.
        return rounded(kind, (v / s).to(dtype).float()) * s

    spacing = f"scale{float(scale):.3f}" if scale.dim() == 0 else f"scale{sizes(scale.shape)}"
    label = f"{kind}-{sizes(shape)}-{spacing}-axis{axis}-{short(dtype)}"
    return Case(f"quantize-{label}", build, wide(expected), needs_gpu=True, **more)


def dequantize_case(
    kind: str, shape: tuple[int, ...], scale: torch.Tensor, axis: int = -1, dtype: torch.dtype = F32, **more: Any
) -> Case:
    """A quantised constant, dequantised: how weights are stored."""
    codes = torch.arange(torch.Size(shape).numel())
    if kind == "int4":
        values = (codes % 16 - 8).float()
    elif kind == "fp4":
        values = torch.tensor([*FP4, *(-v for v in FP4)])[codes % 16]
    else:
        values = rounded(kind, (codes % 37 - 18).float())
    scale = scale.to(dtype)

    def build(net: Net) -> None:
        if kind in ("int4", "fp4"):
            nibbles = ((codes % 16 - 8) % 16 if kind == "int4" else codes % 16).to(torch.uint8)
            raw = (nibbles[::2] | (nibbles[1::2] << 4)).contiguous()
            x = net.packed(getattr(trt, kind), raw, shape, codes.numel())
        else:
            held = torch.int8 if kind == "int8" else torch.float8_e4m3fn
            x = net.constant(values.reshape(shape).to(held))
        layer = net.network.add_dequantize(x, net.constant(scale), to_trt_dtype(dtype))
        if scale.dim() == 1:
            layer.axis = axis
        total = net.network.add_elementwise(
            layer.get_output(0), net.input(torch.zeros(shape, dtype=dtype)), trt.ElementWiseOperation.SUM
        )
        net.output(total.get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        return v + values.reshape(shape) * spread(scale.float(), shape, axis)

    label = f"{kind}-{sizes(shape)}-scale{sizes(scale.shape)}-axis{axis}-{short(dtype)}"
    return Case(f"dequantize-{label}", build, wide(expected), needs_gpu=True, **more)


def dynamic_case(kind: str, **more: Any) -> Case:
    """Dynamic quantise, then dequantise the scales and the data with them."""
    block, outer = (16, 0.01) if kind == "fp4" else (32, 1.0)
    x = data("dynamic", (4, 64), F32, -5, 5)

    def build(net: Net) -> None:
        scale_type = trt.fp8 if kind == "fp4" else trt.DataType.E8M0
        layer = net.network.add_dynamic_quantize(net.input(x), 1, block, getattr(trt, kind), scale_type)
        scale = layer.get_output(1)
        if kind == "fp4":
            double = net.constant(outer)
            layer.set_input(1, double)
            scale = net.network.add_dequantize(scale, double, trt.float32).get_output(0)
        net.output(net.network.add_dequantize(layer.get_output(0), scale, trt.float32).get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        most = v.reshape(4, -1, block).abs().amax(-1)
        if kind == "fp4":
            scale = rounded("fp8", most / 6 / outer) * outer
        else:
            scale = torch.exp2(torch.ceil(torch.log2(most / 448)))
        s = scale.repeat_interleave(block, 1)
        return rounded(kind, v / s) * s

    return Case(f"dynamic_quantize-{kind}-4x64-float32", build, expected, needs_gpu=True, **more)


CHANNELS = torch.tensor([0.02, 0.05, 0.031])
BLOCKS = data("blocks", (4, 8), F32, 0.05, 0.2)

CASES = [
    round_trip_case("int8", (2, 3, 4, 5), torch.tensor(0.017)),
    round_trip_case("int8", (2, 3, 4, 5), torch.tensor(0.05)),
    round_trip_case("int8", (4, 8), torch.tensor(0.017), dtype=F16),
    round_trip_case("int8", (3, 4, 2, 2), CHANNELS, 0),
    round_trip_case("int8", (2, 3, 4), CHANNELS, 1),
    round_trip_case("fp8", (2, 3, 4, 5), torch.tensor(0.03)),
    round_trip_case("fp8", (4, 8), torch.tensor(0.005)),
    round_trip_case("fp8", (4, 8), torch.tensor(0.03), dtype=F16),
    round_trip_case("fp8", (4, 8), torch.tensor(0.03), dtype=BF16),
    round_trip_case("int4", (128, 8), data("int4", (2, 8), F32, 0.2, 0.5)),
    round_trip_case("fp4", (4, 128), BLOCKS),
    dequantize_case("int8", (4, 6), torch.tensor(0.017)),
    dequantize_case("int8", (3, 8), CHANNELS, 0),
    dequantize_case("int8", (3, 8), CHANNELS, 0, F16),
    dequantize_case("fp8", (4, 6), torch.tensor(0.03)),
    dequantize_case("fp8", (3, 8), CHANNELS, 0),
    dequantize_case("int4", (128, 8), data("int4", (2, 8), F32, 0.2, 0.5)),
    dequantize_case("int4", (8, 128), data("int4b", (8, 2), F32, 0.2, 0.5), dtype=F16),
    dequantize_case("fp4", (4, 128), BLOCKS),
    dynamic_case("fp4"),
    dynamic_case("fp8"),
]
