"""Losses over classes; computed in float32 and given in the dtype of the input."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op


def _class_axis(value: Tensor) -> int:
    return 1 if emit.rank_of(value) > 1 else 0


def _nll(value: Any, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int) -> tuple[Any, Any]:
    """The negative log likelihood of float32 log-probabilities, and the total weight.

    A mean over nothing, because all targets are ignored, is NaN as in eager.
    """
    axis = _class_axis(value)
    target = emit.tensor(emit.widened(target))
    if emit.rank_of(target) < emit.rank_of(value) - 1:  # one class vector and a 0-d target: a batch of one
        target = emit.reshape(target, [1])
    ignored = emit.compare("EQUAL", target, ignore_index)
    index = emit.cast(emit.where(ignored, emit.cast(0, emit.dtype_of(target)), target), torch.int32)
    picked = emit.gather_elements(value, emit.unsqueeze(index, [axis]), axis)
    loss = emit.unary("NEG", emit.squeeze(picked, [axis]))
    weights = emit.where(ignored, 0.0, 1.0 if weight is None else emit.gather(emit.as_float32(weight), index, 0))
    loss = emit.where(ignored, 0.0, emit.mul(loss, weights))
    everything = range(emit.rank_of(loss))
    total = emit.reduce("SUM", weights, everything, keepdim=False)
    if reduction == 0:
        return loss, total
    loss = emit.reduce("SUM", loss, everything, keepdim=False)
    return (emit.elementwise("DIV", loss, total) if reduction == 1 else loss), total


@op("aten::nll_loss_nd", "aten::nll_loss", "aten::nll_loss2d")
def aten_nll_loss(
    self: Tensor, target: Tensor, weight: Tensor | None = None, reduction: int = 1, ignore_index: int = -100
) -> Any:
    """``nll_loss_nd(Tensor self, Tensor target, Tensor? weight=None, int reduction=Mean, SymInt ignore_index=-100)``.

    Targets out of range are undefined.
    """
    loss, _ = _nll(emit.as_float32(self), target, weight, reduction, ignore_index)
    return emit.cast(_of_rank(loss, self, target, reduction), emit.dtype_of(self))


def _of_rank(loss: Any, value: Tensor, target: Tensor, reduction: int) -> Any:
    """An unreduced loss in the shape of its target: 0-d for one vector of classes."""
    return emit.reshape(loss, []) if reduction == 0 and emit.rank_of(target) == 0 else loss


@op("aten::nll_loss_forward", "aten::nll_loss2d_forward")
def aten_nll_loss_forward(
    self: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int
) -> tuple[Any, Any]:
    """``nll_loss_forward(Tensor self, Tensor target, Tensor? weight, int reduction, SymInt ignore_index)``.

    The total weight, the second result, is 0 without a reduction.
    """
    loss, total = _nll(emit.as_float32(self), target, weight, reduction, ignore_index)
    if reduction == 0:
        total = torch.zeros(())
    dtype = emit.dtype_of(self)
    return emit.cast(_of_rank(loss, self, target, reduction), dtype), emit.cast(total, dtype)


@op("aten::cross_entropy_loss")
def aten_cross_entropy_loss(
    self: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: int = 1,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Any:
    """``cross_entropy_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=Mean, ...) -> Tensor``.

    Targets are class indices, or probabilities where they have the rank and dtype category of the input.
    """
    value = emit.as_float32(self)
    value = emit.log_softmax(value, _class_axis(value))
    if emit.is_float(target):
        loss = _of_probabilities(value, target, weight, reduction, label_smoothing)
    else:
        loss, _ = _nll(value, target, weight, reduction, ignore_index)
        if label_smoothing:
            smooth = _smooth_loss(value, target, weight, reduction, ignore_index)
            part = emit.arithmetic("DIV", smooth, _class_count(value))
            loss = emit.add(emit.mul(loss, 1 - label_smoothing), emit.mul(part, label_smoothing))
        loss = _of_rank(loss, self, target, reduction)
    return emit.cast(loss, emit.dtype_of(self))


def _class_count(value: Any) -> Any:
    """The number of classes, as a number or a 0-d float32 tensor."""
    count = emit.size_of(value, _class_axis(value))
    return float(count) if isinstance(count, int) else emit.as_float32(count)


def _along_classes(weight: Tensor, value: Any) -> Any:
    """Weights of classes in the rank of ``value``."""
    rank, axis = emit.rank_of(value), _class_axis(value)
    return emit.reshape(emit.as_float32(weight), [-1 if place == axis else 1 for place in range(rank)])


def _of_probabilities(value: Any, target: Tensor, weight: Tensor | None, reduction: int, smoothing: float) -> Any:
    axis = _class_axis(value)
    wanted = emit.as_float32(target)
    if smoothing:
        wanted = emit.add(emit.mul(wanted, 1 - smoothing), emit.arithmetic("DIV", smoothing, _class_count(value)))
    terms = emit.mul(value, wanted)
    if weight is not None:
        terms = emit.mul(terms, _along_classes(weight, value))
    loss = emit.unary("NEG", emit.reduce("SUM", terms, [axis], keepdim=False))
    return emit.reduced_loss(loss, reduction, torch.float32)  # the mean over all but the classes


def _smooth_loss(value: Any, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int) -> Any:
    """The part of the loss that label smoothing spreads over all classes."""
    axis = _class_axis(value)
    target = emit.tensor(emit.widened(target))
    if emit.rank_of(target) < emit.rank_of(value) - 1:
        target = emit.reshape(target, [1])
    terms = value if weight is None else emit.mul(value, _along_classes(weight, value))
    ignored = emit.compare("EQUAL", target, ignore_index)
    loss = emit.where(ignored, 0.0, emit.unary("NEG", emit.reduce("SUM", terms, [axis], keepdim=False)))
    if reduction == 0:
        return loss
    everything = range(emit.rank_of(loss))
    loss = emit.reduce("SUM", loss, everything, keepdim=False)
    if reduction == 2:
        return loss
    index = emit.cast(emit.where(ignored, emit.cast(0, emit.dtype_of(target)), target), torch.int32)
    weights = emit.where(ignored, 0.0, 1.0 if weight is None else emit.gather(emit.as_float32(weight), index, 0))
    return emit.elementwise("DIV", loss, emit.reduce("SUM", weights, everything, keepdim=False))


def _batched(self: Tensor, target: Tensor) -> tuple[Any, Any, bool]:
    """Input and target with a batch axis, and whether it was added; the input in float32."""
    value, index = emit.as_float32(self), emit.cast(emit.widened(target), torch.int32)
    if emit.rank_of(value) == 2:
        return value, emit.tensor(index), False
    value = emit.reshape(value, [1, -1])
    return value, emit.tensor(index), True


def _over_classes(loss: Any, value: Any) -> Any:
    """A loss of each row, divided by the number of classes."""
    return emit.arithmetic("DIV", loss, _class_count(value))


@op("aten::multi_margin_loss")
def aten_multi_margin_loss(
    self: Tensor, target: Tensor, p: float = 1, margin: float = 1, weight: Tensor | None = None, reduction: int = 1
) -> Any:
    """``multi_margin_loss(Tensor self, Tensor target, Scalar p=1, Scalar margin=1, Tensor? weight=None, ...)``."""
    value, index, single = _batched(self, target)
    index = emit.reshape(index, [-1, 1])
    wanted = emit.gather_elements(value, index, 1)
    loss = emit.activation("RELU", emit.add(emit.sub(value, wanted), float(margin)))
    loss = emit.mul(loss, loss) if p == 2 else loss
    if weight is not None:
        loss = emit.mul(loss, emit.gather(emit.as_float32(weight), index, 0))
    classes = emit.counting(emit.size_of(value, 1), dtype=torch.int32)
    loss = emit.where(emit.compare("EQUAL", index, emit.reshape(classes, [1, -1])), 0.0, loss)
    loss = _over_classes(emit.reduce("SUM", loss, [1], keepdim=False), value)
    single = single and emit.rank_of(target) == 0
    loss = emit.reshape(loss, []) if single else loss
    return emit.reduced_loss(loss, reduction, emit.dtype_of(self))


@op("aten::multilabel_margin_loss")
def aten_multilabel_margin_loss(self: Tensor, target: Tensor, reduction: int = 1) -> Any:
    """``multilabel_margin_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor``."""
    return aten_multilabel_margin_loss_forward(self, target, reduction)[0]


@op("aten::multilabel_margin_loss_forward")
def aten_multilabel_margin_loss_forward(self: Tensor, target: Tensor, reduction: int) -> tuple[Any, Any]:
    """``multilabel_margin_loss_forward(Tensor self, Tensor target, int reduction) -> (Tensor, Tensor is_target)``.

    The labels of a row end at the first -1.
    """
    value, labels, single = _batched(self, target)
    labels = emit.reshape(labels, [1, -1]) if single else labels
    count = emit.size_of(value, 1)
    places = emit.counting(count, dtype=torch.int32)
    ends = emit.where(emit.compare("LESS", labels, 0), emit.reshape(places, [1, -1]), emit.cast(count, torch.int32))
    end = emit.reduce("MIN", ends, [1], keepdim=True)
    valid = emit.compare("LESS", emit.reshape(places, [1, -1]), end)
    kept = emit.where(valid, labels, emit.cast(-1, torch.int32))
    # axes: row, label, class
    hit = emit.compare("EQUAL", emit.unsqueeze(kept, [2]), emit.reshape(places, [1, 1, -1]))
    is_target = emit.reduce("MAX", emit.cast(hit, torch.float32), [1], keepdim=False)
    index = emit.where(valid, labels, emit.cast(0, torch.int32))
    wanted = emit.unsqueeze(emit.gather_elements(value, index, 1), [2])
    loss = emit.activation("RELU", emit.add(emit.sub(emit.unsqueeze(value, [1]), wanted), 1.0))
    counted = emit.mul(
        emit.cast(emit.unsqueeze(valid, [2]), torch.float32), emit.sub(1.0, emit.unsqueeze(is_target, [1]))
    )
    loss = _over_classes(emit.reduce("SUM", emit.mul(loss, counted), [1, 2], keepdim=False), value)
    loss = emit.reshape(loss, []) if single else loss
    shape = emit.shape_of(target)
    flags = emit.cast(emit.reshape(is_target, shape), emit.dtype_of(self))
    return emit.reduced_loss(loss, reduction, emit.dtype_of(self)), flags


_MOST_STEPS = 256


@op("aten::ctc_loss.IntList", "aten::ctc_loss.Tensor")
def aten_ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: int = 1,
    zero_infinity: bool = False,
) -> Any:
    """``ctc_loss.IntList(Tensor log_probs, Tensor targets, int[] input_lengths, int[] target_lengths, ...)``.

    The number of steps, 256 at most, must be known: the recursion is unrolled. Targets in one row need known lengths.
    """
    steps = emit.known_ints([emit.size_of(log_probs, 0)], "the number of steps of ctc_loss")[0]
    if steps > _MOST_STEPS:
        raise UnsupportedArgumentError(
            f"ctc_loss over {steps} steps would be unrolled to too many layers", hint=f"use {_MOST_STEPS} at most"
        )
    value = emit.as_float32(log_probs)
    single = emit.rank_of(value) == 2
    if single:
        value = emit.unsqueeze(value, [1])
    lengths, ends = _lengths(input_lengths), _lengths(target_lengths)
    padded = _padded_targets(targets, target_lengths, single)
    loss = emit.reshape(emit.alignment_loss(value, padded, lengths, ends, blank), [-1])
    if zero_infinity:
        loss = emit.where(emit.compare("EQUAL", loss, math.inf), 0.0, loss)
    if reduction == 1:
        counts = emit.cast(emit.reshape(ends, [-1]), torch.float32)
        loss = emit.elementwise("DIV", loss, emit.clamp(counts, 1.0, None))
    elif reduction == 0 and single:
        loss = emit.reshape(loss, [])
    return emit.reduced_loss(loss, reduction, emit.dtype_of(log_probs))


def _lengths(lengths: Any) -> Any:
    """Lengths as int32 of shape (N, 1)."""
    if isinstance(lengths, (list, tuple)):
        lengths = torch.tensor(emit.known_ints(lengths, "a list of lengths of ctc_loss"), dtype=torch.int32)
    return emit.reshape(emit.tensor(lengths, torch.int32), [-1, 1])


def _padded_targets(targets: Tensor, lengths: Any, single: bool) -> Any:
    """Targets as int32 of shape (N, S)."""
    targets = emit.tensor(targets, torch.int32)
    if emit.rank_of(targets) == 2:
        return targets
    if single:
        return emit.reshape(targets, [1, -1])
    if isinstance(lengths, torch.Tensor):
        lengths = lengths.tolist()
    if not isinstance(lengths, (list, tuple)):
        raise UnsupportedArgumentError(
            "ctc_loss with targets in one row needs target lengths that are known at conversion",
            hint="pass the targets as a padded matrix",
        )
    counts = emit.known_ints(lengths, "a list of lengths of ctc_loss")
    starts = torch.tensor([sum(counts[:row]) for row in range(len(counts))]).reshape(-1, 1)
    index = starts + torch.arange(max(counts, default=0)).reshape(1, -1)
    return emit.gather(targets, index.clamp(max=max(sum(counts) - 1, 0)).to(torch.int32), 0)
