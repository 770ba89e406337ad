"""Quantisations and the dequantisations behind them, as the fake quantisations that they came from."""

from __future__ import annotations

from typing import Any

import torch

from .. import registry, torch_compat
from ..graph import Node, Value
from .fold import Plan
from .rewriting import Rewriter

_NAMESPACE = "quantized_decomposed::"
_LIMITS = {torch.qint8: (-128, 127), torch.quint8: (0, 255)}
_QUANTIZE = frozenset({"aten::quantize_per_tensor", "aten::quantize_per_channel"})


def without_quantised_tensors(plan: Plan) -> None:
    """``aten::dequantize`` of what was quantised just before, as reference modules of torch.ao have it.

    TensorRT has no quantised tensors, so that this is no rewrite to be switched off. Nodes with a handler of the
    user's stay, and those that something other than a dequantisation reads.
    """
    makers = {node.outputs[0]: node for node in plan.nodes if _quantises(node)}
    if not makers:
        return
    rewriter = Rewriter(plan)
    for node in plan.nodes:
        argument = node.args[0] if node.kind == "aten::dequantize" and registry.find(node) is None else None
        source = makers.get(argument) if isinstance(argument, Value) else None
        if source is None:
            continue
        dtype = rewriter.known(source.args[-1])
        limits = _LIMITS.get(torch_compat.dtype_of_code(dtype) if isinstance(dtype, int) else dtype)
        if limits is not None:
            name = f"aten::fake_{source.kind.removeprefix('aten::')}_affine"
            rewriter.call(node, f"{name}.{source.overload}".rstrip("."), *source.args[:-1], *limits)
    rewriter.finish()


def _quantises(node: Node) -> bool:
    """Whether a node quantises one tensor, and the user has no handler for it."""
    return node.kind in _QUANTIZE and node.overload in ("", "tensor_qparams") and registry.find(node) is None


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
