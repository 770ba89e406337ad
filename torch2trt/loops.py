"""Loops: unrolled where the number of iterations is known, else layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from . import emit
from .containers import Containers, changes_container, unify_all
from .context import current, current_network, has_trt_tensor
from .emit.control import Loop, scalar
from .errors import UnsupportedArgumentError
from .graph import Block, Node, Operand, Value, operand_values, walk_nodes
from .passes.fold import ENDLESS, MOST_UNROLLED
from .trt_compat import is_tensor

if TYPE_CHECKING:
    from .core import Runner


def run_loop(runner: Runner, node: Node, args: list[Any]) -> list[Any]:
    """The results of a ``prim::Loop``.

    Raises:
        UnsupportedArgumentError: the number of iterations is known at run time only, and what the loop carries changes
            its dtype or shape.
    """
    count, condition, *carried = args
    iteration = node.attributes.get("start", 0)
    if _is_too_long(node, count, iteration):
        return _emit_loop(runner, node, iteration, count, condition, carried)
    while not has_trt_tensor([count, condition]) and condition and iteration < count:
        condition, *carried = runner.run_block(node.blocks[0], [iteration, *carried])
        iteration += 1
    if has_trt_tensor([count, condition]) and (has_trt_tensor(condition) or condition):
        return _emit_loop(runner, node, iteration, count, condition, carried)
    return carried


def _is_too_long(node: Node, count: Any, start: int) -> bool:
    """Whether a loop would make too many layers when unrolled; one whose condition ends it is tried."""
    if current_network() is None or has_trt_tensor(count) or count == ENDLESS:
        return False
    return (count - start) * sum(1 for _ in walk_nodes(node.blocks[0].nodes)) > MOST_UNROLLED


def holds_number(value: Any) -> bool:
    """Whether a value can be a tensor of the network."""
    return isinstance(value, (bool, int, float, torch.Tensor)) or is_tensor(value)


@dataclass
class _Slot:
    """One carried value.

    Args:
        initial: what it is before the loop.
        entry: what it is in the body.
        carried: whether it may be another value after an iteration.
        axis: for a tensor that every iteration only concatenates to, along which axis.
    """

    initial: Any
    entry: Any = None
    carried: bool = False
    axis: int | None = None


class _Carried:
    """A tensor that a loop carries, in the place of its value.

    Args:
        recurrence: its layer.
    """

    def __init__(self, recurrence: Any) -> None:
        self.recurrence = recurrence


def _map_leaves(value: Any, function: Callable[[Any], Any]) -> Any:
    """``value`` with what is in its lists, tuples and dicts replaced by ``function`` of it."""
    if isinstance(value, (list, tuple)):
        return type(value)(_map_leaves(item, function) for item in value)
    if isinstance(value, dict):
        return {key: _map_leaves(item, function) for key, item in value.items()}
    return function(value)


def _emit_loop(runner: Runner, node: Node, start: int, count: Any, condition: Any, carried: Sequence[Any]) -> list[Any]:
    """Layers that repeat the body."""
    block, grown = _without_growth(node.blocks[0])
    loop = Loop()
    index = loop.carry(emit.tensor(start, torch.int64))
    slots = [_slot(loop, block, place, value, grown) for place, value in enumerate(carried)]
    remaining = emit.dim_sub(count, start) if start else count
    test = loop.carry(scalar(condition)) if _tests(block, condition) else None
    if has_trt_tensor(count) or count != ENDLESS:
        loop.limit(remaining)
    if test is not None:
        loop.go_on_while(test.get_output(0))
    containers = Containers(runner.values, node)
    _check_lists(node)
    runner.loop_depth += 1
    containers.begin()
    try:
        entries = [_map_leaves(slot.entry, _output) for slot in slots]
        following, *results = runner.run_block(block, [index.get_output(0), *entries])
    finally:
        containers.end()
        runner.loop_depth -= 1
    loop.update(index, emit.dim_add(index.get_output(0), 1))
    if test is not None:
        loop.update(test, scalar(following))
    length = None if test is not None else remaining
    for original, items in containers.grown(0):
        _replace(runner, original, RunTimeList(original, _stacked(loop, items, length)))
    return [_result(loop, slot, value, length) for slot, value in zip(slots, results, strict=True)]


def _tests(block: Block, condition: Any) -> bool:
    return has_trt_tensor(condition) or block.outputs[0] is not True


def _slot(loop: Loop, block: Block, place: int, initial: Any, grown: dict[int, int]) -> _Slot:
    if place in grown:
        return _Slot(initial, initial, axis=grown[place])
    if block.outputs[place + 1] is block.inputs[place + 1]:
        return _Slot(initial, initial)

    def carry(value: Any) -> Any:
        return _Carried(loop.carry(emit.tensor(value))) if holds_number(value) else value

    return _Slot(initial, _map_leaves(initial, carry), carried=True)


def in_words(value: Any) -> str:
    """A value, for a message."""
    if is_tensor(value) or isinstance(value, (torch.Tensor, _Carried)):
        return "a tensor"
    if isinstance(value, (list, tuple, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    return repr(value)


def _output(value: Any) -> Any:
    return value.recurrence.get_output(0) if isinstance(value, _Carried) else value


def _result(loop: Loop, slot: _Slot, value: Any, length: Any) -> Any:
    if slot.axis is not None:
        return _grown(loop, slot.initial, value, slot.axis, length)
    if not slot.carried:
        return slot.initial

    def finish(entry: Any, following: Any) -> Any:
        if isinstance(entry, _Carried):
            loop.update(entry.recurrence, _of_type(following, entry.recurrence.get_output(0)))
            return loop.last(entry.recurrence)
        if entry is following or (type(entry) is type(following) and not is_tensor(entry) and entry == following):
            return entry
        raise UnsupportedArgumentError(
            f"a loop of an unknown number of iterations carries {in_words(entry)} that becomes {in_words(following)}",
            hint="carry tensors of a fixed shape",
        )

    return unify_all(slot.entry, value, finish)


def _grown(loop: Loop, initial: Any, parts: Sequence[Any], axis: int, length: Any) -> Any:
    """``initial`` with what every iteration gives concatenated to it."""
    added = RunTimeList([], _stacked(loop, [emit.concatenate(parts, axis)], length)).joined(axis)
    start = emit.convert(initial, emit.dtype_of(added))
    # What PyTorch starts such sums with, an empty tensor of rank 1, fits anything.
    empty = emit.is_static(start) and 0 in emit.static_shape(start)
    return added if empty else emit.concatenate([start, added], axis)


def _of_type(value: Any, entry: Any) -> Any:
    """The next value of a carried tensor, which must be of the dtype and shape of the one before."""
    if not holds_number(value):
        raise UnsupportedArgumentError(f"a loop carries a tensor that becomes {value!r}")
    dtype = emit.dtype_of(entry)
    context = current()
    mixed = context is not None and context.precision is not None and emit.is_float(value) and emit.is_float(entry)
    if isinstance(value, (bool, int, float)) or mixed:
        value = emit.cast(value, dtype)
    value = emit.tensor(value)
    shapes = emit.static_shape(value), emit.static_shape(entry)
    fits = len(shapes[0]) == len(shapes[1]) and all(a == b or a < 0 or b < 0 for a, b in zip(*shapes, strict=True))
    if emit.dtype_of(value) != dtype or not fits:
        raise UnsupportedArgumentError(
            "a loop of an unknown number of iterations carries a tensor whose type changes from "
            f"{dtype} {list(shapes[1])} to {emit.dtype_of(value)} {list(shapes[0])}",
            hint="start it with the shape and dtype that it keeps, or make the number of iterations known",
        )
    return value


def _stacked(loop: Loop, items: Sequence[Any], length: Any) -> Any:
    if length is None:
        raise UnsupportedArgumentError(
            "a while loop collects the results of its iterations, whose number is not known before it runs",
            hint="write the results into a tensor of a fixed size",
        )
    if len(items) != 1 or not holds_number(items[0]):
        raise UnsupportedArgumentError(
            f"a loop of an unknown number of iterations appends {len(items)} items to a list in each",
            hint="append one tensor an iteration",
        )
    return loop.stacked(emit.tensor(items[0]), length)


# ---- tensors that grow


def _without_growth(block: Block) -> tuple[Block, dict[int, int]]:
    """The body without ``x = torch.cat([x, y])`` for a carried ``x`` that is used nowhere else.

    Returns:
        the body, in which ``y`` stands for the next ``x``; and the axis for the place of each such ``x``.
    """
    uses: dict[Value, list[Node]] = {}
    for node in walk_nodes(block.nodes):
        for value in operand_values(node.args):
            uses.setdefault(value, []).append(node)
    kept = {value for inner in walk_nodes(block.nodes) for b in inner.blocks for value in operand_values(b.outputs)}
    outputs, grown, dropped = list(block.outputs), {}, set()
    for place, (entry, output) in enumerate(zip(block.inputs[1:], block.outputs[1:], strict=True)):
        chain = _growth(entry, output, uses)
        used_once = sum(operand is output for operand in block.outputs) == 1 and output not in kept
        if chain is not None and used_once and not uses.get(output) and entry not in kept:
            (*_, last) = chain
            grown[place] = last.args[1]
            outputs[place + 1] = tuple(last.args[0][1:])
            dropped.update(chain)
    return Block(block.inputs, [node for node in block.nodes if node not in dropped], outputs), grown


def _growth(entry: Value, output: Operand, uses: dict[Value, list[Node]]) -> list[Node] | None:
    """The nodes from a carried tensor to its concatenation with others; None when there is none."""
    chain, value = [], entry
    while len(uses.get(value, [])) == 1:
        (node,) = uses[value]
        chain.append(node)
        if node.kind == "aten::cat" and isinstance(node.args[0], list) and node.args[0][0] is value:
            fits = node.outputs[0] is output and isinstance(node.args[1], int) and len(node.args[0]) > 1
            return chain if fits else None
        if node.kind != "aten::to" or node.args[0] is not value:
            return None
        value = node.outputs[0]
    return None


# ---- lists that grow


class RunTimeList:
    """A list of tensors of one shape whose length is known at run time only.

    Args:
        first: the items at its start.
        rest: the others, along the first axis of an ITensor.
    """

    def __init__(self, first: Sequence[Any], rest: Any) -> None:
        self.first = list(first)
        self.rest = rest

    def length(self) -> Any:
        """How many items there are."""
        return emit.dim_add(emit.size_of(self.rest, 0), len(self.first))

    def stacked(self, axis: int = 0) -> Any:
        """``torch.stack``."""
        parts = [emit.unsqueeze(item, 0) for item in self.first]
        whole = emit.concatenate([*parts, self.rest], 0)
        rank = emit.rank_of(whole)
        axis = emit.axis_of(axis, rank)
        order = list(range(1, rank))
        return emit.permute(whole, [*order[:axis], 0, *order[axis:]])

    def joined(self, axis: int = 0) -> Any:
        """``torch.cat``."""
        rank = emit.rank_of(self.rest)
        axis = emit.axis_of(axis, rank - 1)
        order = list(range(1, rank))
        moved = emit.permute(self.rest, [*order[:axis], 0, *order[axis:]])
        return emit.concatenate([*self.first, emit.flatten(moved, axis, axis + 1)], axis)

    def item(self, index: Any) -> Any:
        """One item; a negative index counts from the end."""
        if isinstance(index, int) and index < 0:
            index = emit.dim_add(emit.size_of(self.rest, 0), len(self.first) + index)
        return emit.gather(self.stacked(), emit.as_dim(index), 0)


def answer(node: Node, args: Sequence[Any]) -> list[Any] | None:
    """The node's outputs if it reads a :class:`RunTimeList`; None for other nodes.

    Raises:
        UnsupportedArgumentError: it does with one what a tensor cannot.
    """
    if not any(type(argument) is RunTimeList for argument in args):
        return None
    listed, *rest = args
    operations: dict[str, Callable[..., Any]] = {
        "aten::stack": RunTimeList.stacked,
        "aten::cat": RunTimeList.joined,
        "aten::concat": RunTimeList.joined,
        "aten::__getitem__": RunTimeList.item,
        "aten::len": RunTimeList.length,
    }
    operation = operations.get(node.kind)
    if operation is None or type(listed) is not RunTimeList:
        raise UnsupportedArgumentError(
            f"{node.kind} is used on a list whose length is known at run time only",
            hint="stack or concatenate the list right after the loop",
        )
    return [operation(listed, *rest)]


def _replace(runner: Runner, original: list[Any], found: RunTimeList) -> None:
    for value, held in runner.values.items():
        if held is original:
            runner.values[value] = found


def _check_lists(node: Node) -> None:
    """Refuse a body that reads a list that it changes: it would see one iteration's items."""
    block = node.blocks[0]
    inside = {value for inner in walk_nodes(block.nodes) for value in inner.outputs} | set(block.inputs)
    changed = {
        value
        for inner in walk_nodes(block.nodes)
        if inner.schema is not None and inner.schema.mutates
        for value in operand_values(inner.args[0])
        if value not in inside
    }
    for inner in walk_nodes(block.nodes):
        if not inner.blocks and any(value in changed for value in operand_values(inner.args)):
            if changes_container(inner) and inner.kind == "aten::append":
                continue
            raise UnsupportedArgumentError(
                f"a loop of an unknown number of iterations reads a list that it changes ({inner.kind})",
                location=inner.location,
                hint="carry what is read as a tensor",
            )
