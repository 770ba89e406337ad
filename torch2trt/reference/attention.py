"""Attention, rotary embedding, key-value cache and mixture of experts."""

from __future__ import annotations

import math

import torch

from ..errors import EvaluationError
from .quantize import ROUNDINGS
from .registry import LayerContext, Run, layer
from .types import FLOATING, widen


def _repeat_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Key or value heads repeated for grouped queries."""
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], 1)


def _apply_mask(scores: torch.Tensor, mask: torch.Tensor | None, causal: str) -> torch.Tensor:
    """Scores with what may not be attended to at minus infinity (NvInfer.h, IAttention and CausalMaskKind)."""
    if mask is not None:
        return scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask.to(scores.dtype)
    if causal == "NONE":
        return scores
    queries, keys = scores.shape[-2:]
    shift = keys - queries if causal == "LOWER_RIGHT" else 0
    allowed = torch.ones(queries, keys, dtype=torch.bool, device=scores.device).tril(shift)
    return scores.masked_fill(~allowed, -math.inf)


@layer("ATTENTION_INPUT")
def attention_input(context: LayerContext) -> Run:
    """``IAttention``: ``norm(query key^T + mask) value`` for [batch, heads, tokens, width]; no scaling of its own.

    Fewer key and value heads than query heads serve as groups. The mask is BOOL, true where attending is allowed, or is
    added. The normalised scores may be quantised with a scale.
    """
    node = context.layer.attention
    context.require_dtype(0, *FLOATING)
    context.require_same_dtype(0, 1, 2)
    if any(context.has_input(i) for i in (5, 6)):
        raise context.error("the evaluator computes padded attention only: lengths are set")
    kind = getattr(node, "causal_kind", None)
    causal = kind.name if kind is not None else ("UPPER_LEFT" if node.causal else "NONE")
    norm = node.norm_op.name
    rounding = ROUNDINGS.get(node.normalization_quantize_to_type.name) if context.has_input(4) else None
    held = context.outputs[0].held

    def run(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None = None,
        scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        heads = query.shape[1]
        key, value = _repeat_heads(key, heads), _repeat_heads(value, heads)
        scores = _apply_mask(torch.matmul(widen(query), widen(key).transpose(-2, -1)), mask, causal)
        weights = torch.softmax(scores, -1) if norm == "SOFTMAX" else scores
        if rounding is not None and scale is not None:
            factor = scale.to(weights.dtype).reshape(())
            weights = rounding(weights / factor).to(weights.dtype) * factor
        return torch.matmul(weights, widen(value)).to(held)

    return run


@layer("ATTENTION_OUTPUT")
def attention_output(context: LayerContext) -> Run:
    """The end of an ``IAttention``: its input layer has computed all of it."""
    return lambda x: x


@layer("ROTARY_EMBEDDING")
def rotary_embedding(context: LayerContext) -> Run:
    """``IRotaryEmbeddingLayer``: rotates pairs of x [batch, heads, tokens, width] by cached angles.

    The caches are [batch, tokens, width / 2], or [positions, width / 2] indexed by input 3 [batch, tokens]. Pairs are
    neighbours when interleaved, else halves of the rotated width; the width beyond ``rotary_embedding_dim`` stays.
    """
    interleaved, limit = context.layer.interleaved, context.layer.rotary_embedding_dim
    context.require_dtype(0, *FLOATING)
    context.require_same_dtype(0, 1, 2)

    def run(
        x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor, places: torch.Tensor | None = None
    ) -> torch.Tensor:
        if places is not None:
            cosine, sine = cosine[places.long()], sine[places.long()]
        width = limit or x.shape[-1]
        turned, rest = widen(x[..., :width]), x[..., width:]
        cosine, sine = (widen(cache[..., : width // 2]).unsqueeze(1) for cache in (cosine, sine))
        first, second = (turned[..., ::2], turned[..., 1::2]) if interleaved else turned.chunk(2, -1)
        real, imaginary = first * cosine - second * sine, first * sine + second * cosine
        if interleaved:
            turned = torch.stack((real, imaginary), -1).flatten(-2)
        else:
            turned = torch.cat((real, imaginary), -1)
        return torch.cat((turned.to(x.dtype), rest), -1)

    return run


@layer("KV_CACHE_UPDATE")
def kv_cache_update(context: LayerContext) -> Run:
    """``IKVCacheUpdateLayer``, LINEAR: ``output[i, :, write[i] + s] = update[i, :, s]``, in a copy of the cache.

    Raises:
        EvaluationError: a write leaves the cache.
    """
    if context.layer.cache_mode.name != "LINEAR":
        raise context.error(f"unknown cache mode {context.layer.cache_mode.name}")
    if context.has_input(3):
        raise context.error("the evaluator updates padded caches only: update lengths are set")
    context.require_dtype(0, *FLOATING)
    context.require_same_dtype(0, 1)

    def run(cache: torch.Tensor, update: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
        result, length = cache.clone(), update.shape[2]
        for i, start in enumerate(starts.tolist()):
            if start < 0 or start + length > cache.shape[2]:
                raise EvaluationError(f"writing {length} tokens at {start} leaves a cache of {cache.shape[2]}")
            result[i, :, start : start + length] = update[i]
        return result

    return run


@layer("MOE")
def mixture_of_experts(context: LayerContext) -> Run:
    """``IMoELayer`` without quantisation: ``sum of score * down(up(x) * silu(gate(x)))`` over each token's experts.

    Inputs: x [B, S, H], experts [B, S, K], scores [B, S, K], then gate, up [E, H, I] and down [E, I, H], then their
    biases, all or none. SwiGLU's limit clamps gate from above and up both ways, alpha scales the sigmoid's argument,
    beta is added to up (NvInfer.h, IMoELayer).
    """
    node = context.layer
    if node.quantization_to_type.name != "FLOAT":
        raise context.error(f"the evaluator computes no MoE quantised to {node.quantization_to_type.name}")
    if node.activation_type.name not in ("SILU", "NONE"):
        raise context.error(f"unknown activation {node.activation_type.name}")
    silu = node.activation_type.name == "SILU"
    limit, alpha, beta = node.swiglu_param_limit, node.swiglu_param_alpha, node.swiglu_param_beta

    def expert(x: torch.Tensor, number: int, weights: tuple[torch.Tensor, ...]) -> torch.Tensor:
        def project(values: torch.Tensor, place: int) -> torch.Tensor:
            product = values @ widen(weights[place][number])
            return product + widen(weights[place + 3][number]) if len(weights) > 3 else product

        gate, up = project(x, 0).clamp(max=limit), project(x, 1).clamp(-limit, limit)
        gated = gate * torch.sigmoid(alpha * gate) if silu else gate
        return project((up + beta) * gated, 2)

    def run(x: torch.Tensor, experts: torch.Tensor, scores: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        tokens = widen(x).reshape(-1, x.shape[-1])
        chosen, shares = experts.reshape(len(tokens), -1), widen(scores).reshape(len(tokens), -1)
        result = torch.zeros_like(tokens)
        for number in chosen.unique().tolist():
            rows, columns = torch.nonzero(chosen == number, as_tuple=True)
            result.index_add_(0, rows, expert(tokens[rows], number, weights) * shares[rows, columns, None])
        return result.reshape(x.shape).to(x.dtype)

    return run
