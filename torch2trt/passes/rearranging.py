"""Chains of reshapes and permutations made short, also where a linear layer stands between them."""

from __future__ import annotations

import functools
import itertools

import torch

from .. import eager
from ..graph import Node, Operand, Value, aten_kinds
from .arrangement import Arrangement, Mismatch, Steps, sizes_to_reshape
from .builder import Builder
from .fold import Plan
from .rewriting import Rewriter

_PERMUTES = aten_kinds("permute transpose t mT movedim numpy_T")
_RESHAPES = aten_kinds("view reshape _unsafe_view flatten unflatten unsqueeze squeeze ravel")
_REARRANGE = "torch2trt::rearrange"
REARRANGING = _PERMUTES | _RESHAPES | {_REARRANGE}
"""Ops that give all elements of their first argument, in another order or shape."""


def merge_views(plan: Plan) -> int:
    """A chain of reshapes and permutations becomes the fewest that do the same; often one, which is one layer."""
    rewriter = Rewriter(plan)
    readers = first_readers(plan)
    count = 0
    for node in plan.nodes:
        if node.kind not in REARRANGING or len(node.outputs) != 1 or goes_on(rewriter, readers, node.outputs[0]):
            continue
        chain = _chain(rewriter, node.outputs[0])
        while chain:  # where not all of it can be one, its end and then the rest
            start = _shorten(rewriter, chain)
            count += start is not None
            chain = chain[: len(chain) - 1 if start is None else start]
    rewriter.finish()
    return count


def _shorten(rewriter: Rewriter, chain: list[Node]) -> int | None:
    """Make the end of a chain shorter, as long a one as can be; where it starts, None when there is none."""
    result = chain[-1].outputs[0]
    for start in range(len(chain) - 1):
        part = chain[start:]
        source = part[0].args[0]
        steps = _steps(rewriter, part) if isinstance(source, Value) and source.shape is not None else None
        if steps is None or len(steps) >= len(part):
            continue
        if steps:
            rewriter.substitute(part[-1], functools.partial(_make, source=source, steps=steps, result=result))
        else:
            rewriter.replace(result, source)
        return start
    return None


def _steps(rewriter: Rewriter, chain: list[Node]) -> Steps | None:
    found = _arranged(rewriter, chain)
    if found is not None:
        return found[1].steps()
    leading = sum(1 for _ in itertools.takewhile(lambda node: node.kind in _RESHAPES, chain))
    shape = chain[leading - 1].outputs[0].shape if leading else None
    if shape is None:
        return _moved_first(rewriter, chain)
    try:  # from what the leading reshapes make of it
        arrangement = Arrangement(shape)
        _follow(rewriter, chain[leading:], arrangement)
    except Mismatch:
        return None
    return arrangement.steps(anew=True)


def _moved_first(rewriter: Rewriter, chain: list[Node]) -> Steps | None:
    """Permutations and then reshapes are one op, whatever the sizes; one of them may be unknown."""
    source, shape = chain[0].args[0], chain[-1].outputs[0].shape
    leading = sum(1 for _ in itertools.takewhile(lambda node: node.kind in _PERMUTES, chain))
    rest = chain[leading:]
    if shape is None or shape.count(None) > 1 or 0 in shape or not all(node.kind in _RESHAPES for node in rest):
        return None
    order = list(range(len(source.shape)))
    for node in chain[:leading]:
        order = [order[axis] for axis in _order(rewriter, node)]
    return [("rearrange", [order, sizes_to_reshape(shape), list(range(len(shape)))])]


def views_after_linear(plan: Plan) -> int:
    """A linear layer on rearranged rows is done before they are, so that what comes after can undo it.

    nn.MultiheadAttention exchanges batch and length around its projections, GPT-2 makes one axis of them.
    """
    rewriter = Rewriter(plan)
    readers = first_readers(plan)
    count = 0
    for node in plan.nodes:
        if node.kind == "aten::linear" and goes_on(rewriter, readers, node.outputs[0]):
            count += _move_below(rewriter, node)
    rewriter.finish()
    return count


def _move_below(rewriter: Rewriter, node: Node) -> bool:
    linear, weight = rewriter.maker(node.outputs[0], "aten::linear"), rewriter.tensor(node.args[1])
    if linear is None or weight is None or weight.dim() != 2 or 1 in weight.shape:
        return False
    chain = _chain(rewriter, node.args[0]) if rewriter.uses.get(node.args[0]) == 1 else []
    found = _arranged(rewriter, chain)
    if found is None:
        return False
    source, arrangement = found
    features = arrangement.axes[-1]
    rows = [[atom for atom in axis if atom not in features] for axis in arrangement.base]
    rows = [axis for axis, held in zip(rows, arrangement.base, strict=True) if axis or not held]
    if rows == arrangement.axes[:-1] or not rows:
        return False
    wanted = [*arrangement.axes[:-1], [len(arrangement.sizes)]]
    arrangement.axes = [*rows, features]
    before = arrangement.steps()
    lead = arrangement.shape()[:-1]
    behind = Arrangement([2])
    behind.sizes, behind.base, behind.axes = [*arrangement.sizes, len(weight)], [*rows, wanted[-1]], wanted
    after = behind.steps()
    if before is None or after is None:
        return False

    def make(builder: Builder) -> None:
        x = _make(builder, source, before, shape=(*lead, weight.shape[1])) if before else source
        whole = shaped(builder, node.outputs[0], (*lead, len(weight)))
        builder.call("aten::linear", x, *node.args[1:], result=whole)
        _make(builder, whole, after, node.outputs[0])

    rewriter.substitute(node, make)
    return True


def shaped(builder: Builder, like: Value, shape: tuple[int | None, ...]) -> Value:
    """A value that no node makes yet, of the dtype of ``like`` and of sizes of its own."""
    value = builder.value(like)
    value.shape, value.strides, value.traced = shape, None, None
    return value


def _make(
    builder: Builder,
    source: Value,
    steps: Steps,
    result: Value | None = None,
    shape: tuple[int | None, ...] | None = None,
) -> Value:
    """Add the ops of an arrangement; the last one makes ``result``, or a new value of sizes ``shape``."""
    value = source
    for index, (op, arguments) in enumerate(steps):
        last = index == len(steps) - 1
        made = result if last and result is not None else builder.value(source, typed=False)
        if last and shape is not None:
            made.shape = shape
        if op == "split":
            op, arguments = "rearrange", [list(range(len(source.shape or ()))), *arguments]
        name = "torch2trt::rearrange" if op == "rearrange" else f"aten::{op}"
        builder.call(name, value, *arguments, result=made)
        value = made
    return value


def first_readers(plan: Plan) -> dict[Value, Node]:
    """For every value, one of the nodes outside of blocks that read it first."""
    readers: dict[Value, Node] = {}
    for node in plan.nodes:
        if node.args and isinstance(node.args[0], Value):
            readers.setdefault(node.args[0], node)
    return readers


def goes_on(rewriter: Rewriter, readers: dict[Value, Node], value: Value) -> bool:
    """Whether a value is read once, by a reshape or permutation."""
    reader = readers.get(value)
    return reader is not None and rewriter.uses.get(value) == 1 and _is_view(rewriter, reader)


def _is_view(rewriter: Rewriter, node: Node) -> bool:
    if len(node.outputs) != 1 or rewriter.maker(node.outputs[0], *REARRANGING) is None:
        return False
    return node.overload != "dtype"  # view(dtype) reads the bytes anew


def _chain(rewriter: Rewriter, value: Operand) -> list[Node]:
    """The reshapes and permutations that make a value, from the first; those before the last are read once."""
    chain: list[Node] = []
    while True:
        node = rewriter.maker(value, *REARRANGING)
        if node is None or not _is_view(rewriter, node) or (chain and rewriter.uses[node.outputs[0]] != 1):
            return chain[::-1]
        chain.append(node)
        value = node.args[0]


def _arranged(rewriter: Rewriter, chain: list[Node]) -> tuple[Value, Arrangement] | None:
    """What a chain starts from, and how it rearranges it."""
    source = chain[0].args[0] if chain else None
    if not isinstance(source, Value) or source.shape is None:
        return None
    try:
        arrangement = Arrangement(source.shape)
        _follow(rewriter, chain, arrangement)
    except Mismatch:
        return None
    return source, arrangement


def unarranged(rewriter: Rewriter, value: Value) -> Value:
    """What a value is made of by reshapes and permutations that undo each other; the value itself where none do."""
    found = _arranged(rewriter, _chain(rewriter, value))
    return value if found is None or found[1].steps() != [] else found[0]


def _follow(rewriter: Rewriter, chain: list[Node], arrangement: Arrangement) -> None:
    for node in chain:
        if node.outputs[0].shape is None:
            raise Mismatch
        _apply(rewriter, node, arrangement, node.outputs[0].shape)


def _apply(rewriter: Rewriter, node: Node, arrangement: Arrangement, shape: tuple[int | None, ...]) -> None:
    if node.kind in _PERMUTES:
        arrangement.permute(_order(rewriter, node))
    elif node.kind == "aten::unsqueeze":
        arrangement.insert(rewriter.known(node.args[1]) % len(shape))
    elif node.kind == "aten::squeeze":
        rank = len(arrangement.axes)
        axes = rewriter.known(node.args[1]) if len(node.args) > 1 else range(rank)
        arrangement.remove([axis % rank for axis in ([axes] if isinstance(axes, int) else axes)] if rank else [])
    elif node.kind == _REARRANGE:
        first, sizes, second = rewriter.known(node.args[1:])
        arrangement.permute(first)
        arrangement.reshape([None if size == -1 else size for size in sizes])
        arrangement.permute(second)
    else:
        arrangement.reshape(shape)
    if arrangement.shape() != list(shape):
        raise Mismatch


def _order(rewriter: Rewriter, node: Node) -> list[int]:
    """The order into which a node puts the axes: PyTorch tells it for axes of different sizes."""
    rank = len(node.args[0].shape)
    probe = torch.empty(*range(2, 2 + rank), device="meta")
    (moved,) = eager.call(node, [probe, *rewriter.known(node.args[1:])])
    return [size - 2 for size in moved.shape]
