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
    if not weight.is_floating_point():
        return None
    transposed, groups = conv.args[_CONV_TRANSPOSED], conv.args[_CONV_GROUPS]
    factor = derive(_factor, scale, variance, eps)
    scaled = derive(_scaled_weight, weight, factor, transposed, groups)
    shifted = derive(_shifted_bias, bias, factor, shift, mean, weight.dtype)
    if not _is_finite(scaled) or not _is_finite(shifted):
        return None  # out of half precision's range
    args = list(conv.args)
    args[_CONV_WEIGHT] = constant(f"{norm.name}.weight", scaled)
    args[_CONV_BIAS] = constant(f"{norm.name}.bias", shifted)
    merged = dataclasses.replace(conv, args=args, outputs=[])
    merged.outputs = norm.outputs
    return merged


def _is_finite(tensor: torch.Tensor) -> bool:
    """Whether no element is infinite or not a number; a fraction of the time of ``isfinite``, which makes a tensor."""
    return tensor.numel() == 0 or all(bool(bound.isfinite()) for bound in torch.aminmax(tensor))


# Computed in float32 at least, and rounded once: what a layer computes in half precision is no farther from the exact
# result than eager's, which rounds between the two.


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor


def _factor(scale: torch.Tensor | None, variance: torch.Tensor, eps: float) -> torch.Tensor:
    inverse = torch.rsqrt(_wide(variance) + eps)
    return inverse if scale is None else _wide(scale) * inverse


def _scaled_weight(weight: torch.Tensor, factor: torch.Tensor, transposed: bool, groups: int) -> torch.Tensor:
    tail = [1] * (weight.dim() - 2)
    if not transposed:
        return (weight * factor.reshape(-1, 1, *tail)).to(weight.dtype)
    # A transposed convolution's weight is (in, out / groups, ...): the group of the input channel says which outputs.
    grouped = weight.reshape(groups, -1, *weight.shape[1:])
    return (grouped * factor.reshape(groups, 1, -1, *tail)).reshape(weight.shape).to(weight.dtype)


def _shifted_bias(
    bias: torch.Tensor | None, factor: torch.Tensor, shift: torch.Tensor | None, mean: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    moved = -_wide(mean) if bias is None else _wide(bias) - _wide(mean)
    return (moved * factor if shift is None else moved * factor + shift).to(dtype)
