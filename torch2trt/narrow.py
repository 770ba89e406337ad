"""Values of the narrow integer dtypes, in which TensorRT does not compute: int32 values that wrap where PyTorch wraps.

A handler gets such values as int32; what it gives is brought back into the range of the dtype that the trace recorded.
Integer arithmetic modulo 2 ** 32 is right modulo 2 ** 8 and 2 ** 16 too, so this is exact, except for ops that compute
in the narrow dtype inside and do more than add and multiply; these are refused. TensorRT has uint8 at the network's
inputs and outputs, and nowhere else; int8 and int16 inputs and outputs of the module are int32 in the network.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from . import trt_compat
from .absent import Absent
from .context import building
from .emit import cast, convert, dtype_of, elementwise, rank_of
from .errors import UnsupportedArgumentError
from .graph import Node, Value

DTYPES = frozenset({torch.uint8, torch.int8, torch.int16})


class Narrow(NamedTuple):
    """A tensor of a narrow integer dtype, known at run time only.

    Args:
        value: an int32 ITensor, its values in the range of ``dtype``.
        dtype: the dtype that PyTorch has.
    """

    value: Any
    dtype: torch.dtype


Handler = Callable[[Node, Sequence[Any]], list[Any]]

_QUANTIZED = re.compile(r"^(?!quantized_decomposed::).*quantize|^quantized::")
_CASTS = frozenset({"aten::to", "aten::_to_copy", "aten::type_as"})
_WRAPS_INSIDE = re.compile(r"loss|distance|similarity|dist$|norm|trap|upsample.*(linear|bicubic)")


def concerns(node: Node, args: Sequence[Any]) -> bool:
    """Whether a node takes or gives narrow integers that are no quantised numbers."""
    if _QUANTIZED.search(node.kind):
        return False
    if any(value.dtype in DTYPES for value in node.outputs):
        return True
    flat = list(_flat(args))
    if any(trt_compat.is_tensor(arg) and dtype_of(arg) in DTYPES for arg in flat) and node.kind not in _CASTS:
        return True
    return any(isinstance(arg, Narrow) or _is_known_narrow(arg) for arg in flat)


def _is_known_narrow(arg: Any) -> bool:
    return arg in DTYPES if isinstance(arg, torch.dtype) else isinstance(arg, torch.Tensor) and arg.dtype in DTYPES


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)) and not isinstance(value, Narrow):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _narrow_dtype(arg: Any) -> torch.dtype | None:
    """The narrow dtype of a tensor, known or not; None for anything else."""
    if isinstance(arg, (Narrow, torch.Tensor)) or trt_compat.is_tensor(arg):
        dtype = arg.dtype if isinstance(arg, (Narrow, torch.Tensor)) else dtype_of(arg)
        return dtype if dtype in DTYPES else None
    return None


def call(node: Node, args: Sequence[Any], handler: Handler) -> list[Any]:
    """A node's results from a handler that knows int32 alone.

    Raises:
        UnsupportedArgumentError: the op computes in the narrow dtype in between, or looks at the bits of its argument.
    """
    dtypes = {dtype for dtype in map(_narrow_dtype, _flat(args)) if dtype is not None}
    first = _narrow_dtype(args[0]) if args else None
    if first is not None and (_WRAPS_INSIDE.search(node.kind) or (node.kind, node.overload) == ("aten::view", "dtype")):
        raise UnsupportedArgumentError(
            f"{node.kind} of {first}: PyTorch computes in that dtype inside, where numbers wrap around",
            hint="cast to int32 or float32 before it",
        )
    context, outer = building(), building().node
    context.node = wide = dataclasses.replace(node, outputs=[_wide_value(value) for value in node.outputs])
    names = node.schema.argument_names if node.schema is not None else ("",) * len(args)
    try:
        args = _numbers_in_range(node, args) if dtypes == {torch.uint8} else args
        results = handler(wide, [_wide(arg, name == "indices") for arg, name in zip(args, names, strict=False)])
    finally:
        context.node = outer
    of_items = min(dtypes, key=str, default=None)
    return [_narrowed(result, value.dtype, of_items) for result, value in zip(results, node.outputs, strict=True)]


def _numbers_in_range(node: Node, args: Sequence[Any]) -> list[Any]:
    """Negative numbers modulo 256, as PyTorch converts them where it computes in uint8: -3 is 253."""
    types = [argument.type for argument in node.schema.arguments] if node.schema is not None else []
    if not all(value.dtype in (torch.uint8, torch.bool) for value in node.outputs):
        return list(args)
    kinds = {"number", "Optional[number]"}
    if any(_narrow_dtype(arg) is not None and rank_of(_wide(arg)) for arg in args):
        kinds.add("Tensor")  # a 0-d one counts as a number beside a tensor with dimensions
    return [
        int(arg) % 256 if kind in kinds and _is_negative(arg) else arg
        for arg, kind in itertools.zip_longest(args, types[: len(args)])
    ]


def _is_negative(arg: Any) -> bool:
    if isinstance(arg, torch.Tensor):
        return arg.dim() == 0 and arg.dtype == torch.int64 and bool(arg < 0)
    return type(arg) is int and arg < 0


def _wide_value(value: Value) -> Value:
    if value.dtype not in DTYPES:
        return value
    return Value(value.name, dtype=torch.int32, shape=value.shape, strides=value.strides, device=value.device)


def _wide(arg: Any, is_index: bool = False) -> Any:
    """An argument as the handler gets it; an index of bytes is a mask."""
    if isinstance(arg, torch.dtype):
        return torch.int32 if arg in DTYPES else arg
    if type(arg) in (list, tuple):
        return type(arg)(_wide(item, is_index) for item in arg)
    dtype = _narrow_dtype(arg)
    if dtype is None:
        return arg
    if isinstance(arg, Narrow):
        arg = arg.value
    wide = cast(arg, torch.int32)
    return convert(wide, torch.bool) if is_index and dtype == torch.uint8 else wide


def _narrowed(result: Any, dtype: torch.dtype | None, of_items: torch.dtype | None) -> Any:
    if type(result) in (list, tuple):  # of tensors, whose dtypes the trace does not record
        return type(result)(_narrowed(item, of_items, None) if _is_int32(item) else item for item in result)
    if dtype is None and of_items is not None and _is_int32(result):
        raise UnsupportedArgumentError(
            f"{of_items} values in scripted code, which does not say where they wrap", hint="cast to int32 before it"
        )
    if dtype not in DTYPES or isinstance(result, Absent):
        return result
    return Narrow(wrapped(result, dtype), dtype) if trt_compat.is_tensor(result) else cast(result, dtype)


def _is_int32(value: Any) -> bool:
    return (trt_compat.is_tensor(value) or isinstance(value, torch.Tensor)) and dtype_of(value) == torch.int32


def wrapped(value: Any, dtype: torch.dtype) -> Any:
    """An ITensor of integers or booleans as int32, brought into the range of ``dtype`` by its number of bits."""
    held, info = dtype_of(value), torch.iinfo(dtype)
    if held not in (torch.int32, torch.int64):
        value, held = cast(value, torch.int32), torch.int32
    turns, low = (torch.tensor(number, dtype=held) for number in (2**info.bits, info.min))
    shifted = elementwise("SUB", value, low) if info.min else value
    turned = elementwise("PROD", elementwise("FLOOR_DIV", shifted, turns), turns)
    rest = elementwise("SUB", shifted, turned)
    return cast(elementwise("SUM", rest, low) if info.min else rest, torch.int32)


def as_output(value: Any) -> Any:
    """A result of the module: uint8 values as such, which TensorRT can give; all others as they are."""
    if isinstance(value, Narrow) and value.dtype == torch.uint8:
        return cast(value.value, torch.uint8)
    return value


def plain(value: Any) -> Any:
    """A value as a handler of the user's, and the body of an if or a loop, takes it.

    Raises:
        UnsupportedArgumentError: it is int8 or int16.
    """
    value = as_output(value)
    if isinstance(value, Narrow):
        raise UnsupportedArgumentError(
            f"{value.dtype} values in a handler of the user's, an if or a loop", hint="cast to int32 before it"
        )
    return value
