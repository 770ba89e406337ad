"""``torch2trt.compile``: engines for what TensorRT runs, PyTorch for the rest, as one nn.Module."""

from __future__ import annotations

import copy
import dataclasses
import functools
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import regex
import torch

from . import core, coverage, eager, partition, structure, trt_compat
from .context import building, torch_network, trt_network
from .convert import Converted, call_inputs, mark_outputs
from .dynamic import DynamicShapes, Range
from .engine.graphs import CapturedCall, CaptureError, GraphCache
from .errors import InputError, Torch2TRTError, UnsupportedOpError
from .graph import Block, Graph, Node, Value, map_operand, operand_values
from .partition import Segment
from .passes.data_sizes import data_sized
from .passes.fold import Plan, fold, values_read
from .passes.optimize import optimize as optimize_plan
from .passes.spectra import values_alone
from .precision import parse_precision
from .reference import Evaluator
from .structure import LEAF, Structure
from .tracing import Inputs
from .trt_compat import trt
from .weights import origin

if TYPE_CHECKING:
    from .engine.cached import CacheChoice

__all__ = ["CompiledModule", "Explanation", "compile_module", "explain"]

BACKENDS = ("engine", "reference")


@dataclass(frozen=True)
class CompileOptions:
    """How :func:`compile_module` converts; its arguments of the same names describe them."""

    dynamic_shapes: DynamicShapes | None = None
    exclude: str | None = None
    min_block_size: int = 1
    full: bool = False
    precision: str = "float32"
    keep_float32: str | None = None
    allow_float64_as_float32: bool = False
    optimize: bool | Iterable[str] = True
    backend: str = "engine"
    engine_cache: CacheChoice = None
    background: bool = False
    tune: bool | Mapping[str, str] = False
    cuda_graph: bool = False
    max_graphs: int = 8
    build: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """Which node goes where, and why.

    Args:
        segments: in execution order.
        rewrites: how often each rewrite of :mod:`torch2trt.passes.optimize` found its pattern, by its name.
    """

    segments: tuple[Segment, ...]
    rewrites: Mapping[str, int] = field(default_factory=dict)

    @property
    def engines(self) -> int:
        """How many engines there would be."""
        return sum(segment.in_engine for segment in self.segments)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        nodes = sum(len(segment.nodes) for segment in self.segments)
        yield f"{nodes} nodes, {self.engines} engines, {len(self.segments) - self.engines} pieces in PyTorch"
        found = [f"{name} {count}" for name, count in self.rewrites.items() if count]
        if found:
            yield f"rewritten: {', '.join(found)}"
        for index, segment in enumerate(self.segments):
            where = "TensorRT" if segment.in_engine else "PyTorch"
            yield f"{index}: {where}, {len(segment.nodes)} nodes"
            for node in segment.nodes:
                if node.name in segment.reasons:
                    place = f"{node.kind} in module {node.scope or '(root)'!r}, {node.source}"
                    yield f"     {place}: {segment.reasons[node.name]}"


def explain(module: Callable[..., Any], inputs: Inputs, **options: Any) -> Explanation:
    """Which node would go into an engine and which would stay in PyTorch, before anything is built.

    Args:
        module: a module or function.
        inputs: example inputs, as for :func:`torch2trt.convert`.
        options: as for :func:`compile_module`.
    """
    compilation = _Compilation(module, inputs, _options(options))
    return Explanation(tuple(compilation.segments), compilation.prepared.graph.rewrites)


def compile_module(module: torch.nn.Module, inputs: Inputs, **options: Any) -> CompiledModule:
    """A module that runs in TensorRT engines what TensorRT can run, and the rest in PyTorch.

    Args:
        module: an nn.Module, in eval mode.
        inputs: example inputs, as for :func:`torch2trt.convert`.
        options: ``dynamic_shapes``, ``precision``, ``keep_float32``, ``allow_float64_as_float32``, ``optimize`` as for
            :func:`torch2trt.convert`; ``exclude``, a pattern of the ``regex`` package over op kinds and module scopes
            that stay in PyTorch; ``min_block_size``, the fewest nodes that are worth an engine; ``full=True`` to raise
            if a node would stay in PyTorch; ``backend="reference"`` to run the networks in the reference evaluator,
            which needs no GPU; ``engine_cache``, where engines are kept to be found again
            (:mod:`torch2trt.engine.cached`); ``background=True`` to build engines in a thread while PyTorch answers
            the calls (:meth:`CompiledModule.wait`); ``cuda_graph=True`` to capture whole calls, engines and what stays
            in PyTorch alike, in CUDA graphs, one for each combination of input shapes and ``max_graphs`` of them at
            most (where that is impossible, a warning says so once); beside it ``tune=True`` to leave to PyTorch what
            it computes faster on this GPU, which is measured op by op and takes about a second for each kind and size
            (:mod:`torch2trt.tuning`), or the :attr:`CompiledModule.tuned` of an earlier run; ``build``, a dict of
            :class:`torch2trt.engine.build.BuildOptions` fields; ``run``, a dict of options of
            :class:`torch2trt.engine.run.Engine`.

    Raises:
        InputError: an option does not exist or does not fit.
        UnsupportedOpError: ``full`` is set and ops have no handler.
        Torch2TRTError: ``full`` is set and a node cannot be converted.
        BuildError: an engine could not be built; in the background, the next call raises it.
    """
    return CompiledModule(module, inputs, _options(options))


def _options(options: Mapping[str, Any]) -> CompileOptions:
    try:
        chosen = CompileOptions(**options)
    except TypeError as error:
        raise InputError(f"unknown option: {error}") from None
    if chosen.backend not in BACKENDS:
        raise InputError(f"backend={chosen.backend!r} is none of {', '.join(BACKENDS)}")
    if chosen.cuda_graph and chosen.backend != "engine":
        raise InputError(f"cuda_graph=True needs engines, and backend={chosen.backend!r} has none")
    if chosen.tune is True and (not chosen.cuda_graph or chosen.background):
        raise InputError(
            "tune=True measures engines in CUDA graphs, before any call",
            hint="pass cuda_graph=True, and no background=",
        )
    return chosen


class _Compilation:
    """The trace of a module and its segments."""

    def __init__(self, module: Callable[..., Any], inputs: Inputs, options: CompileOptions) -> None:
        self.options = options
        self.prepared = core.prepare(module, inputs, dynamic_shapes=options.dynamic_shapes)
        self.plan = fold(self.prepared.graph)
        values_alone(self.plan)
        self._excluded = _pattern(options.exclude)
        self.plan.fixed = frozenset(node.name for node in self.plan.nodes if self._is_excluded(node))
        self.prepared.graph.rewrites = optimize_plan(self.plan, options.optimize)
        self._missing = {op.kind for op in coverage.missing_ops(self.plan)}
        self._data_sized = data_sized(self.prepared.graph.inputs, self.plan.nodes)
        self._refused: dict[str, str] = {}
        self._networks: dict[int, Converted] = {}
        self.tuned: dict[str, str] = {}
        if options.tune:
            self.tuned = self._measured() if options.tune is True else self._known(options.tune)
        self.segments = self._partition()
        if options.full:
            self._require_full()

    def _partition(self) -> list[Segment]:
        """Partition until every segment that should be an engine converts: a refusal shows only in a network."""
        while True:
            self._networks.clear()
            segments = partition.partition(self.plan, self._reason, self.options.min_block_size)
            refused = {}
            for segment in segments:
                if segment.in_engine:
                    refused.update(self._refusals(segment))
            if not refused:
                return segments
            self._refused.update(refused)

    def _refusals(self, segment: Segment) -> dict[str, str]:
        takers = _takers(segment, self._data_sized)
        if takers:
            return dict.fromkeys(takers, "it takes a tensor from PyTorch whose size depends on values")
        if not trt_compat.is_available():
            return {}
        try:
            self._networks[id(segment)] = self._convert(segment)
        except Torch2TRTError as error:
            if error.location is None or error.location.node not in {node.name for node in segment.nodes}:
                raise
            return {error.location.node: error.message}
        return {}

    def _is_excluded(self, node: Node) -> bool:
        return self._excluded is not None and bool(self._excluded.match(node.kind) or self._excluded.match(node.scope))

    def _reason(self, node: Node) -> str:
        if self._is_excluded(node):
            return "it is excluded"
        if not coverage.is_covered(node):
            return "there is no handler for it"
        if self._is_unbuilt(node):
            return "TensorRT for RTX builds nothing whose size depends on values"
        kept = self._refused.get(node.name) or self.tuned.get(node.name)
        return kept or ("" if self._allows_float64(node) else partition.dtype_reason(node))

    def _measured(self) -> dict[str, str]:
        from . import tuning

        if not self._shapes.on_gpu:
            raise InputError("tune=True measures on a GPU, and the inputs are elsewhere")
        nodes = [node for node in self.plan.nodes if not self._reason(node)]
        return tuning.faster_in_pytorch(self.plan, nodes, self._shapes.values("opt"), self._engine_of)

    def _known(self, tuned: Mapping[str, str]) -> dict[str, str]:
        missing = set(tuned).difference(node.name for node in self.plan.nodes)
        if missing:
            raise InputError(f"tune= is of another module, this one has no nodes {', '.join(sorted(missing))}")
        return dict(tuned)

    def _engine_of(self, node: Node, inputs: list[Value]) -> Run:
        """An engine of one node alone."""
        converted = self._convert(Segment(True, [node], inputs, node.outputs))
        engine = converted.build(engine_cache=self.options.engine_cache, auto_contiguous=True, **self.options.build)
        return lambda tensors: engine(*tensors)

    def _is_unbuilt(self, node: Node) -> bool:
        if not (trt_compat.is_available() and trt_compat.is_rtx()):
            return False
        return bool(self._data_sized.intersection([*node.outputs, *node.values()]))

    def _allows_float64(self, node: Node) -> bool:
        return self.options.allow_float64_as_float32

    def _require_full(self) -> None:
        if self._missing:
            raise UnsupportedOpError(coverage.missing_ops(self.plan))
        stay = [(node, segment) for segment in self.segments for node in segment.nodes if node.name in segment.reasons]
        if stay:
            node, segment = min(stay, key=lambda item: not self._reason(item[0]))  # views follow others
            text = f"full=True, and {node.kind} would stay in PyTorch: {segment.reasons[node.name]}"
            raise InputError(text, location=node.location)

    def network(self, segment: Segment) -> Converted:
        """The network of one segment of :attr:`segments`, its outputs marked; whoever asks first owns it."""
        return self._networks.pop(id(segment), None) or self._convert(segment)

    def _convert(self, segment: Segment) -> Converted:
        builder = trt.Builder(trt_compat.logger())
        network = trt_compat.create_network(builder)
        names = [f"input_{index}" for index in range(len(segment.inputs))]
        shapes = self._shapes
        ranges = {name: shapes.ranges(value) for name, value in zip(names, segment.inputs, strict=True)}
        inside = Structure("tuple", tuple(LEAF for _ in names))
        graph = Graph(
            segment.inputs,
            segment.nodes,
            list(segment.outputs),
            names,
            Structure("tuple", (inside, Structure("dict"))),
            Structure("tuple", tuple(LEAF for _ in segment.outputs)),
            self.prepared.graph.parameters,
            self.prepared.graph.state_shapes,
            argument_names=names,
            ranges=ranges,
        )
        with trt_network(network):
            context = building()
            context.allow_float64_as_float32 = self.options.allow_float64_as_float32
            context.precision = parse_precision(self.options.precision, self.options.keep_float32)
            tensors = [
                core.network_input(context, name, shapes.stand_in(value), ranges[name])
                for name, value in zip(names, segment.inputs, strict=True)
            ]
            core.run_plan(graph, Plan(segment.nodes, self.plan.known, list(segment.outputs)), tensors)
            outputs = mark_outputs(graph, None)
        return Converted(network, graph, self.prepared.trace, outputs, builder)

    @functools.cached_property
    def _shapes(self) -> _Shapes:
        return _Shapes(self.prepared, self.plan)


def _takers(segment: Segment, data_sized: set[Value]) -> list[str]:
    """The nodes of an engine that need a tensor from outside whose size no range holds, or a number that tells it."""
    reached = data_sized.intersection(segment.inputs)
    found = []
    for node in segment.nodes:
        if not reached.intersection(node.values()):
            continue
        if partition.is_size(node):
            reached.update(node.outputs)
        else:
            found.append(node.name)
    return found


def _pattern(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return regex.compile(text)
    except regex.error as error:
        raise InputError(f"exclude={text!r} is no regular expression: {error}") from None


class _Shapes:
    """What the values between segments are at the smallest, optimal and largest inputs.

    Args:
        prepared: the trace.
        plan: what is run, after rewriting: not all of its values have known sizes.
    """

    def __init__(self, prepared: core.Prepared, plan: Plan) -> None:
        self._graph, self._plan, self._examples = prepared.graph, plan, prepared.examples
        self._runs: dict[str, dict[Value, Any]] = {}

    def _at(self, which: str, value: Value) -> torch.Tensor:
        """The value when all inputs have these sizes, on the meta device."""
        if which not in self._runs:
            values = self.values(which)
            self._runs[which] = {value: _moved(data, torch.device("meta")) for value, data in values.items()}
        return self._runs[which][value]

    @property
    def on_gpu(self) -> bool:
        """Whether the example inputs are on a GPU, where :meth:`values` are then."""
        return bool(self._examples) and all(example.is_cuda for example in self._examples)

    def values(self, which: str) -> dict[Value, Any]:
        """What all values are when all inputs have these sizes."""
        graph = self._graph
        leaves = [
            _resized(example, graph.ranges.get(name, {}), which)
            for name, example in zip(graph.input_names, self._examples, strict=True)
        ]
        plan = self._plan
        known = {
            value: _moved(value.data if value.data is not None else plan.known[value], leaves[0].device)
            for value in values_read(plan.nodes, plan.outputs)
            if value.data is not None or value in plan.known
        }
        runner = core.Runner(graph, known)
        with torch_network():
            runner.run(plan.nodes, leaves, plan.outputs)
        return runner.values

    def stand_in(self, value: Value) -> torch.Tensor:
        """A tensor of the value's type, on the meta device; dynamic axes have some size."""
        if value.dtype is None or value.shape is None:
            return self._at("opt", value)
        sizes = [2 if size is None else size for size in value.shape]
        return torch.empty(sizes, dtype=value.dtype, device="meta")

    def ranges(self, value: Value) -> dict[int, Range]:
        """The dynamic axes of a value."""
        if not any(self._graph.ranges.values()) or (value.shape is not None and None not in value.shape):
            return {}
        found = {}
        shapes = [self._at(which, value).shape for which in ("min", "opt", "max")]
        for axis, sizes in enumerate(zip(*shapes, strict=True)):
            low, best, high = sorted(sizes)
            if low < high if value.shape is None else value.shape[axis] is None:
                found[axis] = Range(low, best, high)
        return found


def _moved(data: Any, device: torch.device) -> Any:
    return data.to(device) if isinstance(data, torch.Tensor) else data


def _resized(example: torch.Tensor, axes: Mapping[int, Range], which: str) -> torch.Tensor:
    for axis, limits in axes.items():
        index = torch.arange(getattr(limits, which), device=example.device) % max(example.shape[axis], 1)
        example = example.index_select(axis, index)
    return example


@dataclass
class _News:
    """Whether weights were loaded since the engines last took them; no part of the module, which may be copied."""

    unread: bool = False


def _note_new_weights(news: _News, *_: Any) -> None:
    news.unread = True


_OWNER = "module."


def _without_owner(_: torch.nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    """The entries of a ``state_dict`` by the names that the module itself gives them."""
    own = prefix + _OWNER
    for key in [key for key in state if key.startswith(own)]:
        state[prefix + key[len(own) :]] = state.pop(key)


def _with_owner(state: dict[str, Any], prefix: str, *_: Any) -> None:
    """The inverse of :func:`_without_owner`."""
    for key in [key for key in state if key.startswith(prefix)]:
        state[prefix + _OWNER + key[len(prefix) :]] = state.pop(key)


Run = Callable[..., Sequence[torch.Tensor]]
"""Runs a segment on the tensors that it is given."""


class _Evaluated:
    """The reference evaluator in place of an engine."""

    def __init__(self, converted: Converted) -> None:
        self._converted = converted
        self._evaluator = Evaluator(converted.network)
        self.weights = converted.weights

    def __call__(self, *tensors: torch.Tensor) -> Sequence[torch.Tensor]:
        return self._converted.run_flat(self._evaluator, tensors)

    def refit(self, state: Mapping[str, torch.Tensor]) -> None:
        self._evaluator = self._converted.evaluator_with(state)


_Work = tuple[Future[Any], Callable[[], Any]]
"""An engine to be, and what makes it."""


def _make_in_turn(work: Sequence[_Work], device: int | None) -> None:
    """Make engines one after another, for as long as the program runs."""
    with nullcontext() if device is None else torch.cuda.device(device):
        for engine, make in work:
            if not threading.main_thread().is_alive():
                return
            try:
                engine.set_result(make())
            except BaseException as error:
                engine.set_exception(error)


class CompiledModule(torch.nn.Module):
    """What :func:`compile_module` returns. It owns the module, whose parameters and buffers are its own.

    New weights by ``load_state_dict`` reach the engines at the next call, those written in place by :meth:`refit`: they
    are refitted if they were built with ``build={"refit": True}``, else this raises. Pickling and deepcopy store the
    engines, not the way to them.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        inputs: Inputs,
        options: CompileOptions,
        engines: Sequence[bytes] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(module, torch.nn.Module):
            raise InputError(f"compile takes an nn.Module, not {type(module).__name__}")
        self.module = module
        compilation = _Compilation(module, inputs, options)
        self._plan, self._graph = compilation.plan, compilation.prepared.graph
        self._inputs, self._options = inputs, options
        self.segments = compilation.segments
        self.tuned = compilation.tuned
        """What stays in PyTorch because it is faster there, by node; given as ``tune=`` it needs no measuring again."""
        stored = iter(engines or ())
        work: list[_Work] = []
        for segment in self.segments:
            if segment.in_engine:
                work.append((Future(), self._maker(compilation, segment, next(stored, None))))
        self._engines = [engine for engine, _ in work]
        wanted = set(operand_values(self._plan.outputs))
        self._results = [value for segment in self.segments for value in segment.outputs if value in wanted]
        self._graphs = threading.local() if options.cuda_graph else None
        self._version = 0  # of the weights
        self._known: dict[Value, Any] = {}
        self._device: torch.device | None = None
        self._loaded: dict[str, torch.Tensor] | None = None  # the weights, if they are not those that were traced
        self._news = _News()
        module.register_load_state_dict_post_hook(functools.partial(_note_new_weights, self._news))
        self._register_state_dict_hook(_without_owner)
        self._register_load_state_dict_pre_hook(_with_owner)
        self._in_background = options.background and engines is None
        if self._in_background:
            device = torch.cuda.current_device() if torch.cuda.is_available() else None
            threading.Thread(target=_make_in_turn, args=(work, device), name="torch2trt-compile").start()
        else:
            for engine, make in work:
                engine.set_result(make())

    def _maker(self, compilation: _Compilation, segment: Segment, blob: bytes | None) -> Callable[[], Any]:
        """What makes the engine of a segment, whose network is there already unless the engine is stored."""
        options = self._options
        if options.backend == "reference":
            return functools.partial(_Evaluated, compilation.network(segment))
        from .engine.run import Engine

        if blob is not None:
            return functools.partial(Engine.from_bytes, blob, auto_contiguous=True, **options.run)
        converted = compilation.network(segment)

        def make() -> Engine:
            engine = converted.build(
                engine_cache=options.engine_cache, auto_contiguous=True, **options.build, **options.run
            )
            if options.background and not options.build.get("strip_weights"):
                engine.compile_kernels()
            return engine

        return make

    def _run(self, leaves: Sequence[torch.Tensor], engines: Iterable[Run]) -> list[Any]:
        """Run the segments one after another; gives :attr:`_results`.

        Args:
            leaves: the graph's inputs.
            engines: what runs each of the segments that are engines.
        """
        values: dict[Value, Any] = dict(zip(self._graph.inputs, leaves, strict=True))
        engine = iter(engines)
        with torch.no_grad():
            for segment in self.segments:
                tensors = [values[value] for value in segment.inputs]
                results = next(engine)(*tensors) if segment.in_engine else self._run_in_torch(segment, tensors)
                values.update(zip(segment.outputs, results, strict=True))
        return [values[value] for value in self._results]

    def _run_in_torch(self, segment: Segment, tensors: Sequence[torch.Tensor]) -> list[Any]:
        values: dict[Value, Any] = dict(zip(segment.inputs, tensors, strict=True))

        def look_up(value: Value) -> Any:
            if value in values:
                return values[value]
            return self._known[value] if value in self._known else self._resident(value)

        for node in segment.nodes:
            if node.blocks:
                runner = core.Runner(self._graph, {value: look_up(value) for value in node.values()})
                with torch_network():
                    results = runner.run_block(Block([], [node], list(node.outputs)), [])
            else:
                results = eager.call(node, [map_operand(operand, look_up) for operand in node.args])
            values.update(zip(node.outputs, results, strict=True))
        return [values[value] for value in segment.outputs]

    def _call(self, leaves: Sequence[torch.Tensor]) -> Sequence[Any]:
        """As :meth:`_run`, through a CUDA graph where that is wanted and possible."""
        engines = [engine.result() for engine in self._engines]
        if self._graphs is None:
            return self._run(leaves, engines)
        if torch.cuda.is_current_stream_capturing():
            cache = getattr(self._graphs, "cache", None)
            lent = None if cache is None else cache.lend(tuple(leaf.shape for leaf in leaves))
            return self._run(leaves, engines) if lent is None else lent.call(leaves)
        try:
            return self._replay(leaves, self._graphs)
        except CaptureError as error:
            self._graphs = None
            text = f"cuda_graph=True has no effect on this module, its calls are not captured: {error.message}"
            warnings.warn(text, RuntimeWarning, stacklevel=5)
            return self._run(leaves, engines)

    def _replay(self, leaves: Sequence[torch.Tensor], local: threading.local) -> Sequence[torch.Tensor]:
        if not all(leaf.is_cuda for leaf in leaves):
            raise CaptureError("an input lies in CPU memory")
        if getattr(local, "cache", None) is None:
            local.cache = GraphCache(self._captured, leaves[0].device, self._options.max_graphs)
        return local.cache.run(leaves, self._version)

    def _captured(self, leaves: Sequence[torch.Tensor], stream: torch.cuda.Stream) -> CapturedCall:
        contexts = [engine.result().context() for engine in self._engines]  # a graph is tied to those it came from

        def call(tensors: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
            results = self._run(tensors, contexts)
            if not all(isinstance(result, torch.Tensor) for result in results):
                raise CaptureError("a result is no tensor")
            return results

        return CapturedCall(call, leaves, leaves[0].device, stream)

    def _resident(self, value: Value) -> Any:
        """A parameter as the module has it now; a constant on the device of the inputs."""
        if value.key is not None:
            owner, _, name = value.key.rpartition(".")
            return getattr(self.module.get_submodule(owner), name)
        known = value.data if value.data is not None else self._plan.known[value]
        if isinstance(known, torch.Tensor):
            source = origin(known)
            if source is not None and self._loaded is not None:
                known = source.compute(self._loaded)
            known = known.to(self._device)
        self._known[value] = known
        return known

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the segments one after another; arguments and result are the module's.

        The module itself runs while an engine is built in the background.
        """
        if self._in_background:
            if not self.ready:
                with torch.no_grad():
                    return self.module(*args, **kwargs)
            self._in_background = False
        leaves = core.bind_inputs(self._graph, call_inputs(args, kwargs))
        self._prepare(leaves)
        values: dict[Value, Any] = dict(zip(self._graph.inputs, leaves, strict=True))
        values.update(zip(self._results, self._call(leaves), strict=True))
        outputs = [
            map_operand(output, lambda value: values[value] if value in values else self._resident(value))
            for output in self._plan.outputs
        ]
        return structure.unflatten(outputs, self._graph.output_structure)

    @property
    def ready(self) -> bool:
        """Whether all engines are there; until then, with ``background=True``, PyTorch runs the module."""
        return all(engine.done() for engine in self._engines)

    def wait(self) -> None:
        """Wait for the engines that are built in the background.

        Raises:
            BuildError, EngineError: one could not be built or loaded.
        """
        for engine in self._engines:
            engine.result()

    def refit(self) -> None:
        """Give the engines the parameters and buffers as they are now: changes in place are not noticed.

        Raises:
            EngineError: they were built without ``build={"refit": True}``.
        """
        self._take_new_weights()

    def _prepare(self, leaves: Sequence[torch.Tensor]) -> None:
        device = leaves[0].device
        if device != self._device:
            self._device = device
            self._known.clear()
            self._version += 1
        if self._news.unread:
            self._take_new_weights()

    def _take_new_weights(self) -> None:
        state = self._loaded = self.module.state_dict()
        self._known.clear()
        for engine in (built.result() for built in self._engines):
            if engine.weights.keys():
                engine.refit(state)
        self._version += 1
        self._news.unread = False

    def __reduce__(self) -> tuple[Any, ...]:
        blobs = [] if self._options.backend == "reference" else [built.result().to_bytes() for built in self._engines]
        options = dataclasses.replace(self._options, tune=self.tuned)
        return CompiledModule, (self.module, self._inputs, options, blobs)

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledModule:
        cls, (module, inputs, options, blobs) = self.__reduce__()
        return cls(copy.deepcopy(module, memo), inputs, options, blobs)
