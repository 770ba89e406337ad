"""Recurrent layers and their cells."""

import torch
from torch import Tensor, nn

import tests.gpu_operators  # noqa: F401  (gives the CPU what cells are on a GPU)
from tests.harness import Case, rand


class _Layer(nn.Module):
    """A recurrent layer on ``x``, and its initial states if they are given."""

    def __init__(self, kind, *args, **options):
        super().__init__()
        torch.manual_seed(0)
        self.inner = getattr(nn, kind)(*args, **options)
        self.eval()

    def forward(self, x, *states):
        if not states:
            return self.inner(x)
        return self.inner(x, states if len(states) > 1 else states[0])


def _dynamic(name, layer, axes, *shapes, **options):
    """A row at the sizes of ``shapes``; the first is traced."""
    others = [{"x": rand(*shape)} for shape in shapes[1:]]
    return Case(name, layer, {"x": rand(*shapes[0])}, dynamic={"x": axes}, others=others, **options)


@torch.jit.script
def _lstm_cell(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, v: Tensor, a: Tensor | None = None, b: Tensor | None = None
):  # traced, the cells fall apart into elementwise ops
    return torch.lstm_cell(x, [h, c], w, v, a, b)


@torch.jit.script
def _gru_cell(x: Tensor, h: Tensor, w: Tensor, v: Tensor, a: Tensor | None = None, b: Tensor | None = None):
    return torch.gru_cell(x, h, w, v, a, b)


@torch.jit.script
def _rnn_cells(x: Tensor, h: Tensor, w: Tensor, v: Tensor, a: Tensor | None = None, b: Tensor | None = None):
    return torch.rnn_tanh_cell(x, h, w, v, a, b), torch.rnn_relu_cell(x, h, w, v, a, b)


def _cell_inputs(gates, states=1, bias=True):
    """Input, states, weights and biases of a cell of width 4."""
    biases = [rand(gates * 4), rand(gates * 4)] if bias else []
    return (rand(2, 3), *(rand(2, 4) for _ in range(states)), rand(gates * 4, 3), rand(gates * 4, 4), *biases)


def _fused_lstm(x, h, c, w, v, *biases):
    return torch.ops.aten._thnn_fused_lstm_cell(x @ w.mT, h @ v.mT, c, *biases)[:2]


def _fused_gru(x, h, w, v, *biases):
    return torch.ops.aten._thnn_fused_gru_cell(x @ w.mT, h @ v.mT, h, *biases)[0]


class _FusedCells(nn.Module):
    """The steps of a cell on a GPU, as they look in a trace: its state known at first, its parameters by name."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.LSTMCell(3, 4), nn.GRUCell(4, 4)

    def forward(self, x):
        hidden = cell = state = x.new_zeros(x.shape[0], 4)
        for _ in range(2):
            hidden, cell = _fused_lstm(x, hidden, cell, *self.first.parameters())
            state = _fused_gru(hidden, state, *self.second.parameters())
        return state, cell


_KINDS = ("LSTM", "GRU", "RNN")

CASES = [
    *(Case(f"{kind}", _Layer(kind, 3, 4), rand(5, 2, 3)) for kind in _KINDS),
    *(
        Case(
            f"{kind}-all",
            _Layer(kind, 3, 4, num_layers=2, bidirectional=True, batch_first=True, bias=False),
            rand(2, 5, 3),
        )
        for kind in _KINDS
    ),
    *(Case(f"{kind}-unbatched", _Layer(kind, 3, 4, num_layers=2), rand(5, 3)) for kind in _KINDS),
    *(Case(f"{kind}-half", _Layer(kind, 3, 4).half(), rand(5, 2, 3, dtype=torch.float16)) for kind in _KINDS),
    Case("RNN-relu", _Layer("RNN", 3, 4, nonlinearity="relu", bidirectional=True), rand(5, 2, 3)),
    Case(
        "LSTM-projected",
        _Layer("LSTM", 3, 6, num_layers=2, proj_size=4, bidirectional=True),
        (rand(5, 2, 3), rand(4, 2, 4), rand(4, 2, 6)),
    ),
    Case("LSTM-states", _Layer("LSTM", 3, 4), (rand(5, 2, 3), rand(1, 2, 4), rand(1, 2, 4))),
    Case("GRU-states", _Layer("GRU", 3, 4, bidirectional=True), (rand(5, 2, 3), rand(2, 2, 4))),
    Case("RNN-states", _Layer("RNN", 3, 4, num_layers=2), (rand(5, 2, 3), rand(2, 2, 4))),
    *(Case(f"{kind}-long", _Layer(kind, 3, 4, bidirectional=True), rand(40, 2, 3)) for kind in _KINDS),
    Case("LSTM-long-states", _Layer("LSTM", 3, 6, proj_size=4), (rand(20, 2, 3), rand(1, 2, 4), rand(1, 2, 6))),
    Case("LSTM-one-step", _Layer("LSTM", 3, 4, batch_first=True), rand(2, 1, 3)),
    *(
        _dynamic(
            f"{kind}-dynamic-batch",
            _Layer(kind, 3, 4, batch_first=True, bidirectional=True),
            {0: (1, 2, 8)},
            (2, 5, 3),
            (1, 5, 3),
            (7, 5, 3),
        )
        for kind in _KINDS
    ),
    *(
        _dynamic(
            f"{kind}-dynamic-length",
            _Layer(kind, 3, 4, batch_first=True, bidirectional=True, num_layers=2),
            {0: (1, 2, 8), 1: (1, 5, 16)},
            (2, 5, 3),
            (1, 7, 3),
            (3, 1, 3),
        )
        for kind in _KINDS
    ),
    Case("LSTMCell", _Layer("LSTMCell", 3, 4), (rand(2, 3), rand(2, 4), rand(2, 4))),
    Case("GRUCell", _Layer("GRUCell", 3, 4), (rand(2, 3), rand(2, 4))),
    Case("RNNCell", _Layer("RNNCell", 3, 4), rand(2, 3)),
    Case("lstm_cell", _lstm_cell, _cell_inputs(4, states=2)),
    Case("lstm_cell-no-bias", _lstm_cell, _cell_inputs(4, states=2, bias=False)),
    Case("gru_cell", _gru_cell, _cell_inputs(3)),
    Case("gru_cell-no-bias", _gru_cell, _cell_inputs(3, bias=False)),
    Case("rnn_cell", _rnn_cells, _cell_inputs(1)),
    Case("fused_lstm_cell", _fused_lstm, _cell_inputs(4, states=2)),
    Case("fused_lstm_cell-no-bias", _fused_lstm, _cell_inputs(4, states=2, bias=False)),
    Case("fused_gru_cell", _fused_gru, _cell_inputs(3)),
    Case("fused_gru_cell-no-bias", _fused_gru, _cell_inputs(3, bias=False)),
    _dynamic("fused-cells-dynamic", _FusedCells(), {0: (1, 2, 8)}, (2, 3), (1, 3), (7, 3)),
]
