"""The arguments of a call against those that a module was converted with."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .errors import InputError
from .structure import Structure, is_leaf


def bind_arguments(
    names: Sequence[str], arguments: Structure, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[Any]:
    """The tensors among the arguments of a call, in the order of the structure's leaves.

    An argument without tensors may be left out: it is the one that the module was converted with.

    Args:
        names: of the arguments that the module was converted with.
        arguments: of kind tuple: the structure of each of them.
        args: positional ones of the call.
        kwargs: keyword ones, in any order.

    Raises:
        InputError: too many arguments, an unknown or missing one, a structure that the module was not converted
            with, or a Python value other than the one that it was converted with; the message names the argument.
    """
    if len(args) > len(names):
        raise InputError(f"{len(args)} positional arguments were given, at most {len(names)} are taken: {names}")
    values = dict(zip(names, args, strict=False))
    unknown = [name for name in kwargs if name not in names]
    twice = [name for name in kwargs if name in values]
    if unknown or twice:
        what = f"given twice: {', '.join(twice)}" if twice else f"unknown: {', '.join(unknown)}"
        raise InputError(f"arguments {what}", hint=f"the arguments are {', '.join(names)}")
    values.update(kwargs)
    missing = [name for name, child in zip(names, arguments.children, strict=True) if name not in values and len(child)]
    if missing:
        raise InputError(f"arguments missing: {', '.join(missing)}", hint=f"the arguments are {', '.join(names)}")
    leaves: list[Any] = []
    for name, child in zip(names, arguments.children, strict=True):
        if name in values:
            _collect(values[name], child, name, leaves)
    return leaves


def _collect(value: Any, expected: Structure, path: str, leaves: list[Any]) -> None:
    """Append the tensors of ``value``, which must have the structure ``expected``."""
    if expected.kind == "leaf":
        if not is_leaf(value):
            raise InputError(f"argument {path} must be a tensor, not {type(value).__name__}")
        leaves.append(value)
    elif expected.kind == "constant":
        if isinstance(value, torch.Tensor) or type(value) is not type(expected.value) or value != expected.value:
            shown = f"a tensor of shape {list(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
            raise InputError(
                f"argument {path} is {shown}, and the module was converted with {expected.value!r}",
                hint="convert it again for another value",
            )
    elif expected.kind in ("dict", "object"):
        _collect_named(value, expected, path, leaves)
    else:
        if not isinstance(value, (tuple, list, deque)) or len(value) != len(expected.children):
            found = f"{len(value)} entries" if isinstance(value, (tuple, list, deque)) else type(value).__name__
            raise InputError(
                f"argument {path} must be a {expected.kind} of {len(expected.children)} entries, not {found}"
            )
        for index, (item, child) in enumerate(zip(value, expected.children, strict=True)):
            _collect(item, child, f"{path}[{index}]", leaves)


def _collect_named(value: Any, expected: Structure, path: str, leaves: list[Any]) -> None:
    if isinstance(value, Mapping):
        if set(value) != set(expected.keys):
            raise InputError(f"argument {path} has the keys {list(value)}, and must have {list(expected.keys)}")
        items = [(value[key], f"{path}[{key!r}]") for key in expected.keys]
    else:
        missing = [key for key in expected.keys if not isinstance(key, str) or not hasattr(value, key)]
        if missing:
            raise InputError(f"argument {path} of type {type(value).__name__} lacks {', '.join(map(str, missing))}")
        items = [(getattr(value, key), f"{path}.{key}") for key in expected.keys]
    for (item, place), child in zip(items, expected.children, strict=True):
        _collect(item, child, place, leaves)
