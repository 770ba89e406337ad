"""Everything that is known before the network is built: constant subgraphs, static sizes, decided branches."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .. import eager, metadata, registry, structure, torch_compat
from ..graph import Block, Graph, Node, Operand, Value, map_operand, operand_values, replace_values, walk_nodes
from ..weights import Origin, derive, on_cpu, origin, set_origin
from .copying import copy_block
from .sharing import changed_containers

ENDLESS = torch.iinfo(torch.int64).max
"""The number of iterations that TorchScript gives a ``while`` loop."""


@dataclass
class Plan:
    """What is left to convert.

    Args:
        nodes: the nodes that depend on an input, in order.
        known: what the other values are.
        outputs: the graph's outputs, in terms of these.
        renamed: how many values rewrites have added.
        fixed: the names of nodes that no rewrite may touch.
    """

    nodes: list[Node] = field(default_factory=list)
    known: dict[Value, Any] = field(default_factory=dict)
    outputs: list[Operand] = field(default_factory=list)
    renamed: int = 0
    fixed: frozenset[str] = frozenset()


def fold(graph: Graph) -> Plan:
    """Compute in PyTorch whatever depends on no input, and drop what no output needs.

    A tensor that was computed from parameters remembers how (:mod:`torch2trt.weights`). Nodes with a handler of the
    user's, and nodes that draw random numbers, are left alone. It computes where the module is, and brings what is
    known to the CPU in the end, where handlers make their own constants.
    """
    folder = _Folder(changed_containers(graph))
    folder.visit(graph.nodes)
    outputs = [folder.substitute(output) for output in graph.outputs]
    plan = Plan(live_nodes(folder.nodes, outputs), folder.known, outputs)
    _bring_to_cpu(plan)
    return plan


def _bring_to_cpu(plan: Plan) -> None:
    """Put what lies on other devices into ``plan.known`` as tensors on the CPU, parameters too; each is copied once."""
    copies: dict[int, torch.Tensor] = {}
    for value in values_read(plan.nodes, plan.outputs):
        found = known_data(value) if value.data is not None else plan.known.get(value)
        settled = on_cpu_throughout(found, copies)
        if settled is not found:
            plan.known[value] = settled


def values_read(nodes: Sequence[Node], outputs: Sequence[Operand]) -> set[Value]:
    """The values that nodes take as arguments, that blocks give, and that are among ``outputs``."""
    read = {*operand_values(list(outputs))}
    for node in walk_nodes(list(nodes)):
        read.update(node.values())
        read.update(value for block in node.blocks for value in operand_values(block.outputs))
    return read


def on_cpu_throughout(value: Any, copies: dict[int, torch.Tensor] | None = None) -> Any:
    """A known value with its tensors on the CPU; itself where they are.

    Args:
        value: nested at will.
        copies: the copies made before, by the identity of the original; added to.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    leaves, nesting = structure.flatten(value)
    if all(not isinstance(leaf, torch.Tensor) or leaf.device.type == "cpu" for leaf in leaves):
        return value
    copies = {} if copies is None else copies
    for leaf in leaves:
        if id(leaf) not in copies:
            copies[id(leaf)] = on_cpu(leaf) if isinstance(leaf, torch.Tensor) else leaf
    return structure.unflatten([copies[id(leaf)] for leaf in leaves], nesting)


def known_data(value: Value) -> Any:
    """The tensor of a parameter or constant, with its origin set."""
    tensor = value.data
    if tensor is not None and value.key is not None and origin(tensor) is None:
        set_origin(tensor, Origin(value.key, dtype=tensor.dtype))
    return tensor


MOST_UNROLLED = 20_000
"""A loop that would become more nodes than this stays a loop."""


class _Folder:
    """Visits nodes in order; the graph's own nodes stay as they are."""

    def __init__(self, changed: set[Value]) -> None:
        self.nodes: list[Node] = []
        self.known: dict[Value, Any] = {}
        self.replaced: dict[Value, Operand] = {}
        self.changed = changed

    def substitute(self, operand: Operand) -> Operand:
        """``operand`` in terms of what is left."""
        return replace_values(operand, self.replaced)

    def _resolve(self, operand: Operand) -> Any:
        def look_up(value: Value) -> Any:
            if value.data is not None:
                return known_data(value)
            return self.known.get(value, value)

        return map_operand(operand, look_up)

    def visit(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            node = self._substituted(node)
            args = [self._resolve(operand) for operand in node.args]
            if node.kind == "prim::If" and not any(operand_values(args[0])):
                self._choose(node, bool(args[0]))
                continue
            if node.kind == "prim::Loop" and self._unroll(node, args):
                continue
            results = None if node.blocks else self._results(node, args)
            if results is None:
                self.nodes.append(node)
            else:
                self.known.update(zip(node.outputs, results, strict=True))

    def _substituted(self, node: Node) -> Node:
        """The node, or a copy that uses what is left of the values that went."""
        if not any(value in self.replaced for value in node.values()):
            return node
        blocks = [
            Block(block.inputs, [self._substituted(inner) for inner in block.nodes], self.substitute(block.outputs))
            for block in node.blocks
        ]
        return dataclasses.replace(node, args=self.substitute(node.args), blocks=blocks)

    def _choose(self, node: Node, condition: bool) -> None:
        block = node.blocks[0 if condition else 1]
        self.visit(block.nodes)
        for value, operand in zip(node.outputs, block.outputs, strict=True):
            self.replaced[value] = self.substitute(operand)

    def _unroll(self, node: Node, args: list[Any]) -> bool:
        """Repeat the body as often as it is known to run; False when that is not known at all, or too often."""
        count, condition = args[:2]
        if any(operand_values([count, condition])):
            return False
        block, carried = node.blocks[0], list(node.args[2:])
        size = max(1, sum(1 for _ in walk_nodes(block.nodes)))
        if count != ENDLESS and count * size > MOST_UNROLLED:
            return False
        iteration = 0
        while condition is True and iteration < min(count, MOST_UNROLLED // size):
            nodes, results = copy_block(block, [iteration, *carried], f"@{iteration}", self._copied)
            self.visit(nodes)
            condition, *carried = (self.substitute(operand) for operand in results)
            condition = self._resolve(condition)
            iteration += 1
        if condition is not False and iteration < count:
            rest = {**node.attributes, "start": iteration}
            self.nodes.append(dataclasses.replace(node, args=[count, condition, *carried], attributes=rest))
        else:
            self.replaced.update(zip(node.outputs, carried, strict=True))
        return True

    def _copied(self, value: Value, twin: Value) -> None:
        if value in self.changed:
            self.changed.add(twin)

    def _results(self, node: Node, args: list[Any]) -> list[Any] | None:
        handler = registry.find(node)
        if handler is not None and not handler.builtin:
            return None
        if self.changed and any(value in self.changed for value in (*node.outputs, *node.values())):
            return None
        if any(operand_values(args)):
            return without_data(node, args)
        return None if is_impure(node) else compute(node, args)


def without_data(node: Node, args: list[Any]) -> list[Any] | None:
    """What a node gives that looks at no tensor's elements: sizes and dtypes, arithmetic on numbers; else None.

    Args:
        node: a node without blocks.
        args: its arguments; values stand for what is not known.
    """
    if any(operand_values(args)):
        answered = metadata.static_size(node, args) or metadata.answer(node, args, metadata.describe_value)
        return metadata.compared_with_none(node, args) if answered is None else answered
    if is_impure(node) or structure.flatten(args)[0]:
        return None
    return eager.call(node, args)


_EFFECTS = frozenset({"prim::RaiseException", "prim::Print", "prim::ListConstruct", "aten::warn"})


def is_impure(node: Node) -> bool:
    """Whether the node must stay where it is: it draws random numbers, changes a list, or raises."""
    return (
        torch_compat.is_random(node.kind, node.overload)
        or node.kind in _EFFECTS
        or (node.schema is not None and node.schema.mutates)
    )


def compute(node: Node, args: list[Any]) -> list[Any]:
    """The node in eager PyTorch; tensors computed from parameters remember how."""
    results = derive(lambda *values: eager.call(node, values), *args)
    return list(results)


def live_nodes(nodes: list[Node], outputs: list[Operand]) -> list[Node]:
    """The nodes that an output needs, or that do something else than to compute a value, in order."""
    needed = set(operand_values(outputs))
    kept = []
    for node in reversed(nodes):
        if is_impure(node) or any(value in needed for value in node.outputs) or _has_effect(node):
            kept.append(node)
            needed.update(node.values())
    return kept[::-1]


def _has_effect(node: Node) -> bool:
    return any(is_impure(inner) or _has_effect(inner) for block in node.blocks for inner in block.nodes)
