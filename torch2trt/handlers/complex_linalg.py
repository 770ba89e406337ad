"""Linear algebra of complex matrices by real ones of twice the size.

``[[A, -B], [B, A]]`` stands for A + Bi: products, inverses and pseudo-inverses of such matrices are those of the
complex ones, and each singular value comes twice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch

from .. import eager, emit
from ..context import has_trt_tensor
from ..emit import complex as pairs
from ..emit import complex_matrix, matrix
from ..graph import Node
from ..pairs import Complex, RealHandler, complex_op
from .complex import names_of
from .complex_reduce import of_magnitudes

Handler = Callable[[Node, Sequence[Any], RealHandler], Any]


def matrix_op(*names: str) -> Callable[[Handler], Handler]:
    """As :func:`complex_op`; of complex matrices without elements alone eager PyTorch computes the result."""

    def register(function: Handler) -> Handler:
        @functools.wraps(function)
        def handler(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
            known = [_known_if_empty(value) for value in args]
            if has_trt_tensor(known):
                return function(node, args, real_handler)
            results = eager.call(node, known)
            return results[0] if len(results) == 1 else tuple(results)

        complex_op(*names)(handler)
        return function

    return register


def _known_if_empty(value: Any) -> Any:
    if isinstance(value, Complex) and emit.is_static(value.real) and emit.is_empty(value.real):
        return torch.empty(emit.static_shape(value.real), dtype=torch.complex64)
    return value


def embedded(value: Any) -> Any:
    """The real matrix that stands for a complex one."""
    return _embedded_along(value, -2, -1)


def _embedded_along(value: Any, rows: int, columns: int) -> Any:
    held = pairs.parts(value)
    rank = emit.rank_of(held.real)
    rows, columns = emit.axis_of(rows, rank), emit.axis_of(columns, rank)
    above = emit.concatenate([held.real, pairs.negative(held.imag)], columns)
    return emit.concatenate([above, emit.concatenate([held.imag, held.real], columns)], rows)


def _extracted(value: Any) -> Complex:
    """The complex matrix that a real one stands for."""
    rows, columns = (emit.dim_floordiv(size, 2) for size in emit.shape_of(value)[-2:])
    left = emit.slice_axis(value, -1, 0, columns)
    return Complex(emit.slice_axis(left, -2, 0, rows), emit.slice_axis(left, -2, rows, rows))


def _once(values: Any) -> Any:
    """Of values in order, each of which comes twice, every other one."""
    return emit.slice_axis(values, -1, 0, emit.dim_floordiv(emit.size_of(values, -1), 2), step=2)


def _read(node: Node, args: Sequence[Any]) -> Any:
    """The matrix; the Hermitian one of its lower triangle, if the op says that it is one."""
    settings = dict(zip(names_of(node), args, strict=False))
    return hermitian(args[0], settings.get("UPLO", "L")) if settings.get("hermitian") or "UPLO" in settings else args[0]


_FUNCTIONS = "linalg_inv linalg_matrix_exp linalg_matrix_power linalg_pinv pinverse"


@matrix_op(*(f"aten::{name}" for name in _FUNCTIONS.split()))
def _matrix_function(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """A function of one matrix that is a matrix again."""
    return _extracted(real_handler(node, [embedded(_read(node, args)), *args[1:]])[0])


@matrix_op("aten::linalg_inv_ex")
def _inv_ex(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """The inverse, and LAPACK's info."""
    whole = embedded(args[0])
    return _extracted(matrix.solve(whole, matrix.identity_like(whole))), _info(args[0])


def _info(value: Any) -> Any:
    """LAPACK's info of a linear system: the first zero on the diagonal of U, counted from 1, else 0."""
    return matrix.zero_pivot(pairs.magnitude(complex_matrix.lu(value)[0]))


@matrix_op("aten::linalg_svdvals", "aten::linalg_eigvalsh")
def _values(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """Singular values, or the eigenvalues of a Hermitian matrix of which one triangle is read."""
    return _once(real_handler(node, [embedded(_read(node, args)), *args[1:]])[0])


def hermitian(value: Any, uplo: str) -> Complex:
    """The Hermitian matrix of one triangle; the diagonal's imaginary part is not read."""
    held, lower = pairs.parts(value), uplo.upper() == "L"
    kept = matrix.lower_triangle if lower else matrix.upper_triangle
    real, imag = (kept(part, -1 if lower else 1) for part in held)
    size = emit.size_of(held.real, -1)
    diagonal = emit.where(emit.diagonal_mask(size, size, 0), held.real, matrix.ZERO)
    whole = emit.elementwise("SUM", emit.elementwise("SUM", real, matrix.transposed(real)), diagonal)
    return Complex(whole, emit.elementwise("SUB", imag, matrix.transposed(imag)))


@matrix_op("aten::linalg_matrix_rank")
def _matrix_rank(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """Half of the real matrix's."""
    rank = real_handler(node, [embedded(_read(node, args)), *args[1:]])[0]
    return emit.elementwise("DIV", rank, torch.full((), 2))


@matrix_op("aten::linalg_cond")
def _cond(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """By singular values."""
    return real_handler(node, [embedded(args[0]), *args[1:]])[0]


@complex_op("aten::linalg_norm", "aten::linalg_matrix_norm", "aten::nuclear_norm")
def _norm(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """By magnitudes, or, of matrices in the orders 2, -2 and "nuc", by singular values."""
    if node.kind == "aten::nuclear_norm":
        order, dim = "nuc", args[1] if len(args) == 3 else (-2, -1)
    else:
        order, dim = args[1], args[2]
    rank = emit.rank_of(pairs.parts(args[0]).real)
    of_matrix = isinstance(order, str) or (order is not None and (rank if dim is None else len(dim)) == 2)
    if not of_matrix or order not in (2, -2, "nuc"):
        return of_magnitudes(node, args, real_handler)
    rest = [torch.float32 if value == torch.complex64 else value for value in args[1:]]
    result = real_handler(node, [_embedded_along(args[0], *(dim or (-2, -1))), *rest])[0]
    return emit.scaled(result, 0.5) if order == "nuc" else result


def _is_vector(left: Any, right: Any) -> bool:
    """Whether ``torch.linalg.solve`` reads the right side as vectors."""
    return matrix.holds_vectors(pairs.parts(left).real, pairs.parts(right).real)


def _as_matrix(value: Any, vector: bool) -> Complex:
    return pairs.each(matrix.as_rows, value) if vector else pairs.parts(value)


def _as_given(value: Complex, vector: bool) -> Complex:
    return pairs.each(lambda part: emit.squeeze(part, [emit.rank_of(part) - 1]), value) if vector else value


def solve(left: Any, right: Any) -> Complex:
    """``left^-1 @ right``, with the right side as one column of real and imaginary parts."""
    held = pairs.parts(right)
    solved = matrix.solve(embedded(left), emit.concatenate(list(held), emit.rank_of(held.real) - 2))
    rows = emit.size_of(held.real, -2)
    return Complex(*(emit.slice_axis(solved, -2, start, rows) for start in (0, rows)))


def transposed(value: Any) -> Complex:
    """The last two axes exchanged."""
    return pairs.each(matrix.transposed, value)


@matrix_op("aten::linalg_solve", "aten::linalg_solve_ex")
def _linalg_solve(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """``A^-1 @ B``, or ``B @ A^-1``; of ``_ex`` LAPACK's info, too."""
    left, right, on_the_left = args[:3]
    vector = _is_vector(left, right)
    if on_the_left or vector:
        solved = _as_given(solve(left, _as_matrix(right, vector)), vector)
    else:
        solved = transposed(solve(transposed(left), transposed(right)))
    if node.kind == "aten::linalg_solve":
        return solved
    return solved, _info(left)


def triangle(value: Any, upper: bool, unit: bool) -> Complex:
    """One triangle, with ones on its diagonal if that is not read; zeros elsewhere."""
    kept = matrix.upper_triangle if upper else matrix.lower_triangle
    real, imag = (kept(part, (1 if upper else -1) if unit else 0) for part in pairs.parts(value))
    if unit:
        real = emit.elementwise("SUM", real, matrix.eye(emit.size_of(real, -1)))
    return Complex(real, imag)


@matrix_op("aten::linalg_solve_triangular")
def _solve_triangular(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """The system of one triangle."""
    left, right, upper, on_the_left, unit = args
    factor = triangle(left, upper, unit)
    if on_the_left:
        return solve(factor, right)
    return transposed(solve(transposed(factor), transposed(right)))


@matrix_op("aten::triangular_solve")
def _triangular_solve(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """The solution, and the matrix."""
    right, left, upper, transpose, unit = args
    factor = triangle(left, upper, unit)
    held = pairs.parts(left)
    lead = emit.broadcast_shape(emit.shape_of(held.real)[:-2], emit.shape_of(pairs.parts(right).real)[:-2])
    copy = pairs.each(emit.expand, left, [*lead, *emit.shape_of(held.real)[-2:]])
    return solve(transposed(factor) if transpose else factor, right), copy


@matrix_op("aten::linalg_lstsq")
def _lstsq(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """The solution, the residuals, the rank and the singular values."""
    left, right, *rest = args
    vector = _is_vector(left, right)
    held = _as_matrix(right, vector)
    stacked = emit.concatenate(list(held), emit.rank_of(held.real) - 2)
    solved, residuals, rank, values = real_handler(node, [embedded(left), stacked, *rest])
    columns = emit.dim_floordiv(emit.size_of(solved, -2), 2)
    solution = Complex(*(emit.slice_axis(solved, -2, start, columns) for start in (0, columns)))
    rank = rank if isinstance(rank, torch.Tensor) else emit.elementwise("DIV", rank, torch.full((), 2))
    return _as_given(solution, vector), residuals, rank, values if isinstance(values, torch.Tensor) else _once(values)


@matrix_op("aten::linalg_tensorinv")
def _tensorinv(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """The inverse of the matrix that the first ``ind`` axes and the others make."""
    value, count = args
    sizes = emit.shape_of(pairs.parts(value).real)
    rows = emit.dim_product(sizes[:count])
    flat = pairs.each(emit.reshape, value, [rows, rows])
    solved = solve(flat, pairs.parts(matrix.eye(rows)))
    return pairs.each(emit.reshape, solved, [*sizes[count:], *sizes[:count]])


@matrix_op("aten::linalg_tensorsolve")
def _tensorsolve(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """The system of the matrix that ``other``'s axes and the rest make."""
    value, right, dims = args
    held, wanted = pairs.parts(value), pairs.parts(right)
    rank = emit.rank_of(held.real)
    if dims is not None:
        moved = [emit.axis_of(axis, rank) for axis in dims]
        order = [axis for axis in range(rank) if axis not in moved] + moved
        held = pairs.each(emit.permute, held, order)
    sizes = emit.shape_of(held.real)[emit.rank_of(wanted.real) :]
    rows = emit.dim_product(sizes)
    flat = pairs.each(emit.reshape, held, [rows, rows])
    solved = solve(flat, pairs.each(emit.reshape, wanted, [rows, 1]))
    return pairs.each(emit.reshape, solved, sizes)
