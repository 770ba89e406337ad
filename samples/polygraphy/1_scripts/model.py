"""A small convolutional classifier with seeded random weights."""

import torch
from torch import nn


class Classifier(nn.Module):
    """Two convolutions, a mean over the picture, ten scores."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()
        )
        self.head = nn.Linear(32, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Scores of shape (N, 10) for images of shape (N, 3, H, W)."""
        return self.head(self.features(image).mean((2, 3)))


def make_model() -> tuple[nn.Module, torch.Tensor]:
    """The module and an example input."""
    torch.manual_seed(0)
    return Classifier().eval(), torch.randn(1, 3, 32, 32)
