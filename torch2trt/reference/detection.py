"""Non-maximum suppression, and the assertion layer."""

from __future__ import annotations

import torch

from ..errors import EvaluationError
from .registry import LayerContext, Run, layer
from .types import FLOATING


def corners(boxes: torch.Tensor, form: str) -> torch.Tensor:
    """Boxes [..., 4] as (low x, low y, high x, high y) (NvInfer.h, BoundingBoxFormat)."""
    if form == "CENTER_SIZES":
        centre, half = boxes[..., :2], boxes[..., 2:] / 2
        first, second = centre - half, centre + half
    else:
        first, second = boxes[..., :2], boxes[..., 2:]
    return torch.cat((torch.minimum(first, second), torch.maximum(first, second)), -1)


def overlap(box: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Intersection over union of one box [4] with others [n, 4]; 0 where both are empty."""
    low, high = torch.maximum(box[:2], others[:, :2]), torch.minimum(box[2:], others[:, 2:])
    common = (high - low).clamp(min=0).prod(-1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(-1) - common
    return torch.where(union > 0, common / union, torch.zeros_like(union))


def suppress(
    boxes: torch.Tensor, scores: torch.Tensor, most: int, iou: float, least: float, limit: int
) -> list[tuple[int, int]]:
    """The (class, box) pairs that one batch item keeps, by falling score.

    Args:
        boxes: [n, classes or 1, 4], as corners.
        scores: [n, classes].
        most: boxes kept per class.
        iou: greatest overlap with a kept box of the class.
        least: score that a box must exceed.
        limit: how many boxes of the item, all classes together, are considered.
    """
    classes = scores.shape[1]
    flat = scores.reshape(-1)
    order = torch.sort(flat, descending=True, stable=True).indices
    order = order[flat[order] > least][:limit]
    box, label = order // classes, order % classes
    kept = torch.zeros_like(order, dtype=torch.bool)
    for number in label.unique().tolist():
        (places,) = torch.nonzero(label == number, as_tuple=True)
        candidates = boxes[box[places], number if boxes.shape[1] > 1 else 0]
        kept[places[survivors(candidates, most, iou)]] = True
    return list(zip(label[kept].tolist(), box[kept].tolist(), strict=True))


def survivors(boxes: torch.Tensor, most: int, iou: float) -> torch.Tensor:
    """Which of the boxes [n, 4] are kept: those that overlap none that is kept before them; at most so many."""
    places = torch.arange(boxes.shape[0], device=boxes.device)
    kept: list[torch.Tensor] = []
    while places.numel() and len(kept) < most:
        kept.append(places[:1])
        apart = ~(overlap(boxes[0], boxes[1:]) > iou)
        boxes, places = boxes[1:][apart], places[1:][apart]
    return torch.cat(kept) if kept else places[:0]


@layer("NMS")
def nms(context: LayerContext) -> Run:
    """``INMSLayer``: (batch, class, box) rows by batch and falling score, and how many there are.

    Boxes are [B, n, 4] or [B, n, classes, 4], scores [B, n, classes]; thresholds default to 0.
    """
    form, limit = context.layer.bounding_box_format.name, context.layer.topk_box_limit
    held = context.outputs[0].held
    context.require_dtype(0, *FLOATING)
    context.require_same_dtype(0, 1)

    def run(
        boxes: torch.Tensor,
        scores: torch.Tensor,
        most: torch.Tensor,
        iou: torch.Tensor | None = None,
        least: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if boxes.dim() == 3:
            boxes = boxes.unsqueeze(2)
        limits = float(iou) if iou is not None else 0.0, float(least) if least is not None else 0.0
        rows = [
            (batch, label, box)
            for batch in range(boxes.shape[0])
            for label, box in suppress(
                corners(boxes[batch].float(), form), scores[batch].float(), int(most), *limits, limit
            )
        ]
        indices = torch.tensor(rows, dtype=held, device=boxes.device).reshape(-1, 3)
        return indices, torch.tensor(len(rows), dtype=torch.int32, device=boxes.device)

    return run


@layer("ASSERTION")
def assertion(context: LayerContext) -> Run:
    """``IAssertionLayer``: BOOL; has no output.

    Raises:
        EvaluationError: an element is false; says the layer's message.
    """
    message = context.layer.message
    context.require_dtype(0, "BOOL")

    def run(condition: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if not bool(condition.all()):
            raise EvaluationError(f"assertion failed: {message}")
        return ()

    return run
