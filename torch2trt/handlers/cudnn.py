"""What PyTorch calls of cuDNN, and its own kernels of GPUs, called by name: as in graphs of decomposed operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..absent import absent
from ..emit import Dim, Tensor
from ..emit.recurrent import GRU, LSTM, PLAIN, unpack_weights
from ..errors import UnsupportedArgumentError
from ..registry import op
from .convolution import aten_conv, aten_conv_transpose
from .grid import aten_affine_grid_generator, aten_grid_sampler
from .norm import aten_native_batch_norm
from .packed import run_packed
from .recurrent import run_layers


@op("aten::cudnn_convolution")
def aten_cudnn_convolution(
    self: Tensor,
    weight: Tensor,
    padding: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    benchmark: bool,
    deterministic: bool,
    allow_tf32: bool,
) -> Any:
    """``cudnn_convolution(Tensor self, Tensor weight, SymInt[] padding, stride, dilation, SymInt groups, ...)``."""
    return aten_conv(self, weight, None, stride, padding, dilation, groups)


@op("aten::cudnn_convolution_transpose")
def aten_cudnn_convolution_transpose(
    self: Tensor,
    weight: Tensor,
    padding: Sequence[int],
    output_padding: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    benchmark: bool,
    deterministic: bool,
    allow_tf32: bool,
) -> Any:
    """``cudnn_convolution_transpose(Tensor self, Tensor weight, SymInt[] padding, output_padding, stride, ...)``."""
    return aten_conv_transpose(self, weight, None, stride, padding, output_padding, groups, dilation)


@op("aten::cudnn_convolution_relu")
def aten_cudnn_convolution_relu(
    self: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Any:
    """``cudnn_convolution_relu(Tensor self, Tensor weight, Tensor? bias, SymInt[] stride, padding, ...) -> Tensor``."""
    return emit.activation("RELU", aten_conv(self, weight, bias, stride, padding, dilation, groups))


@op("aten::cudnn_convolution_add_relu")
def aten_cudnn_convolution_add_relu(
    self: Tensor,
    weight: Tensor,
    z: Tensor,
    alpha: float | None,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Any:
    """``cudnn_convolution_add_relu(Tensor self, Tensor weight, Tensor z, Scalar? alpha, Tensor? bias, ...)``.

    ``relu(conv(self) + alpha * z + bias)``.
    """
    added = z if alpha is None or alpha == 1 else emit.arithmetic("PROD", z, float(alpha))
    return emit.activation("RELU", emit.add(aten_conv(self, weight, bias, stride, padding, dilation, groups), added))


@op("aten::_conv_depthwise2d", "aten::conv_depthwise3d")
def aten_conv_depthwise(
    self: Tensor,
    weight: Tensor,
    kernel_size: Sequence[int],
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Any:
    """``_conv_depthwise2d(Tensor self, Tensor weight, SymInt[2] kernel_size, Tensor? bias, ...) -> Tensor``."""
    spatial = emit.rank_of(weight) - 2
    channels = emit.static_shape(self)[emit.rank_of(self) - spatial - 1]
    return aten_conv(self, weight, bias, stride, padding, dilation, channels)


@op("aten::cudnn_batch_norm")
def aten_cudnn_batch_norm(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    exponential_average_factor: float,
    epsilon: float,
) -> tuple[Any, ...]:
    """``cudnn_batch_norm(Tensor input, Tensor weight, Tensor? bias, ...) -> (Tensor, Tensor, Tensor, Tensor)``.

    The results of ``native_batch_norm``; the fourth is for a backward pass, and not computed.
    """
    factor, eps = exponential_average_factor, epsilon
    results = aten_native_batch_norm(input, weight, bias, factor, eps, running_mean, running_var, training)
    return *results, absent("the reserve of a batch norm")


@op("aten::cudnn_grid_sampler")
def aten_cudnn_grid_sampler(self: Tensor, grid: Tensor) -> Any:
    """``cudnn_grid_sampler(Tensor self, Tensor grid) -> Tensor``: linear, zeros outside, aligned at the corners."""
    return aten_grid_sampler(self, grid, 0, 0, True)


@op("aten::cudnn_affine_grid_generator")
def aten_cudnn_affine_grid_generator(theta: Tensor, N: Dim, C: Dim, H: Dim, W: Dim) -> Any:
    """``cudnn_affine_grid_generator(Tensor theta, int N, int C, int H, int W) -> Tensor``; aligned at the corners."""
    return aten_affine_grid_generator(theta, [N, C, H, W], True)


_CELLS = (PLAIN["rnn_relu"], PLAIN["rnn_tanh"], LSTM, GRU)
"""By cuDNN's number of the kind of layer."""


@op("aten::_cudnn_rnn")
def aten_cudnn_rnn(
    input: Tensor,
    weight: Sequence[Tensor],
    weight_stride0: int,
    weight_buf: Any,
    hx: Tensor,
    cx: Tensor | None,
    mode: int,
    hidden_size: int,
    proj_size: int,
    num_layers: int,
    batch_first: bool,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_sizes: Sequence[int],
    dropout_state: Any,
) -> tuple[Any, ...]:
    """``_cudnn_rnn(Tensor input, Tensor[] weight, int weight_stride0, ...) -> (Tensor, Tensor, Tensor, ...)``.

    Any kind of layer, padded or packed. The fourth and fifth result are for a backward pass, and not computed.

    Raises:
        UnsupportedArgumentError: there is no such kind.
    """
    if not 0 <= mode < len(_CELLS):
        raise UnsupportedArgumentError(f"mode={mode} of _cudnn_rnn, which PyTorch does not have")
    cell, directions = _CELLS[mode], 2 if bidirectional else 1
    layers = unpack_weights(weight, weight_stride0 >= 4, has_projection=proj_size > 0)
    initial = [hx] if cx is None or mode != 2 else [hx, cx]
    dropout = dropout if train else 0.0
    if batch_sizes:
        results = run_packed(cell, input, torch.tensor(batch_sizes), initial, layers, directions, dropout)
    else:
        results = run_layers(cell, input, initial, layers, directions, batch_first, dropout)
    if len(initial) == 1:
        results = *results, torch.empty(0, dtype=emit.dtype_of(hx))
    return *results, *[absent("what a recurrent layer keeps for a backward pass")] * 2
