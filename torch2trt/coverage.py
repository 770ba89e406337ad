"""What would not convert, all of it at once, before anything is built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import eager, metadata, refusals, registry
from .errors import MissingOp, Torch2TRTError
from .graph import Node
from .passes.fold import Plan
from .passes.runtime import run_time_nodes

# What the walk does itself.
_CONTROL = frozenset({"prim::If", "prim::Loop"})


def missing_ops(plan: Plan) -> list[MissingOp]:
    """The op kinds that are left to convert and have no handler, most frequent first.

    A node whose arguments are all known runs in PyTorch and needs none.
    """
    nodes: dict[str, list[Node]] = {}
    for node in run_time_nodes(plan):
        if not is_covered(node):
            nodes.setdefault(_name(node), []).append(node)
    found = [
        MissingOp(kind, len(group), group[0].location, registry.nearest(kind), refusals.REASONS.get(group[0].kind, ""))
        for kind, group in nodes.items()
    ]
    return sorted(found, key=lambda op: -op.count)


def is_covered(node: Node) -> bool:
    """Whether something converts the node: a handler, or the walk itself."""
    structural = eager.structural(node) is not None or node.kind in _CONTROL or node.kind in metadata.KINDS
    return structural or registry.find(node) is not None


def _name(node: Node) -> str:
    """The kind, with the overload where only others of the kind have handlers."""
    has_others = any(name.startswith(f"{node.kind}.") for name in registry.handlers())
    return f"{node.kind}.{node.overload}" if has_others and node.overload else node.kind


@dataclass(frozen=True)
class CheckReport:
    """What :func:`torch2trt.check` found.

    Args:
        missing: op kinds without a handler.
        refused: nodes whose handler refuses what they ask for, each an error with its place.
        counts: how often each op kind occurs in the trace.
        complete: whether arguments were checked too, which needs TensorRT.
    """

    missing: tuple[MissingOp, ...]
    refused: tuple[Torch2TRTError, ...]
    counts: dict[str, int]
    complete: bool

    @property
    def ok(self) -> bool:
        """Whether everything would convert."""
        return not self.missing and not self.refused

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """The report, one finding a line."""
        total = sum(self.counts.values())
        yield f"{total} nodes of {len(self.counts)} kinds: " + ("all convert" if self.ok else "not all convert")
        yield from _section("no handler:", [str(op) for op in self.missing])
        yield from _section("refused:", [str(error).replace("\n", " ") for error in self.refused])
        if not self.complete:
            yield "TensorRT is not installed: arguments were not checked"


def _section(title: str, rows: Sequence[str]) -> Iterator[str]:
    if rows:
        yield title
        yield from (f"  {row}" for row in rows)
