"""Operators of cuDNN, called by name."""

import torch
from torch import nn

import tests.gpu_operators  # noqa: F401  (gives them to the CPU)
from tests.harness import Case, rand

_aten = torch.ops.aten


def _convolution(x, w):
    flags = (False, False, False)
    return _aten.cudnn_convolution(x, w, [1, 0], [1, 2], [1, 1], 2, *flags)


def _transposed(x, w):
    flags = (False, False, False)
    return _aten.cudnn_convolution_transpose(x, w, [1, 1], [1, 0], [2, 2], [1, 1], 2, *flags)


def _relu(x, w, b):
    options = ([1, 1], [1, 1], [1, 1], 1)
    return _aten.cudnn_convolution_relu(x, w, b, *options), _aten.cudnn_convolution_relu(x, w, None, *options)


def _add_relu(x, w, z, b):
    options = ([1, 1], [1, 1], [1, 1], 1)
    first = _aten.cudnn_convolution_add_relu(x, w, z, 0.5, b, *options)
    return first, _aten.cudnn_convolution_add_relu(x, w, z, None, b, *options)


def _batch_norm(training):
    def run(x, w, b, m, v):
        results = _aten.cudnn_batch_norm(x, w, b, m.clone(), v.clone(), training, 0.1, 1e-3)
        return results[:3] if training else results[0]

    return run


class _Recurrent(nn.Module):
    """A layer, its flat weights given to cuDNN's operator."""

    def __init__(self, mode, packed=(), **options):
        super().__init__()
        torch.manual_seed(0)
        kinds = (nn.RNN, nn.RNN, nn.LSTM, nn.GRU)
        self.inner = kinds[mode](3, 4, **options)
        self.mode, self.packed = mode, list(packed)
        self.eval()

    def forward(self, x):
        layer = self.inner
        batch = self.packed[0] if self.packed else x.shape[0 if layer.batch_first else 1]
        count = layer.num_layers * (2 if layer.bidirectional else 1)
        state = x.new_zeros(count, batch, layer.proj_size or 4) + 0.25
        cell = x.new_zeros(count, batch, 4) + 0.5 if self.mode == 2 else None
        weights = layer._flat_weights
        found = _aten._cudnn_rnn(
            *(x, weights, len(weights) // count, None, state, cell, self.mode, 4, layer.proj_size, layer.num_layers),
            *(layer.batch_first, 0.0, False, layer.bidirectional, self.packed, None),
        )
        return found[:3] if self.mode == 2 else found[:2]


_IMAGE = (rand(2, 4, 5, 6), rand(6, 4, 3, 3), rand(2, 6, 5, 6), rand(6))
_DYNAMIC = {"x": {0: (1, 2, 8), 1: (1, 5, 9)}}

CASES = [
    Case("convolution", _convolution, (rand(2, 4, 5, 6), rand(6, 2, 3, 3))),
    Case("convolution-half", _convolution, (rand(2, 4, 5, 6).half(), rand(6, 2, 3, 3).half())),
    Case("transposed", _transposed, (rand(2, 4, 5, 6), rand(4, 3, 3, 3))),
    Case("relu", _relu, (_IMAGE[0], _IMAGE[1], _IMAGE[3])),
    Case("add-relu", _add_relu, _IMAGE),
    Case(
        "depthwise2d",
        lambda x, w, b: _aten._conv_depthwise2d(x, w, [3, 3], b, [1, 2], [1, 1], [1, 1]),
        (rand(2, 4, 5, 6), rand(8, 1, 3, 3), rand(8)),
    ),
    Case(
        "depthwise3d",
        lambda x, w: _aten.conv_depthwise3d(x, w, [3, 3, 3], None, [1, 2, 1], [1, 1, 0], [1, 1, 1]),
        (rand(2, 4, 5, 6, 7), rand(4, 1, 3, 3, 3)),
    ),
    Case("batch_norm", _batch_norm(False), (rand(2, 4, 5, 6), rand(4), rand(4), rand(4), rand(4, low=0.5))),
    Case("batch_norm-training", _batch_norm(True), (rand(2, 4, 5, 6), rand(4), rand(4), rand(4), rand(4, low=0.5))),
    Case("grid_sampler", _aten.cudnn_grid_sampler, (rand(2, 3, 4, 5), rand(2, 6, 7, 2, low=-1.2, high=1.2))),
    Case("affine_grid", lambda x: _aten.cudnn_affine_grid_generator(x, 2, 3, 4, 5), rand(2, 2, 3)),
    *(
        Case(f"rnn-{mode}", _Recurrent(mode, nonlinearity=kind), rand(5, 2, 3))
        for mode, kind in enumerate(("relu", "tanh"))
    ),
    *(Case(f"rnn-{mode}", _Recurrent(mode), rand(5, 2, 3)) for mode in (2, 3)),
    *(
        Case(
            f"rnn-{mode}-all",
            _Recurrent(mode, num_layers=2, bidirectional=True, batch_first=True, bias=False),
            {"x": rand(2, 5, 3)},
            dynamic=_DYNAMIC,
            others=[{"x": rand(1, 7, 3)}, {"x": rand(4, 2, 3)}],
        )
        for mode in (2, 3)
    ),
    Case("rnn-projected", _Recurrent(2, proj_size=2), rand(5, 2, 3)),
    Case("rnn-packed", _Recurrent(2, packed=(3, 3, 1), bidirectional=True), rand(7, 3)),
]
