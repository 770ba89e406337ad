"""Between tensors, Python numbers and lists."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit
from ..emit import Dim, Tensor
from ..registry import op


@op("aten::Int.Tensor", "aten::IntImplicit")
def aten_int_tensor(a: Tensor) -> Dim:
    """``Int.Tensor(Tensor a) -> int``: a tensor of one element as a 0-d int64 tensor, fractions cut off."""
    return emit.as_dim(emit.convert(a, torch.int64))


@op("aten::Int.Scalar", "aten::Int.float", "aten::Int.bool")
def aten_int(a: Any) -> Dim:
    """``Int.Scalar(Scalar a) -> int``: fractions cut off."""
    return emit.as_dim(emit.convert(emit.tensor(a), torch.int64))


@op("aten::Float.Tensor", "aten::Float.Scalar", "aten::Float.bool")
def aten_float(a: Any) -> Any:
    """``Float.Tensor(Tensor a) -> float``: as a 0-d float32 tensor."""
    return emit.scalar(emit.convert(emit.tensor(a), torch.float32))


@op("aten::Bool.Tensor", "aten::Bool.int", "aten::Bool.float")
def aten_bool(a: Any) -> Any:
    """``Bool.Tensor(Tensor a) -> bool``: as a 0-d boolean tensor."""
    return emit.scalar(emit.convert(emit.tensor(a), torch.bool))


@op("aten::ScalarImplicit", "aten::item")
def aten_item(a: Any = None, self: Any = None) -> Any:
    """``item(Tensor self) -> Scalar``: as a 0-d tensor; an integer may serve as a size."""
    value = emit.scalar(self if a is None else a)
    return emit.as_dim(value) if emit.is_integer(value) else value


@op("prim::NumToTensor.Scalar")
def prim_num_to_tensor(a: Any) -> Any:
    """``NumToTensor.Scalar(Scalar a) -> Tensor``: a number as a 0-d tensor."""
    return emit.tensor(a)


@op("aten::tensor.int", "aten::tensor.float", "aten::tensor.bool")
@op("aten::as_tensor.int", "aten::as_tensor.float", "aten::as_tensor.bool")
def aten_tensor_of_number(t: Any, dtype: torch.dtype | None = None) -> Any:
    """``tensor.int(int t, *, ScalarType? dtype=None, ...) -> Tensor``."""
    value = emit.tensor(t)
    return value if dtype is None else emit.convert(value, dtype)


@op("aten::tensor", "aten::as_tensor.list")
def aten_tensor(data: Any, dtype: torch.dtype | None = None) -> Any:
    """``tensor(t[] data, *, ScalarType? dtype=None, ...) -> Tensor``: of a list of numbers, nested at will."""
    shape, numbers = _flattened(data)
    chosen = emit.result_type(*numbers) if numbers else torch.get_default_dtype()
    if not numbers:
        return torch.empty(shape, dtype=dtype or chosen)
    parts = [emit.reshape(emit.cast(number, chosen), [1]) for number in numbers]
    whole = emit.reshape(emit.concatenate(parts, 0), shape)
    return whole if dtype is None else emit.convert(whole, dtype)


def _flattened(data: Any) -> tuple[list[int], list[Any]]:
    """The sizes of a nested list, and its items in order."""
    if not isinstance(data, (list, tuple)):
        return [], [data]
    parts = [_flattened(item) for item in data]
    return [len(parts), *(parts[0][0] if parts else [])], [number for _, numbers in parts for number in numbers]


@op("aten::len.Tensor")
def aten_len(t: Tensor) -> Dim:
    """``len.Tensor(Tensor t) -> int``."""
    return emit.size_of(t, 0)
