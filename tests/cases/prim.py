"""Between tensors, Python numbers and lists."""

import torch

from tests.harness import Case, rand


@torch.jit.script
def _conversions(x):
    number = x.item()
    return (
        torch.tensor(float(number)),
        torch.tensor(int(number)),
        torch.tensor(bool(float(number))),
        torch.tensor(int(float(x))),
        torch.tensor(bool(int(x))),
        torch.tensor(int(bool(x))),
        torch.tensor(float(bool(x))),
        torch.tensor(float(int(x))),
    )


@torch.jit.script
def _tensors(x):
    i, f, p = int(x[0]), float(x[1]), bool(x[2] > 0)
    return (
        torch.tensor([[i, 2], [3, i + 1]]),
        torch.tensor([f, 1.5]),
        torch.tensor([p, True]),
        torch.tensor([i, 4], dtype=torch.float32),
        torch.tensor(i, dtype=torch.float32),
        torch.tensor(f),
        torch.tensor(p),
        torch.as_tensor([i, 1]),
        torch.as_tensor(i),
        torch.as_tensor(f),
        torch.as_tensor(p),
    )


@torch.jit.script
def _implicit(x):
    count = x.sum().to(torch.int64)
    return torch.full([2], x.sum()), torch.arange(8).select(0, count), torch.full([1], count)


def _number_to_tensor(x):
    return x * x.size(0), torch.tensor(x.size(0)) * x.size(1)


@torch.jit.script
def _length(x):
    return torch.tensor(len(x)), torch.tensor(float(len(x)) / 2)


_ROWS = {"dynamic": {"x": {0: (1, 3, 9)}}, "others": [rand(5, 4), rand(1, 4)]}

CASES = [
    Case("conversions", _conversions, torch.tensor(-2.75), others=[torch.tensor(0.0), torch.tensor(7.5)]),
    Case("conversions-vector", _conversions, torch.tensor([3.5]), others=[torch.tensor([-0.25])]),
    Case("tensors", _tensors, torch.tensor([3.7, -1.5, 1.0]), others=[torch.tensor([-3.7, 2.5, -1.0])]),
    Case("implicit", _implicit, torch.tensor([2.0, 3.5]), others=[torch.tensor([1.0, 1.5])]),
    Case("number-to-tensor", _number_to_tensor, rand(3, 4), **_ROWS),
    Case("length", lambda x: _length(x), rand(3, 4), **_ROWS),
]
