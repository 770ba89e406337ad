"""torchvision's own operators: box suppression, regions of interest, deformable convolution."""

from __future__ import annotations

from typing import Any

from .. import emit
from ..emit import Tensor
from ..plugins.layers import kernel_layer
from ..registry import op


@op("torchvision::nms")
def torchvision_nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Any:
    """``nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor``: kept indices by falling score.

    A NMS layer for every 5000 boxes, which TensorRT for RTX does not build.
    """
    return emit.non_maximum_suppression(dets, scores, iou_threshold)


@op("torchvision::roi_align")
def torchvision_roi_align(
    input: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Any:
    """``roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, ..., bool aligned) -> Tensor``.

    In native layers, without a sampling ratio, the number of samples depends on the boxes, which must then be known.
    """
    fields = {
        "spatial_scale": spatial_scale,
        "pooled_height": pooled_height,
        "pooled_width": pooled_width,
        "sampling_ratio": sampling_ratio,
        "aligned": int(aligned),
    }
    result = kernel_layer("RoiAlign", [input, rois], fields)
    if result is not None:
        return result
    regions = emit.Regions(rois, spatial_scale, (pooled_height, pooled_width), sampling_ratio)
    return emit.roi_align(input, regions, aligned)


@op("torchvision::ps_roi_align")
def torchvision_ps_roi_align(
    input: Tensor, rois: Tensor, spatial_scale: float, pooled_height: int, pooled_width: int, sampling_ratio: int
) -> tuple[Any, Any]:
    """``ps_roi_align(Tensor input, Tensor rois, float spatial_scale, ...) -> (Tensor, Tensor)``.

    Each bin reads its own channels; the second result says which.
    """
    regions = emit.Regions(rois, spatial_scale, (pooled_height, pooled_width), sampling_ratio)
    return emit.ps_roi_align(input, regions), emit.channel_mapping(input, regions)


@op("torchvision::roi_pool")
def torchvision_roi_pool(
    input: Tensor, rois: Tensor, spatial_scale: float, pooled_height: int, pooled_width: int
) -> tuple[Any, Any]:
    """``roi_pool(Tensor input, Tensor rois, float spatial_scale, ...) -> (Tensor, Tensor)``: maxima, places."""
    return emit.roi_pool(input, emit.Regions(rois, spatial_scale, (pooled_height, pooled_width), 0))


@op("torchvision::ps_roi_pool")
def torchvision_ps_roi_pool(
    input: Tensor, rois: Tensor, spatial_scale: float, pooled_height: int, pooled_width: int
) -> tuple[Any, Any]:
    """``ps_roi_pool(Tensor input, Tensor rois, float spatial_scale, ...) -> (Tensor, Tensor)``: means, channels."""
    regions = emit.Regions(rois, spatial_scale, (pooled_height, pooled_width), 0)
    return emit.ps_roi_pool(input, regions), emit.channel_mapping(input, regions)


@op("torchvision::deform_conv2d")
def torchvision_deform_conv2d(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor,
    bias: Tensor,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> Any:
    """``deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, ...) -> Tensor``."""
    steps = ((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w))
    fields = {"stride": steps[0], "padding": steps[1], "dilation": steps[2], "has_mask": int(use_mask), "has_bias": 1}
    result = kernel_layer("DeformConv2d", [input, weight, offset, *([mask] if use_mask else []), bias], fields)
    if result is not None:
        return result
    spec = emit.windows(emit.static_shape(weight)[2:], *steps, False, 2)
    return emit.deformed_convolution(
        input, weight, offset, mask if use_mask else None, bias, spec, groups=groups, offset_groups=offset_groups
    )
