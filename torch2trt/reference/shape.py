"""Layers that rearrange: constant, shape, shuffle, slice, concatenation, padding, squeeze, fill."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from ..errors import EvaluationError
from .registry import LayerContext, Run, layer
from .types import FLOATING, dims


@layer("CONSTANT")
def constant(context: LayerContext) -> Run:
    """``IConstantLayer``: a view of the network's own memory."""
    shape = dims(context.layer.shape) or ()
    values = context.weights("constant", context.layer.weights)
    if values is None:
        values = torch.empty(0, dtype=context.outputs[0].held, device=context.settings.device)
    result = values.reshape(shape)
    return lambda: result


@layer("SHAPE")
def shape(context: LayerContext) -> Run:
    """``IShapeLayer``: the dimensions of the input, 1-d INT64."""
    device = context.settings.device
    return lambda x: torch.tensor(x.shape, dtype=torch.int64, device=device)


def resolve_reshape(sizes: Sequence[int], wanted: Sequence[int], zero_copies: bool) -> list[int]:
    """Reshape dimensions with 0 and -1 resolved against the input's sizes (NvInfer.h, setReshapeDimensions).

    Raises:
        EvaluationError: 0 has no dimension to copy; more than one -1; -1 has no integer value.
    """
    result = list(wanted)
    if zero_copies:
        for axis, size in enumerate(result):
            if size == 0:
                if axis >= len(sizes):
                    raise EvaluationError(
                        f"0 at axis {axis} of the reshape has no dimension to copy from {list(sizes)}"
                    )
                result[axis] = sizes[axis]
    if result.count(-1) > 1:
        raise EvaluationError(f"more than one -1 in the reshape dimensions {list(wanted)}")
    if -1 in result:
        rest = math.prod(size for size in result if size != -1)
        total = math.prod(sizes)
        # With other dimensions of 0 anything fits; TensorRT takes 0.
        result[result.index(-1)] = total // rest if rest else 0
    return result


@layer("SHUFFLE")
def shuffle(context: LayerContext) -> Run:
    """``IShuffleLayer``: transpose, reshape, transpose; input 1 (1-d) takes the place of the reshape dimensions."""
    node = context.layer
    first = tuple(node.first_transpose[i] for i in range(context.rank()))
    dynamic = context.has_input(1)
    outgoing = context.outputs[0].rank
    if outgoing is None:
        raise context.error("TensorRT declares no rank for the output")
    # Reshape dimensions that were never set read as invalid or as empty; empty ones that were set give a scalar.
    wanted = None if dynamic else dims(node.reshape_dims)
    if wanted == () and outgoing:
        wanted = None
    zero_copies = node.zero_is_placeholder
    second = tuple(node.second_transpose[i] for i in range(outgoing))
    permute_first = first != tuple(range(len(first)))
    permute_second = second != tuple(range(len(second)))

    def run(x: torch.Tensor, dimensions: torch.Tensor | None = None) -> torch.Tensor:
        if permute_first:
            x = x.permute(first)
        sizes = dimensions.tolist() if dimensions is not None else wanted
        if sizes is not None:
            x = x.reshape(resolve_reshape(x.shape, sizes, zero_copies))
        return x.permute(second) if permute_second else x

    return run


@layer("CONCATENATION")
def concatenation(context: LayerContext) -> Run:
    """``IConcatenationLayer``: inputs of one data type, equal but for the axis."""
    context.require_same_dtype(*range(len(context.inputs)))
    axis = context.layer.axis
    return lambda *inputs: torch.cat(inputs, axis)


@layer("PADDING")
def padding(context: LayerContext) -> Run:
    """``IPaddingLayer``: zeros around the last two axes, or cropping where negative."""
    context.require_dtype(0, *FLOATING)
    before = dims(context.layer.pre_padding_nd) or ()
    after = dims(context.layer.post_padding_nd) or ()
    flat = [amount for pair in zip(reversed(before), reversed(after), strict=True) for amount in pair]
    return lambda x: F.pad(x, flat)


def _positions(axes: torch.Tensor, rank: int) -> list[int]:
    return [axis + rank if axis < 0 else axis for axis in axes.reshape(-1).tolist()]


@layer("SQUEEZE")
def squeeze(context: LayerContext) -> Run:
    """``ISqueezeLayer``: removes the unit axes that input 1 lists.

    Raises:
        EvaluationError: one of them is not 1.
    """

    def run(x: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
        removed = set(_positions(axes, x.dim()))
        if any(x.shape[axis] != 1 for axis in removed):
            raise EvaluationError(f"cannot squeeze axes {sorted(removed)} of shape {list(x.shape)}")
        return x.reshape([size for axis, size in enumerate(x.shape) if axis not in removed])

    return run


@layer("UNSQUEEZE")
def unsqueeze(context: LayerContext) -> Run:
    """``IUnsqueezeLayer``: inserts unit axes at the places of the output that input 1 lists."""

    def run(x: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
        inserted = set(_positions(axes, x.dim() + axes.numel()))
        rest = iter(x.shape)
        return x.reshape([1 if axis in inserted else next(rest) for axis in range(x.dim() + len(inserted))])

    return run


def _source_indices(mode: str, index: torch.Tensor, size: int) -> torch.Tensor:
    """The element of an axis that each index reads, out-of-bounds ones by the sample mode (NvInfer.h, SampleMode).

    Raises:
        EvaluationError: out of bounds in STRICT_BOUNDS; an axis without elements.
    """
    if not index.numel():
        return index
    if mode == "FILL":
        return index.clamp(0, max(size - 1, 0))
    low, high = int(index.min()), int(index.max())
    if low >= 0 and high < size:
        return index
    if mode == "STRICT_BOUNDS":
        raise EvaluationError(f"indices {low}..{high} leave an axis of {size}", hint="set the slice's sample mode")
    if size == 0:
        raise EvaluationError(f"sample mode {mode} has nothing to read on an axis of 0")
    if mode == "WRAP":
        return index % size
    if mode == "CLAMP":
        return index.clamp(0, size - 1)
    if mode == "REFLECT":
        period = max(2 * (size - 1), 1)
        index = index % period
        return torch.where(index >= size, period - index, index)
    raise EvaluationError(f"unknown sample mode {mode}")


def _slice_axis(x: torch.Tensor, axis: int, start: int, size: int, stride: int, mode: str) -> torch.Tensor:
    last = start + stride * (size - 1)
    if size and stride > 0 and start >= 0 and last < x.shape[axis]:
        selected = x.narrow(axis, start, last - start + 1)
        return selected if stride == 1 else selected[(slice(None),) * axis + (slice(None, None, stride),)]
    index = start + stride * torch.arange(size, device=x.device)
    indices = _source_indices(mode, index, x.shape[axis])
    if x.shape[axis] == 0 and size:  # FILL reads nothing here: any value does, the mask covers it
        return x.new_zeros([size if i == axis else n for i, n in enumerate(x.shape)])
    return x.index_select(axis, indices)


def _outside(x: torch.Tensor, axis: int, start: int, size: int, stride: int) -> torch.Tensor | None:
    """Which places along an axis of a FILL slice lie outside the input, shaped to broadcast; None if none does."""
    index = start + stride * torch.arange(size, device=x.device)
    outside = (index < 0) | (index >= x.shape[axis])
    if not bool(outside.any()):
        return None
    return outside.reshape([-1 if i == axis else 1 for i in range(x.dim())])


def slice_tensor(
    x: torch.Tensor,
    axes: Sequence[int],
    start: Sequence[int],
    size: Sequence[int],
    stride: Sequence[int],
    mode: str = "STRICT_BOUNDS",
    fill: torch.Tensor | None = None,
) -> torch.Tensor:
    """What ``ISliceLayer`` computes, for one start, size and stride per listed axis."""
    result = x
    masks = []
    for axis, begin, length, step in zip(axes, start, size, stride, strict=True):
        if begin == 0 and length == x.shape[axis] and step == 1:
            continue
        if mode == "FILL":
            masks.append(_outside(x, axis, begin, length, step))
        result = _slice_axis(result, axis, begin, length, step, mode)
    for mask in masks:
        if mask is not None:
            value = torch.zeros((), dtype=x.dtype, device=x.device) if fill is None else fill.reshape(())
            result = torch.where(mask, value, result)
    return result


@layer("SLICE")
def slice_layer(context: LayerContext) -> Run:
    """``ISliceLayer``: every sample mode; strides of any sign; inputs 1, 2, 3, 5 replace start, size, stride, axes.

    Input 4 is the value of FILL, 0 without it.
    """
    node, rank, mode = context.layer, context.rank(), context.layer.mode.name
    # What an input replaces is not read: TensorRT warns about it.
    static: list[Sequence[int]] = [
        () if context.has_input(index) else dims(getattr(node, name)) or ()
        for index, name in ((1, "start"), (2, "shape"), (3, "stride"), (5, "axes"))
    ]

    def run(x: torch.Tensor, *rest: torch.Tensor | None) -> torch.Tensor:
        inputs = (*rest, None, None, None, None, None)[:5]
        start, size, stride, axes = (
            fixed if tensor is None else tensor.reshape(-1).tolist()
            for tensor, fixed in zip((inputs[0], inputs[1], inputs[2], inputs[4]), static, strict=True)
        )
        # Axes that were never set read as invalid or as empty.
        positions = [axis + rank if axis < 0 else axis for axis in axes or range(rank)]
        return slice_tensor(x, positions, start, size, stride, mode, inputs[3])

    return run
