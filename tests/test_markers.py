"""What becomes of tests when one of them stops the GPU of the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).with_name("conftest.py").read_text()

BROKEN_GPU = """

stopped = []


def _synchronize():
    if stopped:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")


torch.AcceleratorError = RuntimeError
torch.cuda.is_available = lambda: True
torch.cuda.synchronize = _synchronize
"""

TESTS = """
import pytest
from conftest import stopped


@pytest.mark.gpu
def test_before(): pass

@pytest.mark.gpu
def test_stops(): stopped.append(True){after}

@pytest.mark.gpu
def test_behind(): pass

def test_on_the_cpu(): pass
"""


def _run(folder: Path, after: str) -> str:
    (folder / "conftest.py").write_text(CONFTEST + BROKEN_GPU)
    (folder / "test_some.py").write_text(TESTS.format(after=after))
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "-p", "no:xdist", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, timeout=300).stdout


def test_a_stopped_gpu_fails_the_test_that_stopped_it(tmp_path):
    printed = _run(tmp_path, "")
    assert "1 failed, 1 passed, 2 skipped" in printed
    assert "FAILED test_some.py::test_stops - Failed: this test stopped the GPU" in printed
    assert "not run: test_some.py::test_stops stopped the GPU of this process" in printed


def test_a_stopped_gpu_is_no_reason_to_skip(tmp_path):
    printed = _run(tmp_path, "; pytest.skip('eager does not run')")
    assert "1 failed, 1 passed, 2 skipped" in printed
    assert "FAILED test_some.py::test_stops - Failed: this test stopped the GPU" in printed


def test_the_failure_itself_is_reported(tmp_path):
    printed = _run(tmp_path, "; assert 1 == 2")
    assert "1 failed, 1 passed, 2 skipped" in printed
    assert "FAILED test_some.py::test_stops - assert 1 == 2" in printed
