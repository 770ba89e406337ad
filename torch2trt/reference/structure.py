"""A network as the evaluator sees it: nodes, slots, and the loop or branch that each layer belongs to.

TensorRT keeps one flat list of layers; loops and conditionals show only at their boundary layers. Which layers form a
body is worked out from who uses their results: a layer belongs where all its uses are. That makes the branches of a
conditional lazy, as IIfConditional promises, and leaves every other layer outside.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..errors import EvaluationError
from ..trt_compat import downcast

LOOP_KINDS = ("TRIP_LIMIT", "RECURRENCE", "ITERATOR", "LOOP_OUTPUT")
BRANCH_KINDS = ("CONDITION", "CONDITIONAL_OUTPUT")

Region = tuple[str, int]
Path = tuple[Region, ...]


@dataclass
class Node:
    """One layer: what it reads and writes, as slots; -1 for an optional input that is not set.

    ``group`` numbers the loop or conditional whose boundary the layer is, -1 for other layers.
    """

    index: int
    kind: str
    name: str
    layer: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    group: int = -1


@dataclass
class Graph:
    """All nodes of a network and the tensor of each slot."""

    nodes: list[Node] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)
    producers: dict[int, Node] = field(default_factory=dict)
    input_slots: list[int] = field(default_factory=list)
    output_slots: list[int] = field(default_factory=list)


class _Numbering:
    """Numbers the objects of a network by identity; pybind11 gives one wrapper per object while one is alive."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def number(self, value: Any) -> int:
        key = id(value)
        if key not in self._numbers:
            self._numbers[key] = len(self.objects)
            self.objects.append(value)
        return self._numbers[key]


def read_network(network: Any) -> Graph:
    """Every layer of ``network``, downcast, with its tensors numbered."""
    slots, groups = _Numbering(), _Numbering()
    graph = Graph(tensors=slots.objects)
    graph.input_slots = [slots.number(network.get_input(i)) for i in range(network.num_inputs)]
    for index in range(network.num_layers):
        plain = network.get_layer(index)
        inputs = [plain.get_input(i) for i in range(plain.num_inputs)]
        outputs = [plain.get_output(i) for i in range(plain.num_outputs)]
        kind, layer = downcast(plain)
        group = -1
        if kind in LOOP_KINDS:
            group = groups.number(layer.loop)
        elif kind in BRANCH_KINDS:
            group = groups.number(layer.conditional)
        node = Node(
            index,
            kind,
            layer.name,
            layer,
            tuple(-1 if tensor is None else slots.number(tensor) for tensor in inputs),
            tuple(slots.number(tensor) for tensor in outputs),
            group,
        )
        graph.nodes.append(node)
        graph.producers.update(dict.fromkeys(node.outputs, node))
    graph.output_slots = [slots.number(network.get_output(i)) for i in range(network.num_outputs)]
    return graph


def forward_inputs(node: Node) -> tuple[int, ...]:
    """What must be computed before ``node``: a recurrence's next value is computed after it."""
    return node.inputs[:1] if node.kind == "RECURRENCE" else node.inputs


def order(items: list[Any], reads: Callable[[Any], Iterable[int]], writes: Callable[[Any], Iterable[int]]) -> list[Any]:
    """``items`` so that each comes after those whose slots it reads; otherwise in the order given.

    Raises:
        EvaluationError: they read each other in a circle.
    """
    makers = {slot: i for i, item in enumerate(items) for slot in writes(item)}
    waiting = []
    users: list[list[int]] = [[] for _ in items]
    for i, item in enumerate(items):
        needed = {makers[slot] for slot in reads(item) if slot in makers}
        waiting.append(len(needed))
        for maker in needed:
            users[maker].append(i)
    ready = [i for i, count in enumerate(waiting) if not count]
    result = []
    while ready:
        i = heapq.heappop(ready)
        result.append(items[i])
        for user in users[i]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, user)
    if len(result) != len(items):
        stuck = next(item for i, item in enumerate(items) if waiting[i])
        raise EvaluationError(f"the network has a cycle through {getattr(stuck, 'name', stuck)!r}")
    return result


def _meet(first: Path | None, second: Path) -> Path:
    """The longest path that both lie within; None stands for no use yet."""
    if first is None:
        return second
    length = 0
    while length < min(len(first), len(second)) and first[length] == second[length]:
        length += 1
    return first[:length]


def _use(node: Node, position: int, own: Path) -> Path:
    """Where ``node`` uses its input at ``position``, given where the node itself (a boundary: its group) stands."""
    inside = (*own, ("loop", node.group))
    if node.kind == "RECURRENCE":
        return inside if position else own
    if node.kind == "TRIP_LIMIT":
        return inside if node.layer.kind.name == "WHILE" else own
    if node.kind == "LOOP_OUTPUT":
        return own if position else inside
    if node.kind == "CONDITIONAL_OUTPUT":
        return (*own, ("else" if position else "then", node.group))
    return own


class Regions:
    """The path of loops and branches around each node, and around each loop and conditional.

    Args:
        nodes: in topological order.
        roots: slots that are used outside every loop and branch: the network's outputs.
    """

    def __init__(self, nodes: list[Node], roots: Iterable[int]) -> None:
        self.groups: dict[int, Path] = {}
        self._uses: dict[int, Path | None] = dict.fromkeys(roots, ())
        self._paths: dict[int, Path] = {}
        self._unused: set[int] = set()
        while self._sweep(nodes):
            pass
        self._place_unused(nodes)
        while self._sweep(nodes):  # what they use beside others stands outside of what both stand in
            pass

    def of(self, node: Node) -> Path:
        """Where a node stands; a boundary layer stands where its loop or conditional does."""
        return self._paths[node.index]

    def _known(self, node: Node) -> Path | None:
        """Where ``node`` stands as far as its uses tell so far."""
        if node.index in self._unused:
            return self._paths[node.index]
        if node.group >= 0:
            return self.groups.get(node.group)
        path: Path | None = None
        for slot in node.outputs:
            use = self._uses.get(slot)
            if use is not None:
                path = _meet(path, use)
        return path

    def _sweep(self, nodes: list[Node]) -> bool:
        """One pass from the end; whether anything changed."""
        changed = False
        for node in reversed(nodes):
            if node.kind in ("LOOP_OUTPUT", "CONDITIONAL_OUTPUT"):
                for slot in node.outputs:
                    use = self._uses.get(slot)
                    if use is not None:
                        self.groups[node.group] = _meet(self.groups.get(node.group), use)
            own = self._known(node)
            if own is None or node.kind == "ASSERTION":
                continue
            self._paths[node.index] = own
            for position, slot in enumerate(node.inputs):
                use = _meet(self._uses.get(slot), _use(node, position, own))
                if slot >= 0 and use != self._uses.get(slot):
                    self._uses[slot] = use
                    changed = True
        return changed

    def _place_unused(self, nodes: list[Node]) -> None:
        """Layers that no output needs, such as assertions, stand as far outside as their inputs can be made."""
        made: dict[int, Path] = {}
        for node in nodes:
            path = max((made.get(slot, ()) for slot in node.inputs), key=len, default=())
            if node.group >= 0:
                path = self.groups.setdefault(node.group, path)
            if node.index not in self._paths:
                self._paths[node.index] = path
                self._unused.add(node.index)
            inner = node.kind in ("RECURRENCE", "ITERATOR")
            made.update(dict.fromkeys(node.outputs, (*path, ("loop", node.group)) if inner else path))
