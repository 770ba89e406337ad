"""Which values of a graph may share memory, and which of those are written to."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Literal

from .. import torch_compat
from ..graph import Block, Graph, Node, Operand, Value, operand_values, walk_nodes
from ..torch_compat import Argument, Schema
from . import views

Role = Literal["plain", "write", "view", "list", "object", "container"]
"""What a node does to memory: nothing, it writes, its result is a view of its first argument, it gives a list of views,
it gives its argument itself, or it puts values into containers or takes them out."""

_GENERIC = re.compile(r"\bt\b")


_TAKES_APART = frozenset(
    f"prim::{name}"
    for name in (
        "ListConstruct",
        "TupleConstruct",
        "DictConstruct",
        "ListUnpack",
        "TupleUnpack",
        "TupleIndex",
        "TupleSlice",
    )
)


@functools.cache
def _role(kind: str, schema: str) -> Role:
    if kind in views.SAME_OBJECT:
        return "object"
    if kind in views.SEVERAL:
        return "container"
    parsed = torch_compat.parse_schema(schema)
    if parsed is None:
        return "view" if kind in views.SAME else "container" if kind in _TAKES_APART else "plain"
    if any(writes_tensors(argument) for argument in parsed.arguments):
        return "write"
    if any(_GENERIC.search(result.type) for result in parsed.returns) or parsed.mutates:
        return "container"
    if parsed.arguments and parsed.arguments[0].type == "Tensor":
        if kind in views.LISTS:
            return "list"
        named = kind in views.SAME or kind in views.SAME_OR_COPY or kind in views.RESHAPED
        return "view" if named or _declares_view(parsed) else "plain"
    return "container" if kind.startswith("aten::atleast_") else "plain"


def _declares_view(schema: Schema) -> bool:
    return len(schema.returns) == 1 and bool(schema.returns[0].alias & schema.arguments[0].alias)


def writes_tensors(argument: Argument) -> bool:
    """Whether an operator writes to the tensor, or the tensors of the list, that is given for an argument."""
    if argument.type == "List[Tensor]":
        # The parser notes an alias set where the list itself changes, none where its tensors do.
        return argument.written and not argument.alias
    return argument.written and argument.type in ("Tensor", "Optional[Tensor]")


def role(node: Node) -> Role:
    """What a node does to memory."""
    return _role(node.kind, node.schema.text if node.schema is not None else "")


def written_operands(node: Node) -> list[Operand]:
    """The arguments that a node writes to."""
    if node.schema is None:
        return []
    pairs = zip(node.schema.arguments, node.args, strict=False)
    return [operand for argument, operand in pairs if writes_tensors(argument)]


class Sharing:
    """The groups of values that may share memory, with whatever lies between them.

    Args:
        graph: all of it is looked at once.
    """

    def __init__(self, graph: Graph) -> None:
        self._parent: dict[Value, Value] = {}
        self._written: list[Value] = []
        self._changed: list[Value] = []
        self._in_block: dict[Block, list[Value]] = {}
        self.data: dict[Value, None] = {}
        self._visit(graph.nodes, [])
        for value in operand_values(graph.outputs):
            self._note(value)
        self._groups = {self.group(value) for value in self._written}

    def group(self, value: Value) -> Value:
        """The representative of the values that may share memory with ``value``."""
        parent = self._parent
        while (above := parent.get(value)) is not None:
            higher = parent.get(above)
            if higher is not None:
                parent[value] = higher
            value = above
        return value

    def is_written(self, value: Value) -> bool:
        """Whether a value that may share memory with ``value`` is written to somewhere."""
        return self.group(value) in self._groups

    def written_in(self, block: Block) -> list[Value]:
        """The groups that are written to inside a block, or a block inside it."""
        return list(dict.fromkeys(self.group(value) for value in self._in_block[block]))

    def changed(self) -> set[Value]:
        """The values that may be, or be in, a list or dict that a node changes."""
        groups = {self.group(value) for value in self._changed}
        return {value for value in (*self._parent, *groups) if self.group(value) in groups}

    def _note(self, value: Value) -> None:
        if value.data is not None:
            self.data[value] = None

    def _join(self, values: Iterable[Value]) -> None:
        first: Value | None = None
        for value in values:
            root = self.group(value)
            if first is None:
                first = root
            elif root is not first:
                self._parent[root] = first

    def _visit(self, nodes: list[Node], blocks: list[Block]) -> None:
        for node in nodes:
            for value in operand_values(node.args):
                self._note(value)
            if node.blocks:
                self._visit_blocks(node, blocks)
                continue
            kind = role(node)
            if kind == "plain":
                continue
            if kind == "write":
                written = list(operand_values(written_operands(node)))
                self._written += written
                for block in blocks:
                    self._in_block[block] += written
                self._join([*written, *node.outputs])
            elif kind == "container":
                if node.schema is not None and node.schema.mutates:
                    self._changed += operand_values(node.args[0])
                self._join([*operand_values(node.args), *node.outputs])
            else:
                self._join([*operand_values(node.args[0]), *node.outputs])

    def _visit_blocks(self, node: Node, blocks: list[Block]) -> None:
        loop = node.kind == "prim::Loop"
        for block in node.blocks:
            self._in_block[block] = []
            self._visit(block.nodes, [*blocks, block])
            for value in operand_values(block.outputs):
                self._note(value)
            results = block.outputs[1:] if loop else block.outputs
            entries = zip(node.args[2:], block.inputs[1:], strict=True) if loop else [()] * len(results)
            for output, operand, entry in zip(node.outputs, results, entries, strict=True):
                self._join([output, *operand_values(operand), *operand_values(list(entry))])


def writes_anything(nodes: Iterable[Node]) -> bool:
    """Whether a node, or one in a block of it, writes to a tensor."""
    for node in nodes:
        schema = node.schema
        if schema is not None and schema.mutates and role(node) == "write":
            return True
        if node.blocks and any(writes_anything(block.nodes) for block in node.blocks):
            return True
    return False


def changed_containers(graph: Graph) -> set[Value]:
    """The values that may be, or be in, a list or dict that a node changes."""
    changes = any(node.schema is not None and node.schema.mutates for node in walk_nodes(graph.nodes))
    return Sharing(graph).changed() if changes else set()
