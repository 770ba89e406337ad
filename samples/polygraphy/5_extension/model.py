"""A small encoder with seeded random weights: token numbers in, one vector a token out."""

import torch
from torch import nn


class Encoder(nn.Module):
    """An embedding, a mixing layer and a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 32)
        self.norm = nn.LayerNorm(32)
        self.up = nn.Linear(32, 64)
        self.down = nn.Linear(64, 32)

    def forward(self, tokens: torch.Tensor, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        """Vectors of shape (N, T, 32) for token numbers of shape (N, T) and a scale of shape (N, T, 1)."""
        x = self.embedding(tokens)
        x = x + self.down(torch.nn.functional.gelu(self.up(self.norm(x)))) * scale
        return {"vectors": x}


def make_model() -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """The module and example inputs by name: their dtypes are those that Polygraphy generates."""
    torch.manual_seed(0)
    inputs = {"tokens": torch.randint(0, 100, (2, 8)), "scale": torch.rand(2, 8, 1)}
    return Encoder().eval(), inputs
