"""Convolution and deconvolution, and the padding arithmetic that pooling shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from .registry import LayerContext, Run, layer
from .types import FLOATING, dims

_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_DECONVOLUTIONS = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def explicit_padding(node: Any, spatial: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The explicit padding of a layer before and after each spatial axis."""
    zeros = (0,) * spatial
    return dims(node.pre_padding) or zeros, dims(node.post_padding) or zeros


def window_padding(
    mode: str, sizes: Sequence[int], window: Sequence[int], stride: Sequence[int], explicit: tuple[Any, Any]
) -> tuple[list[int], list[int]]:
    """Padding before and after each axis with which a sliding window, rounded down, gives TensorRT's output size.

    The formulas are those of ``PaddingMode`` in NvInfer.h, for convolution (``window`` dilated) and pooling. Rounding
    up becomes more padding after.

    Args:
        mode: ``trt.PaddingMode`` name.
        sizes: the input's spatial sizes.
        window: window sizes, dilation included.
        stride: strides.
        explicit: the layer's own padding before and after.
    """
    before, after = list(explicit[0]), list(explicit[1])
    for axis, (size, width, step) in enumerate(zip(sizes, window, stride, strict=True)):
        if mode.startswith("SAME"):
            total = max((size - 1) // step * step + width - size, 0)
            small, large = total // 2, total - total // 2
            before[axis], after[axis] = (small, large) if mode == "SAME_UPPER" else (large, small)
        elif mode == "EXPLICIT_ROUND_UP":
            span = size + before[axis] + after[axis] - width
            after[axis] += -span % step
    return before, after


def pad_spatial(x: torch.Tensor, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> torch.Tensor:
    """``x`` padded on its last axes."""
    if not any(before) and not any(after):
        return x
    flat = [amount for pair in zip(reversed(before), reversed(after), strict=True) for amount in pair]
    return F.pad(x, flat, value=value)


def _operands(context: LayerContext, transposed: bool) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Kernel and bias of the layer when they are weights; None where an input takes their place."""
    node = context.layer
    kernel = None if context.has_input(1) else context.weights("kernel", node.kernel)
    bias = None if context.has_input(2) else context.weights("bias", node.bias)
    context.require_weights_dtype("kernel", kernel)
    context.require_weights_dtype("bias", bias)
    if kernel is not None:
        groups, maps = node.num_groups, node.num_output_maps
        window = dims(node.kernel_size_nd) or ()
        shape = context.input(0).shape
        if shape is None:
            raise context.error("TensorRT declares no shape for the input")
        leading = (-1, maps // groups) if transposed else (maps, -1)
        kernel = kernel.reshape(*leading, *window)
    elif not context.has_input(1):
        raise context.error("neither kernel weights nor a kernel input")
    return kernel, bias


@layer("CONVOLUTION")
def convolution(context: LayerContext) -> Run:
    """``IConvolutionLayer``: 2 or 3 spatial axes, groups, dilation, every padding mode; kernel K C/G R S.

    The kernel (input 1) and the bias (input 2) may be tensors instead of weights.
    """
    node = context.layer
    context.require_dtype(0, *FLOATING)
    context.require_same_dtype(0, 1, 2)
    kernel, bias = _operands(context, transposed=False)
    stride, dilation = dims(node.stride_nd) or (), dims(node.dilation_nd) or ()
    extent = tuple(1 + d * (k - 1) for d, k in zip(dilation, dims(node.kernel_size_nd) or (), strict=True))
    mode, groups, spatial = node.padding_mode.name, node.num_groups, len(extent)
    explicit = explicit_padding(node, spatial)
    function = _CONVOLUTIONS[spatial]
    simple = mode == "EXPLICIT_ROUND_DOWN" and explicit[0] == explicit[1]

    def run(x: torch.Tensor, weight: Any = None, offset: Any = None) -> torch.Tensor:
        weight = kernel if weight is None else weight
        offset = bias if offset is None else offset
        if simple:
            return function(x, weight, offset, stride, explicit[0], dilation, groups)
        before, after = window_padding(mode, x.shape[-spatial:], extent, stride, explicit)
        return function(pad_spatial(x, before, after), weight, offset, stride, 0, dilation, groups)

    return run


def _cropping(
    mode: str, sizes: Sequence[int], extent: Sequence[int], stride: Sequence[int], explicit: tuple[Any, Any]
) -> tuple[list[int], list[int]]:
    """What a deconvolution cuts off before each axis, and how much it keeps (``PaddingMode``, NvInfer.h)."""
    start, kept = [], []
    for axis, (size, width, step) in enumerate(zip(sizes, extent, stride, strict=True)):
        full = (size - 1) * step + width
        if mode.startswith("SAME"):
            total = max(width - step, 0)
            start.append(total // 2 if mode == "SAME_UPPER" else total - total // 2)
            kept.append(min(size * step, full))
        else:
            start.append(explicit[0][axis])
            kept.append(full - explicit[0][axis] - explicit[1][axis])
    return start, kept


@layer("DECONVOLUTION")
def deconvolution(context: LayerContext) -> Run:
    """``IDeconvolutionLayer``: as convolution, kernel C K/G R S; padding crops the full result."""
    node = context.layer
    context.require_dtype(0, *FLOATING)
    context.require_same_dtype(0, 1, 2)
    kernel, bias = _operands(context, transposed=True)
    stride, dilation = dims(node.stride_nd) or (), dims(node.dilation_nd) or ()
    extent = tuple(1 + d * (k - 1) for d, k in zip(dilation, dims(node.kernel_size_nd) or (), strict=True))
    mode, groups, spatial = node.padding_mode.name, node.num_groups, len(extent)
    explicit = explicit_padding(node, spatial)
    function = _DECONVOLUTIONS[spatial]
    simple = mode.startswith("EXPLICIT") and explicit[0] == explicit[1]

    def run(x: torch.Tensor, weight: Any = None, offset: Any = None) -> torch.Tensor:
        weight = kernel if weight is None else weight
        offset = bias if offset is None else offset
        if simple:
            return function(x, weight, offset, stride, explicit[0], 0, groups, dilation)
        full = function(x, weight, offset, stride, 0, 0, groups, dilation)
        start, kept = _cropping(mode, x.shape[-spatial:], extent, stride, explicit)
        for axis in range(spatial):
            full = full.narrow(axis - spatial, start[axis], kept[axis])
        return full

    return run
