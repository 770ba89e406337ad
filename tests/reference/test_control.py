"""Loops and conditionals: laziness, limits, tensors inside them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from torch2trt.errors import EvaluationError
from torch2trt.reference import Evaluator, evaluate
from torch2trt.trt_compat import trt

from .conformance.case import Net
from .networks import activation, binary, named, net

__all__ = ["net"]


def lazy_branches(net: Net) -> None:
    """If c: the first three of x, an assertion-like strict slice; else x itself doubled."""
    c, x = net.input(torch.tensor(True), name="c"), net.input(torch.ones(5), torch.ones(2), name="x", dynamic=(0,))
    block = net.network.add_if_conditional()
    block.set_condition(c)
    inner = block.add_input(x).get_output(0)
    first = net.network.add_slice(inner, (0,), (3,), (1,)).get_output(0)
    yes = named(net.network.add_reduce(first, trt.ReduceOperation.SUM, 1, True).get_output(0), "yes")
    no = named(net.network.add_reduce(binary(net, inner, inner), trt.ReduceOperation.SUM, 1, True).get_output(0), "no")
    net.output(block.add_output(yes, no).get_output(0))


def test_only_the_branch_taken_is_computed(net: Net) -> None:
    lazy_branches(net)
    evaluator = Evaluator(net.network)
    short = torch.tensor([1.0, 2.0])
    assert evaluator({"c": torch.tensor(False), "x": short})["y0"].tolist() == [6.0]
    with pytest.raises(EvaluationError, match="leave an axis of 2"):
        evaluator({"c": torch.tensor(True), "x": short})
    assert evaluator({"c": torch.tensor(True), "x": torch.ones(5)})["y0"].tolist() == [3.0]


def test_tensors_of_the_other_branch_are_left_out(net: Net) -> None:
    lazy_branches(net)
    values = {"c": torch.tensor(False), "x": torch.ones(5)}
    results = evaluate(net.network, values, outputs="*")
    assert "no" in results
    assert "yes" not in results
    assert evaluate(net.network, values, outputs="no")["no"].tolist() == [10.0]
    with pytest.raises(EvaluationError, match="'yes' was not computed: it lies in a branch that was not taken"):
        evaluate(net.network, values, outputs="yes")


def test_what_both_branches_use_is_computed_once(net: Net) -> None:
    """A layer before the conditional stays outside of it."""
    x = net.input(torch.ones(3))
    shared = named(activation(net, x, "TANH"), "shared")
    block = net.network.add_if_conditional()
    block.set_condition(net.input(torch.tensor(True), name="c"))
    inner = block.add_input(shared).get_output(0)
    net.output(block.add_output(binary(net, inner, inner), activation(net, inner)).get_output(0))
    for condition in (True, False):
        results = evaluate(net.network, {"x0": torch.ones(3), "c": torch.tensor(condition)}, outputs=["shared", "y0"])
        tanh = torch.tanh(torch.ones(3))
        torch.testing.assert_close(results["shared"], tanh)
        torch.testing.assert_close(results["y0"], tanh * 2 if condition else tanh)


def doubling(net: Net, count: Any) -> tuple[Any, Any]:
    loop = net.network.add_loop()
    loop.name = "doubling"
    if count is not None:
        loop.add_trip_limit(count, trt.TripLimit.COUNT)
    value = loop.add_recurrence(net.input(torch.ones(2), name="x0"))
    following = named(binary(net, value.get_output(0), value.get_output(0)), "next")
    value.set_input(1, following)
    return loop, value


def test_trip_count_from_an_input(net: Net) -> None:
    loop, value = doubling(net, net.input(torch.tensor(2, dtype=torch.int32), name="n"))
    net.output(loop.add_loop_output(value.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0))
    evaluator = Evaluator(net.network)
    for n in (0, 1, 5):
        found = evaluator({"x0": torch.tensor([1.0, 3.0]), "n": torch.tensor(n, dtype=torch.int32)})["y0"]
        assert found.tolist() == [2.0**n, 3.0 * 2**n]


@pytest.mark.parametrize("marked", [True, False])
def test_a_tensor_in_a_loop_gives_its_last_value(net: Net, marked: bool) -> None:
    loop, value = doubling(net, net.constant(3, torch.int32))
    last = loop.add_loop_output(value.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0)
    if marked:
        net.output(last)
    results = evaluate(net.network, {"x0": torch.ones(2)}, outputs="*")
    assert results["next"].tolist() == [8.0, 8.0]
    assert results[last.name].tolist() == [8.0, 8.0]


def test_a_loop_without_a_limit(net: Net) -> None:
    loop, value = doubling(net, None)
    net.output(loop.add_loop_output(value.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0))
    with pytest.raises(EvaluationError, match="loop 'doubling' has no trip limit"):
        evaluate(net.network, {"x0": torch.ones(2)})


def test_a_recurrence_without_a_next_value(net: Net) -> None:
    loop = net.network.add_loop()
    loop.add_trip_limit(net.constant(3, torch.int32), trt.TripLimit.COUNT)
    value = loop.add_recurrence(net.input(torch.ones(2)))
    net.output(loop.add_loop_output(value.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0))
    with pytest.raises(EvaluationError, match=r"\(RECURRENCE\): next value is not set"):
        Evaluator(net.network)


def gathered(net: Net, length: int, kind: str = "CONCATENATE") -> None:
    loop, value = doubling(net, net.input(torch.tensor(2, dtype=torch.int32), name="n"))
    output = loop.add_loop_output(value.get_output(0), getattr(trt.LoopOutput, kind))
    output.set_input(1, net.constant(length, torch.int32))
    net.output(output.get_output(0))


def run_gathered(net: Net, n: int) -> Any:
    return evaluate(net.network, {"x0": torch.tensor([1.0, 3.0]), "n": torch.tensor(n, dtype=torch.int32)})[
        "y0"
    ].tolist()


def test_what_no_iteration_wrote_is_zero(net: Net) -> None:
    gathered(net, 4)
    assert run_gathered(net, 2) == [[1, 3], [2, 6], [0, 0], [0, 0]]
    assert run_gathered(net, 0) == [[0, 0]] * 4


def test_reverse_fills_from_the_end(net: Net) -> None:
    gathered(net, 3, "REVERSE")
    assert run_gathered(net, 2) == [[0, 0], [2, 6], [1, 3]]


def test_more_iterations_than_the_output_holds(net: Net) -> None:
    gathered(net, 3)
    with pytest.raises(EvaluationError, match="loop 'doubling' made 4 iterations, its output has room for 3"):
        run_gathered(net, 4)


def test_an_iterator_past_its_end(net: Net) -> None:
    loop = net.network.add_loop()
    loop.add_trip_limit(net.constant(4, torch.int32), trt.TripLimit.COUNT)
    row = loop.add_iterator(net.input(torch.ones(3, 2))).get_output(0)
    total = loop.add_recurrence(net.constant([0.0, 0.0]))
    total.set_input(1, binary(net, total.get_output(0), row))
    net.output(loop.add_loop_output(total.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0))
    with pytest.raises(EvaluationError, match="iterates past the 3 slices"):
        evaluate(net.network, {"x0": torch.ones(3, 2)})


def test_a_while_loop_stops_before_it_computes(net: Net) -> None:
    """The condition of the first iteration is false: the body is not run, the initial value comes out."""
    loop = net.network.add_loop()
    loop.add_trip_limit(net.input(torch.tensor(False), name="go"), trt.TripLimit.WHILE)
    value = loop.add_recurrence(net.input(torch.ones(2), name="x"))
    value.set_input(1, binary(net, value.get_output(0), value.get_output(0)))
    net.output(loop.add_loop_output(value.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0))
    assert evaluate(net.network, {"go": torch.tensor(False), "x": torch.ones(2)})["y0"].tolist() == [1.0, 1.0]


def test_count_and_while_together(net: Net) -> None:
    """The loop ends at whichever limit comes first."""
    loop = net.network.add_loop()
    loop.add_trip_limit(net.input(torch.tensor(2, dtype=torch.int32), name="n"), trt.TripLimit.COUNT)
    value = loop.add_recurrence(net.input(torch.ones(1), name="x"))
    below = binary(net, value.get_output(0), net.constant([10.0]), "LESS")
    scalar = net.network.add_shuffle(below)
    scalar.reshape_dims = ()
    loop.add_trip_limit(scalar.get_output(0), trt.TripLimit.WHILE)
    value.set_input(1, binary(net, value.get_output(0), value.get_output(0)))
    net.output(loop.add_loop_output(value.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0))
    evaluator = Evaluator(net.network)
    for n, wanted in ((2, 4.0), (20, 16.0)):
        found = evaluator({"n": torch.tensor(n, dtype=torch.int32), "x": torch.ones(1)})["y0"]
        assert found.tolist() == [wanted]


def test_a_conditional_in_a_loop(net: Net) -> None:
    """Each step: halve what is above 4, else add 3."""
    loop = net.network.add_loop()
    loop.add_trip_limit(net.constant(4, torch.int32), trt.TripLimit.COUNT)
    value = loop.add_recurrence(net.input(torch.ones(1)))
    above = net.network.add_shuffle(binary(net, value.get_output(0), net.constant([4.0]), "GREATER"))
    above.reshape_dims = ()
    block = net.network.add_if_conditional()
    block.set_condition(above.get_output(0))
    inner = block.add_input(value.get_output(0)).get_output(0)
    halved, more = binary(net, inner, net.constant([2.0]), "DIV"), binary(net, inner, net.constant([3.0]))
    value.set_input(1, block.add_output(halved, more).get_output(0))
    net.output(loop.add_loop_output(value.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0))
    for start in (1.0, 9.0):
        wanted = start
        for _ in range(4):
            wanted = wanted / 2 if wanted > 4 else wanted + 3
        assert evaluate(net.network, {"x0": torch.tensor([start])})["y0"].tolist() == [wanted]


def test_a_loop_in_a_conditional(net: Net) -> None:
    """The loop asserts nothing when its branch is not taken: it would have no limit."""
    block = net.network.add_if_conditional()
    block.set_condition(net.input(torch.tensor(True), name="c"))
    x = block.add_input(net.input(torch.ones(2), name="x")).get_output(0)
    loop = net.network.add_loop()
    loop.add_trip_limit(net.constant(3, torch.int32), trt.TripLimit.COUNT)
    value = loop.add_recurrence(x)
    value.set_input(1, named(binary(net, value.get_output(0), value.get_output(0)), "inside"))
    looped = loop.add_loop_output(value.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0)
    net.output(block.add_output(looped, activation(net, x)).get_output(0))
    evaluator = Evaluator(net.network, outputs="*")
    taken = evaluator({"c": torch.tensor(True), "x": torch.ones(2)})
    assert taken["y0"].tolist() == [8.0, 8.0]
    other = evaluator({"c": torch.tensor(False), "x": torch.ones(2)})
    assert other["y0"].tolist() == [1.0, 1.0]
    assert "inside" not in other


def test_branches_reach_past_the_conditional(net: Net) -> None:
    """NvInfer.h, IIfConditional: subgraphs may use tensors from outside without an input layer."""
    x = net.input(torch.ones(2), name="x")
    block = net.network.add_if_conditional()
    block.set_condition(net.input(torch.tensor(True), name="c"))
    net.output(block.add_output(binary(net, x, x), activation(net, x)).get_output(0))
    for condition, wanted in ((True, 6.0), (False, 3.0)):
        values = {"x": torch.full((2,), 3.0), "c": torch.tensor(condition)}
        assert evaluate(net.network, values)["y0"].tolist() == [wanted] * 2
