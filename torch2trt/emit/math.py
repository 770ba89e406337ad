"""Arithmetic: elementwise, unary, activations, comparisons, reductions, products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .dims import Dim, axes_mask, rank_of, static_shape
from .dtypes import Tensor, cast, dtype_of, is_bool, is_float, promote, promoted, result_type, tensor
from .network import add_layer, add_layer_object, enum
from .shape import align_ranks, reshape, unsqueeze


def binary(operation: str, left: Tensor, right: Tensor) -> Any:
    """``left <operation> right`` with PyTorch's promotion and broadcasting.

    Args:
        operation: a member of ``trt.ElementWiseOperation``.
        left: a tensor or number.
        right: a tensor or number.
    """
    return elementwise(operation, *promoted(left, right))


_ABSORBING = {"AND": False, "OR": True}


def elementwise(operation: str, left: Tensor, right: Tensor) -> Any:
    """As :func:`binary`, for operands of one dtype already."""
    absorbing = _ABSORBING.get(operation)
    for mask, other in ((left, right), (right, left)):
        if absorbing is not None and isinstance(mask, torch.Tensor) and bool((mask == absorbing).all()):
            # TensorRT for RTX 1.4 fails to build these where one operand decides the result alone
            condition, mask, other = align_ranks([mask, mask, other])
            chosen = (mask, other) if absorbing else (other, mask)
            return add_layer("select", condition, *chosen)
    left, right = align_ranks([left, right])
    return add_layer("elementwise", left, right, enum("ElementWiseOperation", operation))


def unary(operation: str, value: Tensor) -> Any:
    """One element at a time; ``operation`` is a member of ``trt.UnaryOperation``."""
    value = tensor(value)
    return add_layer("unary", value, enum("UnaryOperation", operation))


def identity(value: Any) -> Any:
    """A tensor of its own with the same elements."""
    return add_layer("identity", value)


def activation(kind: str, value: Tensor, alpha: float | None = None, beta: float | None = None) -> Any:
    """An activation layer; ``kind`` is a member of ``trt.ActivationType``."""
    settings: dict[str, Any] = {
        name: number for name, number in (("alpha", alpha), ("beta", beta)) if number is not None
    }
    return add_layer("activation", tensor(value), enum("ActivationType", kind), **settings)


def to_float(value: Tensor) -> Any:
    """``value`` in the dtype in which PyTorch computes functions of it: integers and booleans become float."""
    return promote(value, to_float=True)[0]


def logical(value: Tensor) -> Any:
    """``value != 0`` as a boolean tensor."""
    if is_bool(value):
        return tensor(value)
    return logical_not(compare("EQUAL", value, 0))


def logical_not(value: Tensor) -> Any:
    """The complement of a boolean tensor."""
    return unary("NOT", value)


def compare(operation: str, left: Tensor, right: Tensor) -> Any:
    """``EQUAL``, ``GREATER`` or ``LESS``, with PyTorch's promotion; a boolean tensor."""
    left, right = promoted(left, right)
    if dtype_of(left) in (torch.bool, torch.uint8):  # TensorRT orders and compares wider numbers only
        left, right = cast(left, torch.int32), cast(right, torch.int32)
    return elementwise(operation, left, right)


def where(condition: Tensor, chosen: Tensor, other: Tensor) -> Any:
    """``chosen`` where ``condition``, else ``other``; promoted and broadcast."""
    dtype = result_type(chosen, other)
    condition, chosen, other = align_ranks([condition, cast(chosen, dtype), cast(other, dtype)])
    return add_layer("select", condition, chosen, other)


def reduce(operation: str, value: Tensor, axes: Sequence[int], keepdim: bool) -> Any:
    """A reduction over ``axes``, counted from the front; ``operation`` is a member of ``trt.ReduceOperation``."""
    value = tensor(value)
    if rank_of(value) == 0:  # TensorRT reduces tensors of rank 1 and higher
        return reduce(operation, reshape(value, [1]), [0], keepdim=False)
    if not axes:
        return value
    return add_layer("reduce", value, enum("ReduceOperation", operation), axes_mask(axes), keepdim)


def softmax(value: Tensor, axis: int) -> Any:
    """Softmax along one axis, counted from the front."""
    value = tensor(value)
    rank = rank_of(value)
    if rank < 2:  # TensorRT's softmax takes rank 2 and higher
        flat = add_layer("softmax", reshape(value, [1, -1] if rank else [1, 1]), axes=2)
        return reshape(flat, [-1] if rank else [])
    return add_layer("softmax", value, axes=1 << axis)


def matmul(left: Tensor, right: Tensor, transpose_left: bool = False, transpose_right: bool = False) -> Any:
    """The matrix product of the two last axes, for operands of one dtype and rank 2 and higher; the others broadcast.

    Args:
        left: of shape ``(..., n, k)``, or ``(..., k, n)`` if transposed.
        right: of shape ``(..., k, m)``, or ``(..., m, k)`` if transposed.
        transpose_left: exchange the last two axes of ``left``.
        transpose_right: exchange the last two axes of ``right``.
    """
    left, right = align_ranks([left, right])
    modes = [enum("MatrixOperation", "TRANSPOSE" if flag else "NONE") for flag in (transpose_left, transpose_right)]
    return add_layer("matrix_multiply", left, modes[0], right, modes[1])


def summed_products(left: Tensor, right: Tensor) -> Any:
    """``left @ right`` element by element, for operands of one dtype and rank 2 and higher: exact where matmul rounds.

    Slower than :func:`matmul` for large matrices.
    """
    left, right = align_ranks([left, right])
    rank = rank_of(left)
    if static_shape(left)[-1] == 1:
        return elementwise("PROD", left, right)
    products = elementwise("PROD", unsqueeze(left, rank), unsqueeze(right, rank - 2))
    return reduce("SUM", products, [rank - 1], keepdim=False)


def topk(operation: str, value: Tensor, k: Dim, axis: int) -> tuple[Any, Any]:
    """The ``k`` largest (``MAX``) or smallest (``MIN``) along ``axis``, sorted, and their int32 indices."""
    known = isinstance(k, int)
    inputs = None if known else {1: cast(k, torch.int32)}
    kind = enum("TopKOperation", operation)
    layer = add_layer_object("topk", tensor(value), kind, k if known else 1, 1 << axis, inputs=inputs)
    return layer.get_output(0), layer.get_output(1)


def gather(value: Tensor, indices: Tensor, axis: int) -> Any:
    """``value`` with ``axis`` replaced by the axes of ``indices``, which must be in range and non-negative."""
    return add_layer("gather", tensor(value), tensor(indices), axis)


def gather_elements(value: Tensor, indices: Tensor, axis: int) -> Any:
    """``value[..., indices[..., i, ...], ...]``: as ``torch.gather``; indices in range and non-negative."""
    return add_layer("gather_v2", tensor(value), tensor(indices), enum("GatherMode", "ELEMENT"), axis=axis)


def scatter_elements(value: Tensor, indices: Tensor, updates: Tensor, axis: int) -> Any:
    """``value`` with ``updates`` written at ``indices`` along ``axis``: as ``torch.scatter`` with unique indices."""
    layer = add_layer_object(
        "scatter", tensor(value), tensor(indices), tensor(updates), enum("ScatterMode", "ELEMENT"), axis=axis
    )
    return layer.get_output(0)


def scatter_nd(value: Tensor, indices: Tensor, updates: Tensor) -> Any:
    """``value`` with slices replaced: each vector along the last axis of ``indices`` is where one goes."""
    return add_layer("scatter", tensor(value), tensor(indices), tensor(updates), enum("ScatterMode", "ND"))


def add(left: Tensor, right: Tensor) -> Any:
    """The sum, promoted and broadcast."""
    return binary("SUM", left, right)


def sub(left: Tensor, right: Tensor) -> Any:
    """The difference, promoted and broadcast."""
    return binary("SUB", left, right)


def mul(left: Tensor, right: Tensor) -> Any:
    """The product, promoted and broadcast."""
    return binary("PROD", left, right)


def true_divide(left: Tensor, right: Tensor) -> Any:
    """The quotient in floating point, promoted and broadcast."""
    return elementwise("DIV", *promoted(left, right, to_float=True))


def compute_in_float32(value: Tensor) -> Any:
    """``value`` in float32 if it is half precision, else unchanged."""
    return cast(value, torch.float32) if is_float(value) and dtype_of(value).itemsize < 4 else tensor(value)


def in_float32(function: Callable[[Any], Any], value: Tensor) -> Any:
    """``function`` of a value in float32, in the float dtype that PyTorch gives."""
    value = to_float(value)
    return cast(function(compute_in_float32(value)), dtype_of(value))
