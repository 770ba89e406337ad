"""Padding as one slice layer that reaches beyond the borders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import UnsupportedArgumentError
from .dims import Dim, all_known, dim_add, dim_sub, rank_of, size_of, static_shape
from .dtypes import Tensor, cast, dtype_of, tensor
from .shape import strided_slice


def pad(value: Tensor, amounts: Sequence[Dim], fill: Tensor | None, mode: str = "FILL") -> Any:
    """``value`` with elements before and after its last axes.

    Args:
        value: the tensor.
        amounts: before and after, from the last axis on, as in ``torch.nn.functional.pad``; negative ones crop.
        fill: for the mode ``FILL``, a number.
        mode: ``FILL``, or where the elements come from: ``REFLECT``, ``CLAMP``, ``WRAP``.
    """
    rank = rank_of(value)
    if mode == "WRAP" and all_known(amounts) and min(amounts, default=0) < 0:  # what is left after cropping goes round
        value = pad(value, [min(amount, 0) for amount in amounts], None, "STRICT_BOUNDS")
        amounts = [max(amount, 0) for amount in amounts]
    starts: list[Dim] = [0] * rank
    sizes: list[Dim] = [size_of(value, axis) for axis in range(rank)]
    for index in range(len(amounts) // 2):
        before, after, axis = amounts[2 * index], amounts[2 * index + 1], rank - 1 - index
        starts[axis] = dim_sub(0, before)
        sizes[axis] = dim_add(dim_add(sizes[axis], before), after)
    if all_known(starts) and not any(starts) and tuple(sizes) == static_shape(value):
        return tensor(value)
    if all_known(sizes) and min(sizes) < 0:
        raise UnsupportedArgumentError(f"padding {list(amounts)} crops more than there is: sizes {sizes}")
    held = None if fill is None else cast(fill, dtype_of(value))
    return strided_slice(value, starts, sizes, [1] * rank, mode=mode, fill=held)
