"""Contexts, dispatch, handlers of the user's, joining modules, and what bad input gives."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from torch import nn

import torch2trt
from torch2trt import errors, registry, trt, trt_compat


@pytest.fixture
def network():
    builder = trt.Builder(trt_compat.logger())
    net = trt_compat.create_network(builder)
    yield net
    del builder


@pytest.fixture
def handlers():
    """Forgets what a test registers."""
    before = dict(registry._handlers)
    yield
    registry._handlers.clear()
    registry._handlers.update(before)


def layer_names(net):
    return [net.get_layer(index).name for index in range(net.num_layers)]


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.aux = nn.Linear(4, 3)

    def forward(self, image):
        return torch.exp(self.first(image)).sum(1)


def test_the_readme_road(network):
    module, x = Small().eval(), torch.randn(2, 4)
    with torch2trt.core.trt_network(network):
        trace, graph = torch2trt.core.torch2trt(module, x, input_names=["image"], param_exclude=".*aux.*")
        assert torch2trt.current_network() is network
    results = graph.get_resolved_outputs()
    assert [len(row) for row in results] == [1] and isinstance(results[0][0], trt.ITensor)
    assert torch.equal(trace(x)[0], module(x))
    network.mark_output(results[0][0])
    output = torch2trt.reference.evaluate(network, {"image": x})[results[0][0].name]
    torch.testing.assert_close(output, module(x).detach())
    assert any(name.startswith("first/linear") for name in layer_names(network))


def test_contexts_nest_and_restore(network):
    assert torch2trt.current_network() is None
    with torch2trt.trt_network(network):
        with torch2trt.torch_network():
            assert torch2trt.current_network() is None
        assert torch2trt.current_network() is network
        with pytest.raises(KeyError), torch2trt.torch_network():
            raise KeyError
        assert torch2trt.current_network() is network
    assert torch2trt.current_network() is None and network.error_recorder is None


def test_contexts_belong_to_threads(network):
    seen = []
    with torch2trt.trt_network(network):
        thread = threading.Thread(target=lambda: seen.append(torch2trt.current_network()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_conversions_in_threads():
    x = torch.randn(2, 4)
    modules = [Small().eval() for _ in range(4)]
    outputs = [None] * 4

    def work(index):
        outputs[index] = torch2trt.convert(modules[index], x).evaluate(x)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for module, output in zip(modules, outputs, strict=True):
        torch.testing.assert_close(output, module(x).detach())


def test_debug_mode_and_new_inputs():
    module = Small().eval()
    with torch2trt.torch_network():
        _, graph = torch2trt.torch2trt(module, torch.randn(2, 4))
    x = torch.randn(5, 4)
    assert torch.equal(torch2trt.debug_call_graph(graph, x), module(x))
    everything = torch2trt.debug_call_graph(graph, x, return_all=True)
    assert torch.equal(everything[graph.nodes[0].outputs[0].name], module.first(x))
    assert torch.equal(graph.get_resolved_outputs()[0][0].new_zeros(2), torch.zeros(2))


def test_modules_join_through_tensors(network):
    first, second, x = Small().eval(), nn.Linear(2, 3).eval(), torch.randn(2, 4)
    with torch2trt.trt_network(network):
        _, graph = torch2trt.torch2trt(first, x)
        middle = graph.get_resolved_outputs()[0][0]
        plain = network.add_unary(middle, trt.UnaryOperation.NEG).get_output(0)
        _, graph = torch2trt.torch2trt(lambda a, b: second(a) + b, (plain, torch.ones(3)), input_names=["a", "b"])
    result = graph.get_resolved_outputs()[0][0]
    network.mark_output(result)
    output = torch2trt.reference.evaluate(network, {"image": x, "b": torch.ones(3)})[result.name]
    torch.testing.assert_close(output, (second(-first(x)) + 1).detach())


def test_shared_weights_are_stored_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(10, 8)

        def forward(self, ids):
            return self.embedding(ids) @ self.embedding.weight.T

    converted = torch2trt.convert(Tied().eval(), torch.tensor([1, 2]))
    kinds = [converted.network.get_layer(i).type.name for i in range(converted.network.num_layers)]
    big = [name for name in converted.weights.origins if "embedding.weight" in name]
    assert kinds.count("CONSTANT") <= 2 and len(big) == 1


def test_excluded_parameters_that_are_used(network):
    with torch2trt.trt_network(network), pytest.raises(errors.InputError, match=r"first.weight(.|\n)*aten::linear"):
        torch2trt.torch2trt(Small().eval(), torch.randn(2, 4), param_exclude="first.*")


def test_output_names(network):
    with torch2trt.trt_network(network):
        _, graph = torch2trt.torch2trt(lambda x: (torch.exp(x), torch.sin(x)), torch.ones(2), output_names=["a", "b"])
    assert [row[0].name for row in graph.get_resolved_outputs()] == ["a", "b"]


def test_verbose_prints_a_line_a_node(capsys):
    torch2trt.convert(Small().eval(), torch.randn(2, 4), verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert any("first" in line and "aten::linear" in line and "[2, 3]" in line for line in lines)
    assert len({line.index("aten::") for line in lines}) == 1


def test_users_handler_in_both_modes(network, handlers):
    modes = []

    @torch2trt.register_node_handler("aten::sum.dim_IntList", "aten::cosh", override=True)
    def handler(inputs, attributes):
        modes.append((attributes["kind"], torch2trt.has_trt_tensor(inputs)))
        if torch2trt.has_trt_tensor(inputs):
            net = torch2trt.current_network()
            return [
                net.add_reduce(inputs[0], trt.ReduceOperation.SUM, 1 << inputs[1][0], bool(inputs[2])).get_output(0)
            ]
        return [torch.sum(inputs[0], inputs[1])]

    x = torch.randn(2, 3)
    with torch2trt.torch_network():
        _, graph = torch2trt.torch2trt(lambda x: x.sum(1), x)
    assert torch.equal(graph.get_resolved_outputs()[0][0], x.sum(1))
    converted = torch2trt.convert(lambda x: x.sum(1), x)
    torch.testing.assert_close(converted.evaluate(x), x.sum(1))
    assert modes == [("aten::sum", False), ("aten::sum", True)]


def test_overload_goes_before_kind(handlers):
    torch2trt.register_node_handler("aten::sum.dim_IntList", override=True)(lambda inputs, attributes: [inputs[0]])
    assert torch.equal(_debug(lambda x: x.sum(1), torch.ones(2, 3)), torch.ones(2, 3))
    assert torch.equal(_debug(lambda x: x.sum(), torch.ones(2, 3)), torch.tensor(6.0))


def _debug(function, *inputs):
    with torch2trt.torch_network():
        _, graph = torch2trt.torch2trt(function, inputs)
    return graph.get_resolved_outputs()[0][0]


def test_custom_namespace(handlers):
    library = torch.library.Library("torch2trt_test", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
    x = torch.ones(3)
    with pytest.raises(errors.UnsupportedOpError, match="torch2trt_test::twice"):
        torch2trt.convert(torch.ops.torch2trt_test.twice, (x,))

    @torch2trt.register_node_handler("torch2trt_test::twice")
    def twice(inputs, attributes):
        net = torch2trt.current_network()
        return [net.add_elementwise(inputs[0], inputs[0], trt.ElementWiseOperation.SUM).get_output(0)]

    assert torch.equal(torch2trt.convert(torch.ops.torch2trt_test.twice, (x,)).evaluate(x), x * 2)


def test_registration_mistakes(handlers):
    def handler(inputs, attributes):
        return []

    with pytest.raises(errors.InputError, match="has a handler already: torch2trt.handlers.unary"):
        torch2trt.register_node_handler("aten::exp")(handler)
    with pytest.raises(errors.InputError, match="no op name"):
        torch2trt.register_node_handler("exp")(handler)
    with pytest.raises(errors.InputError, match="at least one"):
        torch2trt.register_node_handler()(handler)
    with pytest.raises(errors.InputError, match="by their names"):
        torch2trt.register_node_handler(handler)
    with pytest.raises(errors.InputError, match="is a function"):
        torch2trt.register_node_handler("torch2trt_test::none")(3)


@pytest.mark.parametrize(
    ("returned", "text"),
    [(None, "returned NoneType"), (torch.ones(1), "returned Tensor"), ([], "0 results for 1 outputs")],
)
def test_handler_that_returns_nonsense(handlers, returned, text):
    @torch2trt.register_node_handler("aten::exp", override=True)
    def my_exp(inputs, attributes):
        return returned

    with pytest.raises(errors.InternalError, match=f"my_exp(.|\n)*{text}(.|\n)*test_core.py"):
        torch2trt.convert(lambda x: torch.exp(x), torch.ones(2))


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (lambda net, x: net.add_shuffle(x), "IShuffleLayer where PyTorch gave a tensor"),
        (lambda net, x: net.add_shape(x).get_output(0), "torch.int64 where PyTorch gave torch.float32"),
        (lambda net, x: net.add_concatenation([x, x]).get_output(0), r"shape \[4\] where PyTorch gave \(2,\)"),
        (lambda net, x: torch.ones(3), r"shape \[3\] where PyTorch gave \(2,\)"),
    ],
)
def test_handler_whose_result_is_another_than_pytorchs(handlers, result, text):
    @torch2trt.register_node_handler("aten::exp", override=True)
    def my_exp(inputs, attributes):
        return [result(torch2trt.current_network(), inputs[0])]

    with pytest.raises(errors.HandlerError, match=f"aten::exp gives an? {text}|aten::exp gives {text}"):
        torch2trt.convert(lambda x: torch.exp(x), torch.ones(2))


def test_handler_that_raises(handlers):
    @torch2trt.register_node_handler("aten::exp", override=True)
    def my_exp(inputs, attributes):
        raise KeyError("oops")

    with pytest.raises(errors.HandlerError, match=r"aten::exp raised KeyError(.|\n)*test_core.py"):
        torch2trt.convert(lambda x: torch.exp(x), torch.ones(2))


def test_every_missing_op_is_found_before_a_layer_is_added(network, handlers):
    for name in ("aten::cos", "aten::sinh"):
        registry.unregister(name)
    with torch2trt.trt_network(network), pytest.raises(errors.UnsupportedOpError) as caught:
        torch2trt.torch2trt(lambda x: torch.cos(x) + torch.sinh(torch.cos(x)), torch.ones(2))
    assert [(op.kind, op.count) for op in caught.value.missing] == [("aten::cos", 2), ("aten::sinh", 1)]
    assert network.num_layers == 0 and network.num_inputs == 0
    text = str(caught.value)
    assert "test_core.py:" in text and "nearest registered" in text and "aten::cosh" in text


def test_check_reports_everything(handlers):
    for name in ("aten::cos", "aten::sinh"):
        registry.unregister(name)

    def function(x):
        return torch.cos(x) + torch.sinh(x) + torch.exp(x)

    report = torch2trt.check(function, torch.ones(2))
    assert not report and {op.kind for op in report.missing} == {"aten::cos", "aten::sinh"}
    assert "aten::sinh" in str(report) and report.counts["aten::add"] == 2
    assert torch2trt.check(lambda x: torch.exp(x), torch.ones(2)).ok


def test_outside_of_a_context():
    with pytest.raises(errors.InputError, match="outside of a context"):
        torch2trt.torch2trt(torch.exp, torch.ones(2))


@pytest.mark.parametrize("wrong", [None, "network", 3])
def test_network_that_is_none(wrong):
    with pytest.raises(errors.InputError, match="INetworkDefinition"), torch2trt.trt_network(wrong):
        pass


def test_a_refused_layer_carries_tensorrts_message(network, handlers):
    @torch2trt.register_node_handler("aten::exp", override=True)
    def bad(inputs, attributes):
        from torch2trt import emit

        return [emit.add_layer("softmax", inputs[0], axes=1 << 5)]

    with torch2trt.trt_network(network), pytest.raises(errors.LayerError, match=r"softmax axis(.|\n)*aten::exp"):
        torch2trt.torch2trt(lambda x: torch.exp(x), torch.ones(2, 3))


def test_sizes_that_come_of_floats_are_told():
    with pytest.raises(errors.LayerError, match=r"refused a fill layer(.|\n)*by way of floating point: use integers"):
        torch2trt.convert(lambda n: torch.arange(n), torch.tensor(8.5))


def test_nan_weights_warn():
    module = Small().eval()
    with torch.no_grad():
        module.first.weight[0, 0] = float("nan")
    with pytest.warns(UserWarning, match=r"first.weight.*NaN"):
        torch2trt.convert(module, torch.randn(2, 4))


def test_user_layers_keep_numpy_weights_alive(network):
    x = network.add_input("x", trt.float32, (3,))
    layer = network.add_constant((3,), np.arange(3, dtype=np.float32))
    y = network.add_elementwise(x, layer.get_output(0), trt.ElementWiseOperation.SUM).get_output(0)
    with torch2trt.trt_network(network):
        _, graph = torch2trt.torch2trt(lambda y: torch.exp(y), (y,))
    network.mark_output(graph.get_resolved_outputs()[0][0])
    name = graph.get_resolved_outputs()[0][0].name
    assert torch.equal(torch2trt.reference.evaluate(network, {"x": torch.zeros(3)})[name], torch.exp(torch.arange(3.0)))


def _python(code, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


_NO_TENSORRT = """
import sys
sys.modules["tensorrt"] = sys.modules["tensorrt_rtx"] = None
import torch, torch2trt
with torch2trt.torch_network():
    _, graph = torch2trt.torch2trt(lambda x: torch.exp(x) + 1, torch.zeros(2))
assert torch.equal(graph.get_resolved_outputs()[0][0], torch.full((2,), 2.0))
report = torch2trt.check(lambda x: torch.exp(x), torch.zeros(2))
assert report.ok and not report.complete
try:
    torch2trt.convert(torch.exp, torch.zeros(2))
except torch2trt.errors.TensorRTNotFoundError as error:
    print(error)
"""


def test_without_tensorrt():
    result = _python(_NO_TENSORRT)
    assert result.returncode == 0, result.stderr
    assert "pip install tensorrt " in result.stdout and "pip install tensorrt-rtx-cu13" in result.stdout


def test_import_loads_nothing_optional():
    code = (
        "import sys, torch2trt; import torch;"
        "print([m for m in ('tensorrt','tensorrt_rtx','rich','matplotlib','polygraphy','onnx') if m in sys.modules]);"
        "print(torch.cuda.is_initialized())"
    )
    result = _python(code)
    assert result.stdout.split() == ["[]", "False"], result.stdout + result.stderr


def test_choosing_tensorrt_by_name():
    code = "import torch2trt; print(torch2trt.trt.__name__)"
    assert _python(code, TORCH2TRT_TENSORRT="tensorrt_rtx").stdout.strip() == "tensorrt_rtx"
    assert "names no TensorRT package" in _python(code, TORCH2TRT_TENSORRT="tensorflow").stderr


def test_conversion_inside_an_autocast_region():
    module, x = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Softmax(-1)).eval(), torch.randn(3, 4)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        expected = module(x)
        converted = torch2trt.convert(module, x)
    found = converted.evaluate(x)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found.float(), expected.float(), rtol=0, atol=1e-2)
