"""How the elements of one tensor lie in another that is made of it by reshapes and permutations alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

Steps = list[tuple[str, list[list[int]]]]
"""Ops with their arguments: ``reshape``, ``permute``, ``rearrange``, and ``split``: a reshape and a permutation."""

Size = int | None
"""A size; None where it is not known before the engine runs."""


class Mismatch(Exception):
    """A reshape that cuts across sizes, or whose unknown sizes cannot be told apart."""


class Arrangement:
    """Both tensors as groups of atoms: pieces of axes that no reshape so far has cut. An axis of size 1 has none.

    Args:
        shape: the sizes of the tensor that the other one is made of, the base.

    Raises:
        Mismatch: the base is empty.
    """

    def __init__(self, shape: Sequence[Size]) -> None:
        if 0 in shape:
            raise Mismatch
        self.sizes: list[Size] = [size for size in shape if size != 1]
        atoms = iter(range(len(self.sizes)))
        self.base: list[list[int]] = [[] if size == 1 else [next(atoms)] for size in shape]
        self.axes: list[list[int]] = [list(axis) for axis in self.base]

    def permute(self, order: Sequence[int]) -> None:
        """Put the axes into another order."""
        self.axes = [self.axes[axis] for axis in order]

    def insert(self, place: int) -> None:
        """Put an axis of size 1 before the axis ``place``."""
        self.axes.insert(place, [])

    def remove(self, places: Sequence[int]) -> None:
        """Take away axes of size 1; others stay."""
        self.axes = [axis for place, axis in enumerate(self.axes) if axis or place not in places]

    def reshape(self, shape: Sequence[Size]) -> None:
        """Cut and join the axes to the sizes ``shape``, of which one at most may lie among unknown atoms.

        Raises:
            Mismatch: that is not possible.
        """
        dims, atoms = list(shape), [atom for axis in self.axes for atom in axis]
        front = self._take(atoms, dims, first=True)
        back = self._take(atoms, dims, first=False)
        middle: list[list[int]] = []
        if dims:
            unknown = [atom for atom in atoms if self.sizes[atom] is None]
            if len(dims) != 1 or dims[0] is not None or not unknown:
                raise Mismatch
            middle, atoms = [atoms], []
        if atoms:
            raise Mismatch
        self.axes = [*front, *middle, *reversed(back)]

    def _take(self, atoms: list[int], dims: list[Size], *, first: bool) -> list[list[int]]:
        """Groups of known atoms for the first, or last, dims that are known; both are removed from the lists."""
        place = 0 if first else -1
        groups = []
        while dims and dims[place] is not None:
            needed, group = int(dims[place] or 0), []
            while needed > 1 and atoms and self.sizes[atoms[place]] is not None:
                size = int(self.sizes[atoms[place]] or 0)
                if needed % size:
                    self._cut(atoms, needed if first else size // needed, size, place)
                    size = needed
                group.append(atoms.pop(place))
                needed //= size
            if needed != 1:
                if first:
                    atoms[:0] = group
                else:
                    atoms.extend(reversed(group))
                break
            groups.append(group if first else group[::-1])
            dims.pop(place)
        return groups

    def _cut(self, atoms: list[int], leading: int, size: int, place: int) -> None:
        """Cut the first or last atom in two, the first piece of size ``leading``."""
        if not leading or size % leading or leading == size:
            raise Mismatch
        old, new = atoms[place], len(self.sizes)
        self.sizes[old] = leading
        self.sizes.append(size // leading)
        for group in (*self.base, *self.axes, atoms):
            if old in group:
                group.insert(group.index(old) + 1, new)

    def size_of(self, group: Sequence[int]) -> Size:
        """The size of an axis made of these atoms."""
        sizes = [self.sizes[atom] for atom in group]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def shape(self) -> list[Size]:
        """The sizes of the tensor that is made."""
        return [self.size_of(axis) for axis in self.axes]

    def steps(self, anew: bool = False) -> Steps | None:
        """The fewest ops that make the one tensor of the other; -1 stands for an unknown size.

        Args:
            anew: the base is another tensor reshaped, which the ops start from.

        Returns:
            None when no such ops make it: a reshape may have one unknown size.
        """
        source, result = _flat(self.base), _flat(self.axes)
        shape = self.shape()
        if self.base == self.axes and not anew:
            return []
        if source == result:
            return _checked([("reshape", [sizes_to_reshape(shape)])])
        order = None if anew else self._order()
        if order is not None:
            return [("permute", [order])]
        places = {atom: place for place, atom in enumerate(result)}
        if not anew and all(_is_run(axis, places) for axis in self.base):
            first = sorted(
                range(len(self.base)), key=lambda axis: places[self.base[axis][0]] if self.base[axis] else -1
            )
            return _checked([("rearrange", [first, sizes_to_reshape(shape), list(range(len(shape)))])])
        places = {atom: place for place, atom in enumerate(source)}
        if all(_is_run(axis, places) for axis in self.axes):
            return _checked([_split(self.axes, shape, places)])
        runs = self._runs(places)
        sizes = [self.size_of(run) for run in runs]
        return _checked([_split(runs, sizes, places), ("reshape", [sizes_to_reshape(shape)])])

    def _order(self) -> list[int] | None:
        """The permutation that this is; None when it is more than one."""
        if len(self.base) != len(self.axes):
            return None
        left = list(range(len(self.base)))
        order = []
        for axis in self.axes:
            place = next((place for place in left if self.base[place] == axis), None)
            if place is None:
                return None
            left.remove(place)
            order.append(place)
        return order

    def _runs(self, places: dict[int, int]) -> list[list[int]]:
        """The atoms of the result, those together that lie so in the base."""
        runs: list[list[int]] = []
        for atom in _flat(self.axes):
            if runs and places[runs[-1][-1]] + 1 == places[atom]:
                runs[-1].append(atom)
            else:
                runs.append([atom])
        return runs


def _flat(groups: Sequence[Sequence[int]]) -> list[int]:
    return [atom for group in groups for atom in group]


def _is_run(group: Sequence[int], places: dict[int, int]) -> bool:
    return all(places[group[0]] + index == places[atom] for index, atom in enumerate(group))


def sizes_to_reshape(shape: Sequence[Size]) -> list[int]:
    """Sizes as a reshape takes them, where at most one is unknown."""
    return [-1 if size is None else size for size in shape]


def _split(axes: Sequence[Sequence[int]], shape: Sequence[Size], places: dict[int, int]) -> tuple[str, list[list[int]]]:
    """Reshape the base to these axes in the base's order, then permute."""
    order = sorted(range(len(axes)), key=lambda axis: places[axes[axis][0]] if axes[axis] else -1)
    second = [order.index(axis) for axis in range(len(axes))]
    return "split", [sizes_to_reshape([shape[axis] for axis in order]), second]


def _checked(steps: Steps) -> Steps | None:
    lists = [values for _, arguments in steps for values in arguments]
    return None if any(values.count(-1) > 1 or len(values) > 8 for values in lists) else steps
