"""Operators that PyTorch has on GPUs alone: what is refused, and the stand-ins against the kernels of a GPU."""

from __future__ import annotations

import pytest
import torch

import torch2trt
from tests import gpu_operators, harness
from tests.harness import rand
from torch2trt.errors import UnsupportedArgumentError

_aten = torch.ops.aten

_FLAGS, _HALF = (False, False, False), torch.float16
_CELL = (rand(2, 16), rand(2, 16), rand(2, 4), rand(16), rand(16))
_GATES = (rand(2, 12), rand(2, 12), rand(2, 4), rand(12), rand(12))
_HEADS = (rand(2, 3, 8, 8), rand(2, 3, 16, 8), rand(2, 3, 16, 8))
_HALVES = tuple(value.to(_HALF) for value in _HEADS)
_ROWS = tuple(value.transpose(1, 2).contiguous() for value in _HALVES)
_BIAS = rand(2, 3, 8, 16)
_IMAGE, _KERNEL = rand(2, 4, 5, 6), rand(4, 4, 3, 3)
_STATISTICS = (rand(4), rand(4), rand(4), rand(4, low=0.5, high=2.0))
_ONES = ([1, 1], [1, 1], [1, 1])


def _rnn(mode, gates, batch_sizes=(), projected=0):
    """The arguments of one layer in one direction."""
    sizes = [(gates * 4, 3), (gates * 4, projected or 4), (gates * 4,), (gates * 4,), *([(2, 4)] if projected else [])]
    weights = [rand(*size, low=-0.5, high=0.5) for size in sizes]
    batch = batch_sizes[0] if batch_sizes else 2
    states = (rand(1, batch, projected or 4), rand(1, batch, 4) if mode == 2 else None)
    value = rand(sum(batch_sizes), 3) if batch_sizes else rand(5, 2, 3)
    options = (mode, 4, projected, 1, False, 0.0, False, False, list(batch_sizes), None)
    return (value, weights, len(weights), None, *states, *options)


_EFFICIENT = (None, None, None, None, 0.0)

CALLS = {
    "lstm": ("_thnn_fused_lstm_cell", _CELL),
    "lstm-no-bias": ("_thnn_fused_lstm_cell", _CELL[:3]),
    "gru": ("_thnn_fused_gru_cell", _GATES),
    "gru-no-bias": ("_thnn_fused_gru_cell", _GATES[:3]),
    "efficient": ("_scaled_dot_product_efficient_attention", (*_HEADS, _BIAS, False), 1),
    "efficient-causal": ("_scaled_dot_product_efficient_attention", (*_HEADS, None, False, 0.0, True), 1),
    "efficient-both": ("_scaled_dot_product_efficient_attention", (*_HEADS, _BIAS, False, 0.0, True), 1),
    "cudnn": ("_scaled_dot_product_cudnn_attention", (*_HALVES, None, False), 1),
    "cudnn-causal": ("_scaled_dot_product_cudnn_attention", (*_HALVES, None, False, 0.0, True), 1),
    "flash": ("_scaled_dot_product_flash_attention", _HALVES, 1),
    "flash-causal": ("_scaled_dot_product_flash_attention", (*_HALVES, 0.0, True), 1),
    "flash-rows": ("_flash_attention_forward", (*_ROWS, None, None, 8, 16, 0.0, False, False), 1),
    "flash-rows-causal": ("_flash_attention_forward", (*_ROWS, None, None, 8, 16, 0.0, True, False), 1),
    "flash-rows-long": (
        "_flash_attention_forward",
        (_ROWS[1], _ROWS[0], _ROWS[0], None, None, 16, 8, 0.0, True, False),
        1,
    ),
    **{
        f"efficient-rows-{kind}": ("_efficient_attention_forward", (*_ROWS, None, *_EFFICIENT, kind), 1)
        for kind in range(3)
    },
    "efficient-rows-bias": ("_efficient_attention_forward", (*_ROWS, _BIAS.to(_HALF), *_EFFICIENT, 0), 1),
    "convolution": ("cudnn_convolution", (_IMAGE, _KERNEL, [1, 0], [1, 2], [1, 1], 1, *_FLAGS)),
    "transposed": (
        "cudnn_convolution_transpose",
        (_IMAGE, _KERNEL, [1, 1], [1, 0], [2, 2], [1, 1], 1, *_FLAGS),
    ),
    "relu": ("cudnn_convolution_relu", (_IMAGE, _KERNEL, rand(4), *_ONES, 1)),
    "add-relu": ("cudnn_convolution_add_relu", (_IMAGE, _KERNEL, rand(2, 4, 5, 6), 0.5, rand(4), *_ONES, 1)),
    "depthwise2d": ("_conv_depthwise2d", (_IMAGE, rand(8, 1, 3, 3), [3, 3], rand(8), [1, 2], [1, 1], [1, 1])),
    "depthwise3d": ("conv_depthwise3d", (rand(2, 4, 5, 6, 7), rand(4, 1, 3, 3, 3), [3] * 3, None, *[[1] * 3] * 3)),
    "batch_norm": ("cudnn_batch_norm", (_IMAGE, *_STATISTICS, False, 0.1, 1e-3), 1),
    "batch_norm-training": ("cudnn_batch_norm", (_IMAGE, *_STATISTICS, True, 0.1, 1e-3), 3),
    "grid_sampler": ("cudnn_grid_sampler", (_IMAGE, rand(2, 6, 7, 2, low=-1.2, high=1.2))),
    "affine_grid": ("cudnn_affine_grid_generator", (rand(2, 2, 3), 2, 3, 4, 5)),
    **{f"rnn-{mode}": ("_cudnn_rnn", _rnn(mode, gates), 2) for mode, gates in enumerate((1, 1, 4, 3))},
    "rnn-all": ("_cudnn_rnn", _rnn(2, 4), 3),
    "rnn-packed": ("_cudnn_rnn", _rnn(2, 4, (3, 3, 1)), 3),
    "rnn-projected": ("_cudnn_rnn", _rnn(2, 4, projected=2), 3),
}
"""Operator, arguments, and how many of the results are compared (all if it is not said)."""


def _on_gpu(value):
    if isinstance(value, list):
        return [_on_gpu(item) for item in value]
    return value.cuda() if isinstance(value, torch.Tensor) else value


def _call(name, place=lambda value: value):
    operator, args, *count = CALLS[name]
    args = [value.clone() if isinstance(value, torch.Tensor) else value for value in args]  # batch norm writes to some
    with torch.no_grad():
        results = getattr(_aten, operator)(*[place(arg) for arg in args])
    return list(results if isinstance(results, tuple) else (results,))[: count[0] if count else None]


@pytest.mark.gpu
@pytest.mark.parametrize("name", CALLS)
def test_stand_in(name):
    harness.assert_same(_call(name), _call(name, _on_gpu), rtol=1e-4)


@pytest.mark.parametrize("name", CALLS)
def test_stand_in_runs(name):
    assert all(result.numel() for result in _call(name))


def test_every_stand_in_is_held_against_a_gpu():
    assert {operator for operator, *_ in CALLS.values()} == gpu_operators.NAMES


def test_results_for_a_backward_pass_are_refused():
    gates, state = torch.randn(2, 16), torch.randn(2, 4)
    with pytest.raises(UnsupportedArgumentError, match="does not compute the workspace of a cell") as caught:
        torch2trt.convert(lambda gates, state: _aten._thnn_fused_lstm_cell(gates, gates, state)[2] + 1, (gates, state))
    assert caught.value.location.kind == "aten::_thnn_fused_lstm_cell" and caught.value.hint


class _Workspace(torch.nn.Module):
    """Gives what an LSTM's cell keeps for a backward pass, as it is or plus one."""

    def __init__(self, read):
        super().__init__()
        self.read = read

    def forward(self, gates, state):
        found = _aten._thnn_fused_lstm_cell(gates, gates, state)[2]
        return found + 1 if self.read else found


@pytest.mark.parametrize("read", [True, False])
def test_results_for_a_backward_pass_are_listed_and_stay_in_pytorch(read):
    module, inputs = _Workspace(read).eval(), (torch.randn(2, 16), torch.randn(2, 4))
    report = torch2trt.check(module, inputs)
    assert ["workspace" in error.message for error in report.refused] == [True]
    fast = torch2trt.compile(module, inputs, backend="reference")
    torch.testing.assert_close(fast(*inputs), module(*inputs))
    assert "aten::_thnn_fused_lstm_cell" in {node.kind for node in fast.segments[0].nodes}
    assert not fast.segments[0].in_engine


@pytest.mark.parametrize(
    "function",
    [
        lambda x: _aten._scaled_dot_product_efficient_attention(x, x, x, _BIAS[..., :8] * 1e9, False)[0],
        lambda x: _aten._scaled_dot_product_flash_attention_for_cpu(x, x, x, attn_mask=_BIAS[..., :8] * 1e9)[0],
        lambda x: _aten.cudnn_convolution(x, _KERNEL[:, :3], *_ONES, 1, *_FLAGS),
    ],
)
def test_half_precision(function):
    """Products are computed in half, and what is added to scores is not."""
    x = rand(2, 3, 8, 8)
    converted = torch2trt.convert(function, x, precision="float16")
    outputs = [converted.network.get_layer(index).get_output(0) for index in range(converted.network.num_layers)]
    assert torch2trt.trt.float16 in {output.dtype for output in outputs}
    harness.assert_same(converted.evaluate(x), function(x), rtol=5e-3)


_REFUSED = {
    "windows": lambda q, k, v: _aten._flash_attention_forward(
        q, k, v, torch.tensor([0, 8]), torch.tensor([0, 16]), 8, 16, 0.0, False, False
    )[0],
    "slopes": lambda q, k, v: _aten._flash_attention_forward(
        q, k, v, None, None, 8, 16, 0.0, False, False, alibi_slopes=torch.ones(3)
    )[0],
    "dropout": lambda q, k, v: _aten._flash_attention_forward(q, k, v, None, None, 8, 16, 0.5, False, False)[0],
}


@pytest.mark.parametrize("name", _REFUSED)
def test_what_attention_kernels_do_beyond_is_refused(name):
    with pytest.raises(UnsupportedArgumentError):
        torch2trt.convert(_REFUSED[name], tuple(value.float() for value in _ROWS))
