"""A U-Net with attention of the size and layout of Stable Diffusion 1.5's, in plain PyTorch."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Two convolutions with a residual, and the time added in between."""

    def __init__(self, inner: int, outer: int, time: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(32, inner), nn.Conv2d(inner, outer, 3, padding=1)
        self.time = nn.Linear(time, outer)
        self.norm2, self.conv2 = nn.GroupNorm(32, outer), nn.Conv2d(outer, outer, 3, padding=1)
        self.skip = nn.Identity() if inner == outer else nn.Conv2d(inner, outer, 1)

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        y = self.conv1(functional.silu(self.norm1(x)))
        y = y + self.time(functional.silu(time))[:, :, None, None]
        return self.skip(x) + self.conv2(functional.silu(self.norm2(y)))


class Attention(nn.Module):
    """Multi-head attention to a context, which is the input itself by default."""

    def __init__(self, width: int, context: int, heads: int = 8) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(size, width, bias=False) for size in (width, context, context))
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.q(x), self.k(context), self.v(context))
        )
        return self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    """Attention among the pixels, attention to the text, and a gated feed-forward layer."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.norm, self.inner, self.outer = (
            nn.GroupNorm(32, width),
            nn.Conv2d(width, width, 1),
            nn.Conv2d(width, width, 1),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own, self.cross = Attention(width, width), Attention(width, context)
        self.gate, self.down = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[-2:]
        y = self.inner(self.norm(x)).flatten(2).transpose(1, 2)
        y = y + self.own(self.norms[0](y), self.norms[0](y))
        y = y + self.cross(self.norms[1](y), context)
        value, gate = self.gate(self.norms[2](y)).chunk(2, dim=-1)
        y = y + self.down(value * functional.gelu(gate))
        return x + self.outer(y.transpose(1, 2).unflatten(2, (height, width)))


class UNet(nn.Module):
    """Four levels of two blocks down, a middle, four levels of three blocks up; attention on all but the lowest.

    Args:
        width: channels of the first level; a multiple of 32.
        context: size of a text token.
    """

    def __init__(self, width: int = 320, context: int = 768) -> None:
        super().__init__()
        self.width = width
        widths, time = [width, 2 * width, 4 * width, 4 * width], 4 * width
        self.embed = nn.Sequential(nn.Linear(width, time), nn.SiLU(), nn.Linear(time, time))
        self.first = nn.Conv2d(4, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        held = [width]
        for level, size in enumerate(widths):
            for _ in range(2):
                self.down.append(self._layer(held[-1], size, time, context if level < 3 else 0))
                held.append(size)
            if level < 3:
                self.down.append(nn.Conv2d(size, size, 3, stride=2, padding=1))
                held.append(size)
        self.middle = nn.ModuleList([Block(size, size, time), Transformer(size, context), Block(size, size, time)])
        for level, size in reversed(list(enumerate(widths))):
            for index in range(3):
                above = widths[min(level + 1, 3)] if index == 0 else size
                self.up.append(self._layer(above + held.pop(), size, time, context if level < 3 else 0))
            if level:
                self.up.append(nn.Conv2d(size, size, 3, padding=1))
        self.norm, self.last = nn.GroupNorm(32, width), nn.Conv2d(width, 4, 3, padding=1)

    @staticmethod
    def _layer(inner: int, outer: int, time: int, context: int) -> nn.ModuleList:
        parts: list[nn.Module] = [Block(inner, outer, time)]
        return nn.ModuleList([*parts, Transformer(outer, context)] if context else parts)

    def _time(self, steps: torch.Tensor) -> torch.Tensor:
        half = self.width // 2
        rates = torch.exp(torch.arange(half, device=steps.device) * (-math.log(10000) / half))
        angles = steps[:, None].float() * rates
        return self.embed(torch.cat([angles.cos(), angles.sin()], 1).to(self.first.weight.dtype))

    def forward(self, x: torch.Tensor, steps: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        time = self._time(steps)
        y = self.first(x)
        kept = [y]
        for layer in self.down:
            y = _run(layer, y, time, context)
            kept.append(y)
        before, attention, after = self.middle
        y = after(attention(before(y, time), context), time)
        for layer in self.up:
            if isinstance(layer, nn.Conv2d):
                y = layer(functional.interpolate(y, scale_factor=2.0))
            else:
                y = _run(layer, torch.cat([y, kept.pop()], 1), time, context)
        return self.last(functional.silu(self.norm(y)))


def _run(layer: nn.Module, y: torch.Tensor, time: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    if isinstance(layer, nn.Conv2d):
        return layer(y)
    for part in layer:
        y = part(y, time) if isinstance(part, Block) else part(y, context)
    return y
