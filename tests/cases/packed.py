"""Packed sequences of known lengths."""

import torch
from torch import nn

from tests.harness import Case, rand


class _Packed(nn.Module):
    """A recurrent layer on a packed sequence, padded again."""

    def __init__(self, layer, lengths, batch_first=False, **padding):
        super().__init__()
        self.inner = layer.eval()
        self.lengths, self.batch_first, self.padding = lengths, batch_first, padding

    def forward(self, x):
        packed = nn.utils.rnn.pack_padded_sequence(x, self.lengths, self.batch_first)
        output, states = self.inner(packed)
        return nn.utils.rnn.pad_packed_sequence(output, self.batch_first, **self.padding), states


_LENGTHS = torch.tensor([5, 3, 3, 1])

CASES = [
    Case("LSTM", _Packed(nn.LSTM(3, 4, num_layers=2, bidirectional=True), _LENGTHS), rand(5, 4, 3)),
    Case("LSTM-projected", _Packed(nn.LSTM(3, 4, proj_size=2), _LENGTHS), rand(6, 4, 3)),
    Case("GRU", _Packed(nn.GRU(3, 4, bidirectional=True), _LENGTHS, padding_value=-1.0), rand(5, 4, 3)),
    Case("RNN", _Packed(nn.RNN(3, 4, batch_first=True), _LENGTHS, batch_first=True, total_length=7), rand(4, 6, 3)),
    Case("RNN-relu", _Packed(nn.RNN(3, 4, nonlinearity="relu"), _LENGTHS), rand(5, 4, 3)),
]
