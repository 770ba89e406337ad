"""How a command becomes part of the application: options in groups, output, and errors without a traceback."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_type_hints

import typer

from ..errors import InputError, Torch2TRTError
from .output import Output


class OptionGroup:
    """Base of dataclasses whose fields are options, shared by several commands."""


@dataclasses.dataclass
class OutputOptions(OptionGroup):
    """Options that every command has."""

    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the result only.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more.")] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False


def add_command(app: typer.Typer, name: str, function: Callable[..., None]) -> None:
    """Add ``function`` as a command.

    Args:
        app: where to.
        name: the command's name.
        function: its first parameter, ``out``, takes an :class:`Output`; parameters annotated with an
            :class:`OptionGroup` become the group's options, the others are arguments and options by themselves.
    """
    hints = get_type_hints(function, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if inspect.isclass(hint) and issubclass(hint, OptionGroup)}
    parameters: list[inspect.Parameter] = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.name in groups:
            parameters += _options_of(groups[parameter.name])
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=kind))
    parameters += _options_of(OutputOptions)

    @functools.wraps(function)
    def run(**values: Any) -> None:
        chosen = _take(OutputOptions, values)
        arguments = {name: _take(group, values) for name, group in groups.items()}
        with _session(chosen) as out:
            function(out, **arguments, **values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del run.__wrapped__
    app.command(name)(run)


def _options_of(group: type[OptionGroup]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    parameters = []
    for field in dataclasses.fields(group):  # type: ignore[arg-type]
        default = field.default if field.default is not dataclasses.MISSING else inspect.Parameter.empty
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        parameters.append(
            inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name])
        )
    return parameters


def _take(group: type[OptionGroup], values: dict[str, Any]) -> Any:
    """The group filled from ``values``, which lose its entries."""
    return group(**{field.name: values.pop(field.name) for field in dataclasses.fields(group)})  # type: ignore[arg-type]


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """One line, and one that says where."""
    return f"warning: {message}\n  at {filename}:{lineno}\n"


@contextlib.contextmanager
def _session(options: OutputOptions) -> Iterator[Output]:
    """Where a command prints to, and what becomes of its errors."""
    out = Output(sys.stdout, as_json=options.as_json, quiet=options.quiet, verbose=options.verbose)
    warnings.formatwarning = _format_warning
    if options.quiet:
        warnings.simplefilter("ignore")
    try:
        # Whatever else is printed meanwhile, by the model or by TensorRT, must not mix with JSON.
        with contextlib.redirect_stdout(sys.stderr) if options.as_json else contextlib.nullcontext():
            yield out
    except typer.Exit:
        raise
    except Torch2TRTError as error:
        if options.debug:
            raise
        out.error(error)
        raise typer.Exit(2 if isinstance(error, InputError) else 3) from None
    except Exception as error:
        if options.debug:
            raise
        text = f"{type(error).__name__}: {error}"
        out.error(Torch2TRTError(f"an unexpected error: {text}", hint="run it again with --debug, and report it"))
        raise typer.Exit(3) from None
