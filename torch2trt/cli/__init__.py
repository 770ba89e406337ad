"""The command line ``torch2trt``; it imports torch and TensorRT only when a command needs them."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command that ``sys.argv`` holds, and end the process with its status.

    0: done, and the answer is yes. 1: done, and the answer is no (``check``, ``verify``). 2: what was passed does not
    fit. 3: something failed.
    """
    try:
        from .app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print(f"error: the command line needs {error.name}\n  next: pip install typer rich", file=sys.stderr)
        return 2
    app()
    return 0
