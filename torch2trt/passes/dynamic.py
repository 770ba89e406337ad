"""Which sizes are dynamic: the difference between the traces of one module at several sizes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import Location, ShapeError
from ..graph import Graph, Node, Operand, Value
from .builder import Builder

_HINT = (
    "compute the size from a tensor inside forward (x.shape, x.size()), keep it out of Python ints made elsewhere, "
    "or make this axis static"
)


_MARK = "size"
"""Begins the names of sizes that :func:`mark_dynamic` puts in front of a graph."""


Axis = tuple[int, int]
"""The place of an input, and an axis of it."""


def mark_dynamic(graph: Graph, other: Graph, names: Mapping[Axis, str] | None = None) -> dict[Axis, Location]:
    """Replace every size in ``graph`` that differs in ``other`` by None.

    An int that is another one there follows a dynamic axis if it has the axis's size in both, comes of it by adding or
    multiplying a number, or is the product of two: it is computed from the input then. So it is of a number that Python
    read from a tensor, if the traces have these, or else of a size of a result before it. Whether it does so at other
    sizes has to be seen from traces at these.

    Args:
        graph: the trace to convert; changed in place, and marked by other traces already or not.
        other: the trace of the same module at other sizes.
        names: the axes that ints may follow; those that share a name have the same size at every call.

    Returns:
        the axes that ints follow, and where the first of these is.

    Raises:
        ShapeError: the traces differ in more than the sizes of their tensors: an int was baked in that should follow
            a size, or Python code took another way. The message gives the source line.
    """
    comparison = _Comparison(graph, other, names or {})
    comparison.compare_nodes(comparison.own_nodes(), other.nodes)
    comparison.finish()
    for value, twin in zip(graph.inputs, other.inputs, strict=True):
        _merge(value, twin)
    if len(graph.outputs) != len(other.outputs):
        raise ShapeError(
            f"the module gives {len(graph.outputs)} tensors at one size and {len(other.outputs)} at another"
        )
    if graph.output_structure != other.output_structure:
        raise ShapeError(
            "a Python value that the module returns depends on a dynamic size, and an engine gives tensors alone",
            hint="return the size as a tensor: torch.tensor(x.shape[0])",
        )
    return comparison.places


@dataclass(frozen=True)
class _Relation:
    """How an int comes of another one, or of two: ``source * factor + offset``, or ``source * other``.

    Args:
        source: the axis whose size it is, or the value of a number that Python read, or a value and an axis of it.
        factor: what it is multiplied by.
        offset: what is added then.
        other: another axis.
    """

    source: Any
    factor: int = 1
    offset: int = 0
    other: Any = None


class _Comparison:
    """A graph and that of another trace, node by node."""

    def __init__(self, graph: Graph, other: Graph, names: Mapping[Axis, str]) -> None:
        self.graph, self.other, self.names = graph, other, names
        self.builder = Builder([], mark=_MARK)
        self.top = set(self.own_nodes())  # outside of blocks
        self.values: dict[_Relation, Value] = {}
        self.places: dict[Axis, Location] = {}
        self.after: list[tuple[Node | None, list[Node]]] = []  # nodes that go behind another one
        self.before: set[Node] = set()  # of these, those that were compared
        self.twins = dict(zip(graph.inputs, other.inputs, strict=True))
        self.computed: dict[tuple[Value, int], tuple[int, int]] = {}  # the first size of results of each pair

    def own_nodes(self) -> list[Node]:
        """The graph's nodes without the sizes that another comparison put there."""
        return [node for node in self.graph.nodes if not node.name.startswith(f"+{_MARK}")]

    def finish(self) -> None:
        """Put the sizes that ints follow in front of the graph."""
        for node, added in self.after:
            place = [id(one) for one in self.graph.nodes].index(id(node)) + 1
            self.graph.nodes[place:place] = added
        self.graph.nodes[:0] = self.builder.nodes

    def compare_nodes(self, nodes: list[Node], others: list[Node]) -> None:
        """Merge sizes of results; ints among operands are replaced where they follow an axis."""
        for node, twin in zip(nodes, others, strict=False):
            if (node.kind, node.overload) != (twin.kind, twin.overload):
                raise ShapeError(
                    f"Python code branches on a dynamic size: {node.kind} at one size is {twin.kind} at another",
                    location=node.location,
                    hint=_HINT,
                )
            if len(node.args) == len(twin.args):
                pairs = zip(node.args, twin.args, strict=True)
                node.args = [self._operand(operand, other, node.location) for operand, other in pairs]
            else:
                self._operand(tuple(node.args), tuple(twin.args), node.location)
            for block, other_block in zip(node.blocks, twin.blocks, strict=True):
                self.compare_nodes(block.nodes, other_block.nodes)
            if len(node.outputs) != len(twin.outputs):
                raise ShapeError(
                    f"{node.kind} gives {len(node.outputs)} tensors at one size and {len(twin.outputs)} at another",
                    location=node.location,
                    hint=_HINT,
                )
            for value, other_value in zip(node.outputs, twin.outputs, strict=True):
                self._note_sizes(value, other_value)
                _merge(value, other_value)
            if node in self.top:
                self.before.add(node)
        if len(nodes) != len(others):
            longer = nodes if len(nodes) > len(others) else others
            raise ShapeError(
                f"the number of nodes depends on a dynamic size: {len(nodes)} at one, {len(others)} at another",
                location=longer[min(len(nodes), len(others))].location,
                hint=_HINT,
            )

    def _note_sizes(self, value: Value, twin: Value) -> None:
        self.twins[value] = twin
        if value.node not in self.top:  # what a block computes is not there outside of it
            return
        for axis, pair in enumerate(zip(value.shape or (), twin.shape or (), strict=False)):
            if None not in pair and pair[0] != pair[1] and pair not in self.computed.values():
                self.computed[value, axis] = pair  # type: ignore[assignment]

    def _operand(self, operand: Operand, twin: Operand, location: Location) -> Operand:
        """The operand, with the sizes that it follows in place of ints."""
        if isinstance(operand, (list, tuple)) and isinstance(twin, (list, tuple)) and len(operand) == len(twin):
            pairs = zip(operand, twin, strict=True)
            return type(operand)(self._operand(item, other, location) for item, other in pairs)
        if isinstance(operand, Value) and isinstance(twin, Value):
            if operand.data is not None and twin.data is not None:
                _compare_data(operand.data, twin.data, location)
            return operand
        if _same(operand, twin) or (isinstance(operand, Value) and self._follows(operand, twin)):
            return operand
        sizes = self._sizes()
        found = _relations(operand, twin, sizes)
        read = _relations(operand, twin, self._reads())
        if read and not any(relation == _Relation(relation.source) for relation in found):
            return self._value(read[0], location)
        if len({self.names[relation.source] for relation in found}) == 1:
            return self._value(found[0], location)
        products = _products(operand, twin, sizes)
        if not found and products:
            return self._value(products[0], location)
        computed = [
            relation for relation in _relations(operand, twin, self.computed) if self.names and not relation.offset
        ]
        if not found and computed:
            return self._value(computed[0], location)
        places = [relation.source for relation in found]
        several = ", ".join(f"axis {axis} of {self.graph.input_names[place]!r}" for place, axis in places)
        raise ShapeError(
            f"a size was baked into the trace: {_described(operand)} at one size is {twin!r} at another",
            location=location,
            hint=f"it may follow {several}: give examples of different sizes, or one name in dynamic_shapes"
            if several
            else _HINT,
        )

    def _sizes(self) -> dict[Axis, tuple[int, int]]:
        """The sizes of the axes that ints may follow, in the graph, where they are still known, and in the other."""
        sizes = {}
        for place, (value, other) in enumerate(zip(self.graph.inputs, self.other.inputs, strict=True)):
            for axis, (size, twin) in enumerate(zip(value.shape or (), other.shape or (), strict=False)):
                if (place, axis) in self.names and size is not None and twin is not None and size != twin:
                    sizes[place, axis] = size, twin
        return sizes

    def _reads(self) -> dict[Value, tuple[int, int]]:
        """The numbers that Python read in both traces, where these differ, by what they came of."""
        graph, other = self.graph.reads, self.other.reads
        if not self.names or len(graph) != len(other):
            return {}
        pairs = ((value, (number, twin)) for (value, number), (_, twin) in zip(graph, other, strict=True))
        return {
            value: pair
            for value, pair in pairs
            if isinstance(value, Value) and value.node in self.before and pair[0] != pair[1]
        }

    def _value(self, relation: _Relation, location: Location) -> Value:
        """What computes the number that a relation gives."""
        if relation in self.values:
            return self.values[relation]
        builder, source = self.builder, relation.source
        front = builder.nodes
        inner = source if isinstance(source, Value) else source[0] if isinstance(source[0], Value) else None
        if inner is None:
            value = self._size(source)
        else:
            builder.nodes = []
            self.after.append((inner.node, builder.nodes))
            read = isinstance(source, Value)
            value = builder.call("aten::Int.Tensor", inner) if read else builder.call("aten::size.int", *source)
        if relation.other is not None:
            value = builder.call("aten::mul.int", value, self._size(relation.other))
        if relation.factor != 1:
            value = builder.call("aten::mul.int", value, relation.factor)
        if relation.offset:
            value = builder.call("aten::add.int", value, relation.offset)
        builder.nodes = front
        axes = [source, relation.other] if inner is None else list(self.names)  # which of all, is not known
        for axis in axes:
            if axis is not None:
                self.places.setdefault(axis, location)
        self.values[relation] = value
        return value

    def _size(self, axis: Axis) -> Value:
        return self.builder.call("aten::size.int", self.graph.inputs[axis[0]], axis[1])

    def _follows(self, value: Value, number: Any) -> bool:
        """Whether ``value`` was put there by another comparison, and is that number in the other trace."""
        return type(number) is int and self._at_other_sizes(value) == number

    def _at_other_sizes(self, value: Value) -> int | None:
        """A number that another comparison put in the graph, in the other trace."""
        node = value.node
        if node is None or not node.name.startswith(f"+{_MARK}"):
            return None
        if node.kind == "aten::Int":
            reads = zip(self.graph.reads, self.other.reads, strict=False)
            return next((twin for (read, _), (_, twin) in reads if read is node.args[0]), None)
        source, number = node.args[:2]
        if node.kind == "aten::size":
            twin = self.twins.get(source)
            shape = None if twin is None else twin.shape
            return None if shape is None else shape[number]
        size, by = self._at_other_sizes(source), self._at_other_sizes(number) if isinstance(number, Value) else number
        if size is None or by is None:
            return None
        return size * by if node.kind == "aten::mul" else size + by


def _relations(number: Any, twin: Any, numbers: Mapping[Any, tuple[int, int]]) -> list[_Relation]:
    """How an int, which is the second one in the other trace, may come of others, of which there are the same pairs.

    As one of them; else by adding a number, as a cache's length and its next step; else as a multiple.
    """
    if type(number) is not int or type(twin) is not int:
        return []
    same = [_Relation(source) for source, pair in numbers.items() if pair == (number, twin)]
    more = [
        _Relation(source, offset=number - one)
        for source, (one, other) in numbers.items()
        if number - one == twin - other
    ]
    times = [
        _Relation(source, factor=number // one)
        for source, (one, other) in numbers.items()
        if one > 0 and number % one == 0 and number // one * other == twin
    ]
    return same or more or times


def _products(number: Any, twin: Any, numbers: Mapping[Any, tuple[int, int]]) -> list[_Relation]:
    """How an int, which is the second one in the other trace, may be the product of two others."""
    if type(number) is not int or type(twin) is not int:
        return []
    return [
        _Relation(source, other=other)
        for (source, pair), (other, by) in itertools.combinations_with_replacement(numbers.items(), 2)
        if (pair[0] * by[0], pair[1] * by[1]) == (number, twin)
    ]


def _described(operand: Operand) -> str:
    follows = isinstance(operand, Value) and operand.node is not None and operand.node.name.startswith(f"+{_MARK}")
    return "what follows an axis" if follows else repr(operand)


def _compare_data(tensor: torch.Tensor, twin: torch.Tensor, location: Location) -> None:
    if tensor is twin:
        return
    if tensor.shape != twin.shape or tensor.dtype != twin.dtype or not _same_elements(tensor, twin):
        raise ShapeError(
            f"a tensor that depends on a dynamic size was baked into the trace: {list(tensor.shape)} at one size, "
            f"{list(twin.shape)} at another",
            location=location,
            hint=_HINT,
        )


def _same_elements(tensor: torch.Tensor, twin: torch.Tensor) -> bool:
    return torch.equal(tensor, twin) or bool(((tensor == twin) | (tensor.isnan() & twin.isnan())).all())


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    if isinstance(left, torch.Generator):  # each trace makes its own: what they draw is not for the trace to compare
        return isinstance(right, torch.Generator)
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        alike = left.shape == right.shape and left.dtype == right.dtype
        return left is right or (alike and _same_elements(left, right))
    return type(left) is type(right) and bool(left == right)


def _merge(value: Value, twin: Value) -> None:
    if value.shape is None or twin.shape is None or len(value.shape) != len(twin.shape):
        value.shape = value.strides = None
        return
    merged = tuple(size if size == other else None for size, other in zip(value.shape, twin.shape, strict=True))
    if merged != value.shape:
        value.traced = value.traced or ((value.shape, value.strides), (twin.shape, twin.strides))
        value.shape = merged
