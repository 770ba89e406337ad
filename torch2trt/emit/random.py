"""Random numbers from TensorRT's fill layers, where ``allow_random=True`` lets them be drawn.

They have the distribution of PyTorch's, not its values: an engine knows no ``torch.manual_seed``, and TensorRT promises
neither that two runs draw the same numbers nor that they draw different ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..context import building
from ..errors import UnsupportedArgumentError
from ..trt_compat import to_trt_dtype
from .dims import Dim, Shape, all_known, rank_of, shape_of, shape_tensor
from .dtypes import Tensor, cast, dtype_of
from .fill import filled
from .math import compare, elementwise, unary
from .network import add_layer, enum
from .pointwise import arithmetic
from .shape import reshape

LARGEST_RANGE = 2**24 + 1
"""A float32 holds no more whole numbers in a row, 0 the first."""


def require_random(what: str, hint: str = "draw them outside of the module and pass them as an input") -> None:
    """Refuse random numbers unless they are allowed.

    Raises:
        UnsupportedArgumentError: ``allow_random`` was not given.
    """
    if not building().allow_random:
        raise UnsupportedArgumentError(
            f"{what} draws random numbers, which an engine cannot draw as PyTorch does",
            hint=f"{hint}; allow_random=True draws others of the same distribution",
        )


def uniform(dims: Shape, least: float = 0.0, most: float = 1.0) -> Any:
    """Float32 numbers spread evenly from ``least`` to below ``most``; known if there are none."""
    return _drawn(dims, "RANDOM_UNIFORM", least, most)


def normal(dims: Shape, mean: float = 0.0, deviation: float = 1.0) -> Any:
    """Float32 numbers of a normal distribution; known if there are none, and the sizes are."""
    return _drawn(dims, "RANDOM_NORMAL", mean, deviation)


def _drawn(dims: Shape, kind: str, alpha: float, beta: float) -> Any:
    dims = list(dims)
    if 0 in dims:
        return filled(dims, 0.0, torch.float32)
    node = building().node
    require_random("this op" if node is None else node.kind)
    if not dims:  # TensorRT for RTX 1.4 builds no fill of rank 0
        return reshape(_drawn([1], kind, alpha, beta), [])
    operation, held = enum("FillOperation", kind), to_trt_dtype(torch.float32)
    if all_known(dims):
        return add_layer("fill", tuple(dims), operation, held, alpha=alpha, beta=beta)
    return add_layer("fill", (0,) * len(dims), operation, held, inputs={0: shape_tensor(dims)}, alpha=alpha, beta=beta)


def complement(numbers: Tensor) -> Any:
    """Uniform numbers above 0 and up to 1, whose logarithm is finite, from those of :func:`uniform`."""
    return elementwise("SUB", torch.ones(()), numbers)


def exponential(dims: Shape, rate: float = 1.0) -> Any:
    """Float32 numbers of an exponential distribution."""
    return arithmetic("DIV", unary("NEG", unary("LOG", complement(uniform(dims)))), rate)


def kept(dims: Sequence[Dim], drop: float) -> Any:
    """Float32 ones, and zeros with probability ``drop``."""
    return cast(compare("LESS", uniform(dims), 1 - drop), torch.float32)


def dropped(value: Tensor, drop: float, dims: Shape | None = None) -> Any:
    """Dropout as in training: zeros with probability ``drop``, and all else divided by the probability to be kept.

    Args:
        value: of a floating dtype.
        drop: from 0 to 1.
        dims: the mask's sizes, which broadcast to the value's; these by default.
    """
    if drop == 0 or 0 in shape_of(value):
        return value
    mask = kept(shape_of(value) if dims is None else dims, drop)
    factor = arithmetic("PROD", mask, 0.0 if drop == 1 else 1 / (1 - drop))
    return arithmetic("PROD", value, cast(factor, dtype_of(value)))


def channels(value: Tensor) -> list[Dim]:
    """The sizes of a mask with one element a channel: the first two axes of ``value``, and 1 for the others."""
    sizes = shape_of(value)
    return [*sizes[:2], *[1] * (rank_of(value) - 2)]
