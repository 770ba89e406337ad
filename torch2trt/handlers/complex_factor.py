"""Factorisations of complex matrices, and what they are for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import complex as pairs
from ..emit import complex_functions as functions
from ..emit import complex_matrix as factors
from ..emit import matrix
from ..graph import Node
from ..pairs import Complex, RealHandler
from .complex_linalg import embedded, hermitian, matrix_op, solve, transposed, triangle
from .factor import permutation


@matrix_op("aten::linalg_cholesky", "aten::cholesky", "aten::linalg_cholesky_ex")
def _cholesky(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """The factor of the real matrix in which each element is a matrix of 2 by 2: it holds the complex factor's."""
    value, upper = args[0], args[1]
    held = hermitian(value, "U" if upper else "L")
    size = emit.size_of(held.real, -1)
    order = emit.flatten(emit.swap_axes(emit.reshape(emit.iota(emit.dim_mul(size, 2)), [2, size]), 0, 1))
    mixed = embedded(held)
    for axis in (-2, -1):
        mixed = emit.gather(mixed, order, emit.rank_of(mixed) + axis)
    factor, info = matrix.cholesky(mixed)
    columns = emit.slice_axis(factor, -1, 0, size, step=2)
    lower = Complex(*(emit.slice_axis(columns, -2, start, size, step=2) for start in (0, 1)))
    result = pairs.conjugate(transposed(lower)) if upper else lower
    if node.kind != "aten::linalg_cholesky_ex":
        return result
    halved = emit.elementwise("DIV", emit.elementwise("SUM", info, torch.ones((), dtype=torch.int32)), _TWO)
    return result, halved


_TWO = torch.full((), 2, dtype=torch.int32)


@matrix_op("aten::cholesky_solve")
def _cholesky_solve(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """The system whose matrix has the factor ``input2``."""
    right, factor, upper = args
    half = triangle(factor, upper, unit=False)
    adjoint = pairs.conjugate(transposed(half))
    first, second = (adjoint, half) if upper else (half, adjoint)
    return solve(second, solve(first, right))


@matrix_op("aten::cholesky_inverse")
def _cholesky_inverse(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """The inverse of the matrix that has the factor."""
    eye = matrix.identity_like(pairs.parts(args[0]).real)
    return _cholesky_solve(node, [eye, args[0], args[1]], real_handler)


def _with_pivots(value: Any) -> tuple[Complex, Any, Any]:
    """LU factors, pivots in LAPACK's int32, and its info."""
    found, pivots, _ = factors.lu(value)
    return found, emit.cast(pivots, torch.int32), matrix.zero_pivot(pairs.magnitude(found))


@matrix_op("aten::linalg_lu_factor")
def _lu_factor(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """LU factors and pivots."""
    return _with_pivots(args[0])[:2]


@matrix_op("aten::linalg_lu_factor_ex", "aten::_lu_with_info")
def _lu_factor_ex(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """LU factors, pivots and LAPACK's info."""
    return _with_pivots(args[0])


def _unpacked(value: Complex) -> tuple[Complex, Complex]:
    """L with ones on its diagonal, and U, from both in one matrix."""
    rows, columns = emit.shape_of(value.real)[-2:]
    count = emit.dim_min(rows, columns)
    left = pairs.each(lambda part: matrix.lower_triangle(emit.slice_axis(part, -1, 0, count), -1), value)
    lower = Complex(emit.elementwise("SUM", left.real, matrix.eye(rows, count)), left.imag)
    return lower, pairs.each(lambda part: matrix.upper_triangle(emit.slice_axis(part, -2, 0, count)), value)


@matrix_op("aten::linalg_lu")
def _linalg_lu(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """P, L and U; P is complex, too."""
    found, _pivots, order = factors.lu(args[0])
    return (pairs.parts(permutation(order)), *_unpacked(found))


@matrix_op("aten::lu_unpack")
def _lu_unpack(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """P, L and U from factors and pivots; what is not asked for is empty."""
    value, pivots, with_data, with_pivots = args
    held = pairs.parts(value)
    nothing = torch.empty(0, dtype=torch.complex64)
    lower, upper = _unpacked(held) if with_data else (nothing, nothing)
    if not with_pivots:
        return nothing, lower, upper
    order = matrix.order_of_pivots(pivots, *emit.shape_of(held.real)[-2:])
    return pairs.parts(permutation(order)), lower, upper


def _lu_solved(value: Any, pivots: Any, right: Any, adjoint: bool) -> Complex:
    held, wanted = pairs.parts(value), pairs.parts(right)
    lower, upper = triangle(held, upper=False, unit=True), triangle(held, upper=True, unit=False)
    order = matrix.order_of_pivots(pivots, *emit.shape_of(held.real)[-2:])
    lead = emit.broadcast_shape(emit.shape_of(held.real)[:-2], emit.shape_of(wanted.real)[:-2])
    order = emit.expand(order, [*lead, emit.size_of(order, -1)])
    wanted = pairs.each(lambda part: emit.expand(part, [*lead, *emit.shape_of(part)[-2:]]), wanted)
    if not adjoint:
        return solve(upper, solve(lower, pairs.each(matrix.reordered, wanted, order)))
    half = solve(pairs.conjugate(transposed(upper)), wanted)
    found = solve(pairs.conjugate(transposed(lower)), half)
    return pairs.each(matrix.reordered, found, matrix.inverse_order(order))


@matrix_op("aten::linalg_lu_solve")
def _linalg_lu_solve(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """The system whose matrix has these LU factors; on the right it is the adjoint one, turned."""
    value, pivots, right, left, adjoint = args
    if left:
        return _lu_solved(value, pivots, right, adjoint)
    return pairs.conjugate(transposed(_lu_solved(value, pivots, pairs.conjugate(transposed(right)), not adjoint)))


@matrix_op("aten::lu_solve")
def _lu_solve(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """The system whose matrix has these LU factors."""
    right, value, pivots = args
    return _lu_solved(value, pivots, right, adjoint=False)


def _log_determinant(value: Any) -> tuple[Complex, Any]:
    """The determinant over its magnitude, and the logarithm of that."""
    found, pivots, _ = factors.lu(value)
    diagonal = pairs.each(matrix.diagonal_of, found)
    size = pairs.magnitude(diagonal)
    axis = emit.rank_of(size) - 1
    total = emit.reduce("SUM", emit.unary("LOG", size), [axis], keepdim=False)
    sign = functions.running(functions.sgn(diagonal), axis, pairs.multiply_complex, 1)[1]
    return pairs.multiply_complex(sign, factors.sign_of_pivots(pivots)), total


@matrix_op("aten::linalg_slogdet", "aten::slogdet")
def _slogdet(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """The determinant over its magnitude, and the logarithm of that."""
    return _log_determinant(args[0])


@matrix_op("aten::logdet")
def _logdet(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """The determinant's logarithm."""
    sign, total = _log_determinant(args[0])
    return Complex(total, pairs.phase(sign))


@matrix_op("aten::linalg_det")
def _det(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """The determinant."""
    found, pivots, _order = factors.lu(args[0])
    diagonal = pairs.each(matrix.diagonal_of, found)
    axis = emit.rank_of(diagonal.real) - 1
    product = functions.running(diagonal, axis, pairs.multiply_complex, 1)[1]
    return pairs.multiply_complex(product, factors.sign_of_pivots(pivots))


@matrix_op("aten::linalg_qr", "aten::qr")
def _qr(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """Q and R; signs as LAPACK chooses them."""
    value, mode = args
    mode = ("reduced" if mode else "complete") if isinstance(mode, bool) else mode
    rows, columns = emit.shape_of(pairs.parts(value).real)[-2:]
    reflectors, scales = factors.householder(value)
    kept = rows if mode == "complete" else emit.dim_min(rows, columns)
    right = pairs.each(lambda part: matrix.upper_triangle(emit.slice_axis(part, -2, 0, kept)), reflectors)
    if mode == "r":
        return torch.empty(0, dtype=torch.complex64), right
    start = pairs.parts(matrix.identity_like(reflectors.real, kept))
    return factors.reflect(reflectors, scales, start, forwards=False, adjoint=False), right


@matrix_op("aten::geqrf")
def _geqrf(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """LAPACK's reflectors and their factors."""
    return factors.householder(args[0])


@matrix_op("aten::linalg_householder_product")
def _householder_product(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """The first columns of the product of reflections."""
    value, scales = args
    held = pairs.parts(value)
    start = pairs.parts(matrix.identity_like(held.real, emit.size_of(held.real, -1)))
    if emit.is_empty(pairs.parts(scales).real):
        return start
    return factors.reflect(held, scales, start, forwards=False, adjoint=False)


@matrix_op("aten::ormqr")
def _ormqr(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """A matrix times the unitary one that reflectors hold, or its adjoint."""
    reflectors, scales, value, left, adjoint = args
    if left:
        return factors.reflect(reflectors, scales, value, forwards=adjoint, adjoint=adjoint)
    turned = pairs.conjugate(transposed(value))
    found = factors.reflect(reflectors, scales, turned, forwards=not adjoint, adjoint=not adjoint)
    return pairs.conjugate(transposed(found))
