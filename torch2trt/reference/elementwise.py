"""Layers that work element by element: activation, unary, elementwise, select, cast, scale, parametric ReLU."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from .quantize import ROUNDINGS
from .registry import LayerContext, Run, layer
from .types import FLOATING, NUMERIC, widen

Activation = Callable[[torch.Tensor, float, float], torch.Tensor]

# What NvInfer.h does not say about NaN is as measured with TensorRT for RTX 1.4.0.76 on an H200, in float32.


def _clip(x: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """``max(low, min(high, x))``; NaN gives ``low`` (measured)."""
    return torch.where(x.isnan(), low, x.clamp(max=high).clamp(min=low))


def _gelu_erf(x: torch.Tensor) -> torch.Tensor:
    """The header's formula: infinity stays infinity, which ``F.gelu`` makes NaN on a CPU."""
    return 0.5 * x * (1 + torch.erf(math.sqrt(0.5) * x))


# NvInfer.h, ActivationType; a and b are the layer's alpha and beta.
ACTIVATIONS: dict[str, Activation] = {
    "RELU": lambda x, a, b: torch.relu(x),
    "SIGMOID": lambda x, a, b: torch.sigmoid(x),
    "TANH": lambda x, a, b: torch.tanh(x),
    "LEAKY_RELU": lambda x, a, b: F.leaky_relu(x, a),
    "ELU": lambda x, a, b: torch.where(x >= 0, x, a * torch.expm1(x)),
    "SELU": lambda x, a, b: b * torch.where(x > 0, x, a * torch.expm1(x)),
    "SOFTSIGN": lambda x, a, b: x / (1 + x.abs()),
    "SOFTPLUS": lambda x, a, b: a * torch.logaddexp(x * b, torch.zeros((), dtype=x.dtype, device=x.device)),
    "CLIP": _clip,
    "HARD_SIGMOID": lambda x, a, b: torch.clamp(x * a + b, 0, 1),
    "SCALED_TANH": lambda x, a, b: a * torch.tanh(b * x),
    "THRESHOLDED_RELU": lambda x, a, b: torch.where(x > a, x, torch.zeros_like(x)),
    "GELU_ERF": lambda x, a, b: _gelu_erf(x),
    "GELU_TANH": lambda x, a, b: F.gelu(x, approximate="tanh"),
}

# These pick values and compute none, so that halves need no wider dtype.
_EXACT = ("RELU", "CLIP", "THRESHOLDED_RELU")


def _sign(x: torch.Tensor) -> torch.Tensor:
    """-1, 0 or 1; NaN stays NaN (measured), which ``torch.sign`` makes 0."""
    return torch.where(x.isnan(), x, torch.sign(x))


# NvInfer.h, UnaryOperation.
UNARY: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "EXP": torch.exp,
    "LOG": torch.log,
    "SQRT": torch.sqrt,
    "RECIP": torch.reciprocal,
    "ABS": torch.abs,
    "NEG": torch.neg,
    "SIN": torch.sin,
    "COS": torch.cos,
    "TAN": torch.tan,
    "SINH": torch.sinh,
    "COSH": torch.cosh,
    "ASIN": torch.asin,
    "ACOS": torch.acos,
    "ATAN": torch.atan,
    "ASINH": torch.asinh,
    "ACOSH": torch.acosh,
    "ATANH": torch.atanh,
    "CEIL": torch.ceil,
    "FLOOR": torch.floor,
    "ERF": torch.erf,
    "NOT": torch.logical_not,
    "SIGN": _sign,
    "ROUND": torch.round,
    "ISINF": torch.isinf,
    "ISNAN": torch.isnan,
}


def _divide(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Quotient; of integers truncated towards zero, as C++ does."""
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _floor_divide(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.floor(a / b) if a.is_floating_point() else torch.div(a, b, rounding_mode="floor")


def _maximum(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The greater; the first where either is NaN (measured), as C++'s ``std::max``."""
    return torch.where(a < b, b, a)


def _minimum(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The lesser; the first where either is NaN (measured), as C++'s ``std::min``."""
    return torch.where(b < a, b, a)


# NvInfer.h, ElementWiseOperation.
BINARY: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "SUM": torch.add,
    "PROD": torch.mul,
    "MAX": _maximum,
    "MIN": _minimum,
    "SUB": torch.sub,
    "DIV": _divide,
    "POW": torch.pow,
    "FLOOR_DIV": _floor_divide,
    "AND": torch.logical_and,
    "OR": torch.logical_or,
    "XOR": torch.logical_xor,
    "EQUAL": torch.eq,
    "GREATER": torch.gt,
    "LESS": torch.lt,
}

LOGICAL = ("AND", "OR", "XOR")


@layer("ACTIVATION")
def activation(context: LayerContext) -> Run:
    """``IActivationLayer``: any shape, floating point (halves are computed in float32); RELU also integers."""
    kind = context.layer.type.name
    function = ACTIVATIONS.get(kind)
    if function is None:
        raise context.error(f"unknown activation {kind}")
    alpha, beta = context.layer.alpha, context.layer.beta
    context.require_dtype(0, *(NUMERIC if kind == "RELU" else FLOATING))
    if kind in _EXACT:
        return lambda x: function(x, alpha, beta).to(x.dtype)
    return lambda x: function(widen(x), alpha, beta).to(x.dtype)


@layer("UNARY")
def unary(context: LayerContext) -> Run:
    """``IUnaryLayer``: floating point; ABS, NEG, SIGN also integers; NOT of BOOL; ISINF and ISNAN return BOOL.

    ROUND goes to the nearest even.
    """
    kind = context.layer.op.name
    function = UNARY.get(kind)
    if function is None:
        raise context.error(f"unknown unary operation {kind}")
    accepted = {"NOT": ("BOOL",), "ABS": NUMERIC, "NEG": NUMERIC, "SIGN": NUMERIC}
    context.require_dtype(0, *accepted.get(kind, FLOATING))
    return function


@layer("ELEMENTWISE")
def elementwise(context: LayerContext) -> Run:
    """``IElementWiseLayer``: two inputs of one data type and one rank, dimensions of 1 broadcast.

    Raises:
        EvaluationError: the inputs differ in data type or rank; AND, OR, XOR of other than BOOL; others of BOOL.
    """
    kind = context.layer.op.name
    function = BINARY.get(kind)
    if function is None:
        raise context.error(f"unknown elementwise operation {kind}")
    context.require_same_dtype(0, 1)
    if kind in LOGICAL:
        context.require_dtype(0, "BOOL")
    elif kind != "EQUAL":
        context.require_dtype(0, *NUMERIC)
    if context.rank(0) != context.rank(1):
        raise context.error(f"inputs must have one rank, got {context.rank(0)} and {context.rank(1)}")
    return function


@layer("SELECT")
def select(context: LayerContext) -> Run:
    """``ISelectLayer``: condition BOOL; the other two of one data type; all broadcast."""
    context.require_dtype(0, "BOOL")
    context.require_same_dtype(1, 2)
    return torch.where


# A conversion from floating point to these saturates on the GPU (PTX cvt); of NaN it gives 0, or the least int64.
# NvInfer.h does not say: measured with TensorRT for RTX 1.4.0.76, to int32 and int64. On a CPU torch leaves it open.
_INTEGERS = (torch.int32, torch.int64, torch.int8, torch.uint8)


def convert(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """``x`` as ``dtype``: towards zero and saturating from floating point to integers, non-zero is true to BOOL."""
    if x.dtype == dtype:
        return x
    if x.is_floating_point() and dtype in _INTEGERS:
        info = torch.iinfo(dtype)
        wide = torch.nan_to_num(x.double(), 0.0, math.inf, -math.inf)
        result = wide.clamp(info.min, info.max).to(dtype)
        if dtype == torch.int64:
            # The largest int64 is no float64: clamping gives 2**63, which does not convert.
            result = torch.where(wide >= info.max, info.max, result)
            result = torch.where(x.isnan(), info.min, result)
        return result
    return x.to(dtype)


def _from_narrow(x: torch.Tensor) -> torch.Tensor:
    """Eight-bit and narrower floats as float32: torch computes nothing in them."""
    return x.float() if x.is_floating_point() and x.dtype.itemsize == 1 else x


@layer("CAST", "IDENTITY")
def cast(context: LayerContext) -> Run:
    """``ICastLayer`` and ``IIdentityLayer``: to the declared data type of the output.

    FP8 and FP4 saturate and round to the nearest even, as quantising with a scale of 1 does; integers are reached
    towards zero and saturate, INT4 too.
    """
    target, source = context.outputs[0], context.input(0)
    if target.dtype == source.dtype:
        return lambda x: x
    held = target.held
    if target.dtype.name in ("FP8", "FP4", "INT4"):
        rounding, whole = ROUNDINGS[target.dtype.name], target.dtype.name == "INT4"
        return lambda x: rounding(_from_narrow(x).float().trunc() if whole else _from_narrow(x).float())
    return lambda x: convert(_from_narrow(x), held)


@layer("CONDITIONAL_INPUT")
def conditional_input(context: LayerContext) -> Run:
    """``IIfConditionalInputLayer``: hands a tensor into a conditional."""
    return lambda x: x


def _coefficients(context: LayerContext, role: str, shape: tuple[int, ...] | None) -> torch.Tensor | None:
    values = context.weights(role, getattr(context.layer, role))
    context.require_weights_dtype(role, values)
    if values is None or shape is None:
        return values
    return values.reshape(shape)


@layer("SCALE")
def scale(context: LayerContext) -> Run:
    """``IScaleLayer``: ``(x * scale + shift) ** power`` with coefficients per tensor, channel or element.

    Per element means every element from the channel axis on: the axes before it share them. Absent coefficients are 1,
    0 and 1. Halves are computed in float32 and rounded once.
    """
    mode = context.layer.mode.name
    context.require_dtype(0, *FLOATING)
    rank = context.rank()
    channel = context.layer.channel_axis
    shape = None
    if mode == "CHANNEL":
        shape = tuple(-1 if axis == channel else 1 for axis in range(rank))
    factor, shift, power = (_coefficients(context, role, shape) for role in ("scale", "shift", "power"))

    def run(x: torch.Tensor) -> torch.Tensor:
        def fit(values: torch.Tensor) -> torch.Tensor:
            return values.reshape(x.shape[channel:]) if mode == "ELEMENTWISE" else values

        dtype, x = x.dtype, widen(x)
        if factor is not None:
            x = x * fit(factor)
        if shift is not None:
            x = x + fit(shift)
        if power is not None:
            x = torch.pow(x, fit(power))
        return x.to(dtype)

    return run


@layer("PARAMETRIC_RELU")
def parametric_relu(context: LayerContext) -> Run:
    """``IParametricReLULayer``: ``x`` where it is not negative, else ``x * slopes``; slopes broadcast to x."""
    context.require_dtype(0, *FLOATING)
    context.require_same_dtype(0, 1)
    return lambda x, slopes: torch.where(x < 0, x * slopes, x)
