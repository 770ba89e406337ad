"""``torch2trt template``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InputError
from ..options import BuildOptionsGroup, ConvertOptions, ModelArgument, ModelOptions, parse_arguments
from ..output import Output

if TYPE_CHECKING:
    from ...inputspec import InputSpec

OutputFile = Annotated[Path, typer.Option("--output", "-o", help="The script to write.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file.")]


def network(
    out: Output,
    model: ModelArgument,
    output: OutputFile,
    source: ModelOptions,
    conversion: ConvertOptions,
    force: Force = False,
) -> None:
    """Write a script whose load_network() makes the model's TensorRT network, for Polygraphy to run or convert."""
    from ...modelspec import split_spec

    _require_free(output, force)
    named = source.load(model)
    bound = source.bind(named)
    place, name = split_spec(model)
    spec = f"{place}:{name}" if name else place
    if place.endswith(".py"):
        # Relative to the script, so that both can be moved together.
        relative = os.path.relpath(place, output.resolve().parent)
        ending = f":{name}" if name else ""
        spec_code = f'f"{{Path(__file__).parent / {relative!r}}}{ending}"'
    else:
        spec_code = repr(spec)
    chosen = {key: value for key, value in conversion.arguments().items() if value != _DEFAULTS[key]}
    options = "".join(f"        {key}={value!r},\n" for key, value in chosen.items())
    loading = [f"seed={source.seed}"]
    if source.weights is not None:
        loading.append(f"weights={os.path.abspath(source.weights)!r}")
    if source.arg:
        loading.append(f"arguments={parse_arguments(source.arg)!r}")
    text = _NETWORK.format(
        model=spec,
        spec=spec_code,
        loading=", ".join(loading),
        inputs=source.input,
        options=options,
        names=", ".join(bound.names),
    )
    _write(out, output, text)


_DEFAULTS = ConvertOptions().arguments()

_NETWORK = '''"""The TensorRT network of {model}, for Polygraphy; made by `torch2trt template network`.

    polygraphy convert THIS_FILE -o model.engine
    polygraphy run THIS_FILE --model-type=trt-network-script --trt
"""

from pathlib import Path

import torch2trt
from torch2trt.inputspec import bind, parse_input
from torch2trt.modelspec import load_model

MODEL = {spec}
INPUTS = {inputs}  # name:[sizes]:dtype; empty: the model's own example inputs. Names: {names}


def load_network():
    """The builder and the network."""
    model = load_model(MODEL, {loading})
    inputs = bind(model, [parse_input(text) for text in INPUTS])
    converted = torch2trt.convert(
        model.module,
        inputs.inputs,
        input_names=inputs.names,
        dynamic_shapes=inputs.dynamic_shapes,
{options}    )
    # Change the network here: converted.network is a trt.INetworkDefinition, torch2trt.trt is TensorRT.
    return converted.builder, converted.network
'''


def config(
    out: Output,
    output: OutputFile,
    build: BuildOptionsGroup,
    input: Annotated[
        list[str],
        typer.Option("--input", "-i", metavar="NAME:[SIZES]", help="An input with ranges, such as image:[1:4:16,3]."),
    ] = [],  # noqa: B006
    force: Force = False,
) -> None:
    """Write a script whose load_config() makes a builder configuration, for Polygraphy's --trt-config-script."""
    from ...inputspec import parse_input

    _require_free(output, force)
    lines: list[str] = []
    specs = [parse_input(text) for text in input]
    if specs:
        lines.append("profile = builder.create_optimization_profile()")
        for spec in specs:
            if not spec.name:
                raise InputError("an input of a profile needs its name", hint="write name:[1:4:16,3,224,224]")
            low, best, high = _limits(spec)
            lines.append(f"profile.set_shape({spec.name!r}, min={low}, opt={best}, max={high})")
        lines.append("config.add_optimization_profile(profile)")
    options = build.arguments()
    if "optimization_level" in options:
        lines.append(f"config.builder_optimization_level = {options['optimization_level']}")
    if "workspace" in options:
        lines.append(f"config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, {options['workspace']})")
    if "aux_streams" in options:
        lines.append(f"config.max_aux_streams = {options['aux_streams']}")
    lines.append(f"config.profiling_verbosity = trt.ProfilingVerbosity.{options['profiling_verbosity'].upper()}")
    lines.append(f"config.{'set' if options['tf32'] else 'clear'}_flag(trt.BuilderFlag.TF32)")
    for flag, name in (("REFIT", "refit"), ("STRIP_PLAN", "strip_weights")):
        if options[name]:
            lines.append(f"config.set_flag(trt.BuilderFlag.{flag})")
    if "compute_capability" in options:
        raise InputError("a configuration script is for any TensorRT, and --compute-capability for one")
    _write(out, output, _CONFIG.format(lines="\n    ".join(lines)))


def _limits(spec: InputSpec) -> tuple[tuple[int, ...], ...]:
    """Smallest, optimal and largest shape."""
    return tuple(
        tuple(size if isinstance(size, int) else getattr(size, which) for size in spec.sizes)
        for which in ("min", "opt", "max")
    )


_CONFIG = '''"""How an engine is built, for Polygraphy's --trt-config-script; made by `torch2trt template config`."""

from polygraphy.mod.trt_importer import lazy_import_trt

trt = lazy_import_trt()  # TensorRT, or TensorRT for RTX where POLYGRAPHY_USE_TENSORRT_RTX=1


def load_config(builder, network):
    """The configuration for a build of the network."""
    config = builder.create_builder_config()
    {lines}
    return config
'''


def _require_free(path: Path, force: bool) -> None:
    from ...engine.files import require_writable

    if path.exists() and not force:
        raise InputError(f"{path} exists", hint="choose another name, or pass --force")
    require_writable(path)


def _write(out: Output, path: Path, text: str) -> None:
    from ...engine.files import write_file_atomically

    write_file_atomically(path, text.encode())
    out.line(f"written    {path}")
    out.result({"ok": True, "path": path})
