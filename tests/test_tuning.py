"""What stays in PyTorch because it is faster there; on the CPU with times that the tests make up."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import torch2trt
from tests import harness
from torch2trt import core, errors, tuning
from torch2trt.context import torch_network
from torch2trt.errors import BuildError
from torch2trt.passes.fold import fold


class Model(nn.Module):
    """Two equal attentions, another one, and a convolution."""

    def __init__(self, channels=4):
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 3, padding=1)

    def forward(self, x, index):
        x = self.conv(x)
        attend = nn.functional.scaled_dot_product_attention
        y = attend(attend(x, x, x) + 1, x, x)
        return attend(y, x[..., :2, :], x[..., :2, :]).index_select(0, index).cumsum(0)


INPUTS = (torch.randn(2, 4, 8), torch.tensor([1, 0, 1]))


def decided(times, monkeypatch, fail=None):
    """What :func:`tuning.faster_in_pytorch` says, and the kinds of which engines were made.

    Args:
        times: kind → microseconds in PyTorch and in TensorRT.
        fail: the kind of which no engine can be made.
    """
    graph = core.prepare(Model().eval(), INPUTS).graph
    plan = fold(graph)
    runner = core.Runner(graph, plan.known)
    with torch_network():
        runner.run(plan.nodes, INPUTS, plan.outputs)
    values = {**{value: value.data for node in plan.nodes for value in node.values()}, **runner.values}
    made = []

    def make(node, inputs):
        if node.kind == fail:
            raise BuildError("not today")
        made.append(node)
        return node.kind

    def microseconds(call, tensors):
        if isinstance(call, str):
            return times[call][1]
        results = call(tensors)
        if len(results) > 1:  # copies of all inputs and results
            return 4
        assert isinstance(results[0], torch.Tensor)
        return times[made[-1].kind][0]

    monkeypatch.setattr(tuning, "microseconds", microseconds)
    found = tuning.faster_in_pytorch(plan, plan.nodes, values, make)
    kinds = {node.name: node.kind for node in plan.nodes}
    return sorted((kinds[name], text) for name, text in found.items()), sorted(node.kind for node in made)


ATTENTION, CONVOLUTION, SUM = "aten::scaled_dot_product_attention", "aten::_convolution", "aten::cumsum"


def test_what_is_much_faster_stays(monkeypatch):
    """Sums are not by enough; equal attentions are measured once."""
    times = {ATTENTION: (20, 31), CONVOLUTION: (20, 20), SUM: (20, 29)}
    found, made = decided(times, monkeypatch)
    assert found == [(ATTENTION, "it takes 20 microseconds in PyTorch, 31 in TensorRT")] * 3
    assert made == sorted([CONVOLUTION, ATTENTION, ATTENTION, SUM])


@pytest.mark.parametrize(("tensorrt", "stays"), [(38, False), (39, True)])
def test_an_engine_of_one_convolution_also_moves_images(monkeypatch, tensorrt, stays):
    found, _ = decided({ATTENTION: (20, 20), CONVOLUTION: (20, tensorrt), SUM: (20, 20)}, monkeypatch)
    assert [kind for kind, _ in found] == [CONVOLUTION] * stays


def test_what_has_no_engine_is_passed_over(monkeypatch):
    times = {ATTENTION: (20, 40), CONVOLUTION: (1, 100), SUM: (1, 100)}
    found, made = decided(times, monkeypatch, fail=ATTENTION)
    assert [kind for kind, _ in found] == [CONVOLUTION, SUM] == made


def kept(fast):
    return [node.kind for segment in fast.segments for node in segment.nodes if node.name in segment.reasons]


def test_decisions_are_taken_over():
    module = Model().eval()
    explanation = torch2trt.explain(module, INPUTS)
    name = next(n.name for segment in explanation.segments for n in segment.nodes if n.kind == CONVOLUTION)
    fast = torch2trt.compile(module, INPUTS, backend="reference", tune={name: "it is faster"})
    assert fast.tuned == {name: "it is faster"} and kept(fast) == [CONVOLUTION]
    for each in (fast, copy.deepcopy(fast)):
        torch.testing.assert_close(each(*INPUTS), module(*INPUTS).detach())
        assert kept(each) == [CONVOLUTION]
    with pytest.raises(errors.InputError, match="it is of another|of another module.*nothing"):
        torch2trt.compile(module, INPUTS, backend="reference", tune={"nothing": "it is faster"})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cuda_graph": True}, "the inputs are elsewhere"),
        ({}, "in CUDA graphs"),
        ({"backend": "reference"}, "in CUDA graphs"),
        ({"background": True, "cuda_graph": True}, "before any call"),
    ],
)
def test_there_must_be_something_to_measure(options, text):
    with pytest.raises(errors.InputError, match=text):
        torch2trt.compile(Model().eval(), INPUTS, tune=True, **options)


@pytest.mark.gpu
@pytest.mark.parametrize("dynamic", [False, True])
def test_long_attention_is_faster_in_pytorch(dynamic):
    module, x = (
        harness.Attention(512, 8).half().cuda().eval(),
        torch.randn(1, 3000, 512, device="cuda", dtype=torch.float16),
    )
    shapes = {"x": {0: (1, 1, 2)}} if dynamic else None
    fast = torch2trt.compile(module, x, tune=True, cuda_graph=True, dynamic_shapes=shapes)
    assert [segment.in_engine for segment in fast.segments] == [True, False, True]
    assert list(fast.tuned) == [node.name for node in fast.segments[1].nodes if "attention" in node.kind]
    for each in (fast, copy.deepcopy(fast)):
        torch.testing.assert_close(each(x), module(x).detach(), rtol=1e-2, atol=2e-3)


@pytest.mark.gpu
def test_times_are_those_of_the_gpu():
    """2.2e12 operations take a millisecond or more; so they do where the call waits for them and cannot be captured."""
    x = torch.randn(10240, 10240, device="cuda", dtype=torch.float16)

    def product(tensors):
        return [tensors[0] @ tensors[0]]

    def waiting(tensors):
        result = product(tensors)
        torch.cuda.current_stream().synchronize()
        return result

    found = [tuning.microseconds(call, [x]) for call in (product, waiting)]
    assert 1000 < found[0] < 20_000 and 1000 < found[1] < 40_000
