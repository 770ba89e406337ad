"""Argument groups of ``polygraphy run``."""

from .model import Torch2TRTArgs
from .runner import Torch2TRTDebugArgs, Torch2TRTEagerArgs, Torch2TRTReferenceArgs, Torch2TRTRunnerArgs

__all__ = [
    "Torch2TRTArgs",
    "Torch2TRTDebugArgs",
    "Torch2TRTEagerArgs",
    "Torch2TRTReferenceArgs",
    "Torch2TRTRunnerArgs",
]
