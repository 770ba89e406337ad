"""Python numbers among a module's results, which the tracer makes 0-d tensors of."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import torch

from .. import eager
from ..graph import Graph, Operand, Value, aten_kinds
from ..structure import Structure

_ARITHMETIC = aten_kinds("add sub rsub mul floor_divide remainder neg")


def return_numbers(graph: Graph) -> None:
    """Make constants of the results that eager gives as ints: sizes, and what Python computes from sizes.

    Args:
        graph: the sizes that are known in it are the same at every call; changed in place.
    """
    found = [_number(output) for output in graph.outputs]
    if all(number is None for number in found):
        return
    graph.output_structure = _with_constants(graph.output_structure, iter(found))
    graph.outputs = [output for output, number in zip(graph.outputs, found, strict=True) if number is None]


def _number(operand: Operand) -> int | None:
    """The int that a value is in eager; None when it is a tensor there, or not known."""
    if type(operand) is int:
        return operand
    if not isinstance(operand, Value) or operand.node is None:
        return None
    node = operand.node
    if node.kind == "prim::NumToTensor":
        return _number(node.args[0])
    if node.kind == "aten::size" and len(node.args) == 2 and isinstance(node.args[0], Value):
        shape, axis = node.args[0].shape, node.args[1]
        return None if shape is None or type(axis) is not int else shape[axis]
    if node.kind == "aten::numel" and isinstance(node.args[0], Value):
        sizes = [size for size in node.args[0].shape or () if size is not None]
        return math.prod(sizes) if node.args[0].shape is not None and len(sizes) == len(node.args[0].shape) else None
    if node.kind not in _ARITHMETIC or operand.dtype != torch.int64:
        return None
    numbers = [_number(argument) for argument in node.args]
    if any(number is None for number in numbers):
        return None
    tensors = [
        torch.tensor(number) if isinstance(argument, Value) else number
        for argument, number in zip(node.args, numbers, strict=True)
    ]
    (result,) = eager.call(node, tensors)
    return int(result)


def _with_constants(structure: Structure, numbers: Iterator[Any]) -> Structure:
    if structure.kind == "leaf":
        number = next(numbers)
        return structure if number is None else Structure("constant", value=number)
    children = tuple(_with_constants(child, numbers) for child in structure.children)
    return dataclasses.replace(structure, children=children)
