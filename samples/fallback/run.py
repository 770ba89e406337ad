"""A model with an operator that TensorRT does not have: engines around it, PyTorch for it."""

from __future__ import annotations

import torch

import torch2trt

torch.library.define("sample_fallback::histogram", "(Tensor x, int bins) -> Tensor")


@torch.library.impl("sample_fallback::histogram", "CompositeExplicitAutograd")
def histogram(x: torch.Tensor, bins: int) -> torch.Tensor:
    """How many elements of each row fall into each of ``bins`` bins of [0, 1)."""
    index = (x.clamp(0, 1 - 1e-6) * bins).long()
    return torch.zeros(len(x), bins, device=x.device).scatter_add_(1, index, torch.ones_like(x))


class Model(torch.nn.Module):
    """A convolution, the operator, and a classifier on its result."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Sigmoid(), torch.nn.Flatten())
        self.classifier = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.ops.sample_fallback.histogram(self.features(image), 16))


def main() -> None:
    torch.manual_seed(0)
    model, image = Model().eval(), torch.rand(2, 3, 16, 16)
    print(torch2trt.explain(model, image))
    gpu = torch.cuda.is_available()
    if gpu:
        model, image = model.cuda(), image.cuda()
    fast = torch2trt.compile(model, image, backend="engine" if gpu else "reference")
    with torch.no_grad():
        error = (fast(image) - model(image)).abs().max().item()
    print(f"engines on the {'GPU' if gpu else 'CPU, by the reference evaluator'}: max error {error:.1e}")


if __name__ == "__main__":
    main()
