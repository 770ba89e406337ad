"""Dropout: the identity in evaluation; in training random, which must be allowed."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..registry import op

_EVALUATE = "call module.eval() before converting"


def _is_identity(input: Tensor, p: float, train: bool) -> bool:
    if not train or p == 0 or emit.is_empty(input):
        return True
    emit.require_random(f"dropout in training mode (p={p})", _EVALUATE)
    return False


@op("aten::dropout")
def aten_dropout(input: Tensor, p: float, train: bool) -> Any:
    """``dropout(Tensor input, float p, bool train) -> Tensor``: the identity in evaluation."""
    return input if _is_identity(input, p, train) else emit.dropped(input, p)


@op("aten::feature_dropout")
def aten_feature_dropout(input: Tensor, p: float, train: bool) -> Any:
    """``feature_dropout(Tensor input, float p, bool train) -> Tensor``: of whole channels."""
    return input if _is_identity(input, p, train) else emit.dropped(input, p, emit.channels(input))


def _alpha_dropped(input: Tensor, p: float, dims: emit.Shape) -> Any:
    """Dropout that keeps mean and variance (_dropout_impl in aten/src/ATen/native/Dropout.cpp)."""
    if p == 1:
        return emit.arithmetic("PROD", input, 0.0)
    alpha = 1.7580993408473766
    scale = 1 / math.sqrt((alpha * alpha * p + 1) * (1 - p))
    mask = emit.kept(dims, p)
    shift = emit.arithmetic("SUM", emit.arithmetic("PROD", mask, alpha * scale), alpha * scale * (p - 1))
    dtype = emit.dtype_of(input)
    kept = emit.arithmetic("PROD", input, emit.cast(emit.arithmetic("PROD", mask, scale), dtype))
    return emit.arithmetic("SUM", kept, emit.cast(shift, dtype))


@op("aten::alpha_dropout")
def aten_alpha_dropout(input: Tensor, p: float, train: bool) -> Any:
    """``alpha_dropout(Tensor input, float p, bool train) -> Tensor``: the identity in evaluation."""
    return input if _is_identity(input, p, train) else _alpha_dropped(input, p, emit.shape_of(input))


@op("aten::feature_alpha_dropout")
def aten_feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Any:
    """``feature_alpha_dropout(Tensor input, float p, bool train) -> Tensor``: of whole channels."""
    return input if _is_identity(input, p, train) else _alpha_dropped(input, p, emit.channels(input))


@op("aten::native_dropout")
def aten_native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Any, Any]:
    """``native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor)``: the result and what was kept."""
    if _is_identity(input, p, train is not False):
        return input, emit.full_like(input, True, torch.bool)
    mask = emit.kept(emit.shape_of(input), p)
    return _scaled(input, mask, 0.0 if p == 1 else 1 / (1 - p)), emit.cast(mask, torch.bool)


def _scaled(input: Tensor, mask: Tensor, scale: float) -> Any:
    masked = emit.arithmetic("PROD", input, emit.convert(mask, emit.dtype_of(input)))
    return emit.arithmetic("PROD", masked, scale)


@op("aten::native_dropout_backward")
def aten_native_dropout_backward(grad_output: Tensor, mask: Tensor, scale: float) -> Any:
    """``native_dropout_backward(Tensor grad_output, Tensor mask, float scale) -> Tensor``: a masked product."""
    return _scaled(grad_output, mask, scale)


@op("aten::rrelu")
def aten_rrelu(self: Tensor, lower: float = 0.125, upper: float = 1 / 3, training: bool = False) -> Any:
    """``rrelu(Tensor self, Scalar lower=0.125, Scalar upper=0.333, bool training=False, ...) -> Tensor``.

    In evaluation a leaky ReLU with the mean of the two slopes, in training one with random slopes.
    """
    if not training or emit.is_empty(self):
        return emit.activation("LEAKY_RELU", self, (float(lower) + float(upper)) / 2)
    emit.require_random("rrelu in training mode", _EVALUATE)
    slopes = emit.cast(emit.uniform(emit.shape_of(self), float(lower), float(upper)), emit.dtype_of(self))
    return emit.where(emit.compare("GREATER", self, 0), self, emit.elementwise("PROD", self, slopes))
