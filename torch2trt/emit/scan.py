"""One step after another over a sequence: unrolled where it is short, else a loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..context import building
from ..errors import LayerError
from ..trt_compat import trt
from .dims import Dim, as_dim, size_of
from .dtypes import Tensor, tensor
from .moving import iota
from .network import enum, named
from .shape import concatenate, slice_axis, squeeze, unsqueeze

MOST_UNROLLED = 16
"""Longer sequences become loops: on an H200 an LSTM of 50 steps runs as fast as a loop, and of 150 steps its build
takes 0.2 s instead of 10 s."""

MOST_STEPS = 64
"""So many steps are unrolled in one network, and what comes then becomes loops: 4, 8, 16 and 32 LSTM layers of 16 steps
took 3, 10, 56 and 267 s to build, as loops 0.7, 2, 5 and 9 (TensorRT for RTX 1.4, float16)."""

MOST_REPEATED = 6
"""More steps of :func:`repeat`, whose steps are longer, become a loop."""

State = list[Any]

Step = Callable[[Any, State], tuple[Any, State]]
"""From one element of the sequence, of shape ``(1, ...)``, and the states: what it gives, and the next states."""


def scan(step: Step, sequence: Tensor, states: Sequence[Tensor], reverse: bool = False) -> tuple[Any, State]:
    """``step`` over axis 0 of ``sequence``.

    Args:
        step: gives an output of shape ``(1, ...)``.
        sequence: of shape ``(length, ...)``.
        states: what the first step starts from, each of shape ``(1, ...)``.
        reverse: from the last element to the first; the outputs stand in the order of the sequence all the same.

    Returns:
        the outputs, of shape ``(length, ...)``, and the last states.
    """
    length, state = size_of(sequence, 0), building().state
    if isinstance(length, int) and length <= MOST_UNROLLED and state.unrolled + length <= MOST_STEPS:
        state.unrolled += length
        return _unrolled(step, sequence, list(states), length, reverse)
    return _looped(step, sequence, [tensor(state) for state in states], length, reverse)


def _unrolled(step: Step, sequence: Tensor, states: State, length: int, reverse: bool) -> tuple[Any, State]:
    outputs = []
    places = range(length - 1, -1, -1) if reverse else range(length)
    for place in places:
        output, states = step(slice_axis(sequence, 0, place, 1), states)
        outputs.append(output)
    return concatenate(outputs[::-1] if reverse else outputs, 0), [tensor(state) for state in states]


def _looped(step: Step, sequence: Tensor, states: State, length: Dim, reverse: bool) -> tuple[Any, State]:
    loop = _new_loop(length)
    element = _iterate(loop, tensor(sequence), reverse)
    recurrences = [named(loop.add_recurrence(state), "recurrence") for state in states]
    output, following = step(unsqueeze(element, 0), [recurrence.get_output(0) for recurrence in recurrences])
    for recurrence, state in zip(recurrences, following, strict=True):
        recurrence.set_input(1, tensor(state))
    kind = enum("LoopOutput", "REVERSE" if reverse else "CONCATENATE")
    collected = named(loop.add_loop_output(squeeze(output, [0]), kind, 0), "loop_output")
    collected.set_input(1, as_dim(length))
    return collected.get_output(0), [_last_value(loop, recurrence) for recurrence in recurrences]


def _new_loop(count: Dim) -> Any:
    loop = building().network.add_loop()
    if loop is None:
        raise LayerError("TensorRT refused a loop")
    named(loop.add_trip_limit(as_dim(count), trt.TripLimit.COUNT), "trip_limit")
    return loop


def _iterate(loop: Any, value: Any, reverse: bool = False) -> Any:
    return named(loop.add_iterator(value, 0, reverse), "iterator").get_output(0)


def _last_value(loop: Any, recurrence: Any) -> Any:
    output = loop.add_loop_output(recurrence.get_output(0), enum("LoopOutput", "LAST_VALUE"), 0)
    return named(output, "loop_output").get_output(0)


def repeat(
    count: Dim,
    step: Callable[[Dim, State, Sequence[Tensor]], State],
    states: Sequence[Tensor],
    tables: Sequence[Tensor] = (),
    backwards: bool = False,
    most_unrolled: int = MOST_REPEATED,
) -> State:
    """``states = step(k, states, rows)`` for k from 0 to ``count - 1``: unrolled for a few steps, else a loop.

    Args:
        count: how often.
        step: gets k, which is an int or a 0-d int64 ITensor, the states, and row k of every table; states keep their
            shapes and dtypes.
        states: what the first step starts from.
        tables: tensors with ``count`` rows.
        backwards: k counts down.
        most_unrolled: more steps become a loop.
    """
    current = [tensor(state) for state in states]
    if isinstance(count, int) and count <= most_unrolled:
        for place in reversed(range(count)) if backwards else range(count):
            current = step(place, current, [table[place] for table in tables])
        return current
    loop = _new_loop(count)
    rows = [_iterate(loop, tensor(table), backwards) for table in tables]
    recurrences = [named(loop.add_recurrence(state), "recurrence") for state in current]
    place = _iterate(loop, tensor(iota(count)), backwards)
    following = step(place, [layer.get_output(0) for layer in recurrences], rows)
    for recurrence, state in zip(recurrences, following, strict=True):
        recurrence.set_input(1, tensor(state))
    return [_last_value(loop, recurrence) for recurrence in recurrences]
