"""Attention: the scaled dot product, and the fused multi-head ops that PyTorch's modules call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..registry import op
from ..weights import derive
from .activation import aten_gelu


@op("aten::scaled_dot_product_attention")
def aten_scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """``scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask, ...) -> Tensor``.

    A query that the mask leaves no key gives zeros, as in PyTorch. Dropout is random. Where TensorRT does not fuse half
    precision, scores are rounded to it, as by PyTorch's ``allow_fp16_bf16_reduction_math_sdp``.
    """
    masks = [attn_mask, causal_mask(query, key) if is_causal else None]
    return attend(query, key, value, masks, scale, enable_gqa, dropout_p)[0]


def causal_mask(query: Tensor, key: Tensor) -> Tensor:
    """Booleans: a query sees the keys up to its own index."""
    return emit.causal_mask(emit.size_of(query, -2), emit.size_of(key, -2))


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    masks: Sequence[Tensor | None],
    scale: float | None,
    grouped: bool,
    dropout: float,
    with_weights: bool = False,
) -> tuple[Any, Any]:
    """:func:`torch2trt.emit.attention`, where ``grouped`` lets several heads of the query share one of the keys."""
    if dropout:
        emit.require_random(f"attention with dropout_p={dropout}", "convert the module in eval mode")
    if grouped and emit.static_shape(key)[-3] != emit.static_shape(value)[-3]:
        key, value = _for_each_head(key, query), _for_each_head(value, query)
    if not grouped or emit.static_shape(query)[-3] == emit.static_shape(key)[-3]:
        return emit.attention(query, key, value, masks, scale, dropout=dropout, with_weights=with_weights)
    # Query heads that share a key head lie along an axis of their own, so that nothing is copied.
    sizes = emit.shape_of(query)
    heads, groups = sizes[-3], emit.size_of(key, -3)
    split = [*sizes[:-3], groups, emit.dim_floordiv(heads, groups), *sizes[-2:]]
    masks = [None if mask is None else _by_group(mask, groups) for mask in masks]
    rank = emit.rank_of(key)
    shared_key, shared_value = emit.unsqueeze(key, rank - 2), emit.unsqueeze(value, rank - 2)
    turned = emit.reshape(query, split)
    result, weights = emit.attention(turned, shared_key, shared_value, masks, scale, True, dropout, with_weights)
    ungrouped = emit.reshape(result, [*sizes[:-1], emit.size_of(value, -1)])
    return ungrouped, emit.reshape(weights, [*sizes[:-1], emit.size_of(key, -2)]) if with_weights else None


def _for_each_head(value: Tensor, query: Tensor) -> Any:
    """Keys or values with as many heads as the query, each repeated."""
    *lead, groups, rows, columns = emit.shape_of(value)
    heads, repeats = emit.size_of(query, -3), emit.dim_floordiv(emit.size_of(query, -3), groups)
    wide = emit.expand(emit.unsqueeze(value, len(lead) + 1), [*lead, groups, repeats, rows, columns])
    return emit.reshape(wide, [*lead, heads, rows, columns])


def _by_group(mask: Tensor, groups: Any) -> Tensor:
    """A mask with its axis of heads split in two."""
    if emit.rank_of(mask) < 3:
        return mask
    *lead, heads, rows, columns = emit.shape_of(mask)
    split = [1, 1] if isinstance(heads, int) and heads == 1 else [groups, emit.dim_floordiv(heads, groups)]
    return emit.reshape(mask, [*lead, *split, rows, columns])


@op("aten::_scaled_dot_product_attention_math")
def aten_scaled_dot_product_attention_math(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """``_scaled_dot_product_attention_math(Tensor query, Tensor key, Tensor value, ...) -> (Tensor, Tensor)``.

    The second result is the softmax. A boolean mask counts as the numbers 0 and 1, which are added.
    """
    attn_mask = None if attn_mask is None else emit.cast(attn_mask, emit.dtype_of(query))
    masks = [attn_mask, causal_mask(query, key) if is_causal else None]
    return attend(query, key, value, masks, scale, enable_gqa, dropout_p, with_weights=True)


@op("aten::_native_multi_head_attention")
def aten_native_multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim: int,
    num_head: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    mask: Tensor | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> Any:
    """``_native_multi_head_attention(Tensor query, Tensor key, Tensor value, ...) -> (Tensor, Tensor)``.

    The mask is True where a key does not count; a query with no key gives NaN, as in PyTorch. Without
    ``need_weights`` there is no second result.
    """
    queries, keys, values = _projected(query, key, value, embed_dim, num_head, qkv_weight, qkv_bias)
    masks = [] if mask is None else [_native_mask(mask, mask_type)]
    result, weights = emit.attention(
        queries, keys, values, masks, None, dead_rows_are_zero=False, with_weights=need_weights
    )
    batch, length = emit.size_of(query, 0), emit.size_of(query, 1)
    merged = emit.reshape(emit.permute(result, [0, 2, 1, 3]), [batch, length, embed_dim])
    output = emit.linear(merged, proj_weight, proj_bias)
    if not need_weights:
        return output, None
    if average_attn_weights:
        total = emit.reduce("AVG", emit.compute_in_float32(weights), [1], keepdim=False)
        weights = emit.cast(total, emit.dtype_of(query))
    return output, weights


@op("aten::_transformer_encoder_layer_fwd")
def aten_transformer_encoder_layer_fwd(
    src: Tensor,
    embed_dim: int,
    num_heads: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    use_gelu: bool,
    norm_first: bool,
    eps: float,
    norm_weight_1: Tensor,
    norm_bias_1: Tensor,
    norm_weight_2: Tensor,
    norm_bias_2: Tensor,
    ffn_weight_1: Tensor,
    ffn_bias_1: Tensor,
    ffn_weight_2: Tensor,
    ffn_bias_2: Tensor,
    mask: Tensor | None = None,
    mask_type: int | None = None,
) -> Any:
    """``_transformer_encoder_layer_fwd(Tensor src, int embed_dim, int num_heads, ...) -> Tensor``; ``(batch, L, C)``.

    It is what a scripted ``nn.TransformerEncoderLayer`` calls in eval mode; the mask is that of
    ``_native_multi_head_attention``.
    """
    last = [emit.rank_of(src) - 1]

    def attend_to_itself(value: Any) -> Any:
        weights = (qkv_weight, qkv_bias, proj_weight, proj_bias)
        return aten_native_multi_head_attention(
            value, value, value, embed_dim, num_heads, *weights, mask, need_weights=False, mask_type=mask_type
        )[0]

    def feed_forward(value: Any) -> Any:
        hidden = emit.linear(value, ffn_weight_1, ffn_bias_1)
        hidden = aten_gelu(hidden) if use_gelu else emit.activation("RELU", hidden)
        return emit.linear(hidden, ffn_weight_2, ffn_bias_2)

    result: Any = src
    for branch, weight, bias in (
        (attend_to_itself, norm_weight_1, norm_bias_1),
        (feed_forward, norm_weight_2, norm_bias_2),
    ):
        if norm_first:
            result = emit.elementwise("SUM", result, branch(emit.normalization(result, last, weight, bias, eps)))
        else:
            result = emit.normalization(emit.elementwise("SUM", result, branch(result)), last, weight, bias, eps)
    return result


def _projected(
    query: Tensor, key: Tensor, value: Tensor, width: int, heads: int, weight: Tensor, bias: Tensor
) -> list[Any]:
    """Queries, keys and values by head, of shape ``(batch, heads, length, width / heads)``."""
    batch = emit.size_of(query, 0)
    if query is key and key is value:
        packed = emit.linear(query, weight, bias)
        parts = emit.split_at(packed, 2, [width] * 3)
    else:
        weights = [_part(weight, index) for index in range(3)]
        biases = [_part(bias, index) for index in range(3)]
        parts = [emit.linear(*operands) for operands in zip((query, key, value), weights, biases, strict=True)]
    split = [emit.reshape(part, [batch, emit.size_of(part, 1), heads, width // heads]) for part in parts]
    return [emit.permute(part, [0, 2, 1, 3]) for part in split]


def _part(packed: Tensor, index: int) -> Tensor:
    if isinstance(packed, torch.Tensor):
        return derive(_third, packed, index)
    width = emit.size_of(packed, 0) // 3
    return emit.slice_axis(packed, 0, index * width, width)


def _third(packed: torch.Tensor, index: int) -> torch.Tensor:
    return packed.chunk(3)[index]


def _native_mask(mask: Tensor, mask_type: int | None) -> Tensor:
    """The mask, True where a key counts. Type 0 is ``(L, S)``, 1 is ``(batch, S)``, 2 is ``(batch, heads, L, S)``."""
    if isinstance(mask, torch.Tensor):
        kept = derive(torch.eq, mask, 0)
        return kept[:, None, None, :] if mask_type == 1 else kept
    kept = emit.logical_not(emit.logical(mask))
    return emit.unsqueeze(kept, [1, 2]) if mask_type == 1 else kept
