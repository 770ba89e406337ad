"""Fill: affine sequences and random numbers."""

from __future__ import annotations

import torch

from .registry import LayerContext, Run, layer
from .types import dims


def linspace(sizes: list[int], start: torch.Tensor, steps: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """``start + sum of steps[axis] * index[axis]`` (NvInfer.h, FillOperation::kLINSPACE)."""
    result = start.reshape(()).to(dtype).expand(sizes)
    for axis, step in enumerate(steps.reshape(-1)):
        places = torch.arange(sizes[axis], device=start.device).to(dtype) * step.to(dtype)
        result = result + places.reshape([-1 if i == axis else 1 for i in range(len(sizes))])
    return result


def _scalar(value: float, device: torch.device) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.int64 if isinstance(value, int) else torch.float64, device=device)


@layer("FILL")
def fill(context: LayerContext) -> Run:
    """``IFillLayer``: LINSPACE, RANDOM_UNIFORM, RANDOM_NORMAL; inputs 0, 1, 2 replace shape, alpha, beta.

    Random numbers come from the evaluation's seed: they have the distribution that TensorRT's have, not their values.
    """
    node, settings, held = context.layer, context.settings, context.outputs[0].held
    kind = node.operation.name
    if kind not in ("LINSPACE", "RANDOM_UNIFORM", "RANDOM_NORMAL"):
        raise context.error(f"unknown fill operation {kind}")
    # What an input replaces is not read: TensorRT warns about it.
    static = [] if context.has_input(0) else list(dims(node.shape) or ())
    alpha = _scalar(0.0 if context.has_input(1) else node.alpha, settings.device)
    beta = _scalar(0.0 if context.has_input(2) else node.beta, settings.device)

    def run(
        shape: torch.Tensor | None = None, first: torch.Tensor | None = None, second: torch.Tensor | None = None
    ) -> torch.Tensor:
        sizes = static if shape is None else shape.tolist()
        start, step = alpha if first is None else first, beta if second is None else second
        if kind == "LINSPACE":
            return linspace(sizes, start, step, held)
        noise = torch.empty(sizes, dtype=torch.float32, device=settings.generator.device)
        if kind == "RANDOM_UNIFORM":
            noise.uniform_(generator=settings.generator)
            return (start + (step - start) * noise.to(settings.device)).to(held)
        noise.normal_(generator=settings.generator)
        return (start + step * noise.to(settings.device)).to(held)

    return run
