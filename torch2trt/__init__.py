"""torch2trt: PyTorch modules to TensorRT networks, by walking their trace.

Nothing is imported before it is used: the command line and the Polygraphy extension answer ``-h`` without torch.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import core as core
    from . import errors as errors
    from .binding import Call
    from .compilation import compile_module as compile
    from .context import current_network, has_trt_tensor, torch_network, trt_network
    from .convert import Converted, build_engine, check, convert
    from .core import debug_call_graph, register_node_handler, torch2trt
    from .dynamic import Input
    from .engine.run import Engine
    from .pieces import explain
    from .verify import verify

__version__ = "0.1.0"

__all__ = [
    "Call",
    "Converted",
    "Engine",
    "Input",
    "build_engine",
    "check",
    "compile",
    "convert",
    "core",
    "current_network",
    "debug_call_graph",
    "errors",
    "explain",
    "has_trt_tensor",
    "register_node_handler",
    "torch2trt",
    "torch_network",
    "trt_network",
    "verify",
]

# Public name → where it is: ``module`` or ``module:name there``. ``core`` registers torch2trt's own handlers first.
_HOMES = {
    "Call": "binding",
    "Converted": "convert",
    "Engine": "engine.run",
    "Input": "dynamic",
    "build_engine": "convert",
    "check": "convert",
    "compile": "compilation:compile_module",
    "convert": "convert",
    "current_network": "context",
    "debug_call_graph": "core",
    "explain": "pieces",
    "has_trt_tensor": "context",
    "register_node_handler": "core",
    "torch2trt": "core",
    "torch_network": "context",
    "trt_network": "context",
    "verify": "verify",
}


class _Package(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        # Python sets each submodule on its package; `convert` and `verify` must stay the functions of these names.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name == "trt":  # TensorRT itself
        return importlib.import_module(f"{__name__}.trt_compat").load()
    if name in _HOMES:
        home, _, inner = _HOMES[name].partition(":")
        value = getattr(importlib.import_module(f"{__name__}.{home}"), inner or name)
        globals()[name] = value
        return value
    if not name.startswith("__") and importlib.util.find_spec(f"{__name__}.{name}") is not None:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
