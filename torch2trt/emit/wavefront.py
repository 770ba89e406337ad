"""Recurrent layers of one direction at once, each one step behind the one below it.

A step of one layer is little work, mostly reading weights. In step ``t`` of the wave, layer ``l`` does its step
``t - l``: what it needs of the layer below was done in the step before, so one product serves all layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..weights import derive
from .dims import size_of, static_shape
from .dtypes import Tensor, dtype_of
from .math import compare, elementwise, where
from .padding import pad
from .product import linear
from .recurrent import Cell, Weights, plus
from .scan import MOST_UNROLLED, scan
from .shape import concatenate, expand, permute, reshape, slice_axis, squeeze, unsqueeze

_MOST_ROWS = 8
"""With more sequences at once the products themselves take time, which the wave does more of."""


def pays(sequence: Tensor, layers: Sequence[Weights]) -> bool:
    """Whether a wave is faster than layer after layer: more than one layer, a long sequence, a small batch.

    Two LSTM layers of 512 features in float16 took 0.96 ms for 1.16 for 128 steps of one sequence, and 0.74 for 1.05 of
    four (TensorRT for RTX 1.4, H200, CUDA graph).

    Args:
        sequence: of shape ``(length, batch, features)``.
        layers: from the first on, of one direction.
    """
    length, batch, _ = static_shape(sequence)
    parts = [part for layer in layers for part in vars(layer).values() if part is not None]
    known = all(isinstance(part, torch.Tensor) for part in parts)
    return known and len(layers) > 1 and length > MOST_UNROLLED and 0 < batch <= _MOST_ROWS


def run_at_once(
    cell: Cell, sequence: Any, states: Sequence[Tensor], layers: Sequence[Weights]
) -> tuple[Any, list[Any]]:
    """All layers over a sequence.

    Args:
        cell: the kind of layer.
        sequence: of shape ``(length, batch, features)``, of known length.
        states: what the first step starts from, each of shape ``(layers, batch, size)``.
        layers: from the first on.

    Returns:
        the last layer's outputs, of shape ``(length, batch, size)``, and the last states, of the shapes of ``states``.
    """
    count, length = len(layers), size_of(sequence, 0)
    projections = [layer.projection for layer in layers if layer.projection is not None]
    projection = _columns(projections) if projections else None
    bias = _rows([layer.merged_bias() if cell.merged else layer.input_bias for layer in layers[1:]])
    first = pad(cell.input_gates(sequence, layers[0]), [0, 0, 0, 0, 0, count - 1], 0)
    if cell.merged and count == 2 and math.prod(static_shape(layers[0].hidden)) <= _SMALL:
        gates_of, gates = _by_one_matrix(layers), _beside(first, bias)
    else:
        gates_of, gates = _by_matrices(cell, layers, bias), first

    def step(below: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        *before, age = states
        after = cell.update(*gates_of(below, before[0]), before, projection)
        runs = elementwise("AND", compare("GREATER", age, -1), compare("LESS", age, length))
        kept = [where(runs, new, old) for new, old in zip(after, before, strict=True)]
        return slice_axis(kept[0], 0, count - 1, 1), [*kept, elementwise("SUM", age, torch.ones((), dtype=torch.int32))]

    ages = -torch.arange(count, dtype=torch.int32).reshape(count, 1, 1)  # layers begin at age 0
    outputs, (*last, _) = scan(step, gates, [*states, ages])
    return slice_axis(outputs, 0, count - 1, length), last


_SMALL = 1 << 20
"""Matrices of more elements, and of more layers, are not made one: reading its zeros takes longer."""

_GatesOf = Callable[[Any, Any], tuple[Any, Any]]
"""From an element of the sequence of gates and the first state: what inputs and states contribute to all gates."""


def _by_matrices(cell: Cell, layers: Sequence[Weights], bias: Tensor | None) -> _GatesOf:
    """One product a matrix, at once; the sequence is the first layer's gates."""
    count = len(layers)
    matrices = _columns([*(layer.input for layer in layers[1:]), *(layer.hidden for layer in layers)])
    own_bias = None if cell.merged else _rows([layer.hidden_bias for layer in layers])

    def gates_of(below: Any, hidden: Any) -> tuple[Any, Any]:
        products = linear(concatenate([slice_axis(hidden, 0, 0, count - 1), hidden], 0), matrices, None)
        inputs = plus(slice_axis(products, 0, 0, count - 1), bias)
        return concatenate([below, inputs], 0), plus(slice_axis(products, 0, count - 1, count), own_bias)

    return gates_of


def _by_one_matrix(layers: Sequence[Weights]) -> _GatesOf:
    """One product of the states side by side; the sequence holds what else each layer's gates are made of.

    The matrix holds zeros where a layer does not see another. A vector by one matrix has a faster kernel than vectors
    by several: two LSTM layers of 512 features in float16 took 0.77 ms for 0.89 for 128 steps (H200, CUDA graph), and
    0.66 for 0.75 of four sequences. Of 1024 features it is 1.96 for 1.52.
    """
    count = len(layers)
    matrix = derive(_blocks, [layer.input for layer in layers[1:]], [layer.hidden for layer in layers])

    def gates_of(others: Any, hidden: Any) -> tuple[Any, Any]:
        _, batch, size = static_shape(hidden)
        row = reshape(permute(hidden, [1, 0, 2]), [batch, count * size])
        products = reshape(linear(row, matrix, None), [batch, count, -1])
        return squeeze(others, [0]), permute(products, [1, 0, 2])

    return gates_of


def _blocks(inputs: Sequence[torch.Tensor], hidden: Sequence[torch.Tensor]) -> torch.Tensor:
    gates, size = hidden[0].shape
    blocks = hidden[0].new_zeros(len(hidden), gates, len(hidden), size)
    for index, matrix in enumerate(hidden):
        blocks[index, :, index] = matrix
    for index, matrix in enumerate(inputs):
        blocks[index + 1, :, index] = matrix
    return blocks.reshape(len(hidden) * gates, len(hidden) * size)


def _beside(first: Any, bias: Tensor | None) -> Any:
    """The first layer's gates, ``(length, batch, gates)``, and those of the upper ones, which are their bias."""
    length, batch, width = static_shape(first)
    upper = torch.zeros(1, 1, width, dtype=dtype_of(first)) if bias is None else bias
    count = static_shape(upper)[0]
    return concatenate([unsqueeze(first, 1), expand(unsqueeze(upper, 0), [length, count, batch, width])], 1)


def _columns(matrices: Sequence[Tensor]) -> Any:
    """Known matrices of shape ``(out, in)`` as one of shape ``(count, in, out)``."""
    return derive(_stack_transposed, list(matrices))


def _stack_transposed(matrices: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(matrices)).transpose(1, 2).contiguous()


def _rows(vectors: Sequence[Tensor | None]) -> Any:
    """Known vectors as one of shape ``(count, 1, size)``; None of none."""
    return None if any(vector is None for vector in vectors) else derive(_stack, list(vectors))


def _stack(vectors: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(vectors))[:, None]
