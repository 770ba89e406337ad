"""Writes to tensors, through views too."""

import torch

from tests.harness import Case, rand


def _copies(x, row, numbers):
    a, b, c = x + 1, numbers + 0, x * 2
    a.copy_(row)
    b.copy_(x)
    c.copy_(numbers)
    return a, b, c


def _pieces(x, y):
    out = torch.zeros(x.size(0), 8)
    out[:, :4] = x
    out[:, 4:] += y
    out[1:, ::3] *= 2
    return out


def _views(x):
    a = x + 1
    flat, transposed, (left, right) = a.view(-1), a.t(), a.chunk(2, 1)
    flat[::3].zero_()
    transposed[1].add_(10)
    left.mul_(right)
    return a, flat, transposed, left, right


def _masked(x, mask):
    a, b = x + 1, x * 2
    a[mask] = 0
    b.masked_fill_(mask, 7).clamp_(max=3)
    return a, b


def _dtypes(x, numbers):
    a, b, c = x.half(), numbers.to(torch.int32), x + 1
    a += x
    b -= numbers
    c.gt_(1)
    return a, b, c


def _windows(x):
    a = x + 1
    a.unfold(1, 2, 2).mul_(2)
    a.narrow(1, -3, 2).add_(1)
    a.diagonal().fill_(9)
    return a


def _recurrent(x):
    state = torch.zeros(x.size(0), 3)
    for step in range(x.size(1)):
        state[:, step % 3] += x[:, step]
        state.tanh_()
    return state


_X = rand(3, 4)
_ROWS = {"dynamic": {"x": {0: (1, 3, 9)}}, "others": [rand(5, 4), rand(2, 4)]}

CASES = [
    Case("copy", _copies, (_X, rand(4), rand(3, 4, dtype=torch.int64, low=-3, high=3))),
    Case("pieces", _pieces, (_X, rand(3, 4))),
    Case(
        "pieces-dynamic",
        _pieces,
        (_X, rand(3, 4)),
        dynamic={"x": {0: ("rows", 2, 3, 9)}, "y": {0: "rows"}},
        others=[(rand(5, 4), rand(5, 4)), (rand(2, 4), rand(2, 4))],
    ),
    Case("views", _views, _X),
    Case("views-dynamic", _views, _X, **_ROWS),
    Case("masked", _masked, (_X, rand(3, 4, dtype=torch.bool))),
    Case("dtypes", _dtypes, (_X, rand(3, 4, dtype=torch.int64, low=-3, high=3))),
    Case("windows", _windows, rand(4, 4)),
    Case("diagonal", lambda x: (x.clone().fill_diagonal_(3), (x[1:] * 2).fill_diagonal_(0.5, wrap=True)), rand(9, 2)),
    Case("diagonal-dynamic", lambda x: (x.clone().fill_diagonal_(3), (x * 2).T.fill_diagonal_(0.5)), _X, **_ROWS),
    Case("recurrent", _recurrent, _X),
    Case("recurrent-dynamic", _recurrent, _X, **_ROWS),
]
