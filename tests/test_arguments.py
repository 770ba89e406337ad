"""Arguments that do not fit: refused before the work, by an error that names them."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

import torch2trt
from torch2trt import errors
from torch2trt.dynamic import Range

X = torch.randn(2, 4)


@pytest.fixture
def linear():
    return nn.Linear(4, 4).eval()


@pytest.mark.parametrize(
    "dynamic_shapes, text",
    [
        ([0], "dynamic_shapes is list"),
        ("input", "dynamic_shapes is str"),
        ({"input": [0]}, r"input 'input' is \[0\], not a dict of sizes"),
        ({"input": None}, "input 'input' is None"),
        ({"input": "batch"}, "input 'input' is 'batch'"),
        ({"input": {"batch": (1, 2, 8)}}, "axis 'batch' is no number"),
        ({"input": {None: (1, 2, 8)}}, "axis None is no number"),
        ({"input": {0: (1.5, 2, 8)}}, "whole numbers"),
        ({"input": {0: (1, None, 8)}}, "whole numbers"),
        ({"input": {0: ("1", "2", "8")}}, "whole numbers"),
        ({"input": {0: (1, 1, 2, 8)}}, "whole numbers"),
        ({"input": {0: ("batch", 1, 2, 8.0)}}, "whole numbers"),
        ({"input": {0: Range(1, 2, 8.5)}}, "whole numbers"),
        ({"input": {0: Range(8, 2, 1)}}, "not ordered"),
        ({"input": {0: 3}}, "3 is not"),
    ],
)
def test_dynamic_shapes(linear, dynamic_shapes, text):
    with pytest.raises(errors.InputError, match=text):
        torch2trt.convert(linear, X, dynamic_shapes=dynamic_shapes)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"min": 3}, "min=3 is no shape"),
        ({"min": None}, "min=None is no shape"),
        ({"min": (1.0, 4)}, r"min=\(1.0, 4\) is no shape"),
        ({"min": (-1, 4)}, "is no shape"),
        ({"min": (1, 4), "opt": "2,4"}, "opt='2,4' is no shape"),
        ({"min": (1, 4), "max": (None, 4)}, "max="),
        ({"min": (1, 4), "dtype": "float32"}, "dtype='float32' is none of torch's"),
        ({"min": (1, 4), "dtype": None}, "dtype=None"),
        ({"min": (1, 4), "name": 3}, "name is text, not 3"),
    ],
)
def test_described_input(arguments, text):
    with pytest.raises(errors.InputError, match=text):
        torch2trt.Input(**{"name": "input", **arguments})


def test_described_input_between_its_limits(linear):
    with pytest.raises(errors.InputError, match="not ordered"):
        torch2trt.convert(linear, torch2trt.Input("input", (2, 4), (3, 4), (2, 4)))
