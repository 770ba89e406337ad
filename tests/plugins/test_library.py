"""Building, finding and loading the libraries, and what is said where one is missing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from torch2trt import plugins
from torch2trt.errors import InputError
from torch2trt.plugins import build as builder
from torch2trt.plugins import library

ROOT = Path(__file__).parents[2]


def python(code, **environment):
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
        timeout=300,
    )
    return result.stdout + result.stderr


def test_versions_agree():
    declared = (ROOT / "csrc/kernels/common/api.h").read_text()
    assert re.search(r"kAbi = (\d+);", declared).group(1) == str(library.ABI)


def test_every_op_is_everywhere():
    for folder, suffix in (("torch_ops", ".cpp"), ("trt_plugins", ".cpp"), ("kernels", "")):
        found = {path.stem for path in (ROOT / "csrc" / folder).iterdir()}
        assert set(builder.OPS) <= found, (folder, suffix)


def test_available(operators):
    found = plugins.available()
    assert found and found.operators
    assert found.cuda == torch.cuda.is_available()
    assert found.tensorrt or found.reasons


def test_nothing_is_loaded_at_import():
    assert python("import torch2trt, torch; torch2trt.core; print(hasattr(torch.ops.torch2trt, 'roi_align'))") == (
        "False\n"
    )


def test_not_built(tmp_path):
    said = python("from torch2trt import plugins; print(plugins.available())", TORCH2TRT_KERNELS=str(tmp_path))
    assert "operators=False" in said and "the kernels are not built" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [({"abi": 99}, "is of version 99, torch2trt needs 1"), ({"torch": "1.9.0"}, "was built for torch 1.9.0")],
)
def test_library_of_another_version(built, change, message, tmp_path):
    (tmp_path / builder.OPERATORS).symlink_to(built.operators)
    (tmp_path / builder.INFORMATION).write_text(json.dumps(library.information(built.operators.parent) | change))
    said = python("from torch2trt import plugins; plugins.load()", TORCH2TRT_KERNELS=str(tmp_path))
    assert message in said and "InputError" in said


def test_a_file_that_is_no_library(built, tmp_path):
    (tmp_path / builder.OPERATORS).write_bytes(b"not a library")
    (tmp_path / builder.INFORMATION).write_text(json.dumps(library.information(built.operators.parent)))
    said = python("from torch2trt import plugins; plugins.load()", TORCH2TRT_KERNELS=str(tmp_path))
    assert "cannot be loaded" in said and "InputError" in said


def test_operators_of_two_folders(operators, tmp_path):
    with pytest.raises(InputError, match="cannot be loaded too"):
        plugins.load(tmp_path)


def test_plugin_library_that_is_missing(tmp_path):
    assert "does not exist" in library.load_plugins(tmp_path / "none.so")


def test_architectures():
    assert builder.parse_archs("80; 9.0,100") == ("80", "90", "100")
    for wrong in ("75", "x"):
        with pytest.raises(builder.KernelBuildError, match="no architecture from 80 on"):
            builder.parse_archs(wrong)


def test_headers_that_are_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("TENSORRT_INCLUDE_DIR", str(tmp_path))
    with pytest.raises(builder.KernelBuildError, match="NvInfer.h is not in"):
        builder.find_tensorrt_headers()
    (tmp_path / "NvInfer.h").touch()
    assert builder.find_tensorrt_headers() == tmp_path


def test_a_compiler_that_fails(built, tmp_path):
    (tmp_path / "wrong.cpp").write_text("int main() { return nothing; }")
    compiler = builder.Compiler(builder.find_toolchain(False), tmp_path / "objects", tmp_path)
    with pytest.raises(builder.KernelBuildError, match="was not declared"):
        compiler.objects([tmp_path / "wrong.cpp"])


@pytest.mark.skipif(library.ENVIRONMENT_VARIABLE in os.environ, reason="the kernels were built elsewhere")
def test_nothing_is_built_twice(built):
    before = {path: path.stat().st_mtime_ns for path in built.operators.parent.rglob("*.[so]*")}
    again = builder.build(built.operators.parent, cuda=built.cuda)
    assert again == built
    assert {path: path.stat().st_mtime_ns for path in built.operators.parent.rglob("*.[so]*")} == before
