"""Markers: gpu tests are skipped, and counted, without a GPU; slow ones without --slow. What a stopped GPU means."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_configure(config: pytest.Config) -> None:
    """What tests leave in the platform's folder for caches is theirs alone, and goes with them."""
    if "TORCH2TRT_CACHE_DIR" not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="torch2trt-tests-")
        os.environ["TORCH2TRT_CACHE_DIR"] = folder.name  # of this process's workers too
        config.add_cleanup(folder.cleanup)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    skip_gpu = pytest.mark.skip(reason="needs an NVIDIA GPU")
    skip_slow = pytest.mark.skip(reason="slow; run with --slow")
    for item in items:
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(skip_gpu)
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(skip_slow)


_stopped_by: list[str] = []
"""The test after which this process can use its GPU no more, such as one that failed an assertion on the device."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    if _stopped_by:
        pytest.skip(f"not run: {_stopped_by[0]} stopped the GPU of this process")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    message = "this test stopped the GPU: nothing else can run in this process"
    try:
        yield
    except pytest.skip.Exception:  # over an error of the module's that was more than that
        if _stops_gpu(item):
            pytest.fail(message, pytrace=False)
        raise
    except BaseException:
        _stops_gpu(item)
        raise
    if _stops_gpu(item):
        pytest.fail(message, pytrace=False)


def _stops_gpu(item: pytest.Item) -> bool:
    if "gpu" not in item.keywords:
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        _stopped_by.append(item.nodeid)
    return bool(_stopped_by)


# Eager PyTorch on a GPU is what engines are held against: in full float32.
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
