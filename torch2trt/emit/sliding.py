"""Windows that slide over spatial axes, and their elements as slices."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .dims import Dim, all_known, as_dim, dim_add, dim_floordiv, dim_mul, dim_sub, rank_of, size_of, static_shape
from .dtypes import Tensor, dtype_of, tensor
from .math import elementwise
from .shape import strided_slice


@dataclass(frozen=True)
class Windows:
    """How windows lie on the spatial axes, one number an axis.

    Args:
        size: elements of a window.
        stride: from one window to the next.
        padding: on both sides.
        dilation: from one element of a window to the next.
        ceil: whether a last window that does not fit counts, as long as it starts inside.
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil: bool

    @property
    def spatial(self) -> int:
        """How many axes."""
        return len(self.size)

    def reach(self, axis: int) -> int:
        """How many elements a window spans."""
        return self.dilation[axis] * (self.size[axis] - 1) + 1

    def count(self, axis: int, length: Dim) -> Dim:
        """How many windows lie on an axis (``pooling_output_shape`` in aten/src/ATen/native/Pool.h)."""
        stride, padding = self.stride[axis], self.padding[axis]
        span = dim_add(length, 2 * padding - self.reach(axis) + (stride - 1 if self.ceil else 0))
        count = dim_add(dim_floordiv(span, stride), 1)
        if not self.ceil or self.never_starts_outside(axis):
            return count
        # The last window may start in the padding behind: it is dropped.
        last = dim_add(dim_floordiv(dim_add(length, padding - 1), stride), 1)
        return min(count, last) if all_known([count, last]) else elementwise("MIN", as_dim(count), as_dim(last))

    def rounds_nothing(self, lengths: Sequence[int]) -> bool:
        """Whether the windows fit sizes exactly, so that rounding up changes nothing; -1 is a size not known."""
        return all(
            length >= 0 and (length + 2 * self.padding[axis] - self.reach(axis)) % self.stride[axis] == 0
            for axis, length in enumerate(lengths)
        )

    @property
    def never_start_outside(self) -> bool:
        """Whether that holds for every axis."""
        return all(self.never_starts_outside(axis) for axis in range(self.spatial))

    def never_starts_outside(self, axis: int) -> bool:
        """Whether no window that rounding up adds can start beyond the input, whatever its size."""
        return self.stride[axis] <= self.reach(axis) - self.padding[axis]


def extended(value: Any, spec: Windows, fill: float | int) -> tuple[Any, list[Dim]]:
    """``value`` padded so that all windows fit exactly, and how many windows there are on each axis."""
    lead = rank_of(value) - spec.spatial
    lengths = [size_of(value, lead + axis) for axis in range(spec.spatial)]
    counts = [spec.count(axis, length) for axis, length in enumerate(lengths)]
    totals = [
        dim_add(dim_mul(dim_sub(count, 1), spec.stride[axis]), spec.reach(axis)) for axis, count in enumerate(counts)
    ]
    if not any(spec.padding) and all_known(totals) and totals == lengths:
        return value, counts
    starts: list[Dim] = [0] * lead + [-amount for amount in spec.padding]
    sizes: list[Dim] = [*(size_of(value, axis) for axis in range(lead)), *totals]
    number = tensor(torch.tensor(fill, dtype=dtype_of(value)))
    return strided_slice(value, starts, sizes, [1] * len(sizes), mode="FILL", fill=number), counts


def taps(value: Any, spec: Windows, fill: float | int) -> tuple[list[tuple[tuple[int, ...], Any]], list[Dim]]:
    """For each place in a window, in row-major order, that element of every window; and the number of windows."""
    lead = rank_of(value) - spec.spatial
    if spec.ceil or any(spec.padding):
        padded, counts = extended(value, spec, fill)
    else:  # what no window reaches need not be cut off
        padded, counts = value, [spec.count(axis, size_of(value, lead + axis)) for axis in range(spec.spatial)]
    sizes: list[Dim] = [*(size_of(value, axis) for axis in range(lead)), *counts]
    found = []
    for place in itertools.product(*(range(size) for size in spec.size)):
        starts = [0] * lead + [index * step for index, step in zip(place, spec.dilation, strict=True)]
        found.append((place, strided_slice(padded, starts, sizes, [1] * lead + list(spec.stride))))
    return found, counts


def static_counts(value: Tensor, amounts: Sequence[tuple[int, int]], spec: Windows) -> list[int] | None:
    """How many windows lie on each spatial axis, as many zeros before and behind it; None where a size is not known."""
    sizes = static_shape(value)[-spec.spatial :]
    if -1 in sizes:
        return None
    return [
        int(spec.count(axis, size + before + after))
        for axis, (size, (before, after)) in enumerate(zip(sizes, amounts, strict=True))
    ]
