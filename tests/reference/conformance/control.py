"""Loops, conditionals and assertions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from torch2trt.trt_compat import trt

from .case import Case, Net
from .rows import F16, F32, I32, data

ROWS = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def loop_case(label: str, build: Callable[[Net], None], expected: Any, refused: str = "") -> Case:
    return Case(f"loop-{label}", build, expected, refused)


def add(net: Net, a: Any, b: Any) -> Any:
    return net.network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0)


def multiply(net: Net, a: Any, b: Any) -> Any:
    return net.network.add_elementwise(a, b, trt.ElementWiseOperation.PROD).get_output(0)


def counted(dtype: torch.dtype) -> Callable[[Net], None]:
    """x doubled three times."""

    def build(net: Net) -> None:
        loop = net.network.add_loop()
        loop.add_trip_limit(net.constant(3, I32), trt.TripLimit.COUNT)
        value = loop.add_recurrence(net.input(data("counted", (2, 3), dtype)))
        value.set_input(1, add(net, value.get_output(0), value.get_output(0)))
        net.output(loop.add_loop_output(value.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0))

    return build


def fibonacci(net: Net) -> None:
    loop = net.network.add_loop()
    loop.add_trip_limit(net.constant(8, I32), trt.TripLimit.COUNT)
    first, second = loop.add_recurrence(net.constant([0], I32)), loop.add_recurrence(net.constant([1], I32))
    first.set_input(1, second.get_output(0))
    second.set_input(1, add(net, first.get_output(0), second.get_output(0)))
    gathered = loop.add_loop_output(first.get_output(0), trt.LoopOutput.CONCATENATE)
    gathered.set_input(1, net.constant(8, I32))
    net.output(gathered.get_output(0))


def while_below(net: Net) -> None:
    """x doubled while its first element is below 100."""
    loop = net.network.add_loop()
    value = loop.add_recurrence(net.input(torch.tensor([3.0, 5.0]), torch.tensor([200.0, 1.0])))
    head = net.network.add_slice(value.get_output(0), (0,), (1,), (1,)).get_output(0)
    below = net.network.add_elementwise(head, net.constant([100.0]), trt.ElementWiseOperation.LESS).get_output(0)
    scalar = net.network.add_shuffle(below)
    scalar.reshape_dims = ()
    loop.add_trip_limit(scalar.get_output(0), trt.TripLimit.WHILE)
    value.set_input(1, add(net, value.get_output(0), value.get_output(0)))
    net.output(loop.add_loop_output(value.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0))


def running_sum(axis: int, reverse: bool, kind: str, place: int) -> Callable[[Net], None]:
    """Sums of the slices so far, gathered."""

    def build(net: Net) -> None:
        loop = net.network.add_loop()
        count = ROWS.shape[axis]
        loop.add_trip_limit(net.constant(count, I32), trt.TripLimit.COUNT)
        row = loop.add_iterator(net.input(ROWS), axis, reverse).get_output(0)
        total = loop.add_recurrence(net.constant(torch.zeros(ROWS.shape[1 - axis])))
        following = add(net, total.get_output(0), row)
        total.set_input(1, following)
        gathered = loop.add_loop_output(following, getattr(trt.LoopOutput, kind), place)
        gathered.set_input(1, net.constant(count, I32))
        net.output(gathered.get_output(0))

    return build


def nested(net: Net) -> None:
    """Three times: add x twice. Each inner loop starts from what the outer one holds."""
    x = net.input(torch.tensor([1.0, 2.0]))
    outer = net.network.add_loop()
    outer.add_trip_limit(net.constant(3, I32), trt.TripLimit.COUNT)
    held = outer.add_recurrence(net.constant([0.0, 0.0]))
    inner = net.network.add_loop()
    inner.add_trip_limit(net.constant(2, I32), trt.TripLimit.COUNT)
    total = inner.add_recurrence(held.get_output(0))
    total.set_input(1, add(net, total.get_output(0), x))
    held.set_input(1, inner.add_loop_output(total.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0))
    net.output(outer.add_loop_output(held.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0))


def none(net: Net) -> None:
    """No iteration: the initial value comes out."""
    loop = net.network.add_loop()
    loop.add_trip_limit(net.constant(0, I32), trt.TripLimit.COUNT)
    value = loop.add_recurrence(net.input(torch.tensor([1.0, 2.0])))
    value.set_input(1, add(net, value.get_output(0), value.get_output(0)))
    net.output(loop.add_loop_output(value.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0))


def recurrent(net: Net) -> None:
    """h = tanh(x_t w + h u), a recurrent network's cell, over three steps."""
    loop = net.network.add_loop()
    loop.add_trip_limit(net.constant(3, I32), trt.TripLimit.COUNT)
    step = loop.add_iterator(net.input(data("steps", (3, 2, 4))), 0, False).get_output(0)
    hidden = loop.add_recurrence(net.constant(torch.zeros(2, 4)))
    none_ = trt.MatrixOperation.NONE
    product = net.network.add_matrix_multiply(step, none_, net.constant(data("w", (4, 4))), none_).get_output(0)
    carried = net.network.add_matrix_multiply(hidden.get_output(0), none_, net.constant(data("u", (4, 4))), none_)
    both = add(net, product, carried.get_output(0))
    hidden.set_input(1, net.network.add_activation(both, trt.ActivationType.TANH).get_output(0))
    net.output(loop.add_loop_output(hidden.get_output(0), trt.LoopOutput.LAST_VALUE).get_output(0))


def recurrent_expected(x: torch.Tensor) -> torch.Tensor:
    hidden = torch.zeros(2, 4)
    for step in x:
        hidden = torch.tanh(step @ data("w", (4, 4)) + hidden @ data("u", (4, 4)))
    return hidden


def doubled_while(x: torch.Tensor) -> torch.Tensor:
    while float(x[0]) < 100:
        x = x + x
    return x


def running(axis: int, reverse: bool, kind: str, place: int) -> Callable[[torch.Tensor], torch.Tensor]:
    def expected(x: torch.Tensor) -> torch.Tensor:
        sums, total = [], torch.zeros(x.shape[1 - axis])
        for i in reversed(range(x.shape[axis])) if reverse else range(x.shape[axis]):
            total = total + x.select(axis, i)
            sums.append(total)
        return torch.stack(sums[::-1] if kind == "REVERSE" else sums, place)

    return expected


def conditional(condition: bool, how: str) -> Case:
    """x + x if the condition holds, else x * 3."""
    x = data("conditional", (2, 3))

    def build(net: Net) -> None:
        block = net.network.add_if_conditional()
        given = torch.tensor(condition)
        block.set_condition(net.constant(given) if how == "constant" else net.input(given, name="c"))
        inner = block.add_input(net.input(x, name="x")).get_output(0)
        yes = add(net, inner, inner)
        no = multiply(net, inner, net.constant([[3.0]]))
        net.output(block.add_output(yes, no).get_output(0))

    def expected(*values: torch.Tensor) -> torch.Tensor:
        return values[-1] * (2 if condition else 3)

    return Case(f"conditional-{how}-{str(condition).lower()}-float32", build, expected)


def conditional_by_data() -> Case:
    """Two outputs; the branch depends on the sum of the input."""
    values = torch.tensor([[1.0, 2.0]]), torch.tensor([[-4.0, 2.0]])

    def build(net: Net) -> None:
        x = net.input(*values)
        total = net.network.add_reduce(x, trt.ReduceOperation.SUM, 3, False).get_output(0)
        positive = net.network.add_elementwise(total, net.constant(0.0), trt.ElementWiseOperation.GREATER).get_output(0)
        block = net.network.add_if_conditional()
        block.set_condition(positive)
        inner = block.add_input(x).get_output(0)
        root = net.network.add_unary(inner, trt.UnaryOperation.SQRT).get_output(0)
        flipped = net.network.add_unary(inner, trt.UnaryOperation.ABS).get_output(0)
        net.output(block.add_output(root, inner).get_output(0), block.add_output(inner, flipped).get_output(0))

    def expected(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (x.sqrt(), x) if float(x.sum()) > 0 else (x, x.abs())

    return Case("conditional-data-float32", build, expected)


def nested_conditional() -> Case:
    values = torch.tensor([5.0]), torch.tensor([0.5]), torch.tensor([-1.0])

    def build(net: Net) -> None:
        x = net.input(*values)

        def above(limit: float) -> Any:
            greater = net.network.add_elementwise(
                x, net.constant([limit]), trt.ElementWiseOperation.GREATER
            ).get_output(0)
            shuffle = net.network.add_shuffle(greater)
            shuffle.reshape_dims = ()
            return shuffle.get_output(0)

        outer, inner = net.network.add_if_conditional(), net.network.add_if_conditional()
        outer.set_condition(above(0.0))
        entry = outer.add_input(x).get_output(0)
        inner.set_condition(above(1.0))
        deep = inner.add_input(entry).get_output(0)
        big, small = add(net, deep, deep), multiply(net, deep, deep)
        chosen = inner.add_output(big, small).get_output(0)
        negative = net.network.add_unary(entry, trt.UnaryOperation.NEG).get_output(0)
        net.output(outer.add_output(chosen, negative).get_output(0))

    def expected(x: torch.Tensor) -> torch.Tensor:
        return (x + x if float(x) > 1 else x * x) if float(x) > 0 else -x

    return Case("conditional-nested-float32", build, expected)


def assertion_case() -> Case:
    """Two dynamic inputs whose sizes must be equal."""
    values = [data(f"assert{n}", (n, 3)) for n in (2, 5)]

    def build(net: Net) -> None:
        a, b = net.input(*values, dynamic=(0,)), net.input(*values, dynamic=(0,))
        sizes = [net.network.add_shape(x).get_output(0) for x in (a, b)]
        equal = net.network.add_elementwise(*sizes, trt.ElementWiseOperation.EQUAL).get_output(0)
        net.network.add_assertion(equal, "sizes differ")
        net.output(add(net, a, b))

    return Case("assertion-shapes-float32", build, torch.add)


CASES = [
    loop_case("count-float32", counted(F32), lambda x: x * 8),
    loop_case("count-float16", counted(F16), lambda x: x * 8),
    loop_case(
        "concatenate-int32", fibonacci, lambda: torch.tensor([[0], [1], [1], [2], [3], [5], [8], [13]], dtype=I32)
    ),
    loop_case("while-float32", while_below, doubled_while),
    *(
        loop_case(
            f"iterator-axis{a}-{'reverse' if r else 'forward'}-{k}-at{p}-float32",
            running_sum(a, r, k, p),
            running(a, r, k, p),
        )
        for a, r, k, p in (
            (0, False, "CONCATENATE", 0),
            (0, True, "CONCATENATE", 1),
            (1, False, "CONCATENATE", 1),
            (0, False, "REVERSE", 0),
            (1, True, "REVERSE", 0),
        )
    ),
    loop_case("nested-float32", nested, lambda x: x * 6),
    loop_case("none-float32", none, lambda x: x.clone()),
    loop_case(
        "recurrent-float32",
        recurrent,
        recurrent_expected,
        "TensorRT for RTX does not infer the data type of a recurrence through a matrix product",
    ),
    *(conditional(condition, how) for condition in (True, False) for how in ("constant", "input")),
    conditional_by_data(),
    nested_conditional(),
    assertion_case(),
]
