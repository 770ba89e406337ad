"""The ONNX backend node tests, parsed by TensorRT and evaluated: networks that torch2trt did not make."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from torch2trt.reference import Evaluator
from torch2trt.trt_compat import create_network, logger, trt

onnx = pytest.importorskip("onnx")

# Failures and why: what differs is the parser's reading of the model, TensorRT's definition, or a random number.
EXPLAINED = {
    r"attention_4d_\w*nonpad\w*|attention_4d_causal_nonpad\w*": "the parser drops the input nonpad_kv_seqlen",
    r"attention_(local|bidirectional)_window": "the parser drops the attributes of the window",
    r"attention_23_boolmask_fullymasked_row_nan_robustness": "a softmax over nothing is NaN in TensorRT, 0 in ONNX",
    r"averagepool_2d_ceil_last_window_starts_on_pad|maxpool_2d_ceil_output_size_reduce_by_one": (
        "rounding up, TensorRT keeps a last window that starts in the padding; ONNX drops it"
    ),
    r"bernoulli_(double|seed)_expanded": "random numbers",
    r"cast(like)?_no_saturate_\w+": "TensorRT's cast has no such attribute and saturates",
    r"gridsample|gridsample_(bilinear|bicubic|aligncorners)\w*": "the parser reads the names of opset 20 as nearest",
    r"(gru|lstm|simple_rnn)_batchwise": "the parser drops the attribute layout",
    r"nonmaxsuppression_two_classes": "TensorRT orders the boxes by score, ONNX by class",
    r"quantizelinear(_axis|_int4|_blocked_asymmetric)?": "TensorRT has no zero point; the evaluator refuses it",
    r"spacetodepth_crd_mode_example": "the parser drops the attribute mode",
    r"triu(?!_zero)\w*": "the parser reads an absent attribute upper as 0; its default is 1",
}

# One unit in the last place is more than the tests' own 1e-3.
HALF_TOLERANCES = {torch.float16: (2e-3, 1e-3), torch.bfloat16: (1.6e-2, 8e-3)}


@dataclass(frozen=True)
class Node:
    """One backend test: a model and sets of inputs and outputs."""

    name: str
    model: Any
    sets: Sequence[tuple[Sequence[Any], Sequence[Any]]]
    rtol: float
    atol: float


def from_folder(folder: Path) -> list[tuple[list[Any], list[Any]]]:
    def read(data: Path, prefix: str) -> list[Any]:
        paths = sorted(data.glob(f"{prefix}_*.pb"), key=lambda p: int(p.stem.rpartition("_")[2]))
        return [onnx.TensorProto.FromString(path.read_bytes()) for path in paths]

    return [(read(data, "input"), read(data, "output")) for data in sorted(folder.glob("test_data_set*"))]


def backend_tests() -> Iterator[Node]:
    """The node tests; onnx before 1.20 keeps them in files, later ones make them when asked."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = load_model_tests(kind="node")
    for case in cases:
        model, sets = case.model, case.data_sets
        if model is None:
            folder = Path(case.model_dir)
            model, sets = onnx.load(folder / "model.onnx"), from_folder(folder)
        yield Node(case.name.removeprefix("test_"), model, sets, case.rtol, case.atol)


def as_tensor(value: Any) -> torch.Tensor:
    """A value of a test in the dtype that the evaluator holds it in."""
    if isinstance(value, onnx.TensorProto):
        value = onnx.numpy_helper.to_array(value)
    array = np.asarray(value)
    name = array.dtype.name
    if name == "bfloat16":
        return torch.from_numpy(array.astype(np.float32)).bfloat16()
    if name in ("float8_e4m3fn", "float4_e2m1fn"):
        return torch.from_numpy(array.astype(np.float32)).to(torch.float8_e4m3fn)
    if name == "int4":
        return torch.from_numpy(array.astype(np.int8))
    return torch.from_numpy(np.array(array))


def network_inputs(node: Node, names: Sequence[str], values: Sequence[Any]) -> dict[str, torch.Tensor]:
    """Inputs by the network's names; the parser reads double as float and may rename an input."""
    graph_names = [i.name for i in node.model.graph.input]
    result = {}
    for position, (name, value) in enumerate(zip(graph_names, values, strict=False)):
        if name not in names:
            if len(graph_names) != len(names):
                continue  # the parser dropped an input that the graph does not use
            name = names[position]
        tensor = as_tensor(value)
        result[name] = tensor.float() if tensor.dtype == torch.float64 else tensor
    return result


def defined(name: str, values: Sequence[Any], wanted: torch.Tensor) -> torch.Tensor:
    """Where the expected value is defined: ONNX leaves out-of-range casts to INT4, and of NaN to FP4, open."""
    match = re.fullmatch(r"cast(?:like)?_\w+?_to_(INT4|FLOAT4E2M1)(?:_expanded)?", name)
    if match is None or "INT4" in name.split("_to_", maxsplit=1)[0]:
        return torch.ones_like(wanted, dtype=torch.bool)
    source = as_tensor(values[0]).float()
    return ((source > -9) & (source < 8)) if match[1] == "INT4" else ~source.isnan()


def failure(node: Node, network: Any) -> str:
    """What is wrong with the evaluator's results; empty if nothing."""
    try:
        evaluator = Evaluator(network)
        for values, wanted in node.sets:
            results = evaluator(network_inputs(node, evaluator.input_names, values))
            for output, value in zip(node.model.graph.output, wanted, strict=True):
                found, want = results[output.name], as_tensor(value)
                if found.shape != want.shape:
                    return f"shape {list(found.shape)} instead of {list(want.shape)}"
                rtol, atol = HALF_TOLERANCES.get(found.dtype, (node.rtol, node.atol))
                where = defined(node.name, values, want)
                np.testing.assert_allclose(found.double()[where], want.double()[where], rtol, atol)
    except Exception as problem:
        return f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
    return ""


@pytest.fixture(scope="module")
def builder() -> Any:
    return trt.Builder(logger())


def parsed(node: Node, builder: Any) -> Any:
    """The network that TensorRT's parser makes of a test's model, and the parser; None if it refuses."""
    network = create_network(builder)
    parser = trt.OnnxParser(network, logger())
    try:
        accepted = parser.parse(node.model.SerializeToString())
    except UnicodeDecodeError:  # raised by the bindings for a model whose names are no text
        return None
    return (network, parser) if accepted else None


def test_backend_nodes(builder: Any, capsys: pytest.CaptureFixture[str]) -> None:
    failures: dict[str, str] = {}
    accepted = []
    for node in backend_tests():
        pair = parsed(node, builder)
        if pair is None:
            continue
        accepted.append(node.name)
        problem = failure(node, pair[0])
        if problem:
            failures[node.name] = problem
    unexplained = {name: said for name, said in failures.items() if not any(re.fullmatch(p, name) for p in EXPLAINED)}
    passed = len(accepted) - len(failures)
    with capsys.disabled():
        print(f"\nONNX backend: {passed} of the {len(accepted)} that the parser accepts ({passed / len(accepted):.1%})")
    assert unexplained == {}
    assert passed >= 0.95 * len(accepted)
    for pattern in EXPLAINED:
        matching = [name for name in accepted if re.fullmatch(pattern, name)]
        assert not matching or any(name in failures for name in matching), f"{pattern} does not fail any more"
