"""Pooling and local response normalisation."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from .convolution import explicit_padding, pad_spatial, window_padding
from .registry import LayerContext, Run, layer
from .types import FLOATING, dims, widen

_MAXIMUM = {2: F.max_pool2d, 3: F.max_pool3d}


def _windows_sum(x: torch.Tensor, window: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    if len(window) == 2:
        return F.avg_pool2d(x, window, stride, divisor_override=1)
    return F.avg_pool3d(x, window, stride, divisor_override=1)


@layer("POOLING")
def pooling(context: LayerContext) -> Run:
    """``IPoolingLayer``: 2 or 3 spatial axes; MAX, AVERAGE, MAX_AVERAGE_BLEND.

    An average divides by the overlap of the window with the input, or, if ``average_count_excludes_padding`` is off,
    with the padded input; what rounding up reaches beyond the padding never counts (NvInfer.h, IPoolingLayer).
    """
    node = context.layer
    context.require_dtype(0, *FLOATING)
    kind = node.type.name
    window, stride = dims(node.window_size_nd) or (), dims(node.stride_nd) or ()
    spatial = len(window)
    explicit = explicit_padding(node, spatial)
    mode, blend = node.padding_mode.name, node.blend_factor
    exclusive = node.average_count_excludes_padding
    fits = explicit[0] == explicit[1] and all(2 * p <= w for p, w in zip(explicit[0], window, strict=True))
    simple = mode == "EXPLICIT_ROUND_DOWN" and fits

    def maximum(x: torch.Tensor) -> torch.Tensor:
        if simple:
            return _MAXIMUM[spatial](x, window, stride, explicit[0])
        before, after = window_padding(mode, x.shape[-spatial:], window, stride, explicit)
        return _MAXIMUM[spatial](pad_spatial(x, before, after, -math.inf), window, stride)

    def average(x: torch.Tensor) -> torch.Tensor:
        return wide_average(widen(x)).to(x.dtype)

    def wide_average(x: torch.Tensor) -> torch.Tensor:
        if simple and (not exclusive or not any(explicit[0])):
            return (F.avg_pool2d if spatial == 2 else F.avg_pool3d)(x, window, stride, explicit[0])
        sizes = x.shape[-spatial:]
        before, after = window_padding(mode, sizes, window, stride, explicit)
        ones = torch.ones((1, 1, *sizes), dtype=x.dtype, device=x.device)
        if exclusive:
            counted = pad_spatial(ones, before, after)
        else:
            inner = explicit if mode.startswith("EXPLICIT") else (before, after)
            counted = pad_spatial(ones, inner[0], inner[1], 1.0)
            counted = pad_spatial(counted, [0] * spatial, [a - b for a, b in zip(after, inner[1], strict=True)])
        total = _windows_sum(pad_spatial(x, before, after), window, stride)
        return total / _windows_sum(counted, window, stride)

    if kind == "MAX":
        return maximum
    if kind == "AVERAGE":
        return average
    if kind == "MAX_AVERAGE_BLEND":
        return lambda x: ((1 - blend) * maximum(x) + blend * wide_average(widen(x))).to(x.dtype)
    raise context.error(f"unknown pooling {kind}")


@layer("LRN")
def lrn(context: LayerContext) -> Run:
    """``ILRNLayer``: ``x / (k + alpha / window * sum of squares over the window of channels) ** beta``.

    The channels are axis 1. The formula is Caffe's and ONNX's, alpha divided by the window.
    """
    node = context.layer
    context.require_dtype(0, *FLOATING)
    window, alpha, beta, k = node.window_size, node.alpha, node.beta, node.k
    return lambda x: F.local_response_norm(widen(x), window, alpha, beta, k).to(x.dtype)
