"""Whole models as engines on a GPU against eager PyTorch in float32, in float32 and with their maths in float16."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch

import torch2trt
from tests import transformer_models, vision_models
from tests.test_torchvision import FAMILIES
from torch2trt import structure

pytestmark = pytest.mark.gpu

VISION = tuple(name for name in FAMILIES if vision_models.kind_of(name) in ("classification", "segmentation", "video"))
LANGUAGE = ("bert", "gpt2", "llama", "t5", "deberta-v2", "mixtral", "whisper-encoder", "wav2vec2", "swin", "clip")

# Relative to the greatest value of an output. TensorRT for RTX 1.4 multiplies float32 in TF32, which has the mantissa
# of float16; the models are deep, and their weights random.
TOLERANCES = {"float32": 1e-2, "float16": 2e-2}
SLACK = 3
"""An engine in float16 may be off by this many times what eager is in float16, where that is more: up to 9 %."""


def on_cpu(value: Any) -> Any:
    leaves, nesting = structure.flatten(value)
    return structure.unflatten([leaf.cpu() for leaf in leaves], nesting)


def check(model: torch.nn.Module, inputs: Any, precision: str, **options: Any) -> None:
    args, kwargs = torch2trt.tracing.normalize_inputs(inputs)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python branches on sizes
        expected = model(*args, **kwargs)
        engine = torch2trt.build_engine(model, inputs, precision=precision, auto_device=True, **options)
        with engine:
            error = transformer_models.relative_error(on_cpu(engine(*args, **kwargs)), expected)
    print(f"relative error {error:.1e}")
    if precision == "float16" and error > TOLERANCES[precision]:
        assert error <= SLACK * error_in_half(model, args, kwargs, expected)
    else:
        assert error <= TOLERANCES[precision]


def error_in_half(model: torch.nn.Module, args: Any, kwargs: Any, expected: Any) -> float:
    """What eager PyTorch loses when the model itself is in float16."""
    half = copy.deepcopy(model).cuda().half()
    leaves, nesting = structure.flatten((args, kwargs))
    moved = [leaf.cuda().half() if leaf.is_floating_point() else leaf.cuda() for leaf in leaves]
    with torch.no_grad():
        args, kwargs = structure.unflatten(moved, nesting)
        found, nesting = structure.flatten(half(*args, **kwargs))
    return transformer_models.relative_error(
        structure.unflatten([leaf.float().cpu() for leaf in found], nesting), expected
    )


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("name", VISION)
def test_vision(name: str, precision: str) -> None:
    model, inputs = vision_models.load(name)
    check(model, inputs, precision)


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("name", LANGUAGE)
def test_transformers(name: str, precision: str) -> None:
    pytest.importorskip("transformers")
    row = transformer_models.ROWS[name]
    inputs = {**row.make(*row.sizes), **row.call}
    shapes = transformer_models.dynamic_shapes(row)
    check(transformer_models.load(row), inputs, precision, dynamic_shapes=shapes)
