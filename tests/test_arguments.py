"""Arguments that do not fit: refused before the work, by an error that names them."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

import torch2trt
from torch2trt import errors
from torch2trt.dynamic import Range
from torch2trt.engine import cached, loaded
from torch2trt.engine import run as engine_run
from torch2trt.engine.options import BuildOptions
from torch2trt.engine.refit import StoredWeights

X = torch.randn(2, 4)


@pytest.fixture
def linear():
    return nn.Linear(4, 4).eval()


@pytest.mark.parametrize(
    "dynamic_shapes, text",
    [
        ([0], "dynamic_shapes is list"),
        ("input", "dynamic_shapes is str"),
        ({"input": [0]}, r"input 'input' is \[0\], not a dict of sizes"),
        ({"input": None}, "input 'input' is None"),
        ({"input": "batch"}, "input 'input' is 'batch'"),
        ({"input": {"batch": (1, 2, 8)}}, "axis 'batch' is no number"),
        ({"input": {None: (1, 2, 8)}}, "axis None is no number"),
        ({"input": {0: (1.5, 2, 8)}}, "whole numbers"),
        ({"input": {0: (1, None, 8)}}, "whole numbers"),
        ({"input": {0: ("1", "2", "8")}}, "whole numbers"),
        ({"input": {0: (1, 1, 2, 8)}}, "whole numbers"),
        ({"input": {0: ("batch", 1, 2, 8.0)}}, "whole numbers"),
        ({"input": {0: Range(1, 2, 8.5)}}, "whole numbers"),
        ({"input": {0: Range(8, 2, 1)}}, "not ordered"),
        ({"input": {0: 3}}, "3 is not"),
    ],
)
def test_dynamic_shapes(linear, dynamic_shapes, text):
    with pytest.raises(errors.InputError, match=text):
        torch2trt.convert(linear, X, dynamic_shapes=dynamic_shapes)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"min": 3}, "min=3 is no shape"),
        ({"min": None}, "min=None is no shape"),
        ({"min": (1.0, 4)}, r"min=\(1.0, 4\) is no shape"),
        ({"min": (-1, 4)}, "is no shape"),
        ({"min": (1, 4), "opt": "2,4"}, "opt='2,4' is no shape"),
        ({"min": (1, 4), "max": (None, 4)}, "max="),
        ({"min": (1, 4), "dtype": "float32"}, "dtype='float32' is none of torch's"),
        ({"min": (1, 4), "dtype": None}, "dtype=None"),
        ({"min": (1, 4), "name": 3}, "name is text, not 3"),
    ],
)
def test_described_input(arguments, text):
    with pytest.raises(errors.InputError, match=text):
        torch2trt.Input(**{"name": "input", **arguments})


def test_described_input_between_its_limits(linear):
    with pytest.raises(errors.InputError, match="not ordered"):
        torch2trt.convert(linear, torch2trt.Input("input", (2, 4), (3, 4), (2, 4)))


@pytest.mark.parametrize(
    "options, text",
    [
        ({"input_names": [3]}, r"input_names=\[3\] is no list of names"),
        ({"input_names": "x"}, "input_names='x' is no list of names"),
        ({"output_names": [3]}, r"output_names=\[3\] is no list of names"),
        ({"output_names": "y"}, "output_names='y' is no list of names"),
        ({"output_names": 3}, "output_names=3 is no list of names"),
        ({"optimize": None}, "optimize=None is no list of names"),
        ({"optimize": 3}, "optimize=3 is no list of names"),
        ({"optimize": "gelu"}, "optimize='gelu' is no list of names"),
        ({"optimize": ["gelu", "fast"]}, "no such pass: fast"),
        ({"keep_float32": ["a"]}, r"keep_float32=\['a'\] is list"),
        ({"keep_float32": 3, "precision": "float16"}, "keep_float32=3 is int"),
        ({"param_exclude": ["a"]}, r"param_exclude=\['a'\] is list"),
        ({"param_exclude": b"a"}, "param_exclude=b'a' is bytes"),
        ({"mutated_inputs": "nothing"}, "mutated_inputs='nothing'"),
        ({"precision": "float8"}, "precision='float8'"),
    ],
)
def test_options_of_conversion_are_checked_before_it(options, text):
    def forward(x):
        raise AssertionError("the model ran")

    with pytest.raises(errors.InputError, match=text):
        torch2trt.convert(forward, X, **options)
    if "output_names" not in options:  # all but these are checked in debug mode too
        with torch2trt.torch_network(), pytest.raises(errors.InputError, match=text):
            torch2trt.core.torch2trt(forward, X, **options)


def test_optimize_takes_what_can_be_read_once(linear):
    torch2trt.convert(linear, X, optimize=(name for name in ["gelu", "silu"]))


@pytest.mark.parametrize("dtype, most", [(torch.float32, 8), (torch.complex64, 7)])
def test_inputs_of_too_many_axes(dtype, most):
    torch2trt.convert(lambda x: x + 1, torch.zeros([1] * most, dtype=dtype))
    with pytest.raises(errors.InputError, match=f"input 'x' is of rank {most + 1}, .* of rank {most} at most"):
        torch2trt.convert(lambda x: x + 1, torch.zeros([1] * (most + 1), dtype=dtype))


@pytest.mark.parametrize("profiles", [{"input": {0: (1, 2, 4)}}, "input", 3])
def test_profiles(linear, profiles):
    converted = torch2trt.convert(linear, X, dynamic_shapes={"input": {0: (1, 2, 4)}})
    with pytest.raises(errors.InputError, match=f"profiles is {type(profiles).__name__}, not a list"):
        converted.serialize(profiles=profiles)
    with pytest.raises(errors.InputError, match="a profile is str"):
        converted.serialize(profiles=["input"])
    with pytest.raises(errors.InputError, match="axis 'batch' is no number"):
        converted.serialize(profiles=[{"input": {"batch": (1, 2, 4)}}])


@pytest.mark.parametrize(
    "options, text",
    [
        ({"workspace": "4G"}, "workspace='4G'"),
        ({"workspace": 1.5}, "workspace=1.5"),
        ({"optimization_level": "3"}, "optimization_level='3'"),
        ({"optimization_level": 3.0}, "optimization_level=3.0"),
        ({"aux_streams": "2"}, "aux_streams='2'"),
        ({"tf32": "no"}, "tf32='no'"),
        ({"compute_capability": 8.9}, "compute_capability=8.9"),
        ({"compute_capability": (8.9,)}, "compute_capability 8.9"),
    ],
)
def test_build_options(options, text):
    with pytest.raises(errors.InputError, match=text):
        BuildOptions(**options)


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda held: held.numpy(), "'weight' of the state_dict is ndarray|'bias' of the state_dict is ndarray"),
        (lambda held: held.to("meta"), "on the meta device"),
        (lambda held: held * 1j, "is torch.complex64, and the module's is torch.float32"),
    ],
)
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_entries_of_a_state_dict(linear, precision, change, text):
    converted = torch2trt.convert(linear, X, precision=precision)
    state = {key: change(held) for key, held in linear.state_dict().items()}
    with pytest.raises(errors.InputError, match=text):
        converted.evaluate_with(state, X)
    if precision == "float32":  # else they are computed, which a file's are not
        with pytest.raises(errors.InputError, match=text):
            StoredWeights.of(converted.weights).compute(state)


@pytest.mark.parametrize("state", [None, nn.Linear(4, 4), [1]])
def test_what_is_no_state_dict(linear, state):
    converted = torch2trt.convert(linear, X)
    with pytest.raises(errors.InputError, match=f"the weights are {type(state).__name__}, not a state_dict"):
        converted.evaluate_with(state, X)
    with pytest.raises(errors.InputError, match=f"the weights are {type(state).__name__}, not a state_dict"):
        StoredWeights.of(converted.weights).compute(state)


def test_complex_weights_stay_complex():
    module = nn.Linear(4, 4, dtype=torch.complex64).eval()
    other = nn.Linear(4, 4, dtype=torch.complex64).eval()
    x = torch.randn(2, 4, dtype=torch.complex64)
    result = torch2trt.convert(module, x).evaluate_with(other.state_dict(), x)
    torch.testing.assert_close(result, other(x))


@pytest.mark.parametrize("x", [X.to("meta"), torch2trt.Input("input", (2, 4))])
def test_inputs_without_data(linear, x):
    converted = torch2trt.convert(linear, X)
    with pytest.raises(errors.InputError, match="input 'input' is .* and holds no data"):
        converted.evaluate(x)
    if isinstance(x, torch.Tensor):
        with pytest.raises(errors.InputError, match="input 'input' is .* and holds no data"):
            torch2trt.reference.evaluate(converted.network, {"input": x})


def test_evaluator_of_no_network(linear):
    converted = torch2trt.convert(linear, X)
    for network in (None, converted, (converted.builder, converted.network)):
        with pytest.raises(errors.InputError, match=f"the network is {type(network).__name__}, not an INetworkDef"):
            torch2trt.reference.evaluate(network, {"input": X})
    with pytest.raises(errors.InputError, match="the inputs are Tensor, not a dict"):
        torch2trt.reference.evaluate(converted.network, X)


@pytest.mark.parametrize("tolerance", [-1, float("nan"), "1e-4", None])
def test_tolerances(linear, tolerance):
    with pytest.raises(errors.InputError, match=f"atol={tolerance!r} is no tolerance"):
        torch2trt.verify(linear, X, atol=tolerance)
    if tolerance is not None:
        with pytest.raises(errors.InputError, match=f"rtol={tolerance!r} is no tolerance"):
            torch2trt.verify(linear, X, rtol=tolerance)


@pytest.fixture
def no_builds(monkeypatch):
    def build(*args, **kwargs):
        raise AssertionError("an engine was built")

    monkeypatch.setattr(cached, "serialize_network", build)


@pytest.fixture
def gpu(monkeypatch):
    """As if there were one; no engine is loaded."""
    monkeypatch.setattr(loaded, "cuda_device", lambda device: torch.device("cuda", 0))
    monkeypatch.setattr(engine_run, "cuda_device", lambda device: torch.device("cuda", 0))


@pytest.mark.parametrize(
    "options, text",
    [
        ({"foo": 1}, "unknown build option: foo; there are .*auto_contiguous.*workspace"),
        ({"weights": None}, "unknown build option: weights"),
        ({"max_graphs": "2"}, "max_graphs='2'"),
        ({"kernel_cache": 3.5}, r"3\.5 is no place for a cache"),
        ({"engine_cache": 3.5}, r"3\.5 is no place for a cache"),
        ({"optimization_level": 9}, "optimization_level=9"),
    ],
)
@pytest.mark.usefixtures("no_builds", "gpu")
def test_build_checks_options_first(linear, options, text):
    converted = torch2trt.convert(linear, X)
    with pytest.raises(errors.InputError, match=text):
        converted.build(**options)

    def forward(x):
        raise AssertionError("the model ran")

    if "engine_cache" not in options:
        with pytest.raises(errors.InputError, match=text):
            torch2trt.build_engine(forward, X, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.usefixtures("no_builds")
def test_build_needs_a_gpu_first(linear):
    converted = torch2trt.convert(linear, X)
    with pytest.raises(errors.EngineError, match="needs an NVIDIA GPU"):
        converted.build(auto_device=True)


def test_a_device_that_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(errors.InputError, match="device='gpu0' is no device"):
        loaded.cuda_device("gpu0")


@pytest.mark.usefixtures("no_builds", "gpu")
def test_places_are_checked_before_the_build(linear, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    converted = torch2trt.convert(linear, X)
    for path in (tmp_path, tmp_path / "missing" / "net.engine", tmp_path / "file" / "net.engine"):
        with pytest.raises(errors.EngineError, match=f"cannot write .?{path}"):
            converted.serialize(path)
    for function in (converted.build, converted.serialize, converted.bundle):
        with pytest.raises(errors.EngineError, match="cannot make the cache folder") as error:
            function(engine_cache=tmp_path / "file" / "cache")
        assert error.value.hint == "choose a folder that can be written"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "options, text",
    [
        ({"speed": 1}, "unknown option of compile: speed; there are allow_float64_as_float32, backend,"),
        ({"min_block_size": "2"}, "min_block_size='2' is no whole number"),
        ({"max_graphs": None}, "max_graphs=None is no whole number"),
        ({"optimize": "gelu"}, "optimize='gelu' is no list"),
        ({"exclude": ["a"]}, r"exclude=\['a'\] is list"),
        ({"build": {"foo": 1}}, "unknown option in build: foo"),
        ({"build": {"workspace": "4G"}}, "workspace='4G'"),
        ({"build": "refit"}, "build='refit' is no dict"),
        ({"run": {"foo": 1}}, "unknown option in run: foo"),
        ({"mutated_inputs": "output", "background": True}, "mutated_inputs='output' goes with no background"),
    ],
)
def test_options_of_compile_are_checked_before_it(options, text):
    class Fails(nn.Module):
        def forward(self, x):
            raise AssertionError("the model ran")

    with pytest.raises(errors.InputError, match=text) as error:
        torch2trt.compile(Fails().eval(), X, **options)
    assert "__init__" not in str(error.value)


class WritesToItsInput(nn.Module):
    def forward(self, x):
        x.add_(1)
        return x.relu() * 2


@pytest.mark.parametrize("exclude", [None, "aten::relu", ".*"])
def test_compiled_modules_that_write_to_their_input(exclude):
    module = WritesToItsInput().eval()
    with pytest.raises(errors.InputError, match="writes to its input x") as error:
        torch2trt.compile(module, X.clone(), backend="reference", exclude=exclude)
    assert 'pass mutated_inputs="output"' in error.value.hint and error.value.location.scope == ""
    given = torch.randn(2, 4)
    before = given.clone()
    fast = torch2trt.compile(module, X.clone(), backend="reference", exclude=exclude, mutated_inputs="ignore")
    torch.testing.assert_close(fast(given), (before + 1).relu() * 2)
    fast = torch2trt.compile(module, X.clone(), backend="reference", exclude=exclude, mutated_inputs="output")
    result, held = fast(given)
    torch.testing.assert_close(result, (before + 1).relu() * 2)
    torch.testing.assert_close(held, before + 1)
    assert torch.equal(given, before)


class Holder:
    """An object that is called and holds a module, as pipelines do."""

    def __init__(self, module, name="net"):
        setattr(self, name, module)

    def __call__(self, x):
        return next(iter(vars(self).values()))(x)

    def run(self, x):
        return self(x)


def given_by(forward):
    return lambda x: forward(x)


def trained_by(training):
    return lambda x: training(x)


def in_a_list(layers):
    return lambda x: layers[1](layers[0](x))


def in_a_dict(heads):
    return lambda x: heads["a.b"][0](x)


def through_a_function(inner):
    def outer(x):
        return inner(x) + 1

    return outer


GLOBAL = nn.Linear(4, 4).eval()
HOLDER = Holder(GLOBAL)


def uses_a_global(x):
    return torch.stack([GLOBAL(row) for row in x.unbind()])


def uses_a_function(x):
    return uses_a_global(x) + HOLDER(x)


@pytest.mark.parametrize(
    "reach, keys",
    [
        (lambda m: functools.partial(m), {"func.weight", "func.bias"}),
        (lambda m: functools.partial(lambda net, x: net(x), m), {"argument0.weight", "argument0.bias"}),
        (lambda m: functools.partial(lambda x, net: net[0](x), net=[m]), {"argument0_0.weight", "argument0_0.bias"}),
        (lambda m: Holder(m), {"net.weight", "net.bias"}),
        (lambda m: Holder(m, "module"), {"weight", "bias"}),
        (lambda m: Holder(m).run, {"net.weight", "net.bias"}),
        (lambda m: Holder(Holder(m, "inner")), {"inner.weight", "inner.bias"}),
        (lambda m: m.forward, {"self_.weight", "self_.bias"}),
        (given_by, {"forward_.weight", "forward_.bias"}),
        (trained_by, {"training_.weight", "training_.bias"}),
        (lambda m: in_a_list([m, nn.ReLU()]), {"layers_0.weight", "layers_0.bias"}),
        (lambda m: in_a_list([m, m]), {"layers_0.weight", "layers_0.bias"}),
        (lambda m: in_a_dict({"a.b": (m,)}), {"heads_a_b_0.weight", "heads_a_b_0.bias"}),
        (lambda m: through_a_function(given_by(Holder(m))), {"net.weight", "net.bias"}),
        (lambda m: lambda x, net=m: net(x), {"net.weight", "net.bias"}),
        (lambda m: lambda x: sum(inner(x) for inner in [m]), {"m.weight", "m.bias"}),
        (lambda m: uses_a_global, {"GLOBAL.weight", "GLOBAL.bias"}),
        (lambda m: uses_a_function, {"GLOBAL.weight", "GLOBAL.bias"}),
    ],
)
def test_modules_that_a_function_reaches(linear, reach, keys):
    function = reach(linear)
    converted = torch2trt.convert(function, (X,), input_names=["x"])
    torch.testing.assert_close(converted.evaluate(X), function(X))
    assert converted.weights.keys() == keys


def test_modules_beside_one_of_its_own_modules():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval()

    class Owner:
        def __init__(self):
            self.first, self.model = model[0], model

        def __call__(self, x):
            return self.first(x) + self.model(x)

    function = Owner()
    torch.testing.assert_close(torch2trt.convert(function, X).evaluate(X), function(X))


def test_two_names_that_begin_alike(linear):
    module, module2 = linear, nn.Linear(4, 4).eval()
    converted = torch2trt.convert(lambda x: module(x) + module2(x), X)
    assert converted.weights.keys() == {"weight", "bias", "module2.weight", "module2.bias"}


def test_a_parameter_of_no_module():
    weight = nn.Parameter(torch.randn(4, 4))
    with pytest.raises(errors.TraceError, match="a parameter that belongs to no module") as error:
        torch2trt.convert(lambda x: x @ weight, X)
    assert "Tensor:" not in error.value.message and len(error.value.message.splitlines()) == 1
