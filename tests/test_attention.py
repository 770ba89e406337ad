"""How attention is laid out where TensorRT's kernel for all heads at once is slow."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

import torch2trt
from tests.passes.rewrites import layer_types
from torch2trt import trt_compat

emission = importlib.import_module("torch2trt.emit.attention")

pytestmark = pytest.mark.skipif(
    not (trt_compat.is_available() and trt_compat.is_rtx()), reason="the slow kernel is TensorRT for RTX's"
)


@pytest.fixture(autouse=True)
def four_are_many(monkeypatch):
    monkeypatch.setattr(emission, "_LONG", 4)


def operands(batch, heads, dtype=torch.float16, queries=6):
    generator = torch.Generator().manual_seed(batch + heads)
    shapes = ((batch, heads, length, 8) for length in (queries, 5, 5))
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def products(converted):
    return layer_types(converted)["SOFTMAX"]


@pytest.mark.parametrize(
    ("batch", "heads", "pieces"), [(1, 8, 1), (1, 12, 2), (2, 8, 2), (3, 5, 3), (8, 2, 2), (9, 2, 1)]
)
@pytest.mark.parametrize("mask", [None, (1, 1, 1, 5), (6, 5), (1, 6, 5), "heads"])
def test_heads_in_pieces(batch, heads, pieces, mask):
    q, k, v = operands(batch, heads)
    given = [] if mask is None else [torch.ones((batch, heads, 6, 5) if mask == "heads" else mask).tril().bool()]
    converted = torch2trt.convert(scaled_dot_product_attention, (q, k, v, *given))
    assert products(converted) == pieces
    expected = scaled_dot_product_attention(q.float(), k.float(), v.float(), *given)
    torch.testing.assert_close(converted.evaluate(q, k, v, *given).float(), expected, rtol=0, atol=3e-3)


@pytest.mark.parametrize("options", [{"dtype": torch.float32}, {"queries": 3}], ids=["in float32", "of few queries"])
def test_others_stay_whole(options):
    assert products(torch2trt.convert(scaled_dot_product_attention, tuple(operands(2, 8, **options)))) == 1


def test_unknown_sizes_stay_whole():
    q, k, v = operands(2, 8)
    sizes = {f"input_{index}": {0: (1, 2, 4)} for index in range(3)}
    assert products(torch2trt.convert(scaled_dot_product_attention, (q, k, v), dynamic_shapes=sizes)) == 1
