"""What modules keep from call to call in their attributes and buffers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.modules.lazy import LazyModuleMixin

from .structure import is_plain_object

_REGISTRIES = frozenset({"_parameters", "_buffers", "_modules"})
"""The attributes in which an nn.Module has what else it holds."""

_LEVELS = 4
"""How deep lists, tuples, dicts and plain objects in each other are looked into."""

_PLAIN = (torch.Tensor, bool, int, float, complex, str, list, tuple, dict, deque, type(None))


def within_attributes(module: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    """Tensors, other than parameters, and plain objects within the attributes of submodules, once each, with paths."""
    seen: set[int] = set()
    for path, child in module.named_modules():
        for name, value in vars(child).items() if path else ():
            if name not in _REGISTRIES:
                yield from _within(value, f"{path}.{name}", seen, 0)


def _within(value: Any, path: str, seen: set[int], depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, torch.nn.Parameter) or id(value) in seen or depth > _LEVELS:
        return
    items: list[tuple[str, Any]] = []
    if isinstance(value, (list, tuple, deque)):
        items = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    elif isinstance(value, dict):
        items = [(f"{path}[{key!r}]", item) for key, item in value.items()]
    elif is_plain_object(value):
        items = [(f"{path}.{name}", item) for name, item in vars(value).items()]
    if items or isinstance(value, torch.Tensor):
        seen.add(id(value))
    if isinstance(value, torch.Tensor) or is_plain_object(value):
        yield path, value
    for place, item in items:
        yield from _within(item, place, seen, depth + 1)


class Attributes:
    """The attributes and buffers of a module's submodules, and of plain objects among them, as they are now.

    That is tensors, numbers, lists and dicts of them. Those of lazy modules, whose first call makes them what they are,
    do not count.

    Args:
        module: the root, whose own do not count either.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._holders = [
            (path, holder, {name: _Held.of(value) for name, value in holder.items() if name not in _REGISTRIES})
            for path, holder in _holders_of(module)
        ]

    def restore(self) -> list[tuple[str, torch.Tensor]]:
        """Give back what was replaced, added or taken away since; the tensors that were replaced, with their paths."""
        replaced = []
        for path, holder, before in self._holders:
            for name in [name for name in holder if name not in before and name not in _REGISTRIES]:
                if _is_plain(holder[name]):
                    del holder[name]
            for name, held in before.items():
                held.restore()
                if holder.get(name) is not held.value and _is_plain(held.value):
                    holder[name] = held.value
                    if isinstance(held.value, torch.Tensor):
                        replaced.append((f"{path}.{name}", held.value))
        return replaced


def _holders_of(module: torch.nn.Module) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, child in module.named_modules():
        if path and not isinstance(child, LazyModuleMixin):
            yield from ((path, holder) for holder in (vars(child), child._buffers) if type(holder) is dict)
    for path, value in within_attributes(module):
        if not isinstance(value, torch.Tensor):
            yield path, vars(value)


@dataclass(frozen=True)
class _Held:
    """A value, and what it held if it is a list, a deque or a dict, or a tuple of such."""

    value: Any
    elements: list[_Held] | dict[Any, _Held] | None = None

    @classmethod
    def of(cls, value: Any, depth: int = 0) -> _Held:
        """``value`` as it is now; what lies deeper than some levels, as where a list holds itself, does not count."""
        if isinstance(value, (list, tuple, deque)) and depth < _LEVELS:
            return cls(value, [cls.of(element, depth + 1) for element in value])
        if isinstance(value, dict) and depth < _LEVELS:
            return cls(value, {key: cls.of(element, depth + 1) for key, element in value.items()})
        return cls(value)

    def restore(self) -> None:
        """Give a list, a deque or a dict its elements back, and them theirs."""
        if self.elements is None:
            return
        for element in self.elements.values() if isinstance(self.elements, dict) else self.elements:
            element.restore()
        if isinstance(self.elements, dict):
            pairs = {key: element.value for key, element in self.elements.items()}
            if self.value.keys() != pairs.keys() or any(self.value[key] is not pairs[key] for key in pairs):
                self.value.clear()
                self.value.update(pairs)
        elif not isinstance(self.value, tuple):
            elements = [element.value for element in self.elements]
            if [id(element) for element in self.value] != [id(element) for element in elements]:
                self.value.clear()
                self.value.extend(elements)


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN) and not isinstance(value, torch.nn.Parameter)
