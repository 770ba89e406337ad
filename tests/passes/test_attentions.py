"""Attention written out as products around a softmax becomes one node; its masks and batches."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import torch2trt
from tests.passes.rewrites import check_rewrite, layer_types, users_handler

_GENERATOR = torch.Generator().manual_seed(0)
Q, K, V = (torch.randn(2, 3, length, 8, generator=_GENERATOR) for length in (4, 5, 5))
MASK = torch.randn(2, 1, 4, 5, generator=_GENERATOR)
HIDDEN = torch.zeros(4, 5).masked_fill(torch.ones(4, 5).triu(1).bool(), torch.finfo(torch.float32).min)
DEAD = torch.zeros(4, 5).index_fill(0, torch.tensor([1]), -math.inf)


def attend(q, k, v, *, scale=8**-0.5, mask=None, how="mul"):
    scores = q @ k.transpose(-2, -1)
    scores = scores * scale if how == "mul" else scores / (1 / scale) if how == "div" else scores
    if mask is not None:
        scores = scores + mask
    weights = nn.functional.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype)
    return weights @ v


FUNCTIONS = {
    "plain": (lambda q, k, v: attend(q, k, v), 1),
    "divided": (lambda q, k, v: attend(q, k, v, how="div"), 1),
    "no scale": (lambda q, k, v: attend(q, k, v, how="no"), 1),
    "known mask": (lambda q, k, v: attend(q, k, v, mask=HIDDEN), 1),
    "scaled query": (lambda q, k, v: torch.softmax((q * 0.3) @ k.mT, -1) @ v, 1),
    "key before its transpose": (lambda q, k, v: torch.softmax(q @ k.permute(0, 1, 3, 2), 3) @ v, 1),
    "two scales": (lambda q, k, v: torch.softmax(q @ k.mT * 0.5 / 3, -1) @ v, 1),
    "weights used": (lambda q, k, v: _and_weights(q, k, v), 0),
    "other axis": (lambda q, k, v: torch.softmax(q @ k.mT, -2) @ v, 0),
    "key broadcasts": (lambda q, k, v: torch.softmax(q @ k[:1].mT, -1) @ v, 0),
    "mask makes it larger": (lambda q, k, v: torch.softmax(q[:1] @ k[:1].mT + MASK, -1) @ v, 0),
    "alpha": (lambda q, k, v: torch.softmax(torch.add(q @ k.mT, HIDDEN, alpha=0.5), -1) @ v, 0),
}


def _and_weights(q, k, v):
    weights = torch.softmax(q @ k.mT, -1)
    return weights @ v, weights


@pytest.mark.parametrize("function, count", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_attention(function, count):
    check_rewrite("attention", function, (Q, K, V), count)


def test_a_query_without_keys_gives_nan():
    converted = torch2trt.convert(lambda q, k, v: attend(q, k, v, mask=DEAD), (Q, K, V))
    assert converted.graph.rewrites["attention"] == 1
    actual, expected = converted.evaluate(Q, K, V), attend(Q, K, V, mask=DEAD)
    torch.testing.assert_close(actual, expected, equal_nan=True)
    assert expected.isnan().any()


def test_a_hidden_key_stays_finite_in_half():
    """A row of the lowest float32 numbers is a uniform row, which minus infinity in half would make NaN."""
    mask = HIDDEN.clone()
    mask[2] = torch.finfo(torch.float32).min

    def function(q, k, v):
        return attend(q, k, v, mask=mask)

    converted = torch2trt.convert(function, (Q, K, V), precision="float16")
    torch.testing.assert_close(converted.evaluate(Q, K, V), function(Q, K, V), rtol=2e-2, atol=5e-3)


def test_attention_of_dynamic_sizes_and_a_mask_at_run_time():
    def function(q, k, v, mask):
        return attend(q, k, v, mask=mask)

    dynamic = {"q": {0: (1, 2, 4), 2: (1, 4, 8)}, "k": {0: (1, 2, 4), 2: (1, 5, 8)}}
    dynamic |= {"v": {0: (1, 2, 4), 2: (1, 5, 8)}, "mask": {0: (1, 2, 4), 2: (1, 4, 8), 3: (1, 5, 8)}}
    others = [(torch.randn(1, 3, 7, 8), torch.randn(1, 3, 6, 8), torch.randn(1, 3, 6, 8), torch.randn(1, 1, 7, 6))]
    converted = check_rewrite("attention", function, (Q, K, V, MASK), 1, dynamic=dynamic, others=others)
    assert layer_types(converted)["SHUFFLE"] == 0


@pytest.mark.parametrize("name", ["aten::softmax.int", "aten::transpose.int"])
def test_a_users_handler_of_a_part_of_attention_sees_it(name):
    with users_handler(name) as seen:
        converted = torch2trt.convert(lambda q, k, v: torch.softmax(q @ k.transpose(-2, -1), -1) @ v, (Q, K, V))
    assert len(seen) == 1 and converted.graph.rewrites["attention"] == 0


KEYS = torch.tensor([[True, True, True, False, True], [True, False, False, False, False]])[:, None, None]
TRUE = torch.ones(1, 1, 4, 1, dtype=torch.bool)


def masked(q, k, v, mask):
    return nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


MASKS = {
    "joined": (lambda q, k, v, keys: masked(q, k, v, TRUE & keys), 1),
    "joined and spread": (lambda q, k, v, keys: masked(q, k, v, (keys & TRUE).expand(2, 3, 4, 5)), 1),
    "logical": (lambda q, k, v, keys: masked(q, k, v, torch.logical_and(TRUE, keys)), 1),
    "of lower rank": (lambda q, k, v, keys: masked(q, k, v, keys[0, 0].expand(4, 5)), 1),
    "written out": (lambda q, k, v, keys: attend(q, k, v, mask=(~keys * -1e4).expand(2, 1, 4, 5)), 1),
    "not all True": (lambda q, k, v, keys: masked(q, k, v, (TRUE.cumsum(2) > 1) & keys), 0),
    "as it was": (lambda q, k, v, keys: masked(q, k, v, keys), 0),
}


@pytest.mark.parametrize("function, count", MASKS.values(), ids=MASKS.keys())
def test_masks(function, count):
    converted = torch2trt.convert(function, (Q, K, V, KEYS), optimize=["attention", "narrow_masks"])
    assert converted.graph.rewrites["narrow_masks"] == count
    torch.testing.assert_close(converted.evaluate(Q, K, V, KEYS), function(Q, K, V, KEYS))


WINDOWS = tuple(torch.randn(2, 3, 4, length, 8, generator=_GENERATOR) for length in (5, 6, 6))


@pytest.mark.parametrize(
    "shape, count",
    [
        ((5, 6), 1),
        ((4, 5, 6), 1),
        ((1, 1, 5, 6), 1),
        ((1, 1, 1, 5, 6), 1),
        ((2, 3, 1, 5, 6), 1),
        ((2, 3, 4, 1, 6), 1),
        ((3, 1, 5, 6), 0),
        ((1, 3, 1, 5, 6), 0),
        ((2, 1, 4, 5, 6), 0),
    ],
)
@pytest.mark.parametrize("boolean", [True, False])
def test_batches_of_attention_under_a_mask(shape, count, boolean):
    mask = torch.randn(shape, generator=_GENERATOR)
    inputs = (*WINDOWS, mask > -1 if boolean else mask)
    check_rewrite("batches_of_attention", nn.functional.scaled_dot_product_attention, inputs, count, half=False)


@pytest.mark.parametrize(
    "function, count",
    [
        (lambda q, k, v: nn.functional.scaled_dot_product_attention(q, k, v), 1),
        (lambda q, k, v: nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True), 1),
        (lambda q, k, v: nn.functional.scaled_dot_product_attention(q, k, v, scale=0.3), 1),
        (lambda q, k, v: nn.functional.scaled_dot_product_attention(q, k[:1], v), 0),
        (lambda q, k, v: nn.functional.scaled_dot_product_attention(q[0], k[0], v[0]), 0),
        (lambda q, k, v: nn.functional.scaled_dot_product_attention(q, k[..., :2, :, :], v, enable_gqa=True), 0),
    ],
)
def test_batches_of_attention(function, count):
    check_rewrite("batches_of_attention", function, WINDOWS, count)


@pytest.mark.parametrize("axes, count", [([0], 1), ([0, 1], 0), ([0, 3], 0), ([1], 0)])
def test_batches_of_attention_with_dynamic_sizes(axes, count):
    self_attention = lambda x: nn.functional.scaled_dot_product_attention(x, x * 0.5, x + 1)  # noqa: E731
    x = WINDOWS[0]
    other = x
    for axis in axes:
        other = torch.cat([other, other.narrow(axis, 0, 1)], axis)
    dynamic = {"x": {axis: (1, x.shape[axis], 8) for axis in axes}}
    check_rewrite("batches_of_attention", self_attention, (x,), count, dynamic=dynamic, others=[(other,)])


class OneWindow(nn.Module):
    """Windowed attention over one window, then a mean and a linear layer, as in the last stage of timm's Twins."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(64, 64), nn.LayerNorm(64), nn.Linear(64, 10)
        self.qkv, self.proj = nn.Linear(64, 192), nn.Linear(64, 64)

    def forward(self, x):
        x = self.first(x)
        windows = self.norm(x).view(1, 1, 7, 1, 7, 64).transpose(2, 3)
        query, key, value = self.qkv(windows).reshape(1, 1, 49, 3, 2, 32).permute(3, 0, 1, 4, 2, 5).unbind(0)
        attended = nn.functional.scaled_dot_product_attention(query, key, value)
        attended = attended.transpose(2, 3).reshape(1, 1, 1, 7, 7, 64).transpose(2, 3).reshape(1, 49, 64)
        return self.last((x + self.proj(attended)).mean(1))


def test_attention_of_one_window_builds_in_half_precision():
    converted = torch2trt.convert(OneWindow().eval(), (torch.randn(1, 49, 64),), precision="float16")
    assert memoryview(converted.serialize(optimization_level=0))
