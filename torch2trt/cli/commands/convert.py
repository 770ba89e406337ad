"""``torch2trt convert``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..options import CachedBuildOptions, ConvertOptions, ModelArgument, ModelOptions
from ..output import Output
from ..target import BUNDLE_SUFFIX, PLAIN_SUFFIXES, require_engine_path


def convert(
    out: Output,
    model: ModelArgument,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help=f"The engine: {BUNDLE_SUFFIX} for torch2trt's own file, {', '.join(PLAIN_SUFFIXES)} for a plain one.",
        ),
    ],
    source: ModelOptions,
    conversion: ConvertOptions,
    build: CachedBuildOptions,
) -> None:
    """Convert a model and build its engine; needs no GPU."""
    require_engine_path(output)
    options = build.arguments()
    start = time.perf_counter()
    with out.working("loading the model"):
        named = source.load(model)
        bound = source.bind(named)
    with out.working("converting"):
        converted = conversion.convert(named, bound, verbose=out.verbose)
    convert_seconds = time.perf_counter() - start
    out.note(f"converted  {converted.network.num_layers} layers in {convert_seconds:.1f} s")
    start = time.perf_counter()
    if output.suffix == BUNDLE_SUFFIX:
        converted.bundle(progress=out.interactive, **options).write(output)
    else:
        converted.serialize(output, progress=out.interactive, **options)
    seconds = time.perf_counter() - start
    signature = converted.signature()
    size = output.stat().st_size
    for what, specs in (("input", signature.inputs), ("output", signature.outputs)):
        for spec in specs:
            out.note(f"{what:<10} {spec}")
    out.line(f"built      {output}, {size / 1e6:.1f} MB, in {seconds:.1f} s")
    out.result(
        {
            "ok": True,
            "path": output,
            "bytes": size,
            "layers": converted.network.num_layers,
            "inputs": [spec.to_json() for spec in signature.inputs],
            "outputs": [spec.to_json() for spec in signature.outputs],
            "profile": converted.profile(),
            "seconds": {"convert": convert_seconds, "build": seconds},
        }
    )
