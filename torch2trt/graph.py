"""The graph that is converted: values and nodes, free of any object of the front end that made it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from .dynamic import Range
from .errors import InternalError, Location
from .structure import Structure
from .torch_compat import Schema

Operand = Any
"""What a node's argument is: a :class:`Value`, a Python constant, or a list, tuple or dict of operands."""


class Value:
    """One result in the graph.

    Args:
        name: unique in its graph.
        dtype: the traced dtype; None when it is no tensor or was not traced.
        shape: the traced sizes, None for an axis whose size may change; None as a whole when not known.
        strides: the traced strides, in elements.
        device: the kind of device that it was traced on, such as ``cuda``; that of the first input in scripted code,
            which does not say; None when not known at all.
        traced: where sizes are dynamic, the sizes and strides in each of the two traces.
        data: the tensor, for a parameter, a buffer or a tensor constant.
        key: the ``state_dict`` key of ``data``; None for constants.
    """

    __slots__ = ("data", "device", "dtype", "key", "name", "node", "shape", "strides", "traced")

    def __init__(
        self,
        name: str,
        *,
        dtype: torch.dtype | None = None,
        shape: tuple[int | None, ...] | None = None,
        strides: tuple[int, ...] | None = None,
        device: str | None = None,
        data: torch.Tensor | None = None,
        key: str | None = None,
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.strides = strides
        self.device = device
        self.data = data
        self.key = key
        self.node: Node | None = None
        self.traced: tuple[tuple[Any, Any], tuple[Any, Any]] | None = None

    def __repr__(self) -> str:
        shape = "?" if self.shape is None else list(self.shape)
        return f"%{self.name}: {self.dtype} {shape}"


@dataclass(eq=False)
class Node:
    """One operation.

    Args:
        kind: such as ``aten::add``.
        overload: such as ``Tensor``; empty for the default one and for prim nodes.
        name: unique in its graph.
        args: the operands, in schema order where there is a schema.
        outputs: the results.
        schema: None for prim nodes.
        scope: path of the module that called it.
        stack: the Python stack of the call as the tracer wrote it, innermost frame first.
        attributes: the node's constants that are no operands; ``pieces`` is how many tensors its list is taken apart
            into.
        blocks: the bodies of an if or a loop.
    """

    kind: str
    overload: str
    name: str
    args: list[Operand]
    outputs: list[Value]
    schema: Schema | None = None
    scope: str = ""
    stack: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        for value in self.outputs:
            value.node = self

    @property
    def source(self) -> str:
        """``file.py:line`` of the innermost frame of the user's own code; empty when unknown."""
        return source_line(self.stack)

    @property
    def location(self) -> Location:
        """Where the node stands, for error messages."""
        kind = f"{self.kind}.{self.overload}" if self.overload else self.kind
        return Location(kind, self.scope, self.source, self.name)

    def argument(self, name: str) -> Operand:
        """The operand bound to the schema's argument ``name``.

        Raises:
            InternalError: the op has no such argument.
        """
        if self.schema is None or name not in self.schema.argument_names:
            raise InternalError(f"{self.kind} has no argument {name!r}", location=self.location)
        return self.args[self.schema.argument_names.index(name)]

    def values(self) -> Iterator[Value]:
        """Every value among the operands, nested ones too, and those that its blocks take from outside."""
        yield from operand_values(self.args)
        for block in self.blocks:
            yield from block.captured()

    def __repr__(self) -> str:
        results = ", ".join(f"%{value.name}" for value in self.outputs)
        return f"{results} = {self.kind}({self.args})"


@dataclass(eq=False)
class Block:
    """A straight run of nodes with its own inputs and outputs: the body of an if or a loop."""

    inputs: list[Value]
    nodes: list[Node]
    outputs: list[Operand]

    def captured(self) -> Iterator[Value]:
        """Values used inside and made outside."""
        inside = {*self.inputs, *(value for node in self.nodes for value in node.outputs)}
        used = [value for node in self.nodes for value in node.values()]
        for value in [*used, *operand_values(self.outputs)]:
            if value not in inside:
                yield value


@dataclass(eq=False)
class Graph:
    """A traced module.

    Args:
        inputs: one value a tensor of the flattened inputs, unused ones too.
        nodes: in execution order.
        outputs: one operand a tensor of the flattened outputs.
        input_names: a name for every input.
        argument_names: the names of the positional arguments.
        input_structure: how the caller nests the inputs: ``(args, kwargs)``.
        output_structure: how the module nests its outputs.
        parameters: every parameter and buffer that the graph uses, by ``state_dict`` key.
        state_shapes: the shape of every entry of the module's ``state_dict``, used or not.
        reads: the whole numbers that Python read while the module was traced, and the values that they came of, if
            the trace was to keep these.
        ranges: the dynamic axes of the inputs, by input name and axis.
        results: what the last run gave for every value, by value name.
        rewrites: how often each rewrite of :mod:`torch2trt.passes.optimize` found its pattern, by its name.
    """

    inputs: list[Value]
    nodes: list[Node]
    outputs: list[Operand]
    input_names: list[str]
    input_structure: Structure
    output_structure: Structure
    parameters: dict[str, torch.Tensor] = field(default_factory=dict)
    state_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    argument_names: list[str] = field(default_factory=list)
    reads: list[tuple[Operand, int]] = field(default_factory=list)
    ranges: dict[str, dict[int, Range]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict, repr=False)
    rewrites: dict[str, int] = field(default_factory=dict)

    @property
    def arguments(self) -> Structure:
        """The structure of every argument, of positional ones first."""
        positional, keyword = self.input_structure.children
        return Structure("tuple", (*positional.children, *keyword.children))

    @property
    def names_of_arguments(self) -> list[str]:
        """The names of all arguments, in the same order."""
        return [*self.argument_names, *map(str, self.input_structure.children[1].keys)]

    def get_resolved_outputs(self) -> list[list[Any]]:
        """One list per output of the module: ``[[first], [second], ...]``; tensors of torch or of TensorRT.

        Raises:
            InternalError: the graph has not been run.
        """
        return [[self.resolve(output)] for output in self.outputs]

    def resolve(self, operand: Operand) -> Any:
        """What an operand was in the last run."""
        if isinstance(operand, Value):
            if operand.data is not None:
                return operand.data
            if operand.name not in self.results:
                raise InternalError(f"value {operand.name} was not computed; run the graph first")
            return self.results[operand.name]
        return operand

    def op_counts(self) -> dict[str, int]:
        """How often each kind occurs, blocks included, most frequent first."""
        counts: dict[str, int] = {}
        for node in walk_nodes(self.nodes):
            counts[node.kind] = counts.get(node.kind, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: -item[1]))


def aten_kinds(names: str) -> frozenset[str]:
    """The kinds of ATen's ops, by their names with spaces between."""
    return frozenset(f"aten::{name}" for name in names.split())


def operand_values(operand: Operand) -> Iterator[Value]:
    """Every value in an operand, however nested."""
    if isinstance(operand, Value):
        yield operand
    elif isinstance(operand, (list, tuple)):
        for item in operand:
            yield from operand_values(item)
    elif isinstance(operand, dict):
        for item in operand.values():
            yield from operand_values(item)


def map_operand(operand: Operand, function: Any) -> Any:
    """An operand with every value replaced by ``function`` of it; lists, tuples and dicts are rebuilt."""
    if isinstance(operand, Value):
        return function(operand)
    if isinstance(operand, list):
        return [map_operand(item, function) for item in operand]
    if isinstance(operand, tuple):
        return tuple(map_operand(item, function) for item in operand)
    if isinstance(operand, dict):
        return {key: map_operand(item, function) for key, item in operand.items()}
    return operand


def replace_values(operand: Operand, replaced: Mapping[Value, Operand]) -> Operand:
    """An operand with others in the place of the values in ``replaced``."""
    return map_operand(operand, lambda value: replaced.get(value, value)) if replaced else operand


def substitute(block: Block, replaced: Mapping[Value, Operand]) -> None:
    """Put other operands in the place of values, in a block and those inside of it."""
    for node in block.nodes:
        if any(value in replaced for value in operand_values(node.args)):
            node.args = [replace_values(operand, replaced) for operand in node.args]
        for inner in node.blocks:
            substitute(inner, replaced)
    block.outputs = [replace_values(operand, replaced) for operand in block.outputs]


def walk_nodes(nodes: list[Node]) -> Iterator[Node]:
    """All nodes, with those of blocks after the node that holds them."""
    for node in nodes:
        yield node
        for block in node.blocks:
            yield from walk_nodes(block.nodes)


_FRAME = re.compile(r"^(?P<file>.+?)[:(](?P<line>\d+)")
_SCRIPT_FRAME = re.compile(r'^File "(?P<file>[^"]+)", line (?P<line>\d+)')
_TORCH = re.compile(r"[\\/]torch[\\/]")
_OWN = str(Path(__file__).parent) + os.sep
_OUTERMOST = _OWN + "tracing.py"


def source_line(stack: str) -> str:
    """The innermost frame outside torch and torch2trt, as ``file:line``; the innermost of all when there is none.

    Frames around torch2trt's are those of who called it, and say nothing of the module.
    """
    first = ""
    frame = _SCRIPT_FRAME if stack.lstrip().startswith("File ") else _FRAME
    for row in stack.splitlines():
        match = frame.match(row.strip())
        if match is None:
            continue
        place, own = f"{match['file']}:{match['line']}", match["file"].startswith(_OWN)
        if match["file"] == _OUTERMOST:
            break
        first = first or ("" if own else place)
        if not own and not _TORCH.search(match["file"]):
            return place
    return first
