"""Loaders and runners."""

from .loader import (  # type: ignore[attr-defined]  # mod.export(funcify=True) makes the functions
    ModelFromScript,
    NetworkFromModule,
    TraceFromModule,
    model_from_script,
    network_from_module,
    trace_from_module,
)
from .runner import DebugRunner, EagerRunner, ReferenceRunner

__all__ = [
    "DebugRunner",
    "EagerRunner",
    "ModelFromScript",
    "NetworkFromModule",
    "ReferenceRunner",
    "TraceFromModule",
    "model_from_script",
    "network_from_module",
    "trace_from_module",
]
