"""Linear layers with what follows them, and several on one input."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torch2trt
from tests.passes.rewrites import check_rewrite, layer_types, users_handler

X = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(0))
ROWS = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))


def seeded(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(2)
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            tensor.data.copy_(torch.rand(tensor.shape, generator=generator) + 0.25)
    return module.eval()


class Conv1D(nn.Module):
    """As GPT-2 writes a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(6, 4)), nn.Parameter(torch.empty(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addmm(self.bias, x.view(-1, 6), self.weight).view(*x.shape[:-1], 4)


PRODUCTS = {
    "gpt2": (seeded(Conv1D()), X, 1),
    "mm": (lambda x: x @ ROWS.T, ROWS, 0),
    "torch.mm": (lambda x: torch.mm(x, ROWS.T), ROWS, 1),
    "beta": (lambda x: torch.addmm(torch.ones(5), x, ROWS.T, beta=0.5), ROWS, 0),
    "bias of another shape": (lambda x: torch.addmm(torch.ones(5, 5), x, ROWS.T), ROWS, 0),
    "matrix at run time": (lambda x: torch.mm(x, x.T), ROWS, 0),
}


@pytest.mark.parametrize("function, x, count", PRODUCTS.values(), ids=PRODUCTS.keys())
def test_addmm_to_linear(function, x, count):
    check_rewrite("addmm_to_linear", function, x, count)


def test_addmm_keeps_the_weight_as_it_lies_in_memory():
    module = seeded(Conv1D())
    converted = torch2trt.convert(module, X)
    held = [named.data_ptr() for named in module.state_dict().values()]
    assert set(converted.weights.name_at) <= set(held)
    other = seeded(Conv1D())
    other.weight.data.mul_(3)
    torch.testing.assert_close(converted.evaluate_with(other.state_dict(), X), other(X).detach())


class Scaled(nn.Module):
    """A linear layer and a factor a channel, as in a transformer's layer scale."""

    def __init__(self, shape: tuple[int, ...] = (4,), *, bias: bool = True) -> None:
        super().__init__()
        self.linear, self.scale = nn.Linear(6, 4, bias=bias), nn.Parameter(torch.empty(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * self.linear(x)


class Twice(Scaled):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        return y * self.scale + y


SCALED = {
    "vector": (seeded(Scaled()), X, 1),
    "no bias": (seeded(Scaled(bias=False)), X, 1),
    "with leading axes": (seeded(Scaled((1, 1, 4))), X, 1),
    "more axes than the result": (seeded(Scaled((1, 1, 1, 4))), X, 0),
    "one number": (seeded(Scaled((1,))), X, 0),
    "a factor a row": (seeded(Scaled((3, 1))), X, 0),
    "read twice": (seeded(Twice()), X, 0),
    "batch norm": (seeded(nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))), ROWS, 1),
    "batch norm, plain": (seeded(nn.Sequential(nn.Linear(6, 4, bias=False), nn.BatchNorm1d(4, affine=False))), ROWS, 1),
    "batch norm over another axis": (seeded(nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(3))), X, 0),
}


@pytest.mark.parametrize("module, x, count", SCALED.values(), ids=SCALED.keys())
def test_fold_linear_scale(module, x, count):
    check_rewrite("fold_linear_scale", module, x, count)


@pytest.mark.parametrize("make, x", [(Scaled, X), (lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)), ROWS)])
def test_folded_linear_weights_follow_a_new_state_dict(make, x):
    first, second = seeded(make()), seeded(make())
    for tensor in second.parameters():
        tensor.data.add_(0.5)
    converted = torch2trt.convert(first, x)
    assert converted.graph.rewrites["fold_linear_scale"] == 1
    actual = converted.evaluate_with(second.state_dict(), x)
    torch.testing.assert_close(actual, second(x).detach(), rtol=1e-4, atol=1e-5)


def test_half_precision_weights_are_not_folded():
    converted = torch2trt.convert(seeded(Scaled()).half(), X.half())
    assert converted.graph.rewrites["fold_linear_scale"] == 0


class Projections(nn.Module):
    """Queries, keys and values; the keys without a bias, as in Whisper."""

    def __init__(self, sizes: tuple[int, ...] = (4, 2, 3)) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(6, size, bias=index != 1) for index, size in enumerate(sizes))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [part(x) * (index + 1) for index, part in enumerate(self.parts)]


def test_merge_linears():
    module = seeded(Projections())
    converted = check_rewrite("merge_linears", module, X, 1)
    assert layer_types(converted)["MATRIX_MULTIPLY"] == 1
    state = {key: tensor + 1 for key, tensor in module.state_dict().items()}
    actual = converted.evaluate_with(state, X)
    module.load_state_dict(state)
    for left, right in zip(actual, module(X), strict=True):
        torch.testing.assert_close(left, right.detach(), rtol=1e-4, atol=1e-4)


def test_two_linear_layers_stay_two():
    check_rewrite("merge_linears", seeded(Projections((4, 2))), X, 0)


def test_linear_layers_on_several_inputs_stay():
    module = seeded(Projections())
    check_rewrite("merge_linears", lambda x: [part(x + index) for index, part in enumerate(module.parts)], X, 0)


def test_merged_linears_of_dynamic_sizes():
    dynamic = {"x": {0: (1, 2, 4), 1: (1, 3, 8)}}
    check_rewrite("merge_linears", seeded(Projections()), X, 1, dynamic=dynamic, others=[torch.randn(1, 5, 6)])


def test_a_users_handler_of_linear_sees_every_layer():
    with users_handler("aten::linear") as seen:
        torch2trt.convert(seeded(Projections()), X)
    assert len(seen) == 3
