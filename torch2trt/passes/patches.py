"""Convolutions of an image, whose few channels would leave a tensor core's rows half empty, over patches of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F

from ..graph import Node, Operand, Value, operand_values
from ..weights import derive
from .builder import Builder
from .fold import Plan
from .rewriting import Rewriter, constant

MOST_CHANNELS = 4
"""Of an image. A convolution on tensor cores fills few channels up to eight; one of many needs no copy into patches."""

_SMALLEST_KERNEL = 5
"""From which on its channels are worth bringing together: a kernel of 3 and stride 2 gains nothing (H200)."""

_SETTINGS = ("stride", "padding", "dilation", "transposed", "groups")


@dataclass(frozen=True)
class _Convolution:
    """A convolution, without dilation and in one group, of an image whose sizes are known, but for the batch's."""

    node: Node
    value: Value
    weight: torch.Tensor
    bias: Operand
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    batch: int | None
    extents: tuple[int, ...]
    counts: tuple[int, ...]  # the sizes of its result

    @property
    def channels(self) -> int:
        return self.weight.shape[1]

    @property
    def kernel(self) -> tuple[int, ...]:
        return tuple(self.weight.shape[2:])

    def typed(self, builder: Builder, *sizes: int) -> Value:
        """A value of the batch and ``sizes``, of the result's dtype."""
        value = builder.value(self.node.outputs[0])
        value.shape, value.strides = (self.batch, *sizes), None
        return value


def _convolution(rewriter: Rewriter, node: Node) -> _Convolution | None:
    if node.kind != "aten::_convolution" or rewriter.maker(node.outputs[0], node.kind) is None:
        return None
    value, bias, weight = node.argument("input"), node.argument("bias"), rewriter.tensor(node.argument("weight"))
    if weight is None or not isinstance(value, Value) or value.shape is None or len(value.shape) != weight.dim():
        return None
    if weight.shape[1] > MOST_CHANNELS or (bias is not None and rewriter.tensor(bias) is None):
        return None
    batch, _, *extents = value.shape
    _, _, *counts = node.outputs[0].shape or (None, None, None)
    settings = [rewriter.known(node.argument(name)) for name in _SETTINGS]
    if any(operand_values(settings)) or None in (*extents, *counts):
        return None
    stride, padding, dilation, transposed, groups = settings
    if set(dilation) != {1} or transposed or groups != 1:
        return None
    sizes = [tuple(size for size in each if size is not None) for each in (extents, counts)]
    return _Convolution(node, value, weight, bias, tuple(stride), tuple(padding), batch, *sizes)


def patches_to_linear(plan: Plan) -> int:
    """A convolution of an image whose stride is its kernel's size becomes a linear layer over the patches."""
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        found = _convolution(rewriter, node)
        if found is not None and _reads_each_once(found):
            weight = constant(f"{node.name}.weight", derive(_flattened, found.weight))
            rewriter.substitute(node, partial(_make_linear, found, weight))
            count += 1
    rewriter.finish()
    return count


def _reads_each_once(found: _Convolution) -> bool:
    """Whether the windows cover the image without overlapping."""
    if found.stride != found.kernel or math.prod(found.kernel) == 1 or any(found.padding):
        return False
    return not any(extent % size for extent, size in zip(found.extents, found.kernel, strict=True))


def _flattened(weight: torch.Tensor) -> torch.Tensor:
    return weight.flatten(1)


def _make_linear(found: _Convolution, weight: Value, builder: Builder) -> None:
    axes = len(found.kernel)
    split = [size for pair in zip(found.counts, found.kernel, strict=True) for size in pair]
    outer, inner = list(range(2, 2 * axes + 2, 2)), list(range(3, 2 * axes + 3, 2))
    features = found.channels * math.prod(found.kernel)
    apart = builder.call(
        "aten::reshape",
        found.value,
        [-1, found.channels, *split],
        result=found.typed(builder, found.channels, *split),
    )
    order = [0, *outer, 1, *inner]
    turned = found.typed(builder, *found.counts, found.channels, *found.kernel)
    builder.call("aten::permute", apart, order, result=turned)
    rows = found.typed(builder, *found.counts, features)
    builder.call("aten::reshape", turned, [-1, *found.counts, features], result=rows)
    maps = found.typed(builder, *found.counts, found.weight.shape[0])
    builder.call("aten::linear", rows, weight, found.bias, result=maps)
    builder.call("aten::permute", maps, [0, axes + 1, *range(1, axes + 1)], result=found.node.outputs[0])


def space_to_depth(plan: Plan) -> int:
    """A convolution of an image with a stride and a large kernel becomes one of blocks, whose pixels are its channels.

    Zeros are added where blocks reach beyond the image, and as channels up to a multiple of eight.
    """
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        found = _convolution(rewriter, node)
        if found is None or not _has_blocks(found):
            continue
        channels = _filled_channels(found)
        if channels <= 2 * found.channels:
            weight = constant(f"{node.name}.weight", derive(_of_blocks, found.weight, channels, found.stride[0]))
            rewriter.substitute(node, partial(_make_blocks, found, channels, weight))
            count += 1
    rewriter.finish()
    return count


def _has_blocks(found: _Convolution) -> bool:
    stride = found.stride[0]
    if len(found.stride) != 2 or found.stride[1] != stride or stride == 1:
        return False
    return min(found.kernel) >= max(_SMALLEST_KERNEL, stride + 1)


def _filled_channels(found: _Convolution) -> int:
    """The image's channels and as many of zeros that a block's numbers are a multiple of eight."""
    channels = found.channels
    while channels * found.stride[0] ** 2 % 8:
        channels += 1
    return channels


def _of_blocks(weight: torch.Tensor, channels: int, stride: int) -> torch.Tensor:
    """``(O, C, H, W)`` to ``(O, channels * stride ** 2, ceil(H / stride), ceil(W / stride))``."""
    zeros = [0, -weight.shape[3] % stride, 0, -weight.shape[2] % stride, 0, channels - weight.shape[1]]
    return F.pixel_unshuffle(F.pad(weight, zeros), stride)


def _make_blocks(found: _Convolution, channels: int, weight: Value, builder: Builder) -> None:
    stride = found.stride[0]
    kernel = [-(-size // stride) for size in found.kernel]
    blocks = [count + size - 1 for count, size in zip(found.counts, kernel, strict=True)]
    pads = [0, channels - found.channels]
    for extent, before, count in zip(found.extents, found.padding, blocks, strict=True):
        pads = [before, count * stride - extent - before, *pads]
    padded = found.typed(builder, channels, *(count * stride for count in blocks))
    builder.call("aten::constant_pad_nd", found.value, pads, 0, result=padded)
    apart = found.typed(builder, channels * stride**2, *blocks)
    builder.call("aten::pixel_unshuffle", padded, stride, result=apart)
    arguments = [apart, weight, found.bias, [1, 1], [0, 0], *found.node.args[5:]]
    builder.repeat(found.node, arguments, result=found.node.outputs[0])
