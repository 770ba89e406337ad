"""Inputs and state that are written to, and the graph that comes out."""

from __future__ import annotations

import copy
import time

import pytest
import torch
from torch import nn

import torch2trt
from tests import harness
from tests.harness import rand
from tests.passes.mutation import X, Y, check, debug, kinds
from torch2trt import errors, tracing
from torch2trt.graph import Graph, Node, Value
from torch2trt.passes.functionalize import functionalize

# ---- inputs and state


def writes_to_its_input(x, y):
    x += y
    x[0] = 1
    return x.sum(), y * 2


def test_mutated_input_is_an_error():
    with pytest.raises(errors.InputError, match=r"to its input x\n(.|\n)*aten::add_(.|\n)*_graph.py"):
        debug(writes_to_its_input, (X, Y))
    with pytest.raises(errors.InputError, match="mutated_inputs='nothing'"):
        debug(writes_to_its_input, (X, Y), mutated_inputs="nothing")


def test_mutated_input_is_an_output():
    expected = X.clone()
    results = writes_to_its_input(expected, Y)
    _, actual = debug(writes_to_its_input, (X, Y), mutated_inputs="output")
    harness.assert_same(actual, (*results, expected), rtol=0, atol=0)
    converted = torch2trt.convert(lambda x: x.relu_(), X.clone(), mutated_inputs="output")
    harness.assert_same(converted.evaluate(X), (X.relu(), X.relu()))


def test_mutated_input_is_ignored():
    _, actual = debug(writes_to_its_input, (X, Y), mutated_inputs="ignore")
    harness.assert_same(actual, writes_to_its_input(X.clone(), Y), rtol=0, atol=0)


@pytest.mark.parametrize(
    "function",
    [lambda x: x.t_() * 2, lambda x: x.view(-1)[2:].zero_() * 2, lambda x: x.detach().add_(1)],
)
def test_inputs_are_mutated_through_views(function):
    with pytest.raises(errors.InputError, match="writes to its input x"):
        debug(function, (X,))


def test_an_input_that_a_branch_may_write_to():
    @torch.jit.script
    def function(x):
        y = x * 2
        if bool(x.sum() > 0):
            y = x
        return y.add_(1)

    with pytest.raises(errors.InputError, match="writes to its input x"):
        debug(lambda x: function(x), (X,))


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.tensor(3))
        self.register_buffer("table", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        self.table[1:] = x[0, 1:]
        return x * self.count + self.table


class Constants(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.plain = torch.tensor([1.0, 2.0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = torch.tensor([5.0, 6.0]), torch.as_tensor([1.0, 2.0])
        a[0] = x.sum()
        b.add_(x.sum())
        self.plain.mul_(2)
        return a, b, self.plain * x.sum()


def test_constants_that_are_written_to():
    module = Constants()
    with pytest.warns(UserWarning, match="writes to plain, which is no buffer: an engine keeps no state"):
        _, actual = debug(module, (X,))
    assert torch.equal(module.plain, torch.tensor([1.0, 2.0]))
    harness.assert_same(actual, copy.deepcopy(module)(X), rtol=0, atol=0)


def test_state_is_not_kept():
    module = Counter()
    with pytest.warns(UserWarning, match="writes to count, table: an engine keeps no state") as caught:
        converted = torch2trt.convert(module, X)
    assert sum("keeps no state" in str(warning.message) for warning in caught) == 1
    assert module.count == 3 and not module.table.any()
    expected = copy.deepcopy(module)(X)
    harness.assert_same(converted.evaluate(X), expected)
    harness.assert_same(torch2trt.debug_call_graph(converted.graph, X), expected)


class Replacing(nn.Module):
    """Reads an attribute and a buffer, and replaces them by others."""

    def __init__(self) -> None:
        super().__init__()
        self.plain, self.calls = torch.zeros(2), 0
        self.register_buffer("state", torch.ones(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.plain = self.plain * 3 + 1
        self.state = self.state * 2 + x.mean()
        self.calls += 1
        return x * self.calls + self.plain + self.state


@pytest.mark.parametrize("dynamic", [None, {"x": {0: (1, 3, 9)}}])
@pytest.mark.parametrize("again", [False, True])
def test_state_that_is_replaced_is_not_kept(again, dynamic):
    """Also where tensors were written to before, as those of a copied module were, whose trace takes two runs."""
    module = copy.deepcopy(Replacing()) if again else Replacing()
    x = harness.rand(3, 2)
    with pytest.warns(UserWarning, match="replaces plain, state: an engine keeps no state") as caught:
        converted = torch2trt.convert(module.eval(), x, dynamic_shapes=dynamic)
    assert sum("keeps no state" in str(warning.message) for warning in caught) == 1
    assert module.calls == 0 and not module.plain.any() and torch.equal(module.state, torch.ones(2))
    for rows in (3, 7) if dynamic else (3,):
        x = harness.rand(rows, 2)
        harness.assert_same(converted.evaluate(x), copy.deepcopy(module)(x))


def test_statistics_of_a_norm_in_training():
    module = nn.Sequential(nn.BatchNorm1d(4), nn.BatchNorm1d(4))
    before = {key: value.clone() for key, value in module.state_dict().items()}
    with pytest.warns(UserWarning):
        _, actual = debug(module, (X,))
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    harness.assert_same(actual, module(X), rtol=0, atol=0)


def test_statistics_that_are_inputs():
    """Operators whose functional ones append what they write to other arguments than the first."""
    aten = torch.ops.aten

    def trained(x, mean, variance):
        first, *_ = aten._native_batch_norm_legit(x, None, None, mean, variance, True, 0.1, 1e-5)
        second, *_ = aten._batch_norm_with_update(first * 2 + 1, None, None, mean, variance, 0.3, 1e-5)
        return first, second, mean * 2

    inputs = (X, rand(4), rand(4, low=0.5))
    after = harness.clone(inputs)
    expected = (*trained(*after), *after[1:])
    with pytest.raises(errors.InputError, match="writes to its input mean, variance"):
        debug(trained, inputs)
    _, actual = debug(trained, inputs, mutated_inputs="output")
    harness.assert_same(actual, expected)
    converted = torch2trt.convert(trained, harness.clone(inputs), mutated_inputs="output")
    harness.assert_same(converted.evaluate(*inputs), expected)

    def evaluated(x, mean, variance):
        return aten._native_batch_norm_legit(x, None, None, mean, variance, False, 0.1, 1e-5)[0]

    converted = torch2trt.convert(evaluated, harness.clone(inputs))
    harness.assert_same(converted.evaluate(*inputs), evaluated(*inputs))


# ---- the graph that comes out


def test_graphs_are_small():
    def function(x):
        y = x * 2
        y.relu_()
        z = y.view(-1)
        z[1:] = 0
        return z

    assert kinds(check(function, X)) == ["mul", "relu", "reshape", "slice", "fill", "slice_scatter"]


def test_augmented_slice_is_written_once():
    def function(x, y):
        a = x + 1
        a[:, 1:] += y[:, 1:]
        return a

    assert kinds(check(function, X, Y)) == ["add", "slice", "slice", "slice", "add", "slice_scatter"]


def test_nothing_changes_without_mutation():
    _, graph = tracing.trace_graph(lambda x: x.view(-1)[1:].relu(), (X,))
    before = list(graph.nodes)
    functionalize(graph)
    assert all(left is right for left, right in zip(graph.nodes, before, strict=True))


def test_sizes_stay_dynamic():
    def function(x):
        out = torch.zeros(x.size(0), 6)
        out[:, 1:5] = x
        out.view(-1)[::2] += 1
        rows = out.reshape(x.size(0), -1)
        rows[1:, 0] = x[1:, 0]
        return out, rows

    options = {"dynamic_shapes": {"x": {0: (2, 3, 9)}}}
    graph, _ = debug(function, (X,), **options)
    for rows in (2, 5):
        x = rand(rows, 4)
        harness.assert_same(torch2trt.debug_call_graph(graph, x), function(x), rtol=0, atol=0)


def test_user_handlers_of_in_place_ops():
    calls = []

    @torch2trt.register_node_handler("aten::relu_")
    def handler(inputs, attributes):
        calls.append(attributes["kind"])
        return [inputs[0].relu_().add_(1)]

    def function(x):
        a = x * 2
        b = a.view(-1)
        b.relu_()
        return a

    try:
        _, actual = debug(function, (X,))
    finally:
        torch2trt.registry.unregister("aten::relu_")
    assert calls == ["aten::relu_", "aten::relu_"]
    harness.assert_same(actual, (X * 2).relu() + 1, rtol=0, atol=0)


def test_custom_op_that_writes():
    library = torch.library.Library("torch2trt_mutation", "DEF")
    library.define("scale_(Tensor(a!) x, float factor) -> ()")
    library.define("both(Tensor(a!) x, Tensor(b!) y) -> Tensor(a!)")
    library.impl("scale_", lambda x, factor: (x.mul_(factor), None)[1], "CPU")
    library.impl("both", lambda x, y: (y.sub_(1), x.add_(y))[1], "CPU")

    def function(x, y):
        a, b = x + 1, y + 1
        flat = a.view(-1)
        torch.ops.torch2trt_mutation.scale_(flat, 3.0)
        torch.ops.torch2trt_mutation.both(a[0], b[1])
        return a, b, flat

    _, actual = debug(function, (X, Y))
    harness.assert_same(actual, function(X, Y), rtol=0, atol=0)


def _mutating_graph(count: int) -> Graph:
    """A graph of ``count`` nodes, two thirds of which write or view."""
    _, graph = tracing.trace_graph(lambda x: (x + 1).add_(1).view(-1), (X,))
    first, write, view = graph.nodes
    nodes = [first]
    value = first.outputs[0]
    for index in range(count // 3):
        nodes.append(_again(write, value, f"w{index}", X.shape))
        flat = _again(view, nodes[-1].outputs[0], f"v{index}", (12,))
        nodes += [flat, _again(write, flat.outputs[0], f"u{index}", (12,))]
        value = nodes[-3].outputs[0]
    graph.nodes = nodes
    graph.outputs = [value]
    return graph


def _again(node: Node, source: Value, name: str, shape: tuple[int, ...]) -> Node:
    output = Value(name, dtype=torch.float32, shape=tuple(shape), strides=X.new_empty(shape).stride())
    return Node(node.kind, node.overload, name, [source, *node.args[1:]], [output], node.schema)


def test_time_grows_with_the_number_of_nodes():
    functionalize(_mutating_graph(300))
    taken = []
    for count in (2_000, 20_000):
        graph = _mutating_graph(count)
        start = time.perf_counter()
        functionalize(graph)
        taken.append(time.perf_counter() - start)
    assert taken[1] < 40 * taken[0], taken
