"""Lists, dicts and text of scripted code."""

from __future__ import annotations

import pytest
import torch

from tests.harness import rand
from tests.scripted import X, check, convert
from torch2trt import errors


@torch.jit.script
def _list_operations(x):
    rows: list[torch.Tensor] = []
    rows.append(x)
    rows.extend([x * 2, x * 3])
    rows.insert(1, x * 4)
    last = rows.pop()
    rows[0] = rows[0] + last
    del rows[1]
    rows.reverse()
    both = rows + [x]  # noqa: RUF005
    twice = both * 2
    part = twice[1:5:2]
    copied = part.copy()
    copied.append(x - 1)
    numbers = [3, 1, 2]
    numbers.sort()
    numbers.remove(2)
    numbers += [x.size(0)]
    empty = [x]
    empty.clear()
    a, b = rows
    return torch.stack(copied), torch.cat(twice), a, b, torch.tensor(numbers), torch.tensor(len(part) + len(empty))


@torch.jit.script
def _dict_operations(x):
    named: dict[str, torch.Tensor] = {"a": x, "b": x * 2}
    named["c"] = named.pop("a") + 1
    named.update({"d": x * 4})
    first = named.setdefault("e", x * 5)
    missing = named.get("f")
    found = named.get("b")
    total = first * 0
    for key in named.keys():  # noqa: PLC0206, SIM118
        total = total + named[key] * len(key)
    for key, value in named.items():
        if key == "c":
            total = total + value
    for value in named.values():
        total = total + value
    if missing is None and found is not None and "d" in named and "z" not in named:
        total = total + found
    del named["d"]
    numbers = {1: 2.0, 3: 4.0}
    copied = dict(numbers)
    copied.clear()
    return total * (len(named) + numbers[3] + len(copied))


@torch.jit.script
def _text_operations(x):
    text = "{}-{}".format("rows", x.size(0)).upper()
    parts = text.split("-")
    if text.startswith("ROWS") and parts[1] == "%d" % 3 and str(x.size(1)) == "4" and text[0] == "R":  # noqa: UP031
        return x * len("".join(parts)[1:])
    return x


@torch.jit.script
def _changed_after_it_was_made(x):
    numbers = {"a": 1}
    sizes = [1, 2]
    numbers["a"] = 5
    sizes.append(numbers["a"])
    return x * sizes[2] * numbers["a"] * len(sizes)


@pytest.mark.parametrize("function", [_list_operations, _dict_operations, _text_operations, _changed_after_it_was_made])
def test_containers(function):
    check(function, rand(3, 4))


def test_containers_in_a_loop_of_run_time_length():
    @torch.jit.script
    def function(x):
        n = int(x.abs().sum())
        total = x
        for i in range(n):
            rows = [x, x * i]
            rows.append(total)
            named = {"a": torch.stack(rows).sum(0)}
            total = named["a"] * 0.1
        return total

    check(function, 0.1 * X)


def test_a_list_is_not_taken_apart_at_run_time():
    @torch.jit.script
    def function(x):
        values: list[float] = x[0].tolist()
        return x * values[0]

    with pytest.raises(errors.UnsupportedArgumentError, match=r"tolist\(\) of a tensor"):
        convert(function)
