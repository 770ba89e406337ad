"""``torch2trt inspect``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InputError
from ..options import ConvertOptions, ModelOptions
from ..output import Output
from ..target import is_bundle, is_engine_file, load_engine

if TYPE_CHECKING:
    from ..view import LayerView, NetworkView

PARTS = ("layers", "attrs", "weights")


def inspect(
    out: Output,
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|ENGINE", help="A model, a script's function that returns a network, or an engine."
        ),
    ],
    source: ModelOptions,
    conversion: ConvertOptions,
    show: Annotated[list[str], typer.Option(help=f"{', '.join(PARTS)}; once for each.")] = [],  # noqa: B006
    graph: Annotated[Path | None, typer.Option(help="Draw the network: .svg or .html.")] = None,
) -> None:
    """Show what is in a network or an engine.

    Of a torch2trt engine file, what it holds is shown without a GPU; its layers need one, as those of a plain engine.
    """
    unknown = sorted(set(show) - set(PARTS))
    if unknown:
        raise InputError(f"--show {' '.join(unknown)} is none of {', '.join(PARTS)}")
    if is_engine_file(target):
        if graph is not None:
            raise InputError("a picture is drawn of networks, not of engines", hint="name the model instead")
        _inspect_engine(out, Path(target), show)
    else:
        _inspect_network(out, target, source, conversion, show, graph)


def _inspect_network(
    out: Output, target: str, source: ModelOptions, conversion: ConvertOptions, show: list[str], graph: Path | None
) -> None:
    from ...engine.files import require_writable, write_file_atomically
    from ..drawing import to_html, to_svg

    if graph is not None and graph.suffix not in (".svg", ".html"):
        raise InputError(f"cannot draw to {graph}", hint="give a .svg or .html file")
    if graph is not None:
        require_writable(graph)
    view = _view(target, source, conversion)
    out.line(f"{len(view.layers)} layers, {len(view.inputs)} inputs, {len(view.outputs)} outputs")
    for what, tensors in (("input", view.inputs), ("output", view.outputs)):
        for tensor in tensors:
            out.line(f"{what:<8} {tensor.name}: {tensor}")
    if show:
        out.table("layers", _columns(show), [_row(layer, show) for layer in view.layers])
    else:
        kinds: dict[str, int] = {}
        for layer in view.layers:
            kinds[layer.kind] = kinds.get(layer.kind, 0) + 1
        out.table("layers", ("type", "layers"), sorted(kinds.items(), key=lambda item: -item[1]))
    if graph is not None:
        content = to_svg(view) if graph.suffix == ".svg" else to_html(view)
        write_file_atomically(graph, content.encode())
        out.note(f"drawn    {graph}")
    out.result({"ok": True, **dataclasses.asdict(view)})


def _columns(show: list[str]) -> tuple[str, ...]:
    return ("", "name", "type", "inputs", "outputs", *(part for part in ("attrs", "weights") if part in show))


def _row(layer: LayerView, show: list[str]) -> tuple[Any, ...]:
    row: list[Any] = [layer.index, layer.name, layer.kind]
    row += ["\n".join(map(str, tensors)) for tensors in (layer.inputs, layer.outputs)]
    if "attrs" in show:
        row.append("\n".join(f"{name}: {value}" for name, value in layer.attributes.items()))
    if "weights" in show:
        row.append(
            "\n".join(
                f"{role}: {array['dtype']} x {array['size']} {array.get('key', '')}".rstrip()
                for role, array in layer.weights.items()
            )
        )
    return tuple(row)


def _view(target: str, source: ModelOptions, conversion: ConvertOptions) -> NetworkView:
    """The network that a model becomes, or that a script's function returns."""
    from ...modelspec import as_model, call_named, is_network, load_weights
    from ..options import parse_arguments
    from ..view import view_network

    value = call_named(target, seed=source.seed, arguments=parse_arguments(source.arg))
    if is_network(value):
        return view_network(value[1])
    model = as_model(target, value)
    if source.weights is not None:
        load_weights(model.module, source.weights)
    converted = conversion.convert(model, source.bind(model))
    names = {place: name for name, places in converted.weights.places.items() for place in places}
    return view_network(converted.network, names)


def _inspect_engine(out: Output, path: Path, show: list[str]) -> None:
    import torch

    found: dict[str, Any] = {}
    if is_bundle(path):
        found = _bundle_contents(path)
        for key, value in found.items():
            for line in _lines(key, value):
                out.line(line)
    if show or not found or torch.cuda.is_available():
        engine = load_engine(path)
        found["profiles"] = engine.profiles
        layers = engine.layers()
        rows = [
            (layer.index, layer.name, layer.type, layer.scope or "(root)", "\n".join(layer.outputs)) for layer in layers
        ]
        out.line(str(engine))
        for index, profile in enumerate(engine.profiles):
            for name, (low, best, high) in profile.items():
                out.line(f"profile {index}: {name} {list(low)} {list(best)} {list(high)}")
        out.table("layers", ("", "name", "type", "module", "outputs"), rows)
        found["layers"] = [{**vars(layer), "scope": layer.scope} for layer in layers]
    out.result({"ok": True, "path": path, **found})


def _bundle_contents(path: Path) -> dict[str, Any]:
    from ...engine.bundle import Bundle

    bundle = Bundle.read(path)
    signature = bundle.signature
    return {
        "bytes": {"engine": len(bundle.plan), "compiled kernels": len(bundle.runtime_cache)},
        "built": None if bundle.environment is None else vars(bundle.environment),
        "options": None if bundle.options is None else bundle.options.to_json(),
        "inputs": [] if signature is None else [str(spec) for spec in signature.inputs],
        "outputs": [] if signature is None else [str(spec) for spec in signature.outputs],
        "arguments": [] if signature is None else list(signature.argument_names),
        "weights": {name: key for name, (key, _, _) in bundle.weights.direct.items()}
        | {name: ", ".join(keys) for name, keys in bundle.weights.computed.items()},
    }


def _lines(key: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{key:<10} {name}: {item}" for name, item in value.items() if item not in (None, "", 0, False)]
    return [f"{key:<10} {item}" for item in value or ()]
