"""Indices that are out of range raise before a kernel sees them."""

from __future__ import annotations

import pytest
import torch

import torch2trt
from torch2trt import tracing
from torch2trt.dynamic import Range, alternative_inputs
from torch2trt.errors import ShapeError
from torch2trt.guard import CheckedIndices

_aten = torch.ops.aten
X, BAD, GOOD = torch.randn(4, 3), torch.tensor([0, 4]), torch.tensor([0, 3])


def _bag(x, index, offsets):
    return torch.embedding_bag(x, index, torch.tensor(offsets))


CALLS = {
    "embedding": lambda x, i: torch.nn.functional.embedding(i, x),
    "_embedding_bag": lambda x, i: torch.nn.functional.embedding_bag(i, x, torch.tensor([0, 1])),
    "index": lambda x, i: x[i],
    "index behind": lambda x, i: x.T[None, :, i],
    "index put": lambda x, i: x.index_put((i,), torch.zeros(3)),
    "index put in place": lambda x, i: x.clone().index_put_((i,), torch.zeros(3)),
    "select": lambda x, i: x.index_select(0, i),
    "add": lambda x, i: x.index_add(0, i, torch.zeros(2, 3)),
    "copy": lambda x, i: x.index_copy(0, i, torch.zeros(2, 3)),
    "reduce": lambda x, i: x.index_reduce(0, i, torch.zeros(2, 3), "amax"),
    "fill": lambda x, i: x.index_fill(0, i, 0.0),
    "gather": lambda x, i: x.gather(0, i[:, None]),
    "scatter": lambda x, i: x.scatter(0, i[:, None], 1.0),
    "scatter in place": lambda x, i: x.clone().scatter_(0, i[:, None], 1.0),
    "scatter add": lambda x, i: x.scatter_add(0, i[:, None], torch.zeros(2, 1)),
    "scatter reduce": lambda x, i: x.scatter_reduce(0, i[:, None], torch.zeros(2, 1), "sum"),
    "take": lambda x, i: x[:, 0].take(i),
    "put": lambda x, i: x[:, 0].contiguous().put(i, torch.zeros(2)),
    "loss": lambda x, i: torch.nn.functional.nll_loss(x.T[:2], i),
    "loss of images": lambda x, i: torch.nn.functional.nll_loss(x.T[:1, :, None, None], i[1:, None, None]),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_index_out_of_range(name):
    with CheckedIndices():
        CALLS[name](X, GOOD)
        with pytest.raises(IndexError, match=r"aten::\w+: index 4 is out of range for a size of 4"):
            CALLS[name](X, BAD)


OTHERS = {
    "unsorted": (lambda n: _bag(X, GOOD, [0, n, 1]), 1, 2, "not sorted"),
    "beyond": (lambda n: _bag(X, GOOD, [0, n]), 2, 3, "index 3 is out of range"),
    "repeats": (lambda n: torch.repeat_interleave(torch.tensor([1, 2]), output_size=n), 3, 4, "not 4 together"),
    "negative": (lambda n: torch.repeat_interleave(torch.tensor([1, n])), 2, -1, "negative"),
    "mask": (lambda n: X.masked_scatter(X > -99, torch.zeros(n)), 12, 11, "12 elements of 11"),
    "assertion": (lambda n: torch._assert_async(torch.tensor(n)), 1, 0, "assertion"),
    "message": (lambda n: _aten._assert_async.msg(torch.tensor(n), "no tokens"), 1, 0, "no tokens"),
    "from the end": (lambda n: X[torch.tensor([n])], -4, -5, "index -5 is out of range"),
    "ignored class": (lambda n: torch.nn.functional.nll_loss(X, torch.tensor([0, 1, n, n])), -100, -99, "index -99"),
    "scalar": (lambda n: torch.tensor(1.0).gather(0, torch.tensor(n)), 0, 1, "index 1 is out of range"),
    "behind a mask": (lambda n: X[torch.ones(4, dtype=torch.bool), torch.tensor([n])], 2, 3, "size of 3"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_else_stops_a_gpu(name):
    function, good, bad, message = OTHERS[name]
    with CheckedIndices():
        function(good)
        with pytest.raises(IndexError, match=message):
            function(bad)


@pytest.mark.parametrize("sizes", [(1, 9, 20), (2, 2, 5), (5, 5, 5)])
def test_other_sizes_keep_the_order_of_values(sizes):
    example = torch.tensor([0, 3, 3, 5, 8])
    found = alternative_inputs([example], [example], [{0: Range(*sizes)}])
    for tensor in [] if found is None else [*found.tensors, *(found.third or [])]:
        assert tensor[0] == 0 and torch.equal(tensor, tensor.sort().values)
        assert set(tensor.tolist()) <= set(example.tolist())


class _Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(10, 8)
        self.conv = torch.nn.Conv1d(8, 8, 3, padding=1)
        self.recurrent = torch.nn.LSTM(8, 8, batch_first=True)
        self.cell = torch.nn.LSTMCell(8, 8)
        self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, index):
        x = self.recurrent(self.conv(self.table(index).mT).mT)[0]
        x = self.attention(x, x, x)[0] + self.cell(x[:, 0])[0][:, None]
        x = x * torch.tensor(0.5) + torch.ops.aten.lift_fresh(x)
        return x.index_select(1, index[0] % 2), x.repeat_interleave(index.shape[1], 0)


def test_the_guard_leaves_a_trace_as_it_is(monkeypatch):
    model, index = _Model().eval(), torch.randint(0, 10, (2, 5))
    shapes = {"index": {0: (1, 3, 4), 1: (2, 6, 9)}}
    plain = torch2trt.convert(model, index, dynamic_shapes=shapes)
    monkeypatch.setattr(tracing, "_guard", lambda leaves: CheckedIndices())
    guarded = torch2trt.convert(model, index, dynamic_shapes=shapes)
    assert [node.kind for node in guarded.graph.nodes] == [node.kind for node in plain.graph.nodes]
    other = torch.randint(0, 10, (4, 7))
    for found, expected in zip(guarded.evaluate(other), model(other), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_only_other_devices_are_guarded():
    assert not isinstance(tracing._guard([torch.empty(3)]), CheckedIndices)
    assert isinstance(tracing._guard([torch.empty(3), torch.empty(3, device="meta")]), CheckedIndices)


@pytest.mark.gpu
def test_a_size_that_does_not_run_spares_the_gpu():
    table, index = torch.randn(10, 3, device="cuda"), torch.arange(10, device="cuda")
    with pytest.raises(ShapeError, match="aten::index: index 4 is out of range for a size of 4"):
        torch2trt.convert(lambda table, index: table[index], (table, index), dynamic_shapes={"table": {0: (4, 4, 10)}})
    torch2trt.convert(lambda table, index: table[index], (table, index), dynamic_shapes={"table": {0: (3, 12, 12)}})
    assert (table + 1).sum().isfinite()
