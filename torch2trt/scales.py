"""Sizes that are scaled by a factor, in whole numbers: TensorRT makes none of floating point."""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy

from .errors import UnsupportedArgumentError

_LONGEST = 1 << 20
"""A scale's sizes are checked below this length."""

_MOST_RANGES = 32
"""Of lengths where a scale's size needs a correction; TensorRT computes shape tensors of up to 64 elements."""


@functools.lru_cache(maxsize=64)
def whole_formula(factor: float) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    """How ``floor(length * factor)`` is computed of whole numbers: ``length * numerator // denominator``, less a one.

    Where the nearest simple fraction is above the factor, the product of a multiple of the denominator lies below a
    whole number by a part of it that double precision rounds away at the beginning of each binade and keeps at its
    end: there one is too many.

    Returns:
        the numerator, the denominator, and the first and last lengths of the ranges, at most 32, of whose multiples of
        the denominator one is taken off.

    Raises:
        UnsupportedArgumentError: this does not give what double precision gives, for every length below ``_LONGEST``.
    """
    lengths = numpy.arange(_LONGEST, dtype=numpy.int64)
    wanted = numpy.floor(lengths * float(factor)).astype(numpy.int64)
    fraction = Fraction(factor).limit_denominator(_LONGEST)
    above = lengths * fraction.numerator // fraction.denominator - wanted
    places = above.nonzero()[0]
    ends = (numpy.diff(places) != fraction.denominator).nonzero()[0].tolist()
    first = [int(places[place]) for place in (0, *(end + 1 for end in ends))] if len(places) else []
    last = [int(places[place]) for place in (*ends, -1)] if len(places) else []
    taken = (above[places] == 1).all() and not (places % fraction.denominator).any()
    if not taken or len(first) > _MOST_RANGES:
        raise UnsupportedArgumentError(
            f"the scale {factor} of an axis whose size is known at run time only is no simple fraction",
            hint="pass the output size instead of the scale",
        )
    return fraction.numerator, fraction.denominator, tuple(first), tuple(last)
