"""What torch2trt's own plugins compute, in PyTorch's and torchvision's operators."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from .plugins import PluginCall, register_plugin

_REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")
_INTERPOLATIONS = ("bilinear", "nearest")
_BORDERS = ("zeros", "border", "reflection")


def _wide(*values: torch.Tensor) -> list[torch.Tensor]:
    """Half precisions in float32: the kernels accumulate in it."""
    return [value.float() if value.dtype in (torch.float16, torch.bfloat16) else value for value in values]


@register_plugin("RoiAlign")
def roi_align(call: PluginCall, value: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
    """``torchvision.ops.roi_align``; inputs (N, C, H, W) and (K, 5)."""
    from torchvision.ops import roi_align as compute

    fields = call.fields
    size = (fields["pooled_height"], fields["pooled_width"])
    ratio, aligned = fields.get("sampling_ratio", -1), bool(fields.get("aligned", 0))
    result = compute(*_wide(value, rois), size, fields["spatial_scale"], ratio, aligned)
    return result.to(value.dtype)


@register_plugin("DeformConv2d")
def deform_conv2d(
    call: PluginCall, value: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor, *more: torch.Tensor
) -> torch.Tensor:
    """``torchvision.ops.deform_conv2d``; a mask and a bias follow where the fields say so."""
    from torchvision.ops import deform_conv2d as compute

    fields = call.fields
    rest = _wide(*more)
    mask = rest.pop(0) if fields.get("has_mask", 0) else None
    bias = rest.pop(0) if fields.get("has_bias", 0) else None
    value_, weight, offset = _wide(value, weight, offset)
    steps: dict[str, Any] = {name: tuple(fields[name]) for name in ("stride", "padding", "dilation") if name in fields}
    return compute(value_, offset, weight, bias, mask=mask, **steps).to(value.dtype)


@register_plugin("GridSample3d")
def grid_sample_3d(call: PluginCall, value: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """``torch.nn.functional.grid_sample`` of volumes."""
    fields = call.fields
    mode = _INTERPOLATIONS[fields.get("interpolation_mode", 0)]
    border = _BORDERS[fields.get("padding_mode", 0)]
    corners = bool(fields.get("align_corners", 0))
    wide, places = _wide(value, grid)
    return F.grid_sample(wide, places, mode, border, corners).to(value.dtype)


@register_plugin("ScatterReduce")
def scatter_reduce(call: PluginCall, value: torch.Tensor, index: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """``torch.scatter_reduce``."""
    fields = call.fields
    how, include = _REDUCTIONS[fields["reduce"]], bool(fields.get("include_self", 1))
    wide, source = _wide(value, source)
    return wide.scatter_reduce(fields["dim"], index.long(), source, how, include_self=include).to(value.dtype)


@register_plugin("MsDeformAttn")
def ms_deform_attn(
    call: PluginCall,
    value: torch.Tensor,
    shapes: torch.Tensor,
    starts: torch.Tensor,
    locations: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """Multi-scale deformable attention by ``grid_sample``, level by level (Zhu et al., 2020)."""
    dtype = value.dtype
    value, locations, weights = _wide(value, locations, weights)
    batch, _, heads, channels = value.shape
    queries, points = locations.shape[1], locations.shape[4]
    total = value.new_zeros(batch * heads, channels, queries)
    for level, (height, width) in enumerate(shapes.tolist()):
        if not height * width:
            continue
        start = int(starts[level])
        image = value[:, start : start + height * width].permute(0, 2, 3, 1)
        image = image.reshape(batch * heads, channels, height, width)
        grid = (2 * locations[:, :, :, level] - 1).transpose(1, 2).reshape(batch * heads, queries, points, 2)
        found = F.grid_sample(image, grid, "bilinear", "zeros", align_corners=False)
        total += (found * weights[:, :, :, level].transpose(1, 2).reshape(batch * heads, 1, queries, points)).sum(-1)
    return total.view(batch, heads * channels, queries).transpose(1, 2).to(dtype)


@register_plugin("Correlation")
def correlation(call: PluginCall, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Products of displaced feature maps, summed over channels and window."""
    fields = {"kernel_size": 1, "max_displacement": 1, "stride": 1, "padding": 0, "dilation": 1, "patch_dilation": 1}
    fields |= call.fields
    far, step, pad = fields["max_displacement"], fields["patch_dilation"], fields["padding"]
    one, other = _wide(first, second)
    reach = pad + far * step
    one, other = F.pad(one, [pad] * 4), F.pad(other, [reach] * 4)
    height, width = one.shape[2:]
    window = torch.ones(1, 1, fields["kernel_size"], fields["kernel_size"], dtype=one.dtype, device=one.device)
    rows = []
    for i in range(2 * far + 1):
        row = []
        for j in range(2 * far + 1):
            moved = other[:, :, i * step : i * step + height, j * step : j * step + width]
            product = (one * moved).sum(1, keepdim=True)
            row.append(F.conv2d(product, window, stride=fields["stride"], dilation=fields["dilation"]))
        rows.append(torch.cat(row, 1))
    result = torch.stack(rows, 1)
    if fields.get("normalize", 0):
        result = result / (first.shape[1] * fields["kernel_size"] ** 2)
    return result.to(first.dtype)
