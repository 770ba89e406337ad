"""Layers that this TensorRT cannot create here, computed from stand-ins with the same attributes: plugins and MoE."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from torch2trt.errors import EvaluationError, InputError
from torch2trt.reference import PluginCall, plugins, register_plugin
from torch2trt.reference.registry import LAYERS, LayerContext, Settings, TensorInfo
from torch2trt.reference.weights import WeightOverrides
from torch2trt.trt_compat import to_torch_dtype, trt


def info(name: str, shape: tuple[int, ...], dtype: Any) -> TensorInfo:
    return TensorInfo(name, shape, dtype, to_torch_dtype(dtype))


def context(kind: str, layer: Any, inputs: list[TensorInfo | None], outputs: list[TensorInfo]) -> LayerContext:
    settings = Settings(
        torch.device("cpu"), None, torch.Generator(), WeightOverrides(None, None), plugins.registered_plugins()
    )
    return LayerContext(layer, kind, "stand-in", 3, tuple(inputs), tuple(outputs), settings)


@pytest.fixture
def registered() -> Iterator[None]:
    before = dict(plugins._functions)
    yield
    plugins._functions.clear()
    plugins._functions.update(before)


V2 = SimpleNamespace(plugin_type="ScaledAdd", plugin_version="2", factor=3.0)
V3 = SimpleNamespace(plugin_name="ScaledAdd", plugin_version="2", factor=3.0)


def plugin_context(kind: str, plugin: Any) -> LayerContext:
    a, b, y = (info(name, (2,), trt.float32) for name in ("a", "b", "y"))
    return context(kind, SimpleNamespace(plugin=plugin), [a, None, b], [y])


@pytest.mark.parametrize(("kind", "plugin"), [("PLUGIN_V2", V2), ("PLUGIN_V3", V3)])
def test_a_plugin_calls_its_function(registered: None, kind: str, plugin: Any) -> None:
    seen: list[PluginCall] = []

    @register_plugin("ScaledAdd", "2")
    def scaled_add(call: PluginCall, a: torch.Tensor, missing: None, b: torch.Tensor) -> torch.Tensor:
        seen.append(call)
        return a + call.plugin.factor * b

    run = LAYERS[kind](plugin_context(kind, plugin))
    assert run(torch.tensor([1.0, 2.0]), None, torch.tensor([1.0, -1.0])).tolist() == [4.0, -1.0]
    assert seen[0].output_dtypes == (torch.float32,)
    assert seen[0].output_shapes == ((2,),)


def test_a_plugin_without_a_function(registered: None) -> None:
    register_plugin("ScaledAdd", "1")(lambda call, *inputs: inputs[0])
    with pytest.raises(
        EvaluationError, match=r"no Python function for plugin 'ScaledAdd' version '2' \(registered: .*ScaledAdd 1"
    ):
        LAYERS["PLUGIN_V3"](plugin_context("PLUGIN_V3", V3))


def test_a_plugin_function_that_fails(registered: None) -> None:
    register_plugin("ScaledAdd", "2")(lambda call, *inputs: inputs[7])
    run = LAYERS["PLUGIN_V3"](plugin_context("PLUGIN_V3", V3))
    with pytest.raises(EvaluationError, match="function of plugin 'ScaledAdd' failed: tuple index out of range"):
        run(torch.ones(2), None, torch.ones(2))


def test_two_functions_for_one_plugin(registered: None) -> None:
    register_plugin("ScaledAdd")(lambda call, *inputs: inputs[0])
    with pytest.raises(InputError, match="'ScaledAdd' version '1' has a function already"):
        register_plugin("ScaledAdd")(lambda call, *inputs: inputs[0])


def moe_layer(activation: str = "SILU", quantised: str = "FLOAT", limit: float = float("inf")) -> Any:
    return SimpleNamespace(
        quantization_to_type=SimpleNamespace(name=quantised),
        activation_type=SimpleNamespace(name=activation),
        swiglu_param_limit=limit,
        swiglu_param_alpha=1.5 if limit < 100 else 1.0,
        swiglu_param_beta=0.5 if limit < 100 else 0.0,
    )


def moe_run(layer: Any) -> Any:
    x = info("x", (2, 3, 4), trt.float32)
    return LAYERS["MOE"](context("MOE", layer, [x], [x]))


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("limit", [float("inf"), 0.7])
def test_mixture_of_experts(biases: bool, limit: float) -> None:
    x, scores = torch.randn(2, 3, 4), torch.rand(2, 3, 2)
    experts = torch.tensor([[[0, 1], [2, 0], [1, 2]], [[2, 1], [0, 2], [1, 0]]], dtype=torch.int32)
    gate, up, down = torch.randn(3, 4, 5), torch.randn(3, 4, 5), torch.randn(3, 5, 4)
    offsets = [torch.randn(3, 5), torch.randn(3, 5), torch.randn(3, 4)] if biases else []
    found = moe_run(moe_layer(limit=limit))(x, experts, scores, gate, up, down, *offsets)
    alpha, beta = (1.5, 0.5) if limit < 100 else (1.0, 0.0)
    wanted = torch.zeros_like(x)
    zero = [torch.zeros(3, 5), torch.zeros(3, 5), torch.zeros(3, 4)]
    g, u, d = offsets or zero
    for b in range(2):
        for t in range(3):
            for k in range(2):
                e = int(experts[b, t, k])
                gated = (x[b, t] @ gate[e] + g[e]).clamp(max=limit)
                raised = (x[b, t] @ up[e] + u[e]).clamp(-limit, limit) + beta
                value = (raised * gated * torch.sigmoid(alpha * gated)) @ down[e] + d[e]
                wanted[b, t] += scores[b, t, k] * value
    torch.testing.assert_close(found, wanted)


def test_quantised_experts_are_refused() -> None:
    with pytest.raises(EvaluationError, match="no MoE quantised to FP8"):
        moe_run(moe_layer(quantised="FP8"))
