"""Ops that draw random numbers: refused unless ``allow_random=True`` was given, which uses TensorRT's own numbers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch

from .. import context, emit
from ..emit import Shape, Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op


def _typed(value: Any, dtype: torch.dtype | None = None) -> Any:
    """Drawn numbers in the dtype that the trace gave them, or ``dtype`` where it tells none."""
    return emit.cast(value, emit.traced_dtype() or dtype or torch.get_default_dtype())


@op("aten::rand")
def aten_rand(size: Shape, dtype: torch.dtype | None = None) -> Any:
    """``rand(SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor``."""
    return _typed(emit.uniform(size), dtype)


@op("aten::randn")
def aten_randn(size: Shape, dtype: torch.dtype | None = None) -> Any:
    """``randn(SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor``."""
    return _typed(emit.normal(size), dtype)


@op("aten::rand_like")
def aten_rand_like(self: Tensor, dtype: torch.dtype | None = None) -> Any:
    """``rand_like(Tensor self, *, ScalarType? dtype=None, ...) -> Tensor``."""
    return _typed(emit.uniform(emit.shape_of(self)), dtype)


@op("aten::randn_like")
def aten_randn_like(self: Tensor, dtype: torch.dtype | None = None) -> Any:
    """``randn_like(Tensor self, *, ScalarType? dtype=None, ...) -> Tensor``."""
    return _typed(emit.normal(emit.shape_of(self)), dtype)


def _integers(dims: Shape, low: int, high: int) -> Any:
    """Whole float32 numbers from ``low`` to ``high - 1``."""
    count = high - low
    if count > emit.LARGEST_RANGE:
        raise UnsupportedArgumentError(
            f"random integers from {low} to {high - 1}: more than {emit.LARGEST_RANGE} different ones",
            hint="draw them outside of the module and pass them as an input",
        )
    places = emit.unary("FLOOR", emit.arithmetic("PROD", emit.uniform(dims), float(count)))
    whole = emit.cast(emit.elementwise("MIN", places, torch.tensor(float(count - 1))), torch.int64)  # rounded up to it
    return emit.arithmetic("SUM", whole, low)


@op("aten::randint")
def aten_randint(size: Shape, high: int, low: int = 0, dtype: torch.dtype | None = None) -> Any:
    """``randint.low(SymInt low, SymInt high, SymInt[] size, *, ScalarType? dtype=4, ...) -> Tensor``."""
    return _typed(_integers(size, low, high), dtype)


@op("aten::randint_like")
def aten_randint_like(self: Tensor, high: int, low: int = 0, dtype: torch.dtype | None = None) -> Any:
    """``randint_like.low_dtype(Tensor self, SymInt low, SymInt high, *, ScalarType? dtype=None, ...) -> Tensor``."""
    return _typed(_integers(emit.shape_of(self), low, high), dtype)


@op("aten::random")
def aten_random(self: Tensor, to: int | None = None, from_: int = 0) -> Any:
    """``random.from(Tensor self, int from, int? to, *, ...) -> Tensor``; all numbers that the dtype holds by default.

    Of integers wider than 24 bits a range must be given.
    """
    dtype = emit.dtype_of(self)
    if to is None:
        exact = {torch.float16: 2**11, torch.bfloat16: 2**8, torch.float32: 2**24, torch.bool: 1}
        to = exact[dtype] + 1 if dtype in exact else torch.iinfo(dtype).max + 1
    return _typed(_integers(emit.shape_of(self), from_, to), dtype)


@op("aten::randperm")
def aten_randperm(n: int, dtype: torch.dtype | None = None) -> Any:
    """``randperm(SymInt n, *, ScalarType? dtype=4, ...) -> Tensor``: the order of random numbers."""
    return _typed(emit.order_along(emit.uniform([n]), 0, descending=False), dtype)


@op("aten::bernoulli")
def aten_bernoulli(self: Tensor, p: Tensor = None) -> Any:
    """``bernoulli.Tensor(Tensor self, Tensor p, *, ...) -> Tensor``: ones with probability ``p``, or ``self``."""
    chance = emit.cast(self if p is None else p, torch.float32)
    return _typed(emit.elementwise("LESS", emit.uniform(emit.shape_of(self)), chance), emit.dtype_of(self))


@op("aten::multinomial")
def aten_multinomial(self: Tensor, num_samples: int, replacement: bool = False) -> Any:
    """``multinomial(Tensor self, SymInt num_samples, bool replacement=False, *, ...) -> Tensor``.

    The places of the largest of weights divided by exponential numbers, which are drawn for every sample anew where
    the same one may come twice (Efraimidis and Spirakis, Weighted random sampling).
    """
    rank = emit.rank_of(self)
    weights = emit.cast(self, torch.float32)
    if not replacement:
        races = emit.elementwise("DIV", weights, emit.exponential(emit.shape_of(self)))
        order = emit.order_along(races, rank - 1, descending=True)
        return emit.slice_axis(order, rank - 1, 0, num_samples)
    *lead, count = emit.shape_of(self)
    races = emit.elementwise("DIV", emit.unsqueeze(weights, rank - 1), emit.exponential([*lead, num_samples, count]))
    return emit.arg_extreme("MAX", races, rank, keepdim=False)[1]


@op("aten::normal", "aten::normal.float_float")
def aten_normal(mean: Tensor = 0.0, std: Tensor = 1.0, size: Shape | None = None) -> Any:
    """``normal.Tensor_Tensor(Tensor mean, Tensor std, *, ...) -> Tensor``; either may be a number."""
    if size is None:
        size = emit.broadcast_shape(emit.shape_of(mean), emit.shape_of(std))
    drawn = emit.arithmetic("PROD", emit.normal(size), emit.cast(std, torch.float32))
    return _typed(emit.arithmetic("SUM", drawn, emit.cast(mean, torch.float32)))


def _filling(name: str, schema: str, draw: Callable[..., Any]) -> None:
    """Register an op that gives random numbers in the shape and dtype of its first argument."""

    def handler(self: Tensor, **settings: float) -> Any:
        return _typed(draw(emit.shape_of(self), *settings.values()), emit.dtype_of(self))

    parameters = inspect.signature(draw).parameters.values()
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in list(parameters)[1:]]
    tensor = inspect.Parameter("self", inspect.Parameter.KEYWORD_ONLY, annotation="Tensor")
    handler.__signature__ = inspect.Signature([tensor, *own])  # type: ignore[attr-defined]
    handler.__doc__ = f"``{schema}``."
    op(f"aten::{name}")(handler)


def _uniform(dims: Shape, from_: float = 0.0, to: float = 1.0) -> Any:
    return emit.uniform(dims, from_, to)


def _normal(dims: Shape, mean: float = 0.0, std: float = 1.0) -> Any:
    return emit.normal(dims, mean, std)


def _log_normal(dims: Shape, mean: float = 1.0, std: float = 2.0) -> Any:
    return emit.unary("EXP", emit.normal(dims, mean, std))


def _exponential(dims: Shape, lambd: float = 1.0) -> Any:
    return emit.exponential(dims, lambd)


def _cauchy(dims: Shape, median: float = 0.0, sigma: float = 1.0) -> Any:
    turn = emit.arithmetic("PROD", emit.arithmetic("SUB", emit.uniform(dims), 0.5), math.pi)
    return emit.arithmetic("SUM", emit.arithmetic("PROD", emit.unary("TAN", turn), sigma), median)


def _geometric(dims: Shape, p: float) -> Any:
    """How many trials it takes to succeed, by the inverse of the distribution function."""
    trials = emit.unary("CEIL", emit.arithmetic("DIV", emit.exponential(dims), -math.log1p(-p) if p < 1 else math.inf))
    return emit.elementwise("MAX", trials, torch.ones(()))


_filling("uniform", "uniform(Tensor self, float from=0., float to=1., *, ...) -> Tensor", _uniform)
_filling("normal_functional", "normal_functional(Tensor self, float mean=0., float std=1., *, ...) -> Tensor", _normal)
_filling("log_normal", "log_normal(Tensor self, float mean=1., float std=2., *, ...) -> Tensor", _log_normal)
_filling("exponential", "exponential(Tensor self, float lambd=1., *, ...) -> Tensor", _exponential)
_filling("cauchy", "cauchy(Tensor self, float median=0., float sigma=1., *, ...) -> Tensor", _cauchy)
_filling("geometric", "geometric(Tensor self, float p, *, ...) -> Tensor", _geometric)


def _refused(name: str, schema: str, parameters: str) -> None:
    """Register an op whose numbers take a loop of unknown length to draw; it is not computed once and frozen."""

    def handler(**_: Any) -> Any:
        node = context.building().node
        output = None if node is None else node.outputs[0]
        if output is not None and output.shape is not None and output.dtype is not None and 0 in output.shape:
            return torch.empty([size or 0 for size in output.shape], dtype=output.dtype)
        raise UnsupportedArgumentError(
            f"aten::{name} draws random numbers that TensorRT has no layer for",
            hint="draw them outside of the module and pass them as an input",
        )

    handler.__doc__ = f"``{schema}``: refused, unless it has no elements to draw."
    handler.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(parameter, inspect.Parameter.KEYWORD_ONLY, annotation="Any")
            for parameter in parameters.split()
        ]
    )
    op(f"aten::{name}")(handler)


_refused("poisson", "poisson(Tensor self, ...) -> Tensor", "self")
_refused("binomial", "binomial(Tensor count, Tensor prob, ...) -> Tensor", "count prob")
_refused("_standard_gamma", "_standard_gamma(Tensor self, ...) -> Tensor", "self")
_refused("_sample_dirichlet", "_sample_dirichlet(Tensor self, ...) -> Tensor", "self")
