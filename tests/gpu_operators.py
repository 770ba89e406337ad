"""CPU kernels for operators that PyTorch has on GPUs alone, so that a trace on the CPU can hold them.

Each is written from PyTorch's documentation of the layer that it belongs to, or calls the operator for all devices;
``test_gpu_operators.py`` holds them against the kernels of a GPU. Importing this module registers them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

NAMES: set[str] = set()
_LIBRARY = torch.library.Library("aten", "IMPL")


def _kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    _LIBRARY.impl(function.__name__, function, "CPU")
    NAMES.add(function.__name__)
    return function


@_kernel
def _thnn_fused_lstm_cell(input_gates, hidden_gates, cx, input_bias=None, hidden_bias=None):
    """torch.nn.LSTMCell's formulas; the workspace holds the gates."""
    gates = _with_bias(input_gates, input_bias) + _with_bias(hidden_gates, hidden_bias)
    i, f, g, o = gates.chunk(4, 1)
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    cell = f * cx + i * g
    return o * torch.tanh(cell), cell, torch.cat((i, f, g, o), 1)


@_kernel
def _thnn_fused_gru_cell(input_gates, hidden_gates, hx, input_bias=None, hidden_bias=None):
    """torch.nn.GRUCell's formulas; the workspace holds the gates, the state and the hidden part of the new gate."""
    ours, theirs = _with_bias(input_gates, input_bias), _with_bias(hidden_gates, hidden_bias)
    (ri, zi, ni), (rh, zh, nh) = ours.chunk(3, 1), theirs.chunk(3, 1)
    r, z = torch.sigmoid(ri + rh), torch.sigmoid(zi + zh)
    n = torch.tanh(ni + r * nh)
    return (1 - z) * n + z * hx, torch.cat((r, z, n, hx, nh), 1)


def _with_bias(gates: Tensor, bias: Tensor | None) -> Tensor:
    return gates if bias is None else gates + bias


def _grouped(query, key, value, **options):
    return F.scaled_dot_product_attention(query, key, value, **options, enable_gqa=query.shape[1] != key.shape[1])


def _at_the_end(query, key, left, right):
    """A mask of a window around each query's place, the last query's at the last key (flash-attn's documentation)."""
    rows, columns = query.shape[-2], key.shape[-2]
    place = torch.arange(rows).unsqueeze(1) + columns - rows
    keys = torch.arange(columns)
    left, right = (columns + rows if reach is None or reach < 0 else reach for reach in (left, right))
    return (keys >= place - left) & (keys <= place + right)


_NOTHING = torch.empty(0)


@_kernel
def _scaled_dot_product_efficient_attention(
    query, key, value, attn_bias, compute_log_sumexp, dropout_p=0.0, is_causal=False, *, scale=None
):
    mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril() if is_causal else None
    if attn_bias is not None:
        mask = attn_bias if mask is None else attn_bias.masked_fill(~mask, -torch.inf)
    return _grouped(query, key, value, attn_mask=mask, scale=scale), _NOTHING, _NOTHING, _NOTHING


@_kernel
def _scaled_dot_product_cudnn_attention(
    query, key, value, attn_bias, compute_log_sumexp, dropout_p=0.0, is_causal=False, debug=False, *, scale=None
):
    result = _grouped(query, key, value, attn_mask=attn_bias, is_causal=is_causal, scale=scale)
    return result, *[_NOTHING] * 3, query.shape[-2], key.shape[-2], *[_NOTHING] * 3


@_kernel
def _scaled_dot_product_flash_attention(query, key, value, dropout_p=0.0, is_causal=False, debug=False, *, scale=None):
    mask = _at_the_end(query, key, None, 0) if is_causal else None
    result = _grouped(query, key, value, attn_mask=mask, scale=scale)
    return result, *[_NOTHING] * 3, query.shape[-2], key.shape[-2], *[_NOTHING] * 3


@_kernel
def _flash_attention_forward(
    query,
    key,
    value,
    cum_seq_q,
    cum_seq_k,
    max_q,
    max_k,
    dropout_p,
    is_causal,
    debug,
    *,
    scale=None,
    window_size_left=None,
    window_size_right=None,
    seqused_k=None,
    alibi_slopes=None,
):
    query, key, value = (tensor.transpose(1, 2) for tensor in (query, key, value))
    mask = _at_the_end(query, key, window_size_left, 0 if is_causal else window_size_right)
    result = _grouped(query, key, value, attn_mask=mask, scale=scale).transpose(1, 2).contiguous()
    return result, *[_NOTHING] * 4


@_kernel
def _efficient_attention_forward(
    query,
    key,
    value,
    bias,
    cu_seqlens_q,
    cu_seqlens_k,
    max_seqlen_q,
    max_seqlen_k,
    dropout_p,
    custom_mask_type,
    compute_log_sumexp=False,
    *,
    scale=None,
    seqlen_k=None,
    window_size=None,
):
    """Kinds of masks: none, causal from the first query and key on, causal up to the last ones."""
    query, key, value = (tensor.transpose(1, 2) for tensor in (query, key, value))
    seen = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool)
    if custom_mask_type:
        seen = seen.tril() if custom_mask_type == 1 else _at_the_end(query, key, None, 0)
    mask = seen if bias is None else bias.masked_fill(~seen, -torch.inf)
    result = _grouped(query, key, value, attn_mask=mask, scale=scale).transpose(1, 2).contiguous()
    return result, *[_NOTHING] * 3, query.shape[-2], key.shape[-2]


@_kernel
def cudnn_convolution(self, weight, padding, stride, dilation, groups, benchmark, deterministic, allow_tf32):
    return torch.convolution(self, weight, None, stride, padding, dilation, False, [0], groups)


@_kernel
def cudnn_convolution_transpose(
    self, weight, padding, output_padding, stride, dilation, groups, benchmark, deterministic, allow_tf32
):
    return torch.convolution(self, weight, None, stride, padding, dilation, True, output_padding, groups)


@_kernel
def cudnn_convolution_relu(self, weight, bias, stride, padding, dilation, groups):
    return torch.convolution(self, weight, bias, stride, padding, dilation, False, [0], groups).clamp(min=0)


@_kernel
def cudnn_convolution_add_relu(self, weight, z, alpha, bias, stride, padding, dilation, groups):
    result = torch.convolution(self, weight, bias, stride, padding, dilation, False, [0], groups)
    return (result + (1.0 if alpha is None else alpha) * z).clamp(min=0)


@_kernel
def _conv_depthwise2d(self, weight, kernel_size, bias, stride, padding, dilation):
    return F.conv2d(self, weight, bias, stride, padding, dilation, self.shape[1])


@_kernel
def conv_depthwise3d(self, weight, kernel_size, bias, stride, padding, dilation):
    return F.conv3d(self, weight, bias, stride, padding, dilation, self.shape[1])


@_kernel
def cudnn_batch_norm(input, weight, bias, running_mean, running_var, training, exponential_average_factor, epsilon):
    results = torch.native_batch_norm(
        input, weight, bias, running_mean, running_var, training, exponential_average_factor, epsilon
    )
    return *results, torch.empty(0, dtype=torch.uint8)


@_kernel
def cudnn_grid_sampler(self, grid):
    return F.grid_sample(self, grid, "bilinear", "zeros", align_corners=True)


@_kernel
def cudnn_affine_grid_generator(theta, N, C, H, W):
    return F.affine_grid(theta, [N, C, H, W], align_corners=True)


@_kernel
def _cudnn_rnn(
    input,
    weight,
    weight_stride0,
    weight_buf,
    hx,
    cx,
    mode,
    hidden_size,
    proj_size,
    num_layers,
    batch_first,
    dropout,
    train,
    bidirectional,
    batch_sizes,
    dropout_state,
):
    """The operator for all devices; the third result is empty for layers of one state."""
    function = (torch.rnn_relu, torch.rnn_tanh, torch.lstm, torch.gru)[mode]
    states, biases = [hx, cx] if mode == 2 else hx, weight_stride0 >= 4
    if batch_sizes:
        sizes = torch.tensor(batch_sizes)
        results = function(input, sizes, states, weight, biases, num_layers, dropout, train, bidirectional)
    else:
        results = function(input, states, weight, biases, num_layers, dropout, train, bidirectional, batch_first)
    cell = results[2] if mode == 2 else hx.new_empty(0)
    return results[0], results[1], cell, torch.empty(0, dtype=torch.uint8), input.new_empty(0)
