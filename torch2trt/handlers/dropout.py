"""Dropout: the identity in evaluation; in training random, which must be allowed."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..registry import op

_EVALUATE = "call module.eval() before converting"


def _undrawn(input: Tensor, p: float, train: bool) -> Any | None:
    """What dropout gives where it draws nothing: the input in evaluation, 0 times it where all is dropped."""
    if not train or p == 0 or emit.is_empty(input):
        return input
    if p == 1:
        return emit.arithmetic("PROD", input, 0.0)
    emit.require_random(f"dropout in training mode (p={p})", _EVALUATE)
    return None


@op("aten::dropout")
def aten_dropout(input: Tensor, p: float, train: bool) -> Any:
    """``dropout(Tensor input, float p, bool train) -> Tensor``: the identity in evaluation."""
    undrawn = _undrawn(input, p, train)
    return emit.dropped(input, p) if undrawn is None else undrawn


@op("aten::feature_dropout")
def aten_feature_dropout(input: Tensor, p: float, train: bool) -> Any:
    """``feature_dropout(Tensor input, float p, bool train) -> Tensor``: of whole channels."""
    undrawn = _undrawn(input, p, train)
    return emit.dropped(input, p, emit.channels(input)) if undrawn is None else undrawn


def _alpha_dropped(input: Tensor, p: float, dims: emit.Shape) -> Any:
    """Dropout that keeps mean and variance (_dropout_impl in aten/src/ATen/native/Dropout.cpp)."""
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
    undrawn = _undrawn(input, p, train)
    return _alpha_dropped(input, p, emit.shape_of(input)) if undrawn is None else undrawn


@op("aten::feature_alpha_dropout")
def aten_feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Any:
    """``feature_alpha_dropout(Tensor input, float p, bool train) -> Tensor``: of whole channels."""
    undrawn = _undrawn(input, p, train)
    return _alpha_dropped(input, p, emit.channels(input)) if undrawn is None else undrawn


@op("aten::native_dropout")
def aten_native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Any, Any]:
    """``native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor)``: the result and what was kept."""
    undrawn = _undrawn(input, p, train is not False)
    if undrawn is not None:
        return undrawn, emit.full_like(input, undrawn is input, torch.bool)
    mask = emit.kept(emit.shape_of(input), p)
    return _scaled(input, mask, 1 / (1 - p)), emit.cast(mask, torch.bool)


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
