"""``torch2trt ops``."""

from __future__ import annotations

import fnmatch
from typing import Annotated

import typer

from ..output import Output


def ops(
    out: Output,
    pattern: Annotated[str, typer.Argument(help="Only ops that match, such as 'aten::conv*'.")] = "*",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/ops.md.")] = False,
) -> None:
    """List the ops that convert, their dtypes, whether with dynamic sizes; and those that are refused, and why."""
    from ... import optable

    rows = [
        row
        for row in optable.rows()
        if fnmatch.fnmatch(row.name, pattern) or fnmatch.fnmatch(row.name.partition("::")[2], pattern)
    ]
    if markdown:
        out.line(optable.markdown(rows).rstrip("\n"))
    else:
        table = [(row.name, row.status, " ".join(row.dtypes), row.note) for row in rows]
        out.table("ops", ("op", "sizes", "dtypes", "notes"), table)
        refused = sum(row.refused for row in rows)
        out.note(f"{len(rows) - refused} ops have a handler, {refused} are refused on purpose")
    out.result({"ok": True, "ops": [vars(row) for row in rows]})
