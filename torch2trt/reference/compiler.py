"""From a network to a program: which layers are needed, in what order, and the function of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import EvaluationError
from . import (
    attention,
    convolution,
    detection,
    elementwise,
    fill,
    indexing,
    kernels,
    matrix,
    normalization,
    plugins,
    pooling,
    quantize,
    resize,
    shape,
)
from .control import BranchItem, Iterator, LoopItem, LoopOutput, Recurrence
from .program import Block, Expectation, Step
from .registry import LAYERS, LayerContext, Settings, TensorInfo
from .structure import BRANCH_KINDS, LOOP_KINDS, Graph, Node, Path, Regions, forward_inputs, order
from .types import carrier, dims

# Importing a family registers its layer functions.
FAMILIES = (
    attention,
    convolution,
    detection,
    elementwise,
    fill,
    indexing,
    kernels,
    matrix,
    normalization,
    plugins,
    pooling,
    quantize,
    resize,
    shape,
)


def describe(tensor: Any, settings: Settings) -> TensorInfo:
    """What the network declares about a tensor."""
    dtype = tensor.dtype
    return TensorInfo(tensor.name, dims(tensor.shape), dtype, carrier(dtype, settings.compute_dtype))


class Compiler:
    """Compiles the part of a network that the wanted slots need.

    Args:
        graph: the network, read.
        settings: how to evaluate.
        wanted: slots of the results.
    """

    def __init__(self, graph: Graph, settings: Settings, wanted: Iterable[int]) -> None:
        self._graph, self._settings, self._wanted = graph, settings, tuple(wanted)
        self._infos: dict[int, TensorInfo] = {}
        self._by_path: dict[Path, list[Node]] = {}
        self._groups: dict[int, list[Node]] = {}

    def compile(self) -> Block:
        """The program.

        Raises:
            EvaluationError: a layer type that the evaluator does not know, or a layer that TensorRT would refuse.
        """
        if not any(node.group >= 0 for node in self._graph.nodes):
            nodes = order(self._needed(None), forward_inputs, lambda node: node.outputs)
            return Block.of([self._step(node) for node in nodes], self._wanted)
        everything = order(self._graph.nodes, forward_inputs, lambda node: node.outputs)
        regions = Regions(everything, self._graph.output_slots)
        for node in self._needed(regions):
            if node.group >= 0:
                self._groups.setdefault(node.group, []).append(node)
            else:
                self._by_path.setdefault(regions.of(node), []).append(node)
        children: dict[Path, list[int]] = {}
        for group in self._groups:
            children.setdefault(regions.groups[group], []).append(group)
        return Block.of(self._items((), children), self._wanted)

    def _needed(self, regions: Regions | None) -> list[Node]:
        """Nodes that the wanted slots or an assertion depend on, in the network's order.

        A layer in a loop or branch needs all of its boundary.
        """
        needed: set[int] = set()
        grouped: dict[int, list[Node]] = {}
        for node in self._graph.nodes:
            if node.group >= 0:
                grouped.setdefault(node.group, []).append(node)
        waiting = [self._graph.producers[slot] for slot in self._wanted if slot in self._graph.producers]
        waiting += [node for node in self._graph.nodes if node.kind == "ASSERTION"]
        while waiting:
            node = waiting.pop()
            if node.index in needed:
                continue
            needed.add(node.index)
            waiting += [self._graph.producers[slot] for slot in node.inputs if slot in self._graph.producers]
            groups = {node.group} if node.group >= 0 else set()
            groups |= {group for _, group in regions.of(node)} if regions is not None else set()
            waiting += [other for group in groups for other in grouped[group] if other.index not in needed]
        return [node for node in self._graph.nodes if node.index in needed]

    def _info(self, slot: int) -> TensorInfo:
        info = self._infos.get(slot)
        if info is None:
            info = self._infos[slot] = describe(self._graph.tensors[slot], self._settings)
        return info

    def _step(self, node: Node) -> Step:
        function = LAYERS.get(node.kind)
        if function is None:
            raise EvaluationError(
                f"the evaluator does not know layer type {node.kind} (layer {node.index} {node.name!r})"
            )
        inputs = tuple(None if slot < 0 else self._info(slot) for slot in node.inputs)
        outputs = tuple(self._info(slot) for slot in node.outputs)
        context = LayerContext(node.layer, node.kind, node.name, node.index, inputs, outputs, self._settings)
        expected = tuple(Expectation(info.name, info.shape, info.held) for info in outputs)
        return Step(node.name, str(context), function(context), node.inputs, node.outputs, expected)

    def _items(self, path: Path, children: dict[Path, list[int]]) -> list[Any]:
        """The items that stand at ``path``, in order."""
        items: list[Any] = [self._step(node) for node in self._by_path.get(path, [])]
        for group in children.get(path, []):
            nodes = self._groups[group]
            if nodes[0].kind in LOOP_KINDS:
                items.append(self._loop(group, nodes, self._items((*path, ("loop", group)), children)))
            elif nodes[0].kind in BRANCH_KINDS:
                then, other = (self._items((*path, (side, group)), children) for side in ("then", "else"))
                items.append(self._branch(nodes, then, other))
        return order(items, lambda item: item.reads, lambda item: item.writes)

    def _loop(self, group: int, nodes: list[Node], body: list[Any]) -> LoopItem:
        count = condition = -1
        recurrences, iterators, outputs = [], [], []
        for node in nodes:
            if node.kind == "TRIP_LIMIT" and node.layer.kind.name == "COUNT":
                count = node.inputs[0]
            elif node.kind == "TRIP_LIMIT":
                condition = node.inputs[0]
            elif node.kind == "RECURRENCE":
                if len(node.inputs) != 2 or node.inputs[1] < 0:
                    raise EvaluationError(f"layer {node.index} {node.name!r} (RECURRENCE): next value is not set")
                recurrences.append(Recurrence(node.inputs[0], node.inputs[1], node.outputs[0]))
            elif node.kind == "ITERATOR":
                iterators.append(Iterator(node.inputs[0], node.outputs[0], node.layer.axis, node.layer.reverse))
            else:
                length = node.inputs[1] if len(node.inputs) > 1 else -1
                kind = node.layer.kind.name
                outputs.append(
                    LoopOutput(node.inputs[0], length, node.outputs[0], kind, node.layer.axis, self._expect(node))
                )
        kept = {r.following for r in recurrences} | {o.value for o in outputs} | {condition} | set(self._wanted)
        first, rest = _split(body, condition)
        kept |= {slot for item in rest for slot in item.reads}
        name = nodes[0].layer.loop.name or f"#{group}"
        return LoopItem(
            name,
            Block.of(first, kept),
            Block.of(rest, kept),
            count,
            condition,
            tuple(recurrences),
            tuple(iterators),
            tuple(outputs),
        )

    def _expect(self, node: Node) -> Expectation:
        info = self._info(node.outputs[0])
        return Expectation(info.name, info.shape, info.held)

    def _branch(self, nodes: list[Node], then: list[Any], other: list[Any]) -> BranchItem:
        condition = -1
        outputs = []
        for node in nodes:
            if node.kind == "CONDITION":
                condition = node.inputs[0]
            else:
                outputs.append((node.inputs[0], node.inputs[1], node.outputs[0]))
        kept = {slot for pair in outputs for slot in pair} | set(self._wanted)
        name = nodes[0].layer.conditional.name or nodes[0].name
        return BranchItem(name, condition, (Block.of(then, kept), Block.of(other, kept)), tuple(outputs))


def _split(items: list[Any], condition: int) -> tuple[list[Any], list[Any]]:
    """A loop's body in two: what the ``while`` condition needs, and the rest; both in order."""
    needed = {condition}
    first = []
    for item in reversed(items):
        if item.writes & needed:
            needed |= item.reads
            first.append(item)
    chosen = {id(item) for item in first}
    return first[::-1], [item for item in items if id(item) not in chosen]
