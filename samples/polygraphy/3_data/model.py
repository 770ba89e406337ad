"""ResNet-18 for pictures of 224 x 224, with seeded random weights: pass --torch2trt-weights for trained ones."""

import torch
import torchvision


def make_model() -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """The module and an example input by name."""
    torch.manual_seed(0)
    return torchvision.models.resnet18(weights=None).eval(), {"x": torch.zeros(1, 3, 224, 224)}
