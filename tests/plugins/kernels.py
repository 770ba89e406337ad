"""The kernels for tests: built once and kept, for CUDA where there is a GPU and nvcc, else for the CPU alone."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch

from torch2trt import plugins
from torch2trt.plugins import build as builder

FOLDER = Path(__file__).parents[2] / "build"


@functools.cache
def built() -> builder.Built:
    """Skips the test where there is no compiler; fails where one fails."""
    cuda = torch.cuda.is_available() and builder.find_nvcc() is not None
    try:
        builder.find_toolchain(cuda)
    except builder.KernelBuildError as error:
        pytest.skip(f"the kernels cannot be built: {error}")
    return builder.build(FOLDER / ("kernels-cuda" if cuda else "kernels-cpu"), cuda=cuda)


def operators() -> Any:
    """``torch.ops.torch2trt``, loaded."""
    made = built()
    assert made.operators is not None
    plugins.load(made.operators.parent)
    return torch.ops.torch2trt
