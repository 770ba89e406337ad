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
def four_is_long(monkeypatch):
    monkeypatch.setattr(emission, "_LONG", 4)


def operands(batch, heads, dtype=torch.float16, queries=6):
    generator = torch.Generator().manual_seed(batch + heads)
    shapes = ((batch, heads, length, 8) for length in (queries, 5, 5))
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def products(converted):
    return layer_types(converted)["SOFTMAX"]


@pytest.mark.parametrize(("batch", "heads", "pieces"), [(1, 8, 1), (1, 10, 3), (2, 8, 4), (3, 5, 5), (5, 2, 1)])
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


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("heads", ["one mask", "a mask each"])
def test_what_no_key_counts_for_is_zero_under_masks_of_keys(dtype, heads):
    q, k, v = operands(3, 2, dtype)
    mask = torch.tensor([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]]).bool()[:, None, None]
    mask = mask if heads == "one mask" else mask.repeat(1, 2, 1, 1)
    converted = torch2trt.convert(scaled_dot_product_attention, (q, k, v, mask))
    assert result_layer(converted) == "MATRIX_MULTIPLY"  # the values are cleared, not the results
    actual, expected = converted.evaluate(q, k, v, mask).float(), scaled_dot_product_attention(q, k, v, mask).float()
    torch.testing.assert_close(actual, expected, rtol=0, atol=3e-3)
    assert not actual[1].any() and actual[0].any()


def test_what_no_key_counts_for_is_zero_under_masks_of_queries():
    q, k, v = operands(3, 2)
    mask = torch.ones(6, 5).bool()
    mask[3] = False
    converted = torch2trt.convert(scaled_dot_product_attention, (q, k, v, mask))
    assert result_layer(converted) == "SELECT"
    assert not converted.evaluate(q, k, v, mask)[:, :, 3].any()


@pytest.mark.parametrize(
    "case, count",
    {"causal": 1, "many scores": 0, "float32": 0, "a mask of the user's": 2, "none": 0}.items(),  # 2: what is negated
    ids=lambda case: str(case),
)
def test_known_masks_of_few_scores_get_the_other_kernel(case, count, monkeypatch):
    monkeypatch.setattr(emission, "_FEW_SCORES", 6 * 2 * 6 * 5 - (case == "many scores"))
    q, k, v = operands(6, 2, torch.float32 if case == "float32" else torch.float16)
    mask = [torch.ones(6, 1, 1, 5).tril().bool()] if case.startswith("a mask") else []
    causal = case != "none" and not mask
    converted = torch2trt.convert(
        lambda *tensors: scaled_dot_product_attention(*tensors, is_causal=causal), (q, k, v, *mask)
    )
    assert layer_types(converted)["UNARY"] == count
    expected = scaled_dot_product_attention(q.float(), k.float(), v.float(), *mask, is_causal=causal)
    torch.testing.assert_close(converted.evaluate(q, k, v, *mask).float(), expected, rtol=0, atol=3e-3)


def result_layer(converted):
    """The kind of the layer that gives the first output."""
    layers = [converted.network.get_layer(index) for index in range(converted.network.num_layers)]
    output = converted.network.get_output(0).name
    return next(layer.type.name for layer in layers if layer.get_output(0).name == output)
