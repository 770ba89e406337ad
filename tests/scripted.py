"""Conversions of scripted functions, which are traced around."""

from __future__ import annotations

import warnings
from typing import Any

import torch

import torch2trt
from tests import harness

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(7))


def convert(scripted: Any, *inputs: torch.Tensor, **options: Any) -> torch2trt.Converted:
    """A conversion of what calls a scripted function, so that it is traced around it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return torch2trt.convert(lambda x: scripted(x), inputs or (X,), **options)


def check(scripted: Any, *others: torch.Tensor, **options: Any) -> torch2trt.Converted:
    """The conversion, which gives what eager gives on these inputs, as does debug mode."""
    converted = convert(scripted, **options)
    for x in (X, *others):
        expected = scripted(x.clone())
        harness.assert_same(torch2trt.debug_call_graph(converted.graph, x.clone()), expected, what="debug mode")
        harness.assert_same(converted.evaluate(x.clone()), expected, what="evaluator")
    return converted
