"""Nested inputs and outputs."""

from __future__ import annotations

import collections
import http
import threading

import pytest
import torch

import torch2trt
from tests import harness
from torch2trt import errors, structure
from torch2trt.engine.signature import structure_from_json, structure_to_json


class Layer:
    """What a model keeps of one of its layers."""

    def __init__(self, keys: torch.Tensor) -> None:
        self.keys = keys
        self.full = False


class Cache:
    """An object of the user's that is neither a container nor a dataclass."""

    def __init__(self, *layers: Layer) -> None:
        self.layers = list(layers)


def grown(x, cache):
    """One step with a cache: the result and a longer cache."""
    layers = [Layer(torch.cat([layer.keys, x])) for layer in cache.layers]
    return sum(layer.keys.sum(0) for layer in layers), Cache(*layers)


def test_objects_with_tensors_are_inputs_and_outputs():
    def make(length):
        return {"x": torch.randn(1, 3), "cache": Cache(Layer(torch.randn(length, 3)), Layer(torch.randn(length, 3)))}

    names = ["x", "cache_layers_0_keys", "cache_layers_1_keys"]
    sizes = {names[1]: {0: ("n", 1, 2, 8)}, names[2]: {0: "n"}}
    converted = torch2trt.convert(grown, make(2), dynamic_shapes=sizes)
    assert converted.input_names == names
    for length in (2, 5, 8):
        inputs = make(length)
        actual, expected = converted.evaluate(**inputs), grown(**inputs)
        assert type(actual[1]) is Cache and actual[1].layers[0].full is False
        harness.assert_same(actual, expected)


class Equal(Cache):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal)

    __hash__ = None  # type: ignore[assignment]


def test_objects_without_tensors_are_constants_unless_they_are_their_attributes():
    assert structure.flatten(Cache())[1].kind == "object"
    for value in (Equal(), torch.nn.Linear(2, 2), Cache(threading.Lock()), http.HTTPStatus.OK):
        assert structure.flatten(value)[1].kind == "constant"


class GrowsACache(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 3)

    def forward(self, x: torch.Tensor, cache: Cache) -> torch.Tensor:
        y = self.linear(x)
        if y.sum() > 1e9:  # which makes it run twice
            y = y * 2
        cache.layers.append(Layer(y))
        return torch.cat([layer.keys for layer in cache.layers])


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_an_empty_object_is_a_new_one_in_every_trace():
    module, x = GrowsACache(), torch.rand(2, 3)
    converted = torch2trt.convert(module, (x, Cache()), dynamic_shapes={"x": {0: (1, 2, 5)}})
    for size in (2, 5):
        x = torch.rand(size, 3)
        harness.assert_same(converted.evaluate(x, Cache()), module(x, Cache()), rtol=1e-5)


def test_a_deque_is_an_input_and_an_output():
    function = lambda x, parts: collections.deque([x + parts[0], parts[1]], maxlen=4)  # noqa: E731
    inputs = (torch.ones(2), collections.deque([torch.ones(2), torch.zeros(2)]))
    result = torch2trt.convert(function, inputs).evaluate(torch.zeros(2), collections.deque([torch.ones(2)] * 2))
    assert type(result) is collections.deque
    harness.assert_same(list(result), [torch.ones(2)] * 2)


class Slots:
    __slots__ = ("value",)

    def __init__(self, value: torch.Tensor) -> None:
        self.value = value


@pytest.mark.parametrize(
    "function",
    [
        lambda x: {x},
        lambda x: {"a": x}.values(),
        lambda x: (part for part in x),
        lambda x: map(abs, x),
        Slots,
        lambda x: [Slots(x)],
    ],
)
def test_containers_whose_tensors_would_be_lost_are_refused(function):
    with pytest.raises(errors.InputError, match="among the inputs or the results"):
        torch2trt.convert(function, torch.ones(2))
    with pytest.raises(errors.InputError, match="among the inputs or the results"):
        torch2trt.convert(lambda x, held: x, (torch.ones(2), function(torch.ones(2))))


def test_an_object_that_refers_to_itself_is_refused():
    cache = Cache(Layer(torch.ones(1)))
    cache.layers.append(cache)
    with pytest.raises(errors.InputError, match="a Cache that holds tensors refers to itself"):
        structure.flatten(cache)


@pytest.mark.parametrize("known", [True, False])
def test_objects_are_stored_in_files(known):
    _, nesting = structure.flatten((torch.ones(1), Cache(Layer(torch.ones(2)))))
    classes = {f"{cls.__module__}:{cls.__qualname__}": cls for cls in (Cache, Layer)} if known else {}
    restored = structure_from_json(structure_to_json(nesting), classes)
    assert (restored == nesting) is known
    _, cache = structure.unflatten([torch.zeros(1), torch.zeros(2)], restored)
    assert cache.layers[0].keys.shape == (2,) and cache.layers[0].full is False


def test_sizes_among_the_results_are_the_ints_that_eager_gives():
    def sized(x):
        rows, columns = x.shape
        return {"sum": x.sum(1), "rows": rows, "half": (columns + 1) // 2, "tensor": torch.tensor(rows) + x[0].argmax()}

    x = torch.randn(4, 5)
    actual = torch2trt.convert(sized, x).evaluate(x)
    harness.assert_same(actual, sized(x))
    assert type(actual["rows"]) is int and actual["half"] == 3
    with torch2trt.torch_network():
        _, graph = torch2trt.torch2trt(sized, x)
    assert torch2trt.debug_call_graph(graph, x)["rows"] == 4


def test_a_size_alone_stays_a_tensor():
    assert int(torch2trt.convert(lambda x: x.shape[1], torch.randn(4, 5)).evaluate(torch.randn(4, 5))) == 5


def test_a_size_that_changes_stays_a_tensor():
    converted = torch2trt.convert(
        lambda x: (x + 1, x.shape[0]), torch.randn(4, 5), dynamic_shapes={"x": {0: (1, 4, 8)}}
    )
    assert int(converted.evaluate(torch.randn(7, 5))[1]) == 7


def test_sizes_that_stay_are_ints_beside_dynamic_axes():
    converted = torch2trt.convert(
        lambda x: (x * 2, x.shape[1]), torch.ones(2, 3), input_names=["x"], dynamic_shapes={"x": {0: (1, 2, 5)}}
    )
    result = converted.evaluate(torch.ones(4, 3))
    assert type(result[1]) is int and result[1] == 3
