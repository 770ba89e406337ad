"""Gather, scatter, one-hot, non-zero and reverse sequence."""

from __future__ import annotations

import torch

from ..errors import EvaluationError
from .registry import LayerContext, Run, layer


def _wrap(indices: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Indices as int64 with negative ones counted from the end, and which are still out of bounds; None if none is."""
    indices = indices.long()
    if not indices.numel():
        return indices, None
    low, high = int(indices.min()), int(indices.max())
    if low < 0:
        indices = torch.where(indices < 0, indices + size, indices)
    if -size <= low and high < size:
        return indices, None
    outside = (indices < 0) | (indices >= size)
    return torch.where(outside, 0, indices), outside


def _zero_outside(values: torch.Tensor, outside: torch.Tensor | None) -> torch.Tensor:
    """Zeros where an index was out of bounds (NvInfer.h, IGatherLayer: "Zero will be stored for OOB access")."""
    return (
        values
        if outside is None
        else torch.where(outside, torch.zeros((), dtype=values.dtype, device=values.device), values)
    )


def _gather_default(x: torch.Tensor, indices: torch.Tensor, axis: int) -> torch.Tensor:
    index, outside = _wrap(indices, x.shape[axis])
    sizes = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
    if x.shape[axis] == 0:
        return x.new_zeros(sizes)
    values = x.index_select(axis, index.reshape(-1)).reshape(sizes)
    if outside is None:
        return values
    return _zero_outside(values, outside.reshape(*outside.shape, *([1] * (x.dim() - axis - 1))))


def _gather_elementwise(x: torch.Tensor, indices: torch.Tensor, axis: int) -> torch.Tensor:
    """Default mode with one leading axis shared by data and indices, of equal sizes or 1."""
    batch = max(x.shape[0], indices.shape[0])
    rows = [_gather_default(x[i % x.shape[0]], indices[i % indices.shape[0]], axis - 1) for i in range(batch)]
    return torch.stack(rows)


def _gather_nd(x: torch.Tensor, indices: torch.Tensor, shared: int) -> torch.Tensor:
    """``output[b.., i..] = x[b.., indices[b.., i..]]`` with ``shared`` leading axes b."""
    depth = indices.shape[-1]
    places = indices.shape[shared:-1]
    batches = x.shape[:shared]
    coordinates, outside = [], None
    for axis, size in enumerate(batches):
        view = [1] * (shared + len(places))
        view[axis] = size
        coordinates.append(torch.arange(size, device=x.device).reshape(view))
    for k in range(depth):
        index, bad = _wrap(indices[..., k], x.shape[shared + k])
        coordinates.append(index)
        if bad is not None:
            outside = bad if outside is None else outside | bad
    values = x[tuple(coordinates)] if coordinates else x.expand(*places, *x.shape)
    if outside is None:
        return values
    return _zero_outside(values, outside.reshape(*outside.shape, *([1] * (values.dim() - outside.dim()))))


@layer("GATHER")
def gather(context: LayerContext) -> Run:
    """``IGatherLayer``: DEFAULT, ELEMENT and ND; negative indices count from the end, out-of-bounds ones read 0."""
    node = context.layer
    context.require_dtype(1, "INT32", "INT64")
    mode, axis, shared = node.mode.name, node.axis, node.num_elementwise_dims
    axis += context.rank() if axis < 0 else 0

    def element(x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        index, outside = _wrap(indices, x.shape[axis])
        return _zero_outside(torch.gather(x, axis, index), outside)

    if mode == "ELEMENT":
        return element
    if mode == "ND":
        return lambda x, indices: _gather_nd(x, indices, shared)
    if mode != "DEFAULT":
        raise context.error(f"unknown gather mode {mode}")
    if shared:
        return lambda x, indices: _gather_elementwise(x, indices, axis)
    return lambda x, indices: _gather_default(x, indices, axis)


def _inside(indices: torch.Tensor, size: int) -> torch.Tensor:
    index, outside = _wrap(indices, size)
    if outside is not None:
        raise EvaluationError(f"scatter indices leave an axis of {size}: {int(indices.min())}..{int(indices.max())}")
    return index


@layer("SCATTER")
def scatter(context: LayerContext) -> Run:
    """``IScatterLayer``: ELEMENT and ND; negative indices count from the end.

    Raises:
        EvaluationError: an index is out of bounds, which TensorRT leaves undefined.
    """
    node = context.layer
    context.require_same_dtype(0, 2)
    context.require_dtype(1, "INT32", "INT64")
    axis = node.axis + (context.rank() if node.axis < 0 else 0)

    def element(x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
        return x.scatter(axis, _inside(indices, x.shape[axis]), updates)

    def nd(x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
        depth = indices.shape[-1]
        if depth == 0:
            return updates.reshape(-1, *x.shape)[-1] if updates.numel() else x
        places = tuple(_inside(indices[..., k], x.shape[k]) for k in range(depth))
        return x.index_put(places, updates)

    mode = node.mode.name
    if mode not in ("ELEMENT", "ND"):
        raise context.error(f"unknown scatter mode {mode}")
    return element if mode == "ELEMENT" else nd


@layer("ONE_HOT")
def one_hot(context: LayerContext) -> Run:
    """``IOneHotLayer``: indices, [off, on], depth; negative indices count from the end, others beyond set nothing."""
    context.require_dtype(0, "INT32", "INT64")
    axis = context.layer.axis
    place = axis + context.rank() + 1 if axis < 0 else axis

    def run(indices: torch.Tensor, values: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        classes = torch.arange(int(depth), device=indices.device)
        index = torch.where(indices < 0, indices + int(depth), indices).unsqueeze(place)
        hot = index == classes.reshape([-1 if i == place else 1 for i in range(index.dim())])
        return torch.where(hot, values[1], values[0])

    return run


@layer("NON_ZERO")
def non_zero(context: LayerContext) -> Run:
    """``INonZeroLayer``: indices [rank, count] in row-major order."""
    held = context.outputs[0].held
    return lambda x: torch.nonzero(x).t().to(held)


@layer("REVERSE_SEQUENCE")
def reverse_sequence(context: LayerContext) -> Run:
    """``IReverseSequenceLayer``: the first ``lengths[i]`` elements of slice i of the batch axis, backwards."""
    batch, sequence = context.layer.batch_axis, context.layer.sequence_axis

    def run(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        place = torch.arange(x.shape[sequence], device=x.device)
        limits = lengths.long().reshape(-1, 1)
        source = torch.where(place < limits, limits - 1 - place, place)
        view = [1] * x.dim()
        view[batch], view[sequence] = source.shape
        source = source if batch < sequence else source.t()
        return torch.gather(x, sequence, source.reshape(view).expand(x.shape))

    return run
