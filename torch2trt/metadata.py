"""Questions about a tensor that its shape and dtype answer, so that its data need not be known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from . import eager, trt_compat
from .graph import Node, Value
from .narrow import Narrow
from .pairs import Complex

KINDS = frozenset(
    {
        "aten::size",
        "aten::sym_size",
        "aten::dim",
        "aten::numel",
        "aten::sym_numel",
        "aten::_shape_as_tensor",
        "aten::len",
        "aten::stride",
        "aten::storage_offset",
        "aten::is_floating_point",
        "aten::is_complex",
        "aten::is_signed",
        "aten::is_contiguous",
        "aten::element_size",
        "aten::requires_grad",
        "prim::dtype",
        "prim::layout",
        "prim::device",
        "prim::is_cuda",
        "prim::is_cpu",
        "prim::is_quantized",
        "prim::is_sparse",
        "prim::is_nested",
        "prim::is_meta",
        "prim::is_mkldnn",
        "prim::requires_grad",
    }
)

_WITHOUT_SIZES = KINDS - {
    f"aten::{name}"
    for name in (
        *("size", "sym_size", "numel", "sym_numel", "_shape_as_tensor"),
        *("len", "stride", "storage_offset", "is_contiguous"),
    )
}
"""Questions that a tensor's rank and dtype answer."""

_FIXED: dict[str, Any] = {
    "prim::device": torch.device("cpu"),
    "prim::is_cuda": False,
    "prim::is_cpu": True,
    "prim::is_meta": False,
    "prim::requires_grad": False,
    "aten::requires_grad": False,
}


def answer(node: Node, args: Sequence[Any], describe: Callable[[Any], Any]) -> list[Any] | None:
    """The node's outputs if it only asks for metadata that is known; None otherwise.

    Args:
        node: any node.
        args: its arguments, of which some stand for run-time tensors.
        describe: gives a meta tensor of the same shape and dtype for such an argument, None where a size is unknown,
            and any other argument as it is.
    """
    if node.kind not in KINDS:
        return None
    if node.kind in _FIXED:
        return [_FIXED[node.kind]]
    described = [_described(argument, describe, node.kind in _WITHOUT_SIZES) for argument in args]
    if any(found is None and given is not None for found, given in zip(described, args, strict=True)):
        return None
    if node.kind in ("aten::size", "aten::sym_size") and len(args) == 2 and isinstance(args[1], int):
        return [described[0].shape[args[1]]]
    return eager.call(node, described)


def _described(argument: Any, describe: Callable[[Any], Any], any_sizes: bool) -> Any:
    described = describe(argument)
    if described is not None or not any_sizes:
        return described
    if isinstance(argument, Complex):
        rank, dtype = len(_run_time_part(argument).shape), torch.complex64
    elif trt_compat.is_tensor(argument):
        rank, dtype = len(argument.shape), trt_compat.to_torch_dtype(argument.dtype)
    elif isinstance(argument, Value) and argument.shape is not None and argument.dtype is not None:
        rank, dtype = len(argument.shape), argument.dtype
    else:
        return None
    return torch.empty((1,) * rank, dtype=dtype, device="meta")


def describe_value(value: Any) -> Any:
    """A meta tensor for a graph value whose traced type is complete, None for any other value."""
    if not isinstance(value, Value):
        return value
    if value.shape is None or value.dtype is None or None in value.shape:
        return None
    shape = tuple(size for size in value.shape if size is not None)
    if value.strides is not None:
        return torch.empty_strided(shape, value.strides, dtype=value.dtype, device="meta")
    return torch.empty(shape, dtype=value.dtype, device="meta")


def describe_traced(value: Any, trace: int) -> Any:
    """As :func:`describe_value`, with the sizes and strides of the first or second trace where sizes are dynamic."""
    if not isinstance(value, Value) or value.traced is None:
        return describe_value(value)
    shape, strides = value.traced[trace]
    if value.dtype is None or strides is None:
        return None
    return torch.empty_strided(shape, strides, dtype=value.dtype, device="meta")


def describe_tensor(value: Any) -> Any:
    """A meta tensor for an ITensor whose sizes are all known, None for any other ITensor."""
    if isinstance(value, Narrow):
        return _retyped(describe_tensor(value.value), value.dtype)
    if isinstance(value, Complex):
        return _retyped(describe_tensor(_run_time_part(value)), torch.complex64)
    if not trt_compat.is_tensor(value):
        return value
    shape = tuple(value.shape)
    if any(size < 0 for size in shape):
        return None
    return torch.empty(shape, dtype=trt_compat.to_torch_dtype(value.dtype), device="meta")


def _retyped(described: Any, dtype: torch.dtype) -> Any:
    return None if described is None else described.to(dtype)


def _run_time_part(value: Complex) -> Any:
    return value.real if trt_compat.is_tensor(value.real) else value.imag


def static_size(node: Node, args: Sequence[Any]) -> list[Any] | None:
    """One size that is known although others are not: ``x.size(1)`` where only axis 0 is dynamic."""
    if node.kind != "aten::size" or len(args) != 2 or not isinstance(args[0], Value) or args[0].shape is None:
        return None
    axis = args[1]
    if not isinstance(axis, int) or not -len(args[0].shape) <= axis < len(args[0].shape):
        return None
    size = args[0].shape[axis]
    return None if size is None else [size]


def compared_with_none(node: Node, args: Sequence[Any]) -> list[Any] | None:
    """``x is None`` or ``x is not None`` for a value that is a tensor for certain."""
    if node.kind not in ("aten::__is__", "aten::__isnot__") or args.count(None) != 1:
        return None
    (value,) = [argument for argument in args if argument is not None]
    return [node.kind == "aten::__isnot__"] if isinstance(value, Value) and _is_tensor(value) else None


def _is_tensor(value: Value) -> bool:
    if value.dtype is not None or value.node is None or value.node.schema is None:
        return value.dtype is not None
    schema = value.node.schema
    index = value.node.outputs.index(value)
    return index < len(schema.returns) and schema.returns[index].type == "Tensor"
