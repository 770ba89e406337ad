"""Which captured calls are kept, replayed and lent; without a GPU, where nothing is captured in truth."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from torch2trt.engine import graphs
from torch2trt.engine.graphs import CaptureError, GraphCache


class Call:
    """In place of a captured call: it gives its own number."""

    made = 0

    def __init__(self, tensors, stream):
        Call.made += 1
        self.number = Call.made

    def replay(self, tensors):
        return [torch.tensor(self.number)]


@pytest.fixture
def cache(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    Call.made = 0
    return GraphCache(Call, torch.device("cuda:0"), 2)


def ran(cache, size, version=0):
    """The number of the call that is replayed for an input of this size."""
    return cache.run([torch.ones(size)], version)[0].item()


def test_one_call_a_shape_the_oldest_dropped_first(cache):
    assert [ran(cache, size) for size in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 4]
    assert len(cache) == 2


def test_new_weights_make_new_calls(cache):
    assert [ran(cache, 1, version) for version in (0, 0, 1, 1, 2)] == [1, 1, 2, 2, 3]
    assert len(cache) == 1


def test_what_is_lent_is_not_replayed(cache):
    """It is the same until another call was captured, whatever the weights; the others of its shape stay alive."""
    lend = partial(cache.lend, (torch.Size([1]),))
    assert lend() is None
    ran(cache, 1)
    first = lend()
    assert first.number == 1 and lend() is first and len(cache) == 0
    assert ran(cache, 2) == 2 and lend() is first
    assert ran(cache, 1, version=1) == 3
    assert lend().number == 3 and lend().number == 3
    assert [call.number for _, call in cache._lent] == [1, 3]
    cache.clear()
    assert lend().number == 3
    cache.clear(lent=True)
    assert lend() is None


def test_what_cannot_be_captured_is_not_kept(cache):
    def fail(tensors, stream):
        raise RuntimeError("operation not permitted")

    cache._capture = fail
    with pytest.raises(CaptureError, match="not permitted"):
        ran(cache, 1)
    assert len(cache) == 0 and cache.lend((torch.Size([1]),)) is None


class Graph:
    """In place of a CUDA graph: it notes what is asked of it, and may fail in the end."""

    fails = False

    def __init__(self):
        self.said = []

    def capture_begin(self, pool, capture_error_mode):
        self.said.append("begin")

    def capture_end(self):
        self.said.append("end")
        if Graph.fails:
            raise RuntimeError("capture invalidated")


@pytest.mark.parametrize("fails", [False, True])
def test_a_failed_capture_is_ended(monkeypatch, fails):
    """PyTorch is taken out of a capture that CUDA ended; of one that is whole it is out."""
    ended = []
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(graphs, "end_failed_capture", lambda graph, pool, device: ended.append((graph.said, pool)))
    monkeypatch.setattr(Graph, "fails", fails)

    def call(tensors):
        raise RuntimeError("it waits")

    captured = graphs.CapturedCall.__new__(graphs.CapturedCall)
    captured._inputs = []
    with pytest.raises(CaptureError, match="it waits"):
        captured._capture(call, torch.device("cuda:0"))
    assert ended == [(["begin", "end"], "pool")] * fails
