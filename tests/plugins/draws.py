"""Random calls of every operator: arguments, and what PyTorch's and torchvision's own operators make of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torchvision
from torch.nn import functional as F


@dataclass
class Draw:
    """One call of an operator.

    Args:
        name: the operator's.
        tensors: its leading tensor arguments; None for an optional one that is left out.
        options: the others, by name.
        expected: computes the result from the tensors, in their dtype.
        between: arguments that stand among the tensors, by position.
    """

    name: str
    tensors: list[torch.Tensor | None]
    options: dict[str, Any]
    expected: Callable[..., torch.Tensor]
    between: dict[int, Any] = field(default_factory=dict)

    def arguments(self, tensors: Sequence[torch.Tensor | None]) -> tuple[Any, ...]:
        """The operator's leading arguments."""
        found: list[Any] = list(tensors)
        for position, value in self.between.items():
            found.insert(position, value)
        return tuple(found)

    def to(self, dtype: torch.dtype) -> list[torch.Tensor | None]:
        return [
            tensor.to(dtype) if tensor is not None and tensor.is_floating_point() else tensor for tensor in self.tensors
        ]


def _boxes(draw: random.Random, batch: int, height: int, width: int, inverted: bool) -> torch.Tensor:
    count = draw.choice([0, 1, 3, 17])
    corners = torch.rand(count, 4) * torch.tensor([width, height, width, height]) * 1.6
    corners -= 0.3 * torch.tensor([width, height, width, height])
    if not inverted:
        corners = torch.cat([torch.min(corners[:, :2], corners[:, 2:]), torch.max(corners[:, :2], corners[:, 2:])], 1)
    return torch.cat([torch.randint(0, batch, (count, 1)).float(), corners], 1)


def roi_align(draw: random.Random) -> Draw:
    batch, channels = draw.choice([1, 2, 3]), draw.choice([1, 3, 8, 40, 256])
    height, width = draw.randint(1, 14), draw.randint(1, 14)
    scale = draw.choice([1.0, 0.5, 0.25])
    size = (draw.randint(1, 9), draw.randint(1, 9))
    ratio, aligned = draw.choice([-1, 0, 1, 2, 3]), draw.random() < 0.5
    # Of inverted boxes without a sampling ratio, torchvision asks for a negative amount of memory.
    inverted = draw.random() < 0.2 and (ratio > 0 or not aligned)
    rois = _boxes(draw, batch, height, width, inverted) / torch.tensor([1, scale, scale, scale, scale])
    options = {
        "spatial_scale": scale,
        "pooled_height": size[0],
        "pooled_width": size[1],
        "sampling_ratio": ratio,
        "aligned": aligned,
    }
    return Draw(
        "roi_align",
        [torch.randn(batch, channels, height, width), rois],
        options,
        lambda x, boxes: torchvision.ops.roi_align(x, boxes, size, scale, ratio, aligned),
    )


def deform_conv2d(draw: random.Random) -> Draw:
    groups, offset_groups = draw.choice([(1, 1), (1, 1), (2, 1), (1, 2), (2, 4), (3, 2), (4, 2)])
    channels, maps = 12 * draw.choice([1, 2, 8]), groups * draw.choice([1, 5, 32])
    kernel, stride = [draw.choice([1, 2, 3]) for _ in "yx"], [draw.choice([1, 2]) for _ in "yx"]
    padding, dilation = [draw.choice([0, 1, 2]) for _ in "yx"], [draw.choice([1, 2]) for _ in "yx"]
    size = [draw.randint(6, 12) for _ in "yx"]
    batch = draw.choice([1, 2])
    rows, columns = ((size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(2))
    taps = kernel[0] * kernel[1] * offset_groups
    weight = torch.randn(maps, channels // groups, *kernel) / (channels // groups * kernel[0] * kernel[1]) ** 0.5
    offset = torch.randn(batch, 2 * taps, rows, columns) * draw.choice([0.5, 3.0])
    mask = torch.rand(batch, taps, rows, columns) if draw.random() < 0.6 else None
    bias = torch.randn(maps) if draw.random() < 0.5 else None
    options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}

    def expected(x, weight, offset, mask, bias):
        return torchvision.ops.deform_conv2d(x, offset, weight, bias, mask=mask, **options)

    return Draw("deform_conv2d", [torch.randn(batch, channels, *size), weight, offset, mask, bias], options, expected)


def grid_sample_3d(draw: random.Random) -> Draw:
    batch, channels = draw.choice([1, 2]), draw.choice([1, 3, 16])
    size, out = [draw.randint(1, 7) for _ in "zyx"], [draw.randint(1, 6) for _ in "zyx"]
    mode, border, corners = draw.randint(0, 1), draw.randint(0, 2), draw.random() < 0.5
    grid = torch.randn(batch, *out, 3) * draw.choice([0.7, 1.5, 6.0])
    if mode == 1:  # which neighbour is the nearest must not hang on the last bit
        grid = (grid * 64).round() / 64 + 1 / 331
    return Draw(
        "grid_sample_3d",
        [torch.randn(batch, channels, *size), grid],
        {"interpolation_mode": mode, "padding_mode": border, "align_corners": corners},
        lambda x, grid: torch.ops.aten.grid_sampler_3d(x, grid, mode, border, corners),
    )


def scatter_reduce(draw: random.Random) -> Draw:
    rank = draw.randint(0, 4)
    shape = [draw.randint(1, 6) for _ in range(rank)]
    dim = draw.randint(-max(rank, 1), max(rank, 1) - 1)
    index_shape = [draw.randint(1, size) for size in shape]
    if rank:
        index_shape[dim] = draw.randint(1, 9)
    src_shape = [size + draw.choice([0, 0, 2]) for size in index_shape]
    index = torch.randint(0, shape[dim] if rank else 1, index_shape, dtype=draw.choice([torch.int64, torch.int32]))
    reduce, include = draw.choice(["sum", "prod", "mean", "amax", "amin"]), draw.random() < 0.5
    self, src = torch.randn(shape), torch.randn(src_shape)
    if rank and draw.random() < 0.2:
        src.view(-1)[0] = float("nan")
    return Draw(
        "scatter_reduce",
        [self, index, src],
        {"reduce": reduce, "include_self": include},
        lambda self, index, src: self.scatter_reduce(dim, index.long(), src, reduce, include_self=include),
        {1: dim},
    )


def _attended(value, shapes, starts, locations, weights):
    """Multi-scale deformable attention, written as its definition."""
    batch, _, heads, channels = value.shape
    result = value.new_zeros(batch, locations.shape[1], heads, channels)
    for level, (height, width) in enumerate(shapes.tolist()):
        start = int(starts[level])
        image = value[:, start : start + height * width].view(batch, height, width, heads, channels)
        place = locations[:, :, :, level] * torch.tensor([width, height], dtype=value.dtype) - 0.5
        low = place.floor()
        for corner in range(4):
            shift = torch.tensor([corner % 2, corner // 2], dtype=value.dtype)
            near = low + shift
            share = (1 - (place - near).abs()).prod(-1) * weights[:, :, :, level]
            x, y = near.long().unbind(-1)
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            n = torch.arange(batch).view(-1, 1, 1, 1)
            m = torch.arange(heads).view(1, 1, -1, 1)
            found = image[n, y.clamp(0, height - 1), x.clamp(0, width - 1), m]
            result += (found * (share * inside).unsqueeze(-1)).sum(3)
    return result.flatten(2)


def ms_deform_attn(draw: random.Random) -> Draw:
    batch, heads, channels = draw.choice([1, 2]), draw.choice([1, 3, 8]), draw.choice([1, 4, 5, 32])
    queries, points = draw.choice([1, 4, 9]), draw.choice([1, 4])
    shapes = torch.tensor([[draw.randint(1, 8), draw.randint(1, 8)] for _ in range(draw.randint(1, 4))])
    areas = shapes.prod(1)
    starts = areas.cumsum(0) - areas
    kind = draw.choice([torch.int64, torch.int32])
    value = torch.randn(batch, int(areas.sum()), heads, channels)
    locations = torch.rand(batch, queries, heads, len(shapes), points, 2) * 1.4 - 0.2
    weights = torch.rand(batch, queries, heads, len(shapes), points)
    return Draw("ms_deform_attn", [value, shapes.to(kind), starts.to(kind), locations, weights], {}, _attended)


def correlation(draw: random.Random) -> Draw:
    batch, channels = draw.choice([1, 2]), draw.choice([1, 3, 16])
    height, width = draw.randint(5, 9), draw.randint(5, 9)
    kernel, far, stride = draw.choice([1, 1, 2, 3]), draw.randint(0, 3), draw.randint(1, 2)
    padding, dilation, step = draw.randint(0, 3), draw.randint(1, 2), draw.randint(1, 2)
    normalize = draw.random() < 0.5

    def expected(first, second):
        one = F.unfold(first, kernel, dilation, padding, stride)
        reach = far * step
        other = F.pad(second, [padding + reach] * 4)
        span = [size + 2 * padding for size in (height, width)]
        rows = []
        for i in range(2 * far + 1):
            for j in range(2 * far + 1):
                moved = other[:, :, i * step : i * step + span[0], j * step : j * step + span[1]]
                rows.append((one * F.unfold(moved, kernel, dilation, 0, stride)).sum(1))
        size = [(s - dilation * (kernel - 1) - 1) // stride + 1 for s in span]
        result = torch.stack(rows, 1).view(batch, 2 * far + 1, 2 * far + 1, *size)
        return result / (channels * kernel**2) if normalize else result

    options = {
        "kernel_size": kernel,
        "max_displacement": far,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "patch_dilation": step,
        "normalize": normalize,
    }
    tensors = [torch.randn(batch, channels, height, width) for _ in range(2)]
    return Draw("correlation", tensors, options, expected)


OPERATORS = {
    maker.__name__: maker
    for maker in (correlation, deform_conv2d, grid_sample_3d, ms_deform_attn, roi_align, scatter_reduce)
}


def draw(name: str, seed: int) -> Draw:
    """The operator's draw of a seed."""
    torch.manual_seed(seed)
    return OPERATORS[name](random.Random(seed))
