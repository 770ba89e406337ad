"""A convolution and the batch norm after it as one convolution."""

from __future__ import annotations

import dataclasses

import torch

from ..graph import Node, Value
from ..weights import derive
from .fold import Plan
from .rewriting import constant, known, may_change, use_counts

_CONV_WEIGHT, _CONV_BIAS, _CONV_TRANSPOSED, _CONV_GROUPS = 1, 2, 6, 8


def fold_batch_norm(plan: Plan) -> int:
    """A convolution and the batch norm after it become one convolution (PyTorch's ``fuse_conv_bn_weights``)."""
    counts = use_counts(plan)
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
        if counts[source] == 1 and may_change(plan, node) and may_change(plan, conv):
            folded = _fold_one(plan, conv, node)
            if folded is not None:
                replaced[node] = folded
                dropped.add(conv)
    plan.nodes = [replaced.get(node, node) for node in plan.nodes if node not in dropped]
    return len(replaced)


def _fold_one(plan: Plan, conv: Node, norm: Node) -> Node | None:
    weight, bias = (known(plan, conv.args[index]) for index in (_CONV_WEIGHT, _CONV_BIAS))
    scale, shift, mean, variance, training, _, eps, *_ = (known(plan, operand) for operand in norm.args[1:])
    tensors = [tensor for tensor in (weight, bias, scale, shift, mean, variance) if tensor is not None]
    same_dtype = all(isinstance(tensor, torch.Tensor) and tensor.dtype == weight.dtype for tensor in tensors)
    if not same_dtype or training or mean is None or variance is None:
        return None
    if not weight.is_floating_point() or weight.dtype.itemsize < 4:
        return None  # in half precision the folded weights would be rounded once more than eager's
    transposed, groups = conv.args[_CONV_TRANSPOSED], conv.args[_CONV_GROUPS]
    factor = derive(_factor, scale, variance, eps)
    args = list(conv.args)
    args[_CONV_WEIGHT] = constant(f"{norm.name}.weight", derive(_scaled_weight, weight, factor, transposed, groups))
    args[_CONV_BIAS] = constant(f"{norm.name}.bias", derive(_shifted_bias, bias, factor, shift, mean))
    merged = dataclasses.replace(conv, args=args, outputs=[])
    merged.outputs = norm.outputs
    return merged


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
