"""The cells of recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..weights import derive, origin
from .dims import rank_of, static_shape
from .dtypes import Tensor
from .math import activation, elementwise
from .moving import split_at
from .product import linear
from .random import dropped, require_random
from .shape import slice_axis


@dataclass(frozen=True)
class Weights:
    """One layer in one direction; a bias or projection that the layer lacks is None.

    Args:
        input: of shape ``(gates * hidden, in)``.
        hidden: of shape ``(gates * hidden, out)``.
        input_bias: of shape ``(gates * hidden,)``.
        hidden_bias: of shape ``(gates * hidden,)``.
        projection: of shape ``(out, hidden)``.
    """

    input: Tensor
    hidden: Tensor
    input_bias: Tensor | None = None
    hidden_bias: Tensor | None = None
    projection: Tensor | None = None

    def merged_bias(self) -> Tensor | None:
        """The sum of both biases, for cells that only ever add both."""
        if self.input_bias is None or self.hidden_bias is None:
            return self.input_bias if self.hidden_bias is None else self.hidden_bias
        if isinstance(self.input_bias, torch.Tensor) and isinstance(self.hidden_bias, torch.Tensor):
            return derive(torch.add, self.input_bias, self.hidden_bias)
        return elementwise("SUM", self.input_bias, self.hidden_bias)


@dataclass(frozen=True)
class Cell:
    """A kind of recurrent layer.

    Args:
        update: from what a step's input and its first state contribute to the gates, the states and the projection:
            the next states, of which the first is the output. The state contributes nothing, None, where it is known
            to be zeros.
        merged: whether the input gates hold both biases.
    """

    update: Callable[[Any, Any, list[Any], Tensor | None], list[Any]]
    merged: bool = True

    def step(self, gates: Any, states: list[Any], weights: Weights) -> list[Any]:
        """The next states, from a step's input gates."""
        return self.update(gates, self.own_gates(states[0], weights), states, weights.projection)

    def own_gates(self, hidden: Tensor, weights: Weights) -> Any:
        """What the first state contributes to the gates."""
        if self.merged and _is_zero(hidden):
            return None
        return linear(hidden, weights.hidden, None if self.merged else weights.hidden_bias)

    def input_gates(self, value: Tensor, weights: Weights) -> Any:
        """What the inputs contribute to the gates, for all steps at once."""
        bias = weights.merged_bias() if self.merged else weights.input_bias
        return linear(value, weights.input, bias)


def _split(gates: Any, count: int) -> list[Any]:
    axis = rank_of(gates) - 1
    return split_at(gates, axis, [static_shape(gates)[axis] // count] * count)


def _is_zero(state: Tensor) -> bool:
    """Whether a state is known to be zeros, so that its product can be left out."""
    return isinstance(state, torch.Tensor) and origin(state) is None and not bool(state.any())


def plus(value: Any, other: Tensor | None) -> Any:
    """The sum; None is nothing."""
    return value if other is None else elementwise("SUM", value, other)


def _lstm(gates: Any, own: Any, states: list[Any], projection: Tensor | None) -> list[Any]:
    """The gates are input, forget, cell and output (torch.nn.LSTM's documentation)."""
    output, following = lstm_update(plus(gates, own), states[1])
    if projection is not None:
        output = linear(output, projection, None)
    return [output, following]


def lstm_update(gates: Any, cell: Tensor) -> tuple[Any, Any]:
    """The next hidden state and the next cell state, from the sums of both products."""
    parts = _split(gates, 4)
    accept, forget, release = (activation("SIGMOID", parts[index]) for index in (0, 1, 3))
    following = elementwise("PROD", accept, activation("TANH", parts[2]))
    if not _is_zero(cell):
        following = elementwise("SUM", elementwise("PROD", forget, cell), following)
    return elementwise("PROD", release, activation("TANH", following)), following


def _gru(gates: Any, own: Any, states: list[Any], _: Tensor | None) -> list[Any]:
    return [gru_update(gates, own, states[0])]


def gru_update(gates: Any, own: Any, hidden: Tensor) -> Any:
    """The next state, from the products with the input and with the state.

    The gates are reset, update and new (torch.nn.GRU's documentation); ``h' = n + z * (h - n)``.
    """
    first, second = _split(gates, 3), _split(own, 3)
    reset, update = (activation("SIGMOID", elementwise("SUM", first[index], second[index])) for index in (0, 1))
    new = elementwise("SUM", first[2], elementwise("PROD", reset, second[2]))
    new = activation("TANH", new)
    return elementwise("SUM", new, elementwise("PROD", update, elementwise("SUB", hidden, new)))


def _plain(kind: str) -> Callable[[Any, Any, list[Any], Tensor | None], list[Any]]:
    def update(gates: Any, own: Any, states: list[Any], _: Tensor | None) -> list[Any]:
        return [activation(kind, plus(gates, own))]

    return update


LSTM = Cell(_lstm)
GRU = Cell(_gru, merged=False)
PLAIN = {"rnn_tanh": Cell(_plain("TANH")), "rnn_relu": Cell(_plain("RELU"))}


def unpack_weights(params: Sequence[Tensor], has_biases: bool, has_projection: bool) -> list[Weights]:
    """The weights of every layer, forward before backward, in the order of PyTorch's flat list."""
    each = 2 + 2 * has_biases + has_projection
    found = []
    for start in range(0, len(params), each):
        group = list(params[start : start + each])
        input_bias, hidden_bias = group[2:4] if has_biases else (None, None)
        projection = group[-1] if has_projection else None
        found.append(Weights(group[0], group[1], input_bias, hidden_bias, projection))
    return found


def layer_state(state: Tensor, index: int) -> Tensor:
    """The initial state of one layer and direction, of shape ``(1, batch, size)``."""
    if isinstance(state, torch.Tensor):
        return derive(_row, state, index)
    return slice_axis(state, 0, index, 1)


def _row(state: torch.Tensor, index: int) -> torch.Tensor:
    return state[index : index + 1]


def dropped_between(sequence: Tensor, layer: int, dropout: float) -> Tensor:
    """The input of a layer: what the layer below gave after dropout; the first layer's as it is.

    Args:
        sequence: the input.
        layer: 0 for the first.
        dropout: the probability of zeros; 0 in evaluation.
    """
    if not layer or not dropout:
        return sequence
    require_random(f"dropout={dropout} in training", "convert the module in eval mode")
    return dropped(sequence, dropout)
