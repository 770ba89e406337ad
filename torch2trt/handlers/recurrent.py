"""Recurrent layers and their cells.

The products of all inputs are one matrix product before the first step. A short sequence of known length is unrolled,
any other is a loop; the layers of a long one run at once where that is faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import emit
from ..absent import Absent, absent
from ..emit import Tensor, wavefront
from ..emit.recurrent import (
    GRU,
    LSTM,
    PLAIN,
    Cell,
    Weights,
    dropped_between,
    gru_update,
    layer_state,
    lstm_update,
    unpack_weights,
)
from ..errors import UnsupportedArgumentError
from ..registry import op


def run_layers(
    cell: Cell,
    value: Tensor,
    initial: Sequence[Tensor],
    layers: Sequence[Weights],
    directions: int,
    batch_first: bool,
    dropout: float,
) -> tuple[Any, ...]:
    """All layers: the output, and every state's last values, of shape ``(layers * directions, batch, size)``."""
    if emit.rank_of(value) != 3:
        raise UnsupportedArgumentError("a recurrent layer without a batch axis", hint="unsqueeze the input")
    if emit.static_shape(value)[1 if batch_first else 0] == 0:
        raise UnsupportedArgumentError("a sequence without elements has no output")
    sequence = emit.permute(value, [1, 0, 2]) if batch_first else emit.tensor(value)
    if directions == 1 and not dropout and wavefront.pays(sequence, layers):
        sequence, states = wavefront.run_at_once(cell, sequence, initial, layers)
        return emit.permute(sequence, [1, 0, 2]) if batch_first else sequence, *states
    last: list[list[Any]] = [[] for _ in initial]
    for first in range(0, len(layers), directions):
        sequence = dropped_between(sequence, first, dropout)
        outputs = []
        for direction in range(directions):
            index = first + direction
            states = [layer_state(state, index) for state in initial]
            output, states = _run_one(cell, sequence, states, layers[index], reverse=direction == 1)
            outputs.append(output)
            for kept, state in zip(last, states, strict=True):
                kept.append(state)
        sequence = emit.concatenate(outputs, 2)
    result = emit.permute(sequence, [1, 0, 2]) if batch_first else sequence
    return result, *(emit.concatenate(kept, 0) for kept in last)


def _run_one(cell: Cell, sequence: Any, states: list[Any], weights: Weights, reverse: bool) -> tuple[Any, list[Any]]:
    def step(gates: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        following = cell.step(gates, states, weights)
        return following[0], following

    return emit.scan(step, cell.input_gates(sequence, weights), states, reverse)


@op("aten::lstm.input")
def aten_lstm(
    input: Tensor,
    hx: Sequence[Tensor],
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> Any:
    """``lstm.input(Tensor input, Tensor[] hx, Tensor[] params, ...) -> (Tensor, Tensor, Tensor)``.

    Any number of layers, both directions, with and without projections.
    """
    directions = 2 if bidirectional else 1
    each = len(params) // (num_layers * directions)
    layers = unpack_weights(params, has_biases, has_projection=each in (3, 5))
    return run_layers(LSTM, input, hx, layers, directions, batch_first, dropout if train else 0.0)


def _register_single_state(name: str, cell: Cell) -> None:
    def handler(
        input: Tensor,
        hx: Tensor,
        params: Sequence[Tensor],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> Any:
        layers = unpack_weights(params, has_biases, has_projection=False)
        directions = 2 if bidirectional else 1
        return run_layers(cell, input, [hx], layers, directions, batch_first, dropout if train else 0.0)

    handler.__doc__ = f"``{name}.input(Tensor input, Tensor hx, Tensor[] params, ...) -> (Tensor, Tensor)``."
    op(f"aten::{name}.input")(handler)


for _name, _kind in {"gru": GRU, **PLAIN}.items():
    _register_single_state(_name, _kind)


@op("aten::lstm_cell")
def aten_lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Any:
    """``lstm_cell(Tensor input, Tensor[] hx, Tensor w_ih, Tensor w_hh, ...) -> (Tensor, Tensor)``."""
    weights = Weights(w_ih, w_hh, b_ih, b_hh)
    return tuple(LSTM.step(LSTM.input_gates(input, weights), list(hx), weights))


def _register_cell(name: str, cell: Cell) -> None:
    def handler(
        input: Tensor,
        hx: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None = None,
        b_hh: Tensor | None = None,
    ) -> Any:
        weights = Weights(w_ih, w_hh, b_ih, b_hh)
        return cell.step(cell.input_gates(input, weights), [hx], weights)[0]

    handler.__doc__ = f"``{name}_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, ...) -> Tensor``."
    op(f"aten::{name}_cell")(handler)


for _name, _kind in {"gru": GRU, **PLAIN}.items():
    _register_cell(_name, _kind)


@op("aten::_thnn_fused_lstm_cell")
def aten_thnn_fused_lstm_cell(
    input_gates: Tensor,
    hidden_gates: Tensor,
    cx: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Any, Any, Absent]:
    """``_thnn_fused_lstm_cell(Tensor input_gates, Tensor hidden_gates, Tensor cx, ...) -> (Tensor, Tensor, Tensor)``.

    What nn.LSTMCell is on a GPU. The third result is for a backward pass, and not computed.
    """
    gates = _with_biases(input_gates, hidden_gates, input_bias, hidden_bias)
    return *lstm_update(emit.elementwise("SUM", *gates), cx), absent("the workspace of a cell")


@op("aten::_thnn_fused_gru_cell")
def aten_thnn_fused_gru_cell(
    input_gates: Tensor,
    hidden_gates: Tensor,
    hx: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Any, Absent]:
    """``_thnn_fused_gru_cell(Tensor input_gates, Tensor hidden_gates, Tensor hx, ...) -> (Tensor, Tensor)``.

    What nn.GRUCell is on a GPU. The second result is for a backward pass, and not computed.
    """
    ours, own = _with_biases(input_gates, hidden_gates, input_bias, hidden_bias)
    return gru_update(ours, own, hx), absent("the workspace of a cell")


def _with_biases(first: Tensor, second: Tensor, *biases: Tensor | None) -> list[Any]:
    return [
        gates if bias is None else emit.elementwise("SUM", gates, bias)
        for gates, bias in zip((first, second), biases, strict=True)
    ]
