"""Small networks that cover every layer type and every enum value of it."""

from __future__ import annotations

from . import (
    attention,
    control,
    convolution,
    elementwise,
    indexing,
    matrix,
    normalization,
    quantization,
    sampling,
    shape,
)
from .case import Case

FAMILIES = (
    elementwise,
    convolution,
    matrix,
    shape,
    indexing,
    sampling,
    normalization,
    quantization,
    attention,
    control,
)

CASES: list[Case] = [case for family in FAMILIES for case in family.CASES]
