"""Norms over the last axis that the module writes out in arithmetic, as one node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..graph import Node, Operand, Value
from .fold import Plan
from .rewriting import Rewriter


def rms_norm(plan: Plan) -> int:
    """``x * rsqrt(mean(x^2) + eps)``, and a weight behind it, as Llama and T5 write it; with their casts or without."""
    return _rewrite(plan, _plain_rms) + _rewrite(plan, _weighted_rms)


def layer_norm(plan: Plan) -> int:
    """``(x - mean(x)) / sqrt(variance + eps)``, and a weight and bias behind it."""
    return _rewrite(plan, _plain_layer) + _rewrite(plan, _weighted_layer) + _rewrite(plan, _biased_layer)


Found = tuple[str, list[Any]]
"""The op that a value is, and its arguments."""


def _rewrite(plan: Plan, match: Callable[[Rewriter, Value], Found | None]) -> int:
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        if node.kind not in ("aten::mul", "aten::div", "aten::add", "aten::to") or node.outputs[0].dtype is None:
            continue
        result = node.outputs[0]
        found = match(rewriter, result) if rewriter.maker(result, node.kind) is not None else None
        if found is not None:
            rewriter.call(node, found[0], *found[1])
            count += match in (_plain_rms, _plain_layer)
    rewriter.finish()
    return count


def _plain_rms(rewriter: Rewriter, result: Value) -> Found | None:
    for source, factor in _products(rewriter, result):
        root = rewriter.maker(factor, "aten::rsqrt")
        eps, squares = _shifted_mean(rewriter, root.args[0]) if root is not None else (None, None)
        if eps is not None and _is_square(rewriter, squares, source) and source.shape and source.shape[-1]:
            return "aten::rms_norm", [source, [source.shape[-1]], None, eps]
    return None


def _weighted_rms(rewriter: Rewriter, result: Value) -> Found | None:
    """A norm in float32 of a half-precision tensor is one of that tensor: the handler computes in float32 itself."""
    cast = rewriter.maker(result, "aten::to")
    if cast is not None:
        norm = rewriter.maker(cast.args[0], "aten::rms_norm")
        wide = None if norm is None else rewriter.maker(norm.args[0], "aten::to")
        if norm is None or wide is None or norm.outputs[0].dtype != torch.float32 or norm.args[2] is not None:
            return None
        half = wide.args[0]
        matches = isinstance(half, Value) and half.dtype == result.dtype and half.dtype != torch.float32
        return ("aten::rms_norm", [half, *norm.args[1:]]) if matches else None
    for inner, weight in _products(rewriter, result):
        norm = rewriter.maker(inner, "aten::rms_norm")
        if norm is not None and norm.args[2] is None and _is_weight(rewriter, weight, inner, result):
            return "aten::rms_norm", [norm.args[0], norm.args[1], weight, norm.args[3]]
    return None


def _plain_layer(rewriter: Rewriter, result: Value) -> Found | None:
    node = rewriter.maker(result, "aten::div", "aten::mul")
    if node is None or len(node.args) != 2:
        return None
    pairs = [tuple(node.args)] if node.kind == "aten::div" else list(_products(rewriter, result))
    for centred, factor in pairs:
        root = rewriter.maker(factor, "aten::sqrt" if node.kind == "aten::div" else "aten::rsqrt")
        source = _centred(rewriter, centred)
        if root is None or source is None or not source.shape or not source.shape[-1]:
            continue
        eps, spread = _shifted_mean(rewriter, root.args[0])
        if eps is None:
            eps, varied = _shifted_variance(rewriter, root.args[0])
            found = eps is not None and varied is source
        else:
            found = _is_square(rewriter, spread, centred)
        if found:
            return "aten::layer_norm", [source, [source.shape[-1]], None, None, eps]
    return None


def _weighted_layer(rewriter: Rewriter, result: Value) -> Found | None:
    for inner, weight in _products(rewriter, result):
        norm = rewriter.maker(inner, "aten::layer_norm")
        plain = norm is not None and norm.args[2] is None and norm.args[3] is None
        if norm is not None and plain and _is_weight(rewriter, weight, inner, result):
            return "aten::layer_norm", [norm.args[0], norm.args[1], weight, None, norm.args[4]]
    return None


def _biased_layer(rewriter: Rewriter, result: Value) -> Found | None:
    node = rewriter.maker(result, "aten::add")
    if node is None or rewriter.number(node.args[2]) != 1:
        return None
    for inner, bias in (node.args[:2], node.args[1::-1]):
        norm = rewriter.maker(inner, "aten::layer_norm")
        if norm is not None and norm.args[3] is None and _is_weight(rewriter, bias, inner, result):
            return "aten::layer_norm", [norm.args[0], norm.args[1], norm.args[2], bias, norm.args[4]]
    return None


def _products(rewriter: Rewriter, result: Value) -> list[tuple[Any, Any]]:
    node = rewriter.maker(result, "aten::mul")
    return [] if node is None else [tuple(node.args[:2]), tuple(node.args[1::-1])]


def _is_weight(rewriter: Rewriter, weight: Operand, inner: Operand, result: Value) -> bool:
    """Whether a known vector along the last axis multiplies, or is added to, a value of its own dtype."""
    tensor = rewriter.tensor(weight)
    if tensor is None or not isinstance(inner, Value) or not inner.shape:
        return False
    vector = tuple(tensor.shape) == (inner.shape[-1],)
    return vector and isinstance(weight, Value) and tensor.dtype == inner.dtype == result.dtype


def _over_last_axis(rewriter: Rewriter, node: Node) -> bool:
    """Whether a reduction is over the last axis, which stays."""
    source = node.args[0]
    axes, kept = rewriter.known(node.argument("dim")), rewriter.known(node.argument("keepdim"))
    last = [[-1], [len(source.shape) - 1]] if isinstance(source, Value) and source.shape else []
    return axes in last and kept is True


def _shifted_mean(rewriter: Rewriter, value: Operand) -> tuple[float | None, Operand]:
    """For ``mean(z, -1, keepdim=True) + eps``, eps and z."""
    mean, eps = _shifted(rewriter, value, "aten::mean")
    if mean is None or mean.overload != "dim" or not _over_last_axis(rewriter, mean):
        return None, None
    return (eps, mean.args[0]) if rewriter.known(mean.argument("dtype")) in (None, torch.float32) else (None, None)


def _shifted_variance(rewriter: Rewriter, value: Operand) -> tuple[float | None, Operand]:
    """For ``var(z, -1, unbiased=False, keepdim=True) + eps``, eps and z."""
    variance, eps = _shifted(rewriter, value, "aten::var")
    if variance is None or variance.overload not in ("dim", "correction") or not _over_last_axis(rewriter, variance):
        return None, None
    name = "unbiased" if variance.overload == "dim" else "correction"
    return (eps, variance.args[0]) if rewriter.known(variance.argument(name)) in (False, 0) else (None, None)


def _shifted(rewriter: Rewriter, value: Operand, kind: str) -> tuple[Node | None, float | None]:
    total = rewriter.maker(value, "aten::add")
    if total is None or rewriter.number(total.args[2]) != 1:
        return None, None
    for term, number in (total.args[:2], total.args[1::-1]):
        eps = rewriter.number(number)
        if eps is not None and rewriter.maker(term, kind) is not None:
            return rewriter.maker(term, kind), float(eps)
    return None, None


def _is_square(rewriter: Rewriter, value: Operand, source: Operand) -> bool:
    """Whether a value is the square of another one."""
    node = rewriter.maker(value, "aten::pow", "aten::mul", "aten::square")
    if node is None or node.args[0] is not source:
        return False
    if node.kind == "aten::pow":
        return rewriter.number(node.args[1]) == 2
    return node.kind == "aten::square" or node.args[1] is source


def _centred(rewriter: Rewriter, value: Operand) -> Value | None:
    """For ``z - mean(z, -1, keepdim=True)``, z."""
    node = rewriter.maker(value, "aten::sub")
    if node is None or rewriter.number(node.args[2]) != 1 or not isinstance(node.args[0], Value):
        return None
    mean = rewriter.maker(node.args[1], "aten::mean")
    if mean is None or mean.overload != "dim" or mean.args[0] is not node.args[0]:
        return None
    return node.args[0] if _over_last_axis(rewriter, mean) else None
