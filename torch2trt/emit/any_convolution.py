"""Convolutions whose kernels, or groups, have sizes that are known at run time only, which TensorRT has no layer for.

They are products: every window is a column, as in ``torch.nn.functional.unfold``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .dims import Dim, Shape, dim_add, dim_floordiv, dim_mul, dim_product, dim_sub, rank_of, shape_of
from .dtypes import Tensor
from .math import elementwise, gather, matmul
from .moving import iota, unsqueezed
from .padding import pad
from .shape import permute, reshape, squeeze, swap_axes, unsqueeze


def convolution_of_any_size(
    value: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    strides: Sequence[int],
    amounts: Sequence[tuple[Dim, Dim]],
    steps: Sequence[int],
    groups: Dim,
) -> Any:
    """``torch.nn.functional.conv1d`` to ``conv3d``.

    Args:
        value: of shape ``(N, C, *spatial)`` or ``(C, *spatial)``.
        weight: of shape ``(out, C / groups, *kernel)``.
        bias: of shape ``(out,)``.
        strides: per spatial axis.
        amounts: zeros before and after each of them.
        steps: the dilation of each.
        groups: as in PyTorch.
    """
    outputs, inputs, *kernel = shape_of(weight)
    spatial = len(kernel)
    batched = rank_of(value) == spatial + 2
    held = value if batched else unsqueeze(value, 0)
    columns, counts = _columns(held, kernel, strides, amounts, steps)
    batch, taps = shape_of(held)[0], dim_product([inputs, *kernel])
    columns = reshape(columns, [batch, groups, taps, dim_product(counts)])
    rows = reshape(weight, [1, groups, dim_floordiv(outputs, groups), taps])
    result = reshape(matmul(rows, columns), [batch, outputs, *counts])
    if bias is not None:
        result = elementwise("SUM", result, reshape(bias, [outputs, *[1] * spatial]))
    return result if batched else squeeze(result, [0])


def _columns(
    value: Any,
    kernel: Shape,
    strides: Sequence[int],
    amounts: Sequence[tuple[Dim, Dim]],
    steps: Sequence[int],
) -> tuple[Any, list[Dim]]:
    """The windows of ``value``, of shape ``(N, C, *kernel, *counts)``, and how many there are along each axis."""
    spatial = len(kernel)
    flat = [amount for pair in reversed(list(amounts)) for amount in pair]
    value = pad(value, flat, 0)
    counts: list[Dim] = []
    for axis in reversed(range(spatial)):
        size, stride, step = kernel[axis], strides[axis], steps[axis]
        reach = dim_add(dim_mul(dim_sub(size, 1), step), 1)
        count = dim_add(dim_floordiv(dim_sub(shape_of(value)[2 + axis], reach), stride), 1)
        taps = elementwise("PROD", unsqueezed(iota(size), 1), step)
        places = elementwise("SUM", taps, elementwise("PROD", iota(count), stride))
        value = gather(value, places, 2 + axis)  # the axis becomes two: of the kernel, and of the windows
        counts.insert(0, count)
    kernel_axes = [2 + 2 * axis for axis in range(spatial)]
    return permute(value, [0, 1, *kernel_axes, *(axis + 1 for axis in kernel_axes)]), counts


def turned_of_any_size(weight: Tensor, groups: Dim) -> Any:
    """A transposed convolution's kernel ``(in, out / groups, ...)`` as a convolution's ``(out, in / groups, ...)``."""
    inputs, maps, *kernel = shape_of(weight)
    for axis, size in enumerate(kernel, start=2):
        weight = gather(weight, elementwise("SUB", dim_sub(size, 1), iota(size)), axis)
    grouped = reshape(weight, [groups, dim_floordiv(inputs, groups), maps, *kernel])
    return reshape(swap_axes(grouped, 1, 2), [dim_mul(groups, maps), dim_floordiv(inputs, groups), *kernel])
