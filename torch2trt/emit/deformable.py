"""Attention that reads a few places of each level, and cost volumes, in native layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .dims import Dim, dim_add, dim_floordiv, dim_mul, dim_sub, shape_of, size_of
from .dtypes import Tensor, cast, dtype_of, tensor
from .math import elementwise, gather, reduce
from .moving import take
from .padding import pad
from .sampling import float_size, linear_places, number, sample
from .shape import concatenate, permute, reshape, slice_axis, strided_slice, unsqueeze
from .whole import positions, shaped, whole


def deformable_attention(
    value: Tensor, levels: Sequence[tuple[int, int, int]], locations: Tensor, weights: Tensor
) -> Any:
    """Multi-scale deformable attention (Zhu et al., Deformable DETR, 2020), in float32.

    Args:
        value: of shape ``(N, S, M, D)``.
        levels: height, width and first row along S of each level; one at least, none empty.
        locations: of shape ``(N, Q, M, L, P, 2)``: x, y in 0..1.
        weights: of shape ``(N, Q, M, L, P)``.

    Returns:
        a tensor of shape ``(N, Q, M * D)``.
    """
    dtype = dtype_of(value)
    batch, _, heads, channels = shape_of(value)
    queries, points = size_of(locations, 1), size_of(locations, 4)
    sets, places = dim_mul(batch, heads), dim_mul(queries, points)
    total = None
    for level, (height, width, start) in enumerate(levels):
        image = permute(slice_axis(value, 1, start, height * width), [0, 2, 3, 1])
        image = reshape(image, [sets, channels, height, width])
        where_to = take(tensor(locations, torch.float32), level, 3)
        where_to = reshape(permute(where_to, [0, 2, 1, 3, 4]), [sets, places, 2])
        axes = []
        for size, column in ((height, 1), (width, 0)):
            scaled = elementwise("PROD", take(where_to, column, 2), float_size(size))
            axes.append(linear_places(elementwise("SUB", scaled, number(0.5)), size, zero_outside=True))
        weight = permute(take(tensor(weights, torch.float32), level, 3), [0, 2, 1, 3])
        found = elementwise("PROD", sample(image, axes), reshape(weight, [sets, 1, places]))
        found = reduce("SUM", reshape(found, [sets, channels, queries, points]), [3], keepdim=False)
        total = found if total is None else elementwise("SUM", total, found)
    result = permute(reshape(total, [batch, heads, channels, queries]), [0, 3, 1, 2])
    return cast(reshape(result, [batch, queries, dim_mul(heads, channels)]), dtype)


@dataclass(frozen=True)
class CostVolume:
    """How two feature maps are compared: the arguments of ``torch2trt::correlation``."""

    kernel_size: int
    max_displacement: int
    stride: int
    padding: int
    dilation: int
    patch_dilation: int
    normalize: bool

    def steps(self, size: Dim) -> Dim:
        """How many places of the result lie along an axis of ``size``."""
        reach = dim_sub(dim_add(size, 2 * self.padding), self.dilation * (self.kernel_size - 1) + 1)
        return dim_add(dim_floordiv(reach, self.stride), 1)


def cost_volume(first: Tensor, second: Tensor, spec: CostVolume) -> Any:
    """Products of places up to ``max_displacement`` apart, summed over channels and window, in float32.

    A few layers for every row of displacements: its columns are gathered at once.

    Returns:
        a tensor of shape ``(N, P, P, rows, columns)`` with ``P = 2 * max_displacement + 1``.
    """
    dtype, channels = dtype_of(first), size_of(first, 1)
    patch, reach = 2 * spec.max_displacement + 1, spec.padding + spec.max_displacement * spec.patch_dilation
    sizes = [spec.steps(size_of(first, axis)) for axis in (2, 3)]
    one = pad(tensor(first, torch.float32), [spec.padding] * 4, torch.tensor(0.0))
    other = pad(tensor(second, torch.float32), [reach] * 4, torch.tensor(0.0))
    rows = [_cost_row(one, other, spec, row, sizes) for row in range(patch)]
    result = concatenate(rows, 1)
    if spec.normalize:
        window = dim_mul(channels, spec.kernel_size**2)
        result = elementwise("DIV", result, float_size(window))
    return cast(result, dtype)


def _cost_row(one: Any, other: Any, spec: CostVolume, row: int, sizes: Sequence[Dim]) -> Any:
    """The costs of one row of displacements: ``(N, 1, P, rows, columns)``."""
    batch, channels = size_of(one, 0), size_of(one, 1)
    moves = torch.arange(2 * spec.max_displacement + 1).reshape(-1, 1) * spec.patch_dilation
    total = None
    for u in range(spec.kernel_size):
        for v in range(spec.kernel_size):
            down, right = u * spec.dilation, v * spec.dilation
            size, steps = [batch, channels, *sizes], [1, 1, spec.stride, spec.stride]
            still = strided_slice(one, [0, 0, down, right], size, steps)
            start = down + row * spec.patch_dilation
            moved = slice_axis(other, 2, start, sizes[0], spec.stride)
            columns = whole("SUM", shaped(positions(sizes[1], right, spec.stride), [1, -1]), moves)
            moved = gather(moved, columns, 3)  # (N, C, rows, P, columns)
            costs = reduce("SUM", elementwise("PROD", moved, unsqueeze(still, 3)), [1], keepdim=False)
            total = costs if total is None else elementwise("SUM", total, costs)
    return unsqueeze(permute(total, [0, 2, 1, 3]), 1)
