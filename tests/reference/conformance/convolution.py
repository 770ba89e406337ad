"""Convolution, deconvolution, pooling and local response normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from torch2trt.trt_compat import trt

from .case import Case, Net, short, sizes
from .rows import BF16, F16, F32, coarse, data, wide

MODES = ("EXPLICIT_ROUND_DOWN", "EXPLICIT_ROUND_UP", "SAME_UPPER", "SAME_LOWER")


@dataclass(frozen=True)
class Conv:
    """One row: input, kernel and attributes of a convolution."""

    shape: tuple[int, ...]
    maps: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    mode: str = "EXPLICIT_ROUND_DOWN"
    bias: bool = True
    dtype: torch.dtype = F32
    as_input: bool = False

    @property
    def label(self) -> str:
        parts = [sizes(self.shape), f"k{sizes(self.kernel)}"]
        for name in ("stride", "before", "after", "dilation"):
            value = getattr(self, name)
            if value:
                parts.append(f"{name[0]}{sizes(value)}")
        parts += [f"g{self.groups}"] * (self.groups > 1)
        parts += ["nobias"] * (not self.bias) + ["kernel_input"] * self.as_input
        return "-".join([*parts, self.mode, short(self.dtype)])


def same_total(size: int, width: int, step: int) -> int:
    """Padding that gives ceil(size / step) windows."""
    return max((-(-size // step) - 1) * step + width - size, 0)


def conv_case(row: Conv) -> Case:
    n = len(row.kernel)
    stride, dilation = row.stride or (1,) * n, row.dilation or (1,) * n
    before, after = row.before or (0,) * n, row.after or row.before or (0,) * n
    x = coarse(row.label, row.shape, row.dtype)
    kernel = coarse(row.label + "k", (row.maps, row.shape[1] // row.groups, *row.kernel), row.dtype, -0.5, 0.5)
    bias = coarse(row.label + "b", (row.maps,), row.dtype) if row.bias else None

    def build(net: Net) -> None:
        weights = trt.Weights() if row.as_input else net.weights(kernel)
        offset = net.weights(bias) if bias is not None else trt.Weights()
        layer = net.network.add_convolution_nd(net.input(x), row.maps, row.kernel, weights, offset)
        if row.as_input:
            layer.set_input(1, net.constant(kernel))
        layer.stride_nd, layer.dilation_nd, layer.num_groups = stride, dilation, row.groups
        layer.pre_padding, layer.post_padding = before, after
        layer.padding_mode = getattr(trt.PaddingMode, row.mode)
        net.output(layer.get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        low, high = list(before), list(after)
        for i in range(n):
            width = dilation[i] * (row.kernel[i] - 1) + 1
            if row.mode.startswith("SAME"):
                total = same_total(row.shape[2 + i], width, stride[i])
                low[i] = total // 2 if row.mode == "SAME_UPPER" else total - total // 2
                high[i] = total - low[i]
            elif row.mode == "EXPLICIT_ROUND_UP":
                high[i] += -(row.shape[2 + i] + low[i] + high[i] - width) % stride[i]
        flat = [p for i in reversed(range(n)) for p in (low[i], high[i])]
        function = F.conv2d if n == 2 else F.conv3d
        offset = None if bias is None else bias.float()
        return function(F.pad(v, flat), kernel.float(), offset, stride, 0, dilation, row.groups)

    return Case(f"convolution-{row.label}", build, wide(expected))


CONVOLUTIONS = [
    Conv((2, 3, 8, 9), 4, (3, 3)),
    Conv((2, 3, 8, 9), 4, (1, 1), bias=False),
    Conv((1, 4, 9, 9), 6, (3, 5), (2, 1), (1, 2)),
    Conv((1, 4, 9, 10), 6, (3, 3), (2, 2), (1, 1), groups=2),
    Conv((2, 6, 7, 7), 6, (3, 3), (1, 1), (1, 1), groups=6),
    Conv((1, 4, 6, 6), 8, (3, 3), groups=4, bias=False),
    Conv((1, 3, 10, 10), 4, (3, 3), dilation=(2, 3)),
    Conv((1, 3, 10, 11), 4, (3, 2), (2, 3), (0, 1), (2, 0)),
    Conv((1, 2, 5, 5), 3, (3, 3), before=(2, 2), after=(1, 0)),
    *(Conv((1, 3, 9, 10), 4, (3, 2), (2, 3), (1, 0), (1, 1), mode=mode) for mode in MODES),
    *(Conv((1, 3, 7, 8), 4, (4, 3), (1, 2), mode=mode, dilation=(2, 1)) for mode in MODES[2:]),
    Conv((1, 3, 5, 6, 7), 4, (3, 3, 3)),
    Conv((1, 4, 6, 6, 6), 4, (2, 3, 2), (2, 1, 2), (1, 0, 1), groups=2),
    Conv((1, 2, 5, 6, 7), 4, (3, 2, 2), (1, 2, 2), (1, 0, 0), (0, 1, 1)),
    *(Conv((1, 2, 5, 6, 7), 3, (2, 3, 2), (2, 2, 3), mode=mode) for mode in MODES),
    Conv((2, 4, 8, 8), 8, (3, 3), (1, 1), (1, 1), dtype=F16),
    Conv((2, 8, 8, 8), 8, (1, 1), dtype=F16, groups=2),
    Conv((2, 4, 8, 8), 8, (3, 3), (2, 2), (1, 1), dtype=BF16),
    Conv((1, 4, 5, 5, 5), 4, (3, 3, 3), dtype=F16),
    Conv((1, 4, 6, 6), 4, (3, 3), before=(1, 1), as_input=True),
    Conv((1, 4, 6, 6), 4, (3, 3), before=(1, 1), as_input=True, dtype=F16, bias=False),
]


def dynamic_conv() -> Case:
    kernel, bias = coarse("dk", (4, 3, 3, 3), F32, -0.5, 0.5), coarse("db", (4,))
    values = [coarse(f"dyn{i}", shape) for i, shape in enumerate(((2, 3, 8, 8), (1, 3, 11, 6), (4, 3, 5, 9)))]

    def build(net: Net) -> None:
        x = net.input(*values, dynamic=(0, 2, 3))
        layer = net.network.add_convolution_nd(x, 4, (3, 3), net.weights(kernel), net.weights(bias))
        layer.stride_nd, layer.padding_mode = (2, 2), trt.PaddingMode.SAME_UPPER
        net.output(layer.get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        total = [same_total(size, 3, 2) for size in v.shape[2:]]
        return F.conv2d(F.pad(v, [p for t in reversed(total) for p in (t // 2, t - t // 2)]), kernel, bias, 2)

    return Case("convolution-dynamic-SAME_UPPER-float32", build, expected)


def deconv_case(row: Conv, **more: Any) -> Case:
    n = len(row.kernel)
    stride, dilation = row.stride or (1,) * n, row.dilation or (1,) * n
    before, after = row.before or (0,) * n, row.after or row.before or (0,) * n
    x = coarse(row.label, row.shape, row.dtype)
    kernel = coarse(row.label + "k", (row.shape[1], row.maps // row.groups, *row.kernel), row.dtype, -0.5, 0.5)
    bias = coarse(row.label + "b", (row.maps,), row.dtype) if row.bias else None

    def build(net: Net) -> None:
        offset = net.weights(bias) if bias is not None else trt.Weights()
        layer = net.network.add_deconvolution_nd(net.input(x), row.maps, row.kernel, net.weights(kernel), offset)
        layer.stride_nd, layer.dilation_nd, layer.num_groups = stride, dilation, row.groups
        layer.pre_padding, layer.post_padding = before, after
        layer.padding_mode = getattr(trt.PaddingMode, row.mode)
        net.output(layer.get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        function = F.conv_transpose2d if n == 2 else F.conv_transpose3d
        offset = None if bias is None else bias.float()
        full = function(v, kernel.float(), offset, stride, 0, 0, row.groups, dilation)
        for i in range(n):
            width = dilation[i] * (row.kernel[i] - 1) + 1
            low, high = before[i], after[i]
            if row.mode.startswith("SAME"):
                total = max(width - stride[i], 0)
                low = total // 2 if row.mode == "SAME_UPPER" else total - total // 2
                kept = min(row.shape[2 + i] * stride[i], full.shape[2 + i])
                high = full.shape[2 + i] - low - kept
            full = full.narrow(2 + i, low, full.shape[2 + i] - low - high)
        return full

    return Case(f"deconvolution-{row.label}", build, wide(expected), **more)


DECONVOLUTIONS = [
    Conv((2, 3, 5, 6), 4, (3, 3)),
    Conv((1, 3, 5, 6), 4, (2, 2), (2, 2), bias=False),
    Conv((1, 4, 5, 6), 4, (4, 4), (2, 2), (1, 1)),
    Conv((1, 4, 5, 6), 6, (3, 3), (2, 1), (1, 0), groups=2),
    Conv((1, 4, 5, 6), 4, (3, 3), (2, 2), (1, 1), groups=4),
    Conv((1, 3, 5, 6), 4, (3, 3), (2, 2), (1, 1), (0, 0)),
    Conv((1, 3, 5, 6), 4, (3, 3), dilation=(2, 2)),
    Conv((1, 3, 5, 6), 4, (3, 3), before=(2, 1)),
    *(Conv((1, 3, 5, 6), 4, (3, 4), (2, 3), (1, 1), (0, 1), mode=mode) for mode in MODES),
    Conv((1, 3, 4, 5), 4, (2, 3), (3, 2), mode="SAME_UPPER"),
    Conv((1, 3, 4, 4, 4), 4, (3, 2, 3), (2, 2, 1), (1, 0, 1)),
    Conv((2, 4, 5, 6), 4, (4, 4), (2, 2), (1, 1), dtype=F16),
]


@dataclass(frozen=True)
class Pool:
    """One row of a pooling layer."""

    kind: str
    shape: tuple[int, ...]
    window: tuple[int, ...]
    stride: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    mode: str = "EXPLICIT_ROUND_DOWN"
    exclusive: bool = True
    blend: float = 0.0
    dtype: torch.dtype = F32

    @property
    def label(self) -> str:
        parts = [self.kind, sizes(self.shape), f"w{sizes(self.window)}"]
        parts += [
            f"{name[0]}{sizes(getattr(self, name))}" for name in ("stride", "before", "after") if getattr(self, name)
        ]
        return "-".join([*parts, self.mode, "exclusive" if self.exclusive else "inclusive", short(self.dtype)])


def pool_by_hand(row: Pool, v: torch.Tensor) -> torch.Tensor:
    """Pooling window by window, from the definition."""
    n = len(row.window)
    stride, before, after = row.stride or (1,) * n, row.before or (0,) * n, row.after or row.before or (0,) * n
    starts, limits = [], []
    for i in range(n):
        size, low, high = v.shape[-n + i], before[i], after[i]
        if row.mode.startswith("SAME"):
            total = same_total(size, row.window[i], stride[i])
            low = total // 2 if row.mode == "SAME_UPPER" else total - total // 2
            high = total - low
            count = -(-size // stride[i])
        else:
            span = size + low + high - row.window[i]
            count = (-(-span // stride[i]) if row.mode == "EXPLICIT_ROUND_UP" else span // stride[i]) + 1
        starts.append([k * stride[i] - low for k in range(count)])
        limits.append((-low, size + high))
    result = v.new_empty(*v.shape[:-n], *(len(s) for s in starts))
    for place in torch.cartesian_prod(*(torch.arange(len(s)) for s in starts)).reshape(-1, n).tolist():
        window, counted, real = v, 1, 1
        for i in range(n):
            start = starts[i][place[i]]
            low, high = max(start, 0), min(start + row.window[i], v.shape[-n + i])
            window = window.narrow(v.dim() - n + i, low, high - low)
            real *= high - low
            counted *= min(start + row.window[i], limits[i][1]) - max(start, limits[i][0])
        axes = tuple(range(-n, 0))
        total, most = window.sum(axes) / (real if row.exclusive else counted), window.amax(axes)
        value = {"MAX": most, "AVERAGE": total, "MAX_AVERAGE_BLEND": (1 - row.blend) * most + row.blend * total}
        result[(..., *place)] = value[row.kind]
    return result


def pool_case(row: Pool, **more: Any) -> Case:
    x = data(row.label, row.shape, row.dtype)

    def build(net: Net) -> None:
        layer = net.network.add_pooling_nd(net.input(x), getattr(trt.PoolingType, row.kind), row.window)
        n = len(row.window)
        layer.stride_nd = row.stride or (1,) * n
        layer.pre_padding = row.before or (0,) * n
        layer.post_padding = row.after or row.before or (0,) * n
        layer.padding_mode = getattr(trt.PaddingMode, row.mode)
        layer.average_count_excludes_padding = row.exclusive
        if row.kind == "MAX_AVERAGE_BLEND":
            layer.blend_factor = row.blend
        net.output(layer.get_output(0))

    return Case(f"pooling-{row.label}", build, wide(lambda v: pool_by_hand(row, v)), **more)


POOLINGS = [
    *(Pool(kind, (2, 3, 7, 8), (2, 3), (2, 2)) for kind in ("MAX", "AVERAGE")),
    *(Pool("MAX", (1, 3, 8, 9), (3, 3), (2, 2), (1, 1), mode=mode) for mode in MODES),
    *(
        Pool("AVERAGE", (1, 3, 8, 9), (3, 3), (2, 2), (1, 1), mode=mode, exclusive=exclusive)
        for mode in MODES
        for exclusive in (True, False)
        if exclusive or mode != "EXPLICIT_ROUND_UP"
    ),
    *(Pool("AVERAGE", (1, 2, 7, 7), (3, 2), (2, 3), (1, 0), (0, 1), exclusive=e) for e in (True, False)),
    Pool("MAX", (1, 2, 7, 7), (3, 2), (2, 3), (1, 0), (0, 1)),
    Pool("MAX_AVERAGE_BLEND", (1, 2, 7, 7), (3, 3), (2, 2), blend=0.3),
    Pool("MAX_AVERAGE_BLEND", (1, 2, 7, 7), (3, 3), (2, 2), (1, 1), blend=0.6),
    *(Pool(kind, (1, 2, 5, 6, 7), (2, 3, 2), (2, 1, 2)) for kind in ("MAX", "AVERAGE")),
    *(Pool(kind, (1, 2, 5, 6, 7), (3, 3, 3), (2, 2, 2), (1, 1, 1)) for kind in ("MAX", "AVERAGE")),
    *(Pool("MAX", (1, 2, 5, 6, 7), (2, 3, 2), (2, 2, 3), mode=mode) for mode in MODES[1:]),
    *(Pool("AVERAGE", (1, 2, 5, 6, 7), (2, 3, 2), (2, 2, 3), mode=mode) for mode in MODES[1:]),
    *(Pool(kind, (2, 4, 8, 8), (3, 3), (2, 2), (1, 1), dtype=d) for kind in ("MAX", "AVERAGE") for d in (F16, BF16)),
    Pool("AVERAGE", (2, 4, 7, 7), (7, 7)),
]


def lrn_case(shape: tuple[int, ...], window: int, alpha: float, beta: float, k: float, dtype: torch.dtype) -> Case:
    x = data("lrn", shape, dtype)

    def build(net: Net) -> None:
        net.output(net.network.add_lrn(net.input(x), window, alpha, beta, k).get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        half, squares, result = window // 2, v * v, torch.empty_like(v)
        for c in range(v.shape[1]):
            near = squares[:, max(c - half, 0) : c + half + 1].sum(1)
            result[:, c] = v[:, c] / (k + alpha / window * near) ** beta
        return result

    return Case(f"lrn-{sizes(shape)}-w{window}-a{alpha}-b{beta}-k{k}-{short(dtype)}", build, wide(expected))


CASES = [
    *(conv_case(row) for row in CONVOLUTIONS),
    dynamic_conv(),
    *(deconv_case(row) for row in DECONVOLUTIONS),
    deconv_case(
        Conv((2, 4, 5, 6), 4, (4, 4), (2, 2), (1, 1), dtype=BF16),
        refused="TensorRT for RTX has no deconvolution of bfloat16",
    ),
    deconv_case(
        Conv((1, 2, 3, 4, 4), 2, (2, 2, 2), (2, 2, 2)),
        known="some of the engine's values are off by their own size; NvInfer.h's definition gives what PyTorch gives",
    ),
    *(pool_case(row) for row in POOLINGS),
    pool_case(
        Pool("AVERAGE", (1, 3, 8, 9), (3, 3), (2, 2), (1, 1), mode="EXPLICIT_ROUND_UP", exclusive=False),
        known="the last window is divided by what lies beyond the padding too; NvInfer.h: by the overlap of the window "
        "with the padded input",
    ),
    deconv_case(
        Conv((1, 3, 5, 6), 4, (3, 3), (2, 2), dilation=(2, 2)),
        refused="TensorRT for RTX has no deconvolution with both stride and dilation",
    ),
    *(pool_case(Pool(kind, (1, 2, 4, 4, 4), (2, 2, 2), (2, 2, 2), dtype=F16)) for kind in ("MAX", "AVERAGE")),
    pool_case(Pool("MAX_AVERAGE_BLEND", (1, 2, 7, 7), (3, 3), (2, 2), blend=0.3, dtype=F16)),
    lrn_case((2, 7, 4, 5), 5, 0.5, 0.75, 1.0, F32),
    lrn_case((1, 4, 3, 3), 3, 1.5, 0.5, 2.0, F32),
    lrn_case((1, 6, 3, 4), 5, 0.5, 0.75, 1.0, F16),
]
