"""Kernels for ops that TensorRT lacks, or spells in slow layers: torch operators, TensorRT plugins, handlers.

``torch.ops.torch2trt.*`` exist once :func:`load` has been called; ``available`` tells what there is and why not more.
:func:`register` connects any torch operator to any TensorRT plugin.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .custom import register
    from .library import Availability, available, load

__all__ = ["Availability", "available", "load", "register"]

# Imported at the first use: `python -m torch2trt.plugins.build` needs none of it.
_HOMES = {"Availability": "library", "available": "library", "load": "library", "register": "custom"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
