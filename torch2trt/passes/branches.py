"""The order in which the branches of a sum are computed."""

from __future__ import annotations

import torch

from ..graph import Value
from .fold import Plan
from .rewriting import is_pure

_MOST_NODES = 100
"""Of a branch that is looked at: a sum of what lies farther apart is no block of a network."""


def short_branches_first(plan: Plan) -> int:
    """Of the two branches of a float32 sum, the one of fewer convolutions is computed first.

    TensorRT for RTX 1.4 joins a sum with the convolution that comes last in the network. Where that is in the shorter
    branch, as beside a ResNet's bottleneck, the joint kernel reads the other branch's result before it is complete,
    unless the GPU waits for the host between the two.
    """
    branches = _Branches(plan)
    order = [float(place) for place in range(len(plan.nodes))]
    count = 0
    for node in plan.nodes:
        if node.kind != "aten::add" or node.outputs[0].dtype != torch.float32:
            continue
        first, last = sorted(branches.place(operand) for operand in node.args[:2])
        short = branches.since(first, last)
        if short is None or not (fewer := branches.convolutions(short)):
            continue
        start = branches.start(short)
        is_shorter = start < first and fewer < branches.convolutions(branches.since(start, first))
        if is_shorter and all(is_pure(plan, plan.nodes[place]) for place in short):
            for place in short:
                order[place] = min(order[place], start + 0.5)
            count += 1
    plan.nodes = [plan.nodes[place] for place in sorted(range(len(order)), key=order.__getitem__)]
    return count


class _Branches:
    """What the nodes of a plan need, by their places in it."""

    def __init__(self, plan: Plan) -> None:
        self._nodes = plan.nodes
        self._places = {value: place for place, node in enumerate(plan.nodes) for value in node.outputs}
        self._sources = [[self.place(value) for value in node.values()] for node in plan.nodes]

    def place(self, operand: object) -> int:
        """Where a value is made; -1 if no node makes it."""
        return self._places.get(operand, -1) if isinstance(operand, Value) else -1

    def since(self, first: int, last: int) -> set[int] | None:
        """The node ``last`` and those behind ``first`` that it needs; None if these are too many."""
        found: set[int] = set()
        waiting = [last]
        while waiting:
            place = waiting.pop()
            if place > first and place not in found:
                if len(found) == _MOST_NODES:
                    return None
                found.add(place)
                waiting.extend(self._sources[place])
        return found

    def start(self, branch: set[int]) -> int:
        """The last place that a branch needs outside of it."""
        return max((source for place in branch for source in self._sources[place] if source not in branch), default=-1)

    def convolutions(self, branch: set[int] | None) -> float:
        """How many there are; many in a branch that is too long."""
        if branch is None:
            return float("inf")
        return sum(self._nodes[place].kind == "aten::_convolution" for place in branch)
