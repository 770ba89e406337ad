"""Running sums, products and extrema; differences and integrals along an axis."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op


@op("aten::cumsum")
def aten_cumsum(self: Tensor, dim: int, dtype: torch.dtype | None = None) -> Any:
    """``cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor``."""
    return _running(self, dim, emit.sum_dtype(self, dtype), emit.cumulative_sum)


@op("aten::cumprod")
def aten_cumprod(self: Tensor, dim: int, dtype: torch.dtype | None = None) -> Any:
    """``cumprod(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor``."""
    return _running(self, dim, emit.sum_dtype(self, dtype), emit.running_product)


def _running(value: Tensor, dim: int, dtype: torch.dtype, function: Any) -> Any:
    value = emit.convert(value, dtype)
    rank = emit.rank_of(value)
    axis = emit.axis_of(dim, rank)
    if rank == 0 or emit.is_empty(value):
        return value
    wide = torch.float32 if emit.is_half(dtype) else torch.int32 if dtype == torch.bool else emit.computable(dtype)
    return emit.convert(function(emit.cast(value, wide), axis), dtype)


@op("aten::logcumsumexp")
def aten_logcumsumexp(self: Tensor, dim: int) -> Any:
    """``logcumsumexp(Tensor self, int dim) -> Tensor``."""
    return _running(self, dim, emit.dtype_of(self), emit.running_log_sum_exp)


def _register_extreme(name: str, operation: str) -> None:
    def handler(self: Tensor, dim: int) -> Any:
        rank = emit.rank_of(self)
        axis = emit.axis_of(dim, rank)
        if rank == 0 or emit.is_empty(self):
            return emit.tensor(self), emit.filled(emit.shape_of(self), 0, torch.int64)
        dtype = emit.dtype_of(self)
        wide = torch.int32 if dtype in (torch.bool, torch.uint8) else dtype
        values, indices = emit.running_extreme(operation, emit.cast(self, wide), axis)
        return emit.convert(values, dtype), indices

    handler.__doc__ = f"``{name}(Tensor self, int dim) -> (Tensor values, Tensor indices)``: the last of equals."
    op(f"aten::{name}")(handler)


_register_extreme("cummax", "MAX")
_register_extreme("cummin", "MIN")


def _neighbours(value: Tensor, axis: int) -> tuple[Any, Any]:
    """All elements along ``axis`` but the last, and all but the first."""
    count = emit.dim_max(0, emit.dim_sub(emit.size_of(value, axis), 1))
    return emit.slice_axis(value, axis, 0, count), emit.slice_axis(value, axis, 1, count)


@op("aten::diff")
def aten_diff(self: Tensor, n: int = 1, dim: int = -1, prepend: Tensor = None, append: Tensor = None) -> Any:
    """``diff(Tensor self, int n=1, int dim=-1, Tensor? prepend=None, Tensor? append=None) -> Tensor``; of booleans,
    whether neighbours differ.
    """
    if n == 0:
        return emit.tensor(self)
    axis = emit.axis_of(dim, emit.rank_of(self))
    parts = [part for part in (prepend, self, append) if part is not None]
    dtype = emit.result_type(*parts)
    if emit.dtype_of(self) == torch.uint8:
        raise UnsupportedArgumentError("differences of uint8 wrap, which TensorRT cannot do", hint="cast to int32")
    value: Any = emit.concatenate([emit.cast(part, dtype) for part in parts], axis)
    length = emit.size_of(value, axis)
    for _ in range(min(n, length) if isinstance(length, int) else n):
        earlier, later = _neighbours(value, axis)
        value = emit.elementwise("XOR" if dtype == torch.bool else "SUB", later, earlier)
    return value


def _areas(y: Tensor, x: Tensor | None, dx: float, dim: int) -> tuple[Any, int]:
    """Width times mean height between neighbours along an axis, and that axis."""
    rank = emit.rank_of(y)
    axis = emit.axis_of(dim, rank)
    heights = emit.arithmetic("SUM", *_neighbours(_numbers(y), axis))
    if x is None:
        return emit.arithmetic("PROD", heights, dx / 2), axis
    x = _numbers(x)
    if emit.rank_of(x) == 1 and rank > 1:
        x = emit.along_axis(x, axis, rank)
    x = emit.pad_rank(x, rank)
    earlier, later = _neighbours(x, emit.axis_of(dim, emit.rank_of(x)))
    widths = emit.arithmetic("SUB", later, earlier)
    return emit.true_divide(emit.arithmetic("PROD", heights, widths), 2), axis


def _numbers(value: Tensor) -> Any:
    """``value``; booleans and uint8, which PyTorch adds as such, are refused."""
    if emit.dtype_of(value) in (torch.bool, torch.uint8):
        raise UnsupportedArgumentError(f"trapezoids of {emit.dtype_of(value)} wrap around", hint="cast to float32")
    return emit.tensor(value)


@op("aten::trapezoid.x", "aten::trapezoid.dx", "aten::trapz.x", "aten::trapz.dx")
def aten_trapezoid(y: Tensor, x: Tensor = None, dx: float = 1, dim: int = -1) -> Any:
    """``trapezoid.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor``, ``trapezoid.dx(Tensor y, *, Scalar dx=1, int
    dim=-1) -> Tensor``.
    """
    areas, axis = _areas(y, x, dx, dim)
    dtype = emit.traced_dtype() or emit.dtype_of(areas)
    return emit.accumulated("SUM", areas, [axis], False, dtype)


@op("aten::cumulative_trapezoid.x", "aten::cumulative_trapezoid.dx")
def aten_cumulative_trapezoid(y: Tensor, x: Tensor = None, dx: float = 1, dim: int = -1) -> Any:
    """``cumulative_trapezoid.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor``."""
    areas, axis = _areas(y, x, dx, dim)
    dtype = emit.traced_dtype() or emit.dtype_of(areas)
    return _running(areas, axis, dtype, emit.cumulative_sum)
