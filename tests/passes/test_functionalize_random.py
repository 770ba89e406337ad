"""Random programs of views and writes, in Python and in TorchScript."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

import torch2trt
from tests import harness
from tests.passes.mutation import debug
from torch2trt import errors

# ---- random programs


def random_program(seed: int) -> Callable[[torch.Tensor, torch.Tensor], list[torch.Tensor]]:
    """A program of views, writes and reads, drawn by ``seed``."""

    def function(x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
        draw = random.Random(seed)
        tensors = [x + 1, y.unsqueeze(0) * 2, torch.zeros(4, 6)]
        results = []
        for _ in range(draw.randint(4, 18)):
            tensor = draw.choice(tensors)
            action = draw.random()
            if action < 0.45:
                tensors.append(_random_view(draw, tensor))
            elif action < 0.9:
                _random_write(draw, tensor, tensors)
            else:
                results.append(tensor * 2)
        return [*results, *(tensor + 0 for tensor in tensors)]

    return function


def _random_view(draw: random.Random, a: torch.Tensor) -> torch.Tensor:
    axis = draw.randrange(max(a.dim(), 1))
    size = a.size(axis) if a.dim() else 1
    choices: list[Callable[[], torch.Tensor]] = [
        lambda: a.unsqueeze(draw.randint(0, a.dim())),
        lambda: a.reshape(-1),
        lambda: a.detach(),
        lambda: a.contiguous(),
        lambda: a.flatten(),
        lambda: a.squeeze(),
    ]
    if a.dim():
        choices += [
            lambda: a.narrow(axis, 0, max(1, size // 2)),
            lambda: a[(slice(None),) * axis + (slice(draw.randrange(size), None, draw.randint(1, 2)),)],
            lambda: a.select(axis, draw.randrange(size)),
            lambda: a.chunk(2, axis)[0],
            lambda: a.unbind(axis)[-1],
        ]
    if a.dim() > 1:
        choices += [
            lambda: a.transpose(0, axis),
            lambda: a.permute(*draw.sample(range(a.dim()), a.dim())),
            lambda: a.diagonal(0, 0, 1),
            lambda: a.flatten(0, 1),
            lambda: a.movedim(0, -1),
        ]
    return draw.choice(choices)()


def _random_write(draw: random.Random, a: torch.Tensor, tensors: list[torch.Tensor]) -> None:
    other = draw.choice(tensors).sum()
    choices: list[Callable[[], Any]] = [
        lambda: a.add_(1.5),
        lambda: a.mul_(other),
        lambda: a.fill_(draw.random()),
        lambda: a.copy_(other),
        lambda: a.copy_(torch.arange(a.numel(), dtype=torch.int64).reshape(a.shape)),
        lambda: a.relu_(),
        lambda: a.sub_(a.mean()),
        lambda: a.masked_fill_(a > 0.5, 3),
        lambda: torch.add(a.clone(), 1, out=a),
        lambda: a.gt_(0.1),
    ]
    if a.dim():
        choices += [
            lambda: a.index_put_((torch.tensor([0]),), other, accumulate=True),
            lambda: a[0].zero_(),
            lambda: a.index_add_(0, torch.tensor([0]), a[:1].clone()),
        ]
    draw.choice(choices)()


INTEGERS = (torch.arange(12.0).reshape(3, 4), torch.arange(10.0).reshape(2, 5) - 4)


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed):
    function = random_program(seed)
    _, actual = debug(function, INTEGERS)
    # Sums over other strides add in another order.
    harness.assert_same(actual, function(*INTEGERS), rtol=1e-6, atol=0)


class ScriptWriter:
    """The source of a random TorchScript function with branches, loops, views and writes."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.lines = ["def function(x, y):", "    a = x + 1", "    b = y * 2", "    n = 0"]
        self.names = ["a", "b"]

    def write(self) -> str:
        self.block("    ", self.draw.randint(3, 7), 0)
        self.lines.append(f"    return {', '.join(f'{name} + 0' for name in self.names)}")
        return "\n".join([*self.lines, ""])

    def block(self, indent: str, count: int, depth: int) -> None:
        outer = list(self.names)
        for _ in range(count):
            action = self.draw.random()
            if action < 0.2 and depth < 3:
                self.lines.append(f"{indent}if bool({self.name()}.sum() > {self.draw.randint(-20, 20)}):")
                self.block(indent + "    ", self.draw.randint(1, 3), depth + 1)
                if self.draw.random() < 0.5:
                    self.lines.append(f"{indent}else:")
                    self.block(indent + "    ", self.draw.randint(1, 3), depth + 1)
            elif action < 0.35 and depth < 3:
                self.lines.append(f"{indent}for i{depth} in range({self.draw.randint(0, 3)}):")
                self.block(indent + "    ", self.draw.randint(1, 3), depth + 1)
            else:
                self.lines.append(indent + self.statement(depth))
        self.names = outer if depth else self.names

    def name(self) -> str:
        return self.draw.choice(self.names)

    def view(self, name: str) -> str:
        return name + self.draw.choice(
            [
                "[0]",
                "[1:]",
                "[-1:]",
                ".view(-1)",
                ".unsqueeze(0)",
                ".view(-1)[::2]",
                ".transpose(0, -1)",
                ".detach()",
                "",
            ]
        )

    def statement(self, depth: int) -> str:
        write = self.draw.choice([".mul_(0.5)", ".add_(1)", ".zero_()", f".sub_({self.name()}.mean())", ".relu_()"])
        kind = self.draw.random()
        if kind < 0.55:
            return self.view(self.name()) + write
        if kind < 0.65:
            return f"{self.name()} += {self.draw.randint(1, 3)}"
        if kind < 0.75:
            return f"{self.name()}[0] = {self.name()}.sum()"
        target = self.name() if depth else f"v{len(self.lines)}"
        source = self.name()
        if depth == 0:
            self.names.append(target)
            return f"{target} = {self.view(source)}"
        return f"{target} = {target} * 2" if self.draw.random() < 0.5 else f"{target} = {self.view(target)} * 1.5"


@pytest.mark.parametrize("seed", range(40))
def test_random_scripts(seed):
    source = ScriptWriter(seed).write()
    function = torch.jit.CompilationUnit(source).function
    inputs = (INTEGERS[0], INTEGERS[1])
    try:
        expected = function(*inputs)
    except RuntimeError:
        pytest.skip("eager refuses the program")
    try:
        graph, actual = debug(lambda x, y: function(x, y), inputs)
    except errors.UnsupportedArgumentError as error:
        assert "may share memory" in str(error)
        return
    harness.assert_same(actual, expected, rtol=1e-6, atol=0)
    for sign in (-1, -0.1):
        others = tuple(value * sign for value in inputs)
        actual = torch2trt.debug_call_graph(graph, others)
        harness.assert_same(actual, function(*others), rtol=1e-6, atol=0)
