"""torch2trt's kernels against PyTorch's and torchvision's operators, and against the time that their memory takes.

Prints one JSON object: by operator, dtype and shape the medians in microseconds, ours and theirs, their ratio, and our
time over that of reading every input and writing the result once at the bandwidth that a large copy reaches. A call is
timed inside a CUDA graph of 20, by CUDA events, so that the CPU's share does not count. Needs a GPU and the CUDA build
(``python -m torch2trt.plugins.build``). Run from the repository's root:

    python benchmarks/plugins.py [name ...]
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F
from torchvision import ops

from torch2trt import plugins

CALLS, ROUNDS = 20, 50
HALF, SINGLE = torch.float16, torch.float32


@dataclass
class Contest:
    """One row: the tensors that are read, what is called with them, ours and theirs, and the ratio to reach."""

    name: str
    tensors: list[torch.Tensor]
    ours: Callable[..., torch.Tensor]
    theirs: Callable[..., torch.Tensor]
    wanted: float


def microseconds(call: Callable[[], Any]) -> float:
    """The median time of one call, the GPU's alone."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(CALLS):
            call()
    times = []
    for _ in range(ROUNDS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(1e3 * begin.elapsed_time(end) / CALLS)
    return statistics.median(times)


def bandwidth() -> float:
    """Bytes a microsecond that a copy of 1 GiB reads and writes."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() / microseconds(lambda: target.copy_(source))


def random(*shape: int, dtype: torch.dtype = SINGLE) -> torch.Tensor:
    return torch.randn(shape, device="cuda").to(dtype)


def deformed(kernels: Any) -> Iterator[Contest]:
    """The deformable layers of DCNv2's ResNet-50 on images of 800 by 1344, two at a time."""
    for dtype in (HALF, SINGLE):
        for channels, height, width in ((128, 100, 168), (256, 50, 84), (512, 25, 42)):
            weight = random(channels, channels, 3, 3, dtype=dtype) / (9 * channels) ** 0.5
            x, bias = random(2, channels, height, width, dtype=dtype), random(channels, dtype=dtype)
            offset, mask = random(2, 18, height, width, dtype=dtype), random(2, 9, height, width, dtype=dtype).sigmoid()
            yield Contest(
                f"deform_conv2d {str(dtype)[6:]} 2x{channels}x{height}x{width}",
                [x, weight, offset, mask, bias],
                lambda *tensors: kernels.deform_conv2d(*tensors, 1, 1, 1),
                lambda x, weight, offset, mask, bias: ops.deform_conv2d(x, offset, weight, bias, padding=1, mask=mask),
                2.0 if dtype == HALF else 1.0,
            )


def aligned(kernels: Any) -> Iterator[Contest]:
    """1,000 boxes of 256 channels, 7 by 7, on maps of stride 4, 8 and 16 of an image of 800 by 1344."""
    for dtype in (HALF, SINGLE):
        for stride in (4, 8, 16):
            x = random(1, 256, 800 // stride, 1344 // stride, dtype=dtype)
            corner = torch.rand(1000, 2, device="cuda") * torch.tensor([1000.0, 600.0], device="cuda")
            size = torch.rand(1000, 2, device="cuda") * 40 * stride + 4 * stride
            rois = torch.cat([torch.zeros(1000, 1, device="cuda"), corner, corner + size], 1).to(dtype)
            yield Contest(
                f"roi_align {str(dtype)[6:]} stride {stride}",
                [x, rois],
                lambda x, rois, scale=1 / stride: kernels.roi_align(x, rois, scale, 7, 7, 2, True),
                lambda x, rois, scale=1 / stride: ops.roi_align(x, rois, 7, scale, 2, True),
                1.5,
            )


def attended_by_grid_sample(
    value: torch.Tensor, shapes: list[list[int]], locations: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """What Deformable DETR does without its own kernel."""
    batch, _, heads, channels = value.shape
    queries, points = locations.shape[1], locations.shape[4]
    grids = 2 * locations - 1
    found = []
    for level, part in enumerate(value.split([height * width for height, width in shapes], dim=1)):
        image = part.flatten(2).transpose(1, 2).reshape(batch * heads, channels, *shapes[level])
        grid = grids[:, :, :, level].transpose(1, 2).flatten(0, 1)
        found.append(F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False))
    share = weights.transpose(1, 2).reshape(batch * heads, 1, queries, len(shapes) * points)
    result = (torch.stack(found, dim=-2).flatten(-2) * share).sum(-1)
    return result.view(batch, heads * channels, queries).transpose(1, 2).contiguous()


def attended(kernels: Any) -> Iterator[Contest]:
    """Deformable DETR's encoder and decoder on an image of 800 by 1344."""
    shapes = [[100, 168], [50, 84], [25, 42], [13, 21]]
    areas = [height * width for height, width in shapes]
    total = sum(areas)
    starts = torch.tensor([sum(areas[:level]) for level in range(4)], device="cuda")
    sizes = torch.tensor(shapes, device="cuda")
    for dtype in (HALF, SINGLE):
        for part, queries in (("encoder", total), ("decoder", 300)):
            value = random(1, total, 8, 32, dtype=dtype)
            locations = torch.rand(1, queries, 8, 4, 4, 2, device="cuda")
            if part == "encoder":  # a query looks around its own place
                centre = torch.linspace(0, 1, queries, device="cuda").view(1, -1, 1, 1, 1, 1)
                locations = (centre + 0.05 * (locations - 0.5)).clamp(0, 1)
            weights = torch.rand(1, queries, 8, 4, 4, device="cuda")
            yield Contest(
                f"ms_deform_attn {str(dtype)[6:]} {part}",
                [value, locations.to(dtype), weights.to(dtype)],
                lambda value, *rest: kernels.ms_deform_attn(value, sizes, starts, *rest),
                lambda value, *rest: attended_by_grid_sample(value, shapes, *rest),
                2.0,
            )


def sampled(kernels: Any) -> Iterator[Contest]:
    """Volumes of 64 and 96 elements an axis along a slightly bent grid, one of 128 along 4,096 rays of 256 places."""
    grids = {}
    for size in (64, 96):
        grid = F.affine_grid(torch.eye(3, 4, device="cuda")[None], [1, 1, size, size, size], align_corners=False)
        grids[size] = grid + 0.02 * random(*grid.shape)
    start, way = 2 * torch.rand(4096, 1, 3, device="cuda") - 1, F.normalize(random(4096, 1, 3), dim=-1)
    grids[128] = (start + way * torch.linspace(-1, 1, 256, device="cuda")[:, None]).view(1, 1, 1, -1, 3)
    for dtype in (HALF, SINGLE):
        for channels, size, name in ((32, 64, ""), (4, 96, ""), (12, 128, " along rays")):
            yield Contest(
                f"grid_sample_3d {str(dtype)[6:]} {channels}x{size}^3{name}",
                [random(1, channels, size, size, size, dtype=dtype), grids[size].to(dtype)],
                kernels.grid_sample_3d,
                lambda x, grid: F.grid_sample(x, grid, align_corners=False),
                1.0,
            )


def scattered(kernels: Any) -> Iterator[Contest]:
    """Messages of a graph of 100,000 nodes and a million edges, 64 numbers each."""
    for dtype in (HALF, SINGLE):
        index = torch.randint(0, 100_000, (1_000_000, 1), device="cuda").expand(-1, 64).contiguous()
        yield Contest(
            f"scatter_reduce {str(dtype)[6:]} 1e6x64",
            [random(100_000, 64, dtype=dtype), index, random(1_000_000, 64, dtype=dtype)],
            lambda nodes, index, edges: kernels.scatter_reduce(nodes, 0, index, edges, "sum"),
            lambda nodes, index, edges: nodes.scatter_reduce(0, index, edges, "sum"),
            1.0,
        )


def shifted_products(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """PWC-Net's cost volume without a kernel for it."""
    height, width = first.shape[2:]
    padded = F.pad(second, [4] * 4)
    moved = [(first * padded[:, :, i : i + height, j : j + width]).mean(1) for i in range(9) for j in range(9)]
    return torch.stack(moved, 1).view(-1, 9, 9, height, width)


def correlated(kernels: Any) -> Iterator[Contest]:
    """PWC-Net's cost volume: 81 displacements."""
    for dtype in (HALF, SINGLE):
        yield Contest(
            f"correlation {str(dtype)[6:]} 64x96x160",
            [random(1, 64, 96, 160, dtype=dtype), random(1, 64, 96, 160, dtype=dtype)],
            lambda first, second: kernels.correlation(first, second, max_displacement=4, normalize=True),
            shifted_products,
            1.0,
        )


CONTESTS = {
    "deform_conv2d": deformed,
    "roi_align": aligned,
    "ms_deform_attn": attended,
    "grid_sample_3d": sampled,
    "scatter_reduce": scattered,
    "correlation": correlated,
}


def measure(contest: Contest, speed: float) -> dict[str, Any]:
    result, wanted = contest.ours(*contest.tensors), contest.theirs(*contest.tensors)
    scale = wanted.float().abs().max().item()
    error = (result.float() - wanted.float()).abs().max().item() / max(scale, 1e-6)
    floor = sum(tensor.nbytes for tensor in [*contest.tensors, result]) / speed
    ours, theirs = (microseconds(lambda call=call: call(*contest.tensors)) for call in (contest.ours, contest.theirs))
    return {
        "ours_us": round(ours, 2),
        "theirs_us": round(theirs, 2),
        "ratio": round(theirs / ours, 2),
        "ratio_wanted": contest.wanted,
        "floor_us": round(floor, 2),
        "over_floor": round(ours / floor, 2),
        "relative_error": float(f"{error:.1e}"),
    }


def main() -> None:
    found = plugins.available()
    if not torch.cuda.is_available() or not found.cuda:
        sys.exit(f"needs a GPU and the kernels built for it: {'; '.join(found.reasons) or 'there is no GPU'}")
    torch.manual_seed(0)
    speed = bandwidth()
    results = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "copy_GBps": round(speed / 1e3)}
    for name in sys.argv[1:] or CONTESTS:
        for contest in CONTESTS[name](torch.ops.torch2trt):
            results[contest.name] = measure(contest, speed)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    with torch.no_grad():
        main()
