"""PyTorch modules in Polygraphy: loaders and runners for its Python API, and an extension of ``polygraphy run``.

The layout is that of Polygraphy's own backends: ``backend`` holds loaders and runners, ``args`` the command line's
argument groups, ``export`` what the entry point group ``polygraphy.run.plugins`` is given. torch is imported when a
loader or runner is used, not before: Polygraphy imports this package for every command.
"""

from .backend import (
    DebugRunner,
    EagerRunner,
    ModelFromScript,
    NetworkFromModule,
    ReferenceRunner,
    TraceFromModule,
    model_from_script,
    network_from_module,
    trace_from_module,
)

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
