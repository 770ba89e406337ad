"""A block's nodes once more, on other inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from ..graph import Block, Node, Operand, Value, map_operand


def copy_block(
    block: Block, inputs: Sequence[Operand], suffix: str, made: Callable[[Value, Value], None]
) -> tuple[list[Node], list[Operand]]:
    """The nodes and results of a block whose inputs are ``inputs``.

    Args:
        block: stays as it is.
        inputs: an operand for each of its inputs.
        suffix: what the names of the copies end in.
        made: is told every value and its copy.
    """
    replaced: dict[Value, Operand] = dict(zip(block.inputs, inputs, strict=True))

    def copied(value: Value) -> Value:
        twin = Value(
            value.name + suffix, dtype=value.dtype, shape=value.shape, strides=value.strides, device=value.device
        )
        twin.traced = value.traced
        replaced[value] = twin
        made(value, twin)
        return twin

    def newest(operand: Operand) -> Operand:
        return map_operand(operand, lambda value: replaced.get(value, value))

    def copy_nodes(nodes: list[Node]) -> list[Node]:
        return [copy_node(node) for node in nodes]

    def copy_inner(inner: Block) -> Block:
        entries = [copied(value) for value in inner.inputs]
        nodes = copy_nodes(inner.nodes)
        return Block(entries, nodes, newest(inner.outputs))

    def copy_node(node: Node) -> Node:
        args = newest(node.args)
        blocks = [copy_inner(inner) for inner in node.blocks]
        outputs = [copied(value) for value in node.outputs]
        return dataclasses.replace(node, name=node.name + suffix, args=args, outputs=outputs, blocks=blocks)

    nodes = copy_nodes(block.nodes)
    return nodes, newest(block.outputs)
