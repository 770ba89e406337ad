"""Engines for what TensorRT runs, PyTorch for the rest; here with the reference evaluator in place of engines."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
import textwrap
import threading
import warnings

import pytest
import torch
import torchvision
from torch import nn

import torch2trt
from tests import harness
from torch2trt import compilation, errors
from torch2trt.engine.refit import weights_of_state
from torch2trt.partition import partition
from torch2trt.passes.fold import fold
from torch2trt.pieces import CompileOptions, Pieces, explain

LIBRARY = torch.library.Library("torch2trt_compile_test", "DEF")
LIBRARY.define("foreign(Tensor x) -> Tensor")
LIBRARY.impl("foreign", lambda x: x * 2, "CompositeExplicitAutograd")
LIBRARY.define("waiting(Tensor x) -> Tensor")
LIBRARY.impl("waiting", lambda x: torch.cuda.synchronize() or x * 2, "CompositeExplicitAutograd")
waiting = torch.ops.torch2trt_compile_test.waiting
foreign = torch.ops.torch2trt_compile_test.foreign


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.register_buffer("scale", torch.rand(4))

    def forward(self, x):
        y = torch.exp(self.first(x))
        y = foreign(y) * self.scale
        return self.second(torch.sin(y)) + y, x


def compiled(module, inputs, **options):
    return torch2trt.compile(module, inputs, backend="reference", **options)


def test_unsupported_nodes_stay_in_pytorch():
    module, x = Mixed().eval(), torch.randn(2, 4)
    fast = compiled(module, x)
    assert [segment.in_engine for segment in fast.segments] == [True, False, True]
    for left, right in zip(fast(x), module(x), strict=True):
        torch.testing.assert_close(left, right.detach())


def test_explain_says_why():
    explanation = explain(Mixed().eval(), torch.randn(2, 4))
    assert explanation.engines == 2
    assert "foreign" in str(explanation) and "there is no handler for it" in str(explanation)
    assert "test_compilation.py:" in str(explanation)


def test_exclude_by_op_and_by_scope():
    module, x = Mixed().eval(), torch.randn(2, 4)
    for pattern in ("aten::sin", "second"):
        fast = compiled(module, x, exclude=pattern)
        kinds = {node.kind for segment in fast.segments if not segment.in_engine for node in segment.nodes}
        assert kinds & {"aten::sin", "aten::linear"}
        torch.testing.assert_close(fast(x)[0], module(x)[0].detach())


@pytest.mark.parametrize("shapes", [None, {"x": {0: (1, 2, 4), 1: (2, 5, 9)}}])
@pytest.mark.parametrize("optimize", [False, True])
def test_views_stay_with_what_reads_them_in_pytorch(shapes, optimize):
    module, x = harness.Attention(8, 2).eval(), torch.randn(2, 5, 8)
    options = {"exclude": "aten::scaled_dot_product_attention", "dynamic_shapes": shapes, "optimize": optimize}
    fast = compiled(module, x, **options)
    assert [segment.in_engine for segment in fast.segments] == [True, False, True]
    engines = [node.kind for segment in fast.segments if segment.in_engine for node in segment.nodes]
    assert [kind for kind in engines if kind != "aten::size"] == ["aten::linear"] * 2
    for other in (x, torch.randn(3, 7, 8) if shapes else x + 1):
        torch.testing.assert_close(fast(other), module(other).detach())
    with pytest.raises(errors.InputError, match="attention would stay in PyTorch: it is excluded"):
        compiled(module, x, full=True, **options)


@pytest.mark.parametrize(("parts", "moved"), [((0,), False), ((1, 1), False), ((0, 2), True), ((0, 1, 2), True)])
@pytest.mark.parametrize("how", ["select", "unbind"])
def test_a_lesser_part_is_taken_in_the_engine(parts, moved, how):
    """Else the engine would give all of it for a part."""

    class Parts(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 6)

        def forward(self, x):
            table = self.linear(x).unflatten(-1, (3, 2))
            taken = table.unbind(1) if how == "unbind" else [table[:, index] for index in range(3)]
            return tuple(foreign(taken[index]) for index in parts)

    module, x = Parts().eval(), torch.randn(5, 4)
    fast = compiled(module, x)
    assert [segment.in_engine for segment in fast.segments] == [True, False]
    shapes = [value.shape for value in fast.segments[0].outputs]
    assert sum(map(math.prod, shapes)) == (30 if moved else 10 * len(set(parts)))
    for result, wanted in zip(fast(x), module(x), strict=True):
        torch.testing.assert_close(result, wanted.detach())


def test_small_blocks_are_not_worth_an_engine():
    fast = compiled(Mixed().eval(), torch.randn(2, 4), min_block_size=3)
    assert [segment.in_engine for segment in fast.segments] == [False, True]


def test_full_raises():
    with pytest.raises(errors.UnsupportedOpError, match="foreign"):
        compiled(Mixed().eval(), torch.randn(2, 4), full=True)
    with pytest.raises(errors.InputError, match="would stay in PyTorch: it is excluded"):
        compiled(nn.Linear(4, 4).eval(), torch.randn(2, 4), full=True, exclude="aten::linear")


def test_independent_branches_share_one_engine():
    def function(x):
        return torch.exp(x) + 1, torch.sin(x) + 2, foreign(x)

    plan = fold(torch2trt.core.prepare(function, torch.randn(2)).graph)
    segments = partition(plan, lambda node: "foreign" if "foreign" in node.kind else "")
    assert sorted((segment.in_engine, len(segment.nodes)) for segment in segments) == [(False, 1), (True, 4)]


def test_dynamic_sizes_across_segments():
    class Net(nn.Module):
        def forward(self, x):
            y = foreign(torch.exp(x))
            return y.reshape(x.shape[0] * 2, -1) + 1

    module = Net().eval()
    fast = compiled(module, torch.randn(2, 4), dynamic_shapes={"x": {0: (1, 2, 8)}})
    for batch in (1, 5):
        x = torch.randn(batch, 4)
        torch.testing.assert_close(fast(x), module(x))


class Boxes(nn.Module):
    """What a detector does: a convolution, the boxes that score well, suppression, a head for each that is left."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 5, 3, padding=1)
        self.head = nn.Linear(4, 2)

    def forward(self, image):
        table = self.features(image).flatten(2)[0].t()
        table = table[torch.where(table[:, 4] > 0)[0]]
        corners = table[:, :2] * 4
        boxes = torch.cat((corners, corners + table[:, 2:4].abs() * 8 + 1), 1)
        boxes = boxes[torchvision.ops.nms(boxes, table[:, 4], 0.3)]
        return boxes, self.head(boxes) / boxes.shape[0]


def test_indices_beyond_the_smallest_size():
    class Messages(nn.Module):
        def forward(self, x, source, target):
            return torch.zeros_like(x).index_add_(0, target, x[source])

    inputs = torch.randn(8, 3), torch.tensor([7, 1, 2]), torch.tensor([0, 5, 7])
    fast = torch2trt.compile(Messages(), inputs, dynamic_shapes={"x": {0: (4, 8, 15)}}, backend="reference", full=True)
    others = torch.randn(13, 3), torch.tensor([12, 1, 2]), torch.tensor([0, 11, 7])
    for values in (inputs, others):
        torch.testing.assert_close(fast(*values), Messages()(*values))


def test_sizes_that_depend_on_values_stay_in_pytorch():
    """TensorRT for RTX has no kernels for them; everything before is one engine, and any number of boxes is right."""
    torch.manual_seed(0)
    module = Boxes().eval()
    fast = compiled(module, torch.randn(1, 3, 8, 8))
    assert [segment.in_engine for segment in fast.segments] == [True, False]
    kept = {node.kind for node in fast.segments[1].nodes}
    assert {"aten::where", "torchvision::nms", "aten::linear"} <= kept and "aten::_convolution" not in kept
    counts = set()
    for _ in range(4):
        image = torch.randn(1, 3, 8, 8)
        for left, right in zip(fast(image), module(image), strict=True):
            torch.testing.assert_close(left, right.detach())
        counts.add(left.shape[0])
    assert len(counts) > 1


@torch.jit.script
def _halved(x: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    for _ in range(counted.shape[0]):
        x = x / 2
    return x


def test_a_loop_in_pytorch():
    def forward(self, x):
        return _halved(x * 2, x[x > 0])

    module = type("Halver", (nn.Module,), {"forward": forward})().eval()
    fast = compiled(module, torch.tensor([1.0, 2.0, -3.0]))
    for x in (torch.tensor([1.0, 2.0, -3.0]), torch.tensor([-1.0, -2.0, -3.0])):
        torch.testing.assert_close(fast(x), module(x))


@pytest.mark.parametrize("make", [torch.jit.script, lambda module: torch.jit.trace(module, torch.ones(4, 3))])
def test_scripted_and_traced_modules(make):
    module = make(nn.Sequential(nn.Linear(3, 2), nn.ReLU()).eval())
    fast, x = torch2trt.compile(module, (torch.randn(4, 3),), backend="reference"), torch.randn(4, 3)
    torch.testing.assert_close(fast(x), module(x))
    fast.load_state_dict({key: 2 * value for key, value in fast.state_dict().items()})
    torch.testing.assert_close(fast(x), module(x))


def test_it_behaves_as_a_module():
    import copy

    module, x = Mixed().eval(), torch.randn(2, 4)
    fast = compiled(module, x)
    assert list(fast.state_dict()) == list(module.state_dict())
    twin = copy.deepcopy(fast)
    torch.testing.assert_close(twin(x)[0], fast(x)[0])
    fast.module.load_state_dict(Mixed().state_dict())
    torch.testing.assert_close(fast(x)[0], module(x)[0].detach())
    with torch.no_grad():
        module.second.weight.mul_(2)
        module.scale.mul_(2)
    fast.refit()
    torch.testing.assert_close(fast(x)[0], module(x)[0].detach())
    torch.testing.assert_close(twin(x)[0], twin.module(x)[0].detach())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"backend": "cpu"}, "none of"),
        ({"speed": 1}, "unknown option"),
        ({"exclude": "("}, "regular expression"),
        ({"backend": "reference", "cuda_graph": True}, "cuda_graph=True needs engines"),
        ({"cuda_graph": True, "max_graphs": 0}, "keeps no graph"),
    ],
)
def test_bad_options(options, text):
    with pytest.raises(errors.InputError, match=text):
        torch2trt.compile(nn.Linear(2, 2).eval(), torch.ones(1, 2), **options)


def test_a_function_is_refused():
    with pytest.raises(errors.InputError, match=r"nn\.Module"):
        compiled(torch.exp, torch.ones(1))


def test_explain_counts_rewrites():
    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, x):
            return self.norm(self.conv(x)).contiguous()

    module, x = Normed().eval(), torch.randn(1, 3, 5, 5)
    explanation = explain(module, x)
    assert explanation.rewrites["fold_batch_norm"] == explanation.rewrites["no_ops"] == 1
    assert "rewritten: no_ops 1, fold_batch_norm 1" in str(explanation)
    assert explain(module, x, optimize=["no_ops"]).rewrites == {"no_ops": 1}
    assert "rewritten" not in str(explain(module, x, optimize=False))


def test_what_is_excluded_is_not_rewritten():
    def function(q, k, v):
        return torch.softmax(q @ k.transpose(-2, -1), -1) @ v

    inputs = tuple(torch.randn(2, 3, 4, 5) for _ in range(3))
    assert explain(function, inputs).rewrites["attention"] == 1
    module = type("Written", (nn.Module,), {"forward": lambda self, *inputs: function(*inputs)})().eval()
    kept = compiled(module, inputs, exclude="torch2trt::attention")
    assert [segment.in_engine for segment in kept.segments] == [False]
    torch.testing.assert_close(kept(*inputs), function(*inputs))
    explanation = explain(function, inputs, exclude="aten::softmax")
    assert explanation.rewrites["attention"] == 0
    kinds = [node.kind for segment in explanation.segments if not segment.in_engine for node in segment.nodes]
    assert kinds == ["aten::softmax"]


def test_state_dicts_have_the_modules_own_names():
    module, x = Mixed().eval(), torch.randn(2, 4)
    holder = nn.ModuleDict({"fast": compiled(module, x), "other": nn.Linear(2, 2)})
    state = holder.state_dict()
    assert [key for key in state if key.startswith("fast.")] == [f"fast.{key}" for key in module.state_dict()]
    new = {key: tensor + 1 for key, tensor in state.items()}
    holder.load_state_dict(new)
    assert torch.equal(module.first.weight, new["fast.first.weight"])
    other = Mixed().state_dict()
    fast = compiled(module, x)
    fast.load_state_dict(other)
    assert torch.equal(module.second.bias, other["second.bias"])
    with pytest.raises(RuntimeError, match=r"(?s)Missing.*first\.weight.*Unexpected.*nonsense"):
        fast.load_state_dict({**{key: other[key] for key in list(other)[1:] if key != "first.weight"}, "nonsense": x})


def test_sizes_of_what_stays_in_pytorch_need_no_engine():
    """A trace computes with sizes as with tensors; no engine is made for these alone, of tensors it could not take."""
    module, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval().double(), torch.randn(2, 5, 8).double()
    fast = compiled(module, x, dynamic_shapes={"src": {0: (1, 2, 4), 1: (2, 5, 9)}})
    assert [segment.in_engine for segment in fast.segments] == [False]
    other = torch.randn(3, 7, 8).double()
    torch.testing.assert_close(fast(other), module(other).detach())


def test_rewritten_nodes_run_in_pytorch():
    """Attention gives other strides than what it takes the place of, and a view comes next."""
    module, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.randn(2, 5, 8)
    shapes = {"src": {0: (1, 2, 4), 1: (2, 5, 9)}}
    fast = compiled(module, x, dynamic_shapes=shapes, min_block_size=1000)
    kinds = {node.kind for segment in fast.segments for node in segment.nodes}
    assert not any(segment.in_engine for segment in fast.segments)
    assert {"aten::scaled_dot_product_attention", "aten::view"} <= kinds
    torch.testing.assert_close(fast(x), module(x).detach())


@pytest.mark.parametrize("min_block_size", [1, 4, 1000])
def test_new_weights_reach_what_pytorch_runs(min_block_size):
    """Weights that a rewrite folded, and those that were computed from parameters before."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.scale = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Parameter(torch.rand(4, 1, 1))

        def forward(self, x):
            return foreign(self.norm(self.conv(x))) * (self.scale + 1)

    module, other, x = Model().eval(), Model().eval(), torch.randn(1, 3, 5, 5)
    other.norm.running_var.uniform_(0.5, 2.0)
    fast = compiled(module, x, min_block_size=min_block_size)
    torch.testing.assert_close(fast(x), module(x).detach())
    fast.load_state_dict(other.state_dict())
    torch.testing.assert_close(fast(x), other(x).detach())


def test_each_engine_takes_the_weights_of_the_whole_module():
    """An engine refuses entries that its module has not."""
    module, x = Mixed().eval(), torch.randn(2, 4)
    found = Pieces(module, x, CompileOptions())
    used = []
    for segment in found.segments:
        if segment.in_engine:
            converted = found.network(segment)
            known = (converted.weights, converted.graph.state_shapes, torch.device("cpu"))
            used.append(sorted(weights_of_state(module.state_dict(), *known, partial=False)))
    assert used == [["first.bias", "first.weight"], ["scale", "second.bias", "second.weight"]]


# In the background


class Slow(compilation._Evaluated):
    """Waits to be let go before it is there, and counts its calls."""

    calls = 0

    def __init__(self, converted):
        assert Slow.gate.wait(60)
        super().__init__(converted)

    def __call__(self, *tensors):
        Slow.calls += 1
        return super().__call__(*tensors)


@pytest.fixture
def slow(monkeypatch):
    """Lets engines that are built in the background go on."""
    monkeypatch.setattr(compilation, "_Evaluated", Slow)
    Slow.gate, Slow.calls = threading.Event(), 0
    yield Slow.gate.set
    Slow.gate.set()


def test_pytorch_answers_until_engines_are_there(slow):
    module, x = Mixed().eval(), torch.randn(2, 4)
    fast = compiled(module, x, background=True)
    assert not fast.ready
    torch.testing.assert_close(fast(x)[0], module(x)[0].detach())
    assert Slow.calls == 0
    slow()
    fast.wait()
    assert fast.ready
    torch.testing.assert_close(fast(x)[0], module(x)[0].detach())
    assert Slow.calls == 2


def test_new_weights_while_engines_are_built(slow):
    module, other, x = Mixed().eval(), Mixed().eval(), torch.randn(2, 4)
    fast = compiled(module, x, background=True)
    fast.load_state_dict(other.state_dict())
    torch.testing.assert_close(fast(x)[0], other(x)[0].detach())
    assert Slow.calls == 0
    slow()
    fast.wait()
    torch.testing.assert_close(fast(x)[0], other(x)[0].detach())
    assert Slow.calls == 2


def test_a_copy_holds_engines(slow):
    module, x = Mixed().eval(), torch.randn(2, 4)
    fast = compiled(module, x, background=True)
    slow()
    again = copy.deepcopy(fast)
    assert again.ready
    torch.testing.assert_close(again(x)[0], module(x)[0].detach())


def test_a_failure_in_the_background_is_raised_by_the_next_call(monkeypatch):
    def fail(converted):
        raise errors.BuildError("no engine today")

    monkeypatch.setattr(compilation, "_Evaluated", fail)
    fast = compiled(Mixed().eval(), torch.randn(2, 4), background=True)
    for _ in range(2):
        with pytest.raises(errors.BuildError, match="no engine today"):
            fast.wait()
    with pytest.raises(errors.BuildError, match="no engine today"):
        fast(torch.randn(2, 4))


def test_a_program_may_end_before_its_engines_are_there():
    code = """
        import time, torch, torch2trt
        from torch2trt import compilation

        class Slow:
            def __init__(self, converted):
                print("begun", flush=True)
                time.sleep(0.5)

        compilation._Evaluated = Slow
        module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sigmoid(), torch.nn.Linear(2, 2)).eval()
        options = {"backend": "reference", "exclude": "aten::sigmoid", "background": True}
        fast = torch2trt.compile(module, torch.ones(1, 2), **options)
        assert len(fast.segments) == 3
        fast(torch.ones(1, 2))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["begun"] and done.stderr == ""


@pytest.mark.gpu
@pytest.mark.parametrize("cuda_graph", [False, True])
def test_engines_built_in_the_background(cuda_graph):
    module, x = Mixed().cuda().eval(), torch.randn(2, 4, device="cuda")
    fast = torch2trt.compile(module, x, background=True, run={"cuda_graph": cuda_graph})
    expected = module(x)[0].detach()
    torch.testing.assert_close(fast(x)[0], expected)
    fast.wait()
    assert fast.ready and all(engine.result().bundle().runtime_cache for engine in fast._engines)
    for _ in range(2):
        torch.testing.assert_close(fast(x)[0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
def test_whole_calls_are_captured():
    """Each shape has a graph; new weights make new ones; results are the caller's own."""
    module = Mixed().cuda().eval()
    shapes = {"x": {0: (1, 2, 8)}}
    fast = torch2trt.compile(
        module,
        torch.randn(2, 4, device="cuda"),
        dynamic_shapes=shapes,
        cuda_graph=True,
        max_graphs=2,
        build={"refit": True},
    )
    assert [segment.in_engine for segment in fast.segments] == [True, False, True]
    kept = []
    for round in range(3):
        for batch in (1, 5, 3, 3):
            x = torch.randn(batch, 4, device="cuda")
            kept.append((fast(x), [result.detach() for result in module(x)]))
        assert len(fast._graphs.cache) == 2
        if round == 0:
            fast.load_state_dict({key: value + 0.5 for key, value in module.state_dict().items()})
        elif round == 1:
            with torch.no_grad():
                module.scale.mul_(3)
                module.first.weight.mul_(2)
            fast.refit()
    for results, expected in kept:
        for result, wanted in zip(results, expected, strict=True):
            torch.testing.assert_close(result, wanted, rtol=2e-3, atol=1e-3)


class Waiting(nn.Module):
    def forward(self, x):
        return (waiting(torch.exp(x)),)


@pytest.mark.gpu
@pytest.mark.parametrize(("cls", "where"), [(Boxes, "op aten::where"), (Waiting, "op torch2trt_compile_test::waiting")])
def test_what_cannot_be_captured_runs_plainly(cls, where):
    """The capture fails where the CPU waits for the GPU; it leaves PyTorch as it was."""
    module, x = cls().cuda().eval(), torch.randn(1, 3, 8, 8, device="cuda")
    fast = torch2trt.compile(module, x, cuda_graph=True)
    with pytest.warns(RuntimeWarning, match=f"(?s)cuda_graph=True has no effect.*{where}.*test_compilation.py:"):
        first = fast(x)
    graph, other = torch.cuda.CUDAGraph(), torch.randn(4, device="cuda")
    with torch.cuda.graph(graph):
        drawn = torch.rand(4, device="cuda") + other
    graph.replay()
    assert (drawn >= other).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = fast(x)
    for results in (first, second):
        for result, wanted in zip(results, module(x), strict=True):
            torch.testing.assert_close(result, wanted.detach(), rtol=2e-3, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("cuda_graph", [False, True])
def test_a_capture_of_the_callers(cuda_graph):
    """The graph stays right while the module is called, which has memory of its own."""
    module, x = Mixed().cuda().eval(), torch.randn(2, 4, device="cuda")
    fast, graph = torch2trt.compile(module, x, cuda_graph=cuda_graph), torch.cuda.CUDAGraph()
    own = x.clone()
    fast(own)
    with torch.cuda.graph(graph):
        y, _ = fast(own)
    for _ in range(3):
        own.copy_(torch.randn(2, 4))
        other = torch.randn(2, 4, device="cuda")
        torch.testing.assert_close(fast(other)[0], module(other)[0].detach(), rtol=2e-3, atol=1e-3)
        graph.replay()
        torch.testing.assert_close(y, module(own)[0].detach(), rtol=2e-3, atol=1e-3)
