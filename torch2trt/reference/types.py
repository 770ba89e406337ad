"""How TensorRT's data types are held in torch tensors."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import EvaluationError

# INT4 and FP4 have no torch dtype with one element per value. They are held unpacked in a dtype that represents each
# of their values exactly: -8..7 in int8, the sixteen E2M1 values in float8_e4m3fn.
_CARRIERS = {
    "FLOAT": torch.float32,
    "HALF": torch.float16,
    "BF16": torch.bfloat16,
    "INT8": torch.int8,
    "INT32": torch.int32,
    "INT64": torch.int64,
    "BOOL": torch.bool,
    "UINT8": torch.uint8,
    "FP8": torch.float8_e4m3fn,
    "INT4": torch.int8,
    "FP4": torch.float8_e4m3fn,
    "E8M0": torch.float8_e8m0fnu,
}

FLOATS = (torch.float32, torch.float16, torch.bfloat16)

# trt.DataType names that layers compute in. Other types only move, or are dequantised: TensorRT refuses them elsewhere
# (measured layer by layer with TensorRT for RTX 1.4).
FLOATING = ("FLOAT", "HALF", "BF16")
NUMERIC = (*FLOATING, "INT32", "INT64", "INT8")


def carrier(dtype: Any, compute_dtype: torch.dtype | None = None) -> torch.dtype:
    """The torch dtype that holds values of ``dtype``, a ``trt.DataType``.

    Args:
        dtype: a ``trt.DataType``.
        compute_dtype: if given, holds every value of FLOAT, HALF and BF16; quantised types keep their own.

    Raises:
        EvaluationError: a data type of a newer TensorRT.
    """
    held = _CARRIERS.get(dtype.name)
    if held is None:
        raise EvaluationError(f"the evaluator does not know TensorRT's data type {dtype.name}")
    return compute_dtype if compute_dtype is not None and held in FLOATS else held


def widen(x: torch.Tensor) -> torch.Tensor:
    """Halves as float32, in which a GPU kernel keeps what it computes before it rounds once; others as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def bit_axes(mask: int, rank: int) -> tuple[int, ...]:
    """The axes whose bits are set in a TensorRT axes mask, among the first ``rank``."""
    return tuple(axis for axis in range(rank) if mask >> axis & 1)


def dims(value: Any) -> tuple[int, ...] | None:
    """A ``trt.Dims`` as a tuple; None for the invalid Dims, or None, by which TensorRT says that none is set."""
    if value is None:
        return None
    try:
        return tuple(int(size) for size in value)
    except ValueError:  # __len__ of an invalid Dims returns -1
        return None
