"""Gradients: the operators by themselves, and networks that differentiate in forward."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from tests.cases.unary import SPECIAL
from tests.harness import Case

_H, _G = torch.float16, torch.bfloat16
_aten = torch.ops.aten
_generator = torch.Generator().manual_seed(20261201)


def _rand(*shape: int, dtype: torch.dtype = torch.float32, low: float = -2.0, high: float = 2.0) -> torch.Tensor:
    return (torch.rand(shape, generator=_generator) * (high - low) + low).to(dtype)


def _whole(*shape: int, high: int) -> torch.Tensor:
    return torch.randint(high, shape, generator=_generator)


_POINTWISE: dict[str, Callable[..., Any]] = {
    "tanh": lambda g, x: _aten.tanh_backward(g, x / 4),
    "sigmoid": lambda g, x: _aten.sigmoid_backward(g, x / 4),
    "threshold": lambda g, x: (_aten.threshold_backward(g, x, 0), _aten.threshold_backward(g, x, 0.5)),
    "leaky_relu": lambda g, x: (
        _aten.leaky_relu_backward(g, x, 0.1, False),
        _aten.leaky_relu_backward(g, x, 0.3, True),
    ),
    "rrelu": lambda g, x: _aten.rrelu_with_noise_backward(g, x, x, 0.1, 0.3, False, False),
    "elu": lambda g, x: (
        _aten.elu_backward(g, 1.0, 1.0, 1.0, False, x),
        _aten.elu_backward(g, 0.7, 1.3, 0.9, False, x),
        _aten.elu_backward(g, 0.7, 1.3, 0.9, True, x / 4),
    ),
    "gelu": lambda g, x: _aten.gelu_backward(g, x),
    "gelu-tanh": lambda g, x: _aten.gelu_backward(g, x, approximate="tanh"),
    "silu": lambda g, x: _aten.silu_backward(g, x),
    "mish": lambda g, x: _aten.mish_backward(g, x),
    "softplus": lambda g, x: (_aten.softplus_backward(g, x, 1.0, 20.0), _aten.softplus_backward(g, x, 2, 3)),
    "log_sigmoid": lambda g, x: _aten.log_sigmoid_backward(g, x, torch.exp(-x.abs())),
    "hardtanh": lambda g, x: (_aten.hardtanh_backward(g, x, -1.0, 1.0), _aten.hardtanh_backward(g, x, 0, 3)),
    "hardsigmoid": lambda g, x: _aten.hardsigmoid_backward(g, x),
    "hardswish": lambda g, x: _aten.hardswish_backward(g, x),
    "hardshrink": lambda g, x: _aten.hardshrink_backward(g, x, 0.5),
    "softshrink": lambda g, x: _aten.softshrink_backward(g, x, 0.5),
    "logit": lambda g, x: (_aten.logit_backward(g, x), _aten.logit_backward(g, x, 0.25)),
    "prelu": lambda g, x: _aten._prelu_kernel_backward(g, x, torch.tensor(0.25, dtype=x.dtype).expand_as(x)),
    **{
        f"{name}-{reduction}": lambda g, x, loss=loss, reduction=reduction: loss(
            g.flatten()[-1] + 9 if reduction else g, x, x.flip(0) / 3, reduction
        )
        for name, loss in {
            "mse": _aten.mse_loss_backward,
            "smooth_l1": lambda g, x, t, reduction: _aten.smooth_l1_loss_backward(g, x, t, reduction, 0.7),
            "smooth_l1-sharp": lambda g, x, t, reduction: _aten.smooth_l1_loss_backward(g, x, t, reduction, 0.0),
            "huber": lambda g, x, t, reduction: _aten.huber_loss_backward(g, x, t, reduction, 0.7),
            "soft_margin": lambda g, x, t, reduction: _aten.soft_margin_loss_backward(g, x, t, reduction),
        }.items()
        for reduction in (0, 1, 2)
    },
}

_UNLIKE = ("elu", "hardtanh", "hardswish", "hardshrink", "softshrink")
"""Functions of which eager treats NaN in one way or another by the number of elements."""


def _special(name: str) -> torch.Tensor:
    return SPECIAL[1:] if name in _UNLIKE else SPECIAL


_RESIZED: dict[str, Callable[..., Any]] = {
    "nearest1d": lambda g, n: _aten.upsample_nearest1d_backward(g, [7], n),
    "nearest1d-scales": lambda g, n: _aten.upsample_nearest1d_backward(g, [7], n, 1.75),
    "nearest2d": lambda g, n: _aten.upsample_nearest2d_backward(g, [6, 7], n),
    "nearest2d-scales": lambda g, n: _aten.upsample_nearest2d_backward(g, [6, 7], n, 2.0, 1.75),
    "nearest3d": lambda g, n: _aten.upsample_nearest3d_backward(g, [6, 7, 5], n),
    "exact1d": lambda g, n: _aten._upsample_nearest_exact1d_backward(g, [7], n),
    "exact2d": lambda g, n: _aten._upsample_nearest_exact2d_backward(g, [6, 7], n, 2.0, None),
    "exact3d": lambda g, n: _aten._upsample_nearest_exact3d_backward(g, [6, 7, 5], n),
    "linear1d": lambda g, n: _aten.upsample_linear1d_backward(g, [7], n, False),
    "linear1d-corners": lambda g, n: _aten.upsample_linear1d_backward(g, [7], n, True),
    "bilinear2d": lambda g, n: _aten.upsample_bilinear2d_backward(g, [6, 7], n, False),
    "bilinear2d-corners": lambda g, n: _aten.upsample_bilinear2d_backward(g, [6, 7], n, True),
    "bilinear2d-scales": lambda g, n: _aten.upsample_bilinear2d_backward(g, [6, 7], n, False, 2.0, 1.75),
    "bicubic2d": lambda g, n: _aten.upsample_bicubic2d_backward(g, [6, 7], n, False, None, 1.75),
    "bicubic2d-corners": lambda g, n: _aten.upsample_bicubic2d_backward(g, [6, 7], n, True),
    "trilinear3d": lambda g, n: _aten.upsample_trilinear3d_backward(g, [6, 7, 5], n, False),
}
"""Of a gradient and the input's sizes."""

_PADDED: dict[str, Callable[..., Any]] = {
    f"{kind}_pad{count}d": lambda g, x, kind=kind, count=count: getattr(_aten, f"{kind}_pad{count}d_backward")(
        g, x, [1, 2, 0, 1, 2, 0][: 2 * count]
    )
    for kind in ("reflection", "replication")
    for count in (1, 2, 3)
}


def _resize(name: str, function: Callable[..., Any], dtype: torch.dtype) -> Case:
    count = int(name.partition("d")[0][-1]) if name[0] != "b" else 2
    gradient = _rand(2, 3, *([7] if count == 1 else [6, 7, 5][:count]), dtype=dtype)
    sizes = [2, 3, *([4] if count == 1 else [3, 4, 5][:count])]
    return Case(f"{name}-{str(dtype)[6:]}", lambda g: function(g, sizes), gradient)


def _padding(name: str, function: Callable[..., Any], dtype: torch.dtype) -> Case:
    count = int(name[-2])
    sizes, grown = ([3, 4, 5][-count:], [5, 5, 8][-count:])
    inputs = (_rand(2, 3, *grown, dtype=dtype), _rand(2, 3, *sizes, dtype=dtype))
    return Case(f"{name}-{str(dtype)[6:]}", function, inputs)


def _average(g: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Of a kernel of 3 x 2 at strides of 2 and 1, with padding."""
    options = [(False, True, None), (False, False, None), (False, True, 5), (False, False, 5)]
    return tuple(_aten.avg_pool2d_backward(g, x, [3, 2], [2, 1], [1, 0], *option) for option in options)


def _average_ceiling(g: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    options = [(True, True, None), (True, False, None), (True, True, 3)]
    return tuple(_aten.avg_pool2d_backward(g, x, [3], [2], [1], *option) for option in options)


def _places(g: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Gradients of a matrix of 4 columns, of ``g`` of the same sizes."""
    rows = x.shape[0]
    return (
        _aten.slice_backward(g[:, 1:], list(x.shape), 1, 1, 9, 1),
        _aten.slice_backward(g[:, ::3], list(x.shape), -1, 0, 9, 3),
        _aten.slice_backward(g[:, :2], list(x.shape), 1, -3, 9, 2),
        _aten.slice_backward(g[:1], list(x.shape), 0, -1, 9223372036854775807, 1),
        _aten.select_backward(g[:, 0], list(x.shape), 1, 2),
        _aten.select_backward(g[0], list(x.shape), 0, -1),
        _aten.gather_backward(g, x, 1, torch.tensor([[0, 3, 3, 1]]).expand(rows, -1), False),
        _aten.index_select_backward(g, list(x.shape), 1, torch.tensor([2, 0, 2, 2])),
        _aten.cummaxmin_backward(g, x, x.cummax(1)[1], 1),
        _aten.value_selecting_reduction_backward(g[:, 0], 1, x.argmax(1), list(x.shape), False),
        _aten.value_selecting_reduction_backward(g[:, :1], 1, x.argmax(1, keepdim=True), list(x.shape), True),
        _aten.masked_select_backward(g[0].expand(rows, -1)[:, :1].flatten(), x, torch.arange(4) == 2),
        _aten.diagonal_backward(g[0, :1], list(x.shape), 3, 0, 1),
        _aten.trace_backward(g.sum(), list(x.shape)),
    )


def _diagonals(g: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return (
        _aten.diagonal_backward(g, [3, 2, 4], 0, 0, 2),
        _aten.diagonal_backward(g, [2, 4, 4], 1, 1, -1),
        _aten.diagonal_backward(g, [4, 2, 3], -1, 0, 2),
    )


def _embedding(g: torch.Tensor, places: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return (
        _aten.embedding_dense_backward(g, places, 7, -1, False),
        _aten.embedding_dense_backward(g, places, 7, 2, False),
        _aten.embedding_dense_backward(g, places, 7, -1, True),
        _aten.embedding_backward(g, places, 7, 3, True, False),
    )


def _distances(p: float) -> Callable[..., Any]:
    def run(g: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        far, near = torch.cdist(g, x, p), torch.cdist(x, x, p)
        return (
            _aten._cdist_backward(far.cos(), g, x, p, far),
            _aten._cdist_backward(near.cos(), x, x, p, near),
        )

    return run


def _pairs(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return tuple(
        _aten._pdist_backward(found.cos(), x, p, found)
        for p in (0.0, 1.0, 1.5, 2.0, 3.0, math.inf)
        for found in (torch.pdist(x, p),)
    )


def _products(g: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    holed = torch.where(x > 1, 0.0, x).to(x.dtype)
    return tuple(
        _aten.cumprod_backward(g, value, axis, value.cumprod(axis)) for value in (x, holed) for axis in (0, -1)
    )


def _cross_entropy(g: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    share = x.sigmoid()
    return (
        _aten.binary_cross_entropy_backward(g, share, share.flip(-1), None, 0),
        _aten.binary_cross_entropy_backward(g.sum(), share, share.flip(-1), x, 1),
        _aten.binary_cross_entropy_backward(g.sum(), share, share.flip(-1), None, 2),
        _aten.binary_cross_entropy_backward(g, share.round(), share, None, 0),
    )


def _weight_norm(g: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, ...]:
    found = []
    for axis in (0, v.dim() - 1):
        magnitude = v.abs().amax([other for other in range(v.dim()) if other != axis], keepdim=True)
        _, norms = _aten._weight_norm_interface(v, magnitude, axis)
        found += _aten._weight_norm_interface_backward(g, v, magnitude, norms, axis)
    return tuple(found)


def _glu(g: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return _aten.glu_backward(g, torch.cat([x, x * 2], 1), 1), _aten.glu_backward(g, torch.cat([x, x * 2]), -x.dim())


def _maxima(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    two, places = F.adaptive_max_pool2d(x, (3, 2), return_indices=True)
    cube = x.unsqueeze(0)
    three, where = F.adaptive_max_pool3d(cube, (2, 3, 2), return_indices=True)
    slid, at = F.max_pool3d(cube, (1, 3, 2), (1, 1, 2), return_indices=True)
    return (
        _aten.adaptive_max_pool2d_backward(two.sin(), x, places),
        _aten.adaptive_max_pool3d_backward(three.sin(), cube, where),
        _aten.max_pool3d_with_indices_backward(slid.sin(), cube, [1, 3, 2], [1, 1, 2], [0], [1], False, at),
    )


def _dynamic(name: str, function: Callable[..., Any], **options: Any) -> Case:
    """Of a gradient and an input of one size."""
    rows = [{"g": _rand(count, 4), "x": _rand(count, 4)} for count in (3, 1, 7)]
    axes = {"g": {0: (1, 3, 8)}, "x": {0: (1, 3, 8)}}
    return Case(name, function, rows[0], axes, rows[1:], **options)


# A trace cannot hold operators that take a mask of outputs; scripted code can. Eager sums gradients in bfloat16.


@torch.jit.script
def _layer_norm(g: torch.Tensor, x: torch.Tensor, w: torch.Tensor):
    sizes = [x.size(-1)]
    _, mean, inverse = torch.native_layer_norm(x, sizes, w, w, 1e-5)
    first = torch.ops.aten.native_layer_norm_backward(g, x, sizes, mean, inverse, w, w, [True, True, True])
    _, middle, spread = torch.native_layer_norm(x, sizes, None, None, 1e-5)
    plain = torch.ops.aten.native_layer_norm_backward(g, x, sizes, middle, spread, None, None, [True, False, False])
    return first[0], first[1], first[2], plain[0]


@torch.jit.script
def _group_norm(g: torch.Tensor, x: torch.Tensor, w: torch.Tensor):
    count = x.size(2) * x.size(3)
    _, mean, inverse = torch.native_group_norm(x, w, w, x.size(0), 6, count, 3, 1e-5)
    found = torch.ops.aten.native_group_norm_backward(
        g, x, mean, inverse, w, x.size(0), 6, count, 3, [True, True, True]
    )
    return found


@torch.jit.script
def _batch_norm(g: torch.Tensor, x: torch.Tensor, w: torch.Tensor):
    _, mean, inverse = torch.native_batch_norm(x, w, w, None, None, True, 0.1, 1e-5)
    spread = w.abs() + 1.0
    trained = torch.ops.aten.native_batch_norm_backward(
        g, x, w, None, None, mean, inverse, True, 1e-5, [True, True, True]
    )
    fixed = torch.ops.aten.native_batch_norm_backward(g, x, w, w, spread, None, None, False, 1e-5, [True, True, True])
    return trained, fixed


@torch.jit.script
def _convolution(g: torch.Tensor, x: torch.Tensor, w: torch.Tensor, stride: int, padding: int, groups: int):
    spatial = w.dim() - 2
    found = torch.ops.aten.convolution_backward(
        g,
        x,
        w,
        [g.size(1)],
        [stride] * spatial,
        [padding] * spatial,
        [1] * spatial,
        False,
        [0] * spatial,
        groups,
        [True, False, True],
    )
    return found[0], found[2]


@torch.jit.script
def _transposed(g: torch.Tensor, x: torch.Tensor, w: torch.Tensor):
    found = torch.ops.aten.convolution_backward(
        g, x, w, [g.size(1)], [2, 2], [1, 0], [1, 1], True, [1, 0], 1, [True, False, True]
    )
    return found[0], found[2]


def _strided(g: torch.Tensor, x: torch.Tensor, w: torch.Tensor) -> Any:
    return _convolution(g, x, w, 2, 1, 2)


_NORMS = {"layer_norm": (_layer_norm, (2, 3, 5, 6)), "group_norm": (_group_norm, (2, 6, 3, 4))}
_NORMS["batch_norm"] = (_batch_norm, (3, 6, 2, 4))


def _norm_dynamic(name: str, function: Callable[..., Any], sizes: tuple[int, ...]) -> Case:
    rows = [{"g": _rand(count, *sizes[1:]), "x": _rand(count, *sizes[1:]), "w": _rand(6)} for count in (sizes[0], 1, 5)]
    axes = {"g": {0: (1, 2, 8)}, "x": {0: (1, 2, 8)}}
    return Case(f"{name}-dynamic", lambda g, x, w: function(g, x, w), rows[0], axes, rows[1:], rtol=1e-4)


class _Slope(torch.nn.Module):
    """The gradient of the sum of what a network gives, by its input."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network.eval()
        for parameter in self.network.parameters():
            parameter.data.copy_(_rand(*parameter.shape, low=-0.7, high=0.7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(self.network(x).sum(), x)[0]


class _Apply(torch.nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._function(x)


def _perceptron(activation: torch.nn.Module, width: int = 6) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(4, 6), activation, torch.nn.Linear(width, 1))


class _Potential(torch.nn.Module):
    """Energy and forces: radial functions of distances filter what the neighbours send, as in SchNet."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.filter = torch.nn.Embedding(9, 4), torch.nn.Linear(8, 4)
        self.requires_grad_(False)
        for parameter in self.parameters():
            parameter.copy_(_rand(*parameter.shape))
        self.register_buffer("pairs", torch.tensor([[0, 0, 1, 1, 2, 2, 3], [1, 2, 0, 2, 0, 1, 0]]))
        self.register_buffer("kinds", torch.tensor([1, 6, 8, 1]))

    def _energy(self, places: torch.Tensor) -> torch.Tensor:
        first, second = self.pairs[0], self.pairs[1]
        distances = (places.index_select(0, first) - places.index_select(0, second)).norm(dim=-1)
        radial = torch.exp(-2 * (distances[:, None] - torch.linspace(0, 5, 8)) ** 2)
        cutoff = 0.5 * (torch.cos(distances * math.pi / 5) + 1) * (distances < 5)
        weights = F.softplus(self.filter(radial * cutoff[:, None])) - math.log(2)
        features = self.features(self.kinds)
        messages = features.index_select(0, second) * weights
        received = torch.zeros(4, 4).index_add(0, first, messages)
        return (torch.tanh(received) * features).sum()

    def forward(self, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.enable_grad():
            places = places.detach().requires_grad_()
            energy = self._energy(places)
            return energy.detach(), -torch.autograd.grad(energy, places)[0]


def _angular(places: torch.Tensor) -> torch.Tensor:
    """Radial and angular terms, as in ANI."""
    distances = torch.cdist(places, places) + 9 * torch.eye(places.shape[0])
    cutoff = (0.5 * torch.cos(math.pi * distances / 9.5) + 0.5).masked_fill(distances > 9, 0)
    arrows = places[None] - places[:, None]
    products = torch.bmm(arrows, arrows.transpose(1, 2)) / (distances[:, :, None] * distances[:, None])
    angles = torch.acos(0.95 * products.clamp(-1, 1))
    return ((1 + torch.cos(angles - 0.3)) / 2) ** 4 * cutoff[:, :, None] * cutoff[:, None]


_NETWORKS: dict[str, torch.nn.Module] = {
    "silu": _perceptron(torch.nn.SiLU()),
    "tanh": _perceptron(torch.nn.Tanh()),
    "sigmoid": _perceptron(torch.nn.Sigmoid()),
    "softmax": _perceptron(torch.nn.Softmax(-1)),
    "attention": _Apply(lambda x: (x @ x.T / 2).softmax(-1) @ x),
    "roots": _Apply(lambda x: (x * x + 1).sqrt() + x.norm(dim=1, keepdim=True) + x.std(1, keepdim=True) + x.exp()),
    "celu": _perceptron(torch.nn.CELU(0.1)),
    "gelu": _perceptron(torch.nn.GELU()),
    "glu": _perceptron(torch.nn.GLU(), 3),
    "prelu": _perceptron(torch.nn.PReLU(6)),
    "maxima": _Apply(lambda x: x.max(1)[0] ** 2 + x.sort(1, descending=True)[0][:, 1] ** 3 + x.topk(2, 1)[0][:, 1] * 2),
    "parts": _Apply(lambda x: x[:, 1:] ** 2 * x[:, ::2].sum() + x[:, 2:3] + x.select(1, 0)[:, None] ** 2),
    "running": _Apply(lambda x: x.cumsum(1) ** 2 + x.cumprod(1) + x.logcumsumexp(1) + x.cummax(1)[0] ** 2),
    "choices": _Apply(lambda x: torch.where(x > 0, x.clamp(-1, 1) ** 2, x.sin()) + (x.abs() + 1).log() * 2),
    "losses": _Apply(lambda x: F.mse_loss(x, x.detach() * 2) + F.smooth_l1_loss(x.sin(), x.detach() / 3)),
    "logits": _Apply(lambda x: torch.logit(x / 9 + 0.5) * F.softplus(x, 2) + F.hardswish(x * 2)),
}

_IMAGE_NETWORKS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "pools": lambda x: F.avg_pool2d(x, 2) ** 2 + F.adaptive_avg_pool2d(x, (4, 3)) ** 2,
    "resized": lambda x: (
        F.interpolate(x, scale_factor=1.5, mode="bilinear") ** 2 * F.interpolate(x, scale_factor=1.5) ** 2
    ),
    "padded": lambda x: F.pad(x, (1, 2, 0, 1), mode="reflect") ** 2 * F.pad(x, (2, 1, 1, 0), mode="replicate"),
}


def _network(name: str, network: torch.nn.Module) -> Case:
    inputs = [{"x": _rand(count, 4)} for count in (3, 1, 7)]
    return Case(f"network-{name}", _Slope(network), inputs[0], {"x": {0: (1, 3, 8)}}, inputs[1:], rtol=1e-4)


CASES = [
    *(Case(name, f, (_rand(2, 3, 8), _rand(2, 3, 8, low=-6.0, high=6.0))) for name, f in _POINTWISE.items()),
    *(Case(f"{name}-float16", f, (_rand(3, 9, dtype=_H), _rand(3, 9, dtype=_H))) for name, f in _POINTWISE.items()),
    *(Case(f"{name}-bfloat16", f, (_rand(3, 9, dtype=_G), _rand(3, 9, dtype=_G))) for name, f in _POINTWISE.items()),
    *(Case(f"{name}-special", f, (_rand(len(_special(name))), _special(name))) for name, f in _POINTWISE.items()),
    *(Case(f"{name}-special-gradient", f, (SPECIAL, _rand(16))) for name, f in _POINTWISE.items()),
    *(_dynamic(f"{name}-dynamic", f) for name, f in _POINTWISE.items()),
    *(_resize(name, function, dtype) for name, function in _RESIZED.items() for dtype in (torch.float32, _H, _G)),
    *(_padding(name, function, dtype) for name, function in _PADDED.items() for dtype in (torch.float32, _H, _G)),
    Case("average", _average, (_rand(2, 3, 3, 6), _rand(2, 3, 6, 7))),
    Case("average-bfloat16", _average, (_rand(3, 3, 6, dtype=_G), _rand(3, 6, 7, dtype=_G))),
    Case("average-ceiling", _average_ceiling, (_rand(2, 3, 4, 4), _rand(2, 3, 6, 7))),
    Case(
        "average-3d",
        lambda g, x: _aten.avg_pool3d_backward(g, x, [2, 1, 3], [], [0], False, True, None),
        (_rand(2, 2, 2, 3, 2), _rand(2, 2, 4, 3, 7)),
    ),
    Case(
        "average-dynamic",
        _average,
        {"g": _rand(2, 3, 3, 6), "x": _rand(2, 3, 6, 7)},
        {"g": {0: (1, 2, 4)}, "x": {0: (1, 2, 4)}},
        [{"g": _rand(count, 3, 3, 6), "x": _rand(count, 3, 6, 7)} for count in (1, 4)],
    ),
    *(
        Case(
            f"adaptive-{number}",
            lambda g, x, y: (
                _aten._adaptive_avg_pool2d_backward(g[:, :, 0], x),
                _aten._adaptive_avg_pool2d_backward(g[:, :, 0, :1, :1], x),
                _aten._adaptive_avg_pool3d_backward(g, y),
            ),
            (_rand(2, 3, 2, 3, 2, dtype=t), _rand(2, 3, 7, 4, dtype=t), _rand(2, 3, 3, 7, 4, dtype=t)),
        )
        for number, t in enumerate((torch.float32, _H, _G))
    ),
    Case("maxima", _maxima, _rand(3, 5, 6)),
    Case("maxima-bfloat16", _maxima, _rand(3, 5, 6).to(_G)),
    *(
        Case(f"places-{number}", _places, (_rand(3, 4, dtype=t), _rand(3, 4, dtype=t)))
        for number, t in enumerate((_H, _G))
    ),
    _dynamic("places-dynamic", _places),
    Case("scalars", lambda g: (_aten.select_backward(g, [5], 0, -2), _aten.trace_backward(g, [3, 2])), _rand()),
    Case("slice-empty", lambda g: _aten.slice_backward(g[:, :0], [3, 4], 1, 4, 9, 1), _rand(3, 4)),
    Case("diagonals", _diagonals, _rand(2, 3)),
    Case("diagonals-half", _diagonals, _rand(2, 3, dtype=_H)),
    Case("embedding", _embedding, (_rand(2, 6, 3), _whole(2, 6, high=5))),
    Case("embedding-half", _embedding, (_rand(6, 3, dtype=_H), _whole(6, high=5))),
    Case(
        "embedding-dynamic",
        _embedding,
        {"g": _rand(6, 3), "places": _whole(6, high=5)},
        {"g": {0: (1, 6, 12)}, "places": {0: (1, 6, 12)}},
        [{"g": _rand(count, 3), "places": _whole(count, high=5)} for count in (1, 12)],
    ),
    *(
        Case(f"cdist-{p}", _distances(p), (_rand(2, 4, 3), _rand(2, 5, 3)))
        for p in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, math.inf)
    ),
    _dynamic("cdist-dynamic", _distances(2.0)),
    Case("pdist", _pairs, _rand(5, 3)),
    Case("pdist-one", lambda x: _aten._pdist_backward(torch.pdist(x), x, 2.0, torch.pdist(x)), _rand(1, 3)),
    Case("cumprod", _products, (_rand(3, 2, 4), _rand(3, 2, 4))),
    Case("cumprod-half", _products, (_rand(3, 4, dtype=_H), _rand(3, 4, dtype=_H))),
    Case("cumprod-scalar", lambda g, x: _aten.cumprod_backward(g, x, 0, x), (_rand(), _rand())),
    _dynamic("cumprod-dynamic", _products),
    Case("cross_entropy", _cross_entropy, (_rand(3, 4), _rand(3, 4))),
    _dynamic("cross_entropy-dynamic", _cross_entropy),
    Case("weight_norm", _weight_norm, (_rand(3, 2, 4), _rand(3, 2, 4))),
    Case("weight_norm-bfloat16", _weight_norm, (_rand(3, 4, dtype=_G), _rand(3, 4, dtype=_G))),
    Case("glu", _glu, (_rand(2, 3, 4), _rand(2, 3, 4))),
    Case("glu-half", _glu, (_rand(2, 3, dtype=_H), _rand(2, 3, dtype=_H))),
    _dynamic("glu-dynamic", _glu),
    Case(
        "rrelu-training",
        lambda g, x: _aten.rrelu_with_noise_backward(g, x, x.abs(), 0.1, 0.3, True, False),
        (_rand(3, 4), _rand(3, 4)),
    ),
    Case(
        "unfold",
        lambda g: (_aten.unfold_backward(g, [2, 8, 3], 1, 4, 2), _aten.unfold_backward(g[0, 0], [6], -1, 4, 1)),
        _rand(2, 3, 3, 4),
    ),
    Case("unfold-half", lambda g: _aten.unfold_backward(g, [9, 3], 0, 2, 3), _rand(3, 3, 2, dtype=_H)),
    *(
        Case(
            f"{name}-{number}",
            lambda g, x, w, f=f: f(g, x, w),
            (_rand(*n, dtype=t), _rand(*n, dtype=t), _rand(6)),
            rtol=(1e-4, 3e-2)[number],
        )
        for name, (f, n) in _NORMS.items()
        for number, t in enumerate((torch.float32, _G))
    ),
    *(_norm_dynamic(name, f, n) for name, (f, n) in _NORMS.items()),
    Case(
        "convolution",
        lambda g, x, w: _convolution(g, x, w, 1, 1, 1),
        (_rand(2, 4, 5, 6), _rand(2, 3, 5, 6), _rand(4, 3, 3, 3)),
        rtol=1e-4,
    ),
    Case("convolution-strided", _strided, (_rand(2, 4, 3, 3), _rand(2, 6, 6, 5), _rand(4, 3, 3, 3)), rtol=1e-4),
    Case("convolution-1d", _strided, (_rand(2, 4, 4), _rand(2, 6, 8), _rand(4, 3, 3)), rtol=1e-4),
    Case("convolution-3d", _strided, (_rand(1, 4, 2, 2, 3), _rand(1, 2, 3, 4, 5), _rand(4, 1, 3, 3, 3)), rtol=1e-4),
    Case(
        "convolution-half",
        _strided,
        (_rand(2, 4, 3, 3, dtype=_H), _rand(2, 6, 6, 5, dtype=_H), _rand(4, 3, 3, 3, dtype=_H)),
    ),
    Case(
        "convolution-transposed",
        lambda g, x, w: _transposed(g, x, w),
        (_rand(2, 4, 6, 8), _rand(2, 3, 3, 4), _rand(3, 4, 3, 2)),
        rtol=1e-4,
    ),
    Case(
        "convolution-dynamic",
        _strided,
        {"g": _rand(2, 4, 3, 3), "x": _rand(2, 6, 6, 5), "w": _rand(4, 3, 3, 3)},
        {"g": {2: (1, 3, 6)}, "x": {2: (1, 6, 12)}},
        [
            {"g": _rand(2, 4, n, 3), "x": _rand(2, 6, m, 5), "w": _rand(4, 3, 3, 3)}
            for n, m in ((1, 1), (3, 5), (6, 12))
        ],
        rtol=1e-4,
    ),
    *(_network(name, network) for name, network in _NETWORKS.items()),
    *(Case(f"network-{name}", _Slope(_Apply(f)), _rand(2, 3, 8, 6), rtol=1e-4) for name, f in _IMAGE_NETWORKS.items()),
    Case("network-potential", _Potential(), _rand(4, 3), rtol=1e-4),
    Case("network-angular", _Slope(_Apply(_angular)), _rand(4, 3, low=-3.0, high=3.0), rtol=1e-4, atol=1e-5),
]
