"""Factorisations of matrices, and what is computed from singular values; in float32.

Singular and eigenvectors are in :mod:`torch2trt.handlers.vectors`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .. import emit
from ..emit import Tensor, matrix, spectrum, symmetric
from ..errors import UnsupportedArgumentError
from ..registry import op


def _cholesky(value: Tensor, upper: bool) -> tuple[Any, Any]:
    if emit.is_empty(value):
        return emit.tensor(value), matrix.no_errors(value)
    factor, info = matrix.cholesky(matrix.transposed(value) if upper else value)
    return (matrix.transposed(factor) if upper else factor), info


@op("aten::linalg_cholesky", "aten::cholesky")
@emit.known_if_empty
def aten_cholesky(self: Tensor, upper: bool = False) -> Any:
    """``linalg_cholesky(Tensor self, *, bool upper=False) -> Tensor``; NaN where eager raises."""
    return _cholesky(self, upper)[0]


@op("aten::linalg_cholesky_ex")
@emit.known_if_empty
def aten_linalg_cholesky_ex(self: Tensor, upper: bool = False, check_errors: bool = False) -> Any:
    """``linalg_cholesky_ex(Tensor self, *, bool upper=False, ...) -> (Tensor L, Tensor info)``."""
    return _cholesky(self, upper)


def _solve_by_cholesky(factor: Tensor, right: Tensor, upper: bool) -> Any:
    lower = matrix.transposed(factor) if upper else factor
    half = matrix.solve_triangular(lower, right, upper=False)
    return matrix.solve_triangular(matrix.transposed(lower), half, upper=True)


@op("aten::cholesky_solve")
@emit.known_if_empty
def aten_cholesky_solve(self: Tensor, input2: Tensor, upper: bool = False) -> Any:
    """``cholesky_solve(Tensor self, Tensor input2, bool upper=False) -> Tensor``."""
    return _solve_by_cholesky(input2, self, upper)


@op("aten::cholesky_inverse")
@emit.known_if_empty
def aten_cholesky_inverse(self: Tensor, upper: bool = False) -> Any:
    """``cholesky_inverse(Tensor self, bool upper=False) -> Tensor``."""
    return _solve_by_cholesky(self, matrix.identity_like(self), upper)


def _lu(value: Tensor) -> tuple[Any, Any, Any]:
    """LU factors, pivots in LAPACK's int32, and its info."""
    factors, pivots, _ = matrix.lu(value)
    return factors, emit.cast(pivots, torch.int32), matrix.zero_pivot(factors)


@op("aten::linalg_lu_factor")
@emit.known_if_empty
def aten_linalg_lu_factor(A: Tensor) -> Any:
    """``linalg_lu_factor(Tensor A, *, bool pivot=True) -> (Tensor LU, Tensor pivots)``."""
    return _lu(A)[:2]


@op("aten::linalg_lu_factor_ex")
@emit.known_if_empty
def aten_linalg_lu_factor_ex(A: Tensor, check_errors: bool = False) -> Any:
    """``linalg_lu_factor_ex(Tensor A, *, bool pivot=True, ...) -> (Tensor LU, Tensor pivots, Tensor info)``."""
    return _lu(A)


@op("aten::_lu_with_info")
@emit.known_if_empty
def aten_lu_with_info(self: Tensor, check_errors: bool = True) -> Any:
    """``_lu_with_info(Tensor self, bool pivot=True, ...) -> (Tensor LU, Tensor pivots, Tensor info)``."""
    return _lu(self)


def _unpacked(factors: Tensor) -> tuple[Any, Any]:
    """L with ones on its diagonal, and U, from both in one matrix."""
    rows, columns = emit.shape_of(factors)[-2:]
    count = emit.dim_min(rows, columns)
    left = emit.slice_axis(factors, -1, 0, count)
    lower = emit.where(emit.diagonal_mask(rows, count, 0), matrix.ONE, matrix.lower_triangle(left))
    return lower, matrix.upper_triangle(emit.slice_axis(factors, -2, 0, count))


def permutation(order: Tensor) -> Any:
    """The matrix P of ``A = P L U`` for rows taken in ``order``."""
    places = emit.unsqueezed(emit.iota(emit.size_of(order, -1)), 1)
    return emit.cast(emit.elementwise("EQUAL", matrix.as_columns(order), places), torch.float32)


@op("aten::linalg_lu")
@emit.known_if_empty
def aten_linalg_lu(A: Tensor) -> Any:
    """``linalg_lu(Tensor A, *, bool pivot=True) -> (Tensor P, Tensor L, Tensor U)``."""
    factors, _, order = matrix.lu(A)
    return (permutation(order), *_unpacked(factors))


@op("aten::lu_unpack")
@emit.known_if_empty
def aten_lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> Any:
    """``lu_unpack(Tensor LU_data, Tensor LU_pivots, ...) -> (Tensor P, Tensor L, Tensor U)``."""
    nothing = torch.empty(0)
    lower, upper = _unpacked(LU_data) if unpack_data else (nothing, nothing)
    if not unpack_pivots:
        return nothing, lower, upper
    return permutation(matrix.order_of_pivots(LU_pivots, *emit.shape_of(LU_data)[-2:])), lower, upper


def _lu_solve(factors: Tensor, pivots: Tensor, right: Tensor, adjoint: bool) -> Any:
    order = matrix.order_of_pivots(pivots, *emit.shape_of(factors)[-2:])
    lead = emit.broadcast_shape(emit.shape_of(factors)[:-2], emit.shape_of(right)[:-2])
    order = emit.expand(order, [*lead, emit.size_of(order, -1)])
    right = emit.expand(right, [*lead, *emit.shape_of(right)[-2:]])
    if not adjoint:
        return matrix.solve_by_lu(factors, order, right)
    turned = matrix.transposed(factors)
    half = matrix.solve_triangular(turned, right, upper=False)
    return matrix.reordered(matrix.solve_triangular(turned, half, upper=True, unit=True), matrix.inverse_order(order))


@op("aten::linalg_lu_solve")
@emit.known_if_empty
def aten_linalg_lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, left: bool = True, adjoint: bool = False) -> Any:
    """``linalg_lu_solve(Tensor LU, Tensor pivots, Tensor B, *, bool left=True, bool adjoint=False) -> Tensor``."""
    if left:
        return _lu_solve(LU, pivots, B, adjoint)
    return matrix.transposed(_lu_solve(LU, pivots, matrix.transposed(B), not adjoint))


@op("aten::lu_solve")
@emit.known_if_empty
def aten_lu_solve(self: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Any:
    """``lu_solve(Tensor self, Tensor LU_data, Tensor LU_pivots) -> Tensor``."""
    return _lu_solve(LU_data, LU_pivots, self, adjoint=False)


@op("aten::linalg_ldl_factor_ex")
@emit.known_if_empty
def aten_linalg_ldl_factor_ex(self: Tensor, hermitian: bool = False, check_errors: bool = False) -> Any:
    """``linalg_ldl_factor_ex(Tensor self, *, bool hermitian=False, ...) -> (Tensor LD, Tensor pivots, Tensor)``."""
    return symmetric.factor(self)


@op("aten::linalg_ldl_factor")
@emit.known_if_empty
def aten_linalg_ldl_factor(self: Tensor, hermitian: bool = False) -> Any:
    """``linalg_ldl_factor(Tensor self, *, bool hermitian=False) -> (Tensor LD, Tensor pivots)``."""
    return symmetric.factor(self)[:2]


@op("aten::linalg_ldl_solve")
@emit.known_if_empty
def aten_linalg_ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, hermitian: bool = False) -> Any:
    """``linalg_ldl_solve(Tensor LD, Tensor pivots, Tensor B, *, bool hermitian=False) -> Tensor``."""
    if emit.is_empty(B):
        lead = emit.broadcast_shape(emit.shape_of(LD)[:-2], emit.shape_of(B)[:-2])
        return emit.filled([*lead, *emit.shape_of(B)[-2:]], 0.0, torch.float32)
    return symmetric.solve(LD, pivots, B)


def _qr(value: Tensor, mode: str) -> tuple[Any, Any]:
    rows, columns = emit.shape_of(value)[-2:]
    reflectors, factors = matrix.householder(value)
    kept = rows if mode == "complete" else emit.dim_min(rows, columns)
    right = matrix.upper_triangle(emit.slice_axis(reflectors, -2, 0, kept))
    if mode == "r":
        return torch.empty(0), right
    return matrix.reflect(reflectors, factors, matrix.identity_like(value, kept), forwards=False), right


@op("aten::linalg_qr")
@emit.known_if_empty
def aten_linalg_qr(A: Tensor, mode: str = "reduced") -> Any:
    """``linalg_qr(Tensor A, str mode="reduced") -> (Tensor Q, Tensor R)``; signs as LAPACK chooses them."""
    return _qr(A, mode)


@op("aten::qr")
@emit.known_if_empty
def aten_qr(self: Tensor, some: bool = True) -> Any:
    """``qr(Tensor self, bool some=True) -> (Tensor Q, Tensor R)``."""
    return _qr(self, "reduced" if some else "complete")


@op("aten::geqrf")
@emit.known_if_empty
def aten_geqrf(self: Tensor) -> Any:
    """``geqrf(Tensor self) -> (Tensor a, Tensor tau)``."""
    return matrix.householder(self)


@op("aten::linalg_householder_product")
@emit.known_if_empty
def aten_linalg_householder_product(input: Tensor, tau: Tensor) -> Any:
    """``linalg_householder_product(Tensor input, Tensor tau) -> Tensor``."""
    start = matrix.identity_like(input, emit.size_of(input, -1))
    return start if emit.is_empty(tau) else matrix.reflect(input, tau, start, forwards=False)


@op("aten::ormqr")
@emit.known_if_empty
def aten_ormqr(self: Tensor, input2: Tensor, input3: Tensor, left: bool = True, transpose: bool = False) -> Any:
    """``ormqr(Tensor self, Tensor input2, Tensor input3, bool left=True, bool transpose=False) -> Tensor``.

    ``input3`` times the orthogonal matrix that ``self`` and ``input2`` hold as reflectors.
    """
    if left:
        return matrix.reflect(self, input2, input3, forwards=transpose)
    return matrix.transposed(matrix.reflect(self, input2, matrix.transposed(input3), forwards=not transpose))


@op("aten::linalg_eigvalsh")
@emit.known_if_empty
def aten_linalg_eigvalsh(self: Tensor, UPLO: str = "L") -> Any:
    """``linalg_eigvalsh(Tensor self, str UPLO="L") -> Tensor``; ascending."""
    return spectrum.symmetric_eigenvalues(matrix.symmetric(self, UPLO))


@op("aten::linalg_svdvals")
@emit.known_if_empty
def aten_linalg_svdvals(A: Tensor, driver: str | None = None) -> Any:
    """``linalg_svdvals(Tensor A, *, str? driver=None) -> Tensor``; descending."""
    return spectrum.singular_values(A)


def _magnitudes(value: Tensor, hermitian: bool) -> Any:
    """Singular values; of a symmetric matrix the eigenvalues' magnitudes."""
    if not hermitian:
        return spectrum.singular_values(value)
    return emit.unary("ABS", spectrum.symmetric_eigenvalues(matrix.symmetric(value, "L")))


def _cut(value: Tensor, atol: Tensor | None, rtol: Tensor | None) -> Callable[[Any], Any]:
    """From singular values, the largest that counts as zero: ``max(atol, rtol * largest)``.

    ``rtol`` is ``max(rows, columns) * eps`` by default, and 0 by default if ``atol`` is given and positive.
    """
    longest = emit.cast(emit.dim_max(*emit.shape_of(value)[-2:]), torch.float32)
    usual = emit.elementwise("PROD", longest, torch.tensor(torch.finfo(torch.float32).eps))
    if rtol is not None:
        relative = _tolerance(rtol)
    elif atol is None:
        relative = usual
    else:
        relative = emit.where(emit.compare("GREATER", _tolerance(atol), 0), matrix.ZERO, usual)
    absolute = matrix.ZERO if atol is None else _tolerance(atol)

    def least(norms: Any) -> Any:
        largest = emit.reduce("MAX", norms, [emit.rank_of(norms) - 1], keepdim=True)
        return emit.elementwise(
            "MAX", _one_axis_more(absolute), emit.elementwise("PROD", _one_axis_more(relative), largest)
        )

    return least


def _tolerance(value: Tensor) -> Tensor:
    return torch.tensor(float(value)) if isinstance(value, (int, float)) else emit.cast(value, torch.float32)


def _one_axis_more(value: Tensor) -> Tensor:
    """A tolerance for every matrix, against the singular values of each."""
    return emit.unsqueezed(value, emit.rank_of(value)) if emit.rank_of(value) else value


def _rank(value: Tensor, least: Callable[[Any], Any], hermitian: bool) -> Any:
    magnitudes = _magnitudes(value, hermitian)
    counts = emit.cast(emit.elementwise("GREATER", magnitudes, least(magnitudes)), torch.int64)
    return emit.reduce("SUM", counts, [emit.rank_of(counts) - 1], keepdim=False)


@op("aten::linalg_matrix_rank.atol_rtol_tensor", "aten::linalg_matrix_rank.atol_rtol_float")
@emit.known_if_empty
def aten_linalg_matrix_rank(
    input: Tensor | None = None,
    self: Tensor | None = None,
    atol: Tensor | None = None,
    rtol: Tensor | None = None,
    hermitian: bool = False,
) -> Any:
    """``linalg_matrix_rank.atol_rtol_tensor(Tensor input, *, Tensor? atol, Tensor? rtol, bool hermitian=False)``."""
    value = self if input is None else input
    return _rank(value, _cut(value, atol, rtol), hermitian)


@op("aten::linalg_matrix_rank", "aten::linalg_matrix_rank.tol_tensor")
@emit.known_if_empty
def aten_linalg_matrix_rank_tol(
    tol: Tensor, input: Tensor | None = None, self: Tensor | None = None, hermitian: bool = False
) -> Any:
    """``linalg_matrix_rank(Tensor self, float tol, bool hermitian=False) -> Tensor``."""
    value = self if input is None else input
    return _rank(value, _cut(value, tol, 0.0), hermitian)


def _pinv(value: Tensor, atol: Tensor | None, rtol: Tensor | None, hermitian: bool) -> Any:
    if emit.is_empty(value):
        return emit.tensor(matrix.transposed(value))
    source = matrix.symmetric(value, "L") if hermitian else value
    return spectrum.pseudo_inverse(source, _cut(value, atol, rtol))


@op("aten::linalg_pinv.atol_rtol_tensor", "aten::linalg_pinv.atol_rtol_float")
@emit.known_if_empty
def aten_linalg_pinv(
    self: Tensor, atol: Tensor | None = None, rtol: Tensor | None = None, hermitian: bool = False
) -> Any:
    """``linalg_pinv.atol_rtol_tensor(Tensor self, *, Tensor? atol, Tensor? rtol, bool hermitian=False) -> Tensor``."""
    return _pinv(self, atol, rtol, hermitian)


@op("aten::linalg_pinv", "aten::linalg_pinv.rcond_tensor", "aten::pinverse")
@emit.known_if_empty
def aten_pinverse(self: Tensor, rcond: Tensor = 1e-15, hermitian: bool = False) -> Any:
    """``linalg_pinv(Tensor self, float rcond, bool hermitian=False) -> Tensor``."""
    return _pinv(self, 0.0, rcond, hermitian)


def _residuals(value: Tensor, solution: Any, right: Tensor) -> Any:
    """What the least squares come to, for every column; no elements unless there are more rows than columns."""
    rows, columns = emit.shape_of(value)[-2:]
    if emit.rank_of(value) > 2:  # they have another rank than none
        rows, columns = emit.known_ints([rows, columns], "whether a batch of matrices leaves residuals")
    taken = emit.dim_min(emit.dim_max(emit.dim_sub(rows, columns), 0), 1)
    if isinstance(taken, int) and not taken:
        return torch.empty(0)
    error = emit.elementwise("SUB", emit.full_matmul(value, solution), right)
    sums = emit.reduce("SUM", emit.elementwise("PROD", error, error), [emit.rank_of(error) - 2], keepdim=False)
    return emit.slice_axis(sums, 0, 0, emit.dim_mul(emit.size_of(sums, 0), taken))


@op("aten::linalg_lstsq")
@emit.known_if_empty
def aten_linalg_lstsq(self: Tensor, b: Tensor, rcond: float | None = None, driver: str | None = None) -> Any:
    """``linalg_lstsq(Tensor self, Tensor b, float? rcond=None, *, str? driver=None)``: by the pseudo-inverse.

    The results are the solution, the residuals, the rank and the singular values; those that the driver does not give
    are empty. The default driver is gelsy.
    """
    least = _cut(self, None, rcond)
    inverse = spectrum.pseudo_inverse(self, least)
    vector = matrix.holds_vectors(self, b)
    right = matrix.as_rows(b) if vector else b
    solution = emit.full_matmul(inverse, right)
    driver = driver or "gelsy"
    residuals = _residuals(self, solution, right) if driver in ("gels", "gelss", "gelsd") else torch.empty(0)
    rank: Any = torch.empty(0, dtype=torch.int64) if driver == "gels" else _rank(self, least, False)
    values: Any = spectrum.singular_values(self) if driver in ("gelss", "gelsd") else torch.empty(0)
    if vector:
        solution = emit.squeeze(solution, [emit.rank_of(solution) - 1])
    return solution, residuals, rank, values


@op("aten::linalg_cond")
@emit.known_if_empty
def aten_linalg_cond(self: Tensor, p: Any = None) -> Any:
    """``linalg_cond(Tensor self, Scalar? p=None) -> Tensor``: for p of None, 2 or -2, by singular values."""
    if p not in (None, 2, -2):
        raise UnsupportedArgumentError(f"the condition number in the norm {p!r}", hint="use p=2 or p=-2")
    values = spectrum.singular_values(self) if not emit.is_empty(self) else None
    if values is None:
        return emit.filled(emit.shape_of(self)[:-2], 0.0, torch.float32)
    axis = emit.rank_of(values) - 1
    first, last = emit.take(values, 0, axis), emit.take(values, emit.dim_sub(emit.size_of(values, axis), 1), axis)
    return emit.elementwise("DIV", *((last, first) if p == -2 else (first, last)))
