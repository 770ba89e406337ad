"""Singular values and eigenvalues, and which of their vectors nobody reads: these have no definite sign."""

from __future__ import annotations

from .. import registry
from ..graph import Node, Value
from .builder import Builder
from .fold import Plan
from .rewriting import use_counts

# The op that gives both: which result the values are, the op that gives them alone, and how many arguments it shares.
_VALUES: dict[str, tuple[int, str, int]] = {
    "aten::linalg_svd": (1, "aten::linalg_svdvals", 1),
    "aten::_linalg_svd": (1, "aten::linalg_svdvals", 1),
    "aten::svd": (1, "aten::linalg_svdvals", 1),
    "aten::linalg_eigh": (0, "aten::linalg_eigvalsh", 2),
    "aten::_linalg_eigh": (0, "aten::linalg_eigvalsh", 2),
}


VECTORS: dict[str, dict[int, int]] = {
    "aten::linalg_svd": {0: -2, 2: -1},
    "aten::_linalg_svd": {0: -2, 2: -1},
    "aten::svd": {0: -2, 2: -2},
    "aten::linalg_eigh": {1: -2},
    "aten::_linalg_eigh": {1: -2},
}
"""Which results are vectors whose signs are open, and the axis that their elements lie along."""


def values_alone(plan: Plan) -> None:
    """Replace decompositions of which only the values are read; not those with a handler of the user's."""
    if not any(node.kind in _VALUES for node in plan.nodes):
        return
    uses = use_counts(plan)
    builder = Builder([], mark="s")
    for node in plan.nodes:
        values = _values_of(node, uses)
        if values is None:
            builder.nodes.append(node)
            continue
        builder.place = node
        _, name, count = _VALUES[node.kind]
        builder.call(name, *node.args[:count], result=values)
    plan.nodes = builder.nodes


def _values_of(node: Node, uses: dict[Value, int]) -> Value | None:
    """The singular or eigenvalues, if nothing else that the node gives is read; else None."""
    handler = registry.find(node)
    if node.kind not in _VALUES or (handler is not None and not handler.builtin):
        return None
    values = node.outputs[_VALUES[node.kind][0]]
    return None if any(uses.get(value) for value in node.outputs if value is not values) else values
