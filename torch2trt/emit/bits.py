"""Bitwise logic of integers, which TensorRT does not have: bit by bit along an added axis."""

from __future__ import annotations

from typing import Any

import torch

from .dims import rank_of, shape_of
from .dtypes import Tensor, cast, dtype_of, result_type, tensor
from .math import compare, elementwise, gather, reduce, where
from .network import MAX_RANK
from .pointwise import computable, to_uint8
from .shape import align_ranks, broadcast_shape, expand, flatten, reshape, unsqueeze

_WIDTHS = {torch.uint8: 8, torch.int32: 32, torch.int64: 64}


def bitwise(operation: str, left: Tensor, right: Tensor) -> Any:
    """``AND``, ``OR`` or ``XOR`` of the bits of two integers, in two's complement; promoted and broadcast."""
    dtype = result_type(left, right)
    wide = computable(dtype)
    width = _WIDTHS[dtype]
    operands = align_ranks([cast(left, wide), cast(right, wide)])
    sizes = None
    if rank_of(operands[0]) == MAX_RANK:  # no axis is left for the bits
        sizes = broadcast_shape(*(shape_of(value) for value in operands))
        operands = [flatten(expand(value, sizes), 0, MAX_RANK - 1) for value in operands]
    both = elementwise(operation, *(_bits(value, width) for value in operands))
    values = [1 << place for place in range(width)]
    if width > 8:
        values[-1] = -values[-1]
    terms = where(both, torch.tensor(values, dtype=wide), torch.zeros((), dtype=wide))
    result = reduce("SUM", terms, [rank_of(terms) - 1], keepdim=False)
    result = result if sizes is None else reshape(result, sizes)
    return to_uint8(result) if dtype == torch.uint8 else result


def _bits(value: Any, width: int) -> Any:
    """The ``width`` lowest bits along a new last axis; booleans."""
    value = unsqueeze(tensor(value), rank_of(value))
    places = [1 << place for place in range(width)]
    shifted = None
    if width > 8:  # 2 ** (width - 1) is out of range: the sign takes two steps
        last = torch.tensor([1] * (width - 1) + [2], dtype=dtype_of(value))
        places[-1] = places[-2]
        shifted = elementwise("FLOOR_DIV", _floor_divided(value, places), last)
    else:
        shifted = _floor_divided(value, places)
    two = torch.tensor(2, dtype=dtype_of(value))
    even = elementwise("PROD", elementwise("FLOOR_DIV", shifted, two), two)
    return compare("GREATER", shifted, even)


def _floor_divided(value: Any, places: list[int]) -> Any:
    return elementwise("FLOOR_DIV", value, torch.tensor(places, dtype=dtype_of(value)))


def shift(left: Tensor, right: Tensor, to_left: bool) -> Any:
    """``left << right`` or ``left >> right`` of integers, promoted and broadcast; right shifts keep the sign.

    A shift by a negative number, or by the width and more, gives 0; to the right the sign, as eager does
    (aten/src/ATen/native/cpu/BinaryOpsKernel.cpp, lshift_kernel and rshift_kernel).
    """
    dtype = result_type(left, right)
    wide, width = computable(dtype), _WIDTHS[dtype]
    value, places = align_ranks([cast(left, wide), cast(right, wide)])
    last = width - 1 if width == 8 else width - 2  # the largest power of two that the dtype holds
    highest = torch.tensor(last, dtype=wide)
    proper = elementwise("AND", compare("GREATER", places, -1), compare("LESS", places, width))
    inside = elementwise("MAX", elementwise("MIN", places, highest), torch.zeros((), dtype=wide))
    factor = gather(torch.tensor([1 << place for place in range(last + 1)], dtype=wide), inside, 0)
    operation = "PROD" if to_left else "FLOOR_DIV"
    result = elementwise(operation, value, factor)
    two = torch.tensor(2, dtype=wide)
    result = where(compare("GREATER", places, last), elementwise(operation, result, two), result)
    outside = torch.zeros((), dtype=wide)
    if not to_left:
        outside = where(compare("LESS", value, 0), cast(-1, wide), outside)
    result = where(proper, result, outside)
    return to_uint8(result) if dtype == torch.uint8 else result
