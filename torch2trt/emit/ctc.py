"""Connectionist temporal classification: the forward recursion in log space, unrolled over time."""

from __future__ import annotations

import math
from typing import Any

import torch

from .arithmetic import extremum
from .dims import Dim, dim_add, dim_mul, shape_of, size_of
from .dtypes import Tensor, cast, dtype_of
from .fill import filled
from .math import compare, elementwise, gather_elements, logical_not, unary, where
from .shape import concatenate, expand, reshape, slice_axis, unsqueeze
from .whole import positions, shaped


def alignment_loss(
    log_probabilities: Tensor, targets: Tensor, input_lengths: Tensor, target_lengths: Tensor, blank: int
) -> Any:
    """The negative logarithm of the probability of each target over all its alignments.

    Args:
        log_probabilities: float32 of shape (T, N, C), T known.
        targets: int32 of shape (N, S), padded with anything in range.
        input_lengths: int32 of shape (N, 1), how many steps count.
        target_lengths: int32 of shape (N, 1), how many labels count.
        blank: the label that stands for none.

    Returns:
        float32 of shape (N, 1).
    """
    steps, batch, count = size_of(log_probabilities, 0), size_of(log_probabilities, 1), size_of(targets, 1)
    labels = _with_blanks(targets, batch, count, blank)
    width = dim_add(dim_mul(count, 2), 1)
    index = expand(unsqueeze(labels, [0]), [steps, batch, width])
    emitted = gather_elements(log_probabilities, index, 2)
    # The label before last may be followed directly at labels that differ from it; at blanks it is a blank, too.
    skips = logical_not(compare("EQUAL", labels, _moved(labels, 2, batch, width, blank)))
    place = cast(shaped(positions(width), [1, width]), torch.int32)
    end = elementwise("PROD", target_lengths, cast(2, torch.int32))
    possible = elementwise("AND", compare("LESS", place, 2), compare("LESS", place, elementwise("SUM", end, _one())))
    alpha = where(possible, _step(emitted, 0), -math.inf)
    for step in range(1, steps):
        new = elementwise("SUM", _next(alpha, skips, batch, width), _step(emitted, step))
        alpha = where(compare("GREATER", input_lengths, step), new, alpha)
    last = gather_elements(alpha, end, 1)
    before = gather_elements(alpha, elementwise("MAX", elementwise("SUB", end, _one()), cast(0, torch.int32)), 1)
    before = where(compare("EQUAL", end, 0), -math.inf, before)
    return unary("NEG", log_sum([last, before]))


def _one() -> Tensor:
    return cast(1, torch.int32)


def _step(emitted: Any, step: int) -> Any:
    taken = slice_axis(emitted, 0, step, 1)
    return reshape(taken, shape_of(taken)[1:])


def _with_blanks(targets: Tensor, batch: Dim, count: Dim, blank: int) -> Any:
    """Targets with a blank before, between and after: of shape (N, 2 S + 1)."""
    blanks = filled([batch, count, 1], blank, torch.int32)
    pairs = concatenate([blanks, unsqueeze(targets, [2])], 2)
    return concatenate([reshape(pairs, [batch, dim_mul(count, 2)]), filled([batch, 1], blank, torch.int32)], 1)


def _moved(values: Any, places: int, batch: Dim, width: Dim, fill: float) -> Any:
    """Values of shape (batch, width) some places further on, behind ``fill``."""
    return slice_axis(concatenate([filled([batch, places], fill, dtype_of(values)), values], 1), 1, 0, width)


def _next(alpha: Any, skips: Any, batch: Dim, width: Dim) -> Any:
    """The sums over the places that lead to each place, before the step's own probability."""
    last, second_last = (_moved(alpha, places, batch, width, -math.inf) for places in (1, 2))
    return log_sum([alpha, last, where(skips, second_last, -math.inf)])


def log_sum(terms: list[Any]) -> Any:
    """``log(sum(exp(terms)))``, which is -infinity where all terms are."""
    largest = terms[0]
    for term in terms[1:]:
        largest = extremum("MAX", largest, term)
    shift = where(compare("EQUAL", largest, -math.inf), 0.0, largest)
    total = None
    for term in terms:
        part = unary("EXP", elementwise("SUB", term, shift))
        total = part if total is None else elementwise("SUM", total, part)
    return elementwise("SUM", unary("LOG", total), shift)
