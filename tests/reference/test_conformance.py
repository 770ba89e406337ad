"""The evaluator against PyTorch and hand-computed values, and, on a GPU, against real TensorRT engines.

conformance/report.py says how the table in docs/conformance.md is made.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from torch2trt.reference import Evaluator
from torch2trt.reference.registry import LAYERS
from torch2trt.trt_compat import error_recorder, is_rtx, load, trt

from .conformance import CASES
from .conformance.case import Case, Net, error, make, short, tolerance
from .conformance.report import RESULTS, Outcome, main, reason
from .engine_runner import run_engine


def as_tuple(value: Any) -> tuple[torch.Tensor, ...]:
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_evaluator_computes_what_the_layer_must(case: Case) -> None:
    net = make(case)
    evaluator = Evaluator(net.network)
    for variant in range(net.variant_count):
        inputs = net.inputs(variant)
        found = list(evaluator(inputs).values())
        assert len(found) == net.network.num_outputs
        if case.expected is None:
            continue
        wanted = as_tuple(case.expected(*inputs.values()))
        assert len(found) == len(wanted)
        for result, want in zip(found, wanted, strict=True):
            assert result.dtype == want.dtype
            assert result.shape == want.shape
            assert error(result, want) <= tolerance(case, want.dtype), (result, want)


def build(net: Net) -> tuple[Any, str]:
    """The serialized engine, or None and what TensorRT said."""
    recorder = error_recorder()
    net.builder.error_recorder = net.network.error_recorder = recorder
    blob = net.builder.build_serialized_network(net.network, net.config())
    said = " ".join(recorder.messages[-1].split()) if recorder.messages else ""
    net.builder.error_recorder = net.network.error_recorder = None
    return blob, said


# Building takes 0.1 s: every 16th case, and those that are refused, are built in each run, the others with --slow.
BUILDS = [
    pytest.param(case, id=case.id, marks=[] if i % 16 == 0 or case.refused else pytest.mark.slow)
    for i, case in enumerate(CASES)
]


@pytest.mark.parametrize("case", BUILDS)
def test_tensorrt_builds_the_network(case: Case) -> None:
    if not is_rtx():
        pytest.skip("which networks are refused was measured with TensorRT for RTX")
    if case.needs_gpu:
        pytest.skip("what builds depends on the GPU: the engines' test tells")
    blob, said = build(make(case))
    assert (blob is None) == bool(case.refused), said if blob is None else f"builds, though said not to: {case.refused}"


def test_case_ids_differ() -> None:
    ids = [case.id for case in CASES]
    assert len(ids) == len(set(ids))
    assert len(ids) >= 400


# Layers that no case can hold, and why.
NOT_COVERED = {
    "PLUGIN": "TensorRT 10 creates none",
    "PLUGIN_V2": "TensorRT for RTX has no plugins; tested in test_plugins.py",
    "PLUGIN_V3": "TensorRT for RTX has no plugins; tested in test_plugins.py",
    "MOE": "TensorRT for RTX adds one on Thor only; tested in test_attention.py",
    "DIST_COLLECTIVE": "runs on several GPUs; the evaluator does not know it",
}


def test_cases_cover_every_layer_type() -> None:
    found = set()
    for case in CASES:
        network = make(case).network
        found |= {network.get_layer(i).type.name for i in range(network.num_layers)}
    assert set(trt.LayerType.__members__) - found == set(NOT_COVERED) & set(trt.LayerType.__members__)
    assert found <= set(LAYERS) | {
        "TRIP_LIMIT",
        "RECURRENCE",
        "ITERATOR",
        "LOOP_OUTPUT",
        "CONDITION",
        "CONDITIONAL_OUTPUT",
    }


ENUMS = {
    "ActivationType": "activation",
    "UnaryOperation": "unary",
    "ElementWiseOperation": "elementwise",
    "PoolingType": "pooling",
    "ReduceOperation": "reduce",
    "TopKOperation": "topk",
    "ScaleMode": "scale",
    "SampleMode": "slice",
    "GatherMode": "gather",
    "ScatterMode": "scatter",
    "FillOperation": "fill",
    "InterpolationMode": "resize",
    "ResizeCoordinateTransformation": "resize",
    "ResizeRoundMode": "resize",
    "ResizeSelector": "resize",
    "MatrixOperation": "matrix_multiply",
    "LoopOutput": "loop",
}


@pytest.mark.parametrize("name", ENUMS)
def test_cases_cover_every_value(name: str) -> None:
    ids = [case.id for case in CASES if case.id.startswith(ENUMS[name])]
    missing = [value for value in getattr(trt, name).__members__ if not any(f"-{value}-" in i for i in ids)]
    # ReduceOperation.NONE belongs to collectives; LAST_VALUE is what a loop gives unless said otherwise.
    assert [
        value for value in missing if (name, value) not in {("ReduceOperation", "NONE"), ("LoopOutput", "LAST_VALUE")}
    ] == []


@pytest.mark.parametrize("kind", ["convolution", "deconvolution", "pooling"])
def test_cases_cover_every_padding_mode(kind: str) -> None:
    for mode in trt.PaddingMode.__members__:
        assert any(case.id.startswith(kind) and f"-{mode}-" in case.id for case in CASES)


# The version whose engines Case.known is about: on it those cases have to differ.
MEASURED = "1.4.0.76"


def compare_random(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Distance of mean and deviation, in deviations; 0 below a tenth."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return float("inf")
    a, b = found.double(), wanted.double()
    gap = float(max((a.mean() - b.mean()).abs(), (a.std() - b.std()).abs()) / b.std())
    return gap if gap > 0.1 else 0.0


def run_case(case: Case) -> Outcome:
    """Build, run and compare one case."""
    net = make(case)
    blob, said = build(net)
    if blob is None:
        # Whether these build was not known where the list was written: what TensorRT says goes into the table.
        return Outcome(
            case.id, "refused" if case.refused or case.needs_gpu else "fails", said=f"not built: {said[:200]}"
        )
    evaluator = Evaluator(net.network)
    outcome = Outcome(case.id, "agrees")
    for variant in range(net.variant_count):
        inputs = net.inputs(variant)
        wanted = evaluator(inputs)
        found = run_engine(blob, inputs)
        for name, want in wanted.items():
            gap = compare_random(found[name], want) if case.random else error(found[name], want)
            outcome.dtype = short(want.dtype)
            if gap > tolerance(case, want.dtype):
                outcome.status = "differs"
                outcome.said = outcome.said or f"{gap:.2e}; engine {sample(found[name])}, evaluator {sample(want)}"
            outcome.worst = max(outcome.worst, gap)
    if case.known and outcome.status == "differs":
        outcome.status = "known"
    elif case.known and is_rtx() and load().__version__ == MEASURED:
        outcome.status, outcome.said = "fails", f"agrees, though said not to: {case.known}"
    return outcome


def sample(tensor: torch.Tensor) -> str:
    values = tensor.reshape(-1)[:6].tolist()
    numbers = ", ".join(f"{v:.5g}" if isinstance(v, float) else str(v) for v in values)
    return f"{list(tensor.shape)} {short(tensor.dtype)} [{numbers}]"


@pytest.mark.parametrize(("listed", "shift", "status"), [("", 0, "agrees"), ("", 1, "differs"), ("why", 1, "known")])
def test_known_differences_are_told_apart(
    listed: str, shift: float, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = run_stand_in(listed, shift, monkeypatch)
    assert outcome.status == status
    assert bool(outcome.said) == bool(shift)


def test_a_known_difference_has_to_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load(), "__version__", MEASURED)
    outcome = run_stand_in("why", 0, monkeypatch)
    assert (outcome.status, outcome.said) == (
        ("fails", "agrees, though said not to: why") if is_rtx() else ("agrees", "")
    )
    monkeypatch.setattr(load(), "__version__", "99.0")
    assert run_stand_in("why", 0, monkeypatch).status == "agrees"


def run_stand_in(known: str, shift: float, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """The outcome of a case whose engine's values are one and ``shift``, the evaluator's one."""

    def network(net: Net) -> None:
        net.output(net.network.add_identity(net.input(torch.ones(2))).get_output(0))

    module = sys.modules[__name__]
    monkeypatch.setattr(module, "build", lambda net: (b"", ""))
    monkeypatch.setattr(module, "run_engine", lambda blob, inputs: {"y0": torch.ones(2) + shift})
    return run_case(Case("identity-stand-in", network, known=known))


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_engine_computes_what_the_evaluator_does(case: Case) -> None:
    try:
        outcome = run_case(case)
    except Exception as problem:
        outcome = Outcome(case.id, "fails", said=f"{type(problem).__name__}: {' '.join(str(problem).split())[:160]}")
    outcome.append()
    if outcome.status in ("differs", "fails"):
        pytest.fail(reason(outcome, case), pytrace=False)


def test_results_become_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    results = tmp_path / "results.jsonl"
    monkeypatch.setenv(RESULTS, str(results))
    refused = next(case for case in CASES if case.refused)
    Outcome(refused.id, "refused").append()
    Outcome(CASES[0].id, "agrees", 2e-7, "float32").append()
    Outcome(CASES[1].id, "differs", 0.5, "float16", "far off").append()
    main(str(results))
    text = capsys.readouterr().out
    assert "| **all** | 3 | 1 | 1 | 0 | 1 | 2.0e-07 | 5.0e-01 |  |" in text
    assert f"- `{CASES[1].id}`: far off" in text and f"- `{refused.id}`: {refused.refused}" in text
    assert text.index(CASES[1].id) < text.index(refused.id)
