"""From a module to a finished network: inputs added, outputs marked, ready to evaluate or to build."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from . import boundary, core, coverage, structure, trt_compat
from .arguments import listed_names, require_known
from .binding import Call, Inputs
from .context import Context, building, network_state, trt_network
from .dynamic import DynamicShapes, parse_profile
from .errors import (
    BuildError,
    InputError,
    InternalError,
    Location,
    Torch2TRTError,
    UnsupportedArgumentError,
    UnsupportedOpError,
)
from .graph import Graph, Node, walk_nodes
from .outputs import mark_outputs
from .pairs import is_complex
from .passes.fold import Plan, fold
from .passes.functionalize import MutatedInputs
from .passes.quantisations import without_quantised_tensors
from .passes.spectra import values_alone
from .reference import Evaluator
from .trt_compat import trt
from .weights import WeightMap

if TYPE_CHECKING:
    from .engine.build import BuildOptions
    from .engine.bundle import Bundle
    from .engine.cache import DiskCache
    from .engine.cached import CacheChoice
    from .engine.run import Engine
    from .engine.signature import EngineSignature, Source, TensorSpec

Shape = tuple[int, ...]

__all__ = ["Converted", "build_engine", "check", "convert"]


@dataclass(eq=False)
class Converted:
    """A module as a TensorRT network.

    Args:
        network: the ``trt.INetworkDefinition``, its outputs marked.
        graph: the traced graph.
        trace: the traced module.
        output_names: one name an output tensor of the module, in order; two outputs that are one tensor share it.
        builder: the ``trt.Builder`` that made the network.
    """

    network: Any
    graph: Graph
    trace: torch.jit.ScriptModule
    output_names: list[str]
    builder: Any
    _evaluator: Evaluator | None = field(default=None, repr=False)
    _versions: dict[str, tuple[torch.Tensor, int]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        held = {key: tensor.detach() for key, tensor in self.graph.parameters.items() if not tensor.is_inference()}
        self._versions = {key: (tensor, tensor._version) for key, tensor in held.items()}

    def require_unchanged(self) -> None:
        """Raise if weights were written to since the conversion: the network shares some, and has others computed.

        Raises:
            InputError: some were.
        """
        changed = [key for key, (tensor, version) in self._versions.items() if tensor._version != version]
        if changed:
            raise InputError(
                f"weights were written to since the conversion, and the network would have some of then and some of "
                f"now: {', '.join(changed[:5])}{', ...' if len(changed) > 5 else ''}",
                hint="convert the module again; evaluate_with takes other weights, and so does an engine's refit",
            )

    @property
    def input_names(self) -> list[str]:
        """One name an input tensor, in order."""
        return self.graph.input_names

    @property
    def weights(self) -> WeightMap:
        """The network's named weights and how a ``state_dict`` gives them."""
        return network_state(self.network).weights

    def bind(self, inputs: Inputs) -> dict[str, torch.Tensor]:
        """The tensors of ``inputs`` by name, those of dtypes that TensorRT lacks cast as the network holds them.

        Raises:
            InputError: they are not nested as those that were converted.
        """
        return self._as_held(core.bind_inputs(self.graph, inputs))

    def _as_held(self, tensors: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        from .engine.signature import as_held

        named = dict(zip(self.input_names, tensors, strict=True))
        for index in range(self.network.num_inputs):
            held = self.network.get_input(index)
            if not boundary.holds(named[held.name].dtype):
                named[held.name] = as_held(named[held.name], trt_compat.to_torch_dtype(held.dtype))
        return named

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """What the network computes for these arguments, by the reference evaluator, on the CPU.

        Returns:
            results nested as the module nests its own.

        Raises:
            InputError: the arguments do not fit the network.
            EvaluationError: a result contradicts what the network declares.
        """
        self.require_unchanged()
        if self._evaluator is None:
            self._evaluator = Evaluator(self.network, profile=self.profile())
        return self._run(self._evaluator, args, kwargs)

    def evaluate_with(self, state_dict: Mapping[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        """As :meth:`evaluate`, with other weights: what a refit of an engine would do.

        Raises:
            InputError: ``state_dict`` is none, lacks an entry that the network depends on, or has one of another shape,
                without values, or complex in place of a real one.
        """
        return self._run(self.evaluator_with(state_dict), args, kwargs)

    def evaluator_with(self, state_dict: Mapping[str, torch.Tensor]) -> Evaluator:
        """An evaluator of the network with other weights; see :meth:`evaluate_with`."""
        return Evaluator(self.network, weights=self.weights.compute(state_dict), profile=self.profile())

    def _run(self, evaluator: Evaluator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outputs = self.run_flat(evaluator, core.bind_inputs(self.graph, call_inputs(args, kwargs)))
        return structure.unflatten(outputs, self.graph.output_structure)

    def run_flat(self, evaluator: Evaluator, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Run an evaluator of the network on flat tensors; one result an output of the module.

        Raises:
            InputError: a tensor holds no data.
        """
        for name, given in zip(self.input_names, tensors, strict=True):
            if not isinstance(given, torch.Tensor) or given.is_meta:
                what = "on the meta device" if isinstance(given, torch.Tensor) else type(given).__name__
                raise InputError(f"input {name!r} is {what} and holds no data")
        named = self._as_held(tensors)
        results = evaluator({name: value.detach().cpu() for name, value in named.items()})
        outputs = [results[name] for name in self._network_outputs()]
        return [source.take(tensors, outputs) for source in self._sources()]

    def _network_outputs(self) -> list[str]:
        return [self.network.get_output(index).name for index in range(self.network.num_outputs)]

    def _sources(self) -> list[Source]:
        """Where each output of the module comes from."""
        from .engine.signature import Source

        place = {name: index for index, name in enumerate(self._network_outputs())}
        found = []
        for name, value, (result,) in zip(
            self.output_names, self.graph.outputs, self.graph.get_resolved_outputs(), strict=True
        ):
            if boundary.is_returned_as_it_is(result):
                found.append(Source("constant", value=result))
            else:
                kind = "complex" if is_complex(result) else "output"
                found.append(Source(kind, place[name], dtype=boundary.returned_dtype(value, result)))
        return found

    def profile(self, narrower: DynamicShapes | None = None) -> dict[str, tuple[Shape, Shape, Shape]]:
        """Minimum, optimum and maximum shape of every dynamic input, by name.

        Args:
            narrower: other ranges within those of the conversion, written as its ``dynamic_shapes``.

        Raises:
            InputError: they are not within those, or name what is not dynamic.
        """
        inputs = [self.network.get_input(index) for index in range(self.network.num_inputs)]
        shapes = {held.name: tuple(held.shape) for held in inputs}
        ranges = parse_profile(narrower or {}, self.graph.ranges, shapes)
        profile = {}
        for held in inputs:
            axes = ranges.get(held.name)
            if axes:
                limits = [
                    tuple(getattr(axes[axis], which) if axis in axes else size for axis, size in enumerate(held.shape))
                    for which in ("min", "opt", "max")
                ]
                profile[held.name] = (limits[0], limits[1], limits[2])
        return profile

    def serialize(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        progress: bool = False,
        engine_cache: CacheChoice = None,
        profiles: Sequence[DynamicShapes] | None = None,
        **options: Any,
    ) -> bytes:
        """Build an engine ahead of time; needs no GPU.

        Args:
            path: where to write the bytes too; an existing file is replaced only by a complete one.
            progress: show TensorRT's progress.
            engine_cache: where engines are kept to be found again: see :mod:`torch2trt.engine.cached`.
            profiles: several optimisation profiles, each with ranges within those of the conversion, written as its
                ``dynamic_shapes``; one with all of these by default.
            options: fields of :class:`torch2trt.engine.build.BuildOptions`.

        Raises:
            BuildError: TensorRT could not build the network.
            InputError: an option does not exist or does not fit.
            EngineError: ``path`` or the folder of ``engine_cache`` cannot be written.
        """
        from .engine.files import require_writable, write_file_atomically

        if path is not None:
            require_writable(path)
        blob = self.bundle(progress=progress, engine_cache=engine_cache, profiles=profiles, **options).plan
        if path is not None:
            write_file_atomically(path, blob)
        return blob

    def build(
        self,
        *,
        progress: bool = False,
        engine_cache: CacheChoice = None,
        profiles: Sequence[DynamicShapes] | None = None,
        **options: Any,
    ) -> Engine:
        """Build an engine and load it; needs a GPU.

        Args:
            progress: show TensorRT's progress.
            engine_cache: where engines are kept to be found again: see :mod:`torch2trt.engine.cached`.
            profiles: several optimisation profiles, each with ranges within those of the conversion, written as its
                ``dynamic_shapes``; one with all of these by default.
            options: fields of :class:`torch2trt.engine.build.BuildOptions`, and options of
                :class:`torch2trt.engine.run.Engine`.

        Raises:
            BuildError: TensorRT could not build the network.
            EngineError: there is no GPU, or the folder of ``engine_cache`` cannot be written.
            InputError: an option does not exist or does not fit.
        """
        from .engine.cached import open_engine_cache
        from .engine.run import Engine

        building, loading = _split_options(options)
        cache = open_engine_cache(engine_cache)
        bundle, current = self._make(building, progress, cache, profiles)
        if cache is not None:
            loading.setdefault("kernel_cache", cache)
        engine = Engine(bundle, weights=self.weights, **loading)
        if not current:
            engine.refit(self._used_parameters())
        return engine

    def bundle(
        self,
        *,
        progress: bool = False,
        engine_cache: CacheChoice = None,
        profiles: Sequence[DynamicShapes] | None = None,
        **options: Any,
    ) -> Bundle:
        """Build an engine ahead of time, with all that a program that loads it needs to know; needs no GPU.

        Args:
            progress: show TensorRT's progress.
            engine_cache: where engines are kept to be found again: see :mod:`torch2trt.engine.cached`.
            profiles: several optimisation profiles, each with ranges within those of the conversion, written as its
                ``dynamic_shapes``; one with all of these by default.
            options: fields of :class:`torch2trt.engine.build.BuildOptions`.

        Raises:
            BuildError: TensorRT could not build the network.
            InputError: an option does not exist or does not fit.
            EngineError: the folder of ``engine_cache`` cannot be written.
        """
        from .engine.cached import open_engine_cache
        from .engine.run import Engine

        bundle, current = self._make(_build_options(options), progress, open_engine_cache(engine_cache), profiles)
        if current:
            return bundle
        with Engine(bundle, weights=self.weights) as engine:
            engine.refit(self._used_parameters())
            return engine.bundle(kernels=False)

    def _make(
        self,
        options: BuildOptions,
        progress: bool,
        cache: DiskCache | None,
        profiles: Sequence[DynamicShapes] | None = None,
    ) -> tuple[Bundle, bool]:
        """An engine, and whether it holds the module's weights: one from the cache may hold older ones."""
        from .engine.bundle import Bundle, Environment
        from .engine.cached import find_or_build
        from .engine.refit import StoredWeights

        self.require_unchanged()
        found = [self.profile(chosen) for chosen in (_listed_profiles(profiles) or [{}])]
        try:
            plan, current = find_or_build(
                self.builder,
                self.network,
                options,
                profiles=[profile for profile in found if profile],
                weights=self.weights,
                cache=cache,
                progress=progress,
            )
        except BuildError as error:
            location = self._location_in(error.message)
            if location is not None:
                error.at(location)
            raise
        stored = StoredWeights.of(self.weights)
        return Bundle(plan, self.signature(), options, Environment.here(), stored, self.graph.state_shapes), current

    def _location_in(self, message: str) -> Location | None:
        """Where the node comes from whose layer TensorRT names."""
        named = set(message.split())
        node_of = network_state(self.network).node_of
        node = next((node for layer, node in node_of.items() if layer in named), None)
        return next((found.location for found in walk_nodes(self.graph.nodes) if found.name == node), None)

    def _used_parameters(self) -> dict[str, torch.Tensor]:
        """The entries of the module's ``state_dict`` that the network's weights come from."""
        used = self.weights.keys()
        return {key: tensor for key, tensor in self.graph.parameters.items() if key in used}

    def signature(self) -> EngineSignature:
        """What an engine of this network takes and gives, in terms of the module."""
        from .engine.signature import EngineSignature

        network = self.network
        taken = {name: value.dtype for name, value in zip(self.input_names, self.graph.inputs, strict=True)}
        inputs = [_spec(network.get_input(index), taken) for index in range(network.num_inputs)]
        outputs = [_spec(network.get_output(index)) for index in range(network.num_outputs)]
        position = {spec.name: index for index, spec in enumerate(inputs)}
        return EngineSignature(
            tuple(inputs),
            tuple(outputs),
            self.graph.arguments,
            tuple(self.graph.names_of_arguments),
            tuple(position.get(name) for name in self.input_names),
            self.graph.output_structure,
            tuple(self._sources()),
        )


def _spec(held: Any, taken: Mapping[str, torch.dtype | None] | None = None) -> TensorSpec:
    """A network's input or output; ``taken`` holds the dtypes of the module's inputs by name."""
    from .engine.signature import TensorSpec

    dtype = trt_compat.to_torch_dtype(held.dtype)
    given = (taken or {}).get(held.name, dtype)
    return TensorSpec(held.name, dtype, tuple(held.shape), None if given == dtype else given)


def _listed_profiles(profiles: Any) -> list[DynamicShapes]:
    """The profiles that an argument lists; none for None.

    Raises:
        InputError: it is no list of them.
    """
    if isinstance(profiles, (str, Mapping)) or not (profiles is None or isinstance(profiles, Iterable)):
        raise InputError(
            f"profiles is {type(profiles).__name__}, not a list of profiles",
            hint='write profiles=[{"image": {0: (1, 4, 16)}}]',
        )
    return list(profiles or ())


def _build_option_names() -> set[str]:
    from .engine.build import BuildOptions

    return {option.name for option in dataclasses.fields(BuildOptions)}


def _build_options(options: dict[str, Any]) -> BuildOptions:
    from .engine.build import BuildOptions

    require_known("build option", options, _build_option_names())
    return BuildOptions(**options)


def _split_options(options: Mapping[str, Any]) -> tuple[BuildOptions, dict[str, Any]]:
    """How to build an engine, and the options to load it with, checked before the work.

    Raises:
        InputError: one does not exist or does not fit.
        EngineError: there is no GPU.
    """
    from .engine.run import check_options, option_names

    of_build = _build_option_names()
    require_known("build option", options, of_build | option_names())
    building = _build_options({name: value for name, value in options.items() if name in of_build})
    loading = {name: value for name, value in options.items() if name not in of_build}
    check_options(loading)
    return building, loading


def build_engine(module: Callable[..., Any], inputs: Inputs, **options: Any) -> Engine:
    """Convert a module, build an engine and load it: :func:`convert` and :meth:`Converted.build` in one; needs a GPU.

    Args:
        module: an nn.Module, or a function of tensors.
        inputs: example inputs.
        options: arguments of both, by name.
    """
    parameters = inspect.signature(convert).parameters
    converting = {key: options.pop(key) for key in list(options) if key in parameters}
    own = inspect.signature(Converted.build).parameters
    _split_options({name: value for name, value in options.items() if name not in own})
    return convert(module, inputs, **converting).build(**options)


def call_inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Inputs:
    """The arguments of a call as ``inputs``."""
    return Call(args, kwargs) if args and kwargs else kwargs or args


def convert(
    module: Callable[..., Any],
    inputs: Inputs,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_shapes: DynamicShapes | None = None,
    param_exclude: str | None = None,
    precision: str | torch.dtype = "float32",
    keep_float32: str | None = None,
    allow_float64_as_float32: bool = False,
    allow_random: bool = False,
    allow_other_signs: bool = False,
    optimize: bool | Iterable[str] = True,
    mutated_inputs: MutatedInputs = "error",
    verbose: bool = False,
) -> Converted:
    """Convert a module to a TensorRT network; needs no GPU.

    Args:
        module: an nn.Module, or a function of tensors.
        inputs: a tensor, a tuple or list of arguments, or a dict of keyword arguments, nested at will; a
            :class:`torch2trt.Input` stands for an example tensor.
        input_names: one name a tensor; forward's parameter names by default.
        output_names: one name an output tensor; ``output``, ``output_0`` or the keys of a dict by default.
        dynamic_shapes: for inputs by name, the axes whose size may change: see :mod:`torch2trt.dynamic`.
        param_exclude: a pattern of the ``regex`` package over the names of parameters that must not be used.
        precision: ``float32``, or ``float16`` or ``bfloat16`` to cast the module's maths where that is safe: see
            :mod:`torch2trt.precision`. Inputs and outputs keep their dtypes.
        keep_float32: a pattern of the ``regex`` package over module scopes that stay float32.
        allow_float64_as_float32: convert float64 values to float32 instead of refusing them.
        allow_random: let TensorRT draw the random numbers that the module draws. They have the same distribution, not
            the same values: no seed reaches an engine, and whether two runs of one draw the same numbers is
            TensorRT's affair.
        allow_other_signs: convert singular and eigenvectors, whose signs are open, as is the basis of those of equal
            values: a network's may be others than PyTorch's. What does not depend on the choice is the same.
        optimize: which rewrites to apply: all, none, or names of :data:`torch2trt.passes.optimize.PASSES`.
        mutated_inputs: what to do when the module writes to an input: ``error`` raises, ``output`` adds what it holds
            at the end to the outputs, ``ignore`` leaves the caller's tensor as it is.
        verbose: print one line a node.

    Raises:
        InputError: the arguments do not fit.
        UnsupportedOpError: ops have no handler; all of them are listed.
        UnsupportedArgumentError: a handler cannot do what a node asks for.
        LayerError: TensorRT refused a layer.
    """
    output_names = None if output_names is None else listed_names("output_names", output_names)
    builder = trt.Builder(trt_compat.logger())
    network = trt_compat.create_network(builder)
    with trt_network(network):
        building().lifts_casts = True
        trace, graph = core.torch2trt(
            module,
            inputs,
            input_names,
            verbose=verbose,
            param_exclude=param_exclude,
            dynamic_shapes=dynamic_shapes,
            precision=precision,
            keep_float32=keep_float32,
            allow_float64_as_float32=allow_float64_as_float32,
            allow_random=allow_random,
            allow_other_signs=allow_other_signs,
            optimize=optimize,
            mutated_inputs=mutated_inputs,
        )
        names = mark_outputs(graph, output_names)
    return Converted(network, graph, trace, names, builder)


def _dry_run(prepared: core.Prepared, plan: Plan, refused: list[Torch2TRTError]) -> None:
    """Walk the plan in a network that is thrown away; what fails is noted and replaced by a fresh input."""
    context = building()

    def stand_in(node: Node, error: Torch2TRTError) -> list[Any]:
        if not isinstance(error, UnsupportedOpError):
            refused.append(error)
        return [_placeholder(context, node, index) for index in range(len(node.outputs))]

    tensors = core.network_inputs(context, prepared, plan)
    try:
        core.Runner(prepared.graph, plan.known, on_error=stand_in).run(plan.nodes, tensors, plan.outputs)
    except (InternalError, UnsupportedArgumentError) as error:
        refused.append(error)  # a value without a traced type has no stand-in, or an output is not computed


def _placeholder(context: Context, node: Node, index: int) -> Any:
    value = node.outputs[index]
    if value.dtype is None or value.shape is None:
        raise InternalError(f"nothing is known of what {node.kind} gives, so what follows cannot be checked").at(
            node.location
        )
    shape = tuple(-1 if size is None else size for size in value.shape)
    dtype = value.dtype
    if dtype not in trt_compat.TORCH_TO_TRT:
        dtype = torch.float32 if dtype.is_floating_point or dtype.is_complex else torch.int32
    context.recorder.clear()
    return context.network.add_input(f"{node.name}:{index}", trt_compat.to_trt_dtype(dtype), shape)


def check(
    module: Callable[..., Any],
    inputs: Inputs,
    *,
    dynamic_shapes: DynamicShapes | None = None,
    allow_float64_as_float32: bool = False,
    allow_random: bool = False,
    allow_other_signs: bool = False,
    mutated_inputs: MutatedInputs = "error",
) -> coverage.CheckReport:
    """What would not convert, all of it at once: ops without a handler, and arguments that a handler refuses.

    Without TensorRT installed only the ops are checked. Arguments are those of :func:`convert`.
    """
    complete = trt_compat.is_available()
    prepared = core.prepare(module, inputs, dynamic_shapes=dynamic_shapes, mutated_inputs=mutated_inputs)
    plan = fold(prepared.graph)
    values_alone(plan)
    without_quantised_tensors(plan)
    boundary.lift_casts(plan)
    missing = tuple(coverage.missing_ops(plan))
    refused: list[Torch2TRTError] = []
    if complete:
        builder = trt.Builder(trt_compat.logger())
        with trt_network(trt_compat.create_network(builder)):
            building().allow_float64_as_float32 = allow_float64_as_float32
            building().allow_random = allow_random
            building().allow_other_signs = allow_other_signs
            building().lifts_casts = True
            _dry_run(prepared, plan, refused)
    return coverage.CheckReport(missing, tuple(refused), prepared.graph.op_counts(), complete)
