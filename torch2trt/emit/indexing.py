"""Advanced indexing: index tensors, masks and gaps, as ``value[indices]`` reads them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from ..errors import UnsupportedArgumentError
from ..trt_compat import to_trt_dtype
from ..weights import derive
from .dims import Dim, as_dim, dim_product, rank_of, shape_of
from .dtypes import Tensor, cast, dtype_of, tensor
from .math import compare, elementwise, gather, where
from .network import add_layer
from .pointwise import convert
from .shape import broadcast_shape, permute, reshape, strided_slice, swap_axes

_MASKS = frozenset({torch.bool, torch.uint8})
_BYTES = frozenset({torch.uint8, torch.int8})

Function = TypeVar("Function", bound=Callable[..., Any])


def carries_bytes(*names: str, wide: torch.dtype = torch.float32) -> Callable[[Function], Function]:
    """Let a handler move uint8 and int8 data, which TensorRT neither gathers nor scatters: it travels as float32.

    Args:
        names: the arguments that are data of one dtype, that of the first; others, such as indices, stay as they are.
        wide: what it travels as: int32 for handlers that compute, in which uint8 wraps at the end.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def handler(**arguments: Any) -> Any:
            dtype = dtype_of(arguments[names[0]])
            if dtype not in _BYTES:
                return function(**arguments)
            sent = {name: cast(arguments[name], wide) for name in names}
            return convert(function(**{**arguments, **sent}), dtype)

        return handler  # type: ignore[return-value]

    return decorate


def nonzero(value: Tensor) -> Any:
    """The indices of the elements that are not zero, int64, of shape ``(count, rank)``; the count is data-dependent.

    TensorRT for RTX builds no engine with this layer.
    """
    value = convert(value, torch.bool)
    if rank_of(value) == 0:
        found = add_layer("non_zero", reshape(value, [1]), to_trt_dtype(torch.int64))
        return strided_slice(swap_axes(found, 0, 1), [0, 0], [_count(found), 0], [1, 1])
    return swap_axes(add_layer("non_zero", value, to_trt_dtype(torch.int64)), 0, 1)


def _count(found: Any) -> Dim:
    return shape_of(found)[1]


def wrapped(index: Tensor, length: Dim) -> Tensor:
    """Indices with negative ones counted from the end; known ones stay known where they can."""
    if isinstance(index, torch.Tensor):
        if not bool((index < 0).any()):
            return index
        if isinstance(length, int):
            return derive(_wrap_known, index, length)
    if not isinstance(length, int):
        index = cast(index, torch.int64)
    size = torch.tensor(length, dtype=dtype_of(index)) if isinstance(length, int) else length
    return where(compare("LESS", index, 0), elementwise("SUM", index, tensor(size)), index)


def _wrap_known(index: torch.Tensor, length: int) -> torch.Tensor:
    return torch.where(index < 0, index + length, index)


def is_mask(index: Tensor) -> bool:
    """Whether an index selects by truth: boolean, or uint8, which PyTorch reads so."""
    return dtype_of(index) in _MASKS


def readable(index: Tensor, length: Dim) -> Tensor:
    """As :func:`wrapped` for a gather layer, which itself counts negative indices from the end of a static axis.

    NvInfer.h, IGatherLayer, leaves them undefined where the axis is dynamic.
    """
    return index if isinstance(length, int) else wrapped(index, length)


def index_per_axis(
    value: Tensor,
    indices: Sequence[Tensor | None],
    wrap: Callable[[Tensor, Dim], Tensor] = wrapped,
) -> list[Tensor | None]:
    """One index tensor, or None, per axis of ``value``: masks become indices, negative ones count from the end.

    Args:
        value: the tensor that is indexed.
        indices: index tensors, masks and None.
        wrap: what counts them from the end.

    Raises:
        UnsupportedArgumentError: there are more indices than axes.
    """
    sizes = shape_of(value)
    found: list[Tensor | None] = []
    for index in indices:
        if index is None:
            found.append(None)
        elif is_mask(index):
            found += _mask_indices(index)
        elif len(found) < len(sizes):
            found.append(wrap(index, sizes[len(found)]))
        else:
            found.append(index)
    if len(found) > len(sizes):
        raise UnsupportedArgumentError(f"{len(found)} indices for a tensor of rank {len(sizes)}")
    return found + [None] * (len(sizes) - len(found))


def _mask_indices(mask: Tensor) -> list[Tensor]:
    if isinstance(mask, torch.Tensor):
        return list(derive(_known_indices, mask))
    found = nonzero(mask)
    return [gather(found, torch.tensor(axis), 1) for axis in range(rank_of(mask))]


def _known_indices(mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.nonzero(mask, as_tuple=True)


@dataclass(frozen=True)
class Joined:
    """A tensor whose indexed axes are one.

    Args:
        value: the tensor with the indexed axes merged at ``axis``.
        axis: where they are.
        index: where to read along ``axis``: int64, of any shape.
        order: the permutation that brought the indexed axes together.
        sizes: the sizes before merging, in that order.
    """

    value: Any
    axis: int
    index: Tensor
    order: list[int]
    sizes: list[Dim]


def joined(value: Tensor, indices: Sequence[Tensor | None], to_front: bool = False) -> Joined:
    """Merge the indexed axes into one, and their indices into one that counts row by row.

    Args:
        value: the tensor.
        indices: one an axis, as :func:`index_per_axis` gives them; one at least is not None.
        to_front: bring the indexed axes to the front, also if they lie side by side.
    """
    axes = [axis for axis, index in enumerate(indices) if index is not None]
    rank = rank_of(value)
    apart = axes != list(range(axes[0], axes[-1] + 1))
    first = 0 if apart or to_front else axes[0]
    order = list(range(rank))
    if apart or to_front:
        order = axes + [axis for axis in range(rank) if axis not in axes]
    value = permute(value, order)
    sizes = shape_of(value)
    merged = sizes[first : first + len(axes)]
    index = _row_major([indices[axis] for axis in axes], merged)
    shape = [*sizes[:first], dim_product(merged), *sizes[first + len(axes) :]]
    return Joined(reshape(value, shape) if len(axes) > 1 else value, first, index, order, sizes)


def _row_major(indices: Sequence[Tensor | None], sizes: Sequence[Dim]) -> Tensor:
    if len(indices) == 1:
        return indices[0]
    total: Tensor | None = None
    stride: Dim = 1
    for index, size in zip(reversed(indices), reversed(sizes), strict=True):
        part = _scaled(index, stride)
        total = part if total is None else _sum(total, part)
        stride = dim_product([stride, size])
    return total


def _scaled(index: Tensor, stride: Dim) -> Tensor:
    if isinstance(index, torch.Tensor) and isinstance(stride, int):
        return derive(_multiply, index, stride)
    index = cast(index, torch.int64)
    return index if isinstance(stride, int) and stride == 1 else elementwise("PROD", index, as_dim(stride))


def _multiply(index: torch.Tensor, stride: int) -> torch.Tensor:
    return index.long() * stride


def _sum(left: Tensor, right: Tensor) -> Tensor:
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return derive(torch.add, left, right)
    return elementwise("SUM", left, right)


def indexed(value: Tensor, indices: Sequence[Tensor | None]) -> Any:
    """``value[indices]``: index tensors broadcast; apart from each other, their axes come first in the result."""
    single = sum(index is not None for index in indices) == 1
    parts = joined(value, index_per_axis(value, indices, readable if single else wrapped))
    return gather(parts.value, parts.index, parts.axis)


def result_shape(value: Tensor, per_axis: Sequence[Tensor | None]) -> tuple[list[Dim], int, int]:
    """The sizes of ``value[indices]``, and where in it the axes of the index tensors begin and how many they are."""
    axes = [axis for axis, index in enumerate(per_axis) if index is not None]
    common = broadcast_shape(*(shape_of(index) for index in per_axis if index is not None))
    sizes = shape_of(value)
    together = axes == list(range(axes[0], axes[-1] + 1))
    first = axes[0] if together else 0
    rest = [size for axis, size in enumerate(sizes) if axis not in axes]
    return [*rest[:first], *common, *rest[first:]], first, len(common)
