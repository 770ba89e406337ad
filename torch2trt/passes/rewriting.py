"""What the rewrites of a plan share: who makes a value, what is known, and putting something in a value's place."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch

from .. import registry
from ..graph import Block, Node, Operand, Value, map_operand, operand_values, walk_nodes
from ..weights import origin
from .builder import Builder
from .fold import Plan, is_impure, known_data, live_nodes


def may_change(plan: Plan, node: Node) -> bool:
    """Whether the node's handler is torch2trt's own; a user's handler must see the node as traced."""
    handler = registry.find(node)
    return handler is not None and handler.builtin and node.name not in plan.fixed


def known(plan: Plan, operand: Operand) -> Any:
    """The operand with known values in place of graph values."""

    def look_up(value: Value) -> Any:
        if value in plan.known or value.data is None:
            return plan.known.get(value, value)
        return known_data(value)

    return map_operand(operand, look_up)


def use_counts(plan: Plan) -> dict[Value, int]:
    """How often each value is read: by nodes, those in blocks too, by blocks' outputs and by the plan's."""
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


def constant(name: str, tensor: torch.Tensor) -> Value:
    """A value that holds a known tensor."""
    return Value(name, dtype=tensor.dtype, shape=tuple(tensor.shape), data=tensor)


class Rewriter:
    """A plan while a pass rewrites it. A rewritten value keeps its name and its meaning; what made it is dropped.

    Args:
        plan: changed by :meth:`finish`.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._replaced: dict[Value, Operand] = {}
        self._nodes: dict[Node, list[Node]] = {}

    @functools.cached_property
    def uses(self) -> dict[Value, int]:
        """How often each value is read, before the pass."""
        return use_counts(self.plan)

    @functools.cached_property
    def _makers(self) -> dict[Value, Node]:
        return {value: node for node in self.plan.nodes for value in node.outputs}

    def known(self, operand: Operand) -> Any:
        """The operand with known values in place of graph values."""
        return known(self.plan, operand)

    def maker(self, operand: Operand, *kinds: str) -> Node | None:
        """The node of one of ``kinds``, with a handler of our own, that makes a value outside of any block.

        The same kinds of numbers, such as ``aten::add.int``, have other arguments, and are none.
        """
        node = self._makers.get(operand) if isinstance(operand, Value) else None
        if node is None or node.kind not in kinds or not may_change(self.plan, node):
            return None
        return node if node.schema is None or "Tensor" in node.schema.returns[0].type else None

    def tensor(self, operand: Operand) -> torch.Tensor | None:
        """The known tensor that an operand is; None when it is none."""
        found = self.known(operand)
        return found if isinstance(found, torch.Tensor) else None

    def number(self, operand: Operand) -> float | int | None:
        """The known number that an operand is: a Python number, or a constant tensor of rank 0; else None.

        A tensor that depends on a parameter is none: a refit may change it.
        """
        found = self.known(operand)
        if isinstance(found, torch.Tensor) and not found.dim() and not found.is_complex() and origin(found) is None:
            found = found.item()
        return found if isinstance(found, (int, float)) and not isinstance(found, bool) else None

    def replace(self, value: Value, operand: Operand) -> None:
        """Put ``operand`` wherever ``value`` is read."""
        self._replaced[value] = operand

    def substitute(self, node: Node, make: Callable[[Builder], object]) -> None:
        """Put the nodes that ``make`` adds to a builder in place of ``node``; one of them must make its outputs."""
        builder = Builder([], count=self.plan.renamed, mark="r")
        builder.place = node
        make(builder)
        self.plan.renamed = builder.count
        self._nodes[node] = builder.nodes
        for new in builder.nodes:
            for value in new.outputs:
                self._makers[value] = new

    def call(self, node: Node, name: str, *args: Operand) -> None:
        """Put one call in place of ``node``, which has one result; arguments as for :meth:`Builder.call`."""
        self.substitute(node, lambda builder: builder.call(name, *args, result=node.outputs[0]))

    def drop(self, node: Node) -> None:
        """Take ``node`` away, whose results were all replaced, although it may look as if it did something else."""
        self._nodes[node] = []

    def finish(self) -> None:
        """Change the plan."""
        if not self._replaced and not self._nodes:
            return
        nodes = [new for node in self.plan.nodes for new in self._nodes.get(node, (node,))]
        outputs = self.plan.outputs
        if self._replaced:
            nodes = [self._substituted(node) for node in nodes]
            outputs = self._resolved(outputs)
        self.plan.nodes = live_nodes(nodes, outputs)
        self.plan.outputs = outputs

    def resolved(self, value: Operand) -> Operand:
        """What stands in a value's place by now."""
        while isinstance(value, Value) and value in self._replaced:
            value = self._replaced[value]
        return value

    def _resolved(self, operand: Operand) -> Any:
        return map_operand(operand, self.resolved)

    def _substituted(self, node: Node) -> Node:
        if not any(value in self._replaced for value in node.values()):
            return node
        blocks = [
            Block(block.inputs, [self._substituted(inner) for inner in block.nodes], self._resolved(block.outputs))
            for block in node.blocks
        ]
        return dataclasses.replace(node, args=self._resolved(node.args), blocks=blocks)


def same_result(left: Value, right: Operand) -> bool:
    """Whether ``right`` is a value of the same dtype and traced sizes, so that it can stand for ``left``."""
    return (
        isinstance(right, Value) and left.dtype == right.dtype and left.shape is not None and left.shape == right.shape
    )


def is_pure(plan: Plan, node: Node) -> bool:
    """Whether equal arguments give equal results, and nothing else happens."""
    return not node.blocks and not is_impure(node) and may_change(plan, node)


_FIXED_TYPES = frozenset({"Tensor", "int", "float", "bool", "number"})


def cannot_change(plan: Plan, values: Iterable[Value]) -> bool:
    """Whether all values are known, tensors or numbers for certain: no lists, which a node may change."""
    return all(value.dtype is not None or value in plan.known or _is_fixed(value) for value in values)


def _is_fixed(value: Value) -> bool:
    schema = None if value.node is None else value.node.schema
    if schema is None or value.node is None:
        return False
    index = value.node.outputs.index(value)
    return index < len(schema.returns) and schema.returns[index].type in _FIXED_TYPES
