"""``torch2trt verify``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..options import ConvertOptions, ModelArgument, ModelOptions
from ..output import Output


def verify(
    out: Output,
    model: ModelArgument,
    source: ModelOptions,
    conversion: ConvertOptions,
    rtol: Annotated[
        float | None,
        typer.Option(help="Relative to the largest magnitude of a tensor; 1e-4 in float32, 5e-3 in float16."),
    ] = None,
    atol: Annotated[float, typer.Option(help="Absolute.")] = 1e-5,
    engine: Annotated[
        bool | None, typer.Option(help="Build and run an engine too; by default where there is a GPU.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Inputs by name: .npz or .json, instead of random ones.")] = None,
    every: Annotated[bool, typer.Option("--all", help="List all nodes, and not only those that part.")] = False,
    save: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the error along the network's depth as PNG.")] = None,
) -> None:
    """Compare eager PyTorch, the network and, on a GPU, the engine, node by node; status 1 if they part."""
    from ...engine.files import require_writable
    from ...verify import require_tolerances
    from ...verify import verify as verify_module
    from ..data import read_inputs, replace_inputs

    require_tolerances(rtol, atol)
    for path in (save, plot):
        if path is not None:
            require_writable(path)
    with out.working("loading the model"):
        named = source.load(model)
        bound = source.bind(named)
        inputs = bound.inputs if data is None else replace_inputs(bound, read_inputs(data))
    with out.working("converting"):
        converted = conversion.convert(named, bound)
    with out.working("comparing"):
        report = verify_module(converted, inputs, rtol=rtol, atol=atol, engine=engine)
    text = report.to_json(save)
    if plot is not None:
        report.plot(plot)
    if every or out.verbose:
        out.rich(report.table())
    elif not report.ok:
        out.rich(report.table(only_wrong=True))
    out.line(str(report))
    out.result(json.loads(text))
    out.stop(report.ok)
