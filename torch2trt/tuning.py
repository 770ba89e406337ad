"""Which nodes PyTorch computes faster than TensorRT on this GPU: both are measured, one node at a time."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex
import torch

from . import eager
from .engine.graphs import Call, CapturedCall, CaptureError
from .errors import Torch2TRTError
from .graph import Node, Value, map_operand
from .passes.fold import Plan

MEASURED = regex.compile(
    r"(aten|torch2trt)::(?<laid_out>_?convolution|conv(_transpose)?[123]d|grid_sampler.*)"
    r"|(aten|torch2trt)::(.*attention.*|lstm|gru|rnn_(tanh|relu)|sort|argsort|topk|(log)?cum(sum|prod|max|min|sumexp)"
    r"|_?fft_.*|i?stft|_?linalg_.*|cholesky.*|inverse|logdet)"
)
"""Kinds of nodes whose time is worth measuring: they have kernels of their own, which little is fused with. An engine
of one that is laid out brings images into another layout and back; one of many such nodes does not do so for each."""

MARGIN, BOUNDARY = 1.25, 5.0
"""A node stays in PyTorch if this many times what it takes there, and these microseconds, are less than TensorRT's."""

ROUNDS, MOST_CALLS, SERIES = 5, 50, 20_000.0
"""How often a series of calls is timed; the most calls of one, and about how many microseconds it takes otherwise."""

MakeEngine = Callable[[Node, list[Value]], Call]
"""Makes an engine of one node; its inputs are these values."""


@dataclass(frozen=True)
class Times:
    """Microseconds of one node, and what an engine of it alone takes for nothing else than bringing tensors there."""

    pytorch: float
    tensorrt: float
    moving: float

    @property
    def pytorch_is_faster(self) -> bool:
        """By more than what a boundary between an engine and PyTorch costs."""
        return MARGIN * self.pytorch + BOUNDARY + self.moving < self.tensorrt - self.moving

    def __str__(self) -> str:
        return f"it takes {self.pytorch:.0f} microseconds in PyTorch, {self.tensorrt:.0f} in TensorRT"


def faster_in_pytorch(
    plan: Plan, nodes: Iterable[Node], values: Mapping[Value, Any], make: MakeEngine
) -> dict[str, str]:
    """The nodes that PyTorch computes faster, by name, with the times that say so.

    Equal nodes are measured once. A node that reads numbers known at run time only, or of which no engine can be made,
    is passed over.

    Args:
        plan: what they belong to.
        nodes: those to look at.
        values: what every value is in a run, tensors on the GPU.
        make: see :data:`MakeEngine`.
    """
    found: dict[str, str] = {}
    measured: dict[Hashable, Times | None] = {}
    for node in nodes:
        read = dict.fromkeys(node.values())
        inputs = [value for value in read if value not in plan.known and value.data is None]
        numbers = [value for value in inputs if not isinstance(values[value], torch.Tensor)]
        if not MEASURED.fullmatch(node.kind) or numbers or not inputs:
            continue
        key = (node.kind, node.overload, repr(map_operand(node.args, lambda value: _described(values[value]))))
        if key not in measured:
            measured[key] = _times(node, inputs, values, make)
        times = measured[key]
        if times is not None and times.pytorch_is_faster:
            found[node.name] = str(times)
    return found


def _described(value: Any) -> Any:
    return (value.dtype, value.shape, value.stride()) if isinstance(value, torch.Tensor) else value


def _times(node: Node, inputs: list[Value], values: Mapping[Value, Any], make: MakeEngine) -> Times | None:
    tensors = [values[value] for value in inputs]

    def in_pytorch(tensors: Sequence[torch.Tensor]) -> list[Any]:
        given = dict(zip(inputs, tensors, strict=True))
        return eager.call(node, map_operand(node.args, lambda value: given.get(value, values[value])))

    try:
        in_tensorrt = make(node, inputs)
        moving = 0.0
        if MEASURED.fullmatch(node.kind)["laid_out"]:
            moving = microseconds(lambda ends: [end.clone() for end in ends], [*tensors, *in_pytorch(tensors)])
        return Times(microseconds(in_pytorch, tensors), microseconds(in_tensorrt, tensors), moving)
    except Torch2TRTError:
        return None  # what is wrong with it shows where it is converted with the others


def microseconds(call: Call, tensors: Sequence[torch.Tensor]) -> float:
    """What a call takes on the GPU, in a CUDA graph where that is possible: the median of :data:`ROUNDS` series."""
    device = tensors[0].device
    try:
        run: Callable[[], Any] = CapturedCall(call, tensors, device, torch.cuda.Stream(device)).launch
    except CaptureError:
        run = functools.partial(call, tensors)
    _series(run, 1)
    count = max(1, min(MOST_CALLS, int(SERIES / max(_series(run, 1), 1.0))))
    return statistics.median(_series(run, count) for _ in range(ROUNDS))


def _series(run: Callable[[], Any], count: int) -> float:
    """Microseconds of each of so many calls, one after another."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(count):
        run()
    end.record()
    end.synchronize()
    return 1e3 * begin.elapsed_time(end) / count
