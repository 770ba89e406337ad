"""Whole models as engines on a GPU against eager PyTorch in float32: in float32, and with maths in half precision."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator
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
TOLERANCES = {"float32": 1e-2, "float16": 2e-2, "bfloat16": 1e-1}
SLACK = {"float32": 12, "float16": 3, "bfloat16": 3}
"""An engine may be off by this many times what eager is in half precision, or in TF32, where that is more: up to 11 %.
Some of TensorRT's convolutions cut numbers to TF32, which eager's round, so that every result is a little too small:
with all cut, EfficientNet-B0 would be off by 0.19, with all rounded by 0.004; its engine is by 0.023."""


def on(device: str, value: Any, dtype: torch.dtype | None = None) -> Any:
    """A nested value on a device, its floating point tensors in ``dtype`` if given."""
    leaves, nesting = structure.flatten(value)
    moved = [leaf.to(device, dtype if leaf.is_floating_point() else None) for leaf in leaves]
    return structure.unflatten(moved, nesting)


def check(model: torch.nn.Module, inputs: Any, precision: str, **options: Any) -> None:
    args, kwargs = torch2trt.binding.normalize_inputs(inputs)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python branches on sizes
        expected = model(*args, **kwargs)
        engine = torch2trt.build_engine(model, inputs, precision=precision, auto_device=True, **options)
        with engine:
            given, named = on("cuda", (args, kwargs))
            found = on("cpu", engine(*given, **named))
            torch.cuda._sleep(40_000_000)  # after which no kernel waits for the host: each follows the one before
            at_once = [engine(*given, **named) for _ in range(10)]
            error = transformer_models.relative_error(found, expected)
            assert all(transformer_models.relative_error(on("cpu", again), found) <= 1e-3 for again in at_once)
    print(f"relative error {error:.1e}")
    if error > TOLERANCES[precision]:
        assert error <= SLACK[precision] * error_of_eager(model, precision, args, kwargs, expected)


def error_of_eager(model: torch.nn.Module, precision: str, args: Any, kwargs: Any, expected: Any) -> float:
    """What eager PyTorch loses on the GPU, when the model itself is in half precision, or multiplies in TF32."""
    dtype = getattr(torch, precision)
    moved = copy.deepcopy(model).cuda().to(dtype)
    given, named = on("cuda", (args, kwargs), dtype)
    with torch.no_grad(), tf32():
        return transformer_models.relative_error(on("cpu", moved(*given, **named), torch.float32), expected)


@contextlib.contextmanager
def tf32() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


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
