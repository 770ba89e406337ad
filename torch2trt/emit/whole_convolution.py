"""Convolution of integers, which TensorRT's layer does not take: element by element of the kernel, exactly."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from .convolution import kernel_sizes, spread_input, turned
from .dims import Dim, dim_floordiv, expand_list, rank_of, shape_of
from .dtypes import Tensor, tensor
from .math import elementwise, reduce
from .padding import pad
from .shape import reshape, squeeze, strided_slice, unsqueeze
from .sliding import Windows, taps
from .whole import shaped


def whole_convolution(
    value: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
    *,
    padding_after: Sequence[int] | None = None,
) -> Any:
    """As :func:`~torch2trt.emit.convolution.convolution`, of integers."""
    shape = kernel_sizes(weight)
    spatial = len(shape) - 2
    before = expand_list(padding, spatial)
    after = before if padding_after is None else list(padding_after)
    return _convolved(
        value,
        tensor(weight),
        bias,
        list(zip(before, after, strict=True)),
        groups,
        Windows(
            tuple(shape[2:]),
            tuple(expand_list(stride, spatial)),
            (0,) * spatial,
            tuple(expand_list(dilation, spatial)),
            False,
        ),
    )


def whole_transposed_convolution(
    value: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
    *,
    output_padding: int | Sequence[int],
) -> Any:
    """As :func:`~torch2trt.emit.convolution.transposed_convolution`: the input spread, the kernel turned."""
    kernel = kernel_sizes(weight)[2:]
    steps = expand_list(dilation, len(kernel))
    reach = [step * (size - 1) for step, size in zip(steps, kernel, strict=True)]
    image, amounts = spread_input(value, len(kernel), stride, reach, padding, output_padding)
    ones = (1,) * len(kernel)
    spec = Windows(kernel, ones, (0,) * len(kernel), tuple(steps), False)
    return _convolved(image, tensor(turned(weight, groups)), bias, amounts, groups, spec)


def _convolved(
    value: Tensor, weight: Any, bias: Tensor | None, amounts: Sequence[tuple[int, int]], groups: int, spec: Windows
) -> Any:
    batched = rank_of(value) == spec.spatial + 2
    image = tensor(value) if batched else unsqueeze(value, 0)
    image = pad(image, [amount for pair in reversed(amounts) for amount in pair], 0)
    maps, depth = shape_of(weight)[:2]
    batch = shape_of(image)[0]
    ones = [1] * spec.spatial
    parts: list[Any] = []
    counts: list[Dim] = []
    found, counts = taps(image, spec, 0)
    for place, tap in found:
        kernel = strided_slice(weight, [0, 0, *place], [maps, depth, *ones], [1] * (2 + spec.spatial))
        kernel = reshape(kernel, [1, groups, dim_floordiv(maps, groups), depth, *ones])
        product = elementwise("PROD", reshape(tap, [batch, groups, 1, depth, *counts]), kernel)
        parts.append(reduce("SUM", product, [3], keepdim=False))
    total = functools.reduce(functools.partial(elementwise, "SUM"), parts)
    result = reshape(total, [batch, maps, *counts])
    if bias is not None:
        result = elementwise("SUM", result, shaped(bias, [1, -1, *ones]))
    return result if batched else squeeze(result, [0])
