"""Concatenations and slices that undo each other."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import torch

from ..graph import Node, Operand, Value
from ..weights import derive
from .builder import Builder
from .fold import Plan
from .rewriting import Rewriter, constant


@dataclass(frozen=True)
class Part:
    """The elements ``start`` to ``end`` of a value along one axis."""

    source: Value
    axis: int
    start: int
    end: int


def join_parts(plan: Plan) -> int:
    """A concatenation of what was cut from one tensor is that tensor, a part of it, or it rolled along."""
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        found = _joined(rewriter, node) if node.kind == "aten::cat" else None
        if found is None:
            continue
        parts, size = found
        source, axis, result = parts[0].source, parts[0].axis, node.outputs[0]
        if parts[0].start == 0 and parts[-1].end == size and source.dtype == result.dtype:
            rewriter.replace(result, source)
        elif parts[0].start < parts[-1].end:
            rewriter.call(node, "aten::slice.Tensor", source, axis, parts[0].start, parts[-1].end, 1)
        else:
            rewriter.call(node, "aten::roll", source, [-parts[0].start], [axis])
        count += 1
    rewriter.finish()
    return count


def _joined(rewriter: Rewriter, node: Node) -> tuple[list[Part], int] | None:
    """The parts that a concatenation puts together, each going on where the one before ends, maybe from the start."""
    if rewriter.maker(node.outputs[0], "aten::cat") is None or not isinstance(node.args[0], list):
        return None
    parts = [part_of(rewriter, operand) for operand in node.args[0]]
    rank = len(node.outputs[0].shape or ())
    axis = rewriter.number(node.args[1])
    if len(parts) < 2 or axis is None or not rank:
        return None
    first = parts[0]
    known = [part for part in parts if part is not None]
    if first is None or len(known) != len(parts) or first.axis != axis % rank:
        return None
    size = (first.source.shape or ())[first.axis]
    same = all(part.source is first.source and part.axis == first.axis for part in known)
    if not same or size is None:
        return None
    wraps = 0
    for before, after in itertools.pairwise(known):
        if before.end == after.start:
            continue
        if before.end != size or after.start != 0:
            return None
        wraps += 1
    whole = sum(part.end - part.start for part in known) == size
    return (known, size) if wraps == 0 or (wraps == 1 and whole and first.start == known[-1].end) else None


def part_of(rewriter: Rewriter, value: Operand) -> Part | None:
    """What a slice or a split takes of a value along an axis of known size; it takes something."""
    node = rewriter.maker(value, "aten::slice", "prim::ListUnpack") or _unpacking(rewriter, value)
    if node is None or not isinstance(value, Value):
        return None
    if node.kind == "prim::ListUnpack":
        return _split_part(rewriter, node, value)
    source, axis, start, end, step = (rewriter.known(operand) for operand in node.args)
    if not isinstance(source, Value) or not source.shape or step != 1 or not isinstance(axis, int):
        return None
    axis %= len(source.shape)
    size = source.shape[axis]
    if size is None or not all(bound is None or isinstance(bound, int) for bound in (start, end)):
        return None
    first, last, _ = slice(start, end).indices(size)
    return Part(source, axis, first, last) if first < last else None


def _unpacking(rewriter: Rewriter, value: Operand) -> Node | None:
    node = value.node if isinstance(value, Value) else None
    return node if node is not None and node.kind == "prim::ListUnpack" else None


_SPLITS = ("aten::split", "aten::split_with_sizes", "aten::chunk", "aten::unsafe_split", "aten::unsafe_chunk")


def _split_part(rewriter: Rewriter, node: Node, value: Value) -> Part | None:
    split = rewriter.maker(node.args[0], *_SPLITS)
    if split is None or not isinstance(split.args[0], Value):
        return None
    source, axis = split.args[0], rewriter.known(split.args[2])
    sizes = [(piece.shape or ())[axis] if piece.shape else None for piece in node.outputs]
    if not source.shape or None in sizes or any(not size for size in sizes):
        return None
    axis %= len(source.shape)
    if source.shape[axis] != sum(size or 0 for size in sizes):
        return None
    index = node.outputs.index(value)
    start = sum(size or 0 for size in sizes[:index])
    return Part(source, axis, start, start + (sizes[index] or 0))


def parts_of_joined(plan: Plan) -> int:
    """A part of a concatenation that is one of the tensors it was made of."""
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        if node.kind not in ("aten::slice", "prim::ListUnpack"):
            continue
        for value in node.outputs:
            found = _taken(rewriter, value)
            if found is not None:
                rewriter.replace(value, found)
                count += 1
    rewriter.finish()
    return count


def _taken(rewriter: Rewriter, value: Value) -> Value | None:
    part = part_of(rewriter, value)
    joined = None if part is None else rewriter.maker(part.source, "aten::cat")
    if part is None or joined is None or not isinstance(joined.args[0], list):
        return None
    place = 0
    if (rewriter.known(joined.args[1]) % len(part.source.shape or (0,))) != part.axis:
        return None
    for operand in joined.args[0]:
        shape = operand.shape if isinstance(operand, Value) else None
        size = shape[part.axis] if shape is not None and len(shape) > part.axis else None
        if size is None:
            return None
        if (place, place + size) == (part.start, part.end):
            return operand if operand.dtype == value.dtype and operand.shape == value.shape else None
        place += size
    return None


def signs_into_constants(plan: Plan) -> int:
    """``cat([-b, a]) * c`` by a known c is ``cat([b, a])`` by another one, as in rotary embeddings."""
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        found = _signed(rewriter, node) if node.kind == "aten::mul" else None
        if found is not None:
            operand = constant(f"{node.name}.factor", found.factor)
            rewriter.substitute(node, functools.partial(_multiply, found=found, factor=operand, result=node.outputs[0]))
            count += 1
    rewriter.finish()
    return count


@dataclass(frozen=True)
class _Signed:
    """A concatenation of operands of which some were negated, and the factor that takes their signs."""

    joined: Node
    operands: list[Operand]
    factor: torch.Tensor


def _multiply(builder: Builder, found: _Signed, factor: Value, result: Value) -> None:
    plain = builder.repeat(found.joined, [found.operands, *found.joined.args[1:]], like=found.joined.outputs[0])
    builder.call("aten::mul.Tensor", plain, factor, result=result)


def _signed(rewriter: Rewriter, node: Node) -> _Signed | None:
    if rewriter.maker(node.outputs[0], "aten::mul") is None:
        return None
    for value, factor in (node.args[:2], node.args[1::-1]):
        joined, tensor = rewriter.maker(value, "aten::cat"), rewriter.tensor(factor)
        if joined is None or tensor is None or not isinstance(joined.args[0], list) or rewriter.uses.get(value) != 1:
            continue
        shape = joined.outputs[0].shape
        rank = len(shape or ())
        last = rewriter.number(joined.args[1]) in (-1, rank - 1)
        if not last or not shape or not tensor.dim() or tensor.shape[-1] != shape[-1] or tensor.dim() > rank:
            continue
        negated = [rewriter.maker(operand, "aten::neg") for operand in joined.args[0]]
        sizes = [(operand.shape or (None,))[-1] for operand in joined.args[0]]
        floats = tensor.is_floating_point() and tensor.dtype == joined.outputs[0].dtype
        if not any(negated) or None in sizes or not floats:
            continue
        signs = [-1.0 if each is not None else 1.0 for each in negated]
        operands = [
            operand if each is None else each.args[0] for operand, each in zip(joined.args[0], negated, strict=True)
        ]
        return _Signed(joined, operands, derive(_with_signs, tensor, signs, sizes))
    return None


def _with_signs(tensor: torch.Tensor, signs: list[float], sizes: list[int]) -> torch.Tensor:
    return tensor * torch.cat([tensor.new_full((size,), sign) for sign, size in zip(signs, sizes, strict=True)])
