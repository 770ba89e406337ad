"""From a module to our graph: inputs, outputs, names, and the module as it was."""

from __future__ import annotations

import collections
import copy
import functools
import inspect
import warnings

import pytest
import torch
from torch import nn

import torch2trt
from tests import harness
from tests.harness import trace
from torch2trt import binding, errors, structure, torch_compat, tracing


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.head = nn.Linear(4, 2)
        self.twin = self.head
        self.register_buffer("offset", torch.ones(2))
        self.register_buffer("table", torch.ones(2), persistent=False)
        self.unused = nn.Linear(3, 3)
        self.plain = torch.ones(2)

    def forward(self, image, mask=None):
        y = self.twin(self.encoder(image)) + self.offset + self.table + self.plain
        return y if mask is None else y * mask


def test_scopes_sources_and_parameters():
    graph = trace(Net().eval(), torch.randn(1, 4))
    linear = [node for node in graph.nodes if node.kind == "aten::linear"]
    assert [node.scope for node in linear] == ["encoder.0", "head"] or [node.scope for node in linear] == [
        "encoder.0",
        "twin",
    ]
    assert all("test_tracing.py:" in node.source for node in linear)
    assert set(graph.parameters) == {"encoder.0.weight", "encoder.0.bias", "head.weight", "head.bias", "offset"}
    assert linear[1].argument("weight").key == "head.weight"
    assert linear[0].outputs[0].shape == (1, 4) and linear[0].outputs[0].dtype == torch.float32


def test_arguments_are_bound_by_schema():
    graph = trace(lambda x: torch.sum(x, 1, keepdim=True).to(torch.float16), torch.randn(2, 3))
    total, cast = graph.nodes
    assert (total.kind, total.overload) == ("aten::sum", "dim_IntList")
    assert total.argument("dim") == [1] and total.argument("keepdim") is True
    assert cast.argument("dtype") is torch.float16
    with pytest.raises(errors.InternalError, match="nothing"):
        total.argument("nothing")


def test_python_scalars_are_numbers():
    graph = trace(lambda x: x * 0.5 + 2, torch.randn(2))
    assert graph.nodes[0].argument("other") == 0.5
    assert graph.nodes[1].argument("other") == 2


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (torch.zeros(1), ["a"]),
        ((torch.zeros(1), torch.ones(1)), ["a", "b"]),
        ({"b": torch.zeros(1), "a": torch.ones(1)}, ["b", "a"]),
        (([torch.zeros(1), torch.ones(1)], {"k": torch.zeros(1)}), ["a_0", "a_1", "b_k"]),
        (binding.Call((torch.zeros(1),), {"b": torch.ones(1)}), ["a", "b"]),
    ],
)
def test_input_names(inputs, names):
    args, kwargs = binding.normalize_inputs(inputs)
    assert binding.default_input_names(lambda a, b=None: a, args, kwargs) == names


def test_var_positional_names():
    assert binding.default_input_names(lambda a, *rest: a, (torch.zeros(1),) * 3, {}) == ["a", "rest_0", "rest_1"]


Point = collections.namedtuple("Point", ["x", "y"])


def test_outputs_of_any_nesting():
    def nested(x):
        y = x + 1
        return {"a": (y, None, 3), "b": [x, {"c": y}], "d": Point(y, "text")}

    x = torch.randn(2)
    graph = trace(nested, x)

    leaves, nesting = structure.flatten(nested(x))
    assert nesting == graph.output_structure and len(leaves) == len(graph.outputs) == 4
    assert graph.outputs[1] is graph.inputs[0]
    assert graph.outputs[0] is graph.outputs[2]


def test_unused_inputs_stay():
    graph = trace(lambda x, y: x + 1, torch.zeros(2), torch.zeros(3))
    assert graph.input_names == ["x", "y"] and graph.inputs[1].shape == (3,)


def test_module_is_left_as_it_was():
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    module[0].eval()
    module[0].weight.requires_grad_(False)
    calls = []
    module[1].register_forward_hook(lambda *_: calls.append(1))
    before = copy.deepcopy(module.state_dict())
    flags = [child.training for child in module.modules()]
    random_state = torch.get_rng_state()
    x = torch.randn(3, 4)
    random_state = torch.get_rng_state()
    with pytest.warns(UserWarning, match="training mode"):
        trace(module, x)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert [child.training for child in module.modules()] == flags
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert not module[0].weight.requires_grad and module[1].weight.requires_grad
    assert module[1].weight.grad is None and len(module[1]._forward_hooks) == 1
    assert torch.is_grad_enabled()


def test_inputs_are_left_as_they_were():
    x = torch.zeros(3)
    trace(lambda x: x.add_(1), x)
    assert torch.equal(x, torch.zeros(3))


def test_function_with_modules_in_its_closure():
    linear = nn.Linear(2, 2)
    graph = trace(lambda x: linear(x), torch.randn(1, 2))
    assert set(graph.parameters) == {"linear.weight", "linear.bias"}
    graph = trace(functools.partial(lambda m, x: m(x), linear), torch.randn(1, 2))
    assert len(graph.parameters) == 2


class Appends(nn.Module):
    def forward(self, values: list[torch.Tensor], x: torch.Tensor) -> list[torch.Tensor]:
        values.append(x * 2)
        return values


class GivesAList(nn.Module):
    def __init__(self):
        super().__init__()
        self.appends = torch.jit.script(Appends())

    def forward(self, x):
        first, second, third = self.appends([x, x + 1], x)
        return first + second * third


@torch.jit.script
def doubled(x, times: int):
    for i in range(times):
        x = x * 2 + i
    return x


class CallsCompiled(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return doubled(self.linear(x), 3), {"more": [x, x + 1]}


class CalledTwice(nn.Module):
    """Its submodules share one, whose call takes it as an argument in the trace."""

    def __init__(self):
        super().__init__()
        self.calls = CallsCompiled()
        self.shares = nn.Sequential(self.calls.linear, nn.ReLU())

    def forward(self, x):
        first, others = self.calls(x)
        second, _ = self.calls(first)
        return self.shares(second) + others["more"][1]


class HoldsCompiled(nn.Module):
    def __init__(self):
        super().__init__()
        self.compiled = torch.jit.script(CallsCompiled().linear)
        self.traced = torch.jit.trace(CallsCompiled().linear, torch.randn(2, 4))
        self.both = nn.Sequential(self.compiled, self.traced)

    def forward(self, x):
        return self.both(x) + self.compiled(self.traced(x))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("module", [GivesAList, CalledTwice, HoldsCompiled, lambda: nn.LSTM(4, 3)])
def test_calls_of_submodules_are_looked_into(module, dynamic):
    module, x = module().eval(), torch.randn(2, 4)
    shapes = {next(iter(inspect.signature(module.forward).parameters)): {0: (2, 2, 5)}} if dynamic else None
    converted = torch2trt.convert(module, x, dynamic_shapes=shapes)
    names = [value.name for node in converted.graph.nodes for value in node.outputs]
    assert len(names) == len(set(names))
    for example in (x, torch.randn(5, 4)) if dynamic else (x,):
        torch.testing.assert_close(converted.evaluate(example), module(example), rtol=1e-4, atol=1e-4)


def test_a_trace_is_let_go_but_for_what_was_compiled_before():
    module, x = HoldsCompiled().eval(), torch.randn(2, 4)
    expected = module(x)
    traced = torch_compat.trace(module, (x,))
    torch_compat.forget(traced, {"compiled", "traced", "both.0", "both.1"})
    graphs = [traced.graph, traced.both.graph, module.compiled.graph, module.traced.graph]
    assert [bool(list(graph.nodes())) for graph in graphs] == [False, False, True, True]
    assert torch.equal(module(x), expected)


class Aliases(nn.Module):
    def forward(self, x):
        y = torch.swapaxes(x, -1, -2).clip(min=0.1).moveaxis(0, 1)
        y = torch.multiply(torch.true_divide(y, 3), torch.divide(y, 2, rounding_mode="floor"))
        z = torch.special.softmax(torch.concat((y, y)), -1) + torch.special.expit(y).adjoint().sum()
        z = z + torch.special.round(y.sum(), decimals=2) + torch.special.gammaln(y).mean()
        return torch.greater(y, 0.5), torch.subtract(torch.row_stack((y, y)), 1, alpha=2).absolute_(), z


def test_aliases_of_ops_are_the_ops_in_submodules_too():
    x = torch.randn(2, 3, 4)
    outside = trace(Aliases().forward, x)
    inside = trace(nn.Sequential(Aliases()), x)
    kinds = [(node.kind, node.overload, node.schema.name) for node in inside.nodes]
    assert kinds == [(node.kind, node.overload, node.schema.name) for node in outside.nodes]
    assert ("aten::transpose", "int", "aten::transpose") in kinds


def test_tracer_warnings_once_with_the_line():
    def branchy(x):
        for _ in range(3):
            if x.sum() > 0:
                x = x + 1
        return x

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trace(branchy, torch.ones(2))
    ours = [w for w in caught if issubclass(w.category, torch.jit.TracerWarning)]
    assert len(ours) == 1 and ours[0].filename.endswith("test_tracing.py")
    assert not [w for w in caught if "deprecated" in str(w.message)]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: trace("resnet18", torch.zeros(1)), errors.InputError, "must be an nn.Module or a function, not str"),
        (lambda: trace(Net().eval(), 1, 2), errors.InputError, "no tensor"),
        (lambda: trace(Net().eval()), errors.InputError, "missing a required argument: 'image'"),
        (lambda: trace(Net().eval(), torch.zeros(1), torch.zeros(1), torch.zeros(1)), errors.InputError, "too many"),
        (lambda: trace(Net().eval(), torch.zeros(1, 5)), errors.TraceError, "mat1 and mat2"),
        (lambda: trace(Net().eval(), torch.zeros(1, 4, device="meta")), errors.InputError, "meta"),
        (lambda: trace(nn.Linear(4, 2, device="meta").eval(), torch.zeros(1, 4)), errors.InputError, "is on meta and"),
        (
            lambda: tracing.trace_graph(Net().eval(), (torch.zeros(1, 4),), input_names=["a", "b"]),
            errors.InputError,
            "2 input names",
        ),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_bools_as_numbers_keep_sources_and_written_state():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            x += 1
            return (x > 0) == True, self.calls * 1  # noqa: E712

    module, x = Masked().eval(), torch.zeros(3)
    graph = trace(module, x)
    equal = next(node for node in graph.nodes if node.kind == "aten::eq")
    assert equal.overload == "Tensor" and "test_tracing.py:" in equal.source
    assert module.calls == 0 and torch.equal(x, torch.zeros(3))


def test_properties_that_raise_do_not_keep_a_module_from_being_traced():
    class Part(nn.Module):
        @property
        def broken(self):
            raise AssertionError("not now")

        def forward(self, x):
            return x + 1

    module = nn.Sequential(Part(), nn.ReLU())
    assert [node.kind for node in trace(module, torch.randn(3)).nodes] == ["aten::add", "aten::relu"]
    assert type(module[0]) is Part and "broken" in dir(module[0])


class _Exported(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Linear(8, 4)
        self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rows = self.conv(x).relu().flatten(2).transpose(1, 2)
        rows = rows + self.attention(rows, rows, rows, need_weights=False)[0]
        batch, count, _ = rows.shape
        return (
            self.linear(rows.mean(1)) * count,
            torch.arange(count),
            x.new_zeros(batch, count),
            x.expand(batch, -1, -1, -1),
        )


@pytest.mark.parametrize("decomposed", [False, True])
def test_modules_of_torch_export(decomposed):
    model, x = _Exported().eval(), harness.rand(2, 3, 4, 6)
    sizes = {0: torch.export.Dim("batch", min=2, max=8), 2: torch.export.Dim("height", min=2, max=16)}
    program = torch.export.export(model, (x,), dynamic_shapes={"x": sizes})
    module = (program.run_decompositions() if decomposed else program).module()
    converted = torch2trt.convert(module, x, dynamic_shapes={"x": {0: (2, 2, 8), 2: (2, 4, 16)}})
    for shape in ((2, 3, 4, 6), (5, 3, 7, 6), (8, 3, 16, 6)):
        other = harness.rand(*shape)
        with torch.no_grad():
            harness.assert_same(converted.evaluate(other), model(other), rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16, torch.uint32])
def test_dtypes_of_later_numbers(dtype):
    graph = trace(lambda x: x.to(dtype), torch.ones(3))
    assert graph.nodes[0].args[1] == dtype
    x = harness.rand(5, low=0)
    assert torch.equal(torch2trt.convert(lambda x: x.to(dtype), x).evaluate(x).float(), x.to(dtype).float())


def test_state_that_is_no_tensor():
    class Counted(nn.Linear):
        def get_extra_state(self):
            return {"calls": 3}

        def set_extra_state(self, state):
            pass

    graph = trace(Counted(3, 2).eval(), torch.ones(1, 3))
    assert graph.state_shapes == {"weight": (2, 3), "bias": (2,)}


class _Data(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("last", torch.zeros(4))

    def forward(self, x):
        y = x * 2
        read = y.data + 1
        y.data[0] = 5.0
        y.data.mul_(3)
        self.last.data.copy_(x[1])
        return read, y, x + self.last


@pytest.mark.filterwarnings("ignore:the module writes to last")
def test_data_is_the_tensor_itself():
    """For torch.jit.trace ``tensor.data`` is a constant."""
    x, other = harness.rand(3, 4), harness.rand(3, 4)
    converted = torch2trt.convert(_Data().eval(), x)
    harness.assert_same(converted.evaluate(other), _Data().eval()(other))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x * 2).resize_(3) + 1,
        lambda x: (x * 2).resize_as_(x[:1]) + 1,
        lambda x: torch.resize_as_(x * 2, x[:1]) + 1,
        lambda x: torch.ops.aten.resize_(x * 2, [2, 2]),
    ],
)
def test_sizes_that_change_in_place_are_refused(function):
    with pytest.raises(
        errors.TraceError, match=r"resize_.* from \[3, 4\] to \[(.|\n)*test_tracing.py:\d+(.|\n)*reshape"
    ):
        torch2trt.convert(function, harness.rand(3, 4))


@pytest.mark.parametrize("function", [lambda x: (x * 2).resize_(3, 4) + 1, lambda x: torch.resize_as_(x * 2, x) + 1])
def test_sizes_that_stay_in_place_are_followed(function):
    x, other = harness.rand(3, 4), harness.rand(3, 4)
    harness.assert_same(torch2trt.convert(function, x).evaluate(other), other * 2 + 1)


def test_numbers_of_a_tensor_are_followed():
    """Without dynamic axes too: the sizes of the result are values of an input."""

    def function(sizes):
        return torch.ops.aten.full.default(sizes, 1.5)

    converted = torch2trt.convert(function, torch.tensor([3, 7]))
    harness.assert_same(converted.evaluate(torch.tensor([2, 5])), torch.full((2, 5), 1.5))


_CONSTANT = torch.arange(4)


class _Returned(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)
        self.anchors = torch.arange(3)
        self.register_buffer("last", torch.ones(2))

    def forward(self, x):
        return super().forward(x), self.anchors, self.last, self.weight, self.anchors


@pytest.mark.parametrize("function", [_Returned().eval(), lambda x: (x + 1, _CONSTANT), lambda x: _CONSTANT])
def test_returned_tensors_that_nothing_computes(function):
    """The tracer knows no tensor that is neither an argument, nor a parameter, nor the result of an operator."""
    x = harness.rand(2, 4)
    with torch.no_grad():
        harness.assert_same(torch2trt.convert(function, x).evaluate(x), function(x))


class _Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        return self.linear(self.conv(x).relu().mean((2, 3)))


@pytest.mark.parametrize("inner", [False, True])
def test_modules_that_were_traced_at_other_sizes_or_in_another_dtype(inner):
    model = _Pooled().eval()
    traced = torch.jit.trace(model, harness.rand(1, 3, 8, 8))
    module = nn.Sequential(traced, nn.Tanh()) if inner else traced
    x = harness.rand(5, 3, 9, 7)
    expected = model(x).tanh() if inner else model(x)
    harness.assert_same(torch2trt.convert(module, x).evaluate(x), expected.detach(), rtol=1e-4)
    fast = torch2trt.compile(module, (x,), backend="reference", full=True)
    harness.assert_same(fast(x).detach(), expected.detach(), rtol=1e-4)
    module.half()
    assert torch2trt.convert(module, x.half()).evaluate(x.half()).dtype == torch.float16


class Held:
    """What a module keeps, in an object and a deque."""

    def __init__(self):
        self.keys = torch.ones(3)
        self.calls = 0
        self.last = collections.deque([torch.zeros(3)], maxlen=2)


class Keeps(nn.Module):
    def __init__(self):
        super().__init__()
        self.held = Held()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        y = self.linear(x)
        self.held.keys.copy_(y[0])
        self.held.calls += 1
        self.held.last.append(y)
        return y + self.held.calls


@pytest.mark.filterwarnings("ignore:the module writes to")
def test_objects_that_a_module_keeps_are_left_as_they_were():
    module = Keeps()
    torch2trt.convert(module, torch.rand(2, 3))
    assert torch.equal(module.held.keys, torch.ones(3)) and module.held.calls == 0
    assert len(module.held.last) == 1 and torch.equal(module.held.last[0], torch.zeros(3))


def test_a_conversion_inside_of_a_trace_is_refused():
    def forward(x):
        torch2trt.convert(torch.relu, x)
        return x

    with pytest.raises(errors.TraceError, match=r"inside of a forward(.|\n)*test_tracing.py"):
        torch2trt.convert(forward, torch.ones(2))


def test_deep_copies_are_followed():
    function = lambda x: copy.deepcopy({"a": [x, x]})["a"]  # noqa: E731
    converted = torch2trt.convert(function, torch.ones(2))
    harness.assert_same(converted.evaluate(torch.zeros(2)), [torch.zeros(2)] * 2)


class NamedAsTorchScriptNames(nn.Module):
    def __init__(self):
        super().__init__()
        self.graph, self.code, self.save = nn.Linear(2, 2), nn.Linear(2, 2), nn.Parameter(torch.ones(2))

    def forward(self, x):
        return self.code(self.graph(x)) * self.save


def test_submodules_and_parameters_of_any_name():
    module, x = NamedAsTorchScriptNames(), torch.rand(1, 2)
    harness.assert_same(torch2trt.convert(module, x).evaluate(x), module(x), rtol=1e-5)


class Raises(nn.Module):
    def forward(self, x):
        return {}["nothing"]


def test_errors_inside_of_a_module_say_where():
    with pytest.raises(errors.TraceError, match=r"KeyError(.|\n)*in module '1'(.|\n)*test_tracing.py:"):
        torch2trt.convert(nn.Sequential(nn.ReLU(), Raises()), torch.ones(2))


def test_operators_of_torchs_own_modules_have_a_line_there():
    _, graph = tracing.trace_graph(nn.Sequential(nn.Linear(2, 2)), (torch.ones(1, 2),))
    assert "linear.py" in graph.nodes[0].source
