"""Windows by strides: which elements of a tensor they show, whatever the tensor's own layout in memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def window(
    shape: Sequence[int], strides: Sequence[int], size: Sequence[int], stride: Sequence[int], offset: int = 0
) -> torch.Tensor | None:
    """Where each element of a strided window lies among the elements of a tensor, counted in order.

    Args:
        shape: the tensor's sizes.
        strides: its strides, in elements.
        size: the window's sizes.
        stride: its strides.
        offset: where in memory the window starts, counted from the tensor's first element.

    Returns:
        int64 numbers in the window's shape; None where the window reaches memory that is none of the tensor's.
    """
    asked = _addresses(size, stride) + offset
    if not asked.numel():
        return asked
    owned, order = _addresses(shape, strides).flatten().sort(stable=True)
    if not owned.numel():
        return None
    place = torch.searchsorted(owned, asked).clamp_max(owned.numel() - 1)
    return order[place] if torch.equal(owned[place], asked) else None


def _addresses(size: Sequence[int], stride: Sequence[int]) -> torch.Tensor:
    places = torch.zeros((1,) * len(size), dtype=torch.int64)
    for axis, (length, step) in enumerate(zip(size, stride, strict=True)):
        places = places + (torch.arange(length) * step).reshape([-1 if i == axis else 1 for i in range(len(size))])
    return places
