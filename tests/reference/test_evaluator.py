"""The evaluator's interface: inputs, outputs, weights, dtypes, shapes, memory, errors."""

from __future__ import annotations

import math
import weakref
from typing import Any

import pytest
import torch

from torch2trt.errors import EvaluationError, InputError
from torch2trt.reference import Evaluator, evaluate
from torch2trt.reference.registry import LAYERS
from torch2trt.trt_compat import trt

from .conformance.case import Net
from .networks import activation, binary, linear_network, named, net

__all__ = ["net"]

WEIGHT, BIAS = torch.arange(6.0).reshape(2, 3) - 2, torch.tensor([0.5, -1.0, 2.0])


def linear(x: torch.Tensor) -> torch.Tensor:
    return torch.relu(x @ WEIGHT + BIAS)


def test_outputs_of_the_network_by_name(net: Net) -> None:
    linear_network(net, WEIGHT, BIAS)
    x = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    results = evaluate(net.network, {"x": x})
    assert list(results) == ["y"]
    torch.testing.assert_close(results["y"], linear(x))


def test_any_tensor_by_name(net: Net) -> None:
    linear_network(net, WEIGHT, BIAS)
    x = torch.tensor([[1.0, -2.0]])
    torch.testing.assert_close(evaluate(net.network, {"x": x}, outputs="product")["product"], x @ WEIGHT)
    results = evaluate(net.network, {"x": x}, outputs=["total", "y"])
    assert list(results) == ["total", "y"]
    torch.testing.assert_close(results["total"], x @ WEIGHT + BIAS)


def test_every_tensor(net: Net) -> None:
    linear_network(net, WEIGHT, BIAS)
    results = evaluate(net.network, {"x": torch.ones(1, 2)}, outputs="*")
    assert {"x", "product", "total", "y"} <= set(results)
    assert len(results) == 6


def test_evaluator_is_called_again_with_other_shapes(net: Net) -> None:
    linear_network(net, WEIGHT, BIAS)
    evaluator = Evaluator(net.network)
    assert evaluator.input_names == ("x",)
    assert evaluator.output_names == ("y",)
    for rows in (1, 7, 0, 3):
        x = torch.randn(rows, 2)
        torch.testing.assert_close(evaluator({"x": x})["y"], linear(x))


def test_unknown_output_names_what_is_near(net: Net) -> None:
    linear_network(net, WEIGHT, BIAS)
    with pytest.raises(InputError, match="no tensor 'produkt'; like it: product"):
        evaluate(net.network, {"x": torch.ones(1, 2)}, outputs="produkt")


def test_no_outputs(net: Net) -> None:
    activation(net, net.input(torch.ones(2)))
    with pytest.raises(InputError, match="no outputs"):
        Evaluator(net.network)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "missing inputs: 'x'"),
        ({"x": torch.ones(1, 2), "z": torch.ones(1)}, "no inputs named 'z'"),
        ({"X": torch.ones(1, 2)}, "missing inputs: 'x'; the network has no inputs named 'X'; its inputs are 'x'"),
        ({"x": torch.ones(1, 2, dtype=torch.float64)}, "'x' must be torch.float32, got torch.float64"),
        ({"x": torch.ones(1, 2, dtype=torch.float16)}, "'x' must be torch.float32, got torch.float16"),
        ({"x": torch.ones(1, 3)}, r"'x' must have shape \[-1, 2\] \(-1: any\), got \[1, 3\]"),
        ({"x": torch.ones(2)}, r"got \[2\]"),
        ({"x": [[1.0, 2.0]]}, "must be a torch tensor, got list"),
    ],
)
def test_wrong_inputs(net: Net, inputs: dict[str, Any], message: str) -> None:
    linear_network(net, WEIGHT, BIAS)
    with pytest.raises(InputError, match=message):
        evaluate(net.network, inputs)


def test_named_dimensions_agree(net: Net) -> None:
    values = torch.ones(2, 3), torch.ones(4, 3)
    a, b = net.input(*values, name="a", dynamic=(0,)), net.input(*values, name="b", dynamic=(0,))
    for tensor in (a, b):
        tensor.set_dimension_name(0, "batch")
    net.output(binary(net, a, b))
    assert evaluate(net.network, {"a": values[0], "b": values[0]})["y0"].shape == (2, 3)
    with pytest.raises(InputError, match="dimension 'batch' is 2 in input 'a' and 4 in 'b'"):
        evaluate(net.network, {"a": values[0], "b": values[1]})


@pytest.mark.parametrize("as_object", [False, True])
def test_shapes_outside_a_profile(net: Net, as_object: bool) -> None:
    linear_network(net, WEIGHT, BIAS)
    limits = ((2, 2), (4, 2), (8, 2))
    profile: Any = {"x": limits}
    if as_object:
        profile = net.builder.create_optimization_profile()
        profile.set_shape("x", *limits)
    evaluator = Evaluator(net.network, profile=profile)
    assert evaluator({"x": torch.ones(8, 2)})["y"].shape == (8, 3)
    for rows in (1, 9):
        with pytest.raises(InputError, match="outside its profile"):
            evaluator({"x": torch.ones(rows, 2)})


def test_profile_names_an_unknown_input(net: Net) -> None:
    linear_network(net, WEIGHT, BIAS)
    with pytest.raises(InputError, match="unknown inputs: 'z'"):
        Evaluator(net.network, profile={"z": ((1,), (1,), (1,))})


def test_weights_are_replaced_by_constant_name(net: Net) -> None:
    linear_network(net, WEIGHT, BIAS)
    x = torch.randn(3, 2)
    results = evaluate(net.network, {"x": x}, weights={"fc.weight": WEIGHT * 2})
    torch.testing.assert_close(results["y"], torch.relu(x @ (WEIGHT * 2) + BIAS))


def convolution(net: Net) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    kernel, bias, x = torch.randn(4, 3, 3, 3), torch.randn(4), torch.randn(1, 3, 5, 5)
    layer = net.network.add_convolution_nd(net.input(x), 4, (3, 3), net.weights(kernel), net.weights(bias))
    layer.name = "stem conv"
    net.output(layer.get_output(0))
    return kernel, bias, x


def test_weights_are_replaced_by_layer_and_role(net: Net) -> None:
    _, bias, x = convolution(net)
    kernel = torch.randn(4, 3, 3, 3)
    results = evaluate(net.network, {"x0": x}, weights={"stem conv.kernel": kernel})
    torch.testing.assert_close(results["y0"], torch.conv2d(x, kernel, bias))


def test_weights_are_replaced_by_their_map(net: Net) -> None:
    kernel, _, x = convolution(net)
    bias = torch.randn(4)
    places = {"stem.weight": ("stem conv", "kernel"), "stem.bias": ("stem conv", "bias")}
    results = evaluate(net.network, {"x0": x}, weights={"stem.bias": bias}, weight_names=places)
    torch.testing.assert_close(results["y0"], torch.conv2d(x, kernel, bias))


@pytest.mark.parametrize(
    ("weights", "places", "message"),
    [
        ({"fc.wieght": WEIGHT}, None, "no weights named 'fc.wieght'; layers with like names: fc.weight"),
        ({"fc.weight": WEIGHT[:1]}, None, "must hold 6 values of torch.float32, got 3 of torch.float32"),
        ({"fc.weight": WEIGHT.half()}, None, "must hold 6 values of torch.float32, got 6 of torch.float16"),
        ({"w": WEIGHT}, {"w": ("fc.weight", "gamma")}, "unknown role 'gamma'"),
        ({"w": WEIGHT}, {"w": ("nowhere", "constant")}, "no weights named 'w'"),
    ],
)
def test_wrong_weights(net: Net, weights: Any, places: Any, message: str) -> None:
    linear_network(net, WEIGHT, BIAS)
    with pytest.raises(InputError, match=message):
        Evaluator(net.network, weights=weights, weight_names=places)


def test_weights_that_a_layer_does_not_have(net: Net) -> None:
    layer = net.network.add_convolution_nd(net.input(torch.ones(1, 1, 3, 3)), 1, (1, 1), net.weights(torch.ones(1)))
    layer.name = "c"
    net.output(layer.get_output(0))
    with pytest.raises(InputError, match="layer 'c' has no bias to replace"):
        Evaluator(net.network, weights={"c.bias": torch.ones(1)})


def weight_tensors(evaluator: Evaluator) -> list[torch.Tensor]:
    """The constants as the program holds them."""
    return [item.function() for item, _ in evaluator._program.items if "(CONSTANT)" in item.label]


def test_weights_share_the_memory_of_the_network(net: Net) -> None:
    weight = torch.randn(2, 3)
    linear_network(net, weight, BIAS)
    assert weight_tensors(Evaluator(net.network))[0].data_ptr() == weight.data_ptr()


def test_opaque_weights_share_the_memory_of_the_network(net: Net) -> None:
    weight = torch.randn(2, 3).bfloat16()
    x = net.input(torch.ones(2, 3).bfloat16())
    net.output(binary(net, x, net.constant(weight)))
    evaluator = Evaluator(net.network)
    assert weight_tensors(evaluator)[0].data_ptr() == weight.data_ptr()
    assert torch.equal(evaluator({"x0": torch.zeros(2, 3).bfloat16()})["y0"], weight)


def test_results_do_not_share_the_memory_of_the_network(net: Net) -> None:
    weight = torch.tensor([[1.0, 2.0]])
    shuffle = net.network.add_shuffle(net.constant(weight))
    shuffle.first_transpose = (1, 0)
    net.output(shuffle.get_output(0))
    result = evaluate(net.network, {})["y0"]
    result.zero_()
    assert evaluate(net.network, {})["y0"].tolist() == [[1.0], [2.0]]


def test_tensors_are_freed_after_their_last_use(net: Net) -> None:
    x = net.input(torch.ones(4))
    for _ in range(20):
        x = activation(net, x, "TANH")
    net.output(x)
    evaluator = Evaluator(net.network)
    alive: list[weakref.ref[torch.Tensor]] = []
    most = []

    def watched(function: Any) -> Any:
        def run(*inputs: torch.Tensor) -> torch.Tensor:
            result = function(*inputs)
            alive.append(weakref.ref(result))
            most.append(sum(ref() is not None for ref in alive))
            return result

        return run

    for item, _ in evaluator._program.items:
        item.function = watched(item.function)
    evaluator({"x0": torch.ones(4)})
    assert len(most) == 20
    assert max(most) == 2


def test_a_chain_of_5000_layers(net: Net) -> None:
    x = net.input(torch.zeros(3))
    one = net.constant([1.0])
    for _ in range(5000):
        x = binary(net, x, one)
    net.output(x)
    assert evaluate(net.network, {"x0": torch.zeros(3)})["y0"].tolist() == [5000.0] * 3


def test_layers_in_any_order(net: Net) -> None:
    """Rewiring makes a layer depend on one that comes after it."""
    x = net.input(torch.ones(3))
    late = net.network.add_activation(x, trt.ActivationType.RELU)
    doubled = binary(net, x, x)
    late.set_input(0, doubled)
    net.output(late.get_output(0))
    assert evaluate(net.network, {"x0": torch.ones(3)})["y0"].tolist() == [2.0] * 3


def test_a_cycle_is_named(net: Net) -> None:
    first = net.network.add_activation(net.input(torch.ones(3)), trt.ActivationType.RELU)
    first.name = "first"
    second = activation(net, first.get_output(0), name="second")
    net.output(second)
    first.set_input(0, second)
    with pytest.raises(EvaluationError, match="cycle through 'first'"):
        Evaluator(net.network)


def test_only_what_is_asked_for_is_computed(net: Net) -> None:
    x = net.input(torch.ones(3))
    named(activation(net, x), "wanted")
    net.output(activation(net, x, "TANH"))
    assert len(Evaluator(net.network, outputs="wanted")._program.items) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_compute_dtype_float64(net: Net, dtype: torch.dtype) -> None:
    weight = torch.randn(64, 3).to(dtype)
    x = net.input(torch.randn(2, 64).to(dtype))
    none = trt.MatrixOperation.NONE
    product = net.network.add_matrix_multiply(x, none, net.constant(weight), none).get_output(0)
    net.output(activation(net, product, "SIGMOID"))
    value = torch.randn(2, 64).to(dtype)
    result = evaluate(net.network, {"x0": value}, compute_dtype="float64")["y0"]
    assert result.dtype == torch.float64
    assert torch.equal(result, torch.sigmoid(value.double() @ weight.double()))
    precise = torch.randn(2, 64, dtype=torch.float64)
    again = evaluate(net.network, {"x0": precise}, compute_dtype=torch.float64)["y0"]
    assert torch.equal(again, torch.sigmoid(precise @ weight.double()))


@pytest.mark.parametrize("dtype", ["int32", "float16", "nonsense", torch.int64])
def test_compute_dtype_is_a_wide_float(net: Net, dtype: Any) -> None:
    net.output(activation(net, net.input(torch.ones(2))))
    with pytest.raises(InputError, match="compute_dtype must be float64 or float32"):
        Evaluator(net.network, compute_dtype=dtype)


def test_random_numbers_follow_the_seed(net: Net) -> None:
    net.output(net.network.add_fill((100,), trt.FillOperation.RANDOM_NORMAL, trt.float32).get_output(0))
    first, other = Evaluator(net.network, seed=1), Evaluator(net.network, seed=2)
    assert torch.equal(first({})["y0"], first({})["y0"])
    assert not torch.equal(first({})["y0"], other({})["y0"])


@pytest.mark.parametrize("kind", ["RANDOM_UNIFORM", "RANDOM_NORMAL"])
def test_random_numbers_have_their_distribution(net: Net, kind: str) -> None:
    layer = net.network.add_fill((4000,), getattr(trt.FillOperation, kind), trt.float32)
    layer.alpha, layer.beta = 2.0, 5.0
    net.output(layer.get_output(0))
    found = evaluate(net.network, {})["y0"]
    if kind == "RANDOM_UNIFORM":  # from 2 to 5
        assert 2 <= float(found.min()) < 2.1
        assert 4.9 < float(found.max()) <= 5
        assert abs(float(found.mean()) - 3.5) < 0.1
    else:  # mean 2, deviation 5
        assert abs(float(found.mean()) - 2) < 0.4
        assert abs(float(found.std()) - 5) < 0.4


def test_inputs_are_left_alone(net: Net) -> None:
    """A key-value cache is updated in place by an engine; the evaluator returns a new one."""
    cache, update, at = torch.zeros(1, 1, 4, 2), torch.ones(1, 1, 1, 2), torch.tensor([2], dtype=torch.int32)
    tensors = [net.input(t) for t in (cache, update, at)]
    net.output(net.network.add_kv_cache_update(*tensors, trt.KVCacheMode.LINEAR).get_output(0))
    found = evaluate(net.network, {"x0": cache, "x1": update, "x2": at})["y0"]
    assert found[0, 0, 2].tolist() == [1.0, 1.0]
    assert not cache.any()


def test_random_numbers_leave_the_global_generator_alone(net: Net) -> None:
    net.output(net.network.add_fill((100,), trt.FillOperation.RANDOM_UNIFORM, trt.float32).get_output(0))
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    evaluate(net.network, {})
    assert torch.equal(torch.rand(3), wanted)


def test_mixed_dtypes_are_refused(net: Net) -> None:
    a, b = net.input(torch.ones(2), name="a"), net.input(torch.ones(2).half(), name="b")
    net.output(binary(net, a, b))
    with pytest.raises(EvaluationError, match=r"must have one data type: input 0 'a' is FLOAT, input 1 'b' is HALF"):
        Evaluator(net.network)


def test_logic_of_numbers_is_refused(net: Net) -> None:
    x = net.input(torch.ones(2), name="a")
    net.output(binary(net, x, x, "AND"))
    with pytest.raises(EvaluationError, match="input 0 'a' is FLOAT, must be BOOL"):
        Evaluator(net.network)


def test_an_unknown_layer_type_is_named(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    x = activation(net, net.input(torch.ones(2, 3)))
    layer = net.network.add_softmax(x)
    layer.name = "attention weights"
    net.output(layer.get_output(0))
    monkeypatch.delitem(LAYERS, "SOFTMAX")
    with pytest.raises(EvaluationError, match=r"does not know layer type SOFTMAX \(layer 1 'attention weights'\)"):
        Evaluator(net.network)


def test_a_result_that_contradicts_the_network(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    net.output(activation(net, net.input(torch.ones(2, 3)), name="wrong"))
    monkeypatch.setitem(LAYERS, "ACTIVATION", lambda context: lambda x: x.sum(0))
    with pytest.raises(EvaluationError, match=r"'wrong'.*'y0' is declared \[2, 3\] torch.float32, found \[3\]"):
        evaluate(net.network, {"x0": torch.ones(2, 3)})
    monkeypatch.setitem(LAYERS, "ACTIVATION", lambda context: lambda x: x.double())
    with pytest.raises(EvaluationError, match=r"found \[2, 3\] torch.float64"):
        evaluate(net.network, {"x0": torch.ones(2, 3)})


def test_what_cannot_be_computed_names_the_layer(net: Net) -> None:
    values = torch.ones(2, 3), torch.ones(4, 3)
    a, b = net.input(*values, name="a", dynamic=(0,)), net.input(*values, name="b", dynamic=(0,))
    layer = net.network.add_concatenation([a, b])
    layer.axis, layer.name = 1, "join"
    net.output(layer.get_output(0))
    with pytest.raises(EvaluationError, match=r"layer 0 'join' \(CONCATENATION\) cannot be computed from \(\[2, 3\]"):
        evaluate(net.network, {"a": values[0], "b": values[1]})


def test_slices_out_of_bounds_are_refused(net: Net) -> None:
    values = torch.ones(5), torch.ones(2)
    net.output(net.network.add_slice(net.input(*values, dynamic=(0,)), (1,), (3,), (1,)).get_output(0))
    assert evaluate(net.network, {"x0": values[0]})["y0"].shape == (3,)
    with pytest.raises(EvaluationError, match=r"indices 1..3 leave an axis of 2"):
        evaluate(net.network, {"x0": values[1]})


def test_scatter_out_of_bounds_is_refused(net: Net) -> None:
    x, places, new = net.input(torch.ones(3)), net.input(torch.tensor([0], dtype=torch.int32)), net.input(torch.ones(1))
    net.output(net.network.add_scatter(x, places, new, trt.ScatterMode.ELEMENT).get_output(0))
    values = {"x0": torch.ones(3), "x2": torch.zeros(1)}
    assert evaluate(net.network, {**values, "x1": torch.tensor([2], dtype=torch.int32)})["y0"].tolist() == [1, 1, 0]
    with pytest.raises(EvaluationError, match="leave an axis of 3"):
        evaluate(net.network, {**values, "x1": torch.tensor([3], dtype=torch.int32)})


def test_gather_out_of_bounds_reads_zero(net: Net) -> None:
    """NvInfer.h, IGatherLayer: "Zero will be stored for OOB access"."""
    x, places = net.input(torch.ones(3, 2)), net.input(torch.zeros(3, dtype=torch.int32))
    net.output(net.network.add_gather(x, places, 0).get_output(0))
    values = {"x0": torch.arange(6.0).reshape(3, 2) + 1, "x1": torch.tensor([1, 7, -9], dtype=torch.int32)}
    assert evaluate(net.network, values)["y0"].tolist() == [[3, 4], [0, 0], [0, 0]]


def test_nan_and_infinity_pass(net: Net) -> None:
    x = net.input(torch.ones(4))
    total = binary(net, binary(net, x, net.constant([1.0])), net.constant([0.5]), "PROD")
    net.output(activation(net, total))
    found = evaluate(net.network, {"x0": torch.tensor([math.nan, math.inf, -math.inf, 2.0])})["y0"]
    assert math.isnan(found[0])
    assert found[1:].tolist() == [math.inf, 0.0, 1.5]


def test_an_assertion_that_fails_says_its_message(net: Net) -> None:
    values = torch.ones(2, 3), torch.ones(4, 3)
    a, b = net.input(*values, name="a", dynamic=(0,)), net.input(*values, name="b", dynamic=(0,))
    sizes = [net.network.add_shape(x).get_output(0) for x in (a, b)]
    net.network.add_assertion(binary(net, *sizes, "EQUAL"), "batch sizes differ")
    net.output(activation(net, a))
    assert evaluate(net.network, {"a": values[0], "b": values[0]})["y0"].shape == (2, 3)
    with pytest.raises(EvaluationError, match="assertion failed: batch sizes differ"):
        evaluate(net.network, {"a": values[0], "b": values[1]})
