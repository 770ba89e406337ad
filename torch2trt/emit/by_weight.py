"""The product with a known matrix, in the form of it that TensorRT runs fastest."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..trt_compat import is_rtx
from ..weights import derive
from .dims import rank_of, static_shape
from .dtypes import Tensor, cast, dtype_of
from .math import elementwise, matmul, reduce
from .quantization import quantized_weight
from .shape import rearrange, reshape, slice_axis, squeeze


def by_weight(value: Tensor, weight: Tensor, transposed: bool = False, bias: Tensor | None = None) -> Any:
    """``value @ weight + bias`` of floating point.

    Args:
        value: of shape ``(..., n, k)``, at least of rank 2.
        weight: of shape ``(..., k, m)``; known or not.
        transposed: ``weight`` is ``(..., m, k)`` instead.
        bias: broadcast to the result.
    """
    stored, cut = quantized_weight(weight), None
    if isinstance(weight, torch.Tensor) and stored is weight and weight.dim() == 2 and is_rtx():
        inner, outer = reversed(weight.shape) if transposed else weight.shape
        sizes = static_shape(value)[:-1]
        rows = None if -1 in sizes else math.prod(sizes)
        parts = 1 if rows is None else parts_of(rows, inner, outer)
        if parts > 1:
            return product_in_parts(value, weight, transposed, bias, parts)
        if rows != 1 and _is_misaligned(outer, dtype_of(value)):
            stored, cut = _filled_up(weight, transposed), outer
    result = matmul(value, stored, transpose_right=transposed)
    if cut is not None:
        result = slice_axis(result, rank_of(value) - 1, 0, cut)
    return result if bias is None else elementwise("SUM", result, bias)


_TILE, _MOST_TILES, _LEAST_INNER = 64, 256, 512


def parts_of(rows: int, inner: int, outer: int) -> int:
    """In how many parts of the inner axis a product by a matrix is best computed.

    Where a result has few tiles, few multiprocessors of a GPU work on it. TensorRT for RTX 1.4 divides some products
    itself, by atomic sums into memory that it clears first, which takes longer than sums of parts in float32: kernels
    of a linear layer from 3072 to 768 features between a GELU and a layer norm, on an H200 in float16, in microseconds,
    for 4, 64, 128, 197, 384 and 512 rows: 9.8, 12.2, 13.1, 11.8, 12.6 and 18.0, in parts 6.9, 7.0, 8.0, 9.6, 11.2 and
    11.9; in float32 with TF32 for 128 and 512 rows 19.0 and 36.0, in parts 11.1 and 19.8. With more tiles, or less to
    sum, parts take longer. A vector gets a kernel of its own.
    """
    tiles = -(-rows // _TILE) * -(-outer // _TILE)
    if rows > 1:
        for parts in (3, 4, 2):
            if inner % (8 * parts) == 0 and inner // parts >= _LEAST_INNER and tiles * parts <= _MOST_TILES:
                return parts
    return 1


def product_in_parts(value: Tensor, weight: Tensor, transposed: bool, bias: Tensor | None, parts: int) -> Any:
    """``by_weight`` as a sum in float32 of products of parts of the inner axis, and the bias.

    Each part is rounded to the operands' dtype before they are summed.

    Args:
        value: of known shape ``(..., n, k)``.
        weight: of shape ``(k, m)``.
        transposed: it is ``(m, k)`` instead.
        bias: broadcast to the result.
        parts: how many; divides ``k``.
    """
    sizes = static_shape(value)
    rows, inner = math.prod(sizes[:-1]), sizes[-1]
    outer = static_shape(weight)[0 if transposed else 1]
    apart = _columns_in_parts(value, rows, parts)
    if transposed:
        factors = _columns_in_parts(weight, outer, parts)
    else:
        factors = reshape(weight, [parts, inner // parts, outer])
    products = cast(matmul(apart, factors, transpose_right=transposed), torch.float32)
    result = squeeze(products, [0]) if parts == 1 else reduce("SUM", products, [0], keepdim=False)
    if bias is not None:
        result = elementwise("SUM", result, cast(bias, torch.float32))
    return cast(reshape(result, [*sizes[:-1], outer]), dtype_of(value))


def _columns_in_parts(value: Tensor, rows: int, parts: int) -> Any:
    """``(..., k)`` of so many rows in all as ``(parts, rows, k / parts)``."""
    axes = range(rank_of(value))
    return rearrange(value, axes, [rows, parts, static_shape(value)[-1] // parts], [1, 0, 2])


_ALIGNED_BYTES, _MANY_OUTPUTS, _PADDED_TO = 8, 256, 64


def _is_misaligned(outer: int, dtype: torch.dtype) -> bool:
    """Whether rows of a result begin where no fast kernel can store them, as those of many vocabularies do.

    512 x 768 values by 768 x 50257, GPT-2's last layer, take 161 us in float16 on an H200 (TensorRT for RTX 1.4), and
    padded to 50304 columns, which are cut off again, 96 us; by 768 x 30522, BERT's, 77 and 57 us.
    """
    return outer >= _MANY_OUTPUTS and outer * dtype.itemsize % _ALIGNED_BYTES != 0


def _filled_up(weight: torch.Tensor, transposed: bool) -> torch.Tensor:
    """With zeros, as a constant of its own: TensorRT adds them to one that others use, as embeddings, in each call."""
    more = -weight.shape[0 if transposed else 1] % _PADDED_TO
    filled: torch.Tensor = derive(torch.nn.functional.pad, weight, [0, 0, 0, more] if transposed else [0, more])
    return filled
