"""Quantisations of torch.export's modules, as the fake quantisations that they came from."""

from __future__ import annotations

from typing import Any

import torch

from ..graph import Node, Value
from .fold import Plan
from .rewriting import Rewriter

_NAMESPACE = "quantized_decomposed::"


def fake_quantize(plan: Plan) -> int:
    """A quantisation and the dequantisation behind it are one fake quantisation."""
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        if not node.kind.startswith(f"{_NAMESPACE}dequantize_per_") or node.outputs[0].dtype != torch.float32:
            continue
        source = rewriter.maker(node.args[0], node.kind.replace("::de", "::"))
        if source is None or not _undone(rewriter, source, node):
            continue
        per_tensor = node.kind.endswith("tensor")
        name = f"aten::fake_quantize_per_{'tensor' if per_tensor else 'channel'}_affine"
        if per_tensor and isinstance(node.args[1], Value):
            name += ".tensor_qparams"
        rewriter.call(node, name, source.args[0], *node.args[1 : 5 if per_tensor else 6])
        count += 1
    rewriter.finish()
    return count


def _undone(rewriter: Rewriter, source: Node, node: Node) -> bool:
    """Whether ``node`` takes the numbers of ``source``, of a float32 tensor, for what they are."""
    value = source.args[0]
    if not isinstance(value, Value) or value.dtype != torch.float32 or len(source.args) < 6:
        return False
    pairs = zip(source.args[1:], node.args[1:], strict=False)
    return all(_same(rewriter.known(left), rewriter.known(right)) for left, right in pairs)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return left is right or (left.dtype == right.dtype and torch.equal(left, right))
    return left is right or (type(left) is type(right) and not isinstance(left, Value) and bool(left == right))
