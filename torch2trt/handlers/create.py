"""Tensors made inside forward: constants when their sizes are known, layers when they are not."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit
from ..emit import Dim, Shape, Tensor
from ..errors import DtypeError
from ..pairs import Complex
from ..registry import op


def _filled(dims: Shape, value: Tensor, dtype: torch.dtype) -> Any:
    """A tensor of the sizes ``dims`` that holds ``value``; of a complex dtype a pair."""
    if not dtype.is_complex:
        return emit.filled(dims, value, dtype)
    if dtype != torch.complex64:
        raise DtypeError(f"complex values of {dtype}", hint="use complex64")
    real, imag = emit.filled(dims, value, torch.float32), emit.filled(dims, 0, torch.float32)
    return torch.complex(real, imag) if emit.is_known(real, imag) else Complex(real, imag)


def _default(value: Tensor) -> torch.dtype:
    """The dtype that a tensor filled with ``value`` has by default."""
    return torch.get_default_dtype() if emit.is_float(value) else emit.dtype_of(value)


@op("aten::full")
def aten_full(size: Shape, fill_value: Tensor, dtype: torch.dtype | None = None) -> Any:
    """``full(SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None, ...) -> Tensor``."""
    return _filled(size, fill_value, dtype or _default(fill_value))


@op("aten::zeros", "aten::empty.memory_format", "aten::empty_strided")
def aten_zeros(size: Shape, dtype: torch.dtype | None = None, stride: Shape = ()) -> Any:
    """``zeros(SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor``; what ``empty`` leaves open is zero here."""
    return _filled(size, 0, dtype or torch.get_default_dtype())


@op("aten::ones")
def aten_ones(size: Shape, dtype: torch.dtype | None = None) -> Any:
    """``ones(SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor``."""
    return _filled(size, 1, dtype or torch.get_default_dtype())


@op("aten::zeros_like", "aten::empty_like")
def aten_zeros_like(self: Tensor, dtype: torch.dtype | None = None) -> Any:
    """``zeros_like(Tensor self, *, ScalarType? dtype=None, ...) -> Tensor``; ``empty_like`` too."""
    return _filled(emit.shape_of(self), 0, dtype or emit.dtype_of(self))


@op("aten::ones_like")
def aten_ones_like(self: Tensor, dtype: torch.dtype | None = None) -> Any:
    """``ones_like(Tensor self, *, ScalarType? dtype=None, ...) -> Tensor``."""
    return _filled(emit.shape_of(self), 1, dtype or emit.dtype_of(self))


@op("aten::full_like")
def aten_full_like(self: Tensor, fill_value: Tensor, dtype: torch.dtype | None = None) -> Any:
    """``full_like(Tensor self, Scalar fill_value, *, ScalarType? dtype=None, ...) -> Tensor``."""
    return _filled(emit.shape_of(self), fill_value, dtype or emit.dtype_of(self))


@op("aten::new_zeros", "aten::new_empty", "aten::new_empty_strided")
def aten_new_zeros(self: Tensor, size: Shape, dtype: torch.dtype | None = None, stride: Shape = ()) -> Any:
    """``new_zeros(Tensor self, SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor``; ``new_empty`` too."""
    return _filled(size, 0, dtype or emit.dtype_of(self))


@op("aten::new_ones")
def aten_new_ones(self: Tensor, size: Shape, dtype: torch.dtype | None = None) -> Any:
    """``new_ones(Tensor self, SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor``."""
    return _filled(size, 1, dtype or emit.dtype_of(self))


@op("aten::new_full")
def aten_new_full(self: Tensor, size: Shape, fill_value: Tensor, dtype: torch.dtype | None = None) -> Any:
    """``new_full(Tensor self, SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None, ...) -> Tensor``."""
    return _filled(size, fill_value, dtype or emit.dtype_of(self))


@op("aten::fill.Scalar", "aten::fill.Tensor")
def aten_fill(self: Tensor, value: Tensor) -> Any:
    """``fill.Scalar(Tensor self, Scalar value) -> Tensor``: the value in self's shape and dtype."""
    return emit.full_like(self, value, emit.dtype_of(self))


@op("aten::zero")
def aten_zero(self: Tensor) -> Any:
    """``zero(Tensor self) -> Tensor``."""
    return emit.full_like(self, 0, emit.dtype_of(self))


@op("aten::scalar_tensor")
def aten_scalar_tensor(s: Tensor, dtype: torch.dtype | None = None) -> Any:
    """``scalar_tensor(Scalar s, *, ScalarType? dtype=None, ...) -> Tensor``."""
    return emit.convert(emit.tensor(s), dtype or torch.get_default_dtype())


@op("aten::eye", "aten::eye.m")
def aten_eye(n: Dim, m: Dim | None = None, dtype: torch.dtype | None = None) -> Any:
    """``eye.m(SymInt n, SymInt m, *, ScalarType? dtype=None, ...) -> Tensor``."""
    rows, columns = emit.unsqueeze(emit.iota(n), 1), emit.unsqueeze(emit.iota(n if m is None else m), 0)
    return emit.cast(emit.compare("EQUAL", rows, columns), dtype or torch.get_default_dtype())


@op("aten::arange", "aten::arange.start", "aten::arange.start_step")
def aten_arange(end: Dim, start: Dim = 0, step: Dim = 1, dtype: torch.dtype | None = None) -> Any:
    """``arange.start_step(Scalar start, Scalar end, Scalar step=1, *, ScalarType? dtype=None, ...) -> Tensor``."""
    floating = any(emit.is_float(value) for value in (start, end, step))
    kind = torch.get_default_dtype() if floating else torch.int64
    return emit.counting(emit.range_count(start, end, step), start, step, dtype or kind)


@op("aten::_dim_arange")
def aten_dim_arange(like: Tensor, dim: int) -> Any:
    """``_dim_arange(Tensor like, int dim) -> Tensor``: int64, as many as there are along the axis."""
    return emit.counting(emit.size_of(like, dim), 0, 1, torch.int64)


@op("aten::linspace", "aten::linspace.Tensor_Tensor", "aten::linspace.Tensor_Scalar", "aten::linspace.Scalar_Tensor")
def aten_linspace(start: Tensor, end: Tensor, steps: Dim, dtype: torch.dtype | None = None) -> Any:
    """``linspace(Scalar start, Scalar end, int steps, *, ScalarType? dtype=None, ...) -> Tensor``.

    The first half counts from the start and the second one back from the end, as in eager. Integers are exact, which
    eager computes in float64 and cuts off.
    """
    dtype = dtype or torch.get_default_dtype()
    if not dtype.is_floating_point:
        return emit.convert(_whole_numbers(start, end, steps, dtype), dtype)
    held = dtype if emit.is_half(dtype) else torch.float32
    return emit.convert(_evenly_spaced(start, end, steps, dtype, held), dtype)


@op("aten::logspace", "aten::logspace.Tensor_Tensor", "aten::logspace.Tensor_Scalar", "aten::logspace.Scalar_Tensor")
def aten_logspace(start: Tensor, end: Tensor, steps: Dim, base: float = 10.0, dtype: torch.dtype | None = None) -> Any:
    """``logspace(Scalar start, Scalar end, int steps, float base=10.0, *, ScalarType? dtype=None, ...) -> Tensor``.

    No integers: eager cuts off powers in float64, which float32 cannot tell from the next number below.
    """
    dtype = dtype or torch.get_default_dtype()
    if not dtype.is_floating_point:
        raise DtypeError(
            f"logspace in {dtype} with an end or a size known at run time only: its powers are computed in float64",
            hint="give it dtype=torch.float32 and round the result",
        )
    return emit.convert(emit.power(base, _evenly_spaced(start, end, steps, dtype, torch.float32)), dtype)


def _evenly_spaced(start: Tensor, end: Tensor, steps: Dim, dtype: torch.dtype, held: torch.dtype) -> Any:
    """Floating-point numbers from ``start`` to ``end``, computed in ``held``.

    Eager rounds both ends to ``dtype`` first, but not the start of a single number.
    """
    if not (isinstance(steps, int) and steps == 1):
        start, end = emit.convert(emit.tensor(start), dtype), emit.convert(emit.tensor(end), dtype)
    first, last = (emit.reshape(emit.tensor(value, held), [1]) for value in (start, end))
    last_place = emit.dim_sub(steps, 1)
    gaps = emit.cast(emit.dim_max(last_place, 1), held)
    step = emit.elementwise("DIV", emit.elementwise("SUB", last, first), gaps)
    onward, back = emit.positions(steps), emit.positions(steps, last_place, -1)
    low = emit.elementwise("SUM", first, emit.elementwise("PROD", step, emit.cast(onward, held)))
    high = emit.elementwise("SUB", last, emit.elementwise("PROD", step, emit.cast(back, held)))
    first_half = emit.dim_max(emit.dim_floordiv(steps, 2), 1)  # a single number is the start
    return emit.where(emit.whole("LESS", onward, first_half), low, high)


def _whole_numbers(start: Tensor, end: Tensor, steps: Dim, dtype: torch.dtype) -> Any:
    """``start + (end - start) * place / (steps - 1)``, cut off to int64."""
    first, last = (emit.cast(emit.convert(emit.tensor(value), dtype), torch.int64) for value in (start, end))
    gaps = emit.as_dim(emit.dim_max(emit.dim_sub(steps, 1), 1))
    way = emit.mul(emit.sub(last, first), emit.positions(steps))
    result = emit.add(first, emit.floored_quotient(way, gaps))
    cut = emit.elementwise(
        "AND", emit.compare("LESS", result, 0), emit.compare("GREATER", emit.remainder(way, gaps), 0)
    )
    return emit.add(result, emit.cast(cut, torch.int64))


@op("aten::vander")
def aten_vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Any:
    """``vander(Tensor x, int? N=None, bool increasing=False) -> Tensor``: powers N - 1 to 0, or 0 to N - 1."""
    powers = aten_linalg_vander(x=x, N=N)
    return powers if increasing else emit.gather_known(powers, torch.arange(emit.size_of(powers, 1)).flip(0), 1)


@op("aten::linalg_vander")
def aten_linalg_vander(x: Tensor, N: int | None = None) -> Any:
    """``linalg_vander(Tensor x, *, SymInt? N=None) -> Tensor``: powers 0 to N - 1 along a new last axis.

    Integers give int64.
    """
    x = x if emit.is_float(x) else emit.cast(x, torch.int64)
    x = emit.reshape(x, [1]) if emit.rank_of(x) == 0 else x
    axis = emit.rank_of(x)
    count = emit.known_ints([emit.size_of(x, -1)], "N of linalg_vander")[0] if N is None else N
    base = emit.unsqueeze(x, [axis])
    columns = [emit.full_like(base, 1, emit.dtype_of(x))]
    for _ in range(1, count):
        columns.append(base if len(columns) == 1 else emit.arithmetic("PROD", columns[-1], base))
    return emit.concatenate(columns[:count], axis)
