"""A small residual network with seeded random weights."""

import torch
from torch import nn


class Block(nn.Module):
    """Two convolutions around which the input is carried."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape as ``x``."""
        return torch.relu(x + self.second(torch.relu(self.first(x))))


def make_model() -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """The module and an example input."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), Block(8), Block(8))
    return layers.eval(), {"input": torch.randn(1, 3, 16, 16)}
