"""The operators of ``csrc``: plugins where TensorRT has them, native layers where not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..errors import UnsupportedArgumentError
from ..plugins.layers import kernel_layer
from ..registry import op
from .grid import aten_grid_sampler
from .scatter import aten_scatter_reduce
from .vision import torchvision_deform_conv2d, torchvision_roi_align

_REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


@op("torch2trt::deform_conv2d")
def torch2trt_deform_conv2d(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Any:
    """``deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor? mask, Tensor? bias, int[2] stride, ...)``."""
    maps, each, *kernel = emit.static_shape(weight)
    groups = emit.static_shape(input)[1] // each
    offset_groups = emit.static_shape(offset)[1] // (2 * kernel[0] * kernel[1])
    biases = torch.zeros(maps, dtype=emit.dtype_of(input)) if bias is None else bias
    masks = offset if mask is None else mask  # an argument that is not looked at
    strides, pads, gaps = (emit.expand_list(values, 2) for values in (stride, padding, dilation))
    return torchvision_deform_conv2d(
        input,
        weight,
        offset,
        masks,
        biases,
        strides[0],
        strides[1],
        pads[0],
        pads[1],
        gaps[0],
        gaps[1],
        groups,
        offset_groups,
        mask is not None,
    )


@op("torch2trt::roi_align")
def torch2trt_roi_align(
    input: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Any:
    """``roi_align(Tensor input, Tensor rois, float spatial_scale, ..., bool aligned) -> Tensor``: as torchvision's."""
    return torchvision_roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned)


@op("torch2trt::grid_sample_3d")
def torch2trt_grid_sample_3d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Any:
    """``grid_sample_3d(Tensor input, Tensor grid, ...) -> Tensor``: as ``aten::grid_sampler_3d``."""
    return aten_grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


@op("torch2trt::scatter_reduce")
def torch2trt_scatter_reduce(
    self: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool
) -> Any:
    """``scatter_reduce(Tensor self, int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True)``."""
    fields = {"dim": dim, "reduce": _REDUCTIONS.index(reduce), "include_self": int(include_self)}
    result = kernel_layer("ScatterReduce", [self, index, src], fields) if emit.rank_of(self) else None
    if result is not None:
        return result
    return aten_scatter_reduce(self=self, dim=dim, index=index, src=src, reduce=reduce, include_self=include_self)


@op("torch2trt::ms_deform_attn")
def torch2trt_ms_deform_attn(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> Any:
    """``ms_deform_attn(Tensor value, Tensor spatial_shapes, Tensor level_start_index, Tensor sampling_locations,
    Tensor attention_weights) -> Tensor``; native layers need known level sizes.
    """
    tensors = [value, spatial_shapes, level_start_index, sampling_locations, attention_weights]
    result = kernel_layer("MsDeformAttn", tensors, {})
    if result is not None:
        return result
    if not isinstance(spatial_shapes, torch.Tensor) or not isinstance(level_start_index, torch.Tensor):
        raise UnsupportedArgumentError(
            "ms_deform_attn cannot be converted with spatial_shapes that are only known when the engine runs",
            hint="keep the sizes of the levels in buffers or constants, or this op in PyTorch with torch2trt.compile",
        )
    starts = level_start_index.tolist()
    levels = [(high, wide, start) for (high, wide), start in zip(spatial_shapes.tolist(), starts, strict=True)]
    if not levels or any(high * wide == 0 for high, wide, _ in levels):
        raise UnsupportedArgumentError(f"ms_deform_attn cannot be converted with spatial_shapes={levels}: one is empty")
    return emit.deformable_attention(value, levels, sampling_locations, attention_weights)


@op("torch2trt::correlation")
def torch2trt_correlation(
    first: Tensor,
    second: Tensor,
    kernel_size: int,
    max_displacement: int,
    stride: int,
    padding: int,
    dilation: int,
    patch_dilation: int,
    normalize: bool,
) -> Any:
    """``correlation(Tensor first, Tensor second, int kernel_size, int max_displacement, ...) -> Tensor``."""
    spec = emit.CostVolume(kernel_size, max_displacement, stride, padding, dilation, patch_dilation, normalize)
    fields = {name: int(value) for name, value in vars(spec).items()}
    result = kernel_layer("Correlation", [first, second], fields)
    return emit.cost_volume(first, second, spec) if result is None else result
