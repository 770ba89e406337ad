"""Normalization: the scale layer of known statistics, and TensorRT's normalization layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from ..trt_compat import trt
from ..weights import derive
from .constants import layer_weights
from .dims import as_dim, axes_mask, axis_of, dim_product, dim_sub, rank_of, shape_of, size_of, static_shape
from .dtypes import Tensor, cast, dtype_of, tensor
from .math import elementwise, reduce, unary
from .network import add_layer, enum
from .pointwise import is_half
from .shape import expand, pad_rank, reshape


def per_channel(value: Tensor | None, rank: int) -> Tensor | None:
    """A vector of one number a channel, to broadcast along axis 1 of a tensor of ``rank``; known stays known."""
    if value is None:
        return None
    sizes = [1, -1, *[1] * (rank - 2)]
    if isinstance(value, torch.Tensor):
        return derive(torch.reshape, value, sizes)
    return reshape(value, sizes)


def scale_batch(
    value: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float
) -> Any:
    """Batch norm by given statistics: one scale layer if all are known.

    Half precision computes in float32, as eager does. TensorRT for RTX 1.4 gives NaN on an H200 where a convolution of
    bfloat16 reads that and a pooling layer reads what was scaled, as in MaxViT's blocks; not where they are kept apart.
    """
    dtype, rank = dtype_of(value), rank_of(value)
    wide = torch.float32 if is_half(dtype) else dtype
    image = tensor(value, wide)
    parameters = [weight, bias, mean, variance]
    if any(part is not None and not isinstance(part, torch.Tensor) for part in parameters):
        return cast(_scale_by_tensors(image, parameters, eps, wide), dtype)
    scale, shift = derive(_coefficients, weight, bias, mean, variance, eps, wide)
    if rank < 3:  # the scale layer's floor
        result = elementwise("SUM", elementwise("PROD", image, per_channel(scale, rank)), per_channel(shift, rank))
    else:
        held = {"shift": layer_weights(shift), "scale": layer_weights(scale)}
        result = add_layer(
            "scale_nd",
            image,
            enum("ScaleMode", "CHANNEL"),
            held["shift"].weights,
            held["scale"].weights,
            trt.Weights(),
            1,
            weights=held,
        )
    return cast(result, dtype)


def _coefficients(
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    mean: torch.Tensor,
    variance: torch.Tensor,
    eps: float,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift of a batch norm; in float64 first, so that they are rounded once."""
    scale = torch.rsqrt(variance.double() + eps)
    if weight is not None:
        scale = scale * weight.double()
    shift = -mean.double() * scale
    if bias is not None:
        shift = shift + bias.double()
    return scale.to(dtype), shift.to(dtype)


def _scale_by_tensors(value: Any, parameters: Sequence[Tensor | None], eps: float, dtype: torch.dtype) -> Any:
    rank = rank_of(value)
    weight, bias, mean, variance = (
        None if part is None else per_channel(cast(part, dtype), rank) for part in parameters
    )
    spread = unary("SQRT", elementwise("SUM", variance, torch.full((1,) * rank, eps, dtype=dtype)))
    result = elementwise("DIV", elementwise("SUB", value, mean), spread)
    if weight is not None:
        result = elementwise("PROD", result, weight)
    return result if bias is None else elementwise("SUM", result, bias)


def normalize_batch(value: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Any:
    """Batch norm by the batch's own statistics."""
    rank = rank_of(value)
    axes = [axis for axis in range(rank) if axis != 1]
    return normalization(value, axes, per_channel(weight, rank), per_channel(bias, rank), eps)


def _coefficient(value: Tensor | None, neutral: float, sizes: Sequence[Any], dtype: torch.dtype) -> Any:
    """A scale or bias of a normalization layer, in ``dtype`` and of as many axes as ``sizes``."""
    if value is None:
        return expand(tensor(torch.full((1,) * len(sizes), neutral, dtype=dtype)), sizes)
    return pad_rank(cast(value, dtype), len(sizes))


def normalization(value: Tensor, axes: Iterable[int], weight: Tensor | None, bias: Tensor | None, eps: float) -> Any:
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` over ``axes``; half precision computes in float32.

    Args:
        value: of rank 1 and higher.
        axes: counted from the front.
        weight: broadcasts to ``value``; 1 if None.
        bias: broadcasts to ``value``; 0 if None.
        eps: added to the variance.
    """
    axes = list(axes)
    dtype = dtype_of(value)
    held = [part for part in (weight, bias) if part is not None]
    wide = dtype if all(dtype_of(part) == dtype for part in held) else torch.float32
    image = tensor(value, wide)
    rank = rank_of(image)
    scale, shift = _both(weight, bias, [1] * rank, wide)
    result = add_layer("normalization_v2", image, scale, shift, axes_mask(axes), epsilon=eps)
    return cast(result, dtype)


def _both(weight: Tensor | None, bias: Tensor | None, sizes: Sequence[Any], dtype: torch.dtype) -> tuple[Any, Any]:
    """Scale and bias, which must have the same sizes: one that is missing takes the other's."""
    found = next((part for part in (weight, bias) if part is not None), None)
    if found is not None:
        sizes = shape_of(pad_rank(found, len(sizes)))
    return _coefficient(weight, 1.0, sizes, dtype), _coefficient(bias, 0.0, sizes, dtype)


def group_normalization(value: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float) -> Any:
    """``torch.nn.functional.group_norm`` of a tensor ``(N, C, *)``; half precision computes in float32."""
    rank = rank_of(value)
    dtype = dtype_of(value)
    if groups == 1:
        scale, shift = per_channel(weight, rank), per_channel(bias, rank)
        return normalization(value, range(1, rank), scale, shift, eps)
    if rank == 2:
        flat = reshape(value, [*shape_of(value), 1])
        return reshape(group_normalization(flat, groups, weight, bias, eps), shape_of(value))
    if static_shape(value)[1:] == (groups, *[1] * (rank - 2)):  # TensorRT builds no groups of one element
        zero = elementwise("SUB", value, value)
        return zero if bias is None else elementwise("SUM", zero, cast(per_channel(bias, rank), dtype))
    held = [part for part in (weight, bias) if part is not None]
    wide = dtype if all(dtype_of(part) == dtype for part in held) else torch.float32
    image = tensor(value, wide)
    channels = [1, size_of(image, 1), *[1] * (rank - 2)]
    scale = _coefficient(per_channel(weight, rank), 1.0, channels, wide)
    shift = _coefficient(per_channel(bias, rank), 0.0, channels, wide)
    axes = axes_mask(range(2, rank))
    result = add_layer("normalization_v2", image, scale, shift, axes, epsilon=eps, num_groups=groups)
    return cast(result, dtype)


def moments(value: Tensor, axes: Iterable[int], eps: float, keepdim: bool) -> tuple[Any, Any]:
    """Mean and ``1 / sqrt(variance + eps)`` over ``axes``; half precision gives float32."""
    axes = list(axes)
    wide = torch.float32 if is_half(value) else dtype_of(value)
    image = tensor(value, wide)
    mean = reduce("AVG", image, axes, keepdim=True)
    centred = elementwise("SUB", image, mean)
    variance = reduce("AVG", elementwise("PROD", centred, centred), axes, keepdim=True)
    shifted = elementwise("SUM", variance, torch.full((1,) * rank_of(image), eps, dtype=wide))
    inverse = unary("RECIP", unary("SQRT", shifted))
    if keepdim:
        return mean, inverse
    kept = [size for axis, size in enumerate(shape_of(image)) if axis not in axes]
    return reshape(mean, kept), reshape(inverse, kept)


def rms_normalization(value: Tensor, count: int, weight: Tensor | None, eps: float | None) -> tuple[Any, Any]:
    """``torch.nn.functional.rms_norm`` over the last ``count`` axes, and the inverse root mean square.

    Half precision computes in float32; without ``eps`` the input dtype's is taken.
    """
    dtype, rank = dtype_of(value), rank_of(value)
    wide = torch.float32 if is_half(dtype) else dtype
    image = tensor(value, wide)
    squares = reduce("AVG", elementwise("PROD", image, image), range(rank - count, rank), keepdim=True)
    least = torch.finfo(wide).eps if eps is None else eps
    shifted = elementwise("SUM", squares, torch.full((1,) * rank, least, dtype=wide))
    inverse = unary("RECIP", unary("SQRT", shifted))
    result = elementwise("PROD", image, inverse)
    if weight is not None:
        result = elementwise("PROD", result, cast(weight, wide))
    return cast(result, dtype), inverse


def running_statistics(value: Tensor, mean: Tensor, variance: Tensor, momentum: float) -> tuple[Any, Any]:
    """What batch norm in training makes of its running statistics."""
    axes = [axis for axis in range(rank_of(value)) if axis != 1]
    wide = torch.float32 if is_half(value) else dtype_of(value)
    image = tensor(value, wide)
    batch_mean = reduce("AVG", image, axes, keepdim=True)
    centred = elementwise("SUB", image, batch_mean)
    total = reduce("SUM", elementwise("PROD", centred, centred), axes, keepdim=False)
    degrees = dim_sub(dim_product([size_of(image, axis) for axis in axes]), 1)
    unbiased = elementwise("DIV", total, cast(as_dim(degrees), wide))
    flat_mean = reshape(batch_mean, [size_of(image, 1)])
    return _blended(mean, flat_mean, momentum), _blended(variance, unbiased, momentum)


def _blended(old: Tensor, new: Any, momentum: float) -> Any:
    wide = dtype_of(new)
    kept = elementwise("PROD", cast(old, wide), torch.tensor(1 - momentum, dtype=wide))
    taken = elementwise("PROD", new, torch.tensor(momentum, dtype=wide))
    return cast(elementwise("SUM", kept, taken), dtype_of(old))


def weight_normalization(value: Tensor, magnitude: Tensor, axis: int) -> tuple[Any, Any]:
    """``value * magnitude / norm``, the norm over all axes but one, or over all for -1; and the norm."""
    rank, dtype = rank_of(value), dtype_of(value)
    wide = torch.float32 if is_half(dtype) else dtype
    image = tensor(value, wide)
    axes = [other for other in range(rank) if axis == -1 or other != axis_of(axis, rank)]
    squares = reduce("SUM", elementwise("PROD", image, image), axes, keepdim=axis != -1)
    norm = unary("SQRT", squares)
    ratio = elementwise("DIV", cast(magnitude, wide), norm)
    return cast(elementwise("PROD", image, ratio), dtype), norm
