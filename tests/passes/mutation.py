"""What the tests of mutation share: debug mode against eager."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

import torch2trt
from tests import harness
from torch2trt.graph import Graph, walk_nodes
from torch2trt.passes.sharing import writes_anything

_generator = torch.Generator().manual_seed(7)
X = torch.randn(3, 4, generator=_generator)
Y = torch.randn(3, 4, generator=_generator)
CUBE = torch.randn(2, 3, 4, generator=_generator)


def debug(function: Callable[..., Any], inputs: tuple[torch.Tensor, ...], **options: Any) -> tuple[Graph, Any]:
    """The functional graph, and what debug mode computes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        with torch2trt.torch_network():
            _, graph = torch2trt.torch2trt(function, harness.clone(inputs), **options)
    return graph, torch2trt.debug_call_graph(graph, harness.clone(inputs))


def check(function: Callable[..., Any], *inputs: torch.Tensor) -> Graph:
    """Debug mode gives what eager gives, for these inputs and for others, to the bit."""
    graph, actual = debug(function, inputs)
    assert not writes_anything(graph.nodes)
    harness.assert_same(actual, harness.call(function, inputs), rtol=0, atol=0)
    others = tuple(x.flip(0) if x.dim() else x for x in inputs)
    other = torch2trt.debug_call_graph(graph, harness.clone(others))
    harness.assert_same(other, harness.call(function, others), rtol=0, atol=0)
    return graph


def kinds(graph: Graph) -> list[str]:
    return [node.kind.removeprefix("aten::") for node in walk_nodes(graph.nodes)]


def programs() -> tuple[dict[str, tuple[Any, ...]], Callable[..., Any]]:
    """A table of programs, each with its inputs, and a decorator that adds to it."""
    table: dict[str, tuple[Any, ...]] = {}

    def program(*inputs: torch.Tensor) -> Callable[..., Any]:
        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            assert function.__name__ not in table
            table[function.__name__] = (function, *inputs)
            return function

        return register

    return table, program
