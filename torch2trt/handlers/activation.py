"""Activation functions, softmax, and dropout, which is the identity in evaluation."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op
from ..weights import derive

# ATen's name: TensorRT's activation and its alpha and beta.
_ACTIVATIONS: dict[str, tuple[str, float | None, float | None]] = {
    "sigmoid": ("SIGMOID", None, None),
    "tanh": ("TANH", None, None),
    "hardsigmoid": ("HARD_SIGMOID", 1 / 6, 0.5),
    "selu": ("SELU", 1.6732632423543772848170429916717, 1.0507009873554804934193349852946),
}


def _register(name: str, kind: str, alpha: float | None, beta: float | None) -> None:
    def handler(self: Tensor) -> Any:
        return emit.activation(kind, emit.to_float(self), alpha, beta)

    handler.__doc__ = f"``{name}(Tensor self) -> Tensor``; integers and booleans give the default float dtype."
    op(f"aten::{name}")(handler)


for _name, _arguments in _ACTIVATIONS.items():
    _register(_name, *_arguments)


@op("aten::relu")
def aten_relu(self: Tensor) -> Any:
    """``relu(Tensor self) -> Tensor``; of integers too."""
    if emit.dtype_of(self) == torch.uint8:
        return self
    return emit.activation("RELU", self)


@op("aten::relu6")
def aten_relu6(self: Tensor) -> Any:
    """``relu6(Tensor self) -> Tensor``; an engine may turn NaN into 0, where eager keeps it."""
    return emit.clip(self, 0, 6)


@op("aten::hardtanh")
def aten_hardtanh(self: Tensor, min_val: float = -1, max_val: float = 1) -> Any:
    """``hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor``; keeps the dtype.

    An engine may turn NaN into ``min_val``, where eager keeps it.
    """
    return emit.clip(self, min_val, max_val)


@op("aten::clamp", "aten::clamp.Tensor")
def aten_clamp(self: Tensor, min: Tensor | None = None, max: Tensor | None = None) -> Any:
    """``clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor``; max wins where min is above it."""
    return emit.clamp(self, min, max)


@op("aten::clamp_min", "aten::clamp_min.Tensor")
def aten_clamp_min(self: Tensor, min: Tensor) -> Any:
    """``clamp_min(Tensor self, Scalar min) -> Tensor``."""
    return emit.clamp(self, min, None)


@op("aten::clamp_max", "aten::clamp_max.Tensor")
def aten_clamp_max(self: Tensor, max: Tensor) -> Any:
    """``clamp_max(Tensor self, Scalar max) -> Tensor``."""
    return emit.clamp(self, None, max)


# Of the odd polynomials p with which GELU is x * sigmoid(p(x)): the factors of x, x^3, ... That of tanh is exact, as
# 1 + tanh(z) is 2 * sigmoid(2 * z). The other is a minimax fit: GELU is off by at most 7e-8, and computed in float32 by
# 6e-7, where erf gives 1.2e-6.
_GELU_GATES = {
    "tanh": (2 * math.sqrt(2 / math.pi), 2 * math.sqrt(2 / math.pi) * 0.044715),
    "none": (
        1.5957685367872358,
        0.07266829833302256,
        -6.605347941746032e-05,
        -0.00011054674939315444,
        7.948138063912966e-06,
        -2.675661730622559e-07,
        3.62784921932696e-09,
    ),
}


@op("aten::gelu")
def aten_gelu(self: Tensor, approximate: str = "none") -> Any:
    """``gelu(Tensor self, *, str approximate="none") -> Tensor``; approximate may be ``tanh``.

    Of an infinity an engine may give NaN, where eager gives infinity.
    """
    if emit.is_half(self):
        return emit.elementwise("PROD", self, emit.cast(_gelu_gate(self, approximate), emit.dtype_of(self)))
    return emit.activation("GELU_TANH" if approximate == "tanh" else "GELU_ERF", self)


def _gelu_gate(self: Tensor, approximate: str) -> Any:
    """GELU's second factor, in float32.

    TensorRT for RTX 1.4 computes its GELU at the end of the product before it, which takes longer than a kernel of
    its own: up to 1.4 times for a transformer's two linear layers in half precision (H200). The sigmoid gets one.
    """
    value = emit.cast(self, torch.float32)
    square = emit.elementwise("PROD", value, value)
    *lower, highest = _GELU_GATES[approximate]
    polynomial = emit.scaled(square, highest)
    for factor in lower[:0:-1]:
        polynomial = emit.elementwise("PROD", emit.add(polynomial, factor), square)
    return emit.activation("SIGMOID", emit.elementwise("PROD", emit.add(polynomial, lower[0]), value))


@op("aten::silu")
def aten_silu(self: Tensor) -> Any:
    """``silu(Tensor self) -> Tensor``: ``x * sigmoid(x)``."""
    self = emit.tensor(self)
    return emit.elementwise("PROD", self, emit.activation("SIGMOID", self))


@op("aten::mish")
def aten_mish(self: Tensor) -> Any:
    """``mish(Tensor self) -> Tensor``: ``x * tanh(softplus(x))``."""
    value = emit.compute_in_float32(self)
    gate = emit.activation("TANH", emit.softplus(value))
    return emit.cast(emit.elementwise("PROD", value, gate), emit.dtype_of(self))


@op("aten::hardswish")
def aten_hardswish(self: Tensor) -> Any:
    """``hardswish(Tensor self) -> Tensor``: ``x * hardsigmoid(x)``."""
    self = emit.tensor(self)
    return emit.elementwise("PROD", self, emit.activation("HARD_SIGMOID", self, 1 / 6, 0.5))


@op("aten::softplus")
def aten_softplus(self: Tensor, beta: float = 1, threshold: float = 20) -> Any:
    """``softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor``; linear above the threshold."""
    value = emit.compute_in_float32(self)
    soft = emit.softplus(value, beta)
    above = emit.compare("GREATER", emit.scaled(value, beta), threshold)
    return emit.cast(emit.where(above, value, soft), emit.dtype_of(self))


@op("aten::elu")
def aten_elu(self: Tensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    """``elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor``."""
    if input_scale == 1:  # TensorRT for RTX 1.4 builds no two ELU layers behind a loop
        return emit.activation("SELU", self, alpha, scale)
    value = emit.compute_in_float32(self)
    bent = emit.scaled(emit.sub(emit.unary("EXP", emit.scaled(value, input_scale)), 1), alpha * scale)
    result = emit.where(emit.compare("GREATER", value, 0), emit.scaled(value, scale), bent)
    return emit.cast(result, emit.dtype_of(self))


@op("aten::celu")
def aten_celu(self: Tensor, alpha: float = 1.0) -> Any:
    """``celu(Tensor self, Scalar alpha=1.0) -> Tensor``: elu of ``x / alpha``, times alpha."""
    return aten_elu(self, alpha, 1, 1 / alpha)


@op("aten::leaky_relu")
def aten_leaky_relu(self: Tensor, negative_slope: float = 0.01) -> Any:
    """``leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor``."""
    return emit.activation("LEAKY_RELU", self, negative_slope)


@op("aten::prelu", "aten::_prelu_kernel")
def aten_prelu(self: Tensor, weight: Tensor) -> Any:
    """``prelu(Tensor self, Tensor weight) -> Tensor``; one slope, or one a channel, along axis 1."""
    rank = emit.rank_of(self)
    if emit.rank_of(weight) == 1 and rank != 1:
        sizes = [1, -1, *[1] * (rank - 2)] if rank > 1 else []
        known = isinstance(weight, torch.Tensor)
        weight = derive(torch.reshape, weight, sizes) if known else emit.reshape(weight, sizes)
    value, slopes = emit.align_ranks([self, emit.cast(weight, emit.dtype_of(self))])
    return emit.add_layer("parametric_relu", value, slopes)


@op("aten::threshold")
def aten_threshold(self: Tensor, threshold: float, value: float) -> Any:
    """``threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor``: x where above it, else ``value``."""
    # eager keeps what does not compare: NaN stays
    low = emit.either("LESS", emit.widened(self), emit.cast(threshold, emit.dtype_of(emit.widened(self))))
    return emit.choose(low, value, self, emit.dtype_of(self))


@op("aten::hardshrink")
def aten_hardshrink(self: Tensor, lambd: float = 0.5) -> Any:
    """``hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor``: 0 in [-lambd, lambd], else x; NaN stays."""
    bound = emit.cast(lambd, emit.dtype_of(self))
    inside = emit.either("LESS", emit.unary("ABS", self), bound)
    return emit.choose(inside, 0, self, emit.dtype_of(self))


@op("aten::softshrink")
def aten_softshrink(self: Tensor, lambd: float = 0.5) -> Any:
    """``softshrink(Tensor self, Scalar lambd=0.5) -> Tensor``: towards 0 by ``lambd``, 0 in between; NaN stays."""
    dtype = emit.dtype_of(self)
    bound = emit.cast(lambd, dtype)
    above, below = emit.elementwise("SUB", self, bound), emit.elementwise("SUM", self, bound)
    inside = emit.either("LESS", emit.unary("ABS", self), bound)
    shrunk = emit.choose(emit.compare("LESS", self, 0), below, above, dtype)
    return emit.choose(inside, 0, shrunk, dtype)


@op("aten::log_sigmoid")
def aten_log_sigmoid(self: Tensor) -> Any:
    """``log_sigmoid(Tensor self) -> Tensor``: ``-softplus(-x)``."""
    return emit.cast(emit.log_sigmoid(emit.compute_in_float32(self)), emit.dtype_of(self))


@op("aten::log_sigmoid_forward")
def aten_log_sigmoid_forward(self: Tensor) -> tuple[Any, Any]:
    """``log_sigmoid_forward(Tensor self) -> (Tensor output, Tensor buffer)``.

    The buffer is ``exp(-|x|)`` for a module on the CPU, and empty on a GPU.
    """
    dtype = emit.dtype_of(self)
    if emit.traced_device() == "cpu":
        distance = emit.unary("ABS", emit.compute_in_float32(self))
        return aten_log_sigmoid(self), emit.cast(emit.unary("EXP", emit.unary("NEG", distance)), dtype)
    return aten_log_sigmoid(self), torch.empty(0, dtype=dtype)


@op("aten::glu")
def aten_glu(self: Tensor, dim: int = -1) -> Any:
    """``glu(Tensor self, int dim=-1) -> Tensor``: the first half along ``dim`` times the sigmoid of the second."""
    size = emit.dim_floordiv(emit.size_of(self, dim), 2)
    left, right = emit.slice_axis(self, dim, 0, size), emit.slice_axis(self, dim, size, size)
    return emit.elementwise("PROD", left, emit.activation("SIGMOID", right))


@op("aten::softmax.int", "aten::_softmax")
def aten_softmax(self: Tensor, dim: int, dtype: torch.dtype | None = None, half_to_float: bool = False) -> Any:
    """``softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor``; half precision sums in float32."""
    value, target = _softmax_operand(self, dtype, half_to_float)
    return emit.cast(emit.softmax(value, emit.axis_of(dim, emit.rank_of(self))), target)


@op("aten::log_softmax.int", "aten::_log_softmax")
def aten_log_softmax(self: Tensor, dim: int, dtype: torch.dtype | None = None, half_to_float: bool = False) -> Any:
    """``log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor``; exact for small probabilities."""
    value, target = _softmax_operand(self, dtype, half_to_float)
    return emit.cast(emit.log_softmax(value, emit.axis_of(dim, emit.rank_of(self))), target)


@op("aten::_safe_softmax")
def aten_safe_softmax(self: Tensor, dim: int, dtype: torch.dtype | None = None) -> Any:
    """``_safe_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor``: zeros where all are minus infinity."""
    value, target = _softmax_operand(self, dtype, False)
    if emit.is_empty(value):
        return emit.cast(value, target)
    axis = emit.axis_of(dim, emit.rank_of(self))
    largest = emit.extreme("MAX", value, [axis] if emit.rank_of(self) else [], keepdim=True)
    masked = emit.compare("EQUAL", largest, -math.inf)
    return emit.cast(emit.where(masked, torch.tensor(0.0), emit.softmax(value, axis)), target)


def _gradient(grad_output: Tensor, output: Tensor, dim: int) -> tuple[Any, Any, list[int]]:
    """The gradient and the softmax in float32, and the axes that the softmax is along: none of a 0-d tensor."""
    axes = [emit.axis_of(dim, emit.rank_of(output))] if emit.rank_of(output) else []
    return emit.cast(grad_output, torch.float32), emit.cast(output, torch.float32), axes


@op("aten::_softmax_backward_data")
@emit.known_if_empty
def aten_softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int, input_dtype: torch.dtype) -> Any:
    """``_softmax_backward_data(Tensor grad_output, Tensor output, int dim, ScalarType input_dtype) -> Tensor``."""
    gradient, result, axes = _gradient(grad_output, output, dim)
    total = emit.reduce("SUM", emit.elementwise("PROD", gradient, result), axes, keepdim=True)
    return emit.cast(emit.elementwise("PROD", result, emit.elementwise("SUB", gradient, total)), input_dtype)


@op("aten::_log_softmax_backward_data")
@emit.known_if_empty
def aten_log_softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int, input_dtype: torch.dtype) -> Any:
    """``_log_softmax_backward_data(Tensor grad_output, Tensor output, int dim, ScalarType input_dtype) -> Tensor``."""
    gradient, result, axes = _gradient(grad_output, output, dim)
    share = emit.elementwise("PROD", emit.unary("EXP", result), emit.reduce("SUM", gradient, axes, keepdim=True))
    return emit.cast(emit.elementwise("SUB", gradient, share), input_dtype)


def _softmax_operand(value: Tensor, dtype: torch.dtype | None, half_to_float: bool) -> tuple[Any, torch.dtype]:
    """What to compute on, in float32 for half precision, and the dtype of the result."""
    target = torch.float32 if half_to_float else dtype or emit.dtype_of(value)
    if not target.is_floating_point:
        raise UnsupportedArgumentError(f"softmax gives floating point, not {target}", hint="pass dtype=torch.float32")
    return emit.compute_in_float32(emit.cast(emit.cast(value, target), target)), target
