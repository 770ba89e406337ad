"""Checks of what callers pass, before the work that would fail on it."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import regex
import torch

from .errors import InputError


def whole_number(value: Any) -> int | None:
    """The int that ``value`` is; None where it is none, as a bool or a float."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def listed_names(argument: str, names: Any) -> list[str]:
    """The names that an argument lists.

    Raises:
        InputError: it is no list of strings.
    """
    found = list(names) if isinstance(names, Iterable) and not isinstance(names, str) else None
    if found is None or not all(isinstance(name, str) for name in found):
        raise InputError(f"{argument}={names!r} is no list of names", hint=f'write {argument}=["name"]')
    return found


def require_known(what: str, given: Iterable[str], known: Collection[str]) -> None:
    """Refuse names that are not known.

    Raises:
        InputError: there are some; it lists those that are.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(f"unknown {what}: {', '.join(unknown)}; there are {', '.join(sorted(known))}")


def pattern_of(argument: str, pattern: Any) -> Any:
    """The pattern of the ``regex`` package that an argument gives; None for None.

    Raises:
        InputError: it is no regular expression.
    """
    if pattern is None:
        return None
    if not isinstance(pattern, (str, regex.Pattern)):
        raise InputError(f"{argument}={pattern!r} is {type(pattern).__name__}, not a regular expression as text")
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise InputError(f"{argument}={pattern!r} is no regular expression: {error}") from None


def require_state(state: Any) -> None:
    """Refuse what is no ``state_dict``.

    Raises:
        InputError: it is no mapping.
    """
    if not isinstance(state, Mapping):
        raise InputError(f"the weights are {type(state).__name__}, not a state_dict", hint="pass module.state_dict()")


def state_entry(key: str, value: Any, dtype: torch.dtype | None) -> torch.Tensor:
    """One entry of a ``state_dict`` whose values a network takes.

    Args:
        key: of the entry.
        value: the entry.
        dtype: of the weight that it replaces; None where that is unknown.

    Raises:
        InputError: it is no tensor, or complex in place of a real one.
    """
    if not isinstance(value, torch.Tensor):
        raise InputError(f"entry {key!r} of the state_dict is {type(value).__name__}, not a tensor")
    if value.is_complex() and dtype is not None and not dtype.is_complex:
        raise InputError(f"entry {key!r} of the state_dict is {value.dtype}, and the module's is {dtype}")
    return value.detach()


def no_data(keys: Iterable[str]) -> InputError:
    """That weights from entries of a ``state_dict`` are on the meta device."""
    return InputError(f"the state_dict's {', '.join(sorted(keys))} is on the meta device and holds no data")
