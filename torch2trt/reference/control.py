"""Loops and conditionals as items of a program."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ..errors import EvaluationError
from .program import Block, Expectation, Values


@dataclass(frozen=True)
class Recurrence:
    """``IRecurrenceLayer``: the slots of its initial value, next value and output."""

    initial: int
    following: int
    output: int


@dataclass(frozen=True)
class Iterator:
    """``IIteratorLayer``: slice number i of the input along an axis, or counted from the trip count backwards."""

    source: int
    output: int
    axis: int
    reverse: bool


@dataclass(frozen=True)
class LoopOutput:
    """``ILoopOutputLayer``: ``kind`` is a ``trt.LoopOutput`` name; ``length`` is -1 for LAST_VALUE."""

    value: int
    length: int
    output: int
    kind: str
    axis: int
    declared: Expectation


def _value(values: Values, slot: int) -> torch.Tensor:
    value = values[slot]
    if value is None:
        raise EvaluationError("a loop or conditional reads a tensor that was not computed")
    return value


@dataclass
class LoopItem:
    """A loop: ``while`` and count limits are tested before each iteration.

    Args:
        name: the loop's name.
        head: the layers that the ``while`` condition needs.
        body: the other layers.
        count: slot of the trip count, -1 without one.
        condition: slot of the ``while`` condition, -1 without one.
    """

    name: str
    head: Block
    body: Block
    count: int
    condition: int
    recurrences: tuple[Recurrence, ...]
    iterators: tuple[Iterator, ...]
    outputs: tuple[LoopOutput, ...]
    reads: frozenset[int] = frozenset()
    writes: frozenset[int] = frozenset()
    _inner: frozenset[int] = field(default=frozenset())

    def __post_init__(self) -> None:
        self._inner = frozenset(r.output for r in self.recurrences) | frozenset(i.output for i in self.iterators)
        made = frozenset(s for block in (self.head, self.body) for item, _ in block.items for s in item.writes)
        outside = {self.count, *(r.initial for r in self.recurrences), *(i.source for i in self.iterators)}
        outside |= {o.length for o in self.outputs} | {r.following for r in self.recurrences}
        outside |= {o.value for o in self.outputs} | {self.condition} | self.head.reads | self.body.reads
        self.reads = frozenset(outside) - self._inner - made - {-1}
        self.writes = frozenset(o.output for o in self.outputs) | self._inner | made

    def run(self, values: Values) -> None:
        """Run the loop to its end.

        Raises:
            EvaluationError: it has no limit; more iterations than an output's length.
        """
        if self.count < 0 and self.condition < 0:
            raise EvaluationError(f"loop {self.name!r} has no trip limit")
        count = int(_value(values, self.count)) if self.count >= 0 else None
        for recurrence in self.recurrences:
            values[recurrence.output] = _value(values, recurrence.initial)
        collected: list[list[torch.Tensor]] = [[] for _ in self.outputs]
        last: list[torch.Tensor | None] = [None] * len(self.outputs)
        iteration = 0
        while count is None or iteration < count:
            self._iterate(values, iteration, count)
            self.head.run(values)
            if self.condition >= 0 and not bool(_value(values, self.condition)):
                break
            self.body.run(values)
            for i, output in enumerate(self.outputs):
                last[i] = _value(values, output.value)
                if output.kind != "LAST_VALUE":
                    collected[i].append(_value(values, output.value))
            following = [_value(values, recurrence.following) for recurrence in self.recurrences]
            for recurrence, value in zip(self.recurrences, following, strict=True):
                values[recurrence.output] = value
            iteration += 1
        self._finish(values, collected, last)

    def _iterate(self, values: Values, iteration: int, count: int | None) -> None:
        for iterator in self.iterators:
            source = _value(values, iterator.source)
            if iterator.reverse and count is None:
                raise EvaluationError(f"loop {self.name!r} iterates backwards without a trip count")
            place = (count or 0) - 1 - iteration if iterator.reverse else iteration
            # A while loop reaches one iterator value past its last iteration.
            inside = min(max(place, 0), source.shape[iterator.axis] - 1)
            if inside != place and self.condition < 0:
                raise EvaluationError(f"loop {self.name!r} iterates past the {source.shape[iterator.axis]} slices")
            values[iterator.output] = source.select(iterator.axis, inside)

    def _finish(self, values: Values, collected: list[list[torch.Tensor]], last: list[torch.Tensor | None]) -> None:
        recurrent = {recurrence.output for recurrence in self.recurrences}
        for output, parts, final in zip(self.outputs, collected, last, strict=True):
            if output.kind == "LAST_VALUE":
                values[output.output] = values[output.value] if output.value in recurrent else final
                continue
            length = int(_value(values, output.length))
            if len(parts) > length:
                raise EvaluationError(
                    f"loop {self.name!r} made {len(parts)} iterations, its output has room for {length}"
                )
            values[output.output] = self._stack(values, output, parts, length)

    def _stack(self, values: Values, output: LoopOutput, parts: list[torch.Tensor], length: int) -> torch.Tensor:
        """The parts along a new axis, backwards for REVERSE; zeros where no iteration wrote."""
        if not parts:
            shape = output.declared.shape
            if shape is None or any(size < 0 for axis, size in enumerate(shape) if axis != output.axis):
                raise EvaluationError(f"loop {self.name!r} made no iteration: the shape of its output is not known")
            sizes = [length if axis == output.axis else size for axis, size in enumerate(shape)]
            device = next(value.device for value in values if value is not None)
            return torch.zeros(sizes, dtype=output.declared.dtype, device=device)
        parts = parts + [torch.zeros_like(parts[0])] * (length - len(parts))
        return torch.stack(parts[::-1] if output.kind == "REVERSE" else parts, output.axis)


@dataclass
class BranchItem:
    """A conditional: only the branch taken is computed.

    Args:
        name: the conditional's name.
        condition: slot of the 0-d BOOL condition.
        branches: blocks for true and for false.
        outputs: slots (if true, if false, output).
    """

    name: str
    condition: int
    branches: tuple[Block, Block]
    outputs: tuple[tuple[int, int, int], ...]
    reads: frozenset[int] = frozenset()
    writes: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        made = frozenset(s for block in self.branches for item, _ in block.items for s in item.writes)
        used = {self.condition} | {slot for pair in self.outputs for slot in pair[:2]}
        self.reads = (frozenset(used) | self.branches[0].reads | self.branches[1].reads) - made
        self.writes = frozenset(output for _, _, output in self.outputs) | made

    def run(self, values: Values) -> None:
        """Compute the branch that the condition names."""
        taken = 0 if bool(_value(values, self.condition)) else 1
        self.branches[taken].run(values)
        for pair in self.outputs:
            values[pair[2]] = _value(values, pair[taken])
