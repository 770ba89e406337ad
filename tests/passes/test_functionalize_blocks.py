"""Writes in the branches and loops of scripted code."""

from __future__ import annotations

import pytest
import torch

from tests import harness
from tests.passes.mutation import X, Y, check, debug, kinds, programs
from torch2trt import errors

PROGRAMS, program = programs()


# ---- scripted bodies


@torch.jit.script
def _scripted_rows(x):
    for i in range(x.size(0)):
        x[i] = x[i] * i
    return x


@program(X)
def scripted_loop(x):
    a = x + 1
    first = a[0]
    _scripted_rows(a)
    return a, first


@torch.jit.script
def _scripted_branches(x, y):
    if bool(x.sum() > 0):
        x += y
        z = x
    else:
        z = x[:1]
        x[0] = 5
    return z * 2


@program(X, Y)
def scripted_branches(x, y):
    a = x + 1
    view = a.view(-1)
    b = -a
    return _scripted_branches(a, y), _scripted_branches(b, y), a, view, b


@torch.jit.script
def _scripted_nested(x):
    for i in range(3):
        row = x[i]
        if i > 0:
            for j in range(2):
                row[j] = row[j] + x[i - 1, j]
                if bool(row[j] > 1):
                    x *= 0.5
        else:
            row.fill_(1)
    return x.sum()


@program(X)
def scripted_nesting(x):
    a = x + 1
    last = a[-1]
    return _scripted_nested(a), a, last


@torch.jit.script
def _scripted_lists(x):
    rows = []
    for i in range(x.size(0)):
        row = x[i] * 2
        row += 1
        rows.append(row)
    return torch.stack(rows)


@program(X)
def scripted_lists_of_fresh_tensors(x):
    return _scripted_lists(x + 1)


@torch.jit.script
def _scripted_carried(x, n: int):
    h = x * 0
    y = x
    for i in range(n):
        h = h.clone()
        h[0] += x[i]
        y = y + h
        y.mul_(0.5)
    return h, y


@program(X)
def scripted_recurrence(x):
    return _scripted_carried(x, 3)


@torch.jit.script
def _scripted_while(x):
    n = 0
    while bool(x.abs().max() > 0.1) and n < 20:
        x.mul_(0.5)
        n += 1
    return torch.tensor(n)


@program(X)
def scripted_while(x):
    a = x + 1
    return _scripted_while(a), a


@torch.jit.script
def _scripted_optional(x, y: torch.Tensor | None):
    if y is None:
        y = x
    y.add_(1)
    return y


@program(X)
def scripted_optional(x):
    a, b = x + 1, x + 2
    return _scripted_optional(a, None), _scripted_optional(a, b), a, b


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    check(*PROGRAMS[name])


def test_untyped_views_that_do_not_matter():
    @torch.jit.script
    def function(x):
        y = x.reshape(-1)
        y += 1
        return y

    check(lambda x: function(x * 2), X)


def test_untyped_views_that_matter():
    @torch.jit.script
    def function(x):
        y = x * 2
        z = y.reshape(-1)
        z += 1
        return y

    with pytest.raises(errors.UnsupportedArgumentError, match=r"may share memory(.|\n)*clone\(\)"):
        debug(lambda x: function(x), (X,))


def test_written_after_it_went_into_a_list():
    @torch.jit.script
    def function(x):
        rows = []
        for _i in range(3):
            x += 1
            rows.append(x)
        return torch.stack(rows)

    with pytest.raises(errors.UnsupportedArgumentError, match="may share memory"):
        debug(lambda x: function(x * 1), (X,))


def test_item_of_a_list_that_is_written():
    @torch.jit.script
    def function(x):
        rows = []
        for i in range(3):
            rows.append(x[i])
        rows[1] += 5
        return x

    with pytest.raises(errors.UnsupportedArgumentError, match="may share memory"):
        debug(lambda x: function(x * 1), (X,))


def test_result_of_a_branch_that_is_written():
    @torch.jit.script
    def function(x, y):
        z = x
        if bool(x.sum() > 0):
            z = y
        z += 1
        return z

    _, actual = debug(lambda x, y: function(x * 2, y * 2), (X, Y))
    harness.assert_same(actual, function(X * 2, Y * 2), rtol=0, atol=0)
    with pytest.raises(errors.UnsupportedArgumentError, match="may share memory"):
        debug(lambda x, y: (a := x * 2, function(a, y * 2))[::-1], (X.abs(), Y))


def test_branches_decided_by_shapes():
    @torch.jit.script
    def function(x, inplace: bool):
        y = x
        if not inplace:
            y = x * 1
        if x.dim() == 2:
            y += 1
        return y

    def both(x):
        a, b = x * 2, x * 2
        return function(a, True), function(b, False), a, b

    graph = check(both, X)
    assert "prim::If" not in kinds(graph)


def test_repeated_elements_cannot_be_written():
    with pytest.raises(errors.TraceError, match="single memory location"):
        debug(lambda x: (x + 1)[:1].expand(3, 4).add_(1), (X,))

    def windows(x):
        a = x + 1
        a.unfold(1, 2, 1).add_(1)
        return a

    with pytest.raises(errors.UnsupportedArgumentError, match="several times"):
        debug(windows, (X,))


@pytest.mark.parametrize(
    "function",
    [
        lambda a: a[:, 1:].add_(a[:, :-1]),
        lambda a: a[:, 1:].copy_(a[:, :-1]),
        lambda a: a.sub_(a[:, :1]),
    ],
)
def test_reading_what_is_written_in_another_order(function):
    with pytest.raises(errors.UnsupportedArgumentError, match=r"depends on the order(.|\n)*test_functionalize"):
        debug(lambda x: function(x + 1), (X,))


def test_reading_another_part_of_what_is_written():
    def function(x):
        a = x + 1
        a[:, 0] += a[:, 1]
        a[1:].add_(a[:1])
        return a

    check(function, X)


@torch.jit.script
def _resizes(x):
    return (x + 1).resize_([2, 2])


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x: torch.ops.aten.set_(x + 1, x), "aten::set_ gives a tensor other memory"),
        (_resizes, "resize_ gives a tensor other memory"),
    ],
)
def test_other_memory_is_refused(function, text):
    with pytest.raises(errors.Torch2TRTError, match=text):
        debug(lambda x: function(x), (X,))
