"""The order in which the branches of a sum are computed."""

from __future__ import annotations

import torch

from ..graph import Node, Value
from .fold import Plan
from .rewriting import may_change


def short_branches_first(plan: Plan) -> int:
    """A float32 convolution that is added to what has been computed since its input was there, is computed before that.

    TensorRT for RTX 1.4 joins a sum with the convolution that comes last in the network. Where that is the shorter
    branch, as the one beside a ResNet's bottleneck, the joint kernel reads the other branch's result before it is
    complete, unless the GPU waits for the host between the two.
    """
    places = {value: index for index, node in enumerate(plan.nodes) for value in node.outputs}
    moved: dict[Node, float] = {}
    for node in plan.nodes:
        if node.kind != "aten::add" or node.outputs[0].dtype != torch.float32:
            continue
        for value, other in (node.args[:2], node.args[1::-1]):
            conv = plan.nodes[places[value]] if isinstance(value, Value) and value in places else None
            if conv is None or conv.kind != "aten::_convolution" or not isinstance(other, Value):
                continue
            ready = max((places.get(operand, -1) for operand in conv.values()), default=-1)
            if ready < places.get(other, -1) < places[value] and may_change(plan, conv):
                moved[conv] = ready + 0.5
    order = {node: float(index) for index, node in enumerate(plan.nodes)} | moved
    plan.nodes.sort(key=order.__getitem__)
    return len(moved)
