"""Matrix multiplication, einsum, reductions, softmax, cumulative sums, top-k."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from .registry import LayerContext, Run, layer
from .types import FLOATING, NUMERIC, bit_axes


def _operand(kind: str) -> Callable[[torch.Tensor], torch.Tensor]:
    if kind == "TRANSPOSE":
        return lambda x: x.transpose(-2, -1)
    return lambda x: x


def _multiply(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``a @ b``; all rows of a at once if b is a single matrix, which torch.matmul does not always do."""
    if b.dim() > 2 and b.shape[:-2].numel() == 1 and a.numel():
        rows = a.reshape(-1, a.shape[-1]) @ b.reshape(b.shape[-2:])
        return rows.reshape(*a.shape[:-1], b.shape[-1])
    return torch.matmul(a, b)


@layer("MATRIX_MULTIPLY")
def matrix_multiply(context: LayerContext) -> Run:
    """``IMatrixMultiplyLayer``: matrices, transposed matrices or vectors; leading axes of 1 broadcast."""
    context.require_dtype(0, *FLOATING)
    context.require_same_dtype(0, 1)
    first, second = context.layer.op0.name, context.layer.op1.name
    leading = [context.rank(i) - (1 if op == "VECTOR" else 2) for i, op in enumerate((first, second))]
    if leading[0] != leading[1]:
        raise context.error(f"both inputs must have as many collection axes, got {leading[0]} and {leading[1]}")
    left, right = _operand(first), _operand(second)
    if "VECTOR" not in (first, second):
        return lambda a, b: _multiply(left(a), right(b))

    def run(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        a = a.unsqueeze(-2) if first == "VECTOR" else left(a)
        b = b.unsqueeze(-1) if second == "VECTOR" else right(b)
        product = torch.matmul(a, b)
        if second == "VECTOR":
            product = product.squeeze(-1)
        return product.squeeze(-1 if second == "VECTOR" else -2) if first == "VECTOR" else product

    return run


@layer("EINSUM")
def einsum(context: LayerContext) -> Run:
    """``IEinsumLayer``: inputs of one data type; labels of one letter."""
    context.require_dtype(0, *FLOATING)
    context.require_same_dtype(*range(len(context.inputs)))
    equation = context.layer.equation.replace(" ", "")
    return lambda *inputs: torch.einsum(equation, *inputs)


def _product(x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> torch.Tensor:
    for axis in sorted(axes, reverse=True):
        x = torch.prod(x, axis, keepdim=keep, dtype=x.dtype)
    return x


def _average(x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> torch.Tensor:
    if x.is_floating_point():
        return torch.mean(x, axes, keepdim=keep)
    count = math.prod(x.shape[axis] for axis in axes)
    return torch.div(torch.sum(x, axes, keepdim=keep, dtype=x.dtype), count, rounding_mode="trunc")


def _extreme(largest: bool) -> Callable[[torch.Tensor, tuple[int, ...], bool], torch.Tensor]:
    function = torch.amax if largest else torch.amin

    def run(x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> torch.Tensor:
        if all(x.shape[axis] for axis in axes):
            return function(x, axes, keepdim=keep)
        # Of no elements: the value that changes no other (NvInfer.h, ReduceOperation).
        if x.is_floating_point():
            value = -math.inf if largest else math.inf
        else:
            value = torch.iinfo(x.dtype).min if largest else torch.iinfo(x.dtype).max
        shape = [1 if i in axes else size for i, size in enumerate(x.shape) if keep or i not in axes]
        return torch.full(shape, value, dtype=x.dtype, device=x.device)

    return run


REDUCTIONS: dict[str, Callable[[torch.Tensor, tuple[int, ...], bool], torch.Tensor]] = {
    "SUM": lambda x, axes, keep: torch.sum(x, axes, keepdim=keep, dtype=x.dtype),
    "PROD": _product,
    "MAX": _extreme(largest=True),
    "MIN": _extreme(largest=False),
    "AVG": _average,
}


@layer("REDUCE")
def reduce(context: LayerContext) -> Run:
    """``IReduceLayer``: over the axes of a bit mask; the result keeps the input's data type."""
    kind = context.layer.op.name
    function = REDUCTIONS.get(kind)
    if function is None:
        raise context.error(f"unknown reduction {kind}")
    context.require_dtype(0, *NUMERIC)
    axes, keep = bit_axes(context.layer.axes, context.rank()), context.layer.keep_dims
    if not axes:
        return lambda x: x
    return lambda x: function(x, axes, keep)


@layer("SOFTMAX")
def softmax(context: LayerContext) -> Run:
    """``ISoftMaxLayer``: along one axis, given as a bit mask."""
    context.require_dtype(0, *FLOATING)
    axes = bit_axes(context.layer.axes, context.rank())
    if len(axes) != 1:
        raise context.error(f"softmax takes one axis, got {axes}")
    axis = axes[0]
    return lambda x: torch.softmax(x, axis)


@layer("RAGGED_SOFTMAX")
def ragged_softmax(context: LayerContext) -> Run:
    """``IRaggedSoftMaxLayer``: along the last axis, over the first ``bounds`` elements; 0 beyond.

    Input 0 is [..., S], input 1 [..., 1] holds the length of each sequence.
    """
    context.require_dtype(0, *FLOATING)

    def run(x: torch.Tensor, bounds: torch.Tensor) -> torch.Tensor:
        inside = torch.arange(x.shape[-1], device=x.device) < bounds
        result = torch.softmax(x.masked_fill(~inside, -math.inf), -1)
        return torch.where(inside, result, torch.zeros_like(result))

    return run


@layer("CUMULATIVE")
def cumulative(context: LayerContext) -> Run:
    """``ICumulativeLayer``: sums along the axis that input 1 (0-d) gives, inclusive or exclusive, either way."""
    if context.layer.op.name != "SUM":
        raise context.error(f"unknown cumulative operation {context.layer.op.name}")
    context.require_dtype(0, *NUMERIC)
    exclusive, reverse = context.layer.exclusive, context.layer.reverse

    def run(x: torch.Tensor, axis_tensor: torch.Tensor) -> torch.Tensor:
        axis = int(axis_tensor)
        values = x.flip(axis) if reverse else x
        if exclusive:
            start = torch.zeros_like(values.narrow(axis, 0, min(1, values.shape[axis])))
            values = torch.cat((start, values.narrow(axis, 0, max(values.shape[axis] - 1, 0))), axis)
        result = torch.cumsum(values, axis, dtype=x.dtype)
        return result.flip(axis) if reverse else result

    return run


@layer("TOPK")
def topk(context: LayerContext) -> Run:
    """``ITopKLayer``: values and indices, sorted; of equal values the one with the lower index comes first.

    Input 1, a 0-d tensor, takes the place of the layer's k.
    """
    context.require_dtype(0, *NUMERIC)
    axes = bit_axes(context.layer.axes, context.rank())
    if len(axes) != 1:
        raise context.error(f"top-k takes one axis, got {axes}")
    axis, largest = axes[0], context.layer.op.name == "MAX"
    count = 0 if context.has_input(1) else context.layer.k
    held = context.outputs[1].held

    def run(x: torch.Tensor, k: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        wanted = count if k is None else int(k)
        values, indices = torch.sort(x, dim=axis, descending=largest, stable=True)
        return values.narrow(axis, 0, wanted), indices.narrow(axis, 0, wanted).to(held)

    return run
