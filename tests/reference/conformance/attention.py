"""Attention, rotary embedding, key-value cache update and mixture of experts."""

from __future__ import annotations

import math
from typing import Any

import torch

from torch2trt.trt_compat import trt

from .case import TOLERANCES, Case, Net, short, sizes
from .rows import BF16, BOOL, F16, F32, HALVES, I32, coarse, data, wide


def attention_case(
    label: str,
    query: tuple[int, ...],
    key: tuple[int, ...],
    *,
    dtype: torch.dtype = F16,
    causal: bool = False,
    mask: str = "",
    norm: str = "SOFTMAX",
    **more: Any,
) -> Case:
    tensors = [coarse(f"{label}{i}", shape, dtype, -1, 1) for i, shape in enumerate((query, key, key))]
    limit = None
    if mask:
        shape = (query[0], 1, query[2], key[2])
        limit = data(label + "m", shape, BOOL if mask == "bool" else dtype, -2, 2)
        if mask == "bool":
            limit[..., 0] = True  # every query may attend to something

    def build(net: Net) -> None:
        inputs = [net.input(t, name=name) for t, name in zip(tensors, "qkv", strict=True)]
        layer = net.network.add_attention(*inputs, getattr(trt.AttentionNormalizationOp, norm), causal)
        layer.decomposable = True
        if limit is not None:
            layer.mask = net.input(limit, name="mask")
        net.output(layer.get_output(0))

    def expected(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, m: Any = None) -> torch.Tensor:
        repeat = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k)
        if causal:
            later = torch.arange(k.shape[2])[None, :] > torch.arange(q.shape[2])[:, None]
            scores = torch.where(later, -math.inf, scores)
        if m is not None:
            scores = torch.where(m, scores, -math.inf) if m.dtype == BOOL else scores + m
        weights = torch.softmax(scores, -1) if norm == "SOFTMAX" else scores
        return torch.einsum("bhqk,bhkd->bhqd", weights, v)

    return Case(f"attention-{label}-{sizes(query)}-{sizes(key)}-{short(dtype)}", build, wide(expected), **more)


Q, K, GROUPED = (2, 4, 6, 16), (2, 4, 8, 16), (2, 2, 8, 16)

ATTENTIONS = [
    *(attention_case("plain", Q, K, dtype=dtype) for dtype in HALVES),
    # The softmax's results are rounded to TF32, which has float16's significand, before they meet the values.
    attention_case("plain", Q, K, dtype=F32, tolerance=TOLERANCES[F16]),
    *(attention_case("causal", Q, Q, dtype=dtype, causal=True) for dtype in HALVES),
    attention_case("causal_longer_keys", Q, K, causal=True),
    attention_case("bool_mask", Q, K, mask="bool"),
    # Decomposed, an engine keeps scores, masked scores and weights in float16: done so by hand it is 2.1e-3 off.
    attention_case("added_mask", Q, K, mask="added", tolerance=4e-3),
    attention_case("grouped", Q, GROUPED),
    attention_case("grouped_causal", (1, 4, 8, 32), (1, 1, 8, 32), causal=True),
    attention_case(
        "no_norm", Q, K, norm="NONE", known="the engine applies softmax; NvInfer.h: kNONE applies no normalization"
    ),
]


def rotary_case(
    label: str,
    shape: tuple[int, ...],
    *,
    interleaved: bool = False,
    width: int = 0,
    places: bool = False,
    dtype: torch.dtype = F32,
) -> Case:
    batch, _, tokens, full = shape
    half = (width or full) // 2
    x = data(label, shape, dtype)
    caches = (16, half) if places else (batch, tokens, half)
    angles = data(label + "a", caches, F32, -3, 3)
    index = data(label + "p", (batch, tokens), torch.int64, 0, 16)

    def build(net: Net) -> None:
        cosine, sine = net.input(angles.cos().to(dtype), name="cos"), net.input(angles.sin().to(dtype), name="sin")
        layer = net.network.add_rotary_embedding(net.input(x, name="x"), cosine, sine, interleaved, width)
        if places:
            layer.set_input(3, net.input(index, name="places"))
        net.output(layer.get_output(0))

    def expected(c: torch.Tensor, s: torch.Tensor, v: torch.Tensor, at: Any = None) -> torch.Tensor:
        result = v.clone()
        for b in range(batch):
            for t in range(tokens):
                row = (c[at[b, t]], s[at[b, t]]) if at is not None else (c[b, t], s[b, t])
                for k in range(half):
                    i, j = (2 * k, 2 * k + 1) if interleaved else (k, k + half)
                    first, second = v[b, :, t, i], v[b, :, t, j]
                    result[b, :, t, i] = first * row[0][k] - second * row[1][k]
                    result[b, :, t, j] = first * row[1][k] + second * row[0][k]
        return result

    return Case(f"rotary_embedding-{label}-{sizes(shape)}-{short(dtype)}", build, wide(expected))


def cache_case(starts: list[int], length: int, dtype: torch.dtype) -> Case:
    cache, update = data("cache", (2, 3, 8, 4), dtype), data("update", (2, 3, length, 4), dtype)
    at = torch.tensor(starts, dtype=I32)

    def build(net: Net) -> None:
        layer = net.network.add_kv_cache_update(
            net.input(cache, name="cache"),
            net.input(update, name="update"),
            net.input(at, name="at"),
            trt.KVCacheMode.LINEAR,
        )
        net.output(layer.get_output(0))

    def expected(c: torch.Tensor, u: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        result = c.clone()
        for i, start in enumerate(w.tolist()):
            for s in range(length):
                result[i, :, start + s, :] = u[i, :, s, :]
        return result

    return Case(f"kv_cache_update-{starts[0]}.{starts[1]}-length{length}-{short(dtype)}", build, expected)


CASES = [
    *ATTENTIONS,
    rotary_case("halves", (2, 3, 5, 8)),
    rotary_case("interleaved", (2, 3, 5, 8), interleaved=True),
    rotary_case("partial", (2, 3, 5, 8), width=4),
    rotary_case("partial_interleaved", (2, 3, 5, 8), width=4, interleaved=True),
    rotary_case("positions", (2, 3, 5, 8), places=True),
    *(rotary_case("halves", (2, 3, 5, 8), dtype=dtype) for dtype in (F16, BF16)),
    cache_case([2, 0], 3, F16),
    cache_case([7, 4], 1, F16),
    cache_case([2, 0], 3, F32),
    cache_case([5, 1], 2, BF16),
]
