"""Rewrites of what is left to convert, for a network that TensorRT builds better; each can be switched off."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import torch

from .. import registry
from ..errors import InputError
from ..graph import Node, Operand, Value, map_operand, operand_values, walk_nodes
from ..weights import derive
from .fold import Plan, known_data

Pass = Callable[[Plan], int]
"""Changes a plan in place and returns how often it found its pattern."""


def optimize(plan: Plan, passes: bool | Iterable[str] = True) -> dict[str, int]:
    """Run passes over a plan.

    Args:
        plan: changed in place.
        passes: all of them, none, or those named.

    Returns:
        how often each found its pattern.

    Raises:
        InputError: a name is no pass.
    """
    names = list(PASSES) if passes is True else [] if passes is False else list(passes)
    unknown = [name for name in names if name not in PASSES]
    if unknown:
        raise InputError(f"no such pass: {', '.join(unknown)}; there are {', '.join(PASSES)}")
    return {name: PASSES[name](plan) for name in names}


def _known(plan: Plan, operand: Operand) -> Any:
    """The operand with known values in place of graph values."""

    def look_up(value: Value) -> Any:
        return known_data(value) if value.data is not None else plan.known.get(value, value)

    return map_operand(operand, look_up)


def _use_counts(plan: Plan) -> dict[Value, int]:
    counts: dict[Value, int] = {}
    for node in walk_nodes(plan.nodes):
        for value in operand_values(node.args):
            counts[value] = counts.get(value, 0) + 1
        for block in node.blocks:
            for value in operand_values(block.outputs):
                counts[value] = counts.get(value, 0) + 1
    for value in operand_values(plan.outputs):
        counts[value] = counts.get(value, 0) + 1
    return counts


def _is_ours(node: Node) -> bool:
    """Whether the node's handler is torch2trt's own; a user's handler must see the node as traced."""
    handler = registry.find(node)
    return handler is not None and handler.builtin


_CONV_WEIGHT, _CONV_BIAS, _CONV_TRANSPOSED, _CONV_GROUPS = 1, 2, 6, 8


def fold_batch_norm(plan: Plan) -> int:
    """A convolution and the batch norm after it become one convolution (PyTorch's ``fuse_conv_bn_weights``)."""
    counts = _use_counts(plan)
    producers = {value: node for node in plan.nodes for value in node.outputs}
    replaced: dict[Node, Node] = {}
    dropped: set[Node] = set()
    for node in plan.nodes:
        source = node.args[0] if node.args else None
        if node.kind != "aten::batch_norm" or not isinstance(source, Value):
            continue
        conv = producers.get(source)
        if conv is None or conv.kind != "aten::_convolution":
            continue
        if counts[source] == 1 and _is_ours(node) and _is_ours(conv):
            folded = _fold_one(plan, conv, node)
            if folded is not None:
                replaced[node] = folded
                dropped.add(conv)
    plan.nodes = [replaced.get(node, node) for node in plan.nodes if node not in dropped]
    return len(replaced)


def _fold_one(plan: Plan, conv: Node, norm: Node) -> Node | None:
    weight, bias = (_known(plan, conv.args[index]) for index in (_CONV_WEIGHT, _CONV_BIAS))
    scale, shift, mean, variance, training, _, eps, *_ = (_known(plan, operand) for operand in norm.args[1:])
    tensors = [tensor for tensor in (weight, bias, scale, shift, mean, variance) if tensor is not None]
    same_dtype = all(isinstance(tensor, torch.Tensor) and tensor.dtype == weight.dtype for tensor in tensors)
    if not same_dtype or training or mean is None or variance is None:
        return None
    if not weight.is_floating_point() or weight.dtype.itemsize < 4:
        return None  # in half precision the folded weights would be rounded once more than eager's
    transposed, groups = conv.args[_CONV_TRANSPOSED], conv.args[_CONV_GROUPS]
    factor = derive(_factor, scale, variance, eps)
    args = list(conv.args)
    args[_CONV_WEIGHT] = _constant(norm, "weight", derive(_scaled_weight, weight, factor, transposed, groups))
    args[_CONV_BIAS] = _constant(norm, "bias", derive(_shifted_bias, bias, factor, shift, mean))
    merged = dataclasses.replace(conv, args=args, outputs=[])
    merged.outputs = norm.outputs
    return merged


def _constant(norm: Node, role: str, tensor: torch.Tensor) -> Value:
    return Value(f"{norm.name}.{role}", dtype=tensor.dtype, shape=tuple(tensor.shape), data=tensor)


def _factor(scale: torch.Tensor | None, variance: torch.Tensor, eps: float) -> torch.Tensor:
    inverse = torch.rsqrt(variance + eps)
    return inverse if scale is None else scale * inverse


def _scaled_weight(weight: torch.Tensor, factor: torch.Tensor, transposed: bool, groups: int) -> torch.Tensor:
    tail = [1] * (weight.dim() - 2)
    if not transposed:
        return weight * factor.reshape(-1, 1, *tail)
    # A transposed convolution's weight is (in, out / groups, ...): the group of the input channel says which outputs.
    grouped = weight.reshape(groups, -1, *weight.shape[1:])
    return (grouped * factor.reshape(groups, 1, -1, *tail)).reshape(weight.shape)


def _shifted_bias(
    bias: torch.Tensor | None, factor: torch.Tensor, shift: torch.Tensor | None, mean: torch.Tensor
) -> torch.Tensor:
    moved = -mean if bias is None else bias - mean
    return moved * factor if shift is None else moved * factor + shift


PASSES: dict[str, Pass] = {"fold_batch_norm": fold_batch_norm}
