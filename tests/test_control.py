"""Ifs and loops: what is decided at conversion, what becomes layers, and what cannot."""

from __future__ import annotations

import pytest
import torch

import torch2trt
from tests import harness
from tests.harness import rand
from tests.scripted import X, check, convert
from torch2trt import errors, registry
from torch2trt.passes import fold

ROWS = {"x": {0: (1, 3, 9)}}


def layer_types(converted: torch2trt.Converted) -> set[str]:
    network = converted.network
    return {network.get_layer(index).type.name for index in range(network.num_layers)}


BRANCHES = {"CONDITION", "CONDITIONAL_OUTPUT"}
LOOPS = {"RECURRENCE", "TRIP_LIMIT", "LOOP_OUTPUT"}


# ---- decided at conversion


def test_ifs_on_shapes_and_dtypes_vanish():
    @torch.jit.script
    def function(x, y: torch.Tensor | None = None):
        if x.dim() == 2 and x.size(1) == 4:
            x = x * 2
        else:
            x = torch.linalg.eigvals(x).real
        if x.is_floating_point():
            x = x + 1
        if y is not None:
            x = x + y
        return x

    assert not layer_types(check(function)) & (BRANCHES | LOOPS)


def test_tensors_are_not_none():
    @torch.jit.script
    def function(x, y: torch.Tensor | None):
        if y is None:
            return x
        return x + y

    converted = torch2trt.convert(lambda x: function(x, x * 2), X)
    harness.assert_same(converted.evaluate(X), X * 3)
    assert not layer_types(converted) & BRANCHES


def test_loops_of_known_length_are_unrolled():
    @torch.jit.script
    def function(x):
        total = x * 0
        for i in range(x.size(0)):
            for j in range(i, 3):
                if j != 1:
                    total = total + x * (10 * i + j)
        n = 0
        while n < 5:
            n += 2
            total = total * n
        return total

    converted = check(function)
    assert not layer_types(converted) & (BRANCHES | LOOPS)
    kinds = {node.kind for node in fold.fold(converted.graph).nodes}
    assert not kinds & {"prim::Loop", "prim::If"}


def test_long_loops_stay_loops(monkeypatch):
    @torch.jit.script
    def function(x):
        for i in range(50):
            x = x * 0.9 + i
        return x

    monkeypatch.setattr(fold, "MOST_UNROLLED", 20)
    monkeypatch.setattr("torch2trt.loops.MOST_UNROLLED", 20)
    converted = check(function)
    assert layer_types(converted) >= LOOPS and converted.network.num_layers < 20


def test_a_condition_that_becomes_a_run_time_one():
    @torch.jit.script
    def function(x):
        n = 0
        go_on = True
        while go_on:
            x = x * 0.5
            n += 1
            if n > 2:
                go_on = bool(x.abs().max() > 0.1)
        return x, torch.tensor(n)

    converted = check(function, 100 * X, 0 * X)
    assert layer_types(converted) >= LOOPS


def test_known_values_in_loops_need_no_handler():
    @torch.jit.script
    def function(x):
        for i in range(2):
            table = torch.cos(torch.arange(4) * i)
            x = x * table
        return x

    handler = registry._handlers["aten::cos"]
    registry.unregister("aten::cos")
    try:
        check(function)
        with pytest.raises(errors.UnsupportedOpError, match="aten::cos"):
            convert(torch.jit.script(_cosines))
    finally:
        registry._handlers["aten::cos"] = handler


def _cosines(x):
    for _ in range(2):
        x = torch.cos(x)
    return x


def test_the_graph_stays_as_it_was():
    @torch.jit.script
    def function(x):
        for i in range(3):
            x = x + i
        return x

    converted = convert(function)
    fold.fold(converted.graph)
    for _ in range(2):
        harness.assert_same(torch2trt.debug_call_graph(converted.graph, X), X + 3)


# ---- branches


def test_branches_are_lazy_layers():
    @torch.jit.script
    def function(x):
        if bool(x.sum() > 0):
            y = x.exp()
        else:
            y = x.abs().sqrt()
        return y

    converted = check(function, -X)
    assert layer_types(converted) >= BRANCHES
    assert converted.serialize(optimization_level=0)


def test_no_layer_for_what_both_branches_share():
    @torch.jit.script
    def function(x):
        rows, factor, mode = [x], 3, "a"
        if bool(x.sum() > 0):
            rows, factor, mode = [x], 3, "a"
        return rows[0] * factor * len(mode)

    converted = check(function, -X)
    assert not layer_types(converted) & BRANCHES


@torch.jit.script
def _dtypes_differ(x):
    if bool(x.sum() > 0):
        y = x
    else:
        y = x.to(torch.int32)
    return y


@torch.jit.script
def _ranks_differ(x):
    if bool(x.sum() > 0):
        y = x
    else:
        y = x[0]
    return y


@torch.jit.script
def _none_or_tensor(x):
    y: torch.Tensor | None = None
    if bool(x.sum() > 0):
        y = x * 2
    if y is None:
        return x
    return y


@torch.jit.script
def _text_differs(x):
    mode = "a"
    if bool(x.sum() > 0):
        mode = "b"
    if mode == "b":
        return x * 2
    return x


@torch.jit.script
def _lengths_differ(x):
    rows = [x]
    if bool(x.sum() > 0):
        rows.append(x)
    return torch.cat(rows)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (_dtypes_differ, r"a tensor of torch.float32, and one of torch.int32(.|\n)*test_control.py"),
        (_ranks_differ, "a tensor of rank 2, and one of rank 1"),
        (_none_or_tensor, "a tensor, and None"),
        (_text_differs, "'b', and 'a'"),
        (_lengths_differ, "a list of other lengths(.|\n)*2 items, and 1"),
    ],
)
def test_branches_that_do_not_fit(function, text):
    with pytest.raises(errors.UnsupportedArgumentError, match=text):
        convert(function)


def test_shapes_may_differ():
    @torch.jit.script
    def function(x):
        if bool(x.sum() > 0):
            y = x[:2]
        else:
            y = x * 2
        return y

    converted = check(function, -X)
    assert converted.serialize(optimization_level=0)


def test_containers_that_both_branches_change():
    @torch.jit.script
    def function(x):
        rows: list[torch.Tensor] = [x]
        named: dict[str, torch.Tensor] = {"a": x}
        pairs = [rows, [x * 5]]
        if bool(x.sum() > 0):
            rows.append(x * 2)
            named["a"] = x * 3
            pairs[1][0] = x
        else:
            rows.append(x * 4)
            rows[0] = x - 1
        return torch.cat(rows), named["a"] * 2, pairs[0][0] * 2, pairs[1][0] * 2

    check(function, -X)


def test_half_precision_in_branches():
    @torch.jit.script
    def function(x):
        if bool(x.sum() > 0):
            y = torch.matmul(x, x.t())
        else:
            y = torch.matmul(x, x.t()).exp()
        return y

    wide = X.repeat(1, 2)
    converted = convert(function, wide, precision="float16")
    for x in (wide, -wide):
        harness.assert_same(converted.evaluate(x), function(x), rtol=5e-3)


# ---- loops


@torch.jit.script
def _type_changes(x):
    n = int(x.abs().sum())
    y = torch.zeros(4)
    for i in range(n):
        y = x * i
    return y


@torch.jit.script
def _grows(x):
    n = int(x.abs().sum())
    y = x
    for _ in range(n):
        y = torch.cat([y, y])
    return y


@torch.jit.script
def _collects_in_while(x):
    rows = [x]
    while bool(x.abs().sum() > 1):
        x = x * 0.5
        rows.append(x)
    return torch.stack(rows)


@torch.jit.script
def _reads_its_list(x):
    n = int(x.abs().sum())
    rows = [x]
    for _ in range(n):
        rows.append(rows[-1] * 0.5)
    return torch.stack(rows)


@torch.jit.script
def _appends_twice(x):
    n = int(x.abs().sum())
    rows = [x]
    for i in range(n):
        rows.append(x * i)
        rows.append(x - i)
    return torch.stack(rows)


@torch.jit.script
def _extends_later(x):
    rows = [x[0]]
    for i in range(x.size(0)):
        rows.append(x[i] * i)
    rows.append(x[0])
    return torch.stack(rows)


@torch.jit.script
def _collects_by_elements(x):
    rows = [x]
    for i in range(int(x.abs().sum())):
        rows.append(x * i)
    return torch.stack(rows)


@torch.jit.script
def _text_is_carried(x):
    n = int(x.abs().sum())
    mode = "a"
    for _ in range(n):
        mode = mode + "b"
    return x * len(mode)


@torch.jit.script
def _raises_in_loop(x):
    n = int(x.abs().sum())
    for i in range(n):
        if i > 100:
            raise ValueError("too long")
        x = x * 0.5
    return x


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (_type_changes, r"type changes from torch.float32 \[4\] to torch.float32 \[3, 4\](.|\n)*test_control.py"),
        (_grows, r"type changes from torch.float32 \[3, 4\] to torch.float32 \[6, 4\]"),
        (_collects_in_while, "a while loop collects"),
        (_reads_its_list, r"reads a list that it changes \(aten::__getitem__\)"),
        (_appends_twice, "appends 2 items to a list in each"),
        (_extends_later, "aten::append is used on a list whose length is known at run time only"),
        (_collects_by_elements, "whose number depends on a tensor's elements"),
        (_text_is_carried, "carries 'a' that becomes 'ab'"),
        (_raises_in_loop, "too long, inside a loop"),
    ],
)
def test_loops_that_do_not_fit(function, text):
    dynamic_shapes = ROWS if function is _extends_later else None
    with pytest.raises(errors.UnsupportedArgumentError, match=text):
        convert(function, dynamic_shapes=dynamic_shapes)


def test_lists_of_run_time_length():
    @torch.jit.script
    def function(x):
        rows = [x[0], x[0] * 2]
        for i in range(x.size(0)):
            rows.append(x[i] * (i + 1))
        return (
            torch.stack(rows),
            torch.stack(rows, 1),
            torch.stack(rows, -1),
            torch.cat(rows),
            rows[0],
            rows[-1],
            rows[len(rows) - 2],
            torch.tensor(len(rows)),
        )

    converted = check(function, rand(5, 4), rand(1, 4), dynamic_shapes=ROWS)
    assert converted.serialize(optimization_level=0)


def test_tensors_that_grow():
    @torch.jit.script
    def function(x):
        empty, some, wide = torch.zeros(0), x[:1], x[:, :0].half()
        for i in range(x.size(0)):
            row = x[i].unsqueeze(0)
            empty = torch.cat([empty, x[i]])
            some = torch.cat((some, row, row * i), 0)
            wide = torch.cat((wide.to(torch.float32), x[:, :2] * i), 1)
        return empty, some, wide

    check(function, rand(5, 4), rand(2, 4), dynamic_shapes=ROWS)


def test_what_is_carried():
    @torch.jit.script
    def function(x):
        n = int(x.abs().sum())
        pair = (x, 1.5)
        flag, count, mode = False, 0, "fixed"
        for i in range(n):
            pair = (pair[0] * 0.5, pair[1] + i)
            flag = not flag
            count = count + i * 2
        return pair[0], torch.tensor(pair[1]), torch.tensor(flag), torch.tensor(count), x * len(mode)

    converted = check(function, 0.1 * X, 0 * X)
    assert converted.serialize(optimization_level=0)


def test_writes_in_loops_and_branches():
    @torch.jit.script
    def function(x):
        y = x * 1
        for i in range(x.size(0)):
            y[i] = y[i] * i
            if bool(y[i].sum() > 0):
                y[i, 0] = 100
                y += 1
        return y

    converted = check(function, rand(5, 4), -rand(2, 4), dynamic_shapes=ROWS)
    assert converted.serialize(optimization_level=0)


# ---- exceptions and messages


def test_a_check_of_elements_cannot_be_made():
    @torch.jit.script
    def function(x):
        if bool(x.sum() > 1000):
            raise ValueError("too large")
        return x * 2

    with pytest.raises(errors.UnsupportedArgumentError, match=r"too large, which depends on(.|\n)*test_control.py"):
        convert(function)


def test_a_check_of_sizes_is_an_assertion():
    @torch.jit.script
    def function(x):
        assert x.size(0) > 1, "too few rows"
        y = x * 2
        if x.size(0) < 4:
            if x.size(0) == 2:
                raise ValueError("two rows")
            y = y + 1
        return y

    converted = check(function, rand(5, 4), rand(4, 4), dynamic_shapes=ROWS)
    network = converted.network
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    assert sum(layer.type.name == "ASSERTION" for layer in layers) == 2
    for rows, text in ((1, "too few rows"), (2, "two rows")):
        with pytest.raises(errors.EvaluationError, match=text):
            converted.evaluate(rand(rows, 4))
    assert converted.serialize(optimization_level=0)


def test_check_goes_on_after_a_raise():
    @torch.jit.script
    def function(x):
        if bool(x.sum() > 1000):
            raise ValueError("too large")
        return x * 2

    report = torch2trt.check(lambda x: function(x) + 1, X)
    assert not report.ok and "too large" in str(report)


def test_messages(capsys):
    @torch.jit.script
    def function(x):
        print("rows", x.size(0))
        if bool(x.sum() > 0):
            print("positive")
        return x * 2

    with torch2trt.torch_network():
        torch2trt.torch2trt(lambda x: function(x), X.abs())
    debug = capsys.readouterr().out
    assert debug.count("rows 3") == 2 and debug.count("positive") == 2  # the trace prints too
    convert(function, -X.abs())
    assert "positive" not in capsys.readouterr().out
