"""Which nodes go into engines and which stay in PyTorch: as few and as large pieces as the data flow allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from . import eager, metadata, trt_compat
from .errors import Torch2TRTError
from .graph import Node, Value, operand_values
from .passes import views
from .passes.fold import Plan
from .passes.rearranging import REARRANGING
from .passes.sharing import role

Reason = Callable[[Node], str]
"""Why a node must stay in PyTorch; empty when it need not."""


@dataclass
class Segment:
    """Nodes that run together.

    Args:
        in_engine: whether they become an engine.
        nodes: in execution order.
        inputs: the tensors that come from outside, in order of first use.
        outputs: the tensors that others need.
        reasons: for nodes in PyTorch, why, by node name.
    """

    in_engine: bool
    nodes: list[Node]
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


def partition(plan: Plan, reason: Reason, min_block_size: int = 1) -> list[Segment]:
    """Split a plan into segments, in execution order.

    A node's stage is the longest chain of changes between engine and PyTorch that leads to it; nodes of one stage and
    one side run together, whether or not they are connected.

    Args:
        plan: what is left to run after folding.
        reason: why a node must stay in PyTorch.
        min_block_size: an engine of fewer nodes than this is not worth its launch; its nodes stay in PyTorch.
    """
    reasons = {node.name: text for node in plan.nodes if (text := reason(node))}
    while True:
        _move_views(plan, reasons)
        sides = _sides(plan, reasons)
        segments = _group(plan, sides)
        small = [s for s in segments if s.in_engine and _size(s) < min_block_size]
        if not small:
            break
        for segment in small:
            for node in segment.nodes:
                reasons.setdefault(node.name, f"its engine would hold fewer than {min_block_size} nodes")
    for segment in segments:
        _pull_in_sizes(segment, plan)
    _connect(segments, plan)
    for segment in segments:
        if not segment.in_engine:
            segment.reasons = {node.name: reasons[node.name] for node in segment.nodes if node.name in reasons}
    return segments


def _size(segment: Segment) -> int:
    return sum(not _is_bookkeeping(node) for node in segment.nodes)


def _is_bookkeeping(node: Node) -> bool:
    return eager.structural(node) is not None or is_size(node)


def _move_views(plan: Plan, reasons: dict[str, str]) -> None:
    """Let views beside nodes in PyTorch go there, where they cost nothing: an engine makes a copy of each."""
    for node in _read_by_pytorch(plan, reasons):
        reasons.setdefault(node.name, "PyTorch alone reads this view")
    made_in_pytorch = {value for node in plan.nodes if node.name in reasons for value in node.outputs}
    for node in plan.nodes:
        if node.kind in REARRANGING and node.args[0] in made_in_pytorch:
            reasons.setdefault(node.name, "it is a view of what PyTorch computes")
            made_in_pytorch.update(node.outputs)


def _read_by_pytorch(plan: Plan, reasons: dict[str, str]) -> set[Node]:
    """The views that nodes in PyTorch alone read; not those of the lesser part of a tensor whose rest stays behind."""
    readers: dict[Value, list[Node]] = {}
    for node in plan.nodes:
        for value in node.values():
            readers.setdefault(value, []).append(node)
    wanted = set(operand_values(plan.outputs))
    found = {node for node in plan.nodes if _shows_memory(node)}

    def is_there(node: Node) -> bool:
        return node in found or node.name in reasons

    def is_moved(node: Node) -> bool:
        read = [readers.get(value, []) for value in node.outputs]
        alone = all(is_there(reader) for each in read for reader in each) and not wanted.intersection(node.outputs)
        if not alone or not any(read):
            return False
        if node.kind == "prim::ListUnpack":
            return 2 * sum(map(bool, read)) > len(read)
        source = node.args[0]
        there = [reader for reader in readers[source] if is_there(reader)]
        if any(reader not in found for reader in there):
            return True  # the whole of it comes from the engine anyway
        return _elements(source) < 2 * sum(_elements(value) for reader in there for value in reader.outputs)

    while True:
        kept = {node for node in found if is_moved(node)}
        if kept == found:
            return found
        found = kept


def _elements(value: Value) -> float:
    """How many elements a tensor has, at dynamic axes of one; infinitely many of a list, whose items show the whole."""
    return math.inf if value.shape is None else math.prod(1 if size is None else size for size in value.shape)


def _shows_memory(node: Node) -> bool:
    """Whether a node shows memory of its argument's, as a rule, in another way, or takes such a list apart."""
    return (role(node) in ("view", "list") and node.kind not in views.SAME_OR_COPY) or node.kind == "prim::ListUnpack"


def _sides(plan: Plan, reasons: dict[str, str]) -> dict[Node, bool]:
    """Engine (True) or PyTorch for each node; a list never crosses, so who makes and who takes one go together."""
    producers = {value: node for node in plan.nodes for value in node.outputs}
    changed = True
    while changed:
        changed = False
        for node in plan.nodes:
            for value in node.values():
                producer = producers.get(value)
                if producer is None or value.dtype is not None or is_size(producer):
                    continue
                for one, other in ((node, producer), (producer, node)):
                    if one.name in reasons and other.name not in reasons:
                        reasons[other.name] = f"it exchanges a list with {one.kind}, which stays in PyTorch"
                        changed = True
    return {node: node.name not in reasons for node in plan.nodes}


def is_size(node: Node) -> bool:
    """Whether the node gives numbers computed from sizes, which each segment can compute for itself."""
    if node.kind in metadata.KINDS:
        return True
    if eager.structural(node) is not None:
        return False
    if any(value.dtype is None for value in node.outputs):
        return True
    # A trace makes tensors of sizes, and computes with these.
    return bool(node.outputs) and all(_is_number(value) for value in [*node.values(), *node.outputs])


def _is_number(value: Value) -> bool:
    return value.dtype is None or (value.dtype == torch.int64 and value.shape is not None and not value.shape)


def _group(plan: Plan, sides: dict[Node, bool]) -> list[Segment]:
    producers = {value: node for node in plan.nodes for value in node.outputs}
    stages: dict[Node, int] = {}
    groups: dict[tuple[int, bool], list[Node]] = {}
    for node in plan.nodes:
        stage = 0
        for value in node.values():
            producer = producers.get(value)
            if producer is not None:
                stage = max(stage, stages[producer] + (sides[producer] != sides[node]))
        stages[node] = stage
        groups.setdefault((stage, sides[node]), []).append(node)
    return [Segment(in_engine, nodes) for (_, in_engine), nodes in sorted(groups.items(), key=lambda item: item[0])]


def _pull_in_sizes(segment: Segment, plan: Plan) -> None:
    """Compute sizes where they are used: numbers do not cross between segments, the tensors that have them do."""
    producers = {value: node for node in plan.nodes for value in node.outputs}
    own = set(segment.nodes)
    needed: list[Node] = []
    waiting = list(segment.nodes)
    while waiting:
        node = waiting.pop()
        for value in node.values():
            producer = producers.get(value)
            if producer is not None and producer not in own and _is_number(value) and is_size(producer):
                own.add(producer)
                needed.append(producer)
                waiting.append(producer)
    if needed:
        order = {node: index for index, node in enumerate(plan.nodes)}
        segment.nodes = sorted([*needed, *segment.nodes], key=order.__getitem__)


def _connect(segments: Sequence[Segment], plan: Plan) -> None:
    wanted = set(operand_values(plan.outputs))
    made_in: dict[Value, Segment] = {}
    for segment in segments:
        own = {value for node in segment.nodes for value in node.outputs}
        for value in own:
            made_in.setdefault(value, segment)
        seen = set()
        for node in segment.nodes:
            for value in node.values():
                if value not in own and value not in plan.known and value.data is None and value not in seen:
                    seen.add(value)
                    segment.inputs.append(value)
    taken = wanted.union(*(segment.inputs for segment in segments)) if segments else wanted
    for segment in segments:
        segment.outputs = [
            value for node in segment.nodes for value in node.outputs if value in taken and made_in[value] is segment
        ]


def dtype_reason(node: Node) -> str:
    """Why a tensor that the node reads or makes cannot be in a network; empty when all can."""
    for value in [*operand_values(node.args), *node.outputs]:
        if value.dtype in (torch.int8, torch.int16):
            return f"{value.dtype} tensors are given to engines as int32"
        if value.dtype is not None and value.dtype != torch.complex64:
            try:
                trt_compat.to_trt_dtype(value.dtype)
            except Torch2TRTError as error:
                return error.message
    return ""
