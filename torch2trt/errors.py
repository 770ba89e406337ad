"""Every exception that torch2trt raises, and how a report is worded.

Each error says what happened, where (module scope, op, the user's source line), what was found, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Location:
    """Where in the user's model something happened.

    Args:
        kind: the op, such as ``aten::conv2d``.
        scope: path of the module that called it, such as ``layer1.0.conv1``; empty in the root's own forward.
        source: ``file.py:line`` of the user's code; empty when the tracer recorded none.
        node: name of the graph node.
    """

    kind: str = ""
    scope: str = ""
    source: str = ""
    node: str = ""

    def __str__(self) -> str:
        parts = [f"op {self.kind}" if self.kind else "", f"node {self.node}" if self.node else ""]
        parts.append(f"in module {self.scope!r}" if self.scope else "in the root module")
        if self.source:
            parts.append(f"at {self.source}")
        return ", ".join(part for part in parts if part)


class Torch2TRTError(Exception):
    """Base of every error of this package.

    Args:
        message: what happened and what was found.
        location: where; a handler need not give it, the walk over the graph adds it.
        hint: what to do next.
    """

    def __init__(self, message: str, *, location: Location | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.hint = hint

    def at(self, location: Location) -> Torch2TRTError:
        """Add the place unless one is known already; returns the error itself."""
        if self.location is None:
            self.location = location
        return self

    def __str__(self) -> str:
        lines = [self.message]
        if self.location is not None:
            lines.append(f"  where: {self.location}")
        if self.hint:
            lines.append(f"  next: {self.hint}")
        return "\n".join(lines)


class TensorRTNotFoundError(Torch2TRTError, ImportError):
    """Neither ``tensorrt`` nor ``tensorrt_rtx`` can be imported."""


class InputError(Torch2TRTError, ValueError):
    """What the caller passed does not fit: a wrong number, type, shape, dtype, device or name."""


class TraceError(Torch2TRTError):
    """torch.jit.trace failed on the module."""


class UnsupportedArgumentError(Torch2TRTError):
    """The op has a handler, but not for this value of an argument."""


class DtypeError(Torch2TRTError, TypeError):
    """TensorRT has no such data type here, or a conversion would lose precision silently."""


class ShapeError(Torch2TRTError, ValueError):
    """Shapes that do not fit each other, or a rank that TensorRT cannot hold."""


class LayerError(Torch2TRTError):
    """TensorRT refused a layer; the message carries what TensorRT logged."""


class BuildError(Torch2TRTError):
    """TensorRT could not build an engine from the network."""


class EngineError(Torch2TRTError):
    """An engine could not be loaded, run or refitted."""


class EvaluationError(Torch2TRTError):
    """The reference evaluator cannot compute a network, or found what contradicts the network's declaration."""


class HandlerError(Torch2TRTError):
    """A handler that the user registered raised an exception; it is this error's cause."""


class InternalError(Torch2TRTError):
    """A mistake of torch2trt itself, or of a handler: please report it."""


@dataclass(frozen=True)
class MissingOp:
    """One op kind that has no handler.

    Args:
        kind: the op, such as ``aten::foo``.
        count: how many nodes need it.
        first: where the first of them stands.
        nearest: registered names that look alike.
        reason: why it is left out; empty where nothing speaks against a handler.
    """

    kind: str
    count: int
    first: Location
    nearest: tuple[str, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        place = f"module {self.first.scope!r}" if self.first.scope else "the root module"
        source = f" at {self.first.source}" if self.first.source else ""
        if self.reason:
            return f"{self.kind} ({self.count} node{'s' * (self.count > 1)}), first in {place}{source}: {self.reason}"
        near = f"; nearest registered: {', '.join(self.nearest)}" if self.nearest else ""
        return f"{self.kind} ({self.count} node{'s' * (self.count > 1)}), first in {place}{source}{near}"


class UnsupportedOpError(Torch2TRTError):
    """One or more ops have no handler; raised before the first layer is added and lists all of them."""

    def __init__(self, missing: Sequence[MissingOp]) -> None:
        self.missing = tuple(missing)
        rows = "\n".join(f"  {op}" for op in self.missing)
        super().__init__(
            f"no handler for {len(self.missing)} op kind{'s' * (len(self.missing) > 1)}:\n{rows}",
            hint="register one with torch2trt.register_node_handler, or keep these ops in PyTorch "
            "with torch2trt.compile",
        )
