"""The equal parts of a linear layer's result, as queries, keys and values, brought apart at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from ..graph import Node, Operand, Value
from .builder import Builder
from .concatenations import part_of
from .fold import Plan
from .rearranging import first_readers, goes_on, unarranged
from .rewriting import Rewriter

_FEWEST = 3
_PARTING = ("aten::slice", "aten::select", "prim::ListUnpack")


@dataclass(frozen=True)
class _Part:
    """One of ``count`` equal parts of a linear layer's features, split into ``sizes`` and its axes put in ``order``."""

    source: Value
    index: int
    count: int
    sizes: tuple[int, ...]
    order: tuple[int, ...]


def parts_of_linear(plan: Plan) -> int:
    """Equal parts of a linear layer's features, which views rearrange, are taken of one transposed result.

    TensorRT for RTX 1.4 then makes all of them in one kernel and adds the bias in the product's. Of slices, and of a
    permutation that brings the parts before the heads, it makes a kernel each, which add the bias: an attention with
    its projections took 5 % longer (H200).
    """
    rewriter = Rewriter(plan)
    readers = first_readers(plan)
    found: dict[Value, dict[Value, _Part]] = {}
    takers: dict[Value, list[Node]] = {}
    for node in plan.nodes:
        for value in node.outputs if node.kind in _PARTING else ():
            part = _cut(rewriter, value) if goes_on(rewriter, readers, value) else None
            part = part or _before_heads(rewriter, node, value)
            if part is not None and rewriter.maker(part.source, "aten::linear") is not None:
                found.setdefault(part.source, {})[value] = part
                takers.setdefault(part.source, []).append(node)
    count = 0
    for source, parts in found.items():
        nodes = list(dict.fromkeys(takers[source]))
        if _are_whole(list(parts.values())) and all(value in parts for node in nodes for value in node.outputs):
            _take_at_once(rewriter, source, nodes, parts)
            count += 1
    rewriter.finish()
    return count


def _are_whole(parts: list[_Part]) -> bool:
    counts = {part.count for part in parts}
    return counts == {len(parts)} and len(parts) >= _FEWEST and {part.index for part in parts} == set(range(len(parts)))


def _cut(rewriter: Rewriter, value: Value) -> _Part | None:
    """What a slice or a split takes of the features."""
    part = part_of(rewriter, value)
    if part is None or part.source.shape is None or part.axis != len(part.source.shape) - 1:
        return None
    size, width = part.source.shape[-1] or 0, part.end - part.start
    if size % width or part.start % width:
        return None
    return _Part(unarranged(rewriter, part.source), part.start // width, size // width, (), ())


def _before_heads(rewriter: Rewriter, node: Node, value: Value) -> _Part | None:
    """One of the first axis of ``features.reshape(..., count, heads, width).permute(-3, ...)``."""
    taken = _taken_of_first(rewriter, node, value)
    if taken is None:
        return None
    turned, index = taken
    permute = rewriter.maker(turned, "aten::permute")
    split = None if permute is None else rewriter.maker(permute.args[0], "aten::reshape", "aten::view")
    if permute is None or split is None or not isinstance(split.args[0], Value):
        return None
    source, shape, order = split.args[0], split.outputs[0].shape, rewriter.known(permute.args[1])
    if source.shape is None or shape is None or rewriter.uses.get(split.outputs[0]) != 1:
        return None
    lead = len(source.shape) - 1
    count, *sizes = shape[lead:]
    if shape[:lead] != source.shape[:lead] or count is None or None in sizes or order[0] % len(shape) != lead:
        return None
    known = [size for size in sizes if size is not None]
    if count * math.prod(known) != source.shape[-1]:
        return None
    axes = [axis % len(shape) for axis in order[1:]]
    return _Part(source, index, count, tuple(known), tuple(axis - (axis > lead) for axis in axes))


def _taken_of_first(rewriter: Rewriter, node: Node, value: Value) -> tuple[Operand, int] | None:
    """The tensor and the index, where ``value`` is one of the entries of its first axis."""
    if node.kind == "aten::select":
        source, axis, index = node.args[0], rewriter.number(node.args[1]), rewriter.number(node.args[2])
        return (source, int(index)) if axis == 0 and index is not None and index >= 0 else None
    unbind = rewriter.maker(node.args[0], "aten::unbind") if node.kind == "prim::ListUnpack" else None
    if unbind is None or rewriter.number(unbind.args[1]) != 0:
        return None
    return unbind.args[0], node.outputs.index(value)


def _take_at_once(rewriter: Rewriter, source: Value, nodes: list[Node], parts: dict[Value, _Part]) -> None:
    stacked: list[Value] = []

    def make(builder: Builder, node: Node) -> None:
        if not stacked:
            stacked.append(_stack(builder, source, len(parts)))
        for value in node.outputs:
            _take(builder, stacked[0], parts[value], value)

    for node in nodes:
        rewriter.substitute(node, partial(make, node=node))


def _stack(builder: Builder, source: Value, count: int) -> Value:
    """``(..., count * width)`` as ``(count, ..., width)``."""
    *lead, size = source.shape or ()
    width, rank = (size or 0) // count, len(lead)
    apart = _typed(builder, source, (*lead, count, width))
    builder.call("aten::unflatten.int", source, -1, [count, width], result=apart)
    stacked = _typed(builder, source, (count, *lead, width))
    return builder.call("aten::permute", apart, [rank, *range(rank), rank + 1], result=stacked)


def _take(builder: Builder, stacked: Value, part: _Part, result: Value) -> None:
    if not part.sizes:
        builder.call("aten::select.int", stacked, 0, part.index, result=result)
        return
    *lead, width = (stacked.shape or ())[1:]
    taken = _typed(builder, stacked, (*lead, width))
    builder.call("aten::select.int", stacked, 0, part.index, result=taken)
    split = _typed(builder, stacked, (*lead, *part.sizes))
    builder.call("aten::unflatten.int", taken, -1, list(part.sizes), result=split)
    builder.call("aten::permute", split, list(part.order), result=result)


def _typed(builder: Builder, like: Value, shape: tuple[int | None, ...]) -> Value:
    value = builder.value(like, typed=False)
    value.shape = shape
    return value
