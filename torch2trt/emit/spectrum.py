"""Eigenvalues, singular values and their vectors by Jacobi's rotations, all disjoint pairs of columns at once.

Golub and Van Loan, Matrix Computations, sections 8.5.4 (the order of pairs) and 8.6.3 (one-sided rotations).

Products are sums of products: TensorRT for RTX 1.4 multiplies matrices in TF32, which put eigenvalues of 64 columns off
by 2.4 % of the largest, and takes longer (H200: 18 ms, 12 as sums).
"""

from __future__ import annotations

from typing import Any

import torch

from .dims import Dim, dim_add, dim_floordiv, dim_min, dim_mul, dim_sub, known_ints, rank_of, shape_of, size_of
from .dtypes import Tensor, cast, tensor
from .math import compare, elementwise, gather, gather_elements, reduce, summed_products, unary, where
from .matrix import (
    ONE,
    ZERO,
    as_columns,
    as_rows,
    before,
    diagonal_of,
    eye,
    householder,
    identity_like,
    largest,
    reflect,
    transposed,
)
from .moving import dim_remainder, iota, unsqueezed
from .scan import State, repeat
from .shape import concatenate, expand, slice_axis, unsqueeze

SWEEPS = 10
"""Rounds over all pairs; float32 is exact after six to eight of them for matrices of up to 64 columns."""


def _partners(size: Dim) -> Tensor:
    """For every step of a tournament, the partner of each column; itself where it has none."""
    if not isinstance(size, int):
        return _partners_of_any(size)
    players = list(range(size)) + ([-1] if size % 2 else [])
    rounds = []
    for _ in range(len(players) - 1):
        partner = list(range(size))
        for first, second in zip(players[: len(players) // 2], reversed(players), strict=False):
            if first >= 0 and second >= 0:
                partner[first], partner[second] = second, first
        rounds.append(partner)
        players = [players[0], players[-1], *players[1:-1]]
    return torch.tensor(rounds * SWEEPS)


def _partners_of_any(size: Dim) -> Any:
    """As :func:`_partners`, of a size that is known at run time only.

    Of an even number of players the last one stands still, and those meet in round r whose numbers make r, modulo the
    count of the others; who would meet himself meets the last one, who is none where the size is odd.
    """
    last = dim_sub(dim_add(size, dim_remainder(size, 2)), 1)
    rounds = as_rows(_remainder(iota(dim_mul(last, SWEEPS)), last))
    places = iota(size)
    partner = _remainder(elementwise("SUB", rounds, places), last)
    partner = where(elementwise("EQUAL", partner, places), last, partner)
    opposite = _remainder(elementwise("PROD", rounds, dim_floordiv(dim_add(last, 1), 2)), last)
    partner = where(elementwise("EQUAL", places, last), opposite, partner)
    return where(elementwise("LESS", partner, size), partner, places)


def _remainder(value: Tensor, divisor: Dim) -> Any:
    """``value % divisor`` of integers, for a positive divisor."""
    whole = elementwise("FLOOR_DIV", value, divisor)
    return elementwise("SUB", value, elementwise("PROD", whole, divisor))


def _rotation(gram: Any, partner: Tensor) -> Any:
    """The rotation, one matrix, that makes each column orthogonal to its partner.

    Args:
        gram: the columns' inner products, of shape ``(..., n, n)``.
        partner: of shape ``(n,)``.
    """
    size = size_of(gram, -1)
    places = iota(size)
    own = diagonal_of(gram)
    other = gather(own, partner, rank_of(own) - 1)
    index = expand(unsqueeze(tensor(partner), 1), [*shape_of(gram)[:-1], 1])
    mixed = gather_elements(gram, index, rank_of(gram) - 1)
    mixed = reduce("SUM", mixed, [rank_of(mixed) - 1], keepdim=False)
    # Of two columns of nearly one length rounding decides the angle: both must have the same, or it is no rotation.
    mixed = elementwise("SUM", mixed, gather(mixed, partner, rank_of(mixed) - 1))
    single = elementwise("EQUAL", partner, places)
    idle = elementwise("OR", compare("EQUAL", mixed, 0), single)
    half = elementwise("DIV", elementwise("SUB", other, own), mixed)
    half = where(idle, ZERO, half)
    # The two columns of a pair turn in opposite directions, also where the angle is 45 degrees.
    first = where(elementwise("GREATER", partner, places), ONE, torch.tensor(-1.0))
    sign = where(compare("EQUAL", half, 0), first, where(compare("LESS", half, 0), torch.tensor(-1.0), ONE))
    root = unary("SQRT", elementwise("SUM", elementwise("PROD", half, half), ONE))
    tangent = elementwise("DIV", sign, elementwise("SUM", unary("ABS", half), root))
    tangent = where(idle, ZERO, tangent)
    cosine = unary("RECIP", unary("SQRT", elementwise("SUM", elementwise("PROD", tangent, tangent), ONE)))
    sine = elementwise("PROD", tangent, cosine)
    exchange = cast(elementwise("EQUAL", unsqueeze(tensor(partner), 0), unsqueezed(places, 1)), torch.float32)
    kept = elementwise("PROD", eye(size), as_columns(cosine))
    return elementwise("SUB", kept, elementwise("PROD", exchange, as_columns(sine)))


def symmetric_eigenvalues(matrix: Tensor) -> Any:
    """Eigenvalues of symmetric matrices, ascending."""
    size = size_of(matrix, -1)
    if size != 1:
        table = _partners(size)
        matrix = repeat(size_of(table, 0), _rotate_both_sides, [matrix], [table])[0]
    return largest("MIN", diagonal_of(matrix), size)[0]


def _rotate_both_sides(_: Any, states: State, rows: Any) -> State:
    (current,) = states
    rotation = _rotation(current, rows[0])
    return [summed_products(transposed(rotation), summed_products(current, rotation))]


def orthogonal_columns(matrix: Tensor, with_rotation: bool = False) -> Any:
    """``matrix @ V``, whose columns are orthogonal, for an orthogonal V; and V below it, if asked for."""
    rows, size = shape_of(matrix)[-2:]
    axis = rank_of(matrix) - 2
    # Both are one matrix: TensorRT for RTX 1.4 fails to build two products by one rotation in a loop.
    both = concatenate([matrix, identity_like(transposed(matrix))], axis) if with_rotation else tensor(matrix)
    upper = cast(unsqueezed(before(iota(size_of(both, axis)), rows), 1), torch.float32)

    def step(_: Any, states: State, table: Any) -> State:
        counted = elementwise("PROD", states[0], upper) if with_rotation else states[0]
        rotation = _rotation(summed_products(transposed(counted), states[0]), table[0])
        return [summed_products(states[0], rotation)]

    if size == 1:
        return both
    table = _partners(size)
    return repeat(size_of(table, 0), step, [both], [table])[0]


def column_norms(matrix: Tensor) -> Any:
    """The length of every column."""
    square = reduce("SUM", elementwise("PROD", matrix, matrix), [rank_of(matrix) - 2], keepdim=False)
    return unary("SQRT", square)


def singular_values(matrix: Tensor) -> Any:
    """Singular values, descending."""
    norms = column_norms(orthogonal_columns(transposed(matrix) if _is_wide(matrix) else matrix))
    return largest("MAX", norms, dim_min(*shape_of(matrix)[-2:]))[0]


def _is_wide(matrix: Tensor) -> bool:
    """Whether matrices are known to have fewer rows than columns: turned, they have fewer columns to rotate."""
    rows, columns = shape_of(matrix)[-2:]
    return isinstance(rows, int) and isinstance(columns, int) and rows < columns


def symmetric_decomposition(matrix: Tensor) -> tuple[Any, Any]:
    """Eigenvalues of symmetric matrices, ascending, and eigenvectors as columns.

    The columns that are rotated are those of a positive matrix, which has the same eigenvectors: singular vectors of
    the matrix itself mix those of eigenvalues that differ by their sign alone.
    """
    axis, size = rank_of(matrix) - 2, size_of(matrix, -1)
    totals = reduce("SUM", unary("ABS", matrix), [axis + 1], keepdim=True)
    bound = reduce("MAX", totals, [axis], keepdim=True)
    positive = elementwise("SUM", matrix, elementwise("PROD", identity_like(matrix), bound))
    both = orthogonal_columns(positive, with_rotation=True)
    vectors = slice_axis(both, axis, size, size)
    images = elementwise("SUB", slice_axis(both, axis, 0, size), elementwise("PROD", vectors, bound))
    values = reduce("SUM", elementwise("PROD", images, vectors), [axis], keepdim=False)
    values, order = largest("MIN", values, size)
    vectors = _columns_in(order, vectors)
    return values, elementwise("PROD", vectors, as_columns(_signs(vectors)))


def singular_decomposition(matrix: Tensor, full: bool) -> tuple[Any, Any, Any]:
    """Left singular vectors as columns, singular values, descending, and right ones as rows; of matrices of known size.

    Left vectors are those of a QR factorisation of the orthogonal columns, which completes them where singular values
    are zero, or ``full`` asks for a whole basis.
    """
    rows, columns = known_ints(shape_of(matrix)[-2:], "the size of matrices that singular vectors are taken of")
    if rows < columns:
        right, values, left = singular_decomposition(transposed(matrix), full)
        return transposed(left), values, transposed(right)
    axis = rank_of(matrix) - 2
    both = orthogonal_columns(matrix, with_rotation=True)
    values, order = largest("MAX", column_norms(slice_axis(both, axis, 0, rows)), columns)
    both = _columns_in(order, both)
    right = slice_axis(both, axis, rows, columns)
    factored, factors = householder(slice_axis(both, axis, 0, rows))
    left = reflect(factored, factors, identity_like(factored, rows if full else columns), forwards=False)
    turned = _sign_of(diagonal_of(slice_axis(factored, axis, 0, columns)))
    signs = _signs(right)
    flips = elementwise("PROD", turned, signs)
    if full and rows > columns:
        flips = concatenate([flips, expand(torch.ones(()), [*shape_of(flips)[:-1], rows - columns])], axis)
    right = elementwise("PROD", right, as_columns(signs))
    return elementwise("PROD", left, as_columns(flips)), values, transposed(right)


def _columns_in(order: Any, matrix: Any) -> Any:
    return gather_elements(matrix, expand(as_columns(order), shape_of(matrix)), rank_of(matrix) - 1)


def _sign_of(value: Any) -> Any:
    """1 where it is zero."""
    return where(compare("LESS", value, 0), torch.tensor(-1.0), ONE)


def _signs(vectors: Any) -> Any:
    """For every column the sign by which its inner product with a vector of no pattern becomes positive."""
    numbers = elementwise("SUM", cast(iota(size_of(vectors, -2)), torch.float32), ONE)
    weights = as_rows(unary("SIN", elementwise("PROD", numbers, numbers)))
    return _sign_of(reduce("SUM", elementwise("PROD", vectors, weights), [rank_of(vectors) - 2], keepdim=False))


def pseudo_inverse(matrix: Tensor, least: Any) -> Any:
    """The Moore-Penrose inverse.

    Args:
        matrix: of shape ``(..., rows, columns)``.
        least: gives, from the singular values, the largest one that counts as zero, with one axis of size 1 more.
    """
    wide = _is_wide(matrix)
    source = transposed(matrix) if wide else matrix
    both = orthogonal_columns(source, with_rotation=True)
    axis = rank_of(both) - 2
    count, columns = shape_of(source)[-2:]
    norms = column_norms(slice_axis(both, axis, 0, count))
    counts = elementwise("GREATER", norms, least(norms))
    square = elementwise("PROD", norms, norms)
    weights = where(counts, unary("RECIP", where(counts, square, ONE)), ZERO)
    products = summed_products(elementwise("PROD", both, as_columns(weights)), transposed(both))
    inverse = slice_axis(slice_axis(products, axis, count, columns), axis + 1, 0, count)
    return transposed(inverse) if wide else inverse
