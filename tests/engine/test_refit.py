"""What a refit decides before it needs a GPU; the rest is in test_engine_gpu.py."""

from __future__ import annotations

import json

import pytest
import torch

import torch2trt
from torch2trt.engine import refit as refitting
from torch2trt.engine.refit import StoredWeights, read_state, weights_of_state
from torch2trt.errors import EngineError, InputError
from torch2trt.weights import Origin, WeightMap

CPU = torch.device("cpu")


def weight_map():
    """``direct`` is an entry as float16, ``folded`` the product of two, ``bias`` an entry as it is."""
    return WeightMap(
        origins={
            "direct": Origin(key="a"),
            "folded": Origin(function=torch.mul, inputs=(Origin(key="a"), Origin(key="b"))),
            "bias": Origin(key="c"),
        },
        finish={
            "direct": ((2, 3), torch.float16),
            "folded": ((2, 3), torch.float32),
            "bias": ((4,), torch.float32),
        },
    )


def state():
    return {"a": torch.randn(2, 3), "b": torch.randn(2, 3), "c": torch.randn(4)}


SHAPES = {"a": (2, 3), "b": (2, 3), "c": (4,), "unused": (7,)}


def test_weights_are_computed():
    given = state()
    found = weights_of_state(given, weight_map(), SHAPES, CPU, partial=False)
    assert set(found) == {"direct", "folded", "bias"}
    assert torch.equal(found["direct"], given["a"].half())
    assert torch.equal(found["folded"], given["a"] * given["b"])
    assert torch.equal(found["bias"], given["c"])


def test_entries_that_the_network_does_not_use_are_passed_over():
    given = {**state(), "unused": torch.randn(7)}
    assert set(weights_of_state(given, weight_map(), SHAPES, CPU, partial=False)) == {"direct", "folded", "bias"}
    assert set(weights_of_state(given, weight_map(), None, CPU, partial=False)) == {"direct", "folded", "bias"}


def test_the_whole_state_dict_of_a_module_fits():
    """Batch norm counts its batches in a buffer that no trace has."""
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3)).eval()
    converted = torch2trt.convert(module, torch.randn(1, 2, 4, 4))
    state, shapes = module.state_dict(), converted.bundle().state_shapes
    assert "1.num_batches_tracked" in shapes and set(shapes) == set(state)
    assert weights_of_state(state, converted.weights, shapes, CPU, partial=False)


def test_only_what_is_used_is_moved():
    class Source:
        def keys(self):
            return {"a"}

        def compute(self, state_dict, *, partial=False):
            return dict(state_dict)

    assert set(weights_of_state(state(), Source(), SHAPES, CPU, partial=False)) == {"a"}


def test_all_that_does_not_fit_is_listed_at_once():
    given = {"a": torch.randn(3, 2), "c": torch.randn(4), "unused": torch.randn(6), "other": torch.randn(1)}
    with pytest.raises(InputError) as caught:
        weights_of_state(given, weight_map(), SHAPES, CPU, partial=False)
    text = str(caught.value)
    assert "b is missing" in text
    assert "other is no entry of the module" in text
    assert "a has shape [3, 2] instead of [2, 3]" in text
    assert "unused has shape [6] instead of [7]" in text
    assert "c " not in text.replace("\n", " ")


def test_misshaped_without_known_shapes():
    with pytest.raises(InputError, match=r"bias: \[5\] instead of \[4\]"):
        weights_of_state({**state(), "c": torch.randn(5)}, weight_map(), None, CPU, partial=False)


def test_partial():
    given = state()
    found = weights_of_state({"a": given["a"]}, weight_map(), SHAPES, CPU, partial=True)
    assert set(found) == {"direct"}
    with pytest.raises(InputError, match="other is no entry"):
        weights_of_state({"other": given["a"]}, weight_map(), SHAPES, CPU, partial=True)
    with pytest.raises(InputError, match="other is used by no weight"):
        weights_of_state({"other": given["a"]}, weight_map(), None, CPU, partial=True)


def test_stored_weights():
    stored = StoredWeights.of(weight_map())
    assert stored.direct == {"direct": ("a", (2, 3), torch.float16), "bias": ("c", (4,), torch.float32)}
    assert stored.computed == {"folded": ("a", "b")}
    assert stored.keys() == {"a", "b", "c"} == weight_map().keys()
    assert StoredWeights.of(stored) is stored
    assert StoredWeights.from_json(json.loads(json.dumps(stored.to_json()))) == stored
    assert StoredWeights.of(None) == StoredWeights() and StoredWeights().keys() == set()


def test_stored_weights_compute_what_needs_no_function():
    given = state()
    stored = StoredWeights.of(weight_map())
    with pytest.raises(InputError, match="folded"):
        weights_of_state(given, stored, SHAPES, CPU, partial=False)
    with pytest.raises(InputError, match="folded"):
        weights_of_state({"a": given["a"]}, stored, SHAPES, CPU, partial=True)
    assert set(weights_of_state({"c": given["c"]}, stored, SHAPES, CPU, partial=True)) == {"bias"}
    simple = StoredWeights(stored.direct)
    found = simple.compute(given)
    assert torch.equal(found["direct"], given["a"].half()) and torch.equal(found["bias"], given["c"])
    with pytest.raises(InputError, match=r"a is missing; c has shape \[1\]"):
        simple.compute({"c": torch.randn(1)})


@pytest.mark.parametrize(
    "values", [{}, {"direct": {}}, {"direct": {"w": {"key": "a"}}, "computed": {}}, {"direct": 3, "computed": {}}]
)
def test_damaged_stored_weights(values):
    with pytest.raises(EngineError, match="weight names"):
        StoredWeights.from_json(values)


def test_sources(tmp_path):
    module = torch.nn.Linear(2, 3)
    assert set(read_state(module, CPU)) == {"weight", "bias"}
    given = state()
    assert read_state(given, CPU) is given
    for wrong in (3, [torch.ones(1)], {"a": 3}):
        with pytest.raises(InputError, match="state_dict"):
            read_state(wrong, CPU)


def test_safetensors_is_needed_for_a_path(tmp_path, monkeypatch):
    def none(name):
        raise ImportError(name)

    monkeypatch.setattr(refitting.importlib, "import_module", none)
    with pytest.raises(InputError, match="pip install safetensors"):
        read_state(tmp_path / "weights.safetensors", CPU)


def test_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "weights.safetensors"
    given = state()
    safetensors.save_file(given, path)
    found = read_state(path, CPU)
    assert all(torch.equal(found[key], given[key]) for key in given)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(EngineError, match="weights.safetensors"):
        read_state(path, CPU)
