"""``torch2trt refit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..output import Output
from ..target import require_engine_path


def refit(
    out: Output,
    engine: Annotated[Path, typer.Argument(help="A torch2trt engine file, built with --refittable.")],
    weights: Annotated[Path, typer.Argument(help="New weights: .safetensors, or .pt without code.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the engine.")],
    partial: Annotated[bool, typer.Option("--partial", help="Keep the weights that the file lacks.")] = False,
) -> None:
    """Replace an engine's weights without building it again; needs a GPU."""
    from ...engine.run import Engine
    from ...modelspec import read_weights

    require_engine_path(output)
    state = read_weights(weights)
    with out.working("loading the engine"):
        loaded = Engine.load(engine)
    with out.working("refitting"):
        loaded.refit(state, partial=partial)
        loaded.save(output)
    out.line(f"refitted   {output}, {output.stat().st_size / 1e6:.1f} MB, with {len(state)} entries of {weights}")
    out.result({"ok": True, "path": output, "bytes": output.stat().st_size, "entries": len(state)})
