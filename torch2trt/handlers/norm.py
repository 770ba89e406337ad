"""Normalization: batch, layer, group, instance and RMS norm."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit
from ..emit import Shape, Tensor
from ..registry import op


@op("aten::batch_norm")
def aten_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    """``batch_norm(Tensor input, Tensor? weight, bias, running_mean, running_var, bool training, ...) -> Tensor``.

    In training mode the statistics are the batch's own; the running ones are not updated.
    """
    if emit.rank_of(input) < 2:  # PyTorch takes a vector only if it is empty
        return input
    if training or running_mean is None or running_var is None:
        return emit.normalize_batch(input, weight, bias, eps)
    return emit.scale_batch(input, weight, bias, running_mean, running_var, eps)


@op(
    "aten::native_batch_norm",
    "aten::_native_batch_norm_legit",
    "aten::_native_batch_norm_legit_no_training",
    "aten::_native_batch_norm_legit.no_stats",
)
def aten_native_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float,
    eps: float,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = False,
) -> tuple[Any, Any, Any]:
    """``native_batch_norm(Tensor input, Tensor? weight, ..., bool training, ...) -> (Tensor, Tensor, Tensor)``.

    The second and third result are the batch's mean and inverse standard deviation; empty outside of training.
    ``_native_batch_norm_legit`` in training becomes its functional operator before.
    """
    result = aten_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, False)
    dtypes = [emit.traced_dtype(output) or torch.float32 for output in (1, 2)]
    if not training and running_mean is not None:
        return result, torch.empty(0, dtype=dtypes[0]), torch.empty(0, dtype=dtypes[1])
    axes = [axis for axis in range(emit.rank_of(input)) if axis != 1]
    mean, inverse = emit.moments(input, axes, eps, keepdim=False)
    return result, emit.cast(mean, dtypes[0]), emit.cast(inverse, dtypes[1])


@op("aten::_native_batch_norm_legit_functional", "aten::_batch_norm_with_update_functional")
def aten_batch_norm_functional(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
    training: bool | None = None,
) -> tuple[Any, ...]:
    """``_native_batch_norm_legit_functional(Tensor input, ..., Tensor running_mean, running_var, ...)``.

    The results of ``native_batch_norm``, for ``_batch_norm_with_update_functional`` its reserve, which is empty, and
    the running statistics afterwards.
    """
    train = training is not False
    results = aten_native_batch_norm(input, weight, bias, momentum, eps, running_mean, running_var, train)
    reserve = () if training is not None else (torch.empty(0, dtype=torch.uint8),)
    if not train:
        return *results, *reserve, running_mean, running_var
    statistics = emit.running_statistics(input, running_mean, running_var, momentum)
    return *results, *reserve, *statistics


@op("aten::_batch_norm_no_update")
def aten_batch_norm_no_update(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    momentum: float,
    eps: float,
) -> tuple[Any, ...]:
    """``_batch_norm_no_update(Tensor input, Tensor? weight, ...) -> (Tensor, Tensor, Tensor, Tensor)``."""
    results = aten_native_batch_norm(input, weight, bias, momentum, eps, running_mean, running_var, False)
    return *results, torch.empty(0, dtype=torch.uint8)


@op("aten::layer_norm")
def aten_layer_norm(
    input: Tensor,
    normalized_shape: Shape,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Any:
    """``layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, bias=None, float eps=1e-05, ...)``."""
    rank = emit.rank_of(input)
    return emit.normalization(input, range(rank - len(normalized_shape), rank), weight, bias, eps)


@op("aten::native_layer_norm")
def aten_native_layer_norm(
    input: Tensor, normalized_shape: Shape, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Any, Any, Any]:
    """``native_layer_norm(Tensor input, SymInt[] normalized_shape, ...) -> (Tensor, Tensor, Tensor)``.

    The second and third result are mean and inverse standard deviation.
    """
    result = aten_layer_norm(input, normalized_shape, weight, bias, eps)
    rank = emit.rank_of(input)
    mean, inverse = emit.moments(input, range(rank - len(normalized_shape), rank), eps, keepdim=True)
    dtype = emit.dtype_of(input if weight is None else weight)
    return result, emit.cast(mean, dtype), emit.cast(inverse, dtype)


@op("aten::group_norm")
def aten_group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Any:
    """``group_norm(Tensor input, int num_groups, Tensor? weight=None, bias=None, float eps=1e-05, ...) -> Tensor``."""
    return emit.group_normalization(input, num_groups, weight, bias, eps)


@op("aten::native_group_norm")
def aten_native_group_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    N: Any,
    C: Any,
    HxW: Any,
    group: int,
    eps: float,
) -> tuple[Any, Any, Any]:
    """``native_group_norm(Tensor input, Tensor? weight, bias, SymInt N, C, HxW, int group, float eps)``.

    The second and third result are the mean and inverse standard deviation of each group.
    """
    result = emit.group_normalization(input, group, weight, bias, eps)
    grouped = emit.reshape(input, [emit.size_of(input, 0), group, -1])
    mean, inverse = emit.moments(grouped, [2], eps, keepdim=False)
    dtype = emit.dtype_of(input if weight is None else weight)
    return result, emit.cast(mean, dtype), emit.cast(inverse, dtype)


@op("aten::instance_norm")
def aten_instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    """``instance_norm(Tensor input, Tensor? weight, ..., bool use_input_stats, float momentum, float eps, ...)``."""
    if not use_input_stats and running_mean is not None and running_var is not None:
        return emit.scale_batch(input, weight, bias, running_mean, running_var, eps)
    axes = range(2, emit.rank_of(input))
    rank = emit.rank_of(input)
    scale, shift = (emit.per_channel(value, rank) for value in (weight, bias))
    return emit.normalization(input, axes, scale, shift, eps)


@op("aten::rms_norm")
def aten_rms_norm(
    input: Tensor, normalized_shape: Shape, weight: Tensor | None = None, eps: float | None = None
) -> Any:
    """``rms_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor``."""
    return emit.rms_normalization(input, len(normalized_shape), weight, eps)[0]


@op("aten::_fused_rms_norm")
def aten_fused_rms_norm(
    input: Tensor, normalized_shape: Shape, weight: Tensor | None, eps: float | None
) -> tuple[Any, Any]:
    """``_fused_rms_norm(Tensor input, int[] normalized_shape, Tensor? weight, float? eps) -> (Tensor, Tensor)``."""
    return emit.rms_normalization(input, len(normalized_shape), weight, eps)


@op("aten::_weight_norm")
def aten_weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Any:
    """``_weight_norm(Tensor v, Tensor g, int dim=0) -> Tensor``: ``v * g / norm(v)``; -1 takes the norm of it all."""
    return emit.weight_normalization(v, g, dim)[0]


@op("aten::_weight_norm_interface")
def aten_weight_norm_interface(v: Tensor, g: Tensor, dim: int = 0) -> tuple[Any, Any]:
    """``_weight_norm_interface(Tensor v, Tensor g, int dim=0) -> (Tensor, Tensor)``: and the norms."""
    return emit.weight_normalization(v, g, dim)
