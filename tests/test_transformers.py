"""Architectures of Hugging Face transformers, small and with random weights; skipped where it is not installed.

Each converts, gives eager's result at the traced size and at two that were not traced, and builds an engine, all
without a GPU.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

import torch2trt
from tests.transformer_models import FAST, ROWS, SLOW, Row, load, measure, relative_error

pytest.importorskip("transformers")
TOLERANCE = 1e-4


def check(row: Row) -> None:
    error, converted = measure(row)
    assert error <= TOLERANCE, f"relative error {error:.1e}"
    assert converted.serialize(optimization_level=0)


@pytest.mark.parametrize("row", FAST, ids=lambda row: row.name)
def test_family(row: Row) -> None:
    check(row)


@pytest.mark.slow
@pytest.mark.parametrize("row", SLOW, ids=lambda row: row.name)
def test_other(row: Row) -> None:
    check(row)


def test_a_step_with_a_cache() -> None:
    """The cache of keys and values that a model gives is an input of the next step, of any length."""
    model = load(ROWS["llama"])

    def make(length: int) -> dict[str, Any]:
        cache = model(torch.randint(3, 90, (1, length))).past_key_values
        return {"input_ids": torch.randint(3, 90, (1, 1)), "past_key_values": cache}

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = [f"past_key_values_layers_{layer}_{kind}" for layer in (0, 1) for kind in ("keys", "values")]
        sizes = {name: {2: ("past", 2, 6, 16)} for name in names}
        converted = torch2trt.convert(model, make(6), dynamic_shapes=sizes)
        assert converted.input_names == ["input_ids", *names]
        for length in (6, 3, 16):
            inputs = make(length)
            actual = converted.evaluate(**inputs)  # first: the model writes to the cache
            assert actual.past_key_values.get_seq_length() == length + 1
            assert relative_error(actual, model(**inputs)) <= TOLERANCE
    assert converted.serialize(optimization_level=0)
