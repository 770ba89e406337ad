from __future__ import annotations

import os
import subprocess

import pytest

from tests.plugins import kernels
from torch2trt.plugins import build as builder
from torch2trt.plugins.library import ENVIRONMENT_VARIABLE


@pytest.fixture(scope="session")
def built():
    return kernels.built()


@pytest.fixture(scope="session")
def operators():
    return kernels.operators()


@pytest.fixture(scope="session")
def library(built):
    if built.plugins is None:
        pytest.skip("; ".join(note for note in built.notes if "plugins" in note) or "no TensorRT plugins were built")
    return built.plugins


@pytest.fixture(scope="session")
def harness(built, library):
    """The compiled harness, for CUDA if the kernels are; beside kernels that were built elsewhere it must lie ready."""
    source = kernels.FOLDER.parent / "tests/plugins/harness.cpp"
    target = library.parent / "harness"
    if ENVIRONMENT_VARIABLE in os.environ:
        if not target.exists():
            pytest.skip(f"the harness is not built: {target} does not exist")
        return target
    flags = ["-std=c++17", "-O1", f"-I{builder.find_tensorrt_headers()}", f"-I{builder.cuda_include()}"]
    tools = builder.find_toolchain(built.cuda)
    command = [tools.nvcc, "-x", "cu", "-DT2T_CUDA"] if tools.nvcc else [tools.cxx, "-Wall", "-Wextra"]
    with builder.locked(target.with_suffix(".lock")):  # other processes of a run want it too
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            subprocess.run([*command, *flags, str(source), "-o", str(target), "-ldl"], check=True)
    return target
