"""``torch2trt ops``."""

from __future__ import annotations

import fnmatch
from typing import Annotated

import typer

from ..output import Output


def ops(
    out: Output,
    pattern: Annotated[str, typer.Argument(help="Only ops that match, such as 'aten::conv*'.")] = "*",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a table in Markdown.")] = False,
) -> None:
    """List the ops that have a handler."""
    from ...registry import handlers

    rows = []
    for name, handler in handlers().items():
        if fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(name.partition("::")[2], pattern):
            place = handler.implementation.__module__
            rows.append((name, place, _first_line(handler.implementation.__doc__)))
    if markdown:
        out.line("| op | module | |\n| --- | --- | --- |")
        for row in rows:
            out.line(f"| `{row[0]}` | `{row[1]}` | {row[2]} |")
    else:
        out.table("ops with a handler", ("op", "module", ""), rows)
        out.note(f"{len(rows)} ops")
    out.result({"ok": True, "ops": [{"name": name, "module": place, "about": about} for name, place, about in rows]})


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
