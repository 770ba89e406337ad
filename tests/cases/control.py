"""Ifs and loops of scripted code, their conditions known at conversion and at run time only."""

import torch

from tests.harness import Case, rand

CASES = []
_X = rand(3, 4)
# Conditions look at signs and sizes: these take other branches, and other numbers of iterations.
_OTHERS = [-_X, 0.1 * _X, -0.1 * _X, 0 * _X]
_ROWS = {"dynamic": {"x": {0: (1, 3, 9)}}, "others": [rand(5, 4), rand(1, 4), -rand(2, 4)]}


def case(**options):
    def register(function):
        scripted = torch.jit.script(function)
        row = {"others": _OTHERS, **options}
        CASES.append(Case(function.__name__.replace("_", "-"), lambda x: scripted(x), _X, **row))
        return scripted

    return register


@case()
def if_simple(x):
    if bool(x.sum() > 0):
        y = x * 2
    else:
        y = x.exp()
    return y


@case()
def if_scalar(x):
    n = 1
    if bool(x.sum() > 0):
        n = 2
    return x * n


@case(**_ROWS)
def if_rank(x):
    y = x.relu()
    if y.dim() == 2 and y.is_floating_point():
        return y + 1
    return y * 2


@case()
def if_early(x):
    if bool(x.sum() > 0):
        return x * 2
    y = x + 1
    if bool(y.mean() > 0):
        return y
    return y * 3


@case()
def if_elif(x):
    s = x.sum()
    if bool(s > 3):
        y = x
    elif bool(s > 1):
        y = x * 2
    elif bool(s > -1):
        y = x * 3
    else:
        y = -x
    return y


@case()
def if_nested(x):
    if bool(x.sum() > 0):
        if bool(x[0].sum() > 0):
            y = x * 2
        else:
            y = x * 3
        z = y + 1
    else:
        y = x
        z = x - 1
    return y, z


@case()
def loop_known(x):
    for i in range(4):
        x = x + i
    return x


@case()
def loop_size(x):
    s = x[0]
    for i in range(1, x.size(0)):
        s = s + x[i] * i
    return s


@case(**_ROWS)
def loop_append(x):
    outs: list[torch.Tensor] = []
    for i in range(x.size(0)):
        outs.append(x[i] * i)
    return torch.stack(outs), torch.cat(outs, 0), torch.stack(outs, 1), torch.tensor(len(outs))


@case(**_ROWS)
def loop_grow(x):
    out = torch.zeros(0, 4)
    for i in range(x.size(0)):
        out = torch.cat((out, (x[i] * i).unsqueeze(0)))
    return out


@case()
def while_data(x):
    while bool(x.abs().sum() > 1):
        x = x * 0.5
    return x


@case()
def while_count(x):
    n = 0
    while bool(x.abs().sum() > 1) and n < 3:
        x = x * 0.5
        n += 1
    return x, torch.tensor(n)


@case()
def count_data(x):
    n = int(x.abs().sum())
    y = x
    for i in range(n):
        y = y * 0.5 + i
    return y


@case()
def break_loop(x):
    y = x
    for _ in range(10):
        y = y * 0.5
        if bool(y.abs().sum() < 1):
            break
    return y


@case()
def continue_loop(x):
    y = x.sum()
    for i in range(4):
        if bool(x[0, i] > 0):
            continue
        y = y + x[1, i]
    return y


@case()
def return_in_loop(x):
    for i in range(3):
        if bool(x[i].sum() > 0):
            return x[i] * 2
    return x[0] - 1


@case()
def raises_known(x):
    if x.dim() != 2:
        raise ValueError("rank")
    return x * 2


@case(**_ROWS)
def asserts_size(x):
    assert x.size(0) > 0, "empty"
    return x * 2


@case()
def dicts(x):
    d = {"a": x, "b": x * 2}
    d["c"] = d["a"] + d["b"]
    t = x * 0
    for _k, v in d.items():
        t = t + v
    if "c" in d:
        t = t + 1
    return t


@case()
def optional(x):
    y: torch.Tensor | None = None
    if x.size(0) > 2:
        y = x * 2
    if y is not None:
        return y + 1
    return x


@case()
def tuples(x):
    t = (x, x * 2)
    for _ in range(3):
        t = (t[1], t[0] + t[1])
    return t


@case()
def tuples_dyn(x):
    t = (x, x * 2)
    n = int(x.abs().sum())
    for _ in range(n):
        t = (t[1], t[0] * 0.5)
    return t


@case()
def list_in_branches(x):
    outs = [x]
    if bool(x.sum() > 0):
        outs.append(x * 2)
    else:
        outs.append(x * 3)
    return torch.cat(outs)


@case()
def strings(x):
    mode = "a"
    if x.size(0) == 3:
        mode = "b"
    if mode == "b":
        return x * 2
    return x


@case()
def mutate_in_if(x):
    y = x * 1
    if bool(x.sum() > 0):
        y[0] = 5
    else:
        y[:, 1] += 2
    return y


@case()
def mutate_in_while(x):
    y = x * 1
    while bool(y.abs().sum() > 1):
        y[0] *= 0.5
        y[1:] *= 0.25
    return y


@case(**_ROWS)
def mutate_rows_dyn(x):
    y = x * 1
    for i in range(x.size(0)):
        y[i] = y[i] * i
    return y


@case()
def reversed_range(x):
    y = x[0]
    for i in range(2, -1, -1):
        y = y * 0.5 + x[i]
    return y


@case()
def nested_loops(x):
    s = x.sum()
    n = int(x[0].abs().sum())
    for _ in range(n):
        for j in range(2):
            s = s * 0.5 + x[j].sum()
    return s


@case()
def list_consts(x):
    sizes = [1, 2]
    sizes.append(3)
    s = 0
    for v in sizes:
        s += v
    return x * s


@case()
def enumerate_zip(x):
    s = x[0]
    for i, (a, b) in enumerate(zip([1, 2, 3], [4, 5, 6])):  # noqa: B905
        s = s + x[i] * a - b
    return s


@case(**_ROWS)
def reversed_rows(x):
    y = x[0] * 0
    for i in range(x.size(0) - 1, -1, -1):
        y = y * 0.5 + x[i]
    for i in range(0, x.size(0), 2):
        y = y + x[i]
    return y
