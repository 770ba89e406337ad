"""How an engine is built: options that both ``tensorrt`` (10 or newer) and ``tensorrt_rtx`` (1.4 or newer) take."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import trt_compat
from ..arguments import whole_number
from ..errors import BuildError, InputError
from ..trt_compat import trt

ShapeRange = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""Smallest, optimal and largest shape of one input; of a shape tensor, its smallest, optimal and largest values."""

Profile = Mapping[str, ShapeRange]
"""One optimisation profile: a range for every dynamic input, by input name."""

VERBOSITIES = ("layer_names_only", "detailed", "none")
CURRENT = "current"
_CAPABILITY = re.compile(r"^(\d+)\.(\d)$")


@dataclass(frozen=True)
class BuildOptions:
    """Options of a build; None leaves TensorRT's default.

    Args:
        optimization_level: 0 (fastest build) to 5 (longest search); TensorRT's default is 3.
        workspace: bytes of GPU memory that one layer's tactic may use.
        tf32: let float32 matrix products and convolutions round their inputs to TF32 (10 bits of mantissa). Off by
            default, which is full float32 precision.
        profiling_verbosity: what the engine keeps for inspection: ``layer_names_only``, ``detailed`` or ``none``.
        refit: build an engine whose weights can be replaced. Needs a GPU.
        strip_weights: leave the refittable weights out of the engine; they have to be refitted after loading.
            Needs a GPU.
        compute_capability: the GPUs to build for, such as ``"8.9"`` or ``("8.6", "8.9")``, or ``"current"``.
            TensorRT for RTX only, save for ``"current"``. None: the GPU of this machine; without one, what the
            library chooses.
        aux_streams: most auxiliary streams that one execution may use; 0 keeps it on one stream.

    Raises:
        InputError: a value is out of range, or of another type.
    """

    optimization_level: int | None = None
    workspace: int | None = None
    tf32: bool = False
    profiling_verbosity: str = "layer_names_only"
    refit: bool = False
    strip_weights: bool = False
    compute_capability: str | tuple[str, ...] | None = None
    aux_streams: int | None = None

    def __post_init__(self) -> None:
        if self.optimization_level is not None and whole_number(self.optimization_level) not in range(6):
            raise InputError(f"optimization_level={self.optimization_level!r} is no whole number from 0 to 5")
        if self.workspace is not None and not _is_count(self.workspace):
            raise InputError(f"workspace={self.workspace!r} is no number of bytes", hint="such as 4 << 30")
        if self.aux_streams is not None and not _is_count(self.aux_streams):
            raise InputError(f"aux_streams={self.aux_streams!r} is no number of streams")
        for name in ("tf32", "refit", "strip_weights"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name}={getattr(self, name)!r} is neither True nor False")
        if self.profiling_verbosity not in VERBOSITIES:
            raise InputError(
                f"profiling_verbosity={self.profiling_verbosity!r} is unknown", hint=f"use {', '.join(VERBOSITIES)}"
            )
        if not isinstance(self.capabilities, (tuple, list)):
            raise InputError(f"compute_capability={self.compute_capability!r} is no text", hint="write it like '8.9'")
        for capability in self.capabilities:
            if not isinstance(capability, str) or (capability != CURRENT and not _CAPABILITY.match(capability)):
                raise InputError(
                    f"compute_capability {capability!r} is not understood", hint="write it like '8.9', or 'current'"
                )
        if CURRENT in self.capabilities and len(self.capabilities) > 1:
            raise InputError("compute_capability 'current' goes with no other")

    @property
    def capabilities(self) -> tuple[str, ...]:
        """``compute_capability`` as a tuple; empty for None."""
        if self.compute_capability is None:
            return ()
        return (self.compute_capability,) if isinstance(self.compute_capability, str) else self.compute_capability

    def to_json(self) -> dict[str, Any]:
        """The options as JSON values."""
        return {**dataclasses.asdict(self), "compute_capability": list(self.capabilities) or None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> BuildOptions:
        """The inverse of :meth:`to_json`; names that this version does not know are left out.

        Raises:
            InputError: a value is out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        chosen = {name: value for name, value in values.items() if name in known}
        capabilities = chosen.get("compute_capability")
        chosen["compute_capability"] = tuple(capabilities) if capabilities else None
        return cls(**chosen)


def _is_count(value: Any) -> bool:
    number = whole_number(value)
    return number is not None and number >= 0


def apply_options(config: Any, options: BuildOptions, *, gpu: bool) -> None:
    """Set ``options`` on a ``trt.IBuilderConfig``.

    Args:
        config: a fresh configuration.
        options: what to set.
        gpu: whether this machine has a GPU, which a build for the current one needs.

    Raises:
        BuildError: the installed TensorRT lacks an option.
    """
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if options.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace)
    if options.aux_streams is not None:
        config.max_aux_streams = options.aux_streams
    config.profiling_verbosity = getattr(trt.ProfilingVerbosity, options.profiling_verbosity.upper())
    flags = {"TF32": options.tf32, "REFIT": options.refit, "STRIP_PLAN": options.strip_weights}
    for name, wanted in flags.items():
        flag = getattr(trt.BuilderFlag, name)  # TF32 is on unless it is cleared
        (config.set_flag if wanted else config.clear_flag)(flag)
    _set_capabilities(config, options.capabilities, gpu)


def _library() -> str:
    module = trt_compat.load()
    return f"{module.__name__} {module.__version__}"


def _set_capabilities(config: Any, capabilities: tuple[str, ...], gpu: bool) -> None:
    if not hasattr(config, "set_compute_capability"):
        if capabilities not in ((), (CURRENT,)):
            raise BuildError(
                f"this TensorRT ({_library()}) builds only for the GPU of the machine it runs on, "
                f"not for {', '.join(capabilities)}",
                hint="build on such a GPU, or install TensorRT for RTX",
            )
        return
    if not capabilities and not gpu:
        return
    members = [_capability_member(capability) for capability in capabilities or (CURRENT,)]
    config.num_compute_capabilities = len(members)
    for index, member in enumerate(members):
        if not config.set_compute_capability(member, index):
            raise BuildError(f"TensorRT refuses to build for compute capability {member.name}")


def _capability_member(capability: str) -> Any:
    known = trt.ComputeCapability.__members__
    member = known.get("SM" + capability.replace(".", "") if capability != CURRENT else "CURRENT")
    if member is None:
        names = [f"{name[2:-1]}.{name[-1]}" for name in known if name.startswith("SM")]
        raise BuildError(
            f"{_library()} cannot be told to build for compute capability {capability}",
            hint=f"it knows {', '.join(names)}; 'current' is the GPU of this machine",
        )
    return member


def add_profiles(builder: Any, network: Any, config: Any, profiles: Sequence[Profile]) -> None:
    """Add optimisation profiles to ``config``.

    Args:
        builder: the ``trt.Builder``.
        network: the network, whose input names and shapes the profiles are checked against.
        config: the configuration they are added to.
        profiles: one mapping each; a network without dynamic inputs needs none.

    Raises:
        InputError: a dynamic input has no range, or a range does not fit; every mistake is listed.
        BuildError: the values of an input decide sizes, and it has no range.
    """
    inputs = {tensor.name: tensor for tensor in (network.get_input(i) for i in range(network.num_inputs))}
    deciding = [name for name, tensor in inputs.items() if tensor.is_shape_tensor]
    unknown = [name for name in deciding if not profiles or any(name not in profile for profile in profiles)]
    if unknown:
        raise BuildError(
            f"sizes depend on the values of {', '.join(map(repr, unknown))}, of which no range is known",
            hint="give the module Python numbers there, or keep that op in PyTorch with torch2trt.compile",
        )
    dynamic = {name for name, tensor in inputs.items() if tensor.is_shape_tensor or -1 in tuple(tensor.shape)}
    mistakes = []
    if dynamic and not profiles:
        mistakes.append(f"inputs with dynamic shapes need an optimisation profile: {', '.join(sorted(dynamic))}")
    for index, profile in enumerate(profiles):
        found = [f"{name!r} has no range" for name in sorted(dynamic - set(profile))]
        found += [f"the network has no input {name!r}" for name in profile if name not in inputs]
        for name, shapes in profile.items():
            if name in inputs:
                found += _range_mistakes(name, inputs[name], shapes)
        mistakes += [f"profile {index}: {text}" for text in found]
    if mistakes:
        raise InputError("; ".join(mistakes), hint="give (smallest, optimal, largest) shapes by input name")
    for profile in profiles:
        _add_profile(builder, inputs, config, profile)


def _range_mistakes(name: str, tensor: Any, shapes: ShapeRange) -> list[str]:
    if len(shapes) != 3:
        return [f"{name!r} needs three shapes, got {len(shapes)}"]
    shape = tuple(tensor.shape)
    text = f"{name!r}: {tuple(shapes[0])}, {tuple(shapes[1])}, {tuple(shapes[2])}"
    expected = max(1, shape[0] if shape else 1) if tensor.is_shape_tensor else len(shape)
    if any(len(part) != expected for part in shapes):
        return [f"{text} do not have {expected} entries each"]
    if not all(low <= best <= high for low, best, high in zip(*shapes, strict=True)):
        return [f"{text} are not in ascending order"]
    if not tensor.is_shape_tensor:
        fixed = [axis for axis, size in enumerate(shape) if size != -1 and {part[axis] for part in shapes} != {size}]
        if fixed:
            return [f"{text} change axis {', '.join(map(str, fixed))}, which is fixed in the network: {shape}"]
        if any(size < 0 for size in shapes[0]):
            return [f"{text} hold a negative size"]
    return []


def _add_profile(builder: Any, inputs: Mapping[str, Any], config: Any, ranges: Profile) -> None:
    profile = builder.create_optimization_profile()
    for name, shapes in ranges.items():
        setter = profile.set_shape_input if inputs[name].is_shape_tensor else profile.set_shape
        try:
            setter(name, *(tuple(int(size) for size in part) for part in shapes))
        except (ValueError, TypeError, RuntimeError) as error:
            raise InputError(f"TensorRT refuses the profile of input {name!r}: {error}") from error
    if config.add_optimization_profile(profile) < 0:
        raise InputError(f"TensorRT refuses the optimisation profile {dict(ranges)}")
