"""Attention."""

import math

import torch
from torch import nn

from tests.harness import Case, rand

_sdpa = nn.functional.scaled_dot_product_attention
_aten = torch.ops.aten
_Q, _K = (2, 3, 4, 8), (2, 3, 5, 8)


def _qkv(query=_Q, key=_K, value=None, **options):
    return (rand(*query, **options), rand(*key, **options), rand(*(value or key), **options))


def _holes(*shape, dead=False):
    mask = rand(*shape, dtype=torch.bool)
    mask[..., 0] = True
    if dead:
        mask[..., 1, :] = False
    return mask


def _added(mask):
    return torch.zeros(mask.shape).masked_fill(~mask, -math.inf) + 0.25 * mask


def _with_mask(mask):
    return lambda q, k, v: _sdpa(q, k, v, mask)


class _FusedAttention(nn.Module):
    """The op that nn.MultiheadAttention calls in eval mode; the tracer is kept from it there."""

    def __init__(self, weights=False, average=True, mask=None, mask_type=None):
        super().__init__()
        torch.manual_seed(0)
        inner = nn.MultiheadAttention(8, 2, batch_first=True)
        self.packed = nn.Parameter(inner.in_proj_weight.detach().clone())
        self.packed_bias = nn.Parameter(torch.rand(24))
        self.out = nn.Linear(8, 8)
        self.options = (weights, average, mask_type)
        self.mask = mask
        self.eval()

    def forward(self, x, y=None, mask=None):
        y = x if y is None else y
        mask = self.mask if mask is None else mask
        weights = (self.packed, self.packed_bias, self.out.weight, self.out.bias)
        result = torch._native_multi_head_attention(x, y, y, 8, 2, *weights, mask, *self.options)
        return result if self.options[0] else result[0]


class _FusedLayer(nn.Module):
    """The op that a scripted nn.TransformerEncoderLayer calls in eval mode."""

    def __init__(self, mask=None, mask_type=None, **options):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, **options)
        self.options = options
        self.mask, self.mask_type = mask, mask_type
        self.eval()

    def forward(self, x):
        layer, inner = self.layer, self.layer.self_attn
        return torch._transformer_encoder_layer_fwd(
            x,
            8,
            2,
            inner.in_proj_weight,
            inner.in_proj_bias,
            inner.out_proj.weight,
            inner.out_proj.bias,
            self.options.get("activation") == "gelu",
            self.options.get("norm_first", False),
            1e-5,
            *(layer.norm1.weight, layer.norm1.bias, layer.norm2.weight, layer.norm2.bias),
            *(layer.linear1.weight, layer.linear1.bias, layer.linear2.weight, layer.linear2.bias),
            self.mask,
            self.mask_type,
        )


_TOKENS = torch.randn(3, 2, 5, 8, generator=torch.Generator().manual_seed(3))


def _dynamic(name, function, *lengths, **others):
    """A row whose batch and number of tokens are dynamic, at (batch, tokens) pairs; the first is traced."""

    def inputs(batch, tokens):
        return {"q": rand(batch, 3, tokens, 8), "k": rand(batch, 3, tokens, 8), "v": rand(batch, 3, tokens, 8)}

    axes = {0: (1, 2, 8), 2: (1, 4, 16)}
    return Case(
        name,
        function,
        inputs(*lengths[0]),
        dynamic=dict.fromkeys("qkv", axes),
        others=[inputs(*length) for length in lengths[1:]],
        **others,
    )


CASES = [
    Case("sdpa", _sdpa, _qkv()),
    Case(
        "encoder-layer",
        _FusedLayer(),
        {"x": _TOKENS[0]},
        {"x": {0: (1, 2, 4), 1: (2, 5, 9)}},
        [{"x": _TOKENS[1, :1, :3]}, {"x": _TOKENS[2]}],
    ),
    Case("encoder-layer-norm-first", _FusedLayer(norm_first=True, activation="gelu"), _TOKENS[0]),
    Case("encoder-layer-half", _FusedLayer().half(), _TOKENS[0].half(), rtol=5e-3, atol=5e-3),
    Case("encoder-layer-mask", _FusedLayer(torch.ones(5, 5).triu(1).bool(), 0), _TOKENS[0]),
    Case("encoder-layer-padding", _FusedLayer(torch.arange(5).expand(2, 5) > torch.tensor([[2], [4]]), 1), _TOKENS[0]),
    Case("sdpa-3d", _sdpa, _qkv((3, 4, 8), (3, 5, 8), (3, 5, 6))),
    Case("sdpa-2d", _sdpa, _qkv((4, 8), (5, 8))),
    Case("sdpa-broadcast", _sdpa, _qkv((2, 3, 4, 8), (1, 3, 5, 8), (2, 1, 5, 8))),
    Case("sdpa-scale", lambda q, k, v: _sdpa(q, k, v, scale=0.3), _qkv()),
    Case("sdpa-causal", lambda q, k, v: _sdpa(q, k, v, is_causal=True), _qkv()),
    Case("sdpa-causal-wide", lambda q, k, v: _sdpa(q, k, v, is_causal=True), _qkv((2, 3, 6, 8), (2, 3, 4, 8))),
    Case("sdpa-half", _sdpa, _qkv(dtype=torch.float16)),
    Case("sdpa-bfloat16", lambda q, k, v: _sdpa(q, k, v, is_causal=True), _qkv(dtype=torch.bfloat16)),
    # Products that half precision barely holds; layer by layer they are rounded, unlike in eager.
    Case("sdpa-large-half", lambda q, k, v: _sdpa(q * 40, k * 40, v), _qkv(dtype=torch.float16), rtol=2e-2),
    Case("sdpa-mask", _sdpa, (*_qkv(), _holes(2, 1, 4, 5))),
    Case("sdpa-mask-row", _sdpa, (*_qkv(), _holes(2, 1, 1, 5))),
    Case("sdpa-mask-dead", _sdpa, (*_qkv(), _holes(4, 5, dead=True))),
    Case("sdpa-mask-added", _sdpa, (*_qkv(), _added(_holes(2, 3, 4, 5, dead=True)))),
    Case("sdpa-mask-known", _with_mask(_holes(4, 5)), _qkv()),
    Case("sdpa-mask-known-dead", _with_mask(_holes(4, 5, dead=True)), _qkv()),
    Case("sdpa-mask-known-added", _with_mask(_added(_holes(4, 5))), _qkv()),
    Case("sdpa-mask-and-causal", lambda q, k, v, m: _sdpa(q, k, v, m, is_causal=True), (*_qkv(), _holes(4, 5))),
    Case(
        "sdpa-added-and-causal", lambda q, k, v, m: _sdpa(q, k, v, m, is_causal=True), (*_qkv(), _added(_holes(4, 5)))
    ),
    Case("sdpa-grouped", lambda q, k, v: _sdpa(q, k, v, enable_gqa=True), _qkv((2, 6, 4, 8), (2, 2, 5, 8))),
    Case(
        "sdpa-grouped-masks",
        lambda q, k, v, m, n, o: tuple(_sdpa(q, k, v, x, enable_gqa=True) for x in (m, n, o)),
        (*_qkv((2, 6, 4, 8), (2, 2, 5, 8)), _holes(4, 5), _holes(2, 1, 4, 5), _holes(2, 6, 4, 5)),
    ),
    Case(
        "sdpa-grouped-apart",
        lambda q, k, v: (_sdpa(q, k, v, enable_gqa=True), _sdpa(q, v[..., :8], k, is_causal=True, enable_gqa=True)),
        (rand(2, 6, 4, 8), rand(2, 2, 5, 8), rand(2, 3, 5, 9)),
    ),
    Case("sdpa-ungrouped", lambda q, k, v: _sdpa(q, k, v, enable_gqa=True), _qkv()),
    _dynamic("sdpa-dynamic", lambda q, k, v: _sdpa(q, k, v), (2, 4), (1, 7), (5, 1)),
    _dynamic("sdpa-causal-dynamic", lambda q, k, v: _sdpa(q, k, v, is_causal=True), (2, 4), (1, 7), (5, 1)),
    _dynamic(
        "sdpa-grouped-dynamic", lambda q, k, v: _sdpa(q, k[:, :1], v[:, :1], enable_gqa=True), (2, 4), (1, 7), (5, 1)
    ),
    Case("sdpa-math", lambda q, k, v, m: _aten._scaled_dot_product_attention_math(q, k, v, m), (*_qkv(), _holes(4, 5))),
    Case(
        "sdpa-math-causal",
        lambda q, k, v: _aten._scaled_dot_product_attention_math(q, k, v, is_causal=True),
        _qkv(),
    ),
    Case("mha", _FusedAttention(), rand(2, 5, 8)),
    Case("mha-half", _FusedAttention().half(), rand(2, 5, 8, dtype=torch.float16)),
    Case("mha-weights", _FusedAttention(True), rand(2, 5, 8)),
    Case("mha-head-weights", _FusedAttention(True, False), rand(2, 5, 8)),
    Case("mha-mask", _FusedAttention(mask=~_holes(5, 5), mask_type=0), rand(2, 5, 8)),
    Case("mha-padding", _FusedAttention(True, mask=~_holes(2, 5), mask_type=1), rand(2, 5, 8)),
    Case(
        "mha-padding-all",
        _FusedAttention(mask=torch.tensor([[True] * 5, [False] * 5]), mask_type=1),
        rand(2, 5, 8),
    ),
    Case("mha-both-masks", _FusedAttention(mask=~_holes(2, 2, 5, 5), mask_type=2), rand(2, 5, 8)),
    Case("mha-cross", _FusedAttention(True, False, mask_type=1), (rand(2, 5, 8), rand(2, 5, 8), ~_holes(2, 5))),
    Case(
        "mha-dynamic",
        _FusedAttention(True),
        {"x": rand(2, 5, 8)},
        dynamic={"x": {0: (1, 2, 8), 1: (1, 5, 16)}},
        others=[{"x": rand(1, 7, 8)}, {"x": rand(3, 2, 8)}],
    ),
    Case(
        "sdpa-dynamic-features",
        lambda x: nn.functional.scaled_dot_product_attention(x, x * 2, x),
        {"x": rand(2, 3, 5, 4)},
        dynamic={"x": {3: (1, 4, 9)}},
        others=[{"x": rand(2, 3, 5, 9)}, {"x": rand(2, 3, 5, 1)}],
    ),
]
