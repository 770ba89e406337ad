"""The normalisation layer, both versions."""

from __future__ import annotations

import torch

from torch2trt.trt_compat import trt

from .case import Case, Net, short, sizes
from .rows import BF16, F16, F32, bits, data, wide


def norm_case(
    version: int,
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    scale: tuple[int, ...],
    groups: int = 1,
    epsilon: float = 1e-5,
    dtype: torch.dtype = F32,
    compute: str = "",
) -> Case:
    label = f"v{version}-{sizes(shape)}-axes{sizes(axes)}-scale{sizes(scale)}-g{groups}-eps{epsilon}"
    label += f"-{short(dtype)}{compute}"
    x, weight, bias = (
        data(label, shape, dtype),
        data(label + "s", scale, dtype, 0.5, 1.5),
        data(label + "b", scale, dtype),
    )

    def build(net: Net) -> None:
        add = net.network.add_normalization if version == 1 else net.network.add_normalization_v2
        layer = add(net.input(x), net.constant(weight), net.constant(bias), bits(*axes))
        layer.epsilon = epsilon
        if groups != 1:
            layer.num_groups = groups
        if compute:
            layer.compute_precision = getattr(trt.DataType, compute)
        net.output(layer.get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        s, b = weight.float(), bias.float()
        if groups == 1:
            mean = v.mean(axes, keepdim=True)
            return (v - mean) / (((v - mean) ** 2).mean(axes, keepdim=True) + epsilon).sqrt() * s + b
        split = v.reshape(v.shape[0], groups, -1)
        mean = split.mean(-1, keepdim=True)
        normal = ((split - mean) / (((split - mean) ** 2).mean(-1, keepdim=True) + epsilon).sqrt()).reshape(v.shape)
        if scale[1] != v.shape[1]:
            s, b = (t.repeat_interleave(v.shape[1] // groups, 1) for t in (s, b))
        return normal * s + b

    return Case(f"normalization-{label}", build, wide(expected), tolerance=2e-5 if dtype == F32 else 0.0)


CASES = [
    *(norm_case(version, (2, 3, 8), (2,), (1, 1, 8)) for version in (1, 2)),
    *(norm_case(version, (2, 3, 4, 5), (2, 3), (1, 3, 1, 1)) for version in (1, 2)),
    *(norm_case(version, (2, 3, 4, 5), (1, 2, 3), (1, 3, 4, 5)) for version in (1, 2)),
    *(norm_case(version, (2, 3, 4, 5), (2, 3), (1, 1, 4, 5)) for version in (1, 2)),
    norm_case(1, (2, 6, 4, 5), (2, 3), (1, 3, 1, 1), groups=3),
    norm_case(2, (2, 6, 4, 5), (2, 3), (1, 6, 1, 1), groups=3),
    norm_case(2, (2, 4, 6), (2,), (1, 4, 1), groups=2),
    norm_case(2, (2, 4, 3, 2, 3), (2, 3, 4), (1, 4, 1, 1, 1), groups=4),
    norm_case(2, (2, 3, 4), (0, 2), (1, 3, 1)),
    norm_case(2, (3, 4, 5), (1,), (1, 4, 1)),
    norm_case(2, (2, 3, 8), (2,), (1, 1, 8), epsilon=0.1),
    norm_case(2, (4, 64), (1,), (1, 64)),
    *(norm_case(2, (2, 3, 8), (2,), (1, 1, 8), dtype=dtype) for dtype in (F16, BF16)),
    norm_case(2, (2, 6, 4, 5), (2, 3), (1, 6, 1, 1), groups=3, dtype=F16),
    norm_case(2, (2, 3, 4, 5), (2, 3), (1, 3, 1, 1), dtype=F16),
]
