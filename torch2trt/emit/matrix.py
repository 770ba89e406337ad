"""Factorisations of matrices, step by step over their columns; leading axes are a batch.

Every step works on whole matrices under masks, so that unrolled steps and loops, of a number that is known or not, are
written once.
"""

from __future__ import annotations

from typing import Any

import torch

from .dims import Dim, as_dim, dim_min, is_static, rank_of, shape_of, size_of, static_shape
from .dtypes import Tensor, cast, tensor
from .fill import filled
from .math import compare, elementwise, gather_elements, reduce, topk, unary, where
from .moving import band_mask, diagonal_mask, iota, is_empty, take, traced_rank, unsqueezed
from .scan import State, repeat
from .shape import broadcast_shape, concatenate, expand, slice_axis, squeeze, swap_axes, unsqueeze

ZERO, ONE, ONE_LONG = torch.zeros(()), torch.ones(()), torch.ones((), dtype=torch.int64)


_MOST_SUBSTITUTED = 24
"""Triangular systems of more unknowns are loops. TensorRT for RTX 1.4 took over 70 s to compile the kernels of a loop
over 10, and 0.4 s of unrolled steps (H200); for 40 11 s, in the form below 5 s, and for 48 unrolled ones 13 s."""


def column(value: Tensor, index: Dim) -> Any:
    """``value[..., :, index]``."""
    return take(value, index, rank_of(value) - 1)


def row(value: Tensor, index: Dim) -> Any:
    """``value[..., index, :]``."""
    return take(value, index, rank_of(value) - 2)


def equals(places: Tensor, index: Dim) -> Tensor:
    """Which of ``places`` is ``index``; known if both are."""
    if isinstance(index, int) and isinstance(places, torch.Tensor):
        return places == index
    return elementwise("EQUAL", places, as_dim(index))


def beyond(places: Tensor, index: Dim) -> Tensor:
    """Which of ``places`` lie after ``index``; known if both are."""
    if isinstance(index, int) and isinstance(places, torch.Tensor):
        return places > index
    return elementwise("GREATER", places, as_dim(index))


def before(places: Tensor, index: Dim) -> Tensor:
    """Which of ``places`` lie before ``index``; known if both are."""
    if isinstance(index, int) and isinstance(places, torch.Tensor):
        return places < index
    return elementwise("LESS", places, as_dim(index))


def as_rows(value: Tensor) -> Any:
    """A vector along the last axis as a matrix of one column."""
    return unsqueeze(value, rank_of(value))


def as_columns(value: Tensor) -> Any:
    """A vector along the last axis as a matrix of one row."""
    return unsqueeze(value, rank_of(value) - 1)


def outer(left: Tensor, right: Tensor) -> Any:
    """The matrices ``left[..., :, None] * right[..., None, :]``."""
    return elementwise("PROD", as_rows(left), as_columns(right))


def transposed(value: Tensor) -> Any:
    """The last two axes exchanged."""
    return swap_axes(value, -2, -1)


def safe(value: Tensor) -> Any:
    """``value``, with 1 in place of 0, to divide by."""
    return where(compare("EQUAL", value, 0), ONE, value)


def eye(rows: Dim, columns: Dim | None = None) -> Tensor:
    """``torch.eye``, in float32; known if the sizes are."""
    return cast(diagonal_mask(rows, rows if columns is None else columns, 0), torch.float32)


def identity_like(value: Tensor, columns: Dim | None = None) -> Any:
    """Identity matrices with the batch axes of ``value`` and as many rows."""
    *lead, rows, _ = shape_of(value)
    columns = rows if columns is None else columns
    return expand(eye(rows, columns), [*lead, rows, columns])


def pivot_rows(matrix: Any, index: Dim) -> Any:
    """The order of rows, of shape ``(..., rows)``, that brings the largest element of a column to the diagonal."""
    places = iota(size_of(matrix, -2))
    candidates = where(_at_or_beyond(places, index), unary("ABS", column(matrix, index)), torch.full((), -1.0))
    _, place = largest("MAX", candidates, 1)
    place = cast(place, torch.int64)
    swapped_back = where(elementwise("EQUAL", places, place), as_dim(index), places)
    return where(equals(places, index), place, swapped_back)


def largest(operation: str, value: Tensor, count: Dim) -> tuple[Any, Any]:
    """The ``count`` largest (``MAX``) or smallest (``MIN``) along the last axis, in order, and where they are."""
    axis = rank_of(value) - 1
    if axis:
        return topk(operation, value, count, axis)
    values, places = topk(operation, unsqueeze(value, 0), count, 1)  # TensorRT takes rank 2 and higher
    return squeeze(values, [0]), squeeze(places, [0])


def _at_or_beyond(places: Tensor, index: Dim) -> Tensor:
    if isinstance(index, int) and isinstance(places, torch.Tensor):
        return places >= index
    return elementwise("GREATER", elementwise("SUM", places, ONE_LONG), as_dim(index))


def reordered(matrix: Tensor, order: Tensor) -> Any:
    """The rows of ``matrix`` in ``order``, of shape ``(..., rows)``."""
    return gather_elements(matrix, expand(as_rows(order), shape_of(matrix)), rank_of(matrix) - 2)


def holds_vectors(left: Tensor, right: Tensor) -> bool:
    """Whether ``torch.linalg.solve`` and ``lstsq`` read the right side of the node converted as vectors.

    They do if it has rank 1 or the left side's shape less the last axis; with sizes known at run time only, the trace's
    result tells.
    """
    if rank_of(right) == 1 or rank_of(right) != rank_of(left) - 1:
        return rank_of(right) == 1
    if is_static(left) and is_static(right):
        return static_shape(left)[:-1] == static_shape(right)
    return traced_rank() == rank_of(right)


def eliminate(matrix: Tensor, count: Dim) -> tuple[Any, Any]:
    """Gaussian elimination of ``count`` columns with row pivoting.

    Returns:
        the matrix with zeros below the diagonal in these columns, and the sign of the row exchanges.
    """
    matrix = tensor(matrix)
    rows, across = size_of(matrix, -2), iota(size_of(matrix, -1))
    down = iota(rows)
    sign = expand(ONE, shape_of(matrix)[:-2])

    def step(index: Dim, states: State, _: Any) -> State:
        current, sign = states
        order = pivot_rows(current, index)
        current = reordered(current, order)
        kept = reduce("SUM", cast(elementwise("EQUAL", order, down), torch.int64), [rank_of(order) - 1], False)
        sign = where(elementwise("EQUAL", kept, as_dim(rows)), sign, unary("NEG", sign))
        top = row(current, index)
        factors = _factors(current, index)
        right = where(beyond(across, index), top, ZERO)
        current = elementwise("SUB", current, outer(factors, right))
        return [where(below_diagonal(down, across, index), ZERO, current), sign]

    current, sign = repeat(count, step, [matrix, sign])
    return current, sign


def _factors(current: Any, index: Dim) -> Any:
    """What of row ``index`` is subtracted from each row: zero for those at and above it."""
    pivot = as_rows(take(column(current, index), index, rank_of(current) - 2))
    quotient = elementwise("DIV", column(current, index), safe(pivot))
    return where(beyond(iota(size_of(current, -2)), index), quotient, ZERO)


def below_diagonal(down: Tensor, across: Tensor, index: Dim) -> Tensor:
    """The places in column ``index`` below the diagonal, of rows ``down`` and columns ``across``."""
    rows, columns = beyond(down, index), equals(across, index)
    if isinstance(rows, torch.Tensor) and isinstance(columns, torch.Tensor):
        return rows.unsqueeze(1) & columns
    return elementwise("AND", unsqueeze(rows, 1), unsqueeze(columns, 0))


def lu(matrix: Tensor) -> tuple[Any, Any, Any]:
    """LU factors with row pivoting.

    Returns:
        both factors in one matrix; the pivots, counted from 1, as LAPACK gives them; the order of the rows.
    """
    matrix = tensor(matrix)
    *lead, rows, columns = shape_of(matrix)
    count = dim_min(rows, columns)
    down, across, places = iota(rows), iota(columns), iota(count)
    pivots = expand(torch.zeros(1, dtype=torch.int64), [*lead, count])
    order = expand(down, [*lead, rows])

    def step(index: Dim, states: State, _: Any) -> State:
        current, pivots, order = states
        exchange = pivot_rows(current, index)
        current = reordered(current, exchange)
        factors = _factors(current, index)
        right = where(beyond(across, index), row(current, index), ZERO)
        updated = elementwise("SUB", current, outer(factors, right))
        updated = where(below_diagonal(down, across, index), as_rows(factors), updated)
        chosen = elementwise("SUM", as_rows(take(exchange, index, rank_of(exchange) - 1)), ONE_LONG)
        pivots = where(equals(places, index), chosen, pivots)
        return [updated, pivots, gather_elements(order, exchange, rank_of(order) - 1)]

    current, pivots, order = repeat(count, step, [matrix, pivots, order])
    return current, pivots, order


def order_of_pivots(pivots: Tensor, rows: Dim, columns: Dim) -> Any:
    """The order of the rows that LAPACK's pivots of matrices of ``rows`` and ``columns`` lead to."""
    lead, count = shape_of(pivots)[:-1], dim_min(rows, columns)
    places = iota(rows)
    order = expand(places, [*lead, rows])
    pivots = cast(pivots, torch.int64)

    def step(index: Dim, states: State, _: Any) -> State:
        (order,) = states
        other = elementwise("SUB", as_rows(take(pivots, index, rank_of(pivots) - 1)), ONE_LONG)
        exchange = where(elementwise("EQUAL", places, other), as_dim(index), places)
        exchange = where(equals(places, index), other, exchange)
        return [gather_elements(order, exchange, rank_of(order) - 1)]

    return repeat(count, step, [order])[0]


def inverse_order(order: Tensor) -> Any:
    """The order that undoes ``order``."""
    places = iota(size_of(order, -1))
    hits = elementwise("EQUAL", as_columns(order), unsqueezed(places, 1))
    numbers = elementwise("PROD", cast(hits, torch.int64), places)
    return reduce("SUM", numbers, [rank_of(order)], keepdim=False)


def solve_triangular(matrix: Tensor, right: Tensor, upper: bool, unit: bool = False, left: bool = True) -> Any:
    """``matrix^-1 @ right`` for a triangular matrix, whose other triangle is not read; or ``right @ matrix^-1``."""
    if not left:
        return transposed(solve_triangular(transposed(matrix), transposed(right), not upper, unit))
    size = size_of(matrix, -1)
    lead = _batch(matrix, right)
    if is_empty(matrix) or is_empty(right):
        return filled([*lead, *shape_of(right)[-2:]], 0.0, torch.float32)
    matrix = expand(matrix, [*lead, size, size])
    right = expand(right, [*lead, *shape_of(right)[-2:]])
    places = iota(size)

    def step(index: Dim, states: State, _: Any) -> State:
        current, matrix = states
        solved = row(current, index)
        if not unit:
            diagonal = as_rows(take(column(matrix, index), index, rank_of(matrix) - 2))
            solved = elementwise("DIV", solved, diagonal)
        others = where(before(places, index) if upper else beyond(places, index), column(matrix, index), ZERO)
        current = elementwise("SUB", current, outer(others, solved))
        # In a loop the matrix is a state that each step adds zero to: kernels are compiled, and run, in half the time.
        kept = matrix if isinstance(index, int) else elementwise("SUM", matrix, ZERO)
        return [where(as_rows(equals(places, index)), as_columns(solved), current), kept]

    return repeat(size, step, [right, matrix], backwards=upper, most_unrolled=_MOST_SUBSTITUTED)[0]


def _batch(left: Tensor, right: Tensor) -> list[Dim]:
    return broadcast_shape(shape_of(left)[:-2], shape_of(right)[:-2])


def solve(matrix: Tensor, right: Tensor) -> Any:
    """``matrix^-1 @ right`` by elimination with row pivoting."""
    size = size_of(matrix, -1)
    lead = _batch(matrix, right)
    if is_empty(matrix) or is_empty(right):
        return filled([*lead, *shape_of(right)[-2:]], 0.0, torch.float32)
    matrix = expand(matrix, [*lead, size, size])
    right = expand(right, [*lead, *shape_of(right)[-2:]])
    if static_shape(right)[-1] < 0:
        factors, _, order = lu(matrix)
        return solve_by_lu(factors, order, right)
    reduced, _ = eliminate(concatenate([matrix, right], rank_of(matrix) - 1), size)
    axis = rank_of(reduced) - 1
    factor = slice_axis(reduced, axis, 0, size)
    return solve_triangular(factor, slice_axis(reduced, axis, size, size_of(right, -1)), upper=True)


def solve_by_lu(factors: Tensor, order: Tensor, right: Tensor) -> Any:
    """``matrix^-1 @ right`` by what :func:`lu` gives, of the same batch."""
    half = solve_triangular(factors, reordered(right, order), upper=False, unit=True)
    return solve_triangular(factors, half, upper=True)


def diagonal_of(matrix: Tensor) -> Any:
    """The main diagonal of square matrices, as the last axis."""
    size = size_of(matrix, -1)
    return reduce("SUM", where(diagonal_mask(size, size, 0), matrix, ZERO), [rank_of(matrix) - 1], keepdim=False)


def cholesky(matrix: Tensor) -> tuple[Any, Any]:
    """The lower triangular factor, and where it fails: the order of the first minor that is not positive, else 0."""
    matrix = tensor(matrix)
    places = iota(size_of(matrix, -1))
    factor = expand(ZERO, shape_of(matrix))
    info = expand(torch.zeros((), dtype=torch.int64), shape_of(matrix)[:-2])

    def step(index: Dim, states: State, _: Any) -> State:
        current, factor, info = states
        pivot = take(column(current, index), index, rank_of(current) - 2)
        failed = elementwise("AND", compare("EQUAL", info, 0), _not_positive(pivot))
        info = where(failed, elementwise("SUM", as_dim(index), ONE_LONG), info)
        root = as_rows(unary("SQRT", pivot))
        scaled = elementwise("DIV", column(current, index), root)
        found = where(_at_or_beyond(places, index), scaled, ZERO)
        factor = where(equals(places, index), as_rows(found), factor)
        return [elementwise("SUB", current, outer(found, found)), factor, info]

    _, factor, info = repeat(size_of(matrix, -1), step, [matrix, factor, info])
    return factor, cast(info, torch.int32)


def _not_positive(value: Tensor) -> Any:
    """Not greater than zero: NaN too."""
    return unary("NOT", compare("GREATER", value, 0))


def householder(matrix: Tensor) -> tuple[Any, Any]:
    """LAPACK's geqrf: R on and above the diagonal, the reflectors below it; and their factors."""
    matrix = tensor(matrix)
    *lead, rows, columns = shape_of(matrix)
    count = dim_min(rows, columns)
    down, across, places = iota(rows), iota(columns), iota(count)
    factors = expand(torch.zeros(1), [*lead, count])

    def step(index: Dim, states: State, _: Any) -> State:
        current, factors = states
        below = beyond(down, index)
        tail = where(below, column(current, index), ZERO)
        alpha = take(column(current, index), index, rank_of(current) - 2)
        square = reduce("SUM", elementwise("PROD", tail, tail), [rank_of(tail) - 1], keepdim=False)
        norm = unary("SQRT", elementwise("SUM", elementwise("PROD", alpha, alpha), square))
        beta = where(compare("LESS", alpha, 0), norm, unary("NEG", norm))
        still = compare("EQUAL", square, 0)  # LAPACK's larfg leaves a column alone that is zero below the diagonal
        beta = where(still, alpha, beta)
        factor = where(still, ZERO, elementwise("DIV", elementwise("SUB", beta, alpha), safe(beta)))
        scale = as_rows(safe(elementwise("SUB", alpha, beta)))
        vector = where(below, elementwise("DIV", tail, scale), ZERO)
        reflector = where(equals(down, index), ONE, vector)
        inner = _times_columns(reflector, where(beyond(across, index), current, ZERO))
        update = outer(elementwise("PROD", reflector, as_rows(factor)), inner)
        current = elementwise("SUB", current, update)
        kept = where(below, vector, where(equals(down, index), as_rows(beta), column(current, index)))
        current = where(equals(across, index), as_rows(kept), current)
        return [current, where(equals(places, index), as_rows(factor), factors)]

    current, factors = repeat(count, step, [matrix, factors])
    return current, factors


def _times_columns(vector: Any, matrix: Any) -> Any:
    """``vector @ matrix`` for vectors along the last axis."""
    return reduce("SUM", elementwise("PROD", as_rows(vector), matrix), [rank_of(matrix) - 2], keepdim=False)


def reflect(reflectors: Tensor, factors: Tensor, value: Tensor, forwards: bool) -> Any:
    """``value`` with the reflections of :func:`householder` applied from the left, the first or the last one first."""
    down, count = iota(size_of(reflectors, -2)), size_of(factors, -1)

    def step(index: Dim, states: State, _: Any) -> State:
        (current,) = states
        vector = where(beyond(down, index), column(reflectors, index), ZERO)
        vector = where(equals(down, index), ONE, vector)
        factor = as_rows(take(factors, index, rank_of(factors) - 1))
        inner = _times_columns(vector, current)
        return [elementwise("SUB", current, outer(elementwise("PROD", vector, factor), inner))]

    return repeat(count, step, [value], backwards=not forwards)[0]


def lower_triangle(value: Tensor, offset: int = 0) -> Any:
    """The triangle below a diagonal, the diagonal included; zeros elsewhere."""
    return where(band_mask(size_of(value, -2), size_of(value, -1), offset, lower=True), value, ZERO)


def upper_triangle(value: Tensor, offset: int = 0) -> Any:
    """The triangle above a diagonal, the diagonal included; zeros elsewhere."""
    return where(band_mask(size_of(value, -2), size_of(value, -1), offset, lower=False), value, ZERO)


def symmetric(value: Tensor, uplo: str) -> Any:
    """The symmetric matrices that one triangle of ``value`` stands for, the lower (``L``) or the upper one (``U``)."""
    if uplo.upper() == "L":
        return elementwise("SUM", lower_triangle(value), transposed(lower_triangle(value, -1)))
    return elementwise("SUM", upper_triangle(value), transposed(upper_triangle(value, 1)))


def no_errors(value: Tensor) -> Any:
    """The info that LAPACK gives for success, one number a matrix."""
    return filled(shape_of(value)[:-2], 0, torch.int32)


def zero_pivot(factors: Tensor) -> Any:
    """LAPACK's info of an LU factorisation: the first zero on the diagonal, counted from 1, else 0."""
    count = dim_min(*shape_of(factors)[-2:])
    square = slice_axis(slice_axis(factors, -2, 0, count), -1, 0, count)
    found = where(compare("EQUAL", diagonal_of(square), 0), iota(count), as_dim(count))
    first = reduce("MIN", found, [rank_of(found) - 1], keepdim=False)
    none = elementwise("EQUAL", first, as_dim(count))
    return cast(where(none, torch.zeros_like(ONE_LONG), elementwise("SUM", first, ONE_LONG)), torch.int32)
