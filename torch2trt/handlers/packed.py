"""Packed sequences whose lengths are known at conversion; others are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..emit.recurrent import GRU, LSTM, PLAIN, Cell, Weights, dropped_between, layer_state, unpack_weights
from ..errors import UnsupportedArgumentError
from ..registry import op


def _known(lengths: Any) -> list[int]:
    if not isinstance(lengths, torch.Tensor):
        raise UnsupportedArgumentError(
            "the lengths of a packed sequence are known at run time only",
            hint="pass the padded tensor, and select each sequence's last output by its length",
        )
    return [int(length) for length in lengths]


@op("aten::_pack_padded_sequence")
def aten_pack_padded_sequence(input: Tensor, lengths: Any, batch_first: bool) -> Any:
    """``_pack_padded_sequence(Tensor input, Tensor lengths, bool batch_first) -> (Tensor, Tensor)``.

    The lengths must be known, and the batch size with them.
    """
    counts = torch.tensor(_known(lengths))
    longest, batch = int(counts.max()), len(counts)
    sizes = emit.shape_of(input)
    if not all(isinstance(size, int) for size in sizes[:2]):
        raise UnsupportedArgumentError("a packed sequence of dynamic sizes", hint="make batch and length static")
    steps = torch.arange(longest).unsqueeze(1)
    rows = torch.arange(batch)
    places = rows * sizes[1] + steps if batch_first else steps * sizes[1] + rows
    kept = steps < counts
    flat = emit.reshape(input, [sizes[0] * sizes[1], *sizes[2:]])
    return emit.gather_known(flat, places[kept], 0), kept.sum(1)


@op("aten::_pad_packed_sequence")
def aten_pad_packed_sequence(
    data: Tensor, batch_sizes: Any, batch_first: bool, padding_value: float, total_length: int
) -> Any:
    """``_pad_packed_sequence(Tensor data, Tensor batch_sizes, bool batch_first, Scalar padding_value, ...)``."""
    sizes = torch.tensor(_known(batch_sizes))
    steps = max(len(sizes), total_length)
    kept = torch.zeros(steps, int(sizes[0]), dtype=torch.bool)
    kept[: len(sizes)] = torch.arange(int(sizes[0])) < sizes.unsqueeze(1)
    places = torch.where(kept, kept.flatten().cumsum(0).reshape(kept.shape) - 1, 0)
    lengths = kept.sum(0)
    if batch_first:
        kept, places = kept.mT, places.mT
    padded = emit.gather_known(data, places, 0)
    mask = kept.reshape(*kept.shape, *[1] * (emit.rank_of(data) - 1))
    padding = torch.full((), padding_value, dtype=emit.dtype_of(data))
    return emit.where(mask, padded, padding), lengths


def run_packed(
    cell: Cell,
    data: Tensor,
    batch_sizes: Any,
    initial: Sequence[Tensor],
    layers: Sequence[Weights],
    directions: int,
    dropout: float,
) -> tuple[Any, ...]:
    """All layers over packed rows: the output rows, and every state's last values."""
    sizes = _known(batch_sizes)
    last: list[list[Any]] = [[] for _ in initial]
    rows = emit.tensor(data)
    for first in range(0, len(layers), directions):
        rows = dropped_between(rows, first, dropout)
        outputs = []
        for direction in range(directions):
            index = first + direction
            states = [emit.squeeze(emit.tensor(layer_state(state, index)), [0]) for state in initial]
            output, states = _one_packed(cell, rows, states, layers[index], sizes, reverse=direction == 1)
            outputs.append(output)
            for kept, state in zip(last, states, strict=True):
                kept.append(emit.unsqueeze(state, 0))
        rows = emit.concatenate(outputs, 1)
    return rows, *(emit.concatenate(kept, 0) for kept in last)


def _one_packed(
    cell: Cell, rows: Any, initial: list[Any], weights: Weights, sizes: list[int], reverse: bool
) -> tuple[Any, list[Any]]:
    """One layer in one direction; longer sequences come first, so a step's rows are the first ones of the batch."""
    gates = cell.input_gates(rows, weights)
    starts = [sum(sizes[:step]) for step in range(len(sizes))]
    order = range(len(sizes))[::-1] if reverse else range(len(sizes))
    states = [_rows(state, 0, sizes[order[0]]) for state in initial]
    ended: list[list[Any]] = [[] for _ in initial]
    outputs = []
    for step in order:
        active = emit.static_shape(states[0])[0]
        if sizes[step] > active:  # backwards, shorter sequences join
            joining = [_rows(state, active, sizes[step]) for state in initial]
            states = [emit.concatenate([old, new], 0) for old, new in zip(states, joining, strict=True)]
        elif sizes[step] < active:  # forwards, they end
            for kept, state in zip(ended, states, strict=True):
                kept.insert(0, _rows(state, sizes[step], active))
            states = [_rows(state, 0, sizes[step]) for state in states]
        states = cell.step(_rows(gates, starts[step], starts[step] + sizes[step]), states, weights)
        outputs.append(states[0])
    finals = [emit.concatenate([state, *kept], 0) for state, kept in zip(states, ended, strict=True)]
    return emit.concatenate(outputs[::-1] if reverse else outputs, 0), finals


def _rows(value: Any, first: int, last: int) -> Any:
    return emit.slice_axis(value, 0, first, last - first)


@op("aten::lstm.data")
def aten_lstm_packed(
    data: Tensor,
    batch_sizes: Any,
    hx: Sequence[Tensor],
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
) -> Any:
    """``lstm.data(Tensor data, Tensor batch_sizes, Tensor[] hx, Tensor[] params, ...) -> (Tensor, Tensor, Tensor)``."""
    directions = 2 if bidirectional else 1
    projected = len(params) // (num_layers * directions) in (3, 5)
    layers = unpack_weights(params, has_biases, projected)
    return run_packed(LSTM, data, batch_sizes, hx, layers, directions, dropout if train else 0.0)


def _register(name: str, cell: Cell) -> None:
    def handler(
        data: Tensor,
        batch_sizes: Any,
        hx: Tensor,
        params: Sequence[Tensor],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
    ) -> Any:
        layers = unpack_weights(params, has_biases, has_projection=False)
        directions = 2 if bidirectional else 1
        return run_packed(cell, data, batch_sizes, [hx], layers, directions, dropout if train else 0.0)

    handler.__doc__ = f"``{name}.data(Tensor data, Tensor batch_sizes, Tensor hx, ...) -> (Tensor, Tensor)``."
    op(f"aten::{name}.data")(handler)


for _name, _kind in {"gru": GRU, **PLAIN}.items():
    _register(_name, _kind)
