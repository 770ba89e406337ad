"""Every command in the READMEs of samples/polygraphy runs, and prints what the README says."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.commands import RTX, run
from tests.polygraphy.readme import FAILS, FULL, GPU, blocks

pytest.importorskip("polygraphy")

SAMPLES = Path(__file__).parents[2] / "samples" / "polygraphy"
READMES = sorted(SAMPLES.glob("*/README.md"))


def ids(path):
    return path.parent.name


@pytest.fixture
def folder(request, tmp_path):
    """A copy of the sample's folder, so that what the commands write does not stay."""
    return shutil.copytree(request.getfixturevalue("readme").parent, tmp_path / "sample")


def check(readme, folder, *, gpu):
    for block in blocks(readme.read_text()):
        if block.mark == GPU and not gpu:
            continue
        results = [run(command, folder) for command in block.commands]
        for command, result in zip(block.commands, results, strict=True):
            should_fail = block.mark == FAILS or (block.mark == FULL and RTX)
            assert (result.status != 0) == should_fail, f"{command}\n{result.text}"
        text = "\n".join(result.text for result in results)
        for line in block.expected:
            assert line in text, f"{line!r} is not printed by {block.commands}:\n{text}"


@pytest.mark.parametrize("readme", READMES, ids=ids)
def test_without_gpu(readme, folder):
    check(readme, folder, gpu=False)


@pytest.mark.gpu
@pytest.mark.parametrize("readme", READMES, ids=ids)
def test_with_gpu(readme, folder):
    check(readme, folder, gpu=True)


def test_there_are_commands_of_each_kind():
    assert len(READMES) == 5
    found = [block for readme in READMES for block in blocks(readme.read_text())]
    assert {block.mark for block in found} == {"", GPU, FULL, FAILS}
    assert sum(len(block.commands) for block in found) > 35


@pytest.mark.parametrize("readme", READMES, ids=ids)
def test_valid_for_the_full_library(readme, folder):
    """Each `polygraphy run` gives a script that would use `tensorrt`; its options exist without RTX too."""
    count = 0
    for block in blocks(readme.read_text()):
        for command in block.commands:
            if not command.startswith("polygraphy run") or "--gen-script" in command:
                continue
            for name in re.findall(r"(?:--load-(?:inputs|outputs)) (\S+)", command):
                (folder / name).touch()  # written by earlier commands
            result = run(f"{command} --gen-script generated.py", folder, rtx=False)
            assert result.status == 0, result.text
            text = (folder / "generated.py").read_text()
            ast.parse(text)
            assert "tensorrt_rtx" not in text
            count += 1
    assert count or readme.parent.name.startswith("4")


# What TensorRT for RTX has and the full library lacks; see the comparison of both in trt_compat's documentation.
RTX_ONLY = {"ComputeCapability", "RuntimeCache", "DynamicShapesKernelSpecializationStrategy", "CudaGraphStrategy"}


@pytest.mark.parametrize("script", sorted(SAMPLES.glob("*/*.py")), ids=lambda path: "/".join(path.parts[-2:]))
def test_scripts_use_what_both_libraries_have(script):
    import torch2trt

    tree = ast.parse(script.read_text())
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "trt"
    }
    assert not used & RTX_ONLY
    assert all(hasattr(torch2trt.trt, name) for name in used)
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert not imported & {"tensorrt", "tensorrt_rtx"}
