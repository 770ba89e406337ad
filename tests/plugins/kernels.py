"""The kernels for tests: built once and kept, for CUDA where there is a GPU and nvcc, else for the CPU alone.

``TORCH2TRT_KERNELS`` names a folder that has them already, for a machine without nvcc.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from torch2trt import plugins
from torch2trt.plugins import build as builder
from torch2trt.plugins import library

FOLDER = Path(__file__).parents[2] / "build"


@functools.cache
def built() -> builder.Built:
    """Skips the test where there is no compiler; fails where one fails."""
    ready = os.environ.get(library.ENVIRONMENT_VARIABLE)
    if ready:
        folder = Path(ready).resolve()
        with_plugins = (folder / builder.PLUGINS).is_file()
        cuda = bool(library.information(folder).get("cuda"))
        return builder.Built(folder / builder.OPERATORS, folder / builder.PLUGINS if with_plugins else None, cuda)
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
