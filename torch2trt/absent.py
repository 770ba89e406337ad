"""Results that a network does not compute, such as what only a backward pass would read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .context import building
from .errors import Location, UnsupportedArgumentError


@dataclass(frozen=True)
class Absent:
    """What a handler gives in place of such a result: an error for whoever reads it.

    Args:
        what: names it in the error.
        location: the node that would have given it.
    """

    what: str
    location: Location | None


def absent(what: str) -> Absent:
    """Stands for a result of the node that is being converted."""
    return Absent(what, building().location)


def is_read(index: int) -> bool:
    """Whether something reads a result of the node that is being converted: another node, or whoever runs the network.

    Args:
        index: of the result among the node's.
    """
    context = building()
    return context.node is None or context.node.outputs[index] not in context.unread


def present(value: Any) -> Any:
    """``value`` itself.

    Raises:
        UnsupportedArgumentError: it is absent.
    """
    if isinstance(value, Absent):
        raise UnsupportedArgumentError(
            f"a network does not compute {value.what}, and something reads it",
            location=value.location,
            hint="use the op's first result alone, or keep this op in PyTorch with torch2trt.compile",
        )
    return value
