"""The application: every command under its name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .. import __version__
from .commands import bench, check, convert, inspect, ops, refit, run, template, triton, verify
from .framework import add_command


def _typer(**options: Any) -> typer.Typer:
    return typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,  # help set by rich takes a tenth of a second longer to appear
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **options,
    )


app = _typer(name="torch2trt")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"torch2trt {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """PyTorch modules to TensorRT: convert, check, verify, run, inspect.

    A MODEL is file.py:function or package.module:name, such as torchvision.models:resnet18. The function returns a
    module, or (module, example inputs).
    """


add_command(app, "convert", convert.convert)
add_command(app, "check", check.check)
add_command(app, "verify", verify.verify)
add_command(app, "run", run.run)
add_command(app, "inspect", inspect.inspect)
add_command(app, "bench", bench.bench)
add_command(app, "ops", ops.ops)
add_command(app, "refit", refit.refit)
add_command(app, "export-triton", triton.export_triton)

_templates = _typer(help="Write scripts for Polygraphy, filled in.")
add_command(_templates, "network", template.network)
add_command(_templates, "config", template.config)
app.add_typer(_templates, name="template")
