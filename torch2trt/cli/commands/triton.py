"""``torch2trt export-triton``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InputError
from ..options import CachedBuildOptions, ConvertOptions, ModelOptions
from ..output import Output
from ..target import BUNDLE_SUFFIX, is_bundle, is_engine_file

if TYPE_CHECKING:
    from ...engine.bundle import Bundle


def export_triton(
    out: Output,
    target: Annotated[str, typer.Argument(metavar="MODEL|ENGINE", help=f"A model, or a {BUNDLE_SUFFIX} file.")],
    repository: Annotated[Path, typer.Argument(help="The folder of all models.")],
    name: Annotated[str, typer.Option(help="The model's name in the repository.")],
    source: ModelOptions,
    conversion: ConvertOptions,
    build: CachedBuildOptions,
    max_batch: Annotated[
        int | None,
        typer.Option(help="Most requests to join; by default what the model's dynamic first axis allows, else none."),
    ] = None,
    preferred_batch: Annotated[list[int], typer.Option(help="A batch size to wait for; once for each.")] = [],  # noqa: B006
    queue_delay: Annotated[int, typer.Option(metavar="MICROSECONDS", help="How long to wait for others.")] = 0,
    instances: Annotated[int, typer.Option(help="Copies of the model on each GPU.")] = 1,
    gpu: Annotated[list[int], typer.Option(help="On which GPUs; once for each. By default on all.")] = [],  # noqa: B006
    version: Annotated[int, typer.Option(help="The number of the version folder.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace this version.")] = False,
) -> None:
    """Write a model repository for NVIDIA Triton Inference Server; needs no GPU."""
    from ...engine.triton import TritonOptions, write_model_repository

    bundle, possible = _bundle(out, target, source, conversion, build)
    options = TritonOptions(
        max_batch_size=possible if max_batch is None else max_batch,
        preferred_batch_sizes=tuple(preferred_batch),
        queue_delay=queue_delay,
        instances=instances,
        gpus=tuple(gpu),
        version=version,
    )
    folder = write_model_repository(bundle, repository, name, options, force=force)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    out.line(f"written    {folder}: {', '.join(files)}")
    out.result({"ok": True, "path": folder, "files": files, "max_batch_size": options.max_batch_size})


def _bundle(
    out: Output, target: str, source: ModelOptions, conversion: ConvertOptions, build: CachedBuildOptions
) -> tuple[Bundle, int]:
    """The engine, and the largest batch that it is known to take."""
    from ...engine.bundle import Bundle
    from ...engine.triton import max_batch_of

    if is_engine_file(target):
        if not is_bundle(Path(target)):
            raise InputError(
                f"{target} is a plain engine, which does not say what it takes",
                hint=f"export the model, or a {BUNDLE_SUFFIX} file",
            )
        return Bundle.read(target), 0
    options = build.arguments()
    with out.working("loading the model"):
        named = source.load(target)
        bound = source.bind(named)
    with out.working("converting"):
        converted = conversion.convert(named, bound)
    bundle = converted.bundle(progress=out.interactive, **options)
    specs = [*converted.signature().inputs, *converted.signature().outputs]
    batched = all(spec.shape and spec.shape[0] == -1 for spec in specs)
    return bundle, max_batch_of([converted.profile()]) if batched else 0
