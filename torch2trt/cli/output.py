"""Printing: text and tables for people, JSON for programs."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

import typer

from ..errors import Torch2TRTError, UnsupportedOpError


class Output:
    """What a command prints to.

    Args:
        stream: standard output.
        as_json: print one JSON object and nothing else.
        quiet: print results only.
        verbose: print details too.
    """

    def __init__(self, stream: TextIO, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.stream = stream
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose

    @property
    def interactive(self) -> bool:
        """Whether progress bars may be shown."""
        return sys.stderr.isatty() and not self.quiet and not self.as_json

    def note(self, text: str) -> None:
        """A line that is no result."""
        if not self.quiet and not self.as_json:
            print(text, file=self.stream)

    def line(self, text: str) -> None:
        """A line of the result."""
        if not self.as_json:
            print(text, file=self.stream)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table of the result; a column whose cells are all numbers is set to the right."""
        if self.as_json or not rows:
            return
        from rich.table import Table

        table = Table(title=title, title_justify="left")
        for index, column in enumerate(columns):
            numbers = all(isinstance(row[index], (int, float)) for row in rows)
            table.add_column(column, justify="right" if numbers else "left", overflow="fold")
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        self.rich(table)

    def rich(self, thing: Any) -> None:
        """Something that the ``rich`` package draws."""
        if self.as_json:
            return
        from rich.console import Console

        Console(file=self.stream, width=None if self.stream.isatty() else 160, markup=False, highlight=False).print(
            thing
        )

    def result(self, values: Mapping[str, Any]) -> None:
        """The result as JSON; printed only if it was asked for."""
        if self.as_json:
            print(json.dumps(plain(values), indent=1), file=self.stream)

    def error(self, error: Torch2TRTError) -> None:
        """An error, as text on the standard error stream or as JSON."""
        if self.as_json:
            print(json.dumps({"ok": False, "error": describe_error(error)}, indent=1), file=self.stream)
        else:
            typer.echo(f"error: {error}", err=True)

    def stop(self, ok: bool) -> None:
        """End the command: with status 1 if the answer is no."""
        if not ok:
            raise typer.Exit(1)

    @contextlib.contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something without a known length is under way."""
        if not self.interactive:
            yield
            return
        from rich.console import Console

        with Console(stderr=True).status(text):
            yield


def describe_error(error: Torch2TRTError) -> dict[str, Any]:
    """An error as JSON values."""
    found: dict[str, Any] = {"type": type(error).__name__, "message": error.message, "next": error.hint}
    if error.location is not None:
        found["where"] = vars(error.location)
    if isinstance(error, UnsupportedOpError):
        found["missing"] = [op.kind for op in error.missing]
    return found


def plain(value: Any) -> Any:
    """``value`` as JSON values; infinities and NaN as strings, what JSON has no word for as text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return str(value).removeprefix("torch.")
