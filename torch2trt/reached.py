"""The modules that a function reaches."""

from __future__ import annotations

import collections
import functools
import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch

_DEPTH = 6
"""How many steps from one thing to another are followed."""

_Named = tuple[str, Any]
_OTHERS = (type, types.ModuleType, torch.Tensor, str, bytes, int, float, complex)
"""What leads to no module."""


def modules_of(function: Callable[..., Any]) -> dict[str, torch.nn.Module]:
    """The modules that a function reaches, each once, by names for them.

    They may be bound to it, among the arguments of a partial, default arguments or attributes of an object, in a
    closure, or have a global name that it uses; or be in lists, dicts, attributes and functions that are.
    """
    found: dict[str, torch.nn.Module] = {}
    _visit(("", function), found, {}, _DEPTH)
    return found


def _visit(named: _Named, found: dict[str, torch.nn.Module], seen: dict[int, Any], depth: int) -> None:
    name, value = named
    if id(value) in seen or value is None or isinstance(value, _OTHERS):
        return
    seen[id(value)] = value  # held, so that nothing else gets its id
    if isinstance(value, torch.nn.Module):
        found[free_name(name or "func", found)] = value
    elif depth:
        for part, inside in _parts(value):
            inner = not isinstance(inside, torch.nn.Module) and callable(inside)  # its own names say enough
            _visit(("" if inner else f"{name}_{part}" if name else part, inside), found, seen, depth - 1)


def free_name(name: str, taken: Iterable[str]) -> str:
    """A name of a module that is like ``name`` and not taken."""
    name = name.replace(".", "_")
    while name in taken:
        name += "_"
    return name


def _parts(value: Any) -> Iterator[_Named]:
    """What a value leads to, by name."""
    if isinstance(value, functools.partial):
        yield "func", value.func
        yield from ((f"argument{i}", held) for i, held in enumerate([*value.args, *value.keywords.values()]))
    elif isinstance(value, Mapping):
        yield from ((str(key), held) for key, held in value.items())
    elif isinstance(value, (list, tuple, set, frozenset, collections.deque)):
        yield from ((str(index), held) for index, held in enumerate(value))
    elif inspect.isfunction(value):
        yield from _variables(value)
    else:
        owner = getattr(value, "__self__", None)
        if owner is not None:
            yield "self_", owner
            yield "", getattr(value, "__func__", None)
        elif hasattr(value, "__dict__"):
            yield from vars(value).items()


def _variables(function: types.FunctionType) -> Iterator[_Named]:
    """A function's own variables from outside: of its closure, global ones and default arguments."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for name in dict.fromkeys(_names(function.__code__)):
        value = function.__globals__.get(name)
        own = getattr(value, "__globals__", function.__globals__) is function.__globals__
        if own:  # functions of other files are libraries
            yield name, value
    for name, parameter in inspect.signature(function, follow_wrapped=False).parameters.items():
        if parameter.default is not parameter.empty:
            yield name, parameter.default


def _names(code: types.CodeType) -> Iterator[str]:
    """The global names in a function, and in those defined inside of it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
