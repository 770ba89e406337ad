"""The operator that gives as a result what another one writes to an argument."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from .. import torch_compat
from ..graph import aten_kinds
from ..torch_compat import Argument, Schema
from .sharing import writes_tensors

REFUSED = aten_kinds("resize_ resize_as_ resize_as_sparse_ set_ set_data swap_")
"""Ops that give a tensor other memory."""

NO_OP = aten_kinds("requires_grad_ retain_grad record_stream")
"""Ops that change nothing about the elements."""

_BOOLEAN = aten_kinds(
    "eq ne lt le gt ge not_equal less less_equal greater greater_equal logical_and logical_or logical_xor logical_not "
    "isin"
)
_KEEPING = aten_kinds(
    "index_put index_fill index_copy index_add index_reduce scatter scatter_add scatter_reduce put masked_fill "
    "masked_scatter fill zero"
)


@dataclass(frozen=True)
class Counterpart:
    """A functional operator for one that writes.

    Args:
        schema: its schema.
        order: for each of its arguments, the place of the same one in the writing operator; None for its default.
        is_view: whether it gives a view: then the writing operator changes what the tensor shows, not its elements.
        is_boolean: whether it gives booleans.
        keeps_dtype: whether its result has its first argument's dtype, whatever the others have.
    """

    schema: Schema
    order: tuple[int | None, ...]
    is_view: bool
    is_boolean: bool
    keeps_dtype: bool


@functools.cache
def counterpart(schema: str) -> Counterpart | None:
    """The functional operator for one that writes to its first argument, or to keyword arguments such as ``out``.

    It has the same arguments by name and type, and results in place of what is written to. None when torch has none.
    """
    writing = torch_compat.parse_schema(schema)
    if writing is None:
        return None
    written = [argument for argument in writing.arguments if writes_tensors(argument)]
    if all(argument.keyword_only for argument in written):
        kept = [(place, a) for place, a in enumerate(writing.arguments) if not writes_tensors(a)]
        names, results = [writing.name], len(written)
    elif len(written) == 1 and writing.arguments[0].written:
        kept = list(enumerate(writing.arguments))
        base = _base_name(writing.name)
        names, results = ([base, f"{base}_functional"] if base else []), 1
    else:
        return None
    found = [
        match
        for name in names
        for candidate in torch_compat.schemas_of(name)
        if not candidate.mutates
        and len(candidate.returns) == results
        and (match := _match(candidate, kept, writing)) is not None
    ]
    return min(found, key=lambda match: _preference(match, writing), default=None)


@functools.cache
def appending(schema: str) -> Schema | None:
    """The functional operator that gives what another one gives, and after it what that one writes to its arguments."""
    writing = torch_compat.parse_schema(schema)
    if writing is None:
        return None
    results = len(writing.returns) + sum(writes_tensors(argument) for argument in writing.arguments)
    return next(
        (
            candidate
            for candidate in torch_compat.schemas_of(f"{writing.name}_functional")
            if not candidate.mutates
            and candidate.argument_names == writing.argument_names
            and len(candidate.returns) == results
        ),
        None,
    )


def _base_name(name: str) -> str | None:
    match = re.match(r"^(\w+::)__i(\w+)__$", name)
    if match is not None:
        return f"{match[1]}__{match[2]}__"
    return name[:-1] if name.endswith("_") and not name.endswith("__") else None


def _match(candidate: Schema, kept: list[tuple[int, Argument]], writing: Schema) -> Counterpart | None:
    order: list[int | None] = []
    left = dict(kept)
    for place, argument in enumerate(candidate.arguments):
        same = [
            index
            for index, other in left.items()
            # dropout_ writes to self, dropout reads input.
            if other.type == argument.type and (other.name == argument.name or place == index == 0)
        ]
        if same:
            order.append(same[0])
            del left[same[0]]
        elif argument.has_default:
            order.append(None)
        else:
            return None
    if left:
        return None
    is_view = writing.arguments[0].written and bool(candidate.returns[0].alias)
    return Counterpart(candidate, tuple(order), is_view, candidate.name in _BOOLEAN, candidate.name in _KEEPING)


def _preference(match: Counterpart, writing: Schema) -> tuple[int, bool]:
    return match.order.count(None), match.schema.overload != writing.overload
