"""Convolutions along one axis as products of frames, where TensorRT's kernels for them take many times longer."""

from __future__ import annotations

from typing import Any

import torch

from ..trt_compat import is_rtx
from ..weights import derive
from .dims import Dim, dim_add, dim_floordiv, dim_mul, rank_of, size_of, static_shape
from .dtypes import Tensor, cast, dtype_of, is_float
from .folding import fold, frames
from .math import elementwise, gather, matmul, reduce
from .moving import padded
from .quantization import steps_of
from .shape import permute, reshape, slice_axis, squeeze, unsqueeze
from .sliding import Windows
from .whole import positions, shaped, whole

_BLOCK, _PARTS = 4, 3
_LEAST_CHANNELS, _SHORTEST, _MOST_ELEMENTS = 16, 33, 1 << 28
_LEAST_ELEMENTS = 1 << 22
_MOST_OUTPUTS, _LEAST_PRODUCTS, _LARGE_KERNEL = 4, 1 << 24, 1 << 14


def convolution_of_frames(
    value: Tensor, weight: Tensor, bias: Tensor | None, stride: int, before: int, after: int, dilation: int, groups: int
) -> Any:
    """``torch.nn.functional.conv1d`` as a product; None where TensorRT's layer is no slower.

    TensorRT for RTX 1.4 on an H200, in microseconds in float16 and float32, as a layer and as a product: 16 groups of
    48 channels with a kernel of 128 (the positions of wav2vec 2.0), 499 places: 1940 and 1206, 101 and 136; with one of
    19, it would be 36 and 29, 52 and 37. One channel to 512, kernel 10, stride 5 (its first layer), 160,000 samples:
    105 and 146, 49 and 96; of 16,000 it would be 30 and 29, 33 and 57.

    Four neighbouring places of a grouped one are computed at once, for which its matrix holds the kernel four times,
    and its windows hold the input a quarter as many times as the kernel is long: half a gigabyte in float16 at most,
    where the length is known.

    Args:
        value: of shape ``(N, C, length)`` or ``(C, length)``.
        weight: of shape ``(out, C / groups, kernel)``; it must be known.
        bias: of shape ``(out,)``; known or not.
        stride: from one place to the next.
        before: zeros before the first element.
        after: zeros after the last one.
        dilation: from one element of the kernel to the next.
        groups: as in PyTorch.
    """
    if not _takes(value, weight) or dilation != 1:
        return None
    outputs, channels, size = static_shape(weight)
    batched = rank_of(value) == 3
    signal = value if batched else unsqueeze(value, 0)
    batch, _, length = static_shape(signal)
    total = dim_add(size_of(signal, 2), before + after)
    places = batch * length if -1 not in (batch, length) else 0  # as far as known
    if stride == 1 and groups > 1 and channels >= _LEAST_CHANNELS and size >= _SHORTEST:
        if places * channels * groups * size // _BLOCK > _MOST_ELEMENTS:
            return None
        product = _in_blocks(signal, weight, total, before, groups)
    elif (channels, groups) == (1, 1) and size <= 4 * stride and places * outputs // stride >= _LEAST_ELEMENTS:
        row = reshape(padded(signal, 2, total, before), [batch, total])
        product = matmul(derive(torch.squeeze, weight, 1), frames(row, size, stride))
    else:
        return None
    return _finished(product, bias, dtype_of(value), batched)


def transposed_convolution_of_frames(
    value: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int,
    padding: int,
    dilation: int,
    groups: int,
    output_padding: int,
) -> Any:
    """``torch.nn.functional.conv_transpose1d`` as a product and sums; None where TensorRT's layer is no slower.

    TensorRT for RTX 1.4 on an H200, in microseconds in float16 and float32, as a layer and as a product: 256 channels
    to one, kernel 20, stride 10, 4 x 3200 places: 78 and 159, 39 and 28; 402, 400, 160, 3000 places: 15,499 and 9,679,
    38 and 33; the first of 2 x 300 places, it would be 40 and 41, 64 and 57.

    Args:
        value: of shape ``(N, C, length)`` or ``(C, length)``.
        weight: of shape ``(C, out / groups, kernel)``; it must be known.
        bias: of shape ``(out,)``; known or not.
        stride: from one place to the next.
        padding: what is cut off on both sides.
        dilation: from one element of the kernel to the next.
        groups: as in PyTorch.
        output_padding: what is cut off less behind.
    """
    channels, outputs, size = static_shape(weight)
    batched = rank_of(value) == 3
    signal = value if batched else unsqueeze(value, 0)
    batch, _, places = static_shape(signal)
    many = -1 not in (batch, places) and batch * places * channels * size >= _LEAST_PRODUCTS
    worth = outputs <= _MOST_OUTPUTS and (many or channels * size >= _LARGE_KERNEL)
    if not _takes(value, weight) or not worth or (dilation, groups) != (1, 1):
        return None
    pieces = matmul(derive(_flat_kernel, weight), signal)
    most = dim_add(dim_mul(dim_add(size_of(signal, 2), -1), stride), size)
    length = dim_add(most, output_padding - 2 * padding)
    spec = Windows((1, size), (1, stride), (0, padding), (1, 1), False)
    product = squeeze(fold(pieces, [1, length], spec), [2])
    return _finished(product, bias, dtype_of(value), batched)


def _takes(value: Tensor, weight: Tensor) -> bool:
    """Whether it is TensorRT for RTX, which was measured, and a kernel of floating point that is known."""
    known = isinstance(weight, torch.Tensor) and steps_of(weight) is None
    return is_rtx() and known and is_float(value) and rank_of(weight) == 3


def _flat_kernel(weight: torch.Tensor) -> torch.Tensor:
    return weight.flatten(1).T.contiguous()


def _in_blocks(signal: Tensor, weight: torch.Tensor, total: Dim, before: int, groups: int) -> Any:
    """A grouped convolution, some neighbouring places at once: their windows are mostly the same."""
    outputs, channels, size = weight.shape
    batch = size_of(signal, 0)
    count = dim_add(total, 1 - size)
    blocks = dim_floordiv(dim_add(count, _BLOCK - 1), _BLOCK)
    reach = -(-(size + _BLOCK - 1) // (_BLOCK * _PARTS))  # blocks that a part of a window spans
    length = dim_add(blocks, reach * _PARTS - 1)
    image = padded(signal, 2, dim_mul(length, _BLOCK), before)
    image = permute(reshape(image, [batch, groups, channels, length, _BLOCK]), [0, 1, 3, 4, 2])
    image = reshape(image, [batch, groups, length, _BLOCK * channels])
    offsets = torch.arange(reach * _PARTS).reshape(_PARTS, 1, reach)
    windows = gather(image, whole("SUM", offsets, shaped(positions(blocks), [1, -1, 1])), 2)
    windows = reshape(windows, [batch, groups, _PARTS, blocks, reach * _BLOCK * channels])
    products = matmul(windows, derive(_block_matrix, weight, groups, reach))
    sums = reduce("SUM", cast(products, torch.float32), [2], keepdim=False)
    places = reshape(sums, [batch, groups, dim_mul(blocks, _BLOCK), outputs // groups])
    result = reshape(permute(places, [0, 1, 3, 2]), [batch, outputs, dim_mul(blocks, _BLOCK)])
    return slice_axis(result, 2, 0, count)


def _block_matrix(weight: torch.Tensor, groups: int, reach: int) -> torch.Tensor:
    """What the parts of the windows of a block are multiplied by, of shape ``(groups, parts, inner, outer)``."""
    outputs, channels, size = weight.shape
    each = outputs // groups
    rows = weight.reshape(groups, each, channels, size).permute(0, 3, 2, 1)
    matrix = weight.new_zeros(groups, _PARTS * reach * _BLOCK, channels, _BLOCK, each)
    for place in range(_BLOCK):
        matrix[:, place : place + size, :, place] = rows
    return matrix.reshape(groups, _PARTS, reach * _BLOCK * channels, _BLOCK * each)


def _finished(product: Any, bias: Tensor | None, dtype: torch.dtype, batched: bool) -> Any:
    """With the bias, in the dtype of the input, and without a batch axis if that has none."""
    if bias is not None:
        product = elementwise("SUM", product, cast(shaped(bias, [1, -1, 1]), dtype_of(product)))
    product = cast(product, dtype)
    return product if batched else squeeze(product, [0])
