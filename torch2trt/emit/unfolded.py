"""Convolutions as products of unfolded patches, where TensorRT's kernels for convolutions are slower."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from .by_weight import parts_of, product_in_parts
from .dims import static_shape
from .dtypes import Tensor
from .padding import pad
from .shape import concatenate, permute, rearrange, squeeze, unsqueeze
from .sliding import Windows, static_counts, taps

_MOST_ROWS = 320

_LARGEST_KERNEL = 27
"""Each of its places takes a slice of the input."""

_MOST_ROWS_IN_ONE, _LEAST_INNER_IN_ONE = 256, 512


def convolution_as_product(
    value: Tensor, weight: Tensor, bias: Tensor | None, amounts: Sequence[tuple[int, int]], spec: Windows
) -> Any:
    """A convolution of one group by a known kernel as a product in parts; None where that would take longer.

    TensorRT for RTX 1.4 gives each tile of a result to one multiprocessor, which sums over all channels and places of
    the kernel. Of few tiles that takes long; in float16 on an H200, in microseconds with what stands around it, and as
    a product: 3 x 3 with 512 channels on 7 x 7 and 14 x 14 places (ResNet-50, VGG) 26.6 and 27.4, 11.5 and 16.2; with
    1280 channels on 8 x 8 places (the U-Net of Stable Diffusion) 58.4 and 18.1; on 32 x 32 places with 512 channels,
    it would be 21.0 and 30.3, as patches are a copy of the input for each place of the kernel: DETR with 1024 rows in
    parts took 1.07 ms for 0.98. Kernels of one place gain as whole products too: the kernels of EfficientNet-B0 took
    391 us, and 358 with those of at least 512 channels on at most 256 places as products, those of MobileNet v3 269 and
    251.

    Args:
        value: of shape ``(N, C, *spatial)`` or ``(C, *spatial)``.
        weight: of shape ``(out, C, *kernel)``.
        bias: of shape ``(out,)``.
        amounts: zeros before and after each spatial axis.
        spec: how the kernel slides over what they make it.
    """
    outputs, channels = static_shape(weight)[:2]
    spatial = spec.spatial
    lead = static_shape(value)[: -spatial - 1]
    places = static_counts(value, amounts, spec)
    if not isinstance(weight, torch.Tensor) or places is None or -1 in lead or math.prod(spec.size) > _LARGEST_KERNEL:
        return None
    rows, inner = math.prod(lead) * math.prod(places), channels * math.prod(spec.size)
    if not 0 < min(places) <= rows <= _MOST_ROWS:
        return None
    parts = parts_of(rows, inner, outputs)
    in_one = max(*spec.size, *spec.stride) == 1 and rows <= _MOST_ROWS_IN_ONE and channels >= _LEAST_INNER_IN_ONE
    if parts == 1 and not in_one:
        return None
    image = value if lead else unsqueeze(value, 0)
    patches = _patches(image, amounts, spec)
    matrix = rearrange(weight, [0, *range(2, 2 + spatial), 1], [outputs, inner], [0, 1])
    product = product_in_parts(patches, matrix, True, bias, parts)
    result = permute(product, [0, spatial + 1, *range(1, spatial + 1)])
    return result if lead else squeeze(result, [0])


def _patches(value: Tensor, amounts: Sequence[tuple[int, int]], spec: Windows) -> Any:
    """What each place of the result is computed from: of shape ``(N, *places, *kernel x C)``."""
    last = permute(value, [0, *range(2, 2 + spec.spatial), 1])
    padded = pad(last, [0, 0, *(amount for pair in reversed(amounts) for amount in pair)], 0)
    over_channels = Windows((*spec.size, 1), (*spec.stride, 1), (*spec.padding, 0), (*spec.dilation, 1), spec.ceil)
    found, _ = taps(padded, over_channels, 0)
    return concatenate([tap for _, tap in found], spec.spatial + 1)
