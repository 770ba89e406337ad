"""What ops that only move data have in common: data types that TensorRT does not move, wrapped indices, masks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

from .. import eager
from ..context import building, has_trt_tensor
from ..errors import UnsupportedArgumentError
from ..graph import operand_values
from ..trt_compat import is_tensor
from ..weights import derive
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
    dim_mul,
    dim_sub,
    is_static,
    rank_of,
    shape_of,
    shape_tensor,
    size_of,
    static_shape,
)
from .dtypes import Tensor, cast, dtype_of, result_type, tensor
from .fill import counting
from .math import compare, elementwise, where
from .network import add_layer, enum
from .pointwise import to_uint8
from .shape import permute, reshape, slice_axis, strided_slice, unsqueeze

Function = TypeVar("Function", bound=Callable[..., Any])

_UNMOVED = frozenset({torch.uint8, torch.int8})


def moves_bytes(function: Function) -> Function:
    """Let a handler that only moves data work on uint8 and int8 too, which TensorRT neither slices nor reshapes.

    They travel as float32, which holds every value of both: uint8 is cast from floating point alone.
    """

    @functools.wraps(function)
    def handler(**arguments: Any) -> Any:
        held = {dtype_of(value) for value in _tensors(arguments) if dtype_of(value) in _UNMOVED}
        if not held:
            return function(**arguments)
        if len(held) > 1 or any(dtype_of(value) not in held for value in _tensors(arguments)):
            raise UnsupportedArgumentError("tensors of 8-bit and other types cannot be joined", hint="cast to int32")
        dtype = held.pop()
        sent = {name: _travelling(value, torch.float32) for name, value in arguments.items()}
        unmoved = {id(new): old for new, old in zip(_flat(sent), _flat(arguments), strict=True) if new is not old}
        return _arrived(function(**sent), dtype, unmoved)

    return handler  # type: ignore[return-value]


def computes_bytes(function: Function) -> Function:
    """Let a handler that multiplies and adds work on uint8 too: it is computed in int32 and wraps, as in PyTorch."""

    @functools.wraps(function)
    def handler(**arguments: Any) -> Any:
        values = [value for value in _flat(arguments) if is_tensor(value) or isinstance(value, torch.Tensor)]
        if not any(dtype_of(value) == torch.uint8 for value in values):
            return function(**arguments)
        dtype = result_type(*values)
        result = function(**{name: _travelling(value, torch.int32) for name, value in arguments.items()})
        return to_uint8(result) if dtype == torch.uint8 else result

    return handler  # type: ignore[return-value]


def _flat(arguments: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    for value in arguments.values():
        found += value if isinstance(value, (list, tuple)) else [value]
    return found


def _tensors(arguments: dict[str, Any]) -> list[Any]:
    """The tensors with data among a handler's arguments: ITensors that are no sizes, and what they are joined with."""
    found = []
    for value in arguments.values():
        items = value if isinstance(value, (list, tuple)) else [value]
        if any(is_tensor(item) and dtype_of(item) in _UNMOVED for item in items):
            found += [item for item in items if is_tensor(item) or isinstance(item, torch.Tensor)]
    return found


def _travelling(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, (list, tuple)):
        return [_travelling(item, dtype) for item in value]
    if (is_tensor(value) or isinstance(value, torch.Tensor)) and dtype_of(value) in _UNMOVED:
        return cast(value, dtype)
    return value


def _arrived(value: Any, dtype: torch.dtype, unmoved: dict[int, Any]) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_arrived(item, dtype, unmoved) for item in value)
    return unmoved[id(value)] if id(value) in unmoved else cast(value, dtype)


def traced_rank(output: int = 0) -> int | None:
    """The rank that the trace recorded for an output of the node that is being converted."""
    node = building().node
    if node is None or output >= len(node.outputs) or node.outputs[output].shape is None:
        return None
    return len(node.outputs[output].shape or ())


def traced_sizes(dims: Shape) -> list[Dim]:
    """``dims``, the sizes of the first output of the node that is being converted, a -1 as the trace recorded it."""
    node = building().node
    shape = None if node is None or not node.outputs else node.outputs[0].shape
    if shape is None or len(shape) != len(dims):
        return list(dims)
    return [
        traced if isinstance(dim, int) and dim == -1 and traced is not None else dim
        for dim, traced in zip(dims, shape, strict=True)
    ]


def traced_dtype(output: int = 0) -> torch.dtype | None:
    """The dtype that the trace recorded for an output of the node that is converted; of a complex one its parts'."""
    node = building().node
    dtype = None if node is None or output >= len(node.outputs) else node.outputs[output].dtype
    return torch.float32 if dtype == torch.complex64 else dtype


def traced_device() -> str:
    """The kind of device that the node which is being converted was traced on; ``cpu`` where that is not known."""
    node = building().node
    values = [] if node is None else [*operand_values(node.args), *node.outputs]
    return next((value.device for value in values if value.device is not None), "cpu")


def iota(count: Dim) -> Tensor:
    """``0, 1, ... count - 1`` as a 1-d int64 tensor; known if ``count`` is."""
    return torch.arange(count) if isinstance(count, int) else counting(count)


def dim_remainder(value: Dim, length: Dim) -> Dim:
    """``value % length`` as in Python, for a positive length."""
    if isinstance(value, int) and isinstance(length, int):
        return value % length
    return dim_sub(value, dim_mul(dim_floordiv(value, length), length))


def wrap_index(index: Dim, length: Dim) -> Dim:
    """An index as Python reads it: a negative one counts from the end.

    Raises:
        UnsupportedArgumentError: both are known, and it is out of range.
    """
    if isinstance(index, int):
        if isinstance(length, int) and not -length <= index < length:
            raise UnsupportedArgumentError(f"index {index} is out of range for a size of {length}")
        return dim_add(index, length) if index < 0 else index
    index = as_dim(index)
    return where(compare("LESS", index, 0), as_dim(dim_add(index, length)), index)


def take(value: Tensor, index: Dim, axis: int) -> Any:
    """``value`` without ``axis``, at one index, which counts from the front."""
    return add_layer("gather", tensor(value), tensor(index, torch.int64), axis)


def wrapped_window(value: Tensor, starts: Sequence[Dim], sizes: Sequence[Dim]) -> Any:
    """``value`` continued periodically, from ``starts`` (0 or more), in ``sizes``.

    One slice layer; an axis of unknown size is brought to one element at least before it, as TensorRT for RTX 1.4 stops
    the process where there is none.
    """
    value = tensor(value)
    rank = rank_of(value)
    if not rank:
        return value
    for axis, size in enumerate(shape_of(value)):
        if not isinstance(size, int):
            value = padded(value, axis, dim_max(size, 1))
    inputs = {index: shape_tensor(dims) for index, dims in ((1, starts), (2, sizes)) if not all_known(dims)}
    fixed = [tuple(dims) if all_known(dims) else (0,) * rank for dims in (starts, sizes)]
    mode = enum("SampleMode", "WRAP")
    return add_layer("slice", value, *fixed, (1,) * rank, inputs=inputs, mode=mode)


def gather_known(value: Tensor, indices: torch.Tensor, axis: int) -> Any:
    """``value`` with ``axis`` replaced by the axes of known indices."""
    return add_layer("gather", tensor(value), tensor(indices.to(torch.int64)), axis)


def padded(value: Tensor, axis: int, total: Dim, before: Dim = 0) -> Any:
    """``value`` with zeros ``before`` and after along ``axis``, ``total`` elements in all."""
    rank = rank_of(value)
    starts: list[Dim] = [0] * rank
    starts[axis] = dim_sub(0, before)
    sizes = [total if index == axis else size_of(value, index) for index in range(rank)]
    if all_known(sizes) and tuple(sizes) == static_shape(value):
        return tensor(value)
    return strided_slice(value, starts, sizes, [1] * rank, mode="FILL")


def split_at(value: Tensor, axis: int, sizes: Sequence[Dim]) -> list[Any]:
    """Consecutive pieces of ``value`` along ``axis``; all of its elements are used."""
    if len(sizes) == 1:
        return [tensor(value)]
    pieces, start = [], 0
    for size in sizes:
        pieces.append(slice_axis(value, axis, start, size))
        start = dim_add(start, size)
    return pieces


def band_mask(rows: Dim, columns: Dim, diagonal: Dim, lower: bool) -> Tensor:
    """Booleans of shape ``(rows, columns)``: True on and below (or above) a diagonal; known if the sizes are."""
    if isinstance(rows, int) and isinstance(columns, int) and isinstance(diagonal, int):
        ones = torch.ones(rows, columns, dtype=torch.bool)
        return ones.tril(diagonal) if lower else ones.triu(diagonal)
    row, column = unsqueeze(tensor(iota(rows)), 1), unsqueeze(tensor(iota(columns)), 0)
    # column - row <= diagonal, in whole numbers; one comparison layer
    beyond = dim_add(diagonal, 1 if lower else -1)
    edge = elementwise("SUM", row, torch.tensor(beyond) if isinstance(beyond, int) else as_dim(beyond))
    return elementwise("LESS" if lower else "GREATER", column, edge)


def overlay(base: Tensor, update: Tensor, source: torch.Tensor, axis: int) -> Any:
    """``base`` with entries along ``axis`` replaced: by ``update[source[i]]``, kept where ``source[i]`` is negative."""
    rank = rank_of(base)
    mask = (source >= 0).reshape([-1 if index == axis else 1 for index in range(rank)])
    if not bool(mask.any()):
        return tensor(base)
    return where(mask, gather_known(update, source.clamp(min=0), axis), base)


def diagonal_length(rows: Dim, columns: Dim, offset: int) -> Dim:
    """How many elements the diagonal has."""
    rows, columns = dim_add(rows, min(offset, 0)), dim_sub(columns, max(offset, 0))
    return dim_max(0, dim_min(rows, columns))


def on_diagonal(base: Tensor, update: Tensor, offset: int) -> Any:
    """``base``, of shape ``(..., rows, columns)``, with ``update``, of shape ``(..., length)``, on a diagonal."""
    rows, columns = size_of(base, -2), size_of(base, -1)
    axis = rank_of(update) - 1
    spread = padded(update, axis, rows if offset >= 0 else columns)
    spread = unsqueeze(spread, axis + 1 if offset >= 0 else axis)
    return where(diagonal_mask(rows, columns, offset), spread, base)


def diagonal_mask(rows: Dim, columns: Dim, offset: int) -> Tensor:
    """Booleans of shape ``(rows, columns)``: True on one diagonal; known if the sizes are."""
    if isinstance(rows, int) and isinstance(columns, int):
        return band_mask(rows, columns, offset, lower=True) & band_mask(rows, columns, offset, lower=False)
    row, column = unsqueeze(tensor(iota(rows)), 1), unsqueeze(tensor(iota(columns)), 0)
    return elementwise("EQUAL", elementwise("SUM", row, torch.tensor(offset)), column)


def is_empty(value: Tensor) -> bool:
    """Whether a size is known to be 0."""
    return 0 in static_shape(value)


def empty_result(dims: Sequence[Dim], dtype: torch.dtype) -> torch.Tensor | None:
    """A known tensor of sizes ``dims`` if it has no elements; None if it may have some."""
    return torch.empty(tuple(dims), dtype=dtype) if all_known(dims) and 0 in dims else None


def axes_last(value: Tensor, first: int, second: int) -> Any:
    """``value`` with two axes moved to the end."""
    rank = rank_of(value)
    moved = [axis_of(first, rank), axis_of(second, rank)]
    return permute(value, [axis for axis in range(rank) if axis not in moved] + moved)


def axes_back(value: Tensor, first: int, second: int) -> Any:
    """``value`` with its last two axes moved to where :func:`axes_last` took them from."""
    rank = rank_of(value)
    moved = [axis_of(first, rank), axis_of(second, rank)]
    rest = iter(range(rank - 2))
    return permute(value, [rank - 2 + moved.index(axis) if axis in moved else next(rest) for axis in range(rank)])


def diagonal(value: Tensor, offset: int) -> Any:
    """A diagonal of the last two axes, as the last axis."""
    *lead, rows, columns = shape_of(value)
    length = diagonal_length(rows, columns, offset)
    empty = empty_result([*lead, length], dtype_of(value))
    if empty is not None:
        return empty
    flat = reshape(value, [*lead, dim_mul(rows, columns)])
    starts: list[Dim] = [0] * (len(lead) + 1)
    strides: list[Dim] = [1] * (len(lead) + 1)
    starts[-1] = offset if offset >= 0 else dim_mul(columns, -offset)
    strides[-1] = dim_add(columns, 1)
    return strided_slice(flat, starts, [*lead, length], strides)


def clamped(value: Tensor, least: Dim, most: Dim) -> Any:
    """Integers held between two sizes."""
    return elementwise("MIN", elementwise("MAX", value, as_dim(least)), as_dim(most))


def along_axis(value: Tensor, axis: int, rank: int) -> Any:
    """A vector along one axis of a tensor of ``rank`` whose other axes have size 1."""
    return unsqueeze(value, [index for index in range(rank) if index != axis])


def unsqueezed(value: Tensor, axis: int) -> Tensor:
    """As :func:`unsqueeze` for one axis; a known tensor stays known."""
    if isinstance(value, torch.Tensor):
        return derive(torch.unsqueeze, value, axis)
    return unsqueeze(value, axis)


def at_least_3d(value: Tensor) -> Any:
    """``torch.atleast_3d``: a vector lies along the middle axis, a matrix along the first two."""
    added = {0: [0, 1, 2], 1: [0, 2], 2: [2]}.get(rank_of(value), [])
    return unsqueeze(value, added) if added else tensor(value)


def dim_sum(dims: Sequence[Dim]) -> Dim:
    """The sum; 0 for none."""
    total: Dim = 0
    for dim in dims:
        total = dim if isinstance(total, int) and total == 0 else dim_add(total, dim)
    return total


def known_if_empty(function: Function) -> Function:
    """Let a handler see tensors without elements as known: of such tensors alone eager PyTorch computes the node."""

    @functools.wraps(function)
    def handler(**arguments: Any) -> Any:
        sent = {name: _known_empty(value) for name, value in arguments.items()}
        node = building().node
        if node is None or node.schema is None or has_trt_tensor(list(sent.values())):
            return function(**sent)
        args = [sent.get(argument.name, argument.default) for argument in node.schema.arguments]
        results = eager.call(node, args)
        return results[0] if len(results) == 1 else tuple(results)

    return handler  # type: ignore[return-value]


def _known_empty(value: Any) -> Any:
    if is_tensor(value) and is_empty(value) and is_static(value):
        return torch.empty(static_shape(value), dtype=dtype_of(value))
    return value
