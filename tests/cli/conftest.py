"""A folder with the models in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path):
    shutil.copy(Path(__file__).parent / "models.py", tmp_path / "models.py")
    return tmp_path
