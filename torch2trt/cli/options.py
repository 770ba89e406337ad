"""Options that several commands share."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..errors import InputError
from .framework import OptionGroup

if TYPE_CHECKING:
    from ..convert import Converted
    from ..inputspec import BoundInputs
    from ..modelspec import NamedModel
    from ..passes.functionalize import MutatedInputs

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="file.py:function or package.module:name.", show_default=False)
]

MutatedInputsOption = Annotated[
    str, typer.Option(help="When the model writes to an input: error, output (add one) or ignore.")
]
MUTATED_INPUTS = ("error", "output", "ignore")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


@dataclass
class ModelOptions(OptionGroup):
    """Which model, and what it is called with."""

    input: Annotated[
        list[str],
        typer.Option(
            "--input",
            "-i",
            metavar="NAME:[SIZES]:DTYPE",
            help="An input, such as image:[1,3,224,224]:float16; sizes that may change are min:opt:max.",
        ),
    ] = field(default_factory=list)
    weights: Annotated[str | None, typer.Option(help="Weights to load: .safetensors, or .pt without code.")] = None
    arg: Annotated[
        list[str], typer.Option(metavar="NAME=VALUE", help="An argument of the function that makes the model.")
    ] = field(default_factory=list)
    seed: Annotated[int, typer.Option(help="Of random weights and inputs.")] = 0

    def load(self, spec: str) -> NamedModel:
        """The model.

        Raises:
            InputError: it cannot be found or made.
        """
        from ..modelspec import load_model

        return load_model(spec, seed=self.seed, weights=self.weights, arguments=parse_arguments(self.arg))

    def bind(self, model: NamedModel) -> BoundInputs:
        """Its example inputs.

        Raises:
            InputError: a description does not fit.
        """
        from ..inputspec import bind, parse_input

        return bind(model, [parse_input(text) for text in self.input], seed=self.seed)


def parse_arguments(texts: list[str]) -> dict[str, Any]:
    """``NAME=VALUE`` pairs; a value is JSON where it can be read so, else text.

    Raises:
        InputError: one has no name.
    """
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.isidentifier():
            raise InputError(f"the argument {text!r} is not NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


@dataclass
class ConvertOptions(OptionGroup):
    """How a model becomes a network."""

    precision: Annotated[str, typer.Option(help="float32, float16 or bfloat16.")] = "float32"
    keep_float32: Annotated[str | None, typer.Option(metavar="REGEX", help="Module scopes that stay float32.")] = None
    param_exclude: Annotated[str | None, typer.Option(metavar="REGEX", help="Parameters not to use.")] = None
    output_name: Annotated[list[str], typer.Option(metavar="NAME", help="Names of the outputs, in order.")] = field(
        default_factory=list
    )
    float64_as_float32: Annotated[bool, typer.Option("--float64-as-float32", help="Convert instead of refusing.")] = (
        False
    )
    allow_random: Annotated[bool, typer.Option("--allow-random", help="Draw TensorRT's random numbers.")] = False
    allow_other_signs: Annotated[
        bool, typer.Option("--allow-other-signs", help="Convert singular and eigenvectors, whatever their signs.")
    ] = False
    optimize: Annotated[bool, typer.Option(help="Rewrite the graph where TensorRT has a better layer.")] = True
    mutated_inputs: MutatedInputsOption = "error"

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of :func:`torch2trt.convert`.

        Raises:
            InputError: a choice does not exist.
        """
        return {
            "precision": self.precision,
            "keep_float32": self.keep_float32,
            "param_exclude": self.param_exclude,
            "output_names": self.output_name or None,
            "allow_float64_as_float32": self.float64_as_float32,
            "allow_random": self.allow_random,
            "allow_other_signs": self.allow_other_signs,
            "optimize": self.optimize,
            "mutated_inputs": parse_mutated_inputs(self.mutated_inputs),
        }

    def convert(self, model: NamedModel, bound: BoundInputs, *, verbose: bool = False) -> Converted:
        """Convert the model."""
        from ..convert import convert

        return convert(
            model.module,
            bound.inputs,
            input_names=bound.names,
            dynamic_shapes=bound.dynamic_shapes,
            verbose=verbose,
            **self.arguments(),
        )


def parse_mutated_inputs(text: str) -> MutatedInputs:
    """The choice that ``--mutated-inputs`` makes.

    Raises:
        InputError: it does not exist.
    """
    if text not in MUTATED_INPUTS:
        raise InputError(f"--mutated-inputs {text} is none of {', '.join(MUTATED_INPUTS)}")
    return cast("MutatedInputs", text)


@dataclass
class BuildOptionsGroup(OptionGroup):
    """How an engine is built."""

    optimization_level: Annotated[int | None, typer.Option(help="0 (fast build) to 5 (long search).")] = None
    workspace: Annotated[str | None, typer.Option(metavar="BYTES", help="Such as 512M or 4G.")] = None
    tf32: Annotated[bool, typer.Option("--tf32", help="Let float32 products round to TF32.")] = False
    refittable: Annotated[bool, typer.Option("--refittable", help="Weights can be replaced. Needs a GPU.")] = False
    strip_weights: Annotated[bool, typer.Option("--strip-weights", help="Leave them out. Needs a GPU.")] = False
    compute_capability: Annotated[
        list[str], typer.Option(metavar="X.Y", help="GPUs to build for; TensorRT for RTX only.")
    ] = field(default_factory=list)
    aux_streams: Annotated[int | None, typer.Option(help="Most auxiliary streams of one execution.")] = None
    detailed: Annotated[bool, typer.Option("--detailed", help="Keep all details for `inspect`.")] = False

    def arguments(self) -> dict[str, Any]:
        """Fields of :class:`torch2trt.engine.build.BuildOptions`.

        Raises:
            InputError: one does not fit.
        """
        from ..engine.options import BuildOptions

        values = {
            "optimization_level": self.optimization_level,
            "workspace": None if self.workspace is None else parse_bytes(self.workspace),
            "tf32": self.tf32,
            "refit": self.refittable or self.strip_weights,
            "strip_weights": self.strip_weights,
            "compute_capability": tuple(self.compute_capability) or None,
            "aux_streams": self.aux_streams,
            "profiling_verbosity": "detailed" if self.detailed else "layer_names_only",
        }
        chosen: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
        BuildOptions(**chosen)
        return chosen


@dataclass
class CachedBuildOptions(BuildOptionsGroup):
    """How an engine is built, and where it may be found instead."""

    engine_cache: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Take the engine from there if it was built before, else keep it there."),
    ] = None
    profile: Annotated[
        list[str],
        typer.Option(
            metavar="NAME:[SIZES]",
            help="An optimisation profile, such as image:[1:1:8,3,224,224]; ';' between inputs, once for each profile.",
        ),
    ] = field(default_factory=list)

    def arguments(self) -> dict[str, Any]:
        """Fields of :class:`torch2trt.engine.build.BuildOptions`, ``engine_cache`` and ``profiles``.

        Raises:
            InputError: one does not fit.
            EngineError: the cache cannot be written.
        """
        from ..engine.cached import open_engine_cache

        profiles = [parse_profile(text) for text in self.profile] or None
        options = super().arguments()
        return {**options, "engine_cache": open_engine_cache(self.engine_cache), "profiles": profiles}


def parse_profile(text: str) -> dict[str, dict[int, Any]]:
    """The ranges of a profile, written as inputs are.

    Raises:
        InputError: it cannot be read, or an input has no name.
    """
    from ..inputspec import parse_input

    specs = [parse_input(part) for part in text.split(";")]
    if not all(spec.name for spec in specs):
        raise InputError(f"the profile {text!r} names no input", hint="write name:[1:4:16,3,224,224]")
    return {
        spec.name: {axis: (size, size, size) if isinstance(size, int) else size for axis, size in enumerate(spec.sizes)}
        for spec in specs
    }


def parse_bytes(text: str) -> int:
    """A number of bytes with or without K, M or G.

    Raises:
        InputError: it is none.
    """
    match = re.fullmatch(r"(\d+)([KMG]?)(?:i?B)?", text.strip(), flags=re.IGNORECASE)
    if match is None:
        raise InputError(f"{text!r} is no number of bytes", hint="such as 512M or 4G")
    return int(match[1]) * _UNITS[match[2].upper()]
