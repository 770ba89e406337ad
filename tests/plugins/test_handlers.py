"""Handlers where TensorRT has plugins: which plugin they ask for, with which fields and inputs, and what it computes.

TensorRT for RTX cannot hold plugin layers: the layer is a stand-in, everything else is real.
"""

from __future__ import annotations

import types

import pytest
import torch
import torchvision

import torch2trt
from tests.plugins.draws import draw
from torch2trt import emit, errors, plugins, reference, trt_compat
from torch2trt.plugins import library
from torch2trt.reference.registry import LayerContext, Settings, TensorInfo
from torch2trt.reference.weights import WeightOverrides
from torch2trt.trt_compat import trt

pytestmark = pytest.mark.skipif(not trt_compat.is_available(), reason="TensorRT is not installed")


class Creator:
    """Makes stand-ins of any plugin; declares no fields."""

    field_names = None

    def __init__(self, identity):
        self.identity = identity

    def create_plugin(self, name, fields, phase):
        return types.SimpleNamespace(identity=self.identity, fields=fields)


class Layer:
    """A plugin layer of one output: a new input of the network, of the shape that is expected."""

    num_outputs = 1

    def __init__(self, name, inputs, plugin, output):
        self.name = self.metadata = name
        self.inputs, self.plugin, self.output = inputs, plugin, output

    def get_output(self, index):
        return self.output


@pytest.fixture
def added(monkeypatch):
    """The plugin layers that were added; ``added.shape`` is the output's shape of the next."""
    found = types.SimpleNamespace(layers=[], shape=())

    def add(method, inputs, shapes, plugin):
        assert method == "plugin_v3" and shapes == []
        output = torch2trt.current_network().add_input("made", inputs[0].dtype, found.shape)
        found.layers.append(Layer("scope/op.0", inputs, plugin, output))
        return found.layers[-1]

    registry = types.SimpleNamespace(get_creator=lambda *identity: Creator(identity))
    monkeypatch.setattr(emit.plugin, "add_layer_object", add)
    monkeypatch.setattr(library, "missing_plugins", lambda: "")
    monkeypatch.setattr(trt_compat, "has_plugins", lambda: True)
    monkeypatch.setattr(trt_compat, "plugin_registry", lambda: registry)
    return found


def convert(added, function, inputs, expected):
    """Converts the function and gives the plugin layer that it became."""
    added.shape = tuple(expected.shape)
    network = trt_compat.create_network(trt.Builder(trt_compat.logger()))
    with torch2trt.trt_network(network):
        _, graph = torch2trt.torch2trt(function, tuple(inputs))
    (layer,) = added.layers
    assert graph.get_resolved_outputs()[0][0] is layer.output
    layer.network = network
    return layer


def evaluate(layer, inputs, dtype=torch.float32):
    """What the evaluator computes for the layer."""
    settings = Settings(
        torch.device("cpu"),
        None,
        torch.Generator(),
        WeightOverrides({}, {}),
        reference.plugins.registered_plugins(),
    )
    output = TensorInfo("output", None, None, dtype)
    context = LayerContext(layer, "PLUGIN_V3", layer.name, 0, (), (output,), settings)
    result = reference.plugins.plugin(context)(*inputs)
    return result[0] if isinstance(result, tuple) else result


def given(layer):
    """The plugin's fields as the creator was given them."""
    return {field.name: field.data.tolist() for field in layer.plugin.fields}


def test_roi_align(added):
    made = draw("roi_align", 3)
    options = made.options
    size = (options["pooled_height"], options["pooled_width"])

    def function(x, rois):
        return torchvision.ops.roi_align(
            x, rois, size, options["spatial_scale"], options["sampling_ratio"], options["aligned"]
        )

    expected = function(*made.tensors)
    layer = convert(added, function, made.tensors, expected)
    assert layer.plugin.identity == ("RoiAlign", "1", "torch2trt")
    assert given(layer) == {name: [value] for name, value in options.items()}
    assert {field.name: field.type.name for field in layer.plugin.fields}["spatial_scale"] == "FLOAT32"
    torch.testing.assert_close(evaluate(layer, made.tensors), expected)


@pytest.mark.parametrize("masked", [True, False])
def test_deform_conv2d(added, masked):
    x, weight, bias = torch.randn(2, 4, 6, 6), torch.randn(3, 4, 3, 3), torch.randn(3)
    offset, mask = torch.randn(2, 18, 3, 6), torch.rand(2, 9, 3, 6)

    def function(x, offset, mask):
        return torchvision.ops.deform_conv2d(
            x, offset, weight, bias, stride=(2, 1), padding=1, mask=mask if masked else None
        )

    expected = function(x, offset, mask)
    layer = convert(added, function, [x, offset, mask], expected)
    assert given(layer) == {
        "stride": [2, 1],
        "padding": [1, 1],
        "dilation": [1, 1],
        "has_mask": [int(masked)],
        "has_bias": [1],
    }
    assert len(layer.inputs) == 4 + masked
    torch.testing.assert_close(evaluate(layer, [x, weight, offset, *([mask] if masked else []), bias]), expected)


def test_grid_sample(added):
    made = draw("grid_sample_3d", 5)

    def function(x, grid):
        return torch.nn.functional.grid_sample(x, grid, "nearest", "reflection", align_corners=True)

    expected = function(*made.tensors)
    layer = convert(added, function, made.tensors, expected)
    assert given(layer) == {"interpolation_mode": [1], "padding_mode": [2], "align_corners": [1]}
    torch.testing.assert_close(evaluate(layer, made.tensors), expected)


@pytest.mark.parametrize("name", ["correlation", "ms_deform_attn", "scatter_reduce", "roi_align", "grid_sample_3d"])
def test_operators(operators, added, name):
    made = next(made for seed in range(7, 99) if (made := draw(name, seed)).tensors[0].dim())

    def function(*tensors):
        return getattr(operators, name)(*made.arguments(tensors), **made.options)

    expected = function(*made.tensors)
    layer = convert(added, function, made.tensors, expected)
    torch.testing.assert_close(evaluate(layer, made.tensors), expected, rtol=1e-4, atol=1e-5, equal_nan=True)


def test_mixed_precision_computes_in_the_wider(added):
    x, grid = torch.randn(1, 2, 3, 3, 3).half(), torch.rand(1, 2, 2, 2, 3)
    layer = convert(
        added,
        lambda x, grid: torch.ops.aten.grid_sampler_3d(x.float(), grid, 0, 0, False),
        [x, grid],
        torch.empty(1, 2, 2, 2, 2),
    )
    assert [tensor.dtype for tensor in layer.inputs] == [trt.float32, trt.float32]


def test_without_plugins_there_are_native_layers():
    made = draw("grid_sample_3d", 5)
    function = lambda x, grid: torch.nn.functional.grid_sample(x, grid, align_corners=True)  # noqa: E731
    converted = torch2trt.convert(function, tuple(made.tensors))
    kinds = {converted.network.get_layer(index).type.name for index in range(converted.network.num_layers)}
    assert "PLUGIN_V3" not in kinds


torch.library.define("plugin_test::scale", "(Tensor x, float factor, int[] shifts, Tensor? more=None) -> Tensor")


@torch.library.impl("plugin_test::scale", "CompositeExplicitAutograd")
def _scale(x, factor, shifts, more=None):
    result = x * factor + sum(shifts)
    return result if more is None else result + more


@pytest.fixture
def scale():
    yield torch.ops.plugin_test.scale
    torch2trt.registry.unregister("plugin_test::scale")


FIELDS = {"by": "factor", "shifts": "shifts", "mode": lambda arguments: 2 * len(arguments["shifts"])}


def test_register(added, scale):
    plugins.register("plugin_test::scale", ("Scale", "2", "mine"), FIELDS)
    x, more = torch.randn(2, 3), torch.randn(2, 3)

    def function(x, more):
        return scale(x, 0.25, [1, 2, 3], more)

    layer = convert(added, function, [x, more], x)
    assert layer.plugin.identity == ("Scale", "2", "mine")
    assert given(layer) == {"by": [0.25], "shifts": [1, 2, 3], "mode": [6]}
    assert len(layer.inputs) == 2
    torch.testing.assert_close(evaluate(layer, [x, more]), function(x, more))
    with torch2trt.torch_network():
        _, graph = torch2trt.torch2trt(function, (x, more))
    assert torch.equal(torch2trt.debug_call_graph(graph, (x, more)), function(x, more))


def test_register_without_an_optional_tensor(added, scale):
    plugins.register("plugin_test::scale", ("Scale", "2", "mine"), {"by": "factor"})
    x = torch.randn(2, 3)
    layer = convert(added, lambda x: scale(x, 2.0, []), [x], x)
    assert len(layer.inputs) == 1
    torch.testing.assert_close(evaluate(layer, [x]), 2 * x)


def test_register_mistakes(added, scale, tmp_path):
    with pytest.raises(errors.InputError, match="is not \\(name, version, namespace\\)"):
        plugins.register("plugin_test::scale", ())
    with pytest.raises(errors.InputError, match="no plugin library"):
        plugins.register("plugin_test::scale", ("Scale",), library=tmp_path / "none.so")
    plugins.register("plugin_test::scale", ("Scale", "2", "mine"), ["nothing"])
    x = torch.randn(2)
    with pytest.raises(errors.Torch2TRTError, match="has no argument nothing; it has x, factor, shifts, more"):
        convert(added, lambda x: scale(x, 2.0, []), [x], x)
    with pytest.raises(errors.InputError, match="has a handler already"):
        plugins.register("plugin_test::scale", ("Scale",))


def test_fields_are_checked_against_what_the_plugin_declares(added, scale, monkeypatch):
    declared = [trt.PluginField("by", b"", trt.PluginFieldType.INT32)]
    monkeypatch.setattr(Creator, "field_names", declared)
    plugins.register("plugin_test::scale", ("Scale", "2", "mine"), {"by": "factor"})
    x = torch.randn(2)
    with pytest.raises(errors.Torch2TRTError, match=r"field by=0.5 does not fit INT32"):
        convert(added, lambda x: scale(x, 0.5, []), [x], x)
    plugins.register("plugin_test::scale", ("Scale", "2", "mine"), {"of": "factor"}, override=True)
    with pytest.raises(errors.Torch2TRTError, match=r"has no field of; it has by"):
        convert(added, lambda x: scale(x, 0.5, []), [x], x)


@pytest.mark.skipif(trt_compat.is_available() and trt_compat.has_plugins(), reason="this TensorRT has plugins")
def test_tensorrt_without_plugins_says_so(scale):
    plugins.register("plugin_test::scale", ("Scale", "2", "mine"), {"by": "factor"})
    with pytest.raises(errors.LayerError, match="TensorRT for RTX has no plugins"):
        torch2trt.convert(lambda x: scale(x, 0.5, []), torch.randn(2))


def test_somebody_elses_layer_does_not_tell_its_fields():
    layer = Layer("a", [], types.SimpleNamespace(plugin_name="RoiAlign", plugin_version="1"), None)
    with pytest.raises(errors.EvaluationError, match="does not tell the plugin's fields"):
        evaluate(layer, [torch.zeros(1, 1, 2, 2), torch.zeros(1, 5)])
