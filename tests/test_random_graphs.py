"""Operations that follow one another at random: whole graphs, which rewrites see as no case of one operator shows them.

What a graph computes is continuous, so that rounding decides nothing. Its first axis is the batch's, which may be
dynamic.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parameter import is_lazy

from tests import harness

LARGEST = 2000
"""Elements that a tensor may have before it grows."""

ELEMENTWISE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "hardswish": F.hardswish,
    "softplus": F.softplus,
    "sqrt": lambda x: (x.abs() + 0.1).sqrt(),
    "square": lambda x: x.clamp(-2, 2) ** 2,
    "reciprocal": lambda x: 1 / (x.abs() + 0.5),
    "affine": lambda x: x * 0.5 + 1,
    "masked": lambda x: x.masked_fill(torch.arange(x.shape[-1]) == 0, 0.5),
}

PAIRS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": lambda x, y: x / (y.abs() + 0.5),
    "maximum": torch.maximum,
    "concatenation": lambda x, y: torch.cat([x, y.expand_as(x)], 1),
    "stack": lambda x, y: torch.stack([x, y.expand_as(x)], 1).mean(1),
}

# Functions of a tensor and an axis that is not the batch's.
ALONG: dict[str, Callable[[torch.Tensor, int], torch.Tensor]] = {
    "sum": lambda x, axis: x.sum(axis, keepdim=True),
    "mean": lambda x, axis: x.mean(axis),
    "amax": lambda x, axis: x.amax(axis),
    "softmax": lambda x, axis: x.softmax(axis),
    "logsumexp": lambda x, axis: x.logsumexp(axis),
    "variance": lambda x, axis: x.var(axis, unbiased=False, keepdim=True),
    "cumsum": lambda x, axis: x.cumsum(axis),
    "sort": lambda x, axis: x.sort(axis).values,
    "topk": lambda x, axis: x.topk(1, axis).values,
    "transpose": lambda x, axis: x.transpose(axis, -1),
    "flatten": lambda x, axis: x.flatten(axis),
    "batch and axis": lambda x, axis: x.transpose(1, axis).flatten(0, 1).tanh().unflatten(0, (x.shape[0], -1)),
    "squeeze": lambda x, axis: x.squeeze(axis),
    "select": lambda x, axis: x.select(axis, -1),
    "slice": lambda x, axis: x.narrow(axis, 0, (x.shape[axis] + 1) // 2),
    "split": lambda x, axis: torch.cat(x.chunk(2, axis)[::-1], axis),
    "flip": lambda x, axis: x.flip(axis),
    "roll": lambda x, axis: x.roll(1, axis),
    "gather": lambda x, axis: x.index_select(axis, torch.tensor([0, 0])),
    "written": lambda x, axis: x.index_fill(axis, torch.tensor([0]), 0.25),
}

GROWING: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "unsqueeze": lambda x: x.unsqueeze(1),
    "expand": lambda x: x.unsqueeze(-1).expand(*[-1] * x.dim(), 2),
    "repeat": lambda x: x.repeat(*[1] * (x.dim() - 1), 2),
    "pad": lambda x: F.pad(x, (1, 1), value=0.5),
    "outer": lambda x: x.unsqueeze(-1) * x.unsqueeze(-2),
}


class _OverLast(nn.Module):
    def __init__(self, norm: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x, x.shape[-1:], eps=1e-3)


class _Attention(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(x, x * 0.5, x + 1)


class _Products(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x @ x.transpose(-1, -2)).softmax(-1) @ x


# Modules, by the ranks that they take; those that must know a size learn it from what they first get.
LAYERS: dict[str, tuple[range, Callable[[], nn.Module]]] = {
    "linear": (range(2, 6), lambda: nn.LazyLinear(4)),
    "layer norm": (range(2, 6), lambda: _OverLast(F.layer_norm)),
    "rms norm": (range(2, 6), lambda: _OverLast(F.rms_norm)),
    "batch norm": (range(4, 5), nn.LazyBatchNorm2d),
    "conv1d": (range(3, 4), lambda: nn.LazyConv1d(4, 3, padding=1)),
    "conv2d": (range(4, 5), lambda: nn.LazyConv2d(4, 3, padding=1, bias=False)),
    "transposed": (range(4, 5), lambda: nn.LazyConvTranspose2d(3, 2, stride=2)),
    "max pool": (range(4, 5), lambda: nn.MaxPool2d(3, 1, 1)),
    "average pool": (range(4, 5), lambda: nn.AdaptiveAvgPool2d((2, 1))),
    "attention": (range(3, 5), _Attention),
    "products": (range(3, 5), _Products),
}


class RandomGraph(nn.Module):
    """Some operations, drawn by ``seed``, on what came last or before; one that does not fit passes its input on."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = random.Random(seed)
        names = [*ELEMENTWISE, *PAIRS, *ALONG, *GROWING, *LAYERS, *LAYERS]
        self.plan = [(draw.choice(names), draw.random(), draw.random()) for _ in range(draw.randint(2, 10))]
        self.layers = nn.ModuleList(LAYERS[name][1]() if name in LAYERS else nn.Identity() for name, *_ in self.plan)

    def forward(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        known = list(inputs)
        for layer, (name, which, where) in zip(self.layers, self.plan, strict=True):
            x = known[-1] if which < 0.6 else known[int((which - 0.6) / 0.4 * len(known))]
            axis = 1 + int(where * (x.dim() - 1))
            if name in ELEMENTWISE:
                x = ELEMENTWISE[name](x)
            elif name in PAIRS:
                partners = [y for y in known if y.shape[1:] == x.shape[1:]]
                x = PAIRS[name](x, partners[int(where * len(partners))])
            elif name in ALONG and x.dim() > 2:
                x = ALONG[name](x, axis)
            elif name in GROWING and x.dim() < 5 and x[0].numel() < LARGEST:
                x = GROWING[name](x)
            elif name in LAYERS and x.dim() in LAYERS[name][0]:
                x = layer(x)
            known.append(x)
        return known[len(inputs) :]

    def drop_unused(self) -> None:
        """Layers that no tensor fitted know no sizes, and PyTorch cannot trace a module that has such."""
        for index, layer in enumerate(self.layers):
            if any(is_lazy(parameter) for parameter in layer.parameters()):
                self.layers[index] = nn.Identity()


def check(seed: int, dynamic: bool) -> None:
    torch.manual_seed(seed)
    draw = random.Random(seed)
    shapes = [[draw.randint(1, 5) for _ in range(draw.randint(1, 3))] for _ in range(draw.randint(1, 2))]
    graph = RandomGraph(seed).eval()
    batches = (3, 1, 4) if dynamic else (draw.randint(1, 3),)
    calls = [tuple(torch.randn(batch, *shape) for shape in shapes) for batch in batches]
    expected = [harness.call(graph, call) for call in calls]
    graph.drop_unused()
    ranges = {f"x{index}": {0: (1, 3, 4)} for index in range(len(shapes))}
    case = harness.Case(
        str(seed), graph, calls[0], dynamic=ranges if dynamic else None, options={"input_names": list(ranges)}
    )
    converted = harness.convert(case)
    for call, wanted in zip(calls, expected, strict=True):
        what = f"seed {seed}, batch {len(call[0])}: {[name for name, *_ in graph.plan]}"
        harness.assert_same(converted.evaluate(*call), wanted, rtol=1e-4, atol=1e-5, what=what)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("first", range(0, 60, 20))
def test_random_graphs(first, dynamic):
    for seed in range(first, first + 20):
        check(seed, dynamic)


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("first", range(1000, 3000, 100))
def test_many_random_graphs(first, dynamic):
    for seed in range(first, first + 100):
        check(seed, dynamic)
