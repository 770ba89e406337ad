"""Every row of tests/cases, in every mode."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

import torch2trt
from tests import harness
from tests.harness import Case
from torch2trt import registry

CASES = harness.load_cases()
cases = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@cases
def test_case(case: Case) -> None:
    expected = harness.call(case.function, case.inputs)
    with torch2trt.torch_network():
        _, graph = torch2trt.torch2trt(case.function, harness.clone(case.inputs))
    debug = torch2trt.debug_call_graph(graph, harness.clone(case.inputs))
    # The same operators; the last digits of solvers, whose rows are held to 1e-4 or 1e-3, depend on where memory lies.
    rounding = 1e-6 if case.rtol in (1e-4, 1e-3) else 0
    harness.assert_same(debug, expected, rtol=rounding, atol=rounding, what="debug mode")

    converted = harness.convert(case)
    args, kwargs = torch2trt.binding.normalize_inputs(harness.clone(case.inputs))
    actual = converted.evaluate(*args, **kwargs)
    tolerance = {"rtol": case.rtol, "atol": case.atol, "each": case.each}
    harness.assert_same(actual, expected, **tolerance, what="evaluator")

    for inputs in case.others:
        args, kwargs = torch2trt.binding.normalize_inputs(harness.clone(inputs))
        actual = converted.evaluate(*args, **kwargs)
        expected = harness.call(case.function, inputs)
        harness.assert_same(actual, expected, **tolerance, what="other size")

    if case.unbuilt:
        with pytest.raises(torch2trt.errors.BuildError):
            converted.serialize(optimization_level=0)
    else:
        assert converted.serialize(optimization_level=0)


@pytest.mark.gpu
@cases
def test_engine(case: Case) -> None:
    """The engine against eager, at every size; half precision and TF32-free float32 within the evaluator's bounds."""
    if case.unbuilt:
        pytest.skip(case.unbuilt)
    engine = harness.convert(case).build(auto_device=True, auto_contiguous=True)
    for inputs in (case.inputs, *case.others):
        args, kwargs = torch2trt.binding.normalize_inputs(harness.clone(inputs))
        expected = harness.call(case.function, inputs)
        harness.assert_same(engine(*args, **kwargs), expected, **harness.engine_tolerance(case.rtol, case.atol))


@pytest.mark.gpu
@cases
def test_module_on_a_gpu(case: Case) -> None:
    """Parameters and constants that lie on the GPU are no trouble to any handler."""
    function = copy.deepcopy(case.function).cuda() if isinstance(case.function, torch.nn.Module) else case.function
    leaves, nesting = torch2trt.structure.flatten(harness.clone(case.inputs))
    inputs = torch2trt.structure.unflatten([leaf.cuda() for leaf in leaves], nesting)
    try:
        harness.call(function, inputs)
        torch.cuda.synchronize()
    except Exception as error:  # constants of the function's own lie on the CPU, or CUDA lacks the op
        pytest.skip(f"eager does not run on the GPU: {error}")
    converted = harness.convert(dataclasses.replace(case, function=function, inputs=inputs))
    args, kwargs = torch2trt.binding.normalize_inputs(harness.clone(case.inputs))
    expected = harness.call(case.function, case.inputs)
    harness.assert_same(converted.evaluate(*args, **kwargs), expected, rtol=max(case.rtol, 1e-4), atol=case.atol)


def test_dynamic_cases_run_at_two_sizes_that_were_not_traced() -> None:
    for case in CASES:
        assert not case.dynamic or len(case.others) >= 2, case.name


def test_every_handler_has_a_case() -> None:
    used = set()
    for case in CASES:
        used |= harness.handlers_used(harness.convert(case))
    builtin = {name for name, handler in registry.handlers().items() if handler.builtin}
    assert builtin - used == set(), "handlers that no row of tests/cases reaches"


def test_cases_have_random_data() -> None:
    for case in CASES:
        leaves = torch2trt.structure.flatten(torch2trt.binding.normalize_inputs(case.inputs))[0]
        assert any(leaf.numel() == 0 or leaf.dim() == 0 or bool(torch.any(leaf != 0)) for leaf in leaves), case.name


def _passes(actual: torch.Tensor, expected: torch.Tensor, case: Case) -> bool:
    try:
        harness.assert_same(actual, expected, rtol=case.rtol, atol=case.atol, each=case.each)
    except AssertionError:
        return False
    return True


def test_no_row_takes_zeros_for_its_results() -> None:
    weak = set()
    for case in CASES:
        for inputs in (case.inputs, *case.others):
            results = torch2trt.structure.flatten(harness.call(case.function, inputs))[0]
            for index, expected in enumerate(results):
                if expected.any() and _passes(torch.zeros_like(expected), expected, case):
                    weak.add(f"{case.name}, output {index}")
    assert weak == set(), "results so small that a handler could give zeros"
