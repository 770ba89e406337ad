"""Linear layers: what follows them folded into their weights, and several on one input made one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch

from ..graph import Node, Operand, Value
from ..weights import derive
from .builder import Builder
from .fold import Plan
from .rewriting import Rewriter, constant


def addmm_to_linear(plan: Plan) -> int:
    """``bias + x @ W`` by a known matrix is a linear layer; ``addmm`` and ``mm`` hide it."""
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        if node.kind not in ("aten::addmm", "aten::mm") or rewriter.maker(node.outputs[0], node.kind) is None:
            continue
        bias, source, matrix = node.args[:3] if node.kind == "aten::addmm" else (None, *node.args[:2])
        weight = rewriter.tensor(matrix)
        if weight is None or not weight.is_floating_point() or not _adds_plainly(rewriter, node, weight):
            continue
        transposed = constant(f"{node.name}.weight", derive(torch.t, weight))
        rewriter.call(node, "aten::linear", source, transposed, bias)
        count += 1
    rewriter.finish()
    return count


def _adds_plainly(rewriter: Rewriter, node: Node, weight: torch.Tensor) -> bool:
    if node.kind == "aten::mm":
        return True
    bias = rewriter.tensor(node.args[0])
    factors = [rewriter.number(node.argument(name)) for name in ("beta", "alpha")]
    return factors == [1, 1] and bias is not None and tuple(bias.shape) == tuple(weight.shape[1:])


def fold_linear_scale(plan: Plan) -> int:
    """A linear layer and the product by a known vector, or the batch norm, after it become one linear layer.

    The product may stand behind a permutation, as in ConvNeXt.
    """
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        if node.kind not in ("aten::mul", "aten::batch_norm") or not node.outputs[0].shape:
            continue
        if rewriter.maker(node.outputs[0], node.kind) is None:
            continue
        found = _scaled_linear(rewriter, node) if node.kind == "aten::mul" else _normed_linear(rewriter, node)
        if found is not None:
            _fold(rewriter, node, found)
            count += 1
    rewriter.finish()
    return count


@dataclass(frozen=True)
class _Scaled:
    """A linear layer, the permutation behind it or None, what multiplies its results, and what is added then."""

    linear: Node
    moved: Node | None
    factor: torch.Tensor
    shift: torch.Tensor | None = None


def _fold(rewriter: Rewriter, node: Node, found: _Scaled) -> None:
    linear, moved = found.linear, found.moved
    weight, bias = _folded(rewriter, node, linear, found.factor, found.shift)
    if moved is None:
        rewriter.call(node, "aten::linear", linear.args[0], weight, bias)
        return

    def make(builder: Builder) -> None:
        scaled = builder.call("aten::linear", linear.args[0], weight, bias, like=linear.outputs[0])
        builder.repeat(moved, [scaled, *moved.args[1:]], result=node.outputs[0])

    rewriter.substitute(node, make)


def _scaled_linear(rewriter: Rewriter, node: Node) -> _Scaled | None:
    for inner, factor in (node.args[:2], node.args[1::-1]):
        vector, shape = rewriter.tensor(factor), node.outputs[0].shape
        moved = rewriter.maker(inner, "aten::permute")
        linear = _foldable(rewriter, inner if moved is None else moved.args[0])
        if linear is None or vector is None or vector.dtype != node.outputs[0].dtype or shape is None:
            continue
        rank = len(linear.outputs[0].shape or ())
        order = [axis % rank for axis in rewriter.known(moved.args[1])] if moved is not None else list(range(rank))
        wanted = [shape[axis] if order[axis] == rank - 1 else 1 for axis in range(rank)]
        fits = rank == len(shape) and vector.numel() > 1 and list(vector.shape) == wanted[rank - vector.dim() :]
        if fits and (moved is None or rewriter.uses[moved.outputs[0]] == 1):
            return _Scaled(linear, moved, derive(torch.flatten, vector))
    return None


def _normed_linear(rewriter: Rewriter, node: Node) -> _Scaled | None:
    linear = _foldable(rewriter, node.args[0])
    scale, shift, mean, variance, training, _, eps, *_ = (rewriter.known(operand) for operand in node.args[1:])
    known = all(part is None or isinstance(part, torch.Tensor) for part in (scale, shift, mean, variance))
    if linear is None or len(node.outputs[0].shape or ()) != 2 or not known or training or None in (mean, variance):
        return None
    factor, moved = derive(_norm_coefficients, scale, shift, mean, variance, eps)
    return _Scaled(linear, None, factor, moved)


def _norm_coefficients(
    scale: torch.Tensor | None, shift: torch.Tensor | None, mean: torch.Tensor, variance: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    factor = torch.rsqrt(variance + eps)
    factor = factor if scale is None else factor * scale
    moved = -mean * factor
    return factor, moved if shift is None else moved + shift


def _foldable(rewriter: Rewriter, value: Operand) -> Node | None:
    """The linear layer of known float32 weights that makes a value which nothing else reads."""
    linear = rewriter.maker(value, "aten::linear")
    if linear is None or rewriter.uses[linear.outputs[0]] != 1:
        return None
    weight, bias = (rewriter.tensor(operand) for operand in linear.args[1:3])
    if weight is None or weight.dim() != 2 or weight.dtype != torch.float32:
        return None  # in half precision the folded weights would be rounded once more than eager's
    return linear if linear.args[2] is None or bias is not None else None


def _folded(
    rewriter: Rewriter, node: Node, linear: Node, factor: torch.Tensor, shift: torch.Tensor | None
) -> tuple[Value, Value | None]:
    weight, bias = (rewriter.tensor(operand) for operand in linear.args[1:3])
    scaled = constant(f"{node.name}.weight", derive(_scaled_rows, weight, factor))
    moved = None if bias is None and shift is None else derive(_moved, bias, factor, shift)
    return scaled, None if moved is None else constant(f"{node.name}.bias", moved)


def _scaled_rows(weight: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return weight * factor[:, None]


def _moved(bias: torch.Tensor | None, factor: torch.Tensor, shift: torch.Tensor | None) -> torch.Tensor | None:
    scaled = None if bias is None else bias * factor
    return shift if scaled is None else scaled if shift is None else scaled + shift


FEWEST = 3
"""How many linear layers on one input are made one: the three of an attention's queries, keys and values."""


def merge_linears(plan: Plan) -> int:
    """Three and more linear layers on one input become one product, of which each takes its part."""
    rewriter = Rewriter(plan)
    groups: dict[tuple[Value, torch.dtype], list[Node]] = {}
    for node in plan.nodes:
        if node.kind == "aten::linear" and rewriter.maker(node.outputs[0], "aten::linear") is not None:
            weight = rewriter.tensor(node.args[1])
            if weight is not None and weight.dim() == 2 and _known_bias(rewriter, node):
                groups.setdefault((node.args[0], weight.dtype), []).append(node)
    merged = [group for group in groups.values() if len(group) >= FEWEST and group[0].outputs[0].shape]
    for group in merged:
        _merge(rewriter, group)
    rewriter.finish()
    return len(merged)


def _known_bias(rewriter: Rewriter, node: Node) -> bool:
    return node.args[2] is None or rewriter.tensor(node.args[2]) is not None


def _merge(rewriter: Rewriter, group: list[Node]) -> None:
    first = group[0]
    weights = [rewriter.tensor(node.args[1]) for node in group]
    biases = [rewriter.tensor(node.args[2]) if node.args[2] is not None else None for node in group]
    weight = constant(f"{first.name}.weights", derive(_joined, weights))
    bias: Any = None
    if any(part is not None for part in biases):
        bias = constant(f"{first.name}.biases", derive(_joined_biases, biases, weights))
    edges = [0, *itertools.accumulate(len(part) for part in weights if part is not None)]
    whole: list[Value] = []

    def make(builder: Builder) -> None:
        like = builder.value(first.outputs[0])
        like.shape, like.strides = (*(first.outputs[0].shape or ())[:-1], edges[-1]), None
        whole.append(builder.call("aten::linear", first.args[0], weight, bias, result=like))
        take(builder, 0)

    def take(builder: Builder, index: int) -> None:
        result = group[index].outputs[0]
        builder.call("aten::slice.Tensor", whole[0], -1, edges[index], edges[index + 1], 1, result=result)

    rewriter.substitute(first, make)
    for index in range(1, len(group)):
        rewriter.substitute(group[index], lambda builder, index=index: take(builder, index))  # type: ignore[misc]


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat(parts)


def _joined_biases(biases: list[torch.Tensor | None], weights: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat(
        [weight.new_zeros(len(weight)) if bias is None else bias for bias, weight in zip(biases, weights, strict=True)]
    )
