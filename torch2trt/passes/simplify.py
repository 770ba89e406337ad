"""Nodes that change nothing, that another one computes already, or that nobody needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable

import torch

from ..graph import Block, Node, Operand, Value, aten_kinds, operand_values, walk_nodes
from .fold import Plan, live_nodes
from .rewriting import Rewriter, cannot_change, is_pure, may_change, same_result
from .views import LAST

_DROPOUTS = aten_kinds("dropout feature_dropout alpha_dropout feature_alpha_dropout")
_IDENTITIES = aten_kinds("contiguous detach alias clone positive lift_fresh cpu") | _DROPOUTS
_SAME_IF_SAME_SIZES = aten_kinds(
    "view reshape _unsafe_view flatten unflatten ravel view_as reshape_as expand expand_as broadcast_to squeeze narrow "
    "slice"
)
_CONVERSIONS = aten_kinds("to type_as _to_copy float")
_STRIDE_READERS = aten_kinds("as_strided as_strided_copy as_strided_scatter _reshape_alias")


def no_ops(plan: Plan) -> int:
    """Values that are their node's first argument: casts to the dtype that it has, copies, views of the same sizes.

    A cast that did nothing in the trace is dropped also where a precision for the whole module changes dtypes: it is
    the precision that decides then.
    """
    rewriter = Rewriter(plan)
    strides_matter = any(node.kind in _STRIDE_READERS for node in walk_nodes(plan.nodes))
    count = 0
    for node in plan.nodes:
        if len(node.outputs) == 1 and node.args and _does_nothing(rewriter, node):
            if strides_matter and not _lies_the_same(node.outputs[0], node.args[0]):
                continue
            rewriter.replace(node.outputs[0], node.args[0])
            rewriter.drop(node)
            count += 1
    rewriter.finish()
    return count


def _does_nothing(rewriter: Rewriter, node: Node) -> bool:
    result, source = node.outputs[0], node.args[0]
    if not same_result(result, source) or not may_change(rewriter.plan, node):
        return False
    if node.kind in _IDENTITIES:
        return node.kind not in _DROPOUTS or _is_off(rewriter, node)
    if node.kind in _CONVERSIONS:
        return True
    if node.kind == "aten::slice" and rewriter.known(node.args[2:5]) in ([0, LAST, 1], [None, None, 1], [0, None, 1]):
        return True
    # Where several sizes are not known, equal ones cannot be told from exchanged ones; a slice may drop some of one.
    return node.kind in _SAME_IF_SAME_SIZES and result.shape is not None and None not in result.shape


def _lies_the_same(result: Value, source: Operand) -> bool:
    """Whether two values of the same elements lie in memory alike, which is what views by strides look at."""
    return isinstance(source, Value) and result.strides is not None and result.strides == source.strides


def _is_off(rewriter: Rewriter, node: Node) -> bool:
    return rewriter.known(node.argument("train")) is False


def common_subexpressions(plan: Plan) -> int:
    """A node that computes what an earlier one has computed: same op, same arguments, no random numbers.

    Outputs of the module stay tensors of their own.
    """
    rewriter = Rewriter(plan)
    outputs = set(operand_values(plan.outputs))
    seen: dict[Hashable, Node] = {}
    count = 0
    for node in plan.nodes:
        if not is_pure(plan, node) or not cannot_change(plan, (*node.outputs, *node.values())):
            continue
        try:
            key = (node.kind, node.overload, _key(rewriter, node.args), repr(node.attributes))
        except _NoKey:
            continue
        first = seen.setdefault(key, node)
        if first is node or any(value in outputs for value in node.outputs):
            continue
        for value, earlier in zip(node.outputs, first.outputs, strict=True):
            rewriter.replace(value, earlier)
        count += 1
    rewriter.finish()
    return count


class _NoKey(Exception):
    """An argument that cannot be compared."""


def _key(rewriter: Rewriter, operand: Operand) -> Hashable:
    if isinstance(operand, Value):
        operand = rewriter.resolved(operand)
    if isinstance(operand, Value):
        found = rewriter.known(operand)
        return _key(rewriter, found) if not isinstance(found, (Value, torch.Tensor)) else ("value", id(found))
    if isinstance(operand, (list, tuple)):
        return (type(operand).__name__, *(_key(rewriter, item) for item in operand))
    if isinstance(operand, torch.Tensor):
        return ("value", id(operand))
    if isinstance(operand, (bool, int, float, str, torch.dtype, torch.device, type(None))):
        return (type(operand).__name__, operand, repr(operand))  # -0.0 equals 0.0
    raise _NoKey


def dead_nodes(plan: Plan) -> int:
    """Nodes whose results nobody reads, in the bodies of ifs and loops too."""
    before = _size(plan.nodes)
    nodes = [_without_dead(node) for node in plan.nodes]
    plan.nodes = live_nodes(nodes, plan.outputs)
    return before - _size(plan.nodes)


def _without_dead(node: Node) -> Node:
    if not node.blocks:
        return node
    for index, block in enumerate(node.blocks):
        inner = [_without_dead(each) for each in block.nodes]
        live = live_nodes(inner, block.outputs)
        if len(live) != len(block.nodes) or any(new is not old for new, old in zip(live, block.nodes, strict=True)):
            blocks = [*node.blocks]
            blocks[index] = Block(block.inputs, live, block.outputs)
            node = dataclasses.replace(node, blocks=blocks)
    return node


def _size(nodes: list[Node]) -> int:
    return sum(1 + sum(_size(block.nodes) for block in node.blocks) for node in nodes)
