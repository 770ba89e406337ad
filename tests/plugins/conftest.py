from __future__ import annotations

import pytest

from tests.plugins import kernels


@pytest.fixture(scope="session")
def built():
    return kernels.built()


@pytest.fixture(scope="session")
def operators():
    return kernels.operators()
