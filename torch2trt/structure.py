"""Nested inputs and outputs: taken apart into tensors and put together again.

A structure is any nesting of tuples, named tuples, lists, deques, dicts, dataclasses, other objects with tensors among
their attributes, and constants around tensors. It is plain data, so that it can be written to JSON and read back
without running code from the file.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from collections import deque
from collections.abc import Awaitable, Iterator, Mapping, Sequence, Set, ValuesView
from dataclasses import dataclass
from typing import Any

import torch

from . import trt_compat
from .errors import InputError


@dataclass(frozen=True)
class Structure:
    """The shape of a nested value.

    Args:
        kind: ``leaf``, ``constant``, ``tuple``, ``list``, ``dict`` or ``object``.
        children: the parts, in order.
        keys: the dict keys or field names, as many as there are children.
        value: of a constant, the constant.
        type: of an object (named tuple, dataclass, dict subclass, or one with attributes) or a deque, its class.
    """

    kind: str
    children: tuple[Structure, ...] = ()
    keys: tuple[Any, ...] = ()
    value: Any = None
    type: type | None = None

    def __len__(self) -> int:
        """Number of leaves."""
        return 1 if self.kind == "leaf" else sum(len(child) for child in self.children)


LEAF = Structure("leaf")


class Placeholder:
    """Base of what may stand for a tensor in a nested value."""


def is_leaf(value: object) -> bool:
    """Whether a value is a tensor, torch's or TensorRT's, or stands for one."""
    return isinstance(value, (torch.Tensor, Placeholder)) or trt_compat.is_tensor(value)


def flatten(value: Any) -> tuple[list[Any], Structure]:
    """The tensors in ``value``, in order (one that occurs twice is listed twice), and the structure around them.

    Raises:
        InputError: an object that holds tensors refers to itself.
    """
    leaves: list[Any] = []
    return leaves, _flatten(value, leaves, ())


def _flatten(value: Any, leaves: list[Any], around: tuple[int, ...]) -> Structure:
    if is_leaf(value):
        leaves.append(value)
        return LEAF
    parts = _parts(value)
    if parts is None:
        _check_constant(value)
        return Structure("constant", value=value)
    if id(value) in around:
        raise InputError(f"a {type(value).__name__} that holds tensors refers to itself", hint="pass its tensors")
    kind, keys, children, cls = parts
    around = (*around, id(value))
    return Structure(kind, tuple(_flatten(child, leaves, around) for child in children), keys, type=cls)


def _check_constant(value: Any) -> None:
    """Refuse tensors in a container without an order, or without attributes, and what can be read only once.

    Raises:
        InputError: it is one.
    """
    hint = "use a tuple, a list, a dict or a dataclass"
    if isinstance(value, (Iterator, Awaitable)):
        raise InputError(f"a {type(value).__name__} among the inputs or the results", hint=hint)
    slots = (getattr(value, name, None) for cls in type(value).__mro__ for name in _slots_of(cls))
    items = value if isinstance(value, (Set, ValuesView)) else slots
    if any(_holds_tensors(item, set()) for item in items):
        raise InputError(f"a {type(value).__name__} that holds tensors, among the inputs or the results", hint=hint)


def _slots_of(cls: type) -> tuple[str, ...]:
    slots = vars(cls).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _parts(value: Any) -> tuple[str, tuple[Any, ...], list[Any], type | None] | None:
    """Kind, keys, children and class of a container; None for anything else."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return "object", tuple(value._fields), list(value), type(value)
    if isinstance(value, tuple):
        return "tuple", (), list(value), None
    if isinstance(value, list):
        return "list", (), list(value), None
    if isinstance(value, deque):
        return "list", (), list(value), type(value)
    if isinstance(value, Mapping):
        plain = type(value) is dict
        return "dict" if plain else "object", tuple(value), list(value.values()), None if plain else type(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = tuple(field.name for field in dataclasses.fields(value))
        return "object", names, [getattr(value, name) for name in names], type(value)
    if is_plain_object(value) and (_holds_tensors(value, set()) or _is_data(value, ())):
        return "object", tuple(vars(value)), list(vars(value).values()), type(value)
    return None


def _holds_tensors(value: Any, seen: set[int]) -> bool:
    """Whether there is a tensor among the attributes of an object, such as a key-value cache, however deep."""
    if is_leaf(value):
        return True
    if id(value) in seen:
        return False
    seen.add(id(value))
    items = list(value) if isinstance(value, (Set, ValuesView)) else _contents(value)
    return any(_holds_tensors(item, seen) for item in items or ())


def _contents(value: Any) -> list[Any] | None:
    """What a container with an order, or a plain object, holds; None for anything else."""
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, (tuple, list, deque)):
        return list(value)
    return list(vars(value).values()) if is_plain_object(value) else None


_NUMBERS = (bool, int, float, complex, str, bytes, type(None), type, enum.Enum, torch.dtype, torch.device)


def _is_data(value: Any, around: tuple[int, ...]) -> bool:
    """Whether an object, such as an empty key-value cache, is made of numbers, text, containers and such objects alone.

    Those with an equality of their own do not count.
    """
    if isinstance(value, _NUMBERS):
        return True
    if id(value) in around:
        return False
    items, container = _contents(value), isinstance(value, (Mapping, tuple, list, deque))
    if items is None or not (container or type(value).__eq__ is object.__eq__):
        return False
    return all(_is_data(item, (*around, id(value))) for item in items)


def is_plain_object(value: object) -> bool:
    """Whether an object is but its attributes: no class, function, nn.Module, Python module or member of an enum."""
    return hasattr(value, "__dict__") and not callable(value) and not isinstance(value, (types.ModuleType, enum.Enum))


def unflatten(leaves: Sequence[Any], structure: Structure) -> Any:
    """The inverse of :func:`flatten`.

    Raises:
        InputError: ``leaves`` does not have as many entries as the structure has leaves.
    """
    if len(leaves) != len(structure):
        raise InputError(f"expected {len(structure)} tensors, got {len(leaves)}")
    return _unflatten(iter(leaves), structure)


def _unflatten(leaves: Iterator[Any], structure: Structure) -> Any:
    if structure.kind == "leaf":
        return next(leaves)
    if structure.kind == "constant":
        return structure.value
    children = [_unflatten(leaves, child) for child in structure.children]
    if structure.kind == "tuple":
        return tuple(children)
    if structure.kind == "list":
        return children if structure.type is None else structure.type(children)
    named = dict(zip(structure.keys, children, strict=True))
    if structure.kind == "dict" or structure.type is None:
        return named
    return _rebuild(structure.type, named)


def _rebuild(cls: type, named: dict[Any, Any]) -> Any:
    if issubclass(cls, Mapping) and not dataclasses.is_dataclass(cls):
        try:
            return cls(named)  # type: ignore[call-arg]
        except TypeError:  # a mapping whose constructor takes something else, such as defaultdict
            return named
    if dataclasses.is_dataclass(cls) or issubclass(cls, tuple):
        return cls(**named)
    made = cls.__new__(cls)
    vars(made).update(named)
    return made


def leaf_names(structure: Structure, prefixes: Sequence[str]) -> list[str]:
    """A name for every leaf of a tuple structure: its argument's name, then keys and positions joined by ``_``.

    Args:
        structure: of kind tuple or dict, one child an argument.
        prefixes: the arguments' names.
    """
    names: list[str] = []

    def visit(node: Structure, name: str) -> None:
        if node.kind == "leaf":
            names.append(name)
        keys = node.keys or range(len(node.children))
        for key, child in zip(keys, node.children, strict=True):
            visit(child, f"{name}_{key}")

    for prefix, child in zip(prefixes, structure.children, strict=True):
        visit(child, prefix)
    return names
