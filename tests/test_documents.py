"""What the README says runs; the samples print what they prove."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n([\s\S]*?)```(?:\n\nIt prints\n\n((?:    .*\n)+))?", README)


def run(arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, env=environment, check=False, timeout=600
    )


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_readme_block(index, tmp_path):
    code, printed = BLOCKS[index]
    result = run(["-W", "error::UserWarning", "-c", code], tmp_path)
    assert result.returncode == 0, result.stderr
    # Errors of rounding differ from machine to machine; everything else that the README promises is there.
    for line in printed.splitlines():
        pattern = re.sub(r"\\?\d(\\\.\d)?e\\-\d+", r"[0-9.e-]+", re.escape(line.strip()))
        assert re.search(pattern, result.stdout), f"{line!r} not in {result.stdout!r}"


def test_readme_has_the_blocks():
    assert len(BLOCKS) >= 4


def test_readme_names_every_module():
    table = README.split("\n## Where things are\n")[1].split("\n## ")[0]
    places = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
    named = {name.removeprefix("torch2trt/") for place in places for name in re.findall(r"`(.+?)`", place)}
    package = ROOT / "torch2trt"
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert (modules | folders) - named == set(), "not in the README's table"
    assert [name for name in named if not (package / name).exists() and not (ROOT / name).exists()] == []


def test_inception_sample(tmp_path):
    script = ROOT / "samples" / "inception" / "convert.py"
    copy = tmp_path / "convert.py"
    copy.write_text(script.read_text())
    result = run([str(copy)], tmp_path)
    assert result.returncode == 0, result.stderr
    assert "the network computes what PyTorch computes" in result.stdout
    assert (tmp_path / "inception_v3.engine").stat().st_size > 1e7
    pytorch, network = re.findall(r"^(?:PyTorch|network)    (.*)$", result.stdout, flags=re.MULTILINE)
    assert re.sub(r"[\d.]+", "", pytorch) == re.sub(r"[\d.]+", "", network)


def test_debug_mode_sample(tmp_path):
    result = run([str(ROOT / "samples" / "inception" / "debug_mode.py")], tmp_path)
    assert result.returncode == 0, result.stderr
    assert "sample::shifted_relu (1 node)" in result.stdout and "max error" in result.stdout


@pytest.mark.parametrize(
    ("sample", "promise"),
    [
        ("two_modules", r"max error against PyTorch: [\d.]+e-0[6-9]|max error against PyTorch: 0.0e\+00"),
        ("fallback", r"7 nodes, 2 engines, 1 pieces in PyTorch[\s\S]*max error"),
        (
            "custom_plugin",
            r"debug mode: max error 0\.0e\+00[\s\S]*max error (?:[\d.]+e-0[6-9]|0\.0e\+00)\n$",
        ),
        ("dynamic_batch", r"is followed: \[9, 192\] for a batch of 9\na size that was baked in is refused"),
        pytest.param("mnist_refit", r"before: +\d+/\d+ correct\nafter: +\d+/\d+ correct", marks=pytest.mark.slow),
    ],
)
def test_sample(sample, promise, tmp_path):
    result = run([str(ROOT / "samples" / sample / "run.py")], tmp_path)
    assert result.returncode == 0, result.stderr
    assert re.search(promise, result.stdout), result.stdout


def test_nothing_names_this_machine():
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=False).stdout.split()
    if not files:
        pytest.skip("no git checkout")
    wrong = [
        name
        for name in files
        if (ROOT / name).suffix in (".py", ".md", ".txt", ".toml", "") and (ROOT / name).is_file()
        if re.search(r"(^|[^A-Za-z.\w])/(work|root|home)/\w", (ROOT / name).read_text(errors="ignore"))
    ]
    assert wrong == []
