"""Data types: what a value's is, PyTorch's promotion rules, and casts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch

from ..context import building, current
from ..errors import DtypeError
from ..trt_compat import is_rtx, is_tensor, to_torch_dtype, to_trt_dtype
from ..weights import derive
from .constants import constant
from .network import add_layer, is_product, kept_apart

Tensor = Any
"""A ``trt.ITensor``, or a value known at conversion: a ``torch.Tensor`` or a Python number."""


def dtype_of(value: Tensor) -> torch.dtype:
    """The torch dtype of a value; of a Python number, the one that ``torch.tensor`` would give it."""
    if isinstance(value, torch.Tensor):
        return value.dtype
    if isinstance(value, bool):
        return torch.bool
    if isinstance(value, int):
        return torch.int64
    if isinstance(value, float):
        return torch.get_default_dtype()
    if is_tensor(value):
        return to_torch_dtype(value.dtype)
    raise DtypeError(f"{type(value).__name__} is no tensor and no real number")


def is_float(value: Tensor | torch.dtype) -> bool:
    """Whether a value, or a dtype, is floating point."""
    return (value if isinstance(value, torch.dtype) else dtype_of(value)).is_floating_point


def is_bool(value: Tensor) -> bool:
    """Whether a value is boolean."""
    return dtype_of(value) == torch.bool


def held_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which the network holds values of ``dtype``.

    Raises:
        DtypeError: it is float64 and ``allow_float64_as_float32`` was not given.
    """
    if dtype != torch.float64:
        return dtype
    context = current()
    if context is not None and context.allow_float64_as_float32:
        return torch.float32
    raise DtypeError(
        "this op computes in float64, which TensorRT does not have",
        hint="cast to float32 in the model, or pass allow_float64_as_float32=True",
    )


@functools.cache
def _stand_in(dtype: torch.dtype, scalar: bool) -> torch.Tensor:
    return torch.empty(() if scalar else (1,), dtype=dtype, device="meta")


def _for_promotion(value: Tensor) -> Any:
    if isinstance(value, (bool, int, float)):
        return value
    return _stand_in(dtype_of(value), value.dim() == 0 if isinstance(value, torch.Tensor) else not len(value.shape))


def _category(dtype: torch.dtype) -> int:
    return 2 if dtype.is_floating_point else 0 if dtype == torch.bool else 1


def result_type(*values: Tensor, to_float: bool = False) -> torch.dtype:
    """The dtype that PyTorch gives an operation on these values.

    Tensors with dimensions decide; 0-d tensors count only if their category (bool, integer, float) is higher, Python
    numbers only if theirs is higher than both (torch.result_type's documentation).

    Args:
        values: at least one.
        to_float: integers and booleans compute in the default float dtype, as in ``torch.div`` or ``torch.exp``.
    """
    dtype = _common_dtype(values)
    return torch.get_default_dtype() if to_float and not dtype.is_floating_point else dtype


def _common_dtype(values: Sequence[Tensor]) -> torch.dtype:
    if len(values) == 2 and not all(isinstance(value, (bool, int, float)) for value in values):
        return torch.result_type(*(_for_promotion(value) for value in values))
    ranks: list[torch.dtype | None] = [None, None, None]
    for value in values:
        proxy = _for_promotion(value)
        rank = (0 if proxy.dim() else 1) if isinstance(proxy, torch.Tensor) else 2
        dtype, known = dtype_of(proxy), ranks[rank]
        ranks[rank] = dtype if known is None else torch.promote_types(known, dtype)
    result: torch.dtype | None = None
    for dtype in ranks:  # type: ignore[assignment]
        if dtype is not None and (result is None or _category(dtype) > _category(result)):
            result = dtype
    if result is None:
        raise DtypeError("no values to promote")
    return result


def cast(value: Tensor, dtype: torch.dtype) -> Tensor:
    """``value`` in ``dtype``; a known tensor stays known, a number becomes a 0-d tensor."""
    if isinstance(value, (bool, int, float)):
        return torch.tensor(value, dtype=dtype)
    if isinstance(value, torch.Tensor):
        return value if value.dtype == dtype else derive(torch.Tensor.to, value, dtype)
    dtype = held_dtype(dtype)
    source = dtype_of(value)
    if source == dtype:
        return value
    if torch.uint8 in (source, dtype) and not (source.is_floating_point or dtype.is_floating_point):
        # NvInferRuntimeBase.h, DataType::kUINT8: it is converted from and to floating point alone
        value = add_layer("cast", value, to_trt_dtype(torch.float32))
    widened = building().state.widened
    if id(value) in widened and dtype == dtype_of(widened[id(value)][0]):
        return widened[id(value)][0]  # to float32 and back is the same number
    if dtype == torch.bfloat16 and source == torch.float32 and is_rtx() and is_product(value):
        # TensorRT for RTX 1.4 joins the cast to the product, and gives NaN where the result is moved (H200).
        return kept_apart(add_layer("cast", kept_apart(value), to_trt_dtype(dtype)))
    result = add_layer("cast", value, to_trt_dtype(dtype))
    if dtype == torch.float32 and source in (torch.float16, torch.bfloat16):
        widened[id(result)] = (value, result)
    return result


def tensor(value: Tensor, dtype: torch.dtype | None = None) -> Any:
    """``value`` as an ITensor, in ``dtype`` if given."""
    if dtype is not None:
        value = cast(value, dtype)
    elif isinstance(value, (bool, int, float)):
        value = torch.tensor(value)
    if isinstance(value, torch.Tensor):
        if value.dtype == torch.float64:
            value = cast(value, held_dtype(value.dtype))
        return constant(value)
    return value


def promoted(*values: Tensor, to_float: bool = False) -> list[Tensor]:
    """The values in the dtype that PyTorch would compute in (see :func:`result_type`); those that are known stay so."""
    dtype = result_type(*values, to_float=to_float)
    return [cast(value, dtype) for value in values]


def promote(*values: Tensor, to_float: bool = False) -> list[Any]:
    """As :func:`promoted`, all of them as ITensors."""
    return [tensor(value) for value in promoted(*values, to_float=to_float)]
