"""The normalisation layer: layer, instance, group norm and any other choice of axes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .registry import LayerContext, Run, layer
from .types import FLOATING, bit_axes, widen


def normalize(
    x: torch.Tensor, axes: tuple[int, ...], epsilon: float, scale: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """``(x - mean) / sqrt(variance + epsilon) * scale + bias`` over ``axes``; statistics of halves in float32."""
    wide = widen(x)
    variance, mean = torch.var_mean(wide, axes, correction=0, keepdim=True)
    result = (wide - mean) * torch.rsqrt(variance + epsilon)
    return (result * scale + bias).to(x.dtype)


def _per_group(values: torch.Tensor, groups: int, channels: int) -> torch.Tensor:
    """Coefficients [1, G, ...] or [1, C, ...] as one per channel, shaped [C]."""
    flat = values.reshape(-1)
    return flat if flat.numel() == channels else flat.repeat_interleave(channels // groups)


@layer("NORMALIZATION")
def normalization(context: LayerContext) -> Run:
    """``INormalizationLayer``, both versions: x, scale and bias of one rank, the last two broadcast to x.

    With more than one group, the axes after the channels (axis 1) and the channels of a group are normalised together;
    version 1 has scale and bias per group, version 2 per channel: their size tells which.
    """
    node, rank = context.layer, context.rank()
    context.require_dtype(0, *FLOATING)
    context.require_same_dtype(0, 1, 2)
    axes = bit_axes(node.axes, rank)
    epsilon, groups = node.epsilon, node.num_groups
    first = rank - len(axes)
    trailing = axes == tuple(range(first, rank))
    leading_ones = all((context.input(i).shape or (0,))[:first] == (1,) * first for i in (1, 2))

    def grouped(x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        channels = x.shape[1]
        weight, offset = (_per_group(values, groups, channels) for values in (scale, bias))
        return F.group_norm(x, groups, weight, offset, epsilon)

    def layered(x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        sizes = x.shape[first:]
        if scale.shape[first:] != sizes or bias.shape[first:] != sizes:
            return normalize(x, axes, epsilon, scale, bias)
        return F.layer_norm(x, sizes, scale.reshape(sizes), bias.reshape(sizes), epsilon)

    if groups > 1:
        return grouped
    if trailing and leading_ones:
        return layered
    return lambda x, scale, bias: normalize(x, axes, epsilon, scale, bias)
