"""Which sizes are dynamic: the difference between the traces of one module at several sizes."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..errors import Location, ShapeError
from ..graph import Graph, Node, Operand, Value

_HINT = (
    "compute the size from a tensor inside forward (x.shape, x.size()), keep it out of Python ints made elsewhere, "
    "or make this axis static"
)


def mark_dynamic(graph: Graph, other: Graph) -> None:
    """Replace every size in ``graph`` that differs in ``other`` by None.

    Args:
        graph: the trace to convert; changed in place, and marked by other traces already or not.
        other: the trace of the same module at other sizes.

    Raises:
        ShapeError: the traces differ in more than the sizes of their tensors: an int was baked in that should follow
            a size, or Python code took another way. The message gives the source line.
    """
    for value, twin in zip(graph.inputs, other.inputs, strict=True):
        _merge(value, twin)
    _compare_nodes(graph.nodes, other.nodes)
    if len(graph.outputs) != len(other.outputs):
        raise ShapeError(
            f"the module gives {len(graph.outputs)} tensors at one size and {len(other.outputs)} at another"
        )
    if graph.output_structure != other.output_structure:
        raise ShapeError(
            "a Python value that the module returns depends on a dynamic size, and an engine gives tensors alone",
            hint="return the size as a tensor: torch.tensor(x.shape[0])",
        )


def _compare_nodes(nodes: list[Node], others: list[Node]) -> None:
    for node, twin in zip(nodes, others, strict=False):
        if (node.kind, node.overload) != (twin.kind, twin.overload):
            raise ShapeError(
                f"Python code branches on a dynamic size: {node.kind} at one size is {twin.kind} at another",
                location=node.location,
                hint=_HINT,
            )
        _compare_operands(node.args, twin.args, node.location)
        for block, other_block in zip(node.blocks, twin.blocks, strict=True):
            _compare_nodes(block.nodes, other_block.nodes)
        if len(node.outputs) != len(twin.outputs):
            raise ShapeError(
                f"{node.kind} gives {len(node.outputs)} tensors at one size and {len(twin.outputs)} at another",
                location=node.location,
                hint=_HINT,
            )
        for value, other_value in zip(node.outputs, twin.outputs, strict=True):
            _merge(value, other_value)
    if len(nodes) != len(others):
        longer = nodes if len(nodes) > len(others) else others
        raise ShapeError(
            f"the number of nodes depends on a dynamic size: {len(nodes)} at one, {len(others)} at another",
            location=longer[min(len(nodes), len(others))].location,
            hint=_HINT,
        )


def _compare_operands(operand: Operand, twin: Operand, location: Location) -> None:
    if isinstance(operand, (list, tuple)) and isinstance(twin, (list, tuple)) and len(operand) == len(twin):
        for item, other in zip(operand, twin, strict=True):
            _compare_operands(item, other, location)
    elif isinstance(operand, Value) and isinstance(twin, Value):
        if operand.data is not None and twin.data is not None:
            _compare_data(operand.data, twin.data, location)
    elif not _same(operand, twin):
        raise ShapeError(
            f"a size was baked into the trace: {operand!r} at one size is {twin!r} at another",
            location=location,
            hint=_HINT,
        )


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
    return type(left) is type(right) and bool(left == right)


def _merge(value: Value, twin: Value) -> None:
    if value.shape is None or twin.shape is None or len(value.shape) != len(twin.shape):
        value.shape = value.strides = None
        return
    merged = tuple(size if size == other else None for size, other in zip(value.shape, twin.shape, strict=True))
    if merged != value.shape:
        value.traced = value.traced or ((value.shape, value.strides), (twin.shape, twin.strides))
        value.shape = merged
