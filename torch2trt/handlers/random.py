"""Ops that draw random numbers: dropout is the identity in evaluation, all else is refused."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from .. import context, emit
from ..emit import Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op


@op("aten::dropout", "aten::feature_dropout", "aten::alpha_dropout", "aten::feature_alpha_dropout")
def aten_dropout(input: Tensor, p: float, train: bool) -> Any:
    """``dropout(Tensor input, float p, bool train) -> Tensor``: the identity in evaluation."""
    _check_dropout(p, train)
    return input


@op("aten::native_dropout")
def aten_native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Any, Any]:
    """``native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor)``: the input and a mask of ones."""
    _check_dropout(p, train is not False)
    return input, emit.full_like(input, True, torch.bool)


def _check_dropout(p: float, train: bool) -> None:
    if train and p != 0:
        raise UnsupportedArgumentError(
            f"dropout in training mode (p={p}) draws random numbers, which an engine does not repeat",
            hint="call module.eval() before converting",
        )


@op("aten::native_dropout_backward")
def aten_native_dropout_backward(grad_output: Tensor, mask: Tensor, scale: float) -> Any:
    """``native_dropout_backward(Tensor grad_output, Tensor mask, float scale) -> Tensor``: a masked product."""
    kept = emit.arithmetic("PROD", grad_output, emit.convert(mask, emit.dtype_of(grad_output)))
    return emit.arithmetic("PROD", kept, scale)


@op("aten::rrelu")
def aten_rrelu(self: Tensor, lower: float = 0.125, upper: float = 1 / 3, training: bool = False) -> Any:
    """``rrelu(Tensor self, Scalar lower=0.125, Scalar upper=0.333, bool training=False, ...) -> Tensor``.

    In evaluation a leaky ReLU with the mean of the two slopes.
    """
    if training:
        raise UnsupportedArgumentError(
            "rrelu in training mode draws random slopes, which an engine does not repeat",
            hint="call module.eval() before converting",
        )
    return emit.activation("LEAKY_RELU", self, (float(lower) + float(upper)) / 2)


# Ops, all overloads. They are registered so that none of them is computed once and frozen into the network.
_DRAWING = (
    "rand",
    "rand_like",
    "randn",
    "randn_like",
    "randint",
    "randint_like",
    "randperm",
    "bernoulli",
    "multinomial",
    "normal",
    "normal_functional",
    "uniform",
    "cauchy",
    "exponential",
    "geometric",
    "log_normal",
    "random",
    "poisson",
    "binomial",
    "_standard_gamma",
    "_sample_dirichlet",
)
_ARGUMENTS = (
    "self",
    "size",
    "n",
    "p",
    "low",
    "high",
    "mean",
    "std",
    "lambd",
    "median",
    "sigma",
    "to",
    "count",
    "prob",
    "num_samples",
    "replacement",
    "generator",
    "dtype",
)
"""What the overloads of these ops take."""


def _register_drawing(name: str) -> None:
    def handler(**_: Any) -> Any:
        node = context.building().node
        output = None if node is None else node.outputs[0]
        if output is not None and output.shape is not None and output.dtype is not None and 0 in output.shape:
            return torch.empty([size or 0 for size in output.shape], dtype=output.dtype)
        raise UnsupportedArgumentError(
            f"aten::{name} draws random numbers, and an engine draws none",
            hint="draw them outside of the module and pass them as an input",
        )

    handler.__doc__ = f"``{name}(...) -> Tensor``: refused, unless it has no elements to draw."
    handler.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(argument, inspect.Parameter.KEYWORD_ONLY, annotation="Any") for argument in _ARGUMENTS]
    )
    op(f"aten::{name}")(handler)


for _name in _DRAWING:
    _register_drawing(_name)
