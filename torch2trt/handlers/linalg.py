"""Linear systems, determinants, inverses and functions of matrices, step by step over the columns.

PyTorch raises an error for singular matrices and the like; an engine gives infinities or NaN there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Tensor, matrix
from ..errors import DtypeError
from ..registry import op


def _log_determinant(value: Tensor) -> tuple[Any, Any]:
    """The determinant's sign, and the logarithm of its magnitude."""
    reduced, sign = matrix.eliminate(value, emit.size_of(value, -1))
    diagonal = matrix.diagonal_of(reduced)
    axis = emit.rank_of(diagonal) - 1
    one, minus = matrix.ONE, torch.tensor(-1.0)
    signs = emit.where(emit.compare("LESS", diagonal, 0), minus, one)
    signs = emit.where(emit.compare("EQUAL", diagonal, 0), matrix.ZERO, signs)
    logs = emit.unary("LOG", emit.unary("ABS", diagonal))
    total = emit.reduce("SUM", logs, [axis], keepdim=False)
    return emit.elementwise("PROD", sign, emit.reduce("PROD", signs, [axis], keepdim=False)), total


def _determinant(value: Tensor) -> Any:
    if emit.size_of(value, -1) == 0:
        return emit.filled(emit.shape_of(value)[:-2], 1.0, torch.float32)
    reduced, sign = matrix.eliminate(value, emit.size_of(value, -1))
    product = emit.reduce("PROD", matrix.diagonal_of(reduced), [emit.rank_of(value) - 2], keepdim=False)
    return emit.elementwise("PROD", sign, product)


@op("aten::linalg_det")
@emit.known_if_empty
def aten_linalg_det(A: Tensor) -> Any:
    """``linalg_det(Tensor A) -> Tensor``."""
    return _determinant(A)


@op("aten::linalg_slogdet", "aten::slogdet")
@emit.known_if_empty
def aten_slogdet(A: Tensor | None = None, self: Tensor | None = None) -> Any:
    """``linalg_slogdet(Tensor A) -> (Tensor sign, Tensor logabsdet)``."""
    return _log_determinant(self if A is None else A)


@op("aten::logdet")
@emit.known_if_empty
def aten_logdet(self: Tensor) -> Any:
    """``logdet(Tensor self) -> Tensor``; NaN for a negative determinant."""
    sign, logarithm = _log_determinant(self)
    return emit.where(emit.compare("LESS", sign, 0), torch.tensor(math.nan), logarithm)


@op("aten::trace")
@emit.known_if_empty
def aten_trace(self: Tensor) -> Any:
    """``trace(Tensor self) -> Tensor``; of integers int64."""
    diagonal = emit.diagonal(emit.widened(self), 0)
    dtype = emit.sum_dtype(self)
    if emit.is_empty(diagonal):
        return torch.zeros((), dtype=dtype)
    wide = emit.compute_in_float32(diagonal) if emit.is_float(self) else emit.cast(diagonal, torch.int64)
    return emit.cast(emit.reduce("SUM", wide, [0], keepdim=False), dtype)


def _solve(A: Tensor, B: Tensor, left: bool) -> Any:
    """As torch.linalg.solve."""
    if matrix.holds_vectors(A, B):
        solved = matrix.solve(A, matrix.as_rows(B))
        return emit.squeeze(solved, [emit.rank_of(solved) - 1])
    if left:
        return matrix.solve(A, B)
    return matrix.transposed(matrix.solve(matrix.transposed(A), matrix.transposed(B)))


@op("aten::linalg_solve")
@emit.known_if_empty
def aten_linalg_solve(A: Tensor, B: Tensor, left: bool = True) -> Any:
    """``linalg_solve(Tensor A, Tensor B, *, bool left=True) -> Tensor``."""
    return _solve(A, B, left)


@op("aten::linalg_solve_ex")
@emit.known_if_empty
def aten_linalg_solve_ex(A: Tensor, B: Tensor, left: bool = True, check_errors: bool = False) -> Any:
    """``linalg_solve_ex(Tensor A, Tensor B, *, bool left=True, ...) -> (Tensor result, Tensor info)``."""
    return _solve(A, B, left), matrix.zero_pivot(matrix.lu(A)[0]) if not emit.is_empty(A) else matrix.no_errors(A)


def _inverse(value: Tensor) -> Any:
    return value if emit.is_empty(value) else matrix.solve(value, matrix.identity_like(value))


@op("aten::linalg_inv")
@emit.known_if_empty
def aten_linalg_inv(A: Tensor) -> Any:
    """``linalg_inv(Tensor A) -> Tensor``."""
    return _inverse(A)


@op("aten::linalg_inv_ex")
@emit.known_if_empty
def aten_linalg_inv_ex(A: Tensor, check_errors: bool = False) -> Any:
    """``linalg_inv_ex(Tensor A, *, bool check_errors=False) -> (Tensor inverse, Tensor info)``."""
    return _inverse(A), matrix.no_errors(A) if emit.is_empty(A) else matrix.zero_pivot(matrix.lu(A)[0])


@op("aten::linalg_tensorinv")
@emit.known_if_empty
def aten_linalg_tensorinv(self: Tensor, ind: int = 2) -> Any:
    """``linalg_tensorinv(Tensor self, int ind=2) -> Tensor``."""
    sizes = emit.shape_of(self)
    rows = emit.dim_product(sizes[:ind])
    return emit.reshape(_inverse(emit.reshape(self, [rows, rows])), [*sizes[ind:], *sizes[:ind]])


@op("aten::linalg_tensorsolve")
@emit.known_if_empty
def aten_linalg_tensorsolve(self: Tensor, other: Tensor, dims: Sequence[int] | None = None) -> Any:
    """``linalg_tensorsolve(Tensor self, Tensor other, int[]? dims=None) -> Tensor``."""
    if dims is not None:
        moved = [emit.axis_of(axis, emit.rank_of(self)) for axis in dims]
        self = emit.permute(self, [axis for axis in range(emit.rank_of(self)) if axis not in moved] + moved)
    sizes = emit.shape_of(self)[emit.rank_of(other) :]
    rows = emit.dim_product(emit.shape_of(other))
    return emit.reshape(_solve(emit.reshape(self, [rows, rows]), emit.reshape(other, [rows]), True), sizes)


@op("aten::linalg_solve_triangular")
@emit.known_if_empty
def aten_linalg_solve_triangular(
    self: Tensor, B: Tensor, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    """``linalg_solve_triangular(Tensor self, Tensor B, *, bool upper, bool left=True, bool unitriangular=False)``."""
    return matrix.solve_triangular(self, B, upper, unitriangular, left)


@op("aten::triangular_solve")
@emit.known_if_empty
def aten_triangular_solve(
    self: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """``triangular_solve(Tensor self, Tensor A, bool upper=True, ...) -> (Tensor solution, Tensor ...)``."""
    side = matrix.transposed(A) if transpose else A
    solution = matrix.solve_triangular(side, self, upper != transpose, unitriangular)
    lead = emit.broadcast_shape(emit.shape_of(A)[:-2], emit.shape_of(self)[:-2])
    return solution, emit.expand(A, [*lead, *emit.shape_of(A)[-2:]])


def _matrix_power(value: Tensor, exponent: int) -> Any:
    """By repeated squaring; a negative exponent is one of the inverse."""
    if exponent < 0:
        value, exponent = _inverse(value), -exponent
    if exponent == 0:
        return emit.cast(matrix.identity_like(value), emit.dtype_of(value))
    result, square = None, emit.tensor(value)
    while exponent:
        if exponent & 1:
            result = square if result is None else emit.product(result, square)
        exponent >>= 1
        square = emit.product(square, square) if exponent else square
    return result


@op("aten::linalg_matrix_power")
@emit.known_if_empty
def aten_linalg_matrix_power(self: Tensor, n: int) -> Any:
    """``linalg_matrix_power(Tensor self, int n) -> Tensor``."""
    return _matrix_power(self, n)


_TERMS, _SQUARINGS = 12, 24
"""Of a matrix whose 1-norm is at most 1, twelve terms of the series are exact in float32."""


@op("aten::linalg_matrix_exp")
@emit.known_if_empty
def aten_linalg_matrix_exp(self: Tensor) -> Any:
    """``linalg_matrix_exp(Tensor self) -> Tensor``: scaled to a norm below 1, by its series, and squared back.

    Not of half precision.
    """
    if emit.is_half(emit.dtype_of(self)):
        raise DtypeError(
            "matrix_exp of half precision, for which PyTorch gives NaN past small norms", hint="cast it to float32"
        )
    if emit.is_empty(self):
        return emit.tensor(self)
    rank = emit.rank_of(self)
    sums = emit.reduce("SUM", emit.unary("ABS", self), [rank - 2], keepdim=True)
    norm = emit.reduce("MAX", sums, [rank - 1], keepdim=True)
    halved = [emit.compare("GREATER", norm, 2.0**power) for power in range(_SQUARINGS)]
    scale: Any = matrix.ONE
    for needed in halved:
        scale = emit.elementwise("PROD", scale, emit.where(needed, torch.tensor(0.5), matrix.ONE))
    scaled = emit.elementwise("PROD", self, scale)
    eye = matrix.identity_like(self)
    result = eye
    for term in range(_TERMS, 0, -1):  # Horner's scheme
        result = emit.elementwise("SUM", eye, emit.scaled(emit.full_matmul(scaled, result), 1 / term))
    for needed in halved:
        result = emit.where(needed, emit.full_matmul(result, result), result)
    return result
