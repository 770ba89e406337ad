"""Eager against the network, node by node."""

from __future__ import annotations

import io
import json
import re

import pytest
import torch
from torch import nn

import torch2trt
from tests import harness
from torch2trt import emit, errors, pairs, registry
from torch2trt.verify import difference, verify


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.second = nn.Linear(3, 2)

    def forward(self, image):
        return self.second(torch.cosh(self.first(image)))


@pytest.fixture
def net():
    return Net().eval()


@pytest.fixture
def wrong_cosh():
    """A handler that is slightly wrong."""
    before = dict(registry._handlers)

    @torch2trt.register_node_handler("aten::cosh", override=True)
    def cosh(inputs, attributes):
        if not torch2trt.has_trt_tensor(inputs):
            return [torch.cosh(inputs[0])]
        return [emit.mul(emit.unary("COSH", inputs[0]), 1.01)]

    yield
    registry._handlers.clear()
    registry._handlers.update(before)


def test_all_agree(net):
    report = verify(net, torch.randn(2, 4))
    assert report and report.first_divergence is None
    assert [row.kind for row in report.rows] == ["aten::linear", "aten::cosh", "aten::linear"]
    assert report.rows[0].scope == "first" and report.rows[0].layers and report.rows[0].network.cosine > 0.999999
    assert "all agree" in str(report)


def test_complex_values_are_compared(monkeypatch):
    inputs = torch2trt.Input("z", (2, 3), dtype=torch.complex64).example()

    def function(z):
        return (z.cosh() * 2).conj().abs()

    report = verify(function, inputs)
    assert report and [row.kind for row in report.rows] == ["aten::cosh", "aten::mul", "aten::_conj", "aten::abs"]
    assert [row.dtype for row in report.rows] == ["complex64"] * 3 + ["float32"]
    assert "of magnitudes from" in report.rows[1].inputs[0] and report.rows[1].largest > 0
    monkeypatch.setitem(pairs.HANDLERS, "aten::mul", lambda node, args, _: pairs.Complex(args[0].real, args[0].imag))
    report = verify(function, inputs)
    assert not report and report.first_divergence.kind == "aten::mul" and report.rows[0].network.within


def test_first_divergence_is_named(net, wrong_cosh):
    report = verify(net, torch.randn(2, 4))
    first = report.first_divergence
    assert not report and first.kind == "aten::cosh" and "test_verify.py:" in first.source
    assert abs(first.network.actual / first.network.expected - 1.01) < 1e-4
    assert any(layer.startswith("cosh") for layer in first.layers) and first.inputs
    assert first.source in str(report)


def test_other_inputs_than_those_converted(net):
    converted = torch2trt.convert(net, torch.randn(2, 4), dynamic_shapes={"image": {0: (1, 2, 8)}})
    assert verify(converted, torch.randn(7, 4))


@pytest.mark.parametrize("order", [torch.argsort, lambda keys: torch.sort(keys)[1]])
def test_equal_keys_are_in_one_order(order):
    """PyTorch sorts equal keys in any order, the network in that of their indices: what is gathered by it agrees."""

    def function(keys, values):
        return values[order(keys)]

    assert verify(function, (torch.randint(0, 3, (500,)), torch.randn(500)))


def test_what_nobody_set_agrees():
    def function(x):
        like, other = torch.empty_like(x), x.new_empty(x.shape)
        like[::2], other[1::2] = x[::2], x[1::2]
        return like, other

    for _ in range(4):
        torch.full((64, 64), 7.0)  # memory that the next tensors of this size get
    report = verify(function, torch.randn(64, 64), dynamic_shapes={"x": {0: (2, 64, 128)}})
    assert report and {"aten::empty_like", "aten::new_empty"} <= {row.kind for row in report.rows}


def test_float16_overflow_is_named():
    report = verify(lambda x: torch.exp(x) - 1, torch.tensor([20.0]))
    assert report.first_float16_overflow.kind == "aten::exp" and "unsafe in float16" in str(report)


def test_report_as_table_json_and_picture(net, wrong_cosh, tmp_path):
    from rich.console import Console

    report = verify(net, torch.randn(2, 4))
    console = Console(record=True, width=160, file=io.StringIO())
    console.print(report.table())
    text = console.export_text()
    assert text.count("aten::") == 3 and text.count("<-") >= 1
    report.to_json(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["ok"] is False
    report.plot(tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("actual", "expected", "within"),
    [
        ([1.0, 2.0], [1.0, 2.0], True),
        ([1.0, 2.1], [1.0, 2.0], False),
        ([float("nan")], [float("nan")], True),
        ([float("nan")], [1.0], False),
        ([float("inf")], [float("inf")], True),
        ([float("-inf")], [float("inf")], False),
        ([], [], True),
    ],
)
def test_difference(actual, expected, within):
    assert difference(torch.tensor(actual), torch.tensor(expected), 1e-4, 1e-5).within is within


def test_an_engine_needs_a_gpu(net):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(errors.InputError, match="needs a GPU"):
        verify(net, torch.randn(2, 4), engine=True)


class Cast(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.factor = torch.nn.Linear(8, 8), torch.nn.Linear(8, 4), factor

    def forward(self, x):
        return self.second(self.first(x) * self.factor)


@pytest.mark.parametrize(("precision", "rtol"), [("float32", 1e-4), ("float16", 5e-3), ("bfloat16", 4e-2)])
def test_the_tolerance_is_that_of_the_precision(precision, rtol):
    x = torch.randn(4, 8)
    report = torch2trt.verify(Cast(1.0).eval(), x, precision=precision, engine=False)
    assert report.rtol == rtol and report.ok
    assert any(row.network.relative > 1e-4 for row in report.rows) == (precision != "float32")
    assert not torch2trt.verify(Cast(1.0).eval(), x, precision="float16", rtol=1e-5, engine=False).ok


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float16, 5e-3), (torch.bfloat16, 4e-2)])
def test_modules_of_half_precision_have_its_tolerance(dtype, rtol):
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(32, 4, 64, batch_first=True).eval().to(dtype)
    report = torch2trt.verify(layer, torch.randn(2, 7, 32, dtype=dtype), engine=False)
    assert report.rtol == rtol and report.ok
    assert any(row.network.relative > 1e-4 for row in report.rows)


def test_the_first_overflow_is_in_the_json():
    report = torch2trt.verify(Cast(1e6).eval(), torch.randn(4, 8), engine=False)
    found = json.loads(report.to_json())
    (row,) = [row for row in found["rows"] if row["name"] == found["first_float16_overflow"]]
    assert row["kind"] == "aten::mul" and found["first_divergence"] is None and "unsafe in float16" in str(report)
    parted = torch2trt.verify(Cast(1e6).eval(), torch.randn(4, 8), precision="float16", engine=False)
    assert json.loads(parted.to_json())["first_divergence"] == row["name"]


class Otherwise(nn.Module):
    """As some libraries' modules, it computes something else while it is traced."""

    def forward(self, x):
        return {"sum": x + 1, "product": x * (2 if torch.jit.is_tracing() else 3)}


def test_a_module_that_computes_something_else_while_it_is_traced():
    x = torch.tensor([1.0, -2.0])
    report = verify(Otherwise(), x)
    assert all(row.ok for row in report.rows) and report.first_divergence is None
    assert not report and report.trace.relative == pytest.approx(1 / 3) and report.trace.expected == -6
    assert "the trace itself is off by 3.3e-01" in str(report)
    assert json.loads(report.to_json())["trace"]["within"] is False
    assert verify(torch2trt.convert(Otherwise(), x), x).trace is None


def test_the_trace_is_held_against_the_same_random_numbers_and_changes_nothing():
    module = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5))
    mean = module[0].running_mean.clone()
    with pytest.warns(UserWarning, match="training mode"):
        report = verify(module, torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), allow_random=True)
    assert report.trace.relative == 0
    assert torch.equal(module[0].running_mean, mean)
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_a_module_returns_beside_tensors():
    x = torch.randn(2, 4)
    assert verify(lambda x: (x + 1, x.shape[0]), x).trace is None
    report = verify(lambda x: {"spectrum": torch.fft.rfft(x), "none": None}, x)
    assert report and report.trace.within


def _rotation(first, second):
    left, _, right = torch.linalg.svd(first.mT @ second)
    vectors = torch.linalg.eigh(left @ left.mT + torch.diag(torch.arange(3.0))).eigenvectors
    return left @ right, left.sum(-1), vectors


def test_singular_vectors_get_the_networks_signs():
    """Also what is computed of them agrees then; wrong vectors do not."""
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(8, 5, 3, generator=generator) for _ in range(2)]
    converted = torch2trt.convert(_rotation, inputs, allow_other_signs=True)
    assert not torch.allclose(converted.evaluate(*inputs)[1], _rotation(*inputs)[1])
    assert verify(converted, inputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch2trt.emit.spectrum._columns_in", lambda order, matrix: matrix)
        wrong = torch2trt.convert(_rotation, inputs, allow_other_signs=True)
    report = verify(wrong, inputs)
    assert report.first_divergence.kind == "aten::linalg_svd"
    assert re.search(r"layers: (\S+, ){19}\S+ and \d+ more", str(report))


def test_results_beside_a_loop_that_no_output_needs():
    matrices = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    report = torch2trt.verify(lambda x: torch.linalg.svd(x)[2].abs(), (matrices,), allow_other_signs=True, engine=False)
    assert report.ok and len(report.rows) == 4  # U, S, V and their magnitudes


def test_results_that_nothing_reads_do_not_count():
    """The indices of the largest of equal scores are open."""

    def kept(x):
        return x >= x.masked_fill(torch.ones(6, 6).triu(1).bool(), -1e9).topk(3).values[..., -1:]

    assert torch2trt.verify(kept, harness.rand(2, 6, 6))
