"""Gradients of convolutions and normalizations: PyTorch's tracer takes no mask of outputs; scripted code holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..absent import absent
from ..emit import Dim, Shape, Tensor
from ..registry import op
from .backward import in_float32


def _normalized_slope(gradient: Any, unit: Any, inverse: Any, axes: Sequence[int]) -> Any:
    """The gradient of what was normalized over ``axes`` to ``unit`` by ``inverse``."""
    mean = emit.reduce("AVG", gradient, axes, keepdim=True)
    share = emit.reduce("AVG", emit.mul(gradient, unit), axes, keepdim=True)
    return emit.mul(inverse, emit.sub(emit.sub(gradient, mean), emit.mul(unit, share)))


def _parameters(gradient: Any, unit: Any, axes: Sequence[int], dtype: torch.dtype) -> list[Any]:
    """The gradients of scale and shift, which broadcast along ``axes``."""
    products = emit.mul(gradient, unit)
    return [emit.cast(emit.reduce("SUM", part, axes, keepdim=False), dtype) for part in (products, gradient)]


@op("aten::_weight_norm_interface_backward")
@in_float32
def aten_weight_norm_interface_backward(
    grad_w: Tensor, saved_v: Tensor, saved_g: Tensor, saved_norms: Tensor, dim: int
) -> tuple[Any, Any]:
    """``_weight_norm_interface_backward(Tensor grad_w, Tensor saved_v, Tensor saved_g, Tensor saved_norms, int dim)``.

    Those of the direction and of the magnitude.
    """
    rank = emit.rank_of(saved_v)
    axes = [axis for axis in range(rank) if axis != emit.axis_of(dim, rank)]
    unit = emit.true_divide(saved_v, saved_norms)
    magnitude = emit.reduce("SUM", emit.mul(grad_w, unit), axes, keepdim=True)
    across = emit.sub(grad_w, emit.mul(unit, magnitude))
    return emit.mul(emit.true_divide(saved_g, saved_norms), across), magnitude


@op("aten::native_layer_norm_backward")
def aten_native_layer_norm_backward(
    grad_out: Tensor,
    input: Tensor,
    normalized_shape: Shape,
    mean: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    output_mask: Sequence[bool],
) -> tuple[Any, Any, Any]:
    """``native_layer_norm_backward(Tensor grad_out, Tensor input, SymInt[] normalized_shape, Tensor mean, ...)``.

    Only scripted code can hold it. All three results are there, whatever the mask says.
    """
    gradient, value, centre, inverse = (emit.as_float32(part) for part in (grad_out, input, mean, rstd))
    rank = emit.rank_of(value)
    first = rank - len(normalized_shape)
    unit = emit.mul(emit.sub(value, centre), inverse)
    scaled = gradient if weight is None else emit.mul(gradient, emit.cast(weight, torch.float32))
    slope = _normalized_slope(scaled, unit, inverse, range(first, rank))
    dtype = emit.dtype_of(input if weight is None else weight)
    return emit.cast(slope, emit.dtype_of(input)), *_parameters(gradient, unit, range(first), dtype)


@op("aten::native_group_norm_backward")
def aten_native_group_norm_backward(
    grad_out: Tensor,
    input: Tensor,
    mean: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    N: Dim,
    C: Dim,
    HxW: Dim,
    group: int,
    output_mask: Sequence[bool],
) -> tuple[Any, Any, Any]:
    """``native_group_norm_backward(Tensor grad_out, Tensor input, Tensor mean, Tensor rstd, Tensor? weight, ...)``.

    Only scripted code can hold it. All three results are there, whatever the mask says.
    """
    sizes = [emit.size_of(input, 0), group, emit.dim_floordiv(emit.size_of(input, 1), group), -1]
    gradient, value = (emit.reshape(emit.as_float32(part), sizes) for part in (grad_out, input))
    centre, inverse = (emit.unsqueeze(emit.as_float32(part), [2, 3]) for part in (mean, rstd))
    unit = emit.mul(emit.sub(value, centre), inverse)
    scale = None if weight is None else emit.reshape(emit.as_float32(weight), [1, group, sizes[2], 1])
    slope = _normalized_slope(gradient if scale is None else emit.mul(gradient, scale), unit, inverse, (2, 3))
    result = emit.cast(emit.reshape(slope, emit.shape_of(input)), emit.dtype_of(input))
    held = _parameters(gradient, unit, (0, 3), emit.dtype_of(input if weight is None else weight))
    return result, *(emit.flat(part) for part in held)


@op("aten::native_batch_norm_backward")
def aten_native_batch_norm_backward(
    grad_out: Tensor,
    input: Tensor,
    weight: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    save_mean: Tensor | None,
    save_invstd: Tensor | None,
    train: bool,
    eps: float,
    output_mask: Sequence[bool],
) -> tuple[Any, Any, Any]:
    """``native_batch_norm_backward(Tensor grad_out, Tensor input, Tensor? weight, running_mean, running_var, ...)``.

    Only scripted code can hold it. All three results are there, whatever the mask says.
    """
    rank, gradient, value = emit.rank_of(input), emit.as_float32(grad_out), emit.as_float32(input)
    axes = [axis for axis in range(rank) if axis != 1]
    if train:
        centre, inverse = emit.moments(value, axes, eps, keepdim=True)
    else:
        centre, spread = (emit.as_float32(emit.per_channel(part, rank)) for part in (running_mean, running_var))
        inverse = emit.unary("RECIP", emit.unary("SQRT", emit.add(spread, eps)))
    unit = emit.mul(emit.sub(value, centre), inverse)
    scaled = gradient if weight is None else emit.mul(gradient, emit.as_float32(emit.per_channel(weight, rank)))
    slope = _normalized_slope(scaled, unit, inverse, axes) if train else emit.mul(scaled, inverse)
    dtype = emit.dtype_of(input if weight is None else weight)
    return emit.cast(slope, emit.dtype_of(input)), *_parameters(gradient, unit, axes, dtype)


@op("aten::convolution_backward")
def aten_convolution_backward(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[Any, Any, Any]:
    """``convolution_backward(Tensor grad_output, Tensor input, Tensor weight, SymInt[]? bias_sizes, ...)``.

    Only scripted code can hold it. The gradient of the weight is not computed.
    """
    rank, spatial = emit.rank_of(input), emit.rank_of(weight) - 2
    axes = [axis for axis in range(rank) if axis != rank - spatial - 1]
    bias = emit.accumulated("SUM", grad_output, axes, keepdim=False, dtype=emit.dtype_of(grad_output))
    weights = absent("the gradient of a convolution's weight")
    if transposed:
        return emit.convolution(grad_output, weight, None, stride, padding, dilation, groups), weights, bias
    # the most that a stride can have left over; what is too much is cut off
    steps = emit.expand_list(stride, spatial)
    more = [step - 1 for step in steps]
    value = emit.transposed_convolution(
        grad_output, weight, None, steps, padding, dilation, groups, output_padding=more
    )
    for axis, step in enumerate(steps, start=rank - spatial):
        if step > 1:
            value = emit.slice_axis(value, axis, 0, emit.size_of(input, axis))
    return value, weights, bias
