"""A compiled network: blocks of steps that run in order, loops and branches as nested blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from ..errors import EvaluationError, Torch2TRTError

Values = list["torch.Tensor | None"]


class Item(Protocol):
    """Anything that a block runs."""

    name: str
    reads: frozenset[int]
    writes: frozenset[int]

    def run(self, values: Values) -> None:
        """Compute from the values read and store the values written."""


@dataclass
class Expectation:
    """What a network declares about one output of a layer.

    Args:
        name: the tensor's name.
        shape: its sizes, -1 where dynamic, None where TensorRT cannot tell.
        dtype: the torch dtype that holds it.
    """

    name: str
    shape: tuple[int, ...] | None
    dtype: torch.dtype

    def met_by(self, value: torch.Tensor) -> bool:
        """Whether a result has the declared dtype and sizes."""
        if value.dtype != self.dtype:
            return False
        if self.shape is None or value.shape == self.shape:
            return True
        return len(value.shape) == len(self.shape) and all(
            declared in (-1, size) for declared, size in zip(self.shape, value.shape, strict=True)
        )


def _sizes(shape: tuple[int, ...] | None) -> str:
    return "of unknown rank" if shape is None else str(list(shape))


@dataclass
class Step:
    """One layer."""

    name: str
    label: str
    function: Callable[..., Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    expected: tuple[Expectation, ...]
    reads: frozenset[int] = frozenset()
    writes: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self.reads = frozenset(slot for slot in self.inputs if slot >= 0)
        self.writes = frozenset(self.outputs)

    def run(self, values: Values) -> None:
        """Compute the layer and hold its results against what the network declares.

        Raises:
            EvaluationError: the layer cannot be computed, or a result is not as declared.
        """
        arguments = [values[slot] if slot >= 0 else None for slot in self.inputs]
        try:
            result = self.function(*arguments)
        except EvaluationError as error:
            raise EvaluationError(f"{self.label}: {error.message}", hint=error.hint) from error
        except Torch2TRTError:
            raise
        except Exception as error:
            found = ", ".join("none" if a is None else f"{list(a.shape)} {a.dtype}" for a in arguments)
            raise EvaluationError(f"{self.label} cannot be computed from ({found}): {error}") from error
        results = result if isinstance(result, tuple) else (result,)
        for slot, value, expected in zip(self.outputs, results, self.expected, strict=True):
            if not expected.met_by(value):
                raise EvaluationError(
                    f"{self.label}: output {expected.name!r} is declared {_sizes(expected.shape)} "
                    f"{expected.dtype}, found {list(value.shape)} {value.dtype}",
                    hint="the network's inputs, or the evaluator's reading of the layer, contradict TensorRT's",
                )
            values[slot] = value


@dataclass
class Block:
    """Items in the order in which they run, each with the slots that are empty after it."""

    items: list[tuple[Item, tuple[int, ...]]] = field(default_factory=list)
    reads: frozenset[int] = frozenset()

    @classmethod
    def of(cls, ordered: list[Any], kept: Iterable[int]) -> Block:
        """A block that frees what it computes after the last use, ``kept`` slots excepted."""
        made = frozenset(slot for item in ordered for slot in item.writes)
        last = {slot: i for i, item in enumerate(ordered) for slot in (*item.reads, *item.writes)}
        for slot in kept:
            last.pop(slot, None)
        frees: list[list[int]] = [[] for _ in ordered]
        for slot, i in last.items():
            if slot in made:
                frees[i].append(slot)
        reads = frozenset(slot for item in ordered for slot in item.reads) - made
        return cls([(item, tuple(free)) for item, free in zip(ordered, frees, strict=True)], reads)

    def run(self, values: Values) -> None:
        """Run every item."""
        for item, frees in self.items:
            item.run(values)
            for slot in frees:
                values[slot] = None
