"""The factors L D L^T of symmetric matrices with pivots of one or two columns: LAPACK's sytf2 and sytrs, lower half.

Every step works on whole matrices under masks; the second step of a pivot of two columns does nothing.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from .dims import Dim, as_dim, rank_of, shape_of, size_of
from .dtypes import Tensor, cast, tensor
from .math import compare, elementwise, logical_not, reduce, unary, where
from .matrix import ONE, ZERO, as_columns, as_rows, largest, lower_triangle, outer, reordered, transposed
from .moving import band_mask, diagonal_mask, iota
from .scan import State, repeat
from .shape import broadcast_shape, expand

_ALPHA = (1 + math.sqrt(17)) / 8
"""The bound on an element's growth that LAPACK chooses pivots by."""


def _tables(size: Dim) -> list[Tensor]:
    """For every step k, as zeros and ones: which place is k, which lie after it, which is the next and the last one."""
    after = band_mask(size, size, 1, lower=False)
    here, following, last = (diagonal_mask(size, size, offset) for offset in (0, 1, -1))
    return [cast(mask, torch.float32) for mask in (here, after, following, last)]


def _product(left: Tensor, right: Tensor) -> Any:
    return elementwise("PROD", left, right)


def _total(value: Any, axis: int) -> Any:
    return reduce("SUM", value, [rank_of(value) + axis], keepdim=False)


def _column(value: Any, place: Tensor) -> Any:
    """``value[..., :, k]`` for the one-hot vector of k."""
    return _total(where(_is(place), value, ZERO), -1)


def _row(value: Any, place: Tensor) -> Any:
    """``value[..., k, :]`` for the one-hot vectors of k."""
    return _total(where(_is(as_rows(place)), value, ZERO), -2)


def _at(vector: Any, place: Tensor) -> Any:
    """``vector[..., k]`` with an axis of size 1 at the end."""
    return as_rows(_total(where(_is(place), vector, ZERO), -1))


def _is(mask: Tensor) -> Any:
    return compare("GREATER", mask, 0.5)


def _either(condition: Any, chosen: Any, other: Any) -> Any:
    """Of zeros and ones in place of booleans."""
    return where(_is(condition), chosen, other)


def _exchange(size: Dim, first: Any, second: Any) -> Any:
    """The order of rows, of shape ``(..., size)``, in which two of them, given as ``(..., 1)``, change places."""
    places = iota(size)
    order = where(elementwise("EQUAL", places, first), second, places)
    return where(elementwise("EQUAL", places, second), first, order)


def _whole(value: Any) -> Any:
    return cast(value, torch.int64)


def factor(matrix: Tensor) -> tuple[Any, Any, Any]:
    """L and D in one lower triangle; the pivots as LAPACK gives them; the order of the first zero in D, else 0."""
    matrix = tensor(matrix)
    *lead, size, _ = shape_of(matrix)
    lower = lower_triangle(matrix)
    start = elementwise("SUM", lower, transposed(lower_triangle(matrix, -1)))
    zeros = expand(torch.zeros(1), [*lead, 1])

    def step(index: Dim, states: State, rows: Any) -> State:
        current, pivots, skip, info = states
        here, after, following, _ = rows
        active = elementwise("SUB", ONE, skip)
        two, target, empty = _choose(current, index, here, after)
        two = _product(two, active)
        place = _product(elementwise("SUM", target, ONE), active)
        signed = _product(place, elementwise("SUB", ONE, _product(two, torch.tensor(2.0))))
        pivots = elementwise("SUM", pivots, _product(signed, elementwise("SUM", here, _product(two, following))))
        info = where(_is(_product(_product(empty, active), _equals_zero(info))), place, info)
        source = elementwise("SUM", _float(index), two)
        source, target = (_whole(_either(active, value, _float(index))) for value in (source, target))
        order = _exchange(size, source, target)
        moved = transposed(reordered(transposed(reordered(current, order)), order))
        trailing = elementwise("SUM", here, after)
        current = where(_is(outer(trailing, trailing)), moved, current)
        return [_eliminated(current, two, active, rows), pivots, two, info]

    pivots = expand(torch.zeros(1), [*lead, size])
    current, pivots, _, info = repeat(size, step, [start, pivots, zeros, zeros], _tables(size))
    return lower_triangle(current), cast(pivots, torch.int32), cast(_total(info, -1), torch.int32)


def _float(index: Dim) -> Any:
    return torch.tensor(float(index)) if isinstance(index, int) else cast(as_dim(index), torch.float32)


def _equals_zero(value: Any) -> Any:
    return cast(compare("EQUAL", value, 0), torch.float32)


def _choose(current: Any, index: Dim, here: Tensor, after: Tensor) -> tuple[Any, Any, Any]:
    """Whether two columns are eliminated, the row that is brought up, and whether the column is zero."""
    own = unary("ABS", _at(_column(current, here), here))
    below = where(_is(after), unary("ABS", _column(current, here)), torch.full((), -1.0))
    best, place = largest("MAX", below, 1)
    best = elementwise("MAX", best, ZERO)
    chosen = cast(elementwise("EQUAL", iota(size_of(current, -1)), _whole(place)), torch.float32)
    across = unary("ABS", _row(current, chosen))
    others = elementwise("SUB", elementwise("SUM", here, after), _product(chosen, after))
    widest = reduce("MAX", where(_is(others), across, ZERO), [rank_of(across) - 1], keepdim=True)
    bound = _product(best, torch.tensor(_ALPHA))
    stays = elementwise("OR", _reaches(own, bound), _reaches(_product(own, widest), _product(bound, best)))
    alone = elementwise("OR", stays, _reaches(_at(across, chosen), _product(widest, torch.tensor(_ALPHA))))
    empty = elementwise("AND", compare("EQUAL", own, 0), compare("EQUAL", best, 0))
    target = where(stays, _float(index), cast(place, torch.float32))
    return cast(logical_not(alone), torch.float32), target, cast(empty, torch.float32)


def _reaches(left: Any, right: Any) -> Any:
    return logical_not(elementwise("LESS", left, right))


def _eliminated(current: Any, two: Any, active: Any, rows: Any) -> Any:
    """The matrix after one step, its columns of L in place of those eliminated."""
    here, after, following, _ = rows
    rest = elementwise("SUB", after, _product(two, following))
    first, second = _column(current, here), _column(current, following)
    left = where(_is(rest), first, ZERO)
    right = where(_is(_product(rest, two)), second, ZERO)
    own, mixed = _at(first, here), _either(two, _at(first, following), ONE)
    scaled = elementwise("DIV", _at(second, following), mixed), elementwise("DIV", own, mixed)
    turn = elementwise("SUB", _product(*scaled), ONE)
    turn = elementwise("DIV", ONE, _product(_either(two, turn, ONE), mixed))
    both = (
        _product(turn, elementwise("SUB", _product(scaled[0], left), right)),
        _product(turn, elementwise("SUB", _product(scaled[1], right), left)),
    )
    alone = elementwise("DIV", left, where(compare("EQUAL", own, 0), ONE, own))
    factors = _product(active, _either(two, both[0], alone)), _product(two, both[1])
    current = elementwise("SUB", current, elementwise("SUM", outer(left, factors[0]), outer(right, factors[1])))
    kept = _product(rest, active)
    current = where(_is(outer(kept, here)), as_rows(factors[0]), current)
    return where(_is(outer(_product(kept, two), following)), as_rows(factors[1]), current)


def solve(factors: Tensor, pivots: Tensor, right: Tensor) -> Any:
    """The solution for factors and pivots as :func:`factor` gives them."""
    size = size_of(factors, -1)
    lead = broadcast_shape(shape_of(factors)[:-2], shape_of(right)[:-2])
    factors, right = (expand(value, [*lead, *shape_of(value)[-2:]]) for value in (factors, right))
    pivots = expand(cast(pivots, torch.float32), [*lead, size])
    zeros = expand(torch.zeros(1), [*lead, 1])

    def forward(index: Dim, states: State, rows: Any) -> State:
        here, after, following, _ = rows
        two, active, current = _turn(index, states, pivots, here, 1)
        rest = elementwise("SUB", after, _product(two, following))
        first, second = _row(current, here), _row(current, following)
        left = where(_is(_product(rest, active)), _column(factors, here), ZERO)
        other = where(_is(_product(rest, two)), _column(factors, following), ZERO)
        current = elementwise("SUB", current, elementwise("SUM", outer(left, first), outer(other, second)))
        solved = _solved_pivot(factors, first, second, two, rows)
        current = where(_is(as_rows(_product(here, active))), as_columns(solved[0]), current)
        return [where(_is(as_rows(_product(following, two))), as_columns(solved[1]), current), two]

    def backward(index: Dim, states: State, rows: Any) -> State:
        here, after, _, last = rows
        two, active, _ = _turn(index, states, pivots, here, None)
        current = states[0]
        for place, mask in ((here, active), (last, two)):
            column = where(_is(_product(after, mask)), _column(factors, place), ZERO)
            update = _total(_product(as_rows(column), current), -2)
            current = elementwise("SUB", current, outer(_product(place, mask), update))
        return [_turn(index, [current, states[1]], pivots, here, 0)[2], two]

    current, _ = repeat(size, forward, [right, zeros], _tables(size))
    return repeat(size, backward, [current, zeros], _tables(size), backwards=True)[0]


def _turn(index: Dim, states: State, pivots: Any, here: Tensor, shift: int | None) -> tuple[Any, Any, Any]:
    """Whether a pivot of two columns begins, whether the step does anything, and the rows exchanged.

    The exchange is of the pivot's row and, of two columns, the ``shift``-th after this one.
    """
    current, skip = states
    active = elementwise("SUB", ONE, skip)
    pivot = _at(pivots, here)
    two = _product(cast(compare("LESS", pivot, 0), torch.float32), active)
    if shift is None:
        return two, active, current
    source = elementwise("SUM", _float(index), _product(two, torch.tensor(float(shift))))
    target = elementwise("SUB", unary("ABS", pivot), ONE)
    source, target = (_whole(_either(active, value, _float(index))) for value in (source, target))
    return two, active, reordered(current, _exchange(size_of(current, -2), source, target))


def _solved_pivot(factors: Any, first: Any, second: Any, two: Any, rows: Any) -> tuple[Any, Any]:
    """What one pivot's rows are divided by D."""
    here, _, following, _ = rows
    column = _column(factors, here)
    own, mixed = _at(column, here), _either(two, _at(column, following), ONE)
    scaled = elementwise("DIV", own, mixed), elementwise("DIV", _at(_column(factors, following), following), mixed)
    turn = _either(two, elementwise("SUB", _product(*scaled), ONE), ONE)
    first_part, second_part = elementwise("DIV", first, mixed), elementwise("DIV", second, mixed)
    both = (
        elementwise("DIV", elementwise("SUB", _product(scaled[1], first_part), second_part), turn),
        elementwise("DIV", elementwise("SUB", _product(scaled[0], second_part), first_part), turn),
    )
    return _either(two, both[0], elementwise("DIV", first, _either(two, ONE, own))), both[1]
