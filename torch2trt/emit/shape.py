"""Moving data about: reshape, permute, expand, slice, concatenate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..errors import ShapeError
from .constants import constant
from .dims import (
    Dim,
    Shape,
    all_known,
    as_dim,
    axis_of,
    dim_add,
    dim_floordiv,
    dim_max,
    dim_min,
    dim_product,
    dim_sub,
    is_static,
    rank_of,
    shape_of,
    shape_tensor,
    size_of,
    static_shape,
)
from .dtypes import Tensor, cast, held_dtype, tensor
from .network import add_layer, enum

LAST = torch.iinfo(torch.int64).max
"""What the tracer writes for a slice's open end."""


def reshape(value: Tensor, dims: Shape) -> Any:
    """``value`` with the sizes ``dims``, of which one may be -1."""
    value = tensor(value)
    dims = list(dims)
    if -1 in [dim for dim in dims if isinstance(dim, int)] and is_static(value) and all_known(dims):
        dims = _fill_in(static_shape(value), dims)
    if all_known(dims):
        if tuple(dims) == static_shape(value):
            return value
        return add_layer("shuffle", value, zero_is_placeholder=False, reshape_dims=tuple(dims))
    unknown = [index for index, dim in enumerate(dims) if not isinstance(dim, int)]
    if len(unknown) == 1 and -1 not in [dim for dim in dims if isinstance(dim, int)] and 0 not in dims_ints(dims):
        dims[unknown[0]] = -1  # one unknown size follows from the others: no shape tensor is needed
        return add_layer("shuffle", value, zero_is_placeholder=False, reshape_dims=tuple(dims))
    if -1 in dims_ints(dims):
        # TensorRT for RTX 1.4 fills in a -1 beside sizes known at run time only before it has computed these: after a
        # change of shapes it divides by those of the call before.
        rest = dim_product([dim for dim in dims if not (isinstance(dim, int) and dim == -1)])
        left = dim_floordiv(dim_product(shape_of(value)), rest)
        dims = [left if isinstance(dim, int) and dim == -1 else dim for dim in dims]
    return add_layer("shuffle", value, inputs={1: shape_tensor(dims)}, zero_is_placeholder=False)


def dims_ints(dims: Shape) -> list[int]:
    """The sizes that are known."""
    return [dim for dim in dims if isinstance(dim, int)]


def _fill_in(sizes: Sequence[int], dims: list[int]) -> list[int]:
    total, known = 1, 1
    for size in sizes:
        total *= size
    for dim in dims:
        known *= dim if dim != -1 else 1
    if known == 0 or total % known:
        raise ShapeError(f"cannot reshape {list(sizes)} to {dims}")
    return [total // known if dim == -1 else dim for dim in dims]


def unsqueeze(value: Tensor, axes: int | Sequence[int]) -> Any:
    """``value`` with axes of size 1 inserted; ``axes`` count in the result."""
    value = tensor(value)
    axes = [axes] if isinstance(axes, int) else list(axes)
    total = rank_of(value) + len(axes)
    places = {axis_of(axis, total) for axis in axes}
    old = iter(range(rank_of(value)))
    return _regroup(value, [None if axis in places else next(old) for axis in range(total)])


def squeeze(value: Tensor, axes: Sequence[int]) -> Any:
    """``value`` without the axes, whose sizes must be 1; ``axes`` count from the front."""
    value = tensor(value)
    return _regroup(value, [axis for axis in range(rank_of(value)) if axis not in axes])


def _regroup(value: Any, kept: Sequence[int | None]) -> Any:
    """A reshape that keeps the listed axes and puts axes of size 1 at None."""
    if list(kept) == list(range(rank_of(value))):
        return value
    sizes = static_shape(value)
    if sum(sizes[axis] < 0 for axis in kept if axis is not None) <= 1 and 0 not in sizes:
        dims = [1 if axis is None else sizes[axis] for axis in kept]
        return add_layer("shuffle", value, zero_is_placeholder=False, reshape_dims=tuple(dims))
    return reshape(value, [1 if axis is None else size_of(value, axis) for axis in kept])


def permute(value: Tensor, order: Sequence[int]) -> Any:
    """``value`` with its axes in ``order``."""
    value = tensor(value)
    order = [axis_of(axis, rank_of(value)) for axis in order]
    if order == list(range(rank_of(value))):
        return value
    return add_layer("shuffle", value, first_transpose=tuple(order))


def rearrange(value: Tensor, first: Sequence[int], dims: Sequence[int], second: Sequence[int]) -> Any:
    """``value`` with its axes in the order ``first``, then with the sizes ``dims``, then in the order ``second``.

    One layer; one size may be -1.
    """
    value = tensor(value)
    if 0 in dims or 0 in static_shape(value):  # beside a size of 0, -1 stands for any size
        return permute(reshape(permute(value, first), dims), second)
    return add_layer(
        "shuffle",
        value,
        zero_is_placeholder=False,
        first_transpose=tuple(first),
        reshape_dims=tuple(dims),
        second_transpose=tuple(second),
    )


def swap_axes(value: Tensor, first: int, second: int) -> Any:
    """``value`` with two axes exchanged."""
    rank = rank_of(value)
    order = list(range(rank))
    first, second = axis_of(first, rank), axis_of(second, rank)
    if rank:
        order[first], order[second] = order[second], order[first]
    return permute(value, order)


def flatten(value: Tensor, start: int = 0, end: int = -1) -> Any:
    """``value`` with the axes ``start`` to ``end``, both included, merged; a 0-d tensor becomes 1-d."""
    rank = rank_of(value)
    if rank == 0:
        return reshape(value, [1])
    start, end = axis_of(start, rank), axis_of(end, rank)
    if start == end:
        return tensor(value)
    sizes = shape_of(value)
    return reshape(value, [*sizes[:start], dim_product(sizes[start : end + 1]), *sizes[end + 1 :]])


def align_ranks(values: Sequence[Tensor]) -> list[Any]:
    """The values with leading axes of size 1, so that all have the highest rank among them."""
    rank = max(rank_of(value) for value in values)
    return [pad_rank(value, rank) for value in values]


def pad_rank(value: Tensor, rank: int) -> Any:
    """``value`` with leading axes of size 1 up to ``rank``."""
    missing = rank - rank_of(value)
    if missing <= 0:
        return tensor(value)
    if isinstance(value, torch.Tensor):  # a constant of the right rank needs no layer, and keeps its name
        return constant(cast(value, held_dtype(value.dtype)), (1,) * missing + tuple(value.shape))
    return unsqueeze(value, range(missing))


def broadcast_shape(*shapes: Shape) -> list[Dim]:
    """The sizes that tensors of these sizes broadcast to.

    Raises:
        ShapeError: two known sizes differ and neither is 1.
    """
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Dim] = []
    for axis in range(-rank, 0):
        sizes = [shape[axis] for shape in shapes if len(shape) >= -axis]
        known = {size for size in sizes if isinstance(size, int) and size != 1}
        if len(known) > 1:
            raise ShapeError(f"sizes {sorted(known)} do not broadcast")
        unknown = [size for size in sizes if not isinstance(size, int)]
        if known:
            result.append(known.pop())
        elif unknown:
            size = unknown[0]
            for other in unknown[1:]:
                size = dim_max(size, other)
            result.append(size)
        else:
            result.append(1)
    return result


def expand(value: Tensor, dims: Shape) -> Any:
    """``value`` repeated along axes of size 1 to the sizes ``dims``; -1 keeps a size, as in ``Tensor.expand``."""
    dims = list(dims)
    value = pad_rank(value, len(dims))
    sizes = static_shape(value)
    target: list[Dim] = [
        size_of(value, axis) if isinstance(dim, int) and dim == -1 else dim for axis, dim in enumerate(dims)
    ]
    if all_known(target) and tuple(target) == sizes:
        return value
    if not target:
        return value
    # A stride of 0 along an axis of size 1 repeats it; where the size is not known, 1 becomes 0 and all else 1.
    strides: list[Dim] = [
        (0 if sizes[axis] == 1 else 1) if sizes[axis] >= 0 else dim_min(1, dim_sub(size_of(value, axis), 1))
        for axis in range(len(target))
    ]
    return strided_slice(value, [0] * len(target), target, strides)


def strided_slice(
    value: Tensor, start: Shape, size: Shape, stride: Shape, mode: str = "STRICT_BOUNDS", fill: Tensor | None = None
) -> Any:
    """A window of ``value``: ``size`` elements an axis, from ``start``, ``stride`` apart.

    Args:
        value: the tensor.
        start: one index an axis.
        size: one size an axis.
        stride: one step an axis; 0 and negative ones are allowed.
        mode: what indices out of range give: a member of ``trt.SampleMode``.
        fill: for mode ``FILL``, what they give; of ``value``'s dtype.
    """
    value = tensor(value)
    rank = rank_of(value)
    if rank == 0:
        return value
    parts = {1: start, 2: size, 3: stride}
    inputs = {index: shape_tensor(dims) for index, dims in parts.items() if not all_known(dims)}
    fixed = [tuple(dims) if all_known(dims) else (0,) * rank for dims in parts.values()]
    if fill is not None:
        inputs[4] = tensor(fill)
    return add_layer("slice", value, *fixed, inputs=inputs, mode=enum("SampleMode", mode))


def slice_axis(value: Tensor, axis: int, start: Dim, size: Dim, step: int = 1) -> Any:
    """``size`` elements along one axis, from ``start``, ``step`` apart."""
    value = tensor(value)
    rank = rank_of(value)
    axis = axis_of(axis, rank)
    starts: list[Dim] = [0] * rank
    steps: list[Dim] = [1] * rank
    starts[axis], steps[axis] = start, step
    sizes = [size if other == axis else size_of(value, other) for other in range(rank)]
    return strided_slice(value, starts, sizes, steps)


def clamp_index(index: Dim, length: Dim) -> Dim:
    """A slice bound as Python reads it: negative ones count from the end, those out of range are cut off."""
    if isinstance(index, int):
        if index < 0:
            return dim_max(0, length + index if isinstance(length, int) else dim_sub(length, -index))
        return length if index == LAST else dim_min(index, length) if index else 0
    index = as_dim(index)
    negative = add_layer("elementwise", index, as_dim(0), enum("ElementWiseOperation", "LESS"))
    wrapped = add_layer("select", negative, as_dim(dim_add(index, length)), index)
    return dim_min(dim_max(wrapped, 0), length)


def slice_bounds(start: Dim | None, end: Dim | None, step: int, length: Dim) -> tuple[Dim, Dim]:
    """First index and number of elements of ``[start:end:step]`` along an axis of size ``length``; step is positive."""
    first = clamp_index(0 if start is None else start, length)
    last = clamp_index(LAST if end is None else end, length)
    size = last if isinstance(first, int) and first == 0 else dim_max(0, dim_sub(last, first))
    return first, size if step == 1 else dim_floordiv(dim_add(size, step - 1), step)


def concatenate(values: Sequence[Tensor], axis: int) -> Any:
    """The values one after another along ``axis``; all of one dtype and rank."""
    tensors = [tensor(value) for value in values]
    axis = axis_of(axis, rank_of(tensors[0]))
    return tensors[0] if len(tensors) == 1 else add_layer("concatenation", tensors, axis=axis)


def split_sizes(length: int, size: int) -> list[int]:
    """The pieces of ``length`` in steps of ``size``, the last one the rest."""
    if length == 0:
        return [0]
    return [min(size, length - start) for start in range(0, length, size)]
