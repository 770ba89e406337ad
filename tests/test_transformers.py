"""Architectures of Hugging Face transformers, small and with random weights; skipped where it is not installed.

Each converts, gives eager's result at the traced size and at two that were not traced, and builds an engine, all
without a GPU.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import pytest
import torch

import torch2trt
from tests import transformer_models
from tests.transformer_models import FAST, SLOW, Row
from torch2trt import structure

transformers = pytest.importorskip("transformers")
TOLERANCE = 1e-4


def load(row: Row, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    module, _, name = row.model.rpartition(".")
    owner = importlib.import_module(f"transformers.models.{module}") if module else transformers
    cls = getattr(owner, name)
    torch.manual_seed(0)
    options = {} if row.implementation is None else {"attn_implementation": row.implementation}
    return cls._from_config(cls.config_class(**row.config), **options).eval().to(dtype)


def dynamic_shapes(row: Row) -> dict[str, dict[int, Any]]:
    """Ranges over the row's sizes, one name for all batch axes and one for all lengths."""
    ranges = {}
    for letter, place in (("b", 0), ("l", 1)):
        sizes = [pair[place] for pair in (row.sizes, *row.others)]
        ranges[letter] = (letter, min(sizes), row.sizes[place], max(sizes))
    return {
        name: {axis: ranges[letter] for axis, letter in enumerate(letters) if letter in ranges}
        for name, letters in row.axes.items()
    }


def relative_error(actual: Any, expected: Any) -> float:
    """The largest over the outputs, which must be nested alike; infinities must be in the same places."""
    found, nesting = structure.flatten(actual)
    wanted, expected_nesting = structure.flatten(expected)
    assert nesting == expected_nesting
    worst = 0.0
    for left, right in zip(found, wanted, strict=True):
        assert left.shape == right.shape and left.dtype == right.dtype
        finite = right.isfinite()
        assert torch.equal(left.isfinite(), finite)
        scale = right[finite].abs().max().item()
        assert scale > 1e-6, "an output of zeros shows nothing"
        worst = max(worst, (left[finite].double() - right[finite].double()).abs().max().item() / scale)
    return worst


def check(row: Row, dtype: torch.dtype = torch.float32, tolerance: float = TOLERANCE) -> None:
    model = load(row, dtype)

    def make(sizes: tuple[int, int]) -> dict[str, Any]:
        inputs = row.make(*sizes)
        return {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = torch2trt.convert(model, {**make(row.sizes), **row.call}, dynamic_shapes=dynamic_shapes(row))
        for sizes in (row.sizes, *row.others):
            inputs = make(sizes)
            error = relative_error(converted.evaluate(**inputs, **row.call), model(**inputs, **row.call))
            assert error <= tolerance, f"relative error {error:.1e} at batch and length {sizes}"
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
    model = load(transformer_models.ROWS["llama"])

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
