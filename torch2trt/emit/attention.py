"""Attention as matrix products around a softmax, which TensorRT recognises and fuses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from ..trt_compat import is_rtx
from ..weights import derive
from .dims import Dim, as_dim, rank_of, shape_of, size_of, static_shape
from .dtypes import Tensor, cast, dtype_of, is_bool
from .math import compare, elementwise, logical_not, matmul, reduce, softmax, unary, where
from .moving import band_mask
from .padding import pad
from .pointwise import is_half, scaled
from .random import dropped
from .shape import concatenate, expand, permute, reshape, slice_axis, unsqueeze


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    masks: Sequence[Tensor | None],
    scale: float | None,
    dead_rows_are_zero: bool = True,
    dropout: float = 0.0,
    with_weights: bool = True,
) -> tuple[Any, Any]:
    """``softmax(scale * query @ key.T + mask) @ value``, and the softmax.

    Args:
        query: of shape ``(..., L, E)``.
        key: of shape ``(..., S, E)``.
        value: of shape ``(..., S, D)``.
        masks: each booleans, True where a key counts, or numbers to add; broadcast to ``(..., L, S)``. None is none.
        scale: ``1 / sqrt(E)`` by default.
        dead_rows_are_zero: what a query gives that no key counts for: zeros, else NaN.
        dropout: the probability with which a weight counts as zero.
        with_weights: whether the softmax is wanted; else it is None.
    """
    dtype = dtype_of(query)
    if not with_weights:
        runs = _runs_of_queries(query, key, value, masks)
        if runs is not None:
            return _in_runs(query, key, value, masks, runs, scale, dead_rows_are_zero, dropout), None
        heads = _heads_at_once(query, key)
        if heads is not None:
            return _in_pieces(query, key, value, masks, heads, scale, dead_rows_are_zero, dropout), None
    wide = torch.float32 if is_half(dtype) else dtype
    features = size_of(query, rank_of(query) - 1)
    if scale is None and isinstance(features, int):
        scale = 1 / math.sqrt(features)
    scores = _scores(query, key, scale, wide) if scale is not None else _scores_by_size(query, key, features, wide)
    given = [mask for mask in masks if mask is not None]
    alive = _alive(given) if given and dead_rows_are_zero else None
    zero = torch.zeros((), dtype=dtype)
    if alive is not None and not with_weights and _is_of_keys(query, given, alive):
        given = [elementwise("OR", given[0], logical_not(alive))]
        value, alive = where(alive, value, zero), None
    for mask in given:
        scores = _masked(scores, mask, wide)
    weights = softmax(scores, rank_of(scores) - 1)
    if dtype == torch.float16 and _is_short(scores, given):
        weights = unary("ABS", weights)
    weights = dropped(cast(weights, dtype), dropout)
    result = matmul(weights, value)
    if alive is not None:
        result = where(alive, result, zero)
        weights = where(alive, weights, zero) if with_weights else None
    return result, weights if with_weights else None


def _is_of_keys(query: Tensor, masks: Sequence[Tensor], alive: Tensor) -> bool:
    """Whether all of several queries have a key that counts, or none has, under the one boolean mask.

    All keys then count in place of none, of values that are zeros. TensorRT for RTX 1.4 takes a mask of keys alone for
    the lengths of sequences: it counts them first and clears results in each layer, which takes longer (a layer of
    BERT-base on an H200, of 128 tokens 39 for 37 us, of 32 x 384 tokens 537 for 497). Of one query its builder ends
    the process where values are cleared.
    """
    several = size_of(query, rank_of(query) - 2) != 1
    alike = rank_of(alive) >= 2 and size_of(alive, rank_of(alive) - 2) == 1
    return several and alike and len(masks) == 1 and is_bool(masks[0])


_FEW_SCORES = 1 << 22


def _is_short(scores: Any, masks: Sequence[Tensor]) -> bool:
    """Whether known masks, as causal ones, are over few enough scores that another kernel is faster.

    TensorRT for RTX 1.4 takes the one that it has for any mask where something stands between the softmax and the
    product: in float16, for 12 and 16 causal heads of 512 tokens on an H200, 11.8 us in place of 14.7, and 14 us less
    before the first layer. Where there are more scores, or masks of keys alone, it is slower: up to twice. Of bfloat16
    it fuses nothing then: four layers of Llama take 314 us for 294.
    """
    sizes = static_shape(scores)
    known = bool(masks) and all(isinstance(mask, torch.Tensor) and is_bool(mask) for mask in masks)
    return is_rtx() and known and -1 not in sizes and math.prod(sizes) <= _FEW_SCORES


_MOST_HEADS, _MOST_QUERIES, _RUN, _SLIM = 11, 767, 512, 64


def _runs_of_queries(query: Tensor, key: Tensor, value: Tensor, masks: Sequence[Tensor | None]) -> int | None:
    """In how many runs many queries are best attended to, each with a copy of the keys; None: in one.

    Of many long heads in half precision TensorRT for RTX 1.4 makes a kernel that runs on 28 multiprocessors of an H200
    alone. Runs of fewer queries, as entries of the batch, get another: 12 heads of 1024 queries and keys of 64 features
    took 53 us, in runs 28; 16 heads of 1500, as in Whisper, 126 and 58; of 4096, 598 and 292; under a mask of keys, 12
    heads of 1024 in a batch of 4, 228 and 120; under a causal one 327 and 118.
    """
    if not _is_slow_in_one(query, key, value):
        return None
    queries = static_shape(query)[2]
    runs = 2 if queries <= 3 * _RUN else -(-queries // _RUN)
    shapes = [static_shape(mask) for mask in masks if mask is not None]
    apart = queries % runs == 0 or all(size == 1 for shape in shapes for size in shape[-2:-1])
    return runs if apart and not any(-1 in shape for shape in shapes) else None


def _is_slow_in_one(query: Tensor, key: Tensor, value: Tensor) -> bool:
    shapes = [static_shape(tensor) for tensor in (query, key, value)]
    if not is_half(query) or not is_rtx() or any(len(shape) != 4 or -1 in shape for shape in shapes):
        return False
    batch, heads, queries, features = shapes[0]
    if any(shape[:2] != (batch, heads) for shape in shapes) or max(features, shapes[2][3]) > _SLIM:
        return False
    return batch * heads > _MOST_HEADS and min(queries, shapes[1][2]) > _MOST_QUERIES


def _in_runs(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    masks: Sequence[Tensor | None],
    runs: int,
    scale: float | None,
    dead_rows_are_zero: bool,
    dropout: float,
) -> Any:
    """Attention by runs of queries, all at once."""
    batch, heads, queries, _ = shape = static_shape(query)
    if all(mask is None or _is_same_for_heads(mask) for mask in masks):  # the batch counts as heads then
        batch, heads = 1, batch * heads
        query, key, value = (reshape(tensor, [1, heads, *static_shape(tensor)[2:]]) for tensor in (query, key, value))
    whole = pad(query, [0, 0, 0, -queries % runs], 0)
    keys, values = (_for_each_run(tensor, runs) for tensor in (key, value))
    parts = [None if mask is None else _mask_in_runs(mask, batch, runs) for mask in masks]
    result, _ = attention(
        _rows_in_runs(whole, runs), keys, values, parts, scale, dead_rows_are_zero, dropout, with_weights=False
    )
    _, _, size, features = static_shape(result)
    joined = permute(reshape(result, [batch, runs, heads, size, features]), [0, 2, 1, 3, 4])
    return slice_axis(reshape(joined, [*shape[:2], runs * size, features]), 2, 0, queries)


def _is_same_for_heads(mask: Tensor) -> bool:
    return all(size == 1 for size in static_shape(mask)[:-2])


def _rows_in_runs(value: Tensor, runs: int) -> Any:
    """``(batch, heads, rows, columns)`` as ``(batch * runs, heads, rows / runs, columns)``."""
    batch, heads, rows, columns = static_shape(value)
    apart = permute(reshape(value, [batch, heads, runs, rows // runs, columns]), [0, 2, 1, 3, 4])
    return reshape(apart, [batch * runs, heads, rows // runs, columns])


def _for_each_run(value: Tensor, runs: int) -> Any:
    """What is the same for all runs, ``(batch, ...)``, as ``(batch * runs, ...)``."""
    batch, *rest = static_shape(value)
    return reshape(expand(unsqueeze(value, 1), [batch, runs, *rest]), [batch * runs, *rest])


def _mask_in_runs(mask: Tensor, batch: int, runs: int) -> Tensor:
    """A mask that broadcasts to ``(batch, heads, rows, columns)`` as one that does so for the runs."""
    if isinstance(mask, torch.Tensor):
        return derive(_known_mask_in_runs, mask, batch, runs)
    sizes = [1] * (4 - rank_of(mask)) + list(static_shape(mask))
    mask = expand(reshape(mask, sizes), [batch, *sizes[1:]])
    return _for_each_run(mask, runs) if sizes[2] == 1 else _rows_in_runs(mask, runs)


def _known_mask_in_runs(mask: torch.Tensor, batch: int, runs: int) -> torch.Tensor:
    _, heads, rows, columns = sizes = [1] * (4 - mask.dim()) + list(mask.shape)
    each = mask.reshape(sizes).expand(batch, -1, -1, -1)
    if rows == 1:
        split = each.unsqueeze(1).expand(-1, runs, -1, -1, -1)
    else:
        split = each.reshape(batch, heads, runs, rows // runs, columns).transpose(1, 2)
    return split.reshape(batch * runs, heads, -1, columns)


_MANY_HEADS, _LONG = 8, 2048
_PIECE = 4


def _heads_at_once(query: Tensor, key: Tensor) -> int | None:
    """How many heads are best attended to at a time; None: all of them.

    Of many long ones in half precision TensorRT for RTX 1.4 makes a kernel that runs on 28 multiprocessors of an H200
    alone: 16 heads of 4096 queries and keys took 816 us, and 4 of them, which get another kernel, 77 us. Heads of
    several batch entries count together.
    """
    if not is_half(query) or rank_of(query) != 4 or rank_of(key) != 4 or not is_rtx():
        return None
    sizes = [*shape_of(query)[:3], size_of(key, 2)]
    if not all(isinstance(size, int) for size in sizes):
        return None
    batch, heads, queries, keys = sizes
    if min(queries, keys) < _LONG or batch * heads <= _MANY_HEADS or batch > _PIECE:
        return None
    return _PIECE // batch


def _in_pieces(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    masks: Sequence[Tensor | None],
    heads: int,
    scale: float | None,
    dead_rows_are_zero: bool,
    dropout: float,
) -> Any:
    """Attention by ``heads`` heads at a time."""
    count, results = size_of(query, 1), []
    for first in range(0, count, heads):
        size = min(heads, count - first)
        q, k, v = (_take_heads(tensor, first, size) for tensor in (query, key, value))
        parts = [None if mask is None else _take_heads(mask, first, size) for mask in masks]
        results.append(attention(q, k, v, parts, scale, dead_rows_are_zero, dropout, with_weights=False)[0])
    return concatenate(results, 1)


def _take_heads(value: Tensor, first: int, count: int) -> Tensor:
    """Some heads of ``(..., heads, rows, columns)``; all of what is the same for all heads."""
    axis = rank_of(value) - 3
    if axis < 0 or size_of(value, axis) == 1:
        return value
    return slice_axis(value, axis, first, count)


def _scores(query: Tensor, key: Tensor, scale: float, wide: torch.dtype) -> Any:
    """``scale * query @ key.T`` in ``wide``.

    Half precision leaves the product as float32, which costs nothing where TensorRT fuses the attention: the fused
    kernel then keeps the scores in float32, as eager does, and else rounds them. The query takes the power of two in
    the scale, which is exact and keeps the product in range; the scores take the rest.
    """
    if wide == dtype_of(query):
        return matmul(scaled(query, scale), key, transpose_right=True)
    fraction, exponent = math.frexp(scale)
    if fraction == 0.5:
        fraction, exponent = 1.0, exponent - 1
    product = matmul(scaled(query, 2.0**exponent), key, transpose_right=True)
    return scaled(cast(product, wide), fraction)


def _scores_by_size(query: Tensor, key: Tensor, features: Dim, wide: torch.dtype) -> Any:
    """``query @ key.T / sqrt(features)`` in ``wide``, of a number of features that is known at run time only."""
    root = unary("SQRT", cast(as_dim(features), wide))
    return matmul(elementwise("DIV", cast(query, wide), root), cast(key, wide), transpose_right=True)


def _masked(scores: Any, mask: Tensor, wide: torch.dtype) -> Any:
    """The scores under one mask.

    Booleans select rather than add: TensorRT for RTX 1.4 adds masks in a fused attention with an error of up to 0.03
    in float16 (H200), and selects with one of 0.002.
    """
    if is_bool(mask):
        return where(mask, scores, torch.full((), -math.inf, dtype=wide))
    return elementwise("SUM", scores, cast(mask, wide))


def _alive(masks: Sequence[Tensor]) -> Tensor | None:
    """Which queries have a key that counts; None if all are known to have one."""
    if all(isinstance(mask, torch.Tensor) for mask in masks):
        alive = _known_alive(masks)
        return None if bool(alive.all()) else alive
    added = _as_added(masks[0])
    for mask in masks[1:]:
        added = elementwise("SUM", added, _as_added(mask))
    if rank_of(added) == 0:
        return logical_not(compare("EQUAL", added, -math.inf))
    best = reduce("MAX", added, [rank_of(added) - 1], keepdim=True)
    return logical_not(compare("EQUAL", best, -math.inf))


def _known_alive(masks: Sequence[torch.Tensor]) -> torch.Tensor:
    added = torch.zeros(())
    for mask in masks:
        added = added + _known_as_added(mask)
    return (added != -math.inf).any(-1, keepdim=True)


def _as_added(mask: Tensor) -> Tensor:
    """A mask as float32 numbers: 0 where a boolean one is True, minus infinity elsewhere."""
    if isinstance(mask, torch.Tensor):
        return _known_as_added(mask)
    return where(mask, torch.zeros(()), torch.full((), -math.inf)) if is_bool(mask) else cast(mask, torch.float32)


def _known_as_added(mask: torch.Tensor) -> torch.Tensor:
    return torch.zeros(mask.shape).masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else mask.float()


def causal_mask(rows: Dim, columns: Dim) -> Tensor:
    """Booleans of shape ``(rows, columns)``: a query sees the keys up to its own index.

    Known sizes give a constant. It must stay one: of a mask that is counted up in the network for static sizes,
    TensorRT for RTX 1.4 makes a causal kernel that gives wrong results past some 500 keys in half precision (H200);
    ``IAttention`` with its causal flag is the same kernel. Dynamic sizes do not meet it.
    """
    return band_mask(rows, columns, 0, lower=True)
