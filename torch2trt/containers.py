"""Lists and dicts that a block of nodes may change while it is not known yet whether it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

from .errors import UnsupportedArgumentError
from .graph import Node, Value, walk_nodes

Join = Callable[[Any, Any], Any]
"""What two runs give, joined into one."""


class Containers:
    """The containers that a node's blocks take from outside; each block works on copies.

    Args:
        values: what every value is; the containers among them are replaced while a block runs.
        node: an if or a loop.
    """

    def __init__(self, values: MutableMapping[Value, Any], node: Node) -> None:
        self._values = values
        captured = dict.fromkeys(value for block in node.blocks for value in block.captured())
        self._outside = {
            value: values[value] for value in captured if isinstance(values.get(value), (list, dict, tuple))
        }
        self._originals: dict[int, Any] = {}
        self._copies: list[dict[int, Any]] = []
        for held in self._outside.values():
            _collect(held, self._originals)

    def begin(self) -> None:
        """Put copies in place of the containers."""
        copies: dict[int, Any] = {}
        self._copies.append(copies)
        self._values.update({value: _copy(held, copies) for value, held in self._outside.items()})

    def end(self) -> None:
        """Put the containers themselves back."""
        self._values.update(self._outside)

    def keep(self, run: int) -> None:
        """Change the containers as run number ``run`` did."""
        for key, original in self._originals.items():
            _assign(original, [self._restored(item) for item in _items(self._copies[run][key])], self._copies[run][key])

    def merge(self, join: Join) -> None:
        """Change the containers as both runs did, item by item.

        Raises:
            UnsupportedArgumentError: the runs leave other numbers of items, or other keys.
        """
        first, second = self._copies
        for key, original in self._originals.items():
            left, right = ([self._restored(item) for item in _items(copies[key])] for copies in (first, second))
            if _keys(first[key]) != _keys(second[key]):
                raise UnsupportedArgumentError(
                    "the branches of an if on a run-time condition leave a list of other lengths, or a dict of other "
                    f"keys: {len(left)} items, and {len(right)}",
                    hint="append to the list in both branches, or in none",
                )
            if any(a is not b for a, b in zip(left, right, strict=True)):
                _assign(original, unify_all(left, right, join), first[key])

    def grown(self, run: int) -> list[tuple[Any, list[Any]]]:
        """The lists that run number ``run`` appended to, with what it appended.

        Raises:
            UnsupportedArgumentError: it changed a container in another way.
        """
        found = []
        for key, original in self._originals.items():
            items = [self._restored(item) for item in _items(self._copies[run][key])]
            before = _items(original)
            same = len(items) >= len(before) and all(a is b for a, b in zip(before, items, strict=False))
            if not same or (isinstance(original, dict) and len(items) != len(before)):
                raise UnsupportedArgumentError(
                    "a loop of an unknown number of iterations changes a list or dict other than by appending to it",
                    hint="collect the results in a list, or in a tensor of a fixed size",
                )
            if len(items) > len(before):
                found.append((original, items[len(before) :]))
        return found

    def _restored(self, item: Any) -> Any:
        """``item``, a copy of a container replaced by the container."""
        if isinstance(item, tuple):
            return _like(item, (self._restored(part) for part in item))
        for copies in self._copies:
            for key, copied in copies.items():
                if copied is item:
                    return self._originals[key]
        return item


def _items(container: Any) -> list[Any]:
    return list(container.values()) if isinstance(container, dict) else list(container)


def _keys(container: Any) -> list[Any]:
    return list(container) if isinstance(container, dict) else list(range(len(container)))


def _collect(held: Any, found: dict[int, Any]) -> None:
    if isinstance(held, (list, dict, tuple)) and id(held) not in found:
        if not isinstance(held, tuple):
            found[id(held)] = held
        for item in _items(held):
            _collect(item, found)


def _copy(held: Any, copies: dict[int, Any]) -> Any:
    if not isinstance(held, (list, dict, tuple)):
        return held
    if isinstance(held, tuple):
        return _like(held, (_copy(item, copies) for item in held))
    if id(held) not in copies:
        copies[id(held)] = made = type(held)()
        items = [_copy(item, copies) for item in _items(held)]
        if isinstance(made, dict):
            made.update(zip(held, items, strict=True))
        else:
            made.extend(items)
    return copies[id(held)]


def _assign(container: Any, items: list[Any], like: Any) -> None:
    if isinstance(container, dict):
        container.clear()
        container.update(zip(_keys(like), items, strict=True))
    else:
        container[:] = items


def unify_all(chosen: Any, other: Any, join: Join) -> Any:
    """``join`` of two values, item by item where both are containers of one shape."""
    if isinstance(chosen, (list, tuple)) and isinstance(other, (list, tuple)) and len(chosen) == len(other):
        return type(chosen)(unify_all(left, right, join) for left, right in zip(chosen, other, strict=True))
    if isinstance(chosen, Mapping) and isinstance(other, Mapping) and list(chosen) == list(other):
        return {key: unify_all(chosen[key], other[key], join) for key in chosen}
    return join(chosen, other)


def changes_container(node: Node) -> bool:
    """Whether a node, or one in its blocks, changes a list or dict."""
    return any(inner.schema is not None and inner.schema.mutates for inner in walk_nodes([node]))


def _like(held: tuple[Any, ...], items: Iterable[Any]) -> tuple[Any, ...]:
    """A tuple of the same type: complex and narrow values are named ones."""
    make = getattr(type(held), "_make", tuple)
    made: tuple[Any, ...] = make(items)
    return made
