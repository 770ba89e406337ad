"""What the entry point group ``polygraphy.run.plugins`` is given."""

from __future__ import annotations

from polygraphy.tools.args.base import BaseArgs

from .args import (
    Torch2TRTArgs,
    Torch2TRTDebugArgs,
    Torch2TRTEagerArgs,
    Torch2TRTReferenceArgs,
    Torch2TRTRunnerArgs,
)


def export_argument_groups() -> list[BaseArgs]:
    """The argument groups that ``polygraphy run`` gains."""
    return [
        Torch2TRTArgs(),
        Torch2TRTRunnerArgs(),
        Torch2TRTEagerArgs(),
        Torch2TRTDebugArgs(),
        Torch2TRTReferenceArgs(),
    ]
