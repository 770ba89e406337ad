"""Recurrent layers of one direction at once, each one step behind the one below it.

A step of one layer is little work, mostly reading weights. In step ``t`` of the wave, layer ``l`` does its step
``t - l``: what it needs of the layer below was done in the step before, so one product serves all layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..weights import derive
from .dims import size_of, static_shape
from .dtypes import Tensor
from .math import compare, elementwise, where
from .padding import pad
from .product import linear
from .recurrent import Cell, Weights, plus
from .scan import MOST_UNROLLED, scan
from .shape import concatenate, slice_axis

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
    both = _columns([*(layer.input for layer in layers[1:]), *(layer.hidden for layer in layers)])
    upper = _rows([layer.merged_bias() if cell.merged else layer.input_bias for layer in layers[1:]])
    own = None if cell.merged else _rows([layer.hidden_bias for layer in layers])
    projections = [layer.projection for layer in layers if layer.projection is not None]
    projection = _columns(projections) if projections else None

    def step(below: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        *before, age = states
        hidden = before[0]
        products = linear(concatenate([slice_axis(hidden, 0, 0, count - 1), hidden], 0), both, None)
        inputs = plus(slice_axis(products, 0, 0, count - 1), upper)
        gates, own_gates = concatenate([below, inputs], 0), plus(slice_axis(products, 0, count - 1, count), own)
        after = cell.update(gates, own_gates, before, projection)
        runs = elementwise("AND", compare("GREATER", age, -1), compare("LESS", age, length))
        kept = [where(runs, new, old) for new, old in zip(after, before, strict=True)]
        return slice_axis(kept[0], 0, count - 1, 1), [*kept, elementwise("SUM", age, torch.ones((), dtype=torch.int32))]

    first = -torch.arange(count, dtype=torch.int32).reshape(count, 1, 1)  # layers begin at age 0
    gates = pad(cell.input_gates(sequence, layers[0]), [0, 0, 0, 0, 0, count - 1], 0)
    outputs, (*last, _) = scan(step, gates, [*states, first])
    return slice_axis(outputs, 0, count - 1, length), last


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
