"""A convolution over patches that do not overlap, as a vision transformer's first layer, as a linear layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ..graph import Node, Operand, Value, operand_values
from ..weights import derive
from .builder import Builder
from .fold import Plan
from .rewriting import Rewriter, constant


@dataclass(frozen=True)
class _Patches:
    """What is read in patches, how many there are along each axis, and how large they are."""

    value: Value
    channels: int
    counts: tuple[int, ...]
    sizes: tuple[int, ...]
    weight: Value
    bias: Operand


MOST_CHANNELS = 4
"""Of an image. A convolution on tensor cores fills few channels up to eight; one of many needs no copy into rows."""


def patches_to_linear(plan: Plan) -> int:
    """A convolution of an image whose stride is its kernel's size becomes a linear layer over the patches."""
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        found = _match(rewriter, node)
        if found is not None:
            rewriter.substitute(node, lambda builder, node=node, found=found: _make(builder, node, found))  # type: ignore[misc]
            count += 1
    rewriter.finish()
    return count


def _match(rewriter: Rewriter, node: Node) -> _Patches | None:
    if node.kind != "aten::_convolution" or rewriter.maker(node.outputs[0], node.kind) is None:
        return None
    value, bias, weight = node.argument("input"), node.argument("bias"), rewriter.tensor(node.argument("weight"))
    if weight is None or not isinstance(value, Value) or value.shape is None or len(value.shape) != weight.dim():
        return None
    sizes, (channels, *spatial) = tuple(weight.shape[2:]), value.shape[1:]
    if math.prod(sizes) == 1 or not _reads_each_once(rewriter, node, sizes):
        return None
    if channels is None or channels > MOST_CHANNELS:
        return None
    if any(extent is None or extent % size for extent, size in zip(spatial, sizes, strict=True)):
        return None
    if node.outputs[0].shape is None or (bias is not None and rewriter.tensor(bias) is None):
        return None
    flat = constant(f"{node.name}.weight", derive(_flattened, weight))
    counts = tuple(extent // size for extent, size in zip(spatial, sizes, strict=True))  # type: ignore[operator]
    return _Patches(value, channels, counts, sizes, flat, bias)


def _reads_each_once(rewriter: Rewriter, node: Node, sizes: tuple[int, ...]) -> bool:
    """Whether the windows of a convolution cover its input without overlapping."""
    names = ("stride", "padding", "dilation", "transposed", "groups")
    settings = [rewriter.known(node.argument(name)) for name in names]
    if any(operand_values(settings)):
        return False
    stride, padding, dilation, transposed, groups = settings
    return list(stride) == list(sizes) and not any(padding) and set(dilation) == {1} and not transposed and groups == 1


def _flattened(weight: torch.Tensor) -> torch.Tensor:
    return weight.flatten(1)


def _make(builder: Builder, node: Node, found: _Patches) -> None:
    axes = len(found.sizes)
    split = [size for pair in zip(found.counts, found.sizes, strict=True) for size in pair]
    outer, inner = list(range(2, 2 * axes + 2, 2)), list(range(3, 2 * axes + 3, 2))
    features = found.channels * math.prod(found.sizes)
    batch = (node.outputs[0].shape or ())[0]

    def typed(*sizes: int | None) -> Value:
        value = builder.value(node.outputs[0])
        value.shape, value.strides = (batch, *sizes), None
        return value

    apart = builder.call(
        "aten::reshape", found.value, [-1, found.channels, *split], result=typed(found.channels, *split)
    )
    order = [0, *outer, 1, *inner]
    turned = typed(*found.counts, found.channels, *found.sizes)
    builder.call("aten::permute", apart, order, result=turned)
    rows = builder.call("aten::reshape", turned, [-1, *found.counts, features], result=typed(*found.counts, features))
    channels = (node.outputs[0].shape or ())[1]
    maps = builder.call("aten::linear", rows, found.weight, found.bias, result=typed(*found.counts, channels))
    builder.call("aten::permute", maps, [0, axes + 1, *range(1, axes + 1)], result=node.outputs[0])
