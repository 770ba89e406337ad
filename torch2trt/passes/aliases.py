"""Which values share memory, and what each of them holds by now.

A :class:`Storage` is one piece of memory: a tree of :class:`Alias`, the tensor that owns it at the root and a view at
every other node. Reading an alias gives a value that holds what it holds now; a write gives it a new value. Nothing is
written back, and no view is computed anew, before something reads it: the newest contents lie at the storage's
``focus``, and every alias above it is right but for the region of the one below it on that path.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ..errors import InternalError, UnsupportedArgumentError
from ..graph import Node, Value
from . import views
from .builder import Builder

UNKNOWN = -1
"""The version of an alias that has no value yet."""


class Storage:
    """One piece of memory.

    Args:
        root: the tensor that owns it.
        version: counts the writes.
        focus: the alias whose value is the newest.
        group: the storages that it may turn out to be the same memory as have the same group.
        depth: how many blocks deep it was made.
        container: whether it stands for a list, tuple or dict of tensors.
        born: when it was made.
        taken: whether it may be the memory of another storage.
        given: when another storage was first made that may be its memory; None for never.
        writer: the first node that wrote to it, and its op then; None for none.
    """

    __slots__ = ("born", "container", "depth", "focus", "given", "group", "root", "taken", "version", "writer")

    def __init__(self, value: Value, group: Hashable, depth: int, born: int, *, container: bool = False) -> None:
        self.root = Alias(self, None, None, value)
        self.root.current, self.root.version = value, 0
        self.version = 0
        self.focus = self.root
        self.group = group
        self.depth = depth
        self.born = born
        self.container = container
        self.taken = False
        self.given: int | None = None
        self.writer: tuple[Node, str] | None = None


class Alias:
    """A view of a storage, or its root.

    Args:
        storage: the memory.
        parent: what it is a view of; None for the root.
        view: how; None for the root.
        original: the value of the trace, for its type.
        current: the newest value that was computed for it.
        version: the storage's version that ``current`` belongs to.
        dirty: whether ``current`` is newer than the parent's region.
        emitted: whether the trace's own node was used for it.
        children: the views of it by what makes them.
    """

    __slots__ = ("children", "current", "depth", "dirty", "emitted", "original", "parent", "storage", "version", "view")

    def __init__(self, storage: Storage, parent: Alias | None, view: views.View | None, original: Value) -> None:
        self.storage = storage
        self.parent = parent
        self.view = view
        self.original = original
        self.current: Value | None = None
        self.version = UNKNOWN
        self.dirty = False
        self.emitted = False
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.children: dict[Hashable, Alias] = {}

    def views(self) -> list[views.View]:
        """How it comes from the root, step by step."""
        steps = []
        alias: Alias | None = self
        while alias is not None:
            if alias.view is not None:
                steps.append(alias.view)
            alias = alias.parent
        return steps[::-1]


class Reference:
    """A tensor object: what a value of the trace refers to. Ops such as ``t_`` make it another view.

    Args:
        alias: what it is now.
        depth: how many blocks deep it was made.
    """

    __slots__ = ("alias", "depth")

    def __init__(self, alias: Alias, depth: int) -> None:
        self.alias = alias
        self.depth = depth


class _Hub:
    """What was written in one group of storages that may be the same memory.

    Args:
        given: when one that others may share was last written to.
        taken: the last two storages that may be another's memory and were written to, with when, the last one first.
    """

    __slots__ = ("given", "taken")

    def __init__(self) -> None:
        self.given = -1
        self.taken: list[tuple[Storage, int]] = []


class Memory:
    """All storages, and the reads and writes.

    ``depth`` is how many blocks deep the walk is, ``touched`` holds the storages from outside that the innermost block
    wrote to, and ``writing`` is the op whose writes come next.

    Args:
        builder: makes the nodes that reads and writes need.
    """

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.depth = 0
        self.writing = ""
        self.touched: dict[Storage, None] = {}
        self._by_group: dict[Hashable, list[Storage]] = {}
        self._made: list[list[Storage]] = [[]]
        self._journal: list[list[tuple[Any, str, Any]]] = []
        self._hubs: dict[Hashable, _Hub] = {}
        self._clock = 0

    def allocate(self, value: Value, group: Hashable, *, container: bool = False) -> Reference:
        """A new storage that ``value`` owns."""
        storage = Storage(value, group, self.depth, self._clock, container=container)
        self._by_group.setdefault(group, []).append(storage)
        self._made[-1].append(storage)
        return Reference(storage.root, self.depth)

    def allocated(self, group: Hashable) -> list[Storage]:
        """The storages of a group that can be reached from here."""
        return list(self._by_group.get(group, ()))

    def view(self, parent: Alias, view: views.View, original: Value) -> Alias:
        """The alias of ``parent`` that ``view`` makes; the same one for the same view."""
        key = view.key()
        child = parent.children.get(key)
        if child is None:
            child = parent.children[key] = Alias(parent.storage, parent, view, original)
        return child

    # ---- blocks

    def enter(self) -> None:
        """Start a block: what happens to the aliases inside is undone by :meth:`leave`."""
        self.depth += 1
        self._made.append([])
        self._journal.append([])

    def leave(self) -> None:
        """End a block: every alias is what it was before; the block's own storages are forgotten."""
        for item, name, value in reversed(self._journal.pop()):
            setattr(item, name, value)
        for storage in reversed(self._made.pop()):
            self._by_group[storage.group].remove(storage)
        self.depth -= 1

    def _set(self, item: Any, name: str, value: Any) -> None:
        if self._journal:
            self._journal[-1].append((item, name, getattr(item, name)))
        setattr(item, name, value)

    # ---- reads and writes

    def read(self, alias: Alias) -> Value:
        """A value that holds what ``alias`` holds now.

        Raises:
            UnsupportedArgumentError: it may share memory with a tensor that was written to.
        """
        self._check(alias.storage)
        return self.peek(alias)

    def peek(self, alias: Alias) -> Value:
        """As :meth:`read`, without the check."""
        if alias.version != alias.storage.version or alias.current is None:
            for child in self._approach(alias):
                self._regenerate(child)
        if alias.current is None:
            raise InternalError("an alias has no value")
        return alias.current

    def shape(self, alias: Alias) -> Value:
        """Any value of the shape and dtype of ``alias``, whatever it holds."""
        return alias.current if alias.current is not None else self.peek(alias)

    def write(self, alias: Alias, value: Value) -> None:
        """``alias`` holds ``value`` from now on, and so do all others where they overlap with it."""
        storage = alias.storage
        for child in self._approach(alias)[:-1]:
            self._regenerate(child)
        self._settle(alias, value)
        self._set(alias, "dirty", alias.parent is not None)
        self._stamp(storage)

    def replace(self, storage: Storage, value: Value) -> None:
        """All of ``storage`` is ``value`` from now on."""
        self._settle(storage.root, value)
        self._stamp(storage)

    def assume(self, storage: Storage, value: Value) -> None:
        """As :meth:`replace`, where nothing is written: a loop's body starts from what an iteration left."""
        self._settle(storage.root, value)

    def _settle(self, alias: Alias, value: Value) -> None:
        storage = alias.storage
        self._set(storage, "version", storage.version + 1)
        self._set(storage, "focus", alias)
        self._set(alias, "current", value)
        self._set(alias, "version", storage.version)

    def _approach(self, alias: Alias) -> list[Alias]:
        """Write back what is newer up to the common ancestor of the focus and ``alias``; the aliases below it."""
        storage = alias.storage
        path = []
        focus, place = storage.focus, alias
        while focus is not place:
            if focus.depth >= place.depth:
                focus = self._write_back(focus)
            else:
                path.append(place)
                place = place.parent or storage.root
        if focus is not storage.focus:
            self._set(storage, "focus", focus)
        return path[::-1]

    def _write_back(self, alias: Alias) -> Alias:
        parent = alias.parent or alias.storage.root
        if alias.dirty and alias.view is not None and alias.current is not None:
            value = views.write_back(self.builder, alias.view, self.shape(parent), alias.current, parent.original)
            self._set(parent, "current", value)
            self._set(parent, "dirty", parent.parent is not None)
            self._set(alias, "dirty", False)
        self._set(parent, "version", parent.storage.version)
        return parent

    def _regenerate(self, alias: Alias) -> None:
        version = alias.storage.version
        if alias.version == version or alias.parent is None or alias.parent.current is None or alias.view is None:
            return
        own = None if alias.emitted else alias.original
        alias.emitted = True
        self._set(alias, "current", views.apply(self.builder, alias.view, alias.parent.current, alias.original, own))
        self._set(alias, "version", version)

    # ---- storages that may be the same memory

    def give(self, storage: Storage) -> None:
        """From now on another storage may turn out to be ``storage``, or a part of it."""
        if storage.given is None:
            storage.given = self._clock

    def take(self, storage: Storage) -> None:
        """``storage`` may turn out to be another one, or a part of it."""
        storage.taken = True

    def _stamp(self, storage: Storage) -> None:
        self._clock += 1
        if storage.writer is None and self.builder.place is not None:
            storage.writer = (self.builder.place, self.writing)
        if storage.depth < self.depth:
            self.touched[storage] = None
        if storage.given is None and not storage.taken:
            return
        hub = self._hubs.setdefault(storage.group, _Hub())
        if storage.given is not None:
            hub.given = self._clock
        if storage.taken:
            hub.taken = [(storage, self._clock), *(entry for entry in hub.taken if entry[0] is not storage)][:2]

    def stamp_given(self, storage: Storage) -> None:
        """Count ``storage`` as written to now, if another may share its memory."""
        if storage.given is not None:
            self._clock += 1
            self._hubs.setdefault(storage.group, _Hub()).given = self._clock

    def is_uncertain(self, storage: Storage) -> bool:
        """Whether a write may have changed ``storage`` that cannot be told to have."""
        hub = self._hubs.get(storage.group)
        if hub is None:
            return False
        other = next((when for writer, when in hub.taken if writer is not storage), -1)
        if storage.taken and max(hub.given, other) > storage.born:
            return True
        return storage.given is not None and other > storage.given

    def _check(self, storage: Storage) -> None:
        if self.is_uncertain(storage):
            place: Node | None = self.builder.place
            raise UnsupportedArgumentError(
                "a tensor is read that may share memory with one that was written to: which one cannot be known at "
                "conversion (a branch, a list, or a reshape of unknown strides lies between them)",
                location=None if place is None else place.location,
                hint="clone() the tensor before it is written to",
            )
