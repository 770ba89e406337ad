"""Axes that squeeze keeps in a network, and PyTorch drops where their size is 1."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from ..graph import Graph, Node, Value, walk_nodes

_KINDS = frozenset({"aten::squeeze", "aten::squeeze_", "aten::squeeze_copy"})


def warn_of_squeezes(graph: Graph) -> None:
    """Warn of squeezed axes whose size may be 1 or another one: the network's rank cannot follow PyTorch's.

    Args:
        graph: with its ranges, and its dynamic sizes marked.
    """
    may_be_one = {
        sizes
        for name, value in zip(graph.input_names, graph.inputs, strict=True)
        for axis, sizes in _dynamic_axes(value)
        if axis in graph.ranges.get(name, {}) and graph.ranges[name][axis].min <= 1
    }
    for node in walk_nodes(graph.nodes):
        if node.kind in _KINDS and isinstance(node.args[0], Value):
            axes = [axis for axis, sizes in _dynamic_axes(node.args[0]) if 1 in sizes or sizes in may_be_one]
            kept = [axis for axis in axes if _squeezes(node, axis)]
            if kept:
                warnings.warn(
                    f"squeeze keeps axis {', '.join(map(str, kept))}, which PyTorch drops where its size is 1; name "
                    f"the axes to squeeze, or let the range begin at 2 ({node.location})",
                    stacklevel=3,
                )


def _dynamic_axes(value: Value) -> Iterator[tuple[int, tuple[int, int]]]:
    """The axes that have two sizes in two traces, with these."""
    if value.traced is not None:
        (shape, _), (other, _) = value.traced
        yield from ((axis, pair) for axis, pair in enumerate(zip(shape, other, strict=True)) if pair[0] != pair[1])


def _squeezes(node: Node, axis: int) -> bool:
    value, *rest = node.args
    if not rest:
        return True
    rank = len(value.traced[0][0]) if isinstance(value, Value) and value.traced is not None else 0
    named = rest[0] if isinstance(rest[0], (list, tuple)) else [rest[0]]
    return axis in [place % rank for place in named if isinstance(place, int)]
