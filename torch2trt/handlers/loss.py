"""Losses; computed in float32 and given in the dtype of the input."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..registry import op


def _float32(*values: Tensor) -> list[Any]:
    return [emit.as_float32(value) for value in values]


def _relu(value: Any) -> Any:
    return emit.activation("RELU", value)


def _gap(left: Tensor, right: Tensor) -> Any:
    """The difference in float32, or in the integers that both are."""
    dtype = emit.result_type(left, right)
    wide = torch.float32 if dtype.is_floating_point else emit.computable(dtype)
    return emit.elementwise("SUB", emit.cast(left, wide), emit.cast(right, wide))


@op("aten::mse_loss")
def aten_mse_loss(self: Tensor, target: Tensor, reduction: int = 1) -> Any:
    """``mse_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor``."""
    gap = _gap(self, target)
    return emit.reduced_loss(emit.elementwise("PROD", gap, gap), reduction, emit.result_type(self, target))


@op("aten::l1_loss")
def aten_l1_loss(self: Tensor, target: Tensor, reduction: int = 1) -> Any:
    """``l1_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor``."""
    return emit.reduced_loss(emit.unary("ABS", _gap(self, target)), reduction, emit.result_type(self, target))


@op("aten::smooth_l1_loss")
def aten_smooth_l1_loss(self: Tensor, target: Tensor, reduction: int = 1, beta: float = 1.0) -> Any:
    """``smooth_l1_loss(Tensor self, Tensor target, int reduction=Mean, float beta=1.0) -> Tensor``."""
    loss = emit.unary("ABS", _gap(self, target))
    if beta:
        near = emit.arithmetic("DIV", emit.arithmetic("PROD", emit.mul(loss, loss), 0.5), beta)
        loss = emit.where(emit.compare("LESS", loss, beta), near, emit.sub(loss, 0.5 * beta))
    return emit.reduced_loss(loss, reduction, emit.result_type(self, target))


@op("aten::huber_loss")
def aten_huber_loss(self: Tensor, target: Tensor, reduction: int = 1, delta: float = 1.0) -> Any:
    """``huber_loss(Tensor self, Tensor target, int reduction=Mean, float delta=1.0) -> Tensor``."""
    gap = emit.unary("ABS", _gap(self, target))
    near, far = emit.mul(emit.mul(gap, gap), 0.5), emit.mul(emit.sub(gap, 0.5 * delta), delta)
    loss = emit.where(emit.either("LESS", gap, torch.tensor(delta)), near, far)
    return emit.reduced_loss(loss, reduction, emit.result_type(self, target))


@op("aten::binary_cross_entropy")
def aten_binary_cross_entropy(self: Tensor, target: Tensor, weight: Tensor | None = None, reduction: int = 1) -> Any:
    """``binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, int reduction=Mean) -> Tensor``.

    Logarithms are at least -100, as in eager.
    """
    value, wanted = _float32(self, target)
    yes = emit.clamp(emit.unary("LOG", value), -100.0, None)
    no = emit.clamp(emit.log1p(emit.unary("NEG", value)), -100.0, None)
    loss = emit.sub(emit.mul(emit.sub(wanted, 1.0), no), emit.mul(wanted, yes))
    if weight is not None:
        loss = emit.mul(loss, emit.as_float32(weight))
    return emit.reduced_loss(loss, reduction, emit.dtype_of(self))


@op("aten::binary_cross_entropy_with_logits")
def aten_binary_cross_entropy_with_logits(
    self: Tensor, target: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None, reduction: int = 1
) -> Any:
    """``binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? weight=None, ...) -> Tensor``."""
    value, wanted = _float32(self, target)
    loss = emit.unary("NEG", emit.log_sigmoid(value))
    if pos_weight is not None:
        more = emit.sub(emit.as_float32(pos_weight), 1.0)
        loss = emit.mul(loss, emit.add(emit.mul(more, wanted), 1.0))
    loss = emit.add(emit.mul(emit.sub(1.0, wanted), value), loss)
    if weight is not None:
        loss = emit.mul(loss, emit.as_float32(weight))
    return emit.reduced_loss(loss, reduction, emit.dtype_of(self))


@op("aten::kl_div")
def aten_kl_div(self: Tensor, target: Tensor, reduction: int = 1, log_target: bool = False) -> Any:
    """``kl_div(Tensor self, Tensor target, int reduction=Mean, *, bool log_target=False) -> Tensor``."""
    value, wanted = _float32(self, target)
    if log_target:
        loss = emit.mul(emit.unary("EXP", wanted), emit.sub(wanted, value))
    else:
        entropy = emit.vanishing_product(wanted, emit.unary("LOG", wanted), wanted)
        loss = emit.sub(entropy, emit.mul(wanted, value))
    return emit.reduced_loss(loss, reduction, emit.result_type(self, target))


@op("aten::poisson_nll_loss")
def aten_poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int
) -> Any:
    """``poisson_nll_loss(Tensor input, Tensor target, bool log_input, bool full, float eps, int reduction)``."""
    value, wanted = _float32(input, target)
    if log_input:
        loss = emit.sub(emit.unary("EXP", value), emit.mul(wanted, value))
    else:
        loss = emit.sub(value, emit.mul(wanted, emit.unary("LOG", emit.add(value, eps))))
    if full:
        logarithm = emit.unary("LOG", emit.mul(wanted, 2 * math.pi))
        stirling = emit.sub(emit.mul(wanted, emit.unary("LOG", wanted)), wanted)
        stirling = emit.add(stirling, emit.mul(logarithm, 0.5))
        small = emit.either("LESS", wanted, torch.tensor(1.0))
        loss = emit.add(loss, emit.where(small, 0.0, stirling))
    return emit.reduced_loss(loss, reduction, emit.result_type(input, target, to_float=True))


@op("aten::soft_margin_loss")
def aten_soft_margin_loss(self: Tensor, target: Tensor, reduction: int = 1) -> Any:
    """``soft_margin_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor``: ``log(1 + exp(-t x))``."""
    # as in eager the power overflows in the dtype of the input, not the loss
    dtype = emit.result_type(self, target, to_float=True)
    power = emit.unary("EXP", emit.unary("NEG", emit.mul(emit.cast(self, dtype), emit.cast(target, dtype))))
    return emit.reduced_loss(emit.log1p(emit.compute_in_float32(power)), reduction, dtype)


@op("aten::hinge_embedding_loss")
def aten_hinge_embedding_loss(self: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 1) -> Any:
    """``hinge_embedding_loss(Tensor self, Tensor target, float margin=1.0, int reduction=Mean) -> Tensor``."""
    value = emit.as_float32(self)
    far = _relu(emit.sub(margin, value))
    loss = emit.add(
        emit.where(emit.compare("EQUAL", target, 1), 0.0, far),
        emit.where(emit.compare("EQUAL", target, -1), 0.0, value),
    )
    return emit.reduced_loss(loss, reduction, emit.result_type(self, target))


@op("aten::margin_ranking_loss")
def aten_margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1
) -> Any:
    """``margin_ranking_loss(Tensor input1, Tensor input2, Tensor target, float margin=0.0, int reduction=Mean)``."""
    gap = emit.mul(emit.unary("NEG", emit.as_float32(target)), _gap(input1, input2))
    loss = _relu(emit.add(gap, margin))
    return emit.reduced_loss(loss, reduction, emit.result_type(input1, input2, target, to_float=True))


@op("aten::cosine_embedding_loss")
def aten_cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1
) -> Any:
    """``cosine_embedding_loss(Tensor input1, Tensor input2, Tensor target, float margin=0., int reduction=Mean)``."""
    left, right = emit.align_ranks(_float32(input1, input2))
    axis = [min(emit.rank_of(target), emit.rank_of(left) - 1)]

    def total(first: Any, second: Any) -> Any:
        return emit.reduce("SUM", emit.mul(first, second), axis, keepdim=False)

    scale = emit.mul(emit.add(total(left, left), 1e-12), emit.add(total(right, right), 1e-12))
    similarity = emit.elementwise("DIV", total(left, right), emit.unary("SQRT", scale))
    loss = emit.add(
        emit.where(emit.compare("EQUAL", target, 1), emit.sub(1.0, similarity), 0.0),
        emit.where(emit.compare("EQUAL", target, -1), _relu(emit.sub(similarity, margin)), 0.0),
    )
    return emit.reduced_loss(loss, reduction, emit.result_type(input1, input2, to_float=True))


@op("aten::triplet_margin_loss")
def aten_triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: int = 1,
) -> Any:
    """``triplet_margin_loss(Tensor anchor, Tensor positive, Tensor negative, float margin=1.0, ...) -> Tensor``."""
    dtype = emit.result_type(anchor, positive, negative, to_float=True)
    start, near, far = emit.align_ranks(_float32(anchor, positive, negative))
    to_near, to_far = emit.pairwise_distance(start, near, p, eps), emit.pairwise_distance(start, far, p, eps)
    if swap:
        to_far = emit.extremum("MIN", to_far, emit.pairwise_distance(near, far, p, eps))
    return emit.reduced_loss(_relu(emit.sub(emit.add(to_near, margin), to_far)), reduction, dtype)
