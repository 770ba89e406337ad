"""Activation functions and softmax."""

import torch
import torch.nn.functional as F

from tests.cases.unary import SPECIAL
from tests.harness import Case, rand

_I, _J, _U, _H, _G = torch.int64, torch.int32, torch.uint8, torch.float16, torch.bfloat16
_aten = torch.ops.aten

_FUNCTIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "relu6": F.relu6,
    "selu": F.selu,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "hardtanh": F.hardtanh,
    "gelu": F.gelu,
    "gelu-tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "elu": F.elu,
    "celu": F.celu,
    "leaky_relu": F.leaky_relu,
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
    "log_sigmoid": F.logsigmoid,
    "softsign": F.softsign,
    "tanhshrink": F.tanhshrink,
    "threshold": lambda x: F.threshold(x, 0.5, 2.0),
}


def _log_sigmoid_all(x):
    result, buffer = _aten.log_sigmoid_forward(x)  # the buffer is empty on a GPU
    return result, buffer if buffer.numel() else torch.exp(-x.abs())


_UNLIKE = ("relu6", "hardtanh", "gelu")
"""Functions of which an engine treats NaN or infinities in another way than eager does: see their docstrings."""


def _dynamic(name, function):
    dynamic, others = {"x": {0: (1, 2, 8)}}, [{"x": rand(5, 4)}, {"x": rand(1, 4)}]
    return Case(name, function, {"x": rand(2, 4)}, dynamic=dynamic, others=others)


class _PReLU(torch.nn.PReLU):
    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.weight.data = rand(count)


CASES = [
    *(Case(name, function, rand(2, 3, 8, low=-8.0, high=8.0)) for name, function in _FUNCTIONS.items()),
    *(Case(f"{name}-scalar", function, rand()) for name, function in _FUNCTIONS.items()),
    *(Case(f"{name}-half", function, rand(2, 9, dtype=_H)) for name, function in _FUNCTIONS.items()),
    *(Case(f"{name}-special", function, SPECIAL) for name, function in _FUNCTIONS.items() if name not in _UNLIKE),
    *(Case(f"{name}-finite", _FUNCTIONS[name], SPECIAL[3:]) for name in _UNLIKE),
    *(
        Case(
            f"{name}-tail-{number}",
            _FUNCTIONS[name],
            torch.linspace(-9, -1.5, 301).to(dtype),
            rtol=rtol,
            atol=3e-7,  # where eager itself, in float32, has few digits left
            each=True,
        )
        for name in ("gelu", "gelu-tanh")
        for number, (dtype, rtol) in enumerate(((_H, 1e-3), (_G, 8e-3)))
    ),
    Case("sigmoid-int", lambda x: (x.sigmoid(), x.tanh()), rand(3, 4, dtype=_I)),
    Case("relu-int", torch.relu, rand(3, 4, dtype=_I)),
    Case("relu-uint8", torch.relu, rand(3, 4, dtype=_U, low=0, high=255)),
    Case("hardtanh-int", lambda x: F.hardtanh(x, -1, 2), rand(3, 4, dtype=_I, low=-5, high=5)),
    Case("softplus-beta", lambda x: F.softplus(x, 2.0, 3.0), rand(3, 4, low=-4.0, high=4.0)),
    Case("elu-alpha", lambda x: F.elu(x, 0.7), rand(3, 4)),
    Case("elu-scales", lambda x: _aten.elu(x, 0.7, 1.3, 0.9), rand(3, 4)),
    Case("celu-alpha", lambda x: F.celu(x, 0.7), rand(3, 4)),
    Case("leaky_relu-slope", lambda x: F.leaky_relu(x, -0.3), rand(3, 4)),
    Case("threshold-int", lambda x: F.threshold(x, 1, 9), rand(3, 4, dtype=_I, low=-5, high=5)),
    Case("log_sigmoid_forward", lambda x: _aten.log_sigmoid_forward(x)[0], rand(3, 4)),
    Case("log_sigmoid_forward-all", _log_sigmoid_all, rand(3, 4, low=-9.0, high=9.0)),
    Case("prelu", _PReLU(1), rand(2, 3, 4)),
    Case("prelu-channels", _PReLU(3), rand(2, 3, 4)),
    Case("prelu-vector", _PReLU(1), rand(5)),
    Case("prelu-scalar", _PReLU(1), rand()),
    Case("prelu-input", lambda x, w: F.prelu(x, w), (rand(2, 3, 4), rand(3))),
    Case("prelu-kernel", lambda x, w: _aten._prelu_kernel(x, w), (rand(2, 3, 4), rand(1, 3, 1))),
    _dynamic("prelu-dynamic", lambda x: F.prelu(x, torch.tensor([0.1, 0.2, -0.3, 0.4]))),
    Case("glu", lambda x: (F.glu(x), F.glu(x, 0), F.glu(x, -2)), rand(4, 2, 6)),
    Case(
        "glu-dynamic",
        lambda x: F.glu(x, 0),
        {"x": rand(4, 3)},
        {"x": {0: (2, 4, 8)}},
        [{"x": rand(2, 3)}, {"x": rand(8, 3)}],
    ),
    Case("clamp", lambda x: (x.clamp(-0.5, 1), x.clamp(min=0.1), x.clamp(max=0.1), x.clamp(1.0, -1.0)), rand(3, 4)),
    Case("clamp-special", lambda x: (x.clamp(-0.5, 1), x.clamp(min=0.1), x.clamp(max=0.1)), SPECIAL),
    Case(
        "clamp-int", lambda x: (x.clamp(-1, 2), x.clamp(0.5, 1.5), x.clamp(min=1)), rand(3, 4, dtype=_J, low=-5, high=5)
    ),
    Case("clamp-tensor", lambda x, a, b: (x.clamp(a, b), x.clamp(max=b)), (rand(3, 4), rand(4), rand(3, 1))),
    Case("clamp_min", lambda x, a: (x.clamp_min(0.2), x.clamp_min(a)), (rand(3, 4), rand(4))),
    Case("clamp_max", lambda x, a: (x.clamp_max(0.2), x.clamp_max(a)), (rand(3, 4), rand(4))),
    Case("clamp-uint8", lambda x: x.clamp(10, 200), rand(3, 4, dtype=_U, low=0, high=255)),
    _dynamic("clamp-dynamic", lambda x: x.clamp(-0.5, 0.5)),
    Case("softmax", lambda x: (x.softmax(-1), x.softmax(0), x.softmax(1)), rand(2, 3, 4)),
    Case("softmax-scalar", lambda x: (x.softmax(0), x.log_softmax(-1)), rand()),
    Case("softmax-vector", lambda x: (x.softmax(-1), x.log_softmax(0)), rand(5)),
    Case(
        "softmax-dtype",
        lambda x: (x.softmax(-1, dtype=torch.float32), x.log_softmax(0, dtype=_H)),
        rand(3, 4, dtype=_H),
    ),
    Case("softmax-int", lambda x: x.softmax(-1, dtype=torch.float32), rand(3, 4, dtype=_I)),
    Case("softmax-half", lambda x: (x.softmax(0), x.log_softmax(0)), rand(64, 3, dtype=_H)),
    Case("softmax-bfloat16", lambda x: x.softmax(-1), rand(3, 64, dtype=_G)),
    Case("softmax-large", lambda x: (x.softmax(-1), x.log_softmax(-1)), rand(3, 8, low=-200.0, high=200.0)),
    Case("softmax-masked", lambda x: x.masked_fill(x < 0, float("-inf")).softmax(-1), rand(3, 8)),
    Case("_softmax", lambda x: (_aten._softmax(x, 1, False), _aten._log_softmax(x, 1, False)), rand(3, 4)),
    Case("softmin", lambda x: F.softmin(x, 1), rand(3, 4)),
    Case(
        "_safe_softmax",
        lambda x: [_aten._safe_softmax(value, axis) for value, axis in ((x, -1), (x, 0), (x[0, 0], 0))],
        torch.where(torch.arange(12.0).reshape(3, 4) > 6, rand(3, 4), -torch.inf),
    ),
    Case("_safe_softmax-nan", lambda x: _aten._safe_softmax(x, 0), torch.tensor([[float("nan"), 1], [-torch.inf, 2]])),
    Case(
        "softmax-backward",
        lambda g, y: (
            _aten._softmax_backward_data(g, y, 1, torch.float32),
            _aten._log_softmax_backward_data(g, y, -2, torch.float32),
            _aten._softmax_backward_data(g[0, 0], y[0, 0], 0, torch.float32),
        ),
        (rand(3, 4), rand(3, 4)),
    ),
    Case("softmax-backward-empty", lambda g: _aten._softmax_backward_data(g, g + 1, 1, torch.float32), rand(0, 4)),
    _dynamic(
        "softmax-backward-dynamic",
        lambda x: (
            _aten._softmax_backward_data(x * 2, x, 0, torch.float32),
            _aten._log_softmax_backward_data(x * 2, x, 0, torch.float32),
            _aten._safe_softmax(x, 0),
        ),
    ),
    _dynamic("softmax-dynamic", lambda x: (x.softmax(0), x.log_softmax(0), x.softmax(-1))),
]
