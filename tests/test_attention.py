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


@pytest.fixture
def few_are_many(monkeypatch):
    """Runs of 2 queries where there are more than 4 of more than 3 heads of at most 8 features."""
    for name, number in {"_MOST_HEADS": 3, "_MOST_QUERIES": 4, "_RUN": 2, "_SLIM": 8}.items():
        monkeypatch.setattr(emission, name, number)


def softmax_shapes(converted):
    layers = [converted.network.get_layer(index) for index in range(converted.network.num_layers)]
    return [tuple(layer.get_output(0).shape) for layer in layers if layer.type.name == "SOFTMAX"]


RUNS = {  # the mask's shape, and the shape of the softmax, of 2 x 3 heads of 8 queries and 5 keys
    "no mask": (None, (4, 6, 2, 5)),
    "of keys": ((1, 5), (4, 6, 2, 5)),
    "of queries": ((8, 5), (4, 6, 2, 5)),
    "of each head": ((3, 8, 5), (8, 3, 2, 5)),
    "of each entry's keys": ((2, 1, 1, 5), (8, 3, 2, 5)),
    "of each entry": ((2, 1, 8, 5), (8, 3, 2, 5)),
    "of all": ((2, 3, 8, 5), (8, 3, 2, 5)),
}


@pytest.mark.parametrize("dtype", [torch.bool, torch.float16])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("name", RUNS)
def test_queries_in_runs(name, known, dtype, few_are_many):
    shape, softmax = RUNS[name]
    q, k, v = operands(2, 3, queries=8)
    masks = []
    if shape is not None:
        numbers = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        masks = [numbers > 0.3 if dtype == torch.bool else numbers.to(dtype)]
    function = (
        (lambda *tensors: scaled_dot_product_attention(*tensors, *masks)) if known else scaled_dot_product_attention
    )
    inputs = (q, k, v) if known else (q, k, v, *masks)
    converted = torch2trt.convert(function, inputs)
    assert softmax_shapes(converted) == [softmax]
    wide = [mask if mask.dtype == torch.bool else mask.float() for mask in masks]
    expected = scaled_dot_product_attention(q.float(), k.float(), v.float(), *wide)
    torch.testing.assert_close(converted.evaluate(*inputs).float(), expected, rtol=0, atol=3e-3)


def test_a_last_run_that_is_not_full(few_are_many):
    q, k, v = operands(2, 3, queries=7)
    mask = torch.tensor([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0]]).bool()[:, None, None]  # the second entry sees nothing
    converted = torch2trt.convert(scaled_dot_product_attention, (q, k, v, mask))
    assert softmax_shapes(converted) == [(8, 3, 2, 5)]
    expected = scaled_dot_product_attention(q.float(), k.float(), v.float(), mask)
    torch.testing.assert_close(converted.evaluate(q, k, v, mask).float(), expected, rtol=0, atol=3e-3)


IN_ONE = {
    "few heads": ((1, 3, 8, 5, 8), {}),
    "few queries": ((2, 3, 4, 5, 8), {}),
    "few keys": ((2, 3, 8, 4, 8), {}),
    "many features": ((2, 3, 8, 5, 16), {}),
    "rows of a mask that do not divide": ((2, 3, 7, 5, 8), {"rows": 7}),
    "any batch": ((2, 3, 8, 5, 8), {"dynamic": {f"input_{index}": {0: (1, 2, 4)} for index in range(3)}}),
    "float32": ((2, 3, 8, 5, 8), {"dtype": torch.float32}),
}


@pytest.mark.parametrize("name", IN_ONE)
def test_other_queries_are_in_one_run(name, few_are_many, monkeypatch):
    monkeypatch.setattr(emission, "_LONG", 100)
    (batch, heads, queries, keys, features), options = IN_ONE[name]
    dtype = options.get("dtype", torch.float16)
    inputs = [torch.randn(batch, heads, size, features).to(dtype) for size in (queries, keys, keys)]
    inputs += [torch.ones(options["rows"], keys).bool()] if "rows" in options else []
    converted = torch2trt.convert(scaled_dot_product_attention, tuple(inputs), dynamic_shapes=options.get("dynamic"))
    assert [shape[1:3] for shape in softmax_shapes(converted)] == [(heads, queries)]


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_one_query_under_a_mask_of_keys(dtype):
    q, k, v = operands(3, 2, dtype)
    q, mask = q[:, :, :1], torch.tensor([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]]).bool()[:, None, None]
    converted = torch2trt.convert(scaled_dot_product_attention, (q, k, v, mask))
    assert result_layer(converted) == "SELECT"  # else the builder of TensorRT for RTX 1.4 ends the process
    assert converted.serialize()
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
    # 2: what is negated
    {"causal": 1, "many scores": 0, "float32": 0, "bfloat16": 0, "a mask of the user's": 2, "none": 0}.items(),
    ids=lambda case: str(case),
)
def test_known_masks_of_few_scores_get_the_other_kernel(case, count, monkeypatch):
    monkeypatch.setattr(emission, "_FEW_SCORES", 6 * 2 * 6 * 5 - (case == "many scores"))
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}.get(case, torch.float16)
    q, k, v = operands(6, 2, dtype)
    mask = [torch.ones(6, 1, 1, 5).tril().bool()] if case.startswith("a mask") else []
    causal = case != "none" and not mask
    converted = torch2trt.convert(
        lambda *tensors: scaled_dot_product_attention(*tensors, is_causal=causal), (q, k, v, *mask)
    )
    assert layer_types(converted)["UNARY"] == count
    expected = scaled_dot_product_attention(q.float(), k.float(), v.float(), *mask, is_causal=causal)
    atol = 2e-2 if dtype == torch.bfloat16 else 3e-3
    torch.testing.assert_close(converted.evaluate(q, k, v, *mask).float(), expected, rtol=0, atol=atol)


def result_layer(converted):
    """The kind of the layer that gives the first output."""
    layers = [converted.network.get_layer(index) for index in range(converted.network.num_layers)]
    output = converted.network.get_output(0).name
    return next(layer.type.name for layer in layers if layer.get_output(0).name == output)
