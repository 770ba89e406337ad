"""Which layers hold a network's named weights: TensorRT takes names and does not tell them again."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

Place = tuple[str, str]
"""A layer's name and a role such as ``kernel``."""

Places = Mapping[str, Sequence[Place]]
"""The places of each weight, by name."""

_places: weakref.WeakKeyDictionary[Any, Places] = weakref.WeakKeyDictionary()


def remember(network: Any, places: Places) -> None:
    """Keep ``places``, which may still grow, for as long as the network lives."""
    _places[network] = places


def recall(network: Any) -> Places:
    """What was kept for the network; empty for one that torch2trt did not build."""
    return _places.get(network, {})
