"""Gradients of activations and losses, in modules that differentiate in ``forward``: forces are those of an energy.

What they come of is computed in float32 and rounded once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from .. import emit
from ..context import has_trt_tensor
from ..emit import Tensor
from ..registry import op

Function = TypeVar("Function", bound=Callable[..., Any])


def in_float32(function: Function) -> Function:
    """Let a handler see half precision as float32; its results get the dtype of the gradient, the first argument."""

    @functools.wraps(function)
    def handler(**arguments: Any) -> Any:
        dtype = emit.dtype_of(next(iter(arguments.values())))
        held = {name: isinstance(value, torch.Tensor) or has_trt_tensor(value) for name, value in arguments.items()}
        wide = {name: emit.compute_in_float32(value) if held[name] else value for name, value in arguments.items()}
        results = function(**wide)
        if isinstance(results, tuple):
            return tuple(emit.cast(result, dtype) for result in results)
        return emit.cast(results, dtype)

    return handler  # type: ignore[return-value]


# Activation functions: of their input, or of their output.


@op("aten::tanh_backward")
@in_float32
def aten_tanh_backward(grad_output: Tensor, output: Tensor) -> Any:
    """``tanh_backward(Tensor grad_output, Tensor output) -> Tensor``."""
    return emit.mul(grad_output, emit.sub(1.0, emit.mul(output, output)))


@op("aten::sigmoid_backward")
@in_float32
def aten_sigmoid_backward(grad_output: Tensor, output: Tensor) -> Any:
    """``sigmoid_backward(Tensor grad_output, Tensor output) -> Tensor``."""
    return emit.mul(emit.mul(grad_output, emit.sub(1.0, output)), output)


@op("aten::threshold_backward")
@in_float32
def aten_threshold_backward(grad_output: Tensor, self: Tensor, threshold: float) -> Any:
    """``threshold_backward(Tensor grad_output, Tensor self, Scalar threshold) -> Tensor``; passes where self is NaN."""
    return emit.where(emit.either("LESS", self, float(threshold)), 0.0, grad_output)


@op("aten::leaky_relu_backward")
@in_float32
def aten_leaky_relu_backward(grad_output: Tensor, self: Tensor, negative_slope: float, self_is_result: bool) -> Any:
    """``leaky_relu_backward(Tensor grad_output, Tensor self, Scalar negative_slope, bool self_is_result) -> Tensor``.

    Input and result have the same sign.
    """
    return emit.where(emit.compare("GREATER", self, 0.0), grad_output, emit.mul(grad_output, float(negative_slope)))


@op("aten::rrelu_with_noise_backward")
def aten_rrelu_with_noise_backward(
    grad_output: Tensor,
    self: Tensor,
    noise: Tensor,
    lower: float,
    upper: float,
    training: bool,
    self_is_result: bool,
) -> Any:
    """``rrelu_with_noise_backward(Tensor grad_output, Tensor self, Tensor noise, Scalar lower, upper, ...)``."""
    if training and upper - lower > 1e-6:
        return emit.mul(grad_output, noise)
    slope = (lower + upper) / 2
    return aten_leaky_relu_backward(
        grad_output=grad_output, self=self, negative_slope=slope, self_is_result=self_is_result
    )


@op("aten::_prelu_kernel_backward")
@in_float32
def aten_prelu_kernel_backward(grad_output: Tensor, self: Tensor, weight: Tensor) -> tuple[Any, Any]:
    """``_prelu_kernel_backward(Tensor grad_output, Tensor self, Tensor weight) -> (Tensor, Tensor)``.

    That of the weight has the sizes of ``self``.
    """
    above = emit.compare("GREATER", self, 0.0)
    gradient = emit.where(above, grad_output, emit.mul(weight, grad_output))
    return gradient, emit.where(above, 0.0, emit.mul(self, grad_output))


@op("aten::elu_backward")
@in_float32
def aten_elu_backward(
    grad_output: Tensor, alpha: float, scale: float, input_scale: float, is_result: bool, self_or_result: Tensor
) -> Any:
    """``elu_backward(Tensor grad_output, Scalar alpha, scale, input_scale, bool is_result, Tensor self_or_result)``.

    NaN gives NaN, as for most elements on the CPU; eager's CUDA kernel takes it for positive.
    """
    bend = float(alpha * scale)
    if is_result:
        slope = emit.add(self_or_result, bend)
    else:
        slope = emit.scaled(emit.unary("EXP", emit.scaled(self_or_result, float(input_scale))), bend)
    slope = emit.where(emit.compare("GREATER", self_or_result, 0.0), float(scale), emit.mul(slope, float(input_scale)))
    return emit.mul(grad_output, slope)


@op("aten::gelu_backward")
@in_float32
def aten_gelu_backward(grad_output: Tensor, self: Tensor, approximate: str = "none") -> Any:
    """``gelu_backward(Tensor grad_output, Tensor self, *, str approximate="none") -> Tensor``: ``none`` or ``tanh``.

    (GeluBackwardKernelImpl in aten/src/ATen/native/cpu/Activation.cpp.)
    """
    square = emit.mul(self, self)
    if approximate == "none":
        share = emit.mul(emit.add(emit.unary("ERF", emit.mul(self, math.sqrt(0.5))), 1.0), 0.5)
        density = emit.mul(emit.unary("EXP", emit.mul(square, -0.5)), 1 / math.sqrt(2 * math.pi))
        return emit.mul(grad_output, emit.add(share, emit.mul(self, density)))
    factor, bend = math.sqrt(2 / math.pi), 0.044715
    gate = emit.activation("TANH", emit.mul(emit.mul(self, factor), emit.add(emit.mul(square, bend), 1.0)))
    slope = emit.mul(emit.sub(1.0, emit.mul(gate, gate)), emit.add(emit.mul(square, 3 * bend * factor), factor))
    half = emit.add(emit.add(gate, 1.0), emit.mul(self, slope))
    return emit.mul(grad_output, emit.mul(half, 0.5))


@op("aten::silu_backward")
@in_float32
def aten_silu_backward(grad_output: Tensor, self: Tensor) -> Any:
    """``silu_backward(Tensor grad_output, Tensor self) -> Tensor``."""
    gate = emit.activation("SIGMOID", self)
    slope = emit.add(emit.mul(self, emit.sub(1.0, gate)), 1.0)
    return emit.mul(emit.mul(grad_output, gate), slope)


@op("aten::mish_backward")
@in_float32
def aten_mish_backward(grad_output: Tensor, self: Tensor) -> Any:
    """``mish_backward(Tensor grad_output, Tensor self) -> Tensor``."""
    gate = emit.activation("TANH", emit.softplus(self))
    slope = emit.mul(emit.activation("SIGMOID", self), emit.sub(1.0, emit.mul(gate, gate)))
    return emit.mul(grad_output, emit.add(gate, emit.mul(self, slope)))


@op("aten::softplus_backward")
@in_float32
def aten_softplus_backward(grad_output: Tensor, self: Tensor, beta: float, threshold: float) -> Any:
    """``softplus_backward(Tensor grad_output, Tensor self, Scalar beta, Scalar threshold) -> Tensor``."""
    steep = emit.scaled(self, float(beta))
    bent = emit.mul(grad_output, emit.activation("SIGMOID", steep))
    return emit.where(emit.compare("GREATER", steep, float(threshold)), grad_output, bent)


@op("aten::log_sigmoid_backward")
@in_float32
def aten_log_sigmoid_backward(grad_output: Tensor, self: Tensor, buffer: Tensor) -> Any:
    """``log_sigmoid_backward(Tensor grad_output, Tensor self, Tensor buffer) -> Tensor``: ``sigmoid(-self)`` of it.

    The buffer, which ``log_sigmoid_forward`` gives, is not needed.
    """
    return emit.mul(grad_output, emit.activation("SIGMOID", emit.unary("NEG", self)))


def passed(outside: Any, gradient: Any) -> Any:
    """The gradient, 0 where ``outside``."""
    return emit.where(outside, 0.0, gradient)


@op("aten::hardtanh_backward")
@in_float32
def aten_hardtanh_backward(grad_output: Tensor, self: Tensor, min_val: float, max_val: float) -> Any:
    """``hardtanh_backward(Tensor grad_output, Tensor self, Scalar min_val, Scalar max_val) -> Tensor``.

    Passes where self is NaN, as eager's CUDA kernel does; that on the CPU gives 0 for most elements.
    """
    low, high = emit.either("LESS", self, float(min_val)), emit.either("GREATER", self, float(max_val))
    return passed(emit.elementwise("OR", low, high), grad_output)


@op("aten::hardsigmoid_backward")
@in_float32
def aten_hardsigmoid_backward(grad_output: Tensor, self: Tensor) -> Any:
    """``hardsigmoid_backward(Tensor grad_output, Tensor self) -> Tensor``."""
    inside = emit.compare("LESS", emit.unary("ABS", self), 3.0)
    return emit.where(inside, emit.mul(grad_output, 1 / 6), 0.0)


@op("aten::hardswish_backward")
@in_float32
def aten_hardswish_backward(grad_output: Tensor, self: Tensor) -> Any:
    """``hardswish_backward(Tensor grad_output, Tensor self) -> Tensor``; of NaN as ``elu_backward``."""
    bent = emit.mul(grad_output, emit.add(emit.mul(self, 1 / 3), 0.5))
    above = emit.where(emit.either("GREATER", self, 3.0), grad_output, bent)
    return passed(emit.either("LESS", self, -3.0), above)


@op("aten::hardshrink_backward")
@in_float32
def aten_hardshrink_backward(grad_out: Tensor, self: Tensor, lambd: float) -> Any:
    """``hardshrink_backward(Tensor grad_out, Tensor self, Scalar lambd) -> Tensor``.

    Of NaN as ``hardtanh_backward``.
    """
    return passed(emit.either("LESS", emit.unary("ABS", self), float(lambd)), grad_out)


@op("aten::softshrink_backward")
@in_float32
def aten_softshrink_backward(grad_output: Tensor, self: Tensor, lambd: float) -> Any:
    """``softshrink_backward(Tensor grad_output, Tensor self, Scalar lambd) -> Tensor``.

    Of NaN as ``hardtanh_backward``.
    """
    return passed(emit.either("LESS", emit.unary("ABS", self), float(lambd)), grad_output)


@op("aten::glu_backward")
@in_float32
def aten_glu_backward(grad_output: Tensor, self: Tensor, dim: int) -> Any:
    """``glu_backward(Tensor grad_output, Tensor self, int dim) -> Tensor``."""
    size = emit.size_of(grad_output, dim)
    left, right = emit.slice_axis(self, dim, 0, size), emit.slice_axis(self, dim, size, size)
    gate = emit.activation("SIGMOID", right)
    first = emit.mul(gate, grad_output)
    return emit.concatenate([first, emit.mul(emit.mul(emit.sub(1.0, gate), left), first)], dim)


@op("aten::logit_backward")
@in_float32
def aten_logit_backward(grad_output: Tensor, self: Tensor, eps: float | None = None) -> Any:
    """``logit_backward(Tensor grad_output, Tensor self, float? eps=None) -> Tensor``.

    Outside of ``eps .. 1 - eps`` it is 0, outside of 0..1 NaN without ``eps``.
    """
    least = 0.0 if eps is None or eps < 0 else eps
    outside = emit.elementwise("OR", emit.compare("LESS", self, least), emit.compare("GREATER", self, 1 - least))
    width = emit.unary("ABS", emit.mul(self, emit.sub(1.0, self)))  # of negative zero 0
    return emit.where(outside, math.nan if eps is None or eps < 0 else 0.0, emit.true_divide(grad_output, width))


# Losses.


def _shared(gradient: Any, value: Tensor, reduction: int) -> Any:
    """The gradient of one element of a loss that is all of the elements (0), their mean (1) or their sum (2)."""
    if reduction != 1:
        return gradient
    count = emit.count_of(value, range(emit.rank_of(value)))
    return emit.true_divide(gradient, float(count) if isinstance(count, int) else emit.cast(count, torch.float32))


@op("aten::mse_loss_backward")
@in_float32
def aten_mse_loss_backward(grad_output: Tensor, self: Tensor, target: Tensor, reduction: int) -> Any:
    """``mse_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction) -> Tensor``."""
    slope = emit.mul(emit.sub(self, target), 2.0)
    return emit.mul(_shared(slope, slope, reduction), grad_output)


@op("aten::smooth_l1_loss_backward")
@in_float32
def aten_smooth_l1_loss_backward(grad_output: Tensor, self: Tensor, target: Tensor, reduction: int, beta: float) -> Any:
    """``smooth_l1_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction, float beta)``."""
    gap = emit.sub(self, target)
    slope = emit.clamp(emit.true_divide(gap, beta), -1.0, 1.0)
    if not beta:  # eager takes equals for negative
        slope = emit.where(emit.compare("EQUAL", gap, 0.0), -1.0, slope)
    return emit.mul(_shared(slope, slope, reduction), grad_output)


@op("aten::huber_loss_backward")
@in_float32
def aten_huber_loss_backward(grad_output: Tensor, self: Tensor, target: Tensor, reduction: int, delta: float) -> Any:
    """``huber_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction, float delta) -> Tensor``."""
    slope = emit.clamp(emit.sub(self, target), -delta, delta)
    return emit.mul(_shared(slope, slope, reduction), grad_output)


@op("aten::soft_margin_loss_backward")
@in_float32
def aten_soft_margin_loss_backward(grad_output: Tensor, self: Tensor, target: Tensor, reduction: int) -> Any:
    """``soft_margin_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction) -> Tensor``."""
    side = emit.unary("NEG", target)
    slope = emit.mul(side, emit.activation("SIGMOID", emit.mul(side, self)))
    return emit.mul(_shared(slope, slope, reduction), grad_output)


@op("aten::binary_cross_entropy_backward")
@in_float32
def aten_binary_cross_entropy_backward(
    grad_output: Tensor, self: Tensor, target: Tensor, weight: Tensor | None = None, reduction: int = 1
) -> Any:
    """``binary_cross_entropy_backward(Tensor grad_output, Tensor self, Tensor target, Tensor? weight=None, ...)``."""
    width = emit.clamp(emit.mul(emit.sub(1.0, self), self), 1e-12, None)
    slope = emit.true_divide(emit.sub(self, target), width)
    if weight is not None:
        slope = emit.mul(slope, weight)
    return emit.mul(_shared(slope, slope, reduction), grad_output)
