"""Which nodes depend on a value that is known at run time only; all others run in PyTorch while converting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .. import registry, torch_compat
from ..graph import Node, Operand, Value, operand_values
from .fold import Plan


def run_time_nodes(plan: Plan) -> list[Node]:
    """The nodes of a plan, in blocks too, that an argument makes run-time ones, or that draw random numbers."""
    finder = _Finder(plan)
    while finder.changed:
        finder.changed = False
        finder.found = {}
        finder.visit(plan.nodes)
    return list(finder.found)


class _Finder:
    """Follows what is known from node to node, again for as long as a list turns out to take run-time values."""

    def __init__(self, plan: Plan) -> None:
        self.known: set[Value] = set(plan.known)
        self.tainted: set[Value] = set()
        self.found: dict[Node, None] = {}
        self.changed = True

    def _is_tainted(self, operand: Operand) -> bool:
        return any(
            value in self.tainted or (value not in self.known and value.data is None)
            for value in operand_values(operand)
        )

    def _give(self, values: Iterable[Value], tainted: bool) -> None:
        for value in values:
            if not tainted and value not in self.tainted:
                self.known.add(value)
            elif value not in self.tainted:
                self.tainted.add(value)
                self.changed = True

    def visit(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if node.kind == "prim::If":
                self._visit_if(node)
            elif node.kind == "prim::Loop":
                self._visit_loop(node)
            else:
                self._visit_plain(node)

    def _visit_plain(self, node: Node) -> None:
        handler = registry.find(node)
        users = handler is not None and not handler.builtin
        tainted = users or self._is_tainted(node.args) or torch_compat.is_random(node.kind, node.overload)
        if tainted:
            self.found[node] = None
        if tainted and node.schema is not None and node.schema.mutates:
            self._give(operand_values(node.args[0]), tainted=True)
        self._give(node.outputs, tainted)

    def _visit_if(self, node: Node) -> None:
        condition = self._is_tainted(node.args[0])
        if condition:
            self.found[node] = None
        for block in node.blocks:
            self.visit(block.nodes)
        for place, value in enumerate(node.outputs):
            self._give([value], condition or any(self._is_tainted(block.outputs[place]) for block in node.blocks))

    def _visit_loop(self, node: Node) -> None:
        block = node.blocks[0]
        length = self._is_tainted(node.args[:2]) or self._is_tainted(block.outputs[0])
        if length:
            self.found[node] = None
        self._give(block.inputs[:1], length)
        for entry, initial in zip(block.inputs[1:], node.args[2:], strict=True):
            self._give([entry], length or self._is_tainted(initial))
        self.visit(block.nodes)
        for place, operand in enumerate(block.outputs[1:]):
            tainted = length or self._is_tainted(operand)
            self._give([block.inputs[place + 1], node.outputs[place]], tainted)
