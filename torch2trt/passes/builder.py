"""New nodes for a graph, put where a pass stands."""

from __future__ import annotations

import dataclasses

from .. import torch_compat
from ..errors import InternalError
from ..graph import Node, Operand, Value


class Builder:
    """Appends nodes to ``nodes``, each with the module scope and source line of ``place``.

    Args:
        nodes: where the next node goes; a pass puts another list here while it is inside a block.
        place: the node of the trace that the new ones are made for.
        count: how many values were named already.
        mark: what tells the names of this builder's values from those of another one.
    """

    def __init__(self, nodes: list[Node], *, count: int = 0, mark: str = "") -> None:
        self.nodes = nodes
        self.place: Node | None = None
        self.count = count
        self._mark = mark

    def value(self, like: Value | None = None, *, typed: bool = True) -> Value:
        """A value that no node makes yet, of the type of ``like``; ``typed=False`` leaves out sizes and strides."""
        self.count += 1
        # The tracer writes no plus sign into a name, so that this one is new.
        name = f"{'' if like is None else like.name.partition('+')[0]}+{self._mark}{self.count}"
        if like is None:
            return Value(name)
        if not typed:
            return Value(name, dtype=like.dtype, device=like.device)
        return Value(name, dtype=like.dtype, shape=like.shape, strides=like.strides, device=like.device)

    def call(self, name: str, *args: Operand, like: Value | None = None, result: Value | None = None) -> Value:
        """The one result of ``name``, such as ``aten::select.int``, for its leading arguments; the others are defaults.

        Args:
            name: the op and its overload.
            args: the first arguments of its schema.
            like: a value of the result's type; None when that is not known.
            result: the value to give the result to, in place of a new one.

        Raises:
            InternalError: torch has no such op.
        """
        kind, _, overload = name.partition(".")
        schema = torch_compat.schema_of(kind, overload)
        if schema is None:
            raise InternalError(f"torch has no operator {name}")
        operands = [*args, *(argument.default for argument in schema.arguments[len(args) :])]
        output = result if result is not None else self.value(like)
        self.append(Node(kind, overload, output.name, operands, [output], schema))
        return output

    def append(self, node: Node) -> None:
        """Add a node; a new one takes the place's scope and source."""
        if self.place is not None and not node.stack and not node.scope:
            node.scope, node.stack = self.place.scope, self.place.stack
        self.nodes.append(node)

    def repeat(
        self, node: Node, args: list[Operand], *, like: Value | None = None, result: Value | None = None
    ) -> Value:
        """``node``, which has one result, on other arguments; ``like`` and ``result`` as for :meth:`call`."""
        output = result if result is not None else self.value(like)
        self.append(dataclasses.replace(node, args=args, outputs=[output], name=output.name))
        return output
