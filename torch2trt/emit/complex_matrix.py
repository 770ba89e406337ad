"""Factorisations of complex matrices, step by step as those of real ones in :mod:`torch2trt.emit.matrix`."""

from __future__ import annotations

from typing import Any

import torch

from ..pairs import Complex
from .complex import add_complex, choose, conjugate, divide_complex, each, multiply_complex, parts
from .dims import Dim, dim_min, rank_of, shape_of, size_of
from .dtypes import cast, tensor
from .math import compare, elementwise, gather_elements, reduce, unary, where
from .matrix import (
    ONE,
    ONE_LONG,
    ZERO,
    as_columns,
    as_rows,
    before,
    below_diagonal,
    beyond,
    column,
    equals,
    pivot_rows,
    reordered,
    row,
)
from .moving import iota, take
from .scan import State, repeat
from .shape import expand


def _masked(mask: Any, value: Complex) -> Complex:
    return each(lambda part: where(mask, part, ZERO), value)


def _element(value: Complex, index: Dim) -> Complex:
    """The diagonal's element in row ``index``, as a vector of one."""
    return each(lambda part: as_rows(take(column(part, index), index, rank_of(part) - 2)), value)


def _outer(left: Complex, right: Complex) -> Complex:
    return multiply_complex(each(as_rows, left), each(as_columns, right))


def _safe(value: Complex) -> Complex:
    """``value``, with 1 in place of 0, to divide by."""
    zero = elementwise("AND", *(compare("EQUAL", part, 0) for part in value))
    return Complex(where(zero, ONE, value.real), value.imag)


def lu(value: Any) -> tuple[Complex, Any, Any]:
    """LU factors with row pivoting by the sum of both parts' magnitudes, as LAPACK does.

    Returns:
        both factors in one matrix; the pivots, counted from 1; the order of the rows.
    """
    held = each(tensor, value)
    *lead, rows, columns = shape_of(held.real)
    count = dim_min(rows, columns)
    down, across, places = iota(rows), iota(columns), iota(count)
    pivots = expand(torch.zeros(1, dtype=torch.int64), [*lead, count])
    order = expand(down, [*lead, rows])

    def step(index: Dim, states: State, _: Any) -> State:
        real, imag, pivots, order = states
        exchange = pivot_rows(elementwise("SUM", unary("ABS", real), unary("ABS", imag)), index)
        current = each(reordered, Complex(real, imag), exchange)
        quotient = divide_complex(each(column, current, index), _safe(_element(current, index)))
        factors = _masked(beyond(down, index), quotient)
        right = _masked(beyond(across, index), each(row, current, index))
        updated = add_complex(current, _outer(factors, right), -1)
        updated = choose(below_diagonal(down, across, index), each(as_rows, factors), updated)
        chosen = elementwise("SUM", as_rows(take(exchange, index, rank_of(exchange) - 1)), ONE_LONG)
        pivots = where(equals(places, index), chosen, pivots)
        return [*updated, pivots, gather_elements(order, exchange, rank_of(order) - 1)]

    real, imag, pivots, order = repeat(count, step, [*held, pivots, order])
    return Complex(real, imag), pivots, order


def sign_of_pivots(pivots: Any) -> Any:
    """1 where the row exchanges are even, else -1; float32."""
    still = elementwise("EQUAL", cast(pivots, torch.int64), elementwise("SUM", iota(size_of(pivots, -1)), ONE_LONG))
    return reduce("PROD", where(still, ONE, torch.tensor(-1.0)), [rank_of(pivots) - 1], keepdim=False)


def _times_columns(vector: Complex, matrix: Complex) -> Complex:
    """``vector @ matrix`` for vectors along the last axis."""
    product = multiply_complex(each(as_rows, vector), matrix)
    return each(lambda part: reduce("SUM", part, [rank_of(part) - 2], keepdim=False), product)


def _update(value: Complex, reflector: Complex, factor: Complex) -> Complex:
    """``factor * reflector (reflector^H value)``, which the reflection takes away."""
    return _outer(multiply_complex(reflector, factor), _times_columns(conjugate(reflector), value))


def _square(value: Complex) -> Any:
    return elementwise("SUM", *(elementwise("PROD", part, part) for part in value))


def householder(value: Any) -> tuple[Complex, Complex]:
    """LAPACK's geqrf: R, whose diagonal is real, on and above the diagonal, the reflectors below it; their factors."""
    held = each(tensor, value)
    *lead, rows, columns = shape_of(held.real)
    count = dim_min(rows, columns)
    down, across, places = iota(rows), iota(columns), iota(count)
    nothing = expand(torch.zeros(1), [*lead, count])

    def step(index: Dim, states: State, _: Any) -> State:
        current, factors = Complex(*states[:2]), Complex(*states[2:])
        after = beyond(down, index)
        tail, alpha = _masked(after, each(column, current, index)), _element(current, index)
        square = reduce("SUM", _square(tail), [rank_of(tail.real) - 1], keepdim=True)
        norm = unary("SQRT", elementwise("SUM", _square(alpha), square))
        beta = where(compare("LESS", alpha.real, 0), norm, unary("NEG", norm))
        still = elementwise("AND", compare("EQUAL", square, 0), compare("EQUAL", alpha.imag, 0))
        beta = where(still, alpha.real, beta)
        gap = add_complex(alpha, beta, -1)
        divisor = where(compare("EQUAL", beta, 0), ONE, beta)
        factor = each(lambda part: unary("NEG", elementwise("DIV", part, divisor)), gap)
        vector = divide_complex(tail, _safe(gap))
        reflector = Complex(where(equals(down, index), ONE, vector.real), vector.imag)
        rest = _masked(beyond(across, index), current)
        done = choose(after, vector, _masked(before(down, index), each(column, current, index)))
        done = Complex(where(equals(down, index), beta, done.real), done.imag)
        current = add_complex(current, _update(rest, reflector, conjugate(factor)), -1)
        current = choose(equals(across, index), each(as_rows, done), current)
        return [*current, *choose(equals(places, index), factor, factors)]

    real, imag, *factors = repeat(count, step, [*held, nothing, nothing])
    return Complex(real, imag), Complex(*factors)


def reflect(reflectors: Any, factors: Any, value: Any, forwards: bool, adjoint: bool) -> Complex:
    """``value`` with the reflections of :func:`householder` applied from the left.

    Args:
        reflectors: below the diagonal.
        factors: one a reflector.
        value: matrices of as many rows.
        forwards: the first reflection first, else the last one.
        adjoint: each reflection's adjoint.
    """
    held, scales = parts(reflectors), parts(factors)
    down, count = iota(size_of(held.real, -2)), size_of(scales.real, -1)

    def step(index: Dim, states: State, _: Any) -> State:
        current = Complex(*states)
        vector = _masked(beyond(down, index), each(column, held, index))
        vector = Complex(where(equals(down, index), ONE, vector.real), vector.imag)
        factor = each(lambda part: as_rows(take(part, index, rank_of(part) - 1)), scales)
        return list(add_complex(current, _update(current, vector, conjugate(factor) if adjoint else factor), -1))

    return Complex(*repeat(count, step, [tensor(part) for part in parts(value)], backwards=not forwards))
