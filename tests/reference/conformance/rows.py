"""Shorthand for writing cases."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import torch

F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16
I32, I64, BOOL = torch.int32, torch.int64, torch.bool
HALVES = (F16, BF16)


def data(
    label: str, shape: Sequence[int], dtype: torch.dtype = F32, low: float = -2.0, high: float = 2.0
) -> torch.Tensor:
    """Values between ``low`` and ``high``, the same for the same label."""
    generator = torch.Generator().manual_seed(zlib.crc32(label.encode()))
    if dtype == BOOL:
        return torch.rand(tuple(shape), generator=generator) > 0.5
    values = torch.rand(tuple(shape), generator=generator) * (high - low) + low
    return values.to(dtype) if dtype.is_floating_point else values.floor().to(dtype)


def coarse(
    label: str, shape: Sequence[int], dtype: torch.dtype = F32, low: float = -2.0, high: float = 2.0
) -> torch.Tensor:
    """As ``data``; float32 in steps of 1/8, for layers that multiply on tensor cores.

    TensorRT for RTX 1.4 multiplies float32 there in TF32, whether or not BuilderFlag.TF32 is set: with an 11-bit
    significand, which is good for 3e-4 to 2e-3. TF32 holds these values, and float32 their products and sums, exactly,
    so that what is left to differ is what the layer means.
    """
    values = data(label, shape, dtype, low, high)
    return (values * 8).round() / 8 if dtype == F32 else values


def wide(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` computed in float32 of half inputs, its floating-point results in the first input's dtype."""

    def run(*inputs: torch.Tensor) -> Any:
        dtype = next((x.dtype for x in inputs if x.dtype.is_floating_point), F32)
        results = function(*(x.float() if x.dtype in HALVES else x for x in inputs))
        several = isinstance(results, tuple)
        cast = tuple(r.to(dtype) if r.dtype == F32 else r for r in (results if several else (results,)))
        return cast if several else cast[0]

    return run


def bits(*axes: int) -> int:
    """A TensorRT axes mask."""
    return sum(1 << axis for axis in axes)
