from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from torch2trt.engine.bundle import Bundle, Environment
from torch2trt.engine.options import BuildOptions
from torch2trt.engine.run import Engine

from . import networks


@pytest.fixture(scope="session")
def plans() -> Callable[..., bytes]:
    """Engines' bytes by network and options; each is built once."""
    built: dict[Any, bytes] = {}

    def get(made: networks.HandMade, key: Any, **options: Any) -> bytes:
        key = (key, tuple(sorted(options.items())))
        if key not in built:
            built[key] = made.serialize(**options)
        return built[key]

    return get


@pytest.fixture
def engine_of(plans: Callable[..., bytes]) -> Iterator[Callable[..., Engine]]:
    """Makes engines of hand-made networks; closes them after the test."""
    opened: list[Engine] = []

    def make(made: networks.HandMade, key: Any, *, build: dict[str, Any] | None = None, **options: Any) -> Engine:
        build = build or {}
        known = {name: options.pop(name) for name in ("signature", "weights", "state_shapes") if name in options}
        weights = known.pop("weights", None)
        bundle = Bundle(
            plans(made, key, **build), options=BuildOptions(**build), environment=Environment.here(), **known
        )
        opened.append(Engine(bundle, weights=weights, **options))
        return opened[-1]

    yield make
    torch.cuda.synchronize()
    for engine in opened:
        engine.close()


@pytest.fixture
def mlp(engine_of: Callable[..., Engine]) -> Callable[..., Engine]:
    """Engines of the small network of two layers, by their options."""
    return lambda **options: engine_of(networks.mlp(), "mlp", **options)
