"""Ifs and loops: what a block writes to outside of itself becomes one of its results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..graph import Block, Node, Operand, Value, substitute
from .aliases import Alias, Reference, Storage
from .sharing import role, written_operands

if TYPE_CHECKING:
    from .functionalize import Functionalizer


class _Visited:
    """A block that was walked.

    Args:
        block: changed in place.
        references: what tensor objects its results are.
        newest: for storages from outside that it wrote to, the value that they have at its end.
    """

    def __init__(self, block: Block, references: list[Reference | None], newest: dict[Storage, Value]) -> None:
        self.block = block
        self.references = references
        self.newest = newest


def visit_if(walk: Functionalizer, node: Node) -> None:
    """Make both branches functional; a tensor that one of them writes to becomes a result of both."""
    node.args = [walk.operand(operand) for operand in node.args]
    first = _visit_branch(walk, node.blocks[0], [])
    second = _visit_branch(walk, node.blocks[1], list(first.newest))
    missing = [storage for storage in second.newest if storage not in first.newest]
    _read_at_end(walk, first, missing)
    outputs = list(node.outputs)
    for storage, value in second.newest.items():
        result = walk.builder.value(storage.root.original)
        node.outputs.append(result)
        result.node = node
        first.block.outputs.append(first.newest[storage])
        second.block.outputs.append(value)
    walk.builder.append(node)
    for storage, result in zip(second.newest, node.outputs[len(outputs) :], strict=True):
        walk.memory.replace(storage, result)
    for index, value in enumerate(outputs):
        if walk.sharing.is_written(value):
            _merge(walk, value, [visited.references[index] for visited in (first, second)], _shared(first, second))


def _visit_branch(walk: Functionalizer, block: Block, others: list[Storage]) -> _Visited:
    walk.memory.enter()
    outer, walk.memory.touched = walk.memory.touched, {}
    nodes = walk.visit_all(block.nodes)
    visited = _finish_block(walk, block, list({**dict.fromkeys(others), **walk.memory.touched}), nodes)
    walk.memory.touched = outer
    walk.memory.leave()
    return visited


def _finish_block(walk: Functionalizer, block: Block, storages: list[Storage], nodes: list[Node]) -> _Visited:
    """Give a block its functional nodes and results, and what ``storages`` hold at its end."""
    outer, walk.builder.nodes = walk.builder.nodes, nodes
    references = [walk.reference(operand) for operand in block.outputs]
    block.outputs = [walk.operand(operand) for operand in block.outputs]
    newest = {storage: walk.memory.peek(storage.root) for storage in storages}
    block.nodes, walk.builder.nodes = nodes, outer
    return _Visited(block, references, newest)


def _read_at_end(walk: Functionalizer, visited: _Visited, missing: list[Storage]) -> None:
    """What storages that the branch did not write to hold in it."""
    walk.memory.enter()
    outer, walk.builder.nodes = walk.builder.nodes, visited.block.nodes
    visited.newest.update((storage, walk.memory.peek(storage.root)) for storage in missing)
    walk.builder.nodes = outer
    walk.memory.leave()


def _shared(*branches: _Visited) -> set[Storage]:
    """Storages that several results of one branch are views of."""
    shared = set()
    for visited in branches:
        seen: set[Alias] = set()
        for reference in visited.references:
            if reference is not None:
                if reference.alias in seen or any(other.storage is reference.alias.storage for other in seen):
                    shared.add(reference.alias.storage)
                seen.add(reference.alias)
    return shared


def _merge(walk: Functionalizer, value: Value, references: list[Reference | None], shared: set[Storage]) -> None:
    """What tensor object a result is that comes from one of several."""
    first = references[0]
    depth = walk.memory.depth
    if first is not None and all(reference is first for reference in references) and first.depth <= depth:
        walk.references[value] = first
        return
    aliases = {reference.alias for reference in references if reference is not None}
    if first is not None and len(aliases) == 1 and None not in references and first.alias.storage.depth <= depth:
        walk.references[value] = Reference(first.alias, depth)
        return
    made = walk.allocate(value)
    for alias in aliases:
        if alias.storage.depth <= depth:
            walk.memory.give(alias.storage)
        if alias.storage.depth <= depth or alias.storage in shared:
            walk.memory.take(made.alias.storage)


def visit_loop(walk: Functionalizer, node: Node) -> None:
    """Make the body functional; a tensor from outside that it writes to is carried from iteration to iteration."""
    block = node.blocks[0]
    _drop_same(walk, node, block)
    results = list(node.outputs)
    carried = [
        storage
        for group in walk.sharing.written_in(block)
        for storage in walk.memory.allocated(group)
        if not storage.container
    ]
    starts = {storage: walk.memory.peek(storage.root) for storage in carried}
    entries = {storage: walk.builder.value(storage.root.original, typed=False) for storage in carried}
    inits = [walk.reference(operand) for operand in node.args[2:]]
    node.args = [walk.operand(operand) for operand in node.args]
    visited = _visit_body(walk, block, entries, inits)
    unchanged: dict[Value, Operand] = {}
    for storage, entry in entries.items():
        if storage in visited.newest:
            node.args.append(starts[storage])
            block.inputs.append(entry)
            block.outputs.append(visited.newest[storage])
            node.outputs.append(walk.builder.value(storage.root.original))
            node.outputs[-1].node = node
        else:
            unchanged[entry] = starts[storage]
    if unchanged:
        substitute(block, unchanged)
    walk.builder.append(node)
    for storage, value in zip(visited.newest, node.outputs[len(results) :], strict=True):
        walk.memory.replace(storage, value)
        # An earlier iteration may have handed out what a later one wrote to.
        walk.memory.stamp_given(storage)
    for value, reference in zip(results, visited.references[1:], strict=True):
        if walk.sharing.is_written(value):
            _borrow(walk, value, reference)


def _visit_body(
    walk: Functionalizer, block: Block, entries: dict[Storage, Value], inits: list[Reference | None]
) -> _Visited:
    walk.memory.enter()
    outer, walk.memory.touched = walk.memory.touched, {}
    for storage, entry in entries.items():
        walk.memory.assume(storage, entry)
    for value, reference in zip(block.inputs[1:], inits, strict=True):
        if walk.sharing.is_written(value):
            _borrow(walk, value, reference)
    visited = _finish_block(walk, block, list(entries), walk.visit_all(block.nodes))
    visited.newest = {storage: visited.newest[storage] for storage in entries if storage in walk.memory.touched}
    walk.memory.touched = outer
    walk.memory.leave()
    return visited


def _borrow(walk: Functionalizer, value: Value, source: Reference | None) -> None:
    """``value`` is a tensor object that may share memory with ``source``, or with what later iterations make."""
    made = walk.allocate(value)
    if source is not None and source.alias.storage.depth <= walk.memory.depth:
        walk.memory.give(source.alias.storage)
    walk.memory.take(made.alias.storage)


def _drop_same(walk: Functionalizer, node: Node, block: Block) -> None:
    """Forget carried values that stay one tensor object."""
    for index in reversed(range(len(node.outputs))):
        entry, output = block.inputs[index + 1], node.outputs[index]
        reference = walk.reference(node.args[index + 2])
        if reference is None or _origin(walk, block.outputs[index + 1]) is not entry:
            continue
        walk.references[entry] = walk.references[output] = reference
        del block.inputs[index + 1], block.outputs[index + 1], node.outputs[index], node.args[index + 2]


def _origin(walk: Functionalizer, operand: Operand) -> Operand:
    """The value that an operand is the same tensor object as: what in-place ops return, taken back to what they got."""
    while isinstance(operand, Value) and operand.node is not None:
        node = operand.node
        if node.kind == "prim::If":
            index = node.outputs.index(operand)
            origins = [_origin(walk, block.outputs[index]) for block in node.blocks]
            if origins[0] is not origins[1]:
                return operand
            operand = origins[0]
        elif node.kind == "prim::Loop":
            index = node.outputs.index(operand)
            if _origin(walk, node.blocks[0].outputs[index + 1]) is not node.blocks[0].inputs[index + 1]:
                return operand
            operand = node.args[index + 2]
        elif role(node) == "object":
            operand = node.args[0]
        elif role(node) == "write" and _returns_target(node, operand):
            operand = written_operands(node)[0]
        else:
            return operand
    return operand


def _returns_target(node: Node, value: Value) -> bool:
    """Whether ``value`` is the one tensor that a node writes to, with the shape that it had."""
    schema = node.schema
    one = len(written_operands(node)) == 1 and len(node.outputs) == 1
    return one and schema is not None and bool(schema.returns[0].alias) and schema.arguments[0].written
