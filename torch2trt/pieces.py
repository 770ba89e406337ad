"""A module's trace in pieces: which node goes into an engine and which stays in PyTorch, and the engines' networks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from . import core, coverage, partition, trt_compat, tuning
from .arguments import pattern_of, require_known, whole_number
from .binding import Inputs
from .context import building, torch_network, trt_network
from .convert import Converted
from .dynamic import DynamicShapes, Range
from .engine.graphs import Call
from .errors import InputError, Torch2TRTError, UnsupportedArgumentError, UnsupportedOpError
from .graph import Graph, Node, Value
from .outputs import mark_outputs
from .partition import Segment
from .passes.data_sizes import data_sized
from .passes.fold import Plan, fold, values_read
from .passes.functionalize import MutatedInputs, require_choice
from .passes.optimize import optimize as optimize_plan
from .passes.optimize import parse_passes
from .passes.quantisations import without_quantised_tensors
from .passes.spectra import values_alone
from .precision import parse_precision
from .structure import LEAF, Structure
from .trt_compat import trt

if TYPE_CHECKING:
    from .engine.cached import CacheChoice

__all__ = ["CompileOptions", "Explanation", "Pieces", "explain", "parse_options"]

BACKENDS = ("engine", "reference")


@dataclass(frozen=True)
class CompileOptions:
    """How :func:`torch2trt.compilation.compile_module` converts; its arguments of the same names describe them."""

    dynamic_shapes: DynamicShapes | None = None
    exclude: str | None = None
    min_block_size: int = 1
    full: bool = False
    precision: str = "float32"
    keep_float32: str | None = None
    allow_float64_as_float32: bool = False
    optimize: bool | Iterable[str] = True
    mutated_inputs: MutatedInputs = "error"
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
        options: as for :func:`torch2trt.compilation.compile_module`.
    """
    pieces = Pieces(module, inputs, parse_options(options))
    return Explanation(tuple(pieces.segments), pieces.prepared.graph.rewrites)


def parse_options(options: Mapping[str, Any]) -> CompileOptions:
    """The options of :func:`torch2trt.compilation.compile_module` from its keyword arguments.

    Raises:
        InputError: one does not exist, or they do not go together.
    """
    require_known("option of compile", options, {field.name for field in dataclasses.fields(CompileOptions)})
    chosen = CompileOptions(**options)
    chosen = dataclasses.replace(chosen, optimize=parse_passes(chosen.optimize))  # it may be read only once
    pattern_of("exclude", chosen.exclude)
    parse_precision(chosen.precision, chosen.keep_float32)
    require_choice(chosen.mutated_inputs)
    for name in ("min_block_size", "max_graphs"):
        if whole_number(getattr(chosen, name)) is None:
            raise InputError(f"{name}={getattr(chosen, name)!r} is no whole number")
    _check_parts(chosen)
    if chosen.backend not in BACKENDS:
        raise InputError(f"backend={chosen.backend!r} is none of {', '.join(BACKENDS)}")
    if chosen.cuda_graph and chosen.backend != "engine":
        raise InputError(f"cuda_graph=True needs engines, and backend={chosen.backend!r} has none")
    if chosen.max_graphs < 1:
        raise InputError(f"max_graphs={chosen.max_graphs} keeps no graph", hint="leave cuda_graph=True out instead")
    if chosen.background and chosen.mutated_inputs != "error":
        raise InputError(
            f"mutated_inputs={chosen.mutated_inputs!r} goes with no background=True: until the engines are there, the "
            "module answers, and writes to its inputs"
        )
    if chosen.tune is True and (not chosen.cuda_graph or chosen.background):
        raise InputError(
            "tune=True measures engines in CUDA graphs, before any call",
            hint="pass cuda_graph=True, and no background=",
        )
    return chosen


def _check_parts(chosen: CompileOptions) -> None:
    """Refuse options of builds and engines that do not exist."""
    if chosen.backend != "engine":
        return
    from .engine.options import BuildOptions
    from .engine.run import option_names

    of_build = {field.name for field in dataclasses.fields(BuildOptions)}
    for name, known in (("build", of_build), ("run", option_names() - {"auto_contiguous"})):
        given = getattr(chosen, name)
        if not isinstance(given, Mapping):
            raise InputError(f"{name}={given!r} is no dict of options")
        require_known(f"option in {name}", given, known)
    BuildOptions(**chosen.build)


class Pieces:
    """The trace of a module and its segments."""

    def __init__(self, module: Callable[..., Any], inputs: Inputs, options: CompileOptions) -> None:
        self.options = options
        self.prepared = core.prepare(
            module, inputs, dynamic_shapes=options.dynamic_shapes, mutated_inputs=options.mutated_inputs
        )
        self.plan = fold(self.prepared.graph)
        values_alone(self.plan)
        self._excluded = pattern_of("exclude", options.exclude)
        without_quantised_tensors(self.plan)
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
        return kept or ("" if self.options.allow_float64_as_float32 else partition.dtype_reason(node))

    def _measured(self) -> dict[str, str]:
        if not self._shapes.on_gpu:
            raise InputError("tune=True measures on a GPU, and the inputs are elsewhere")
        nodes = [node for node in self.plan.nodes if not self._reason(node)]
        return tuning.faster_in_pytorch(self.plan, nodes, self._shapes.values("opt"), self._engine_of)

    def _known(self, tuned: Mapping[str, str]) -> dict[str, str]:
        missing = set(tuned).difference(node.name for node in self.plan.nodes)
        if missing:
            raise InputError(f"tune= is of another module, this one has no nodes {', '.join(sorted(missing))}")
        return dict(tuned)

    def _engine_of(self, node: Node, inputs: list[Value]) -> Call:
        """An engine of one node alone."""
        converted = self._convert(Segment(True, [node], inputs, node.outputs))
        engine = converted.build(engine_cache=self.options.engine_cache, auto_contiguous=True, **self.options.build)
        return lambda tensors: engine(*tensors)

    def _is_unbuilt(self, node: Node) -> bool:
        if not (trt_compat.is_available() and trt_compat.is_rtx()):
            return False
        return bool(self._data_sized.intersection([*node.outputs, *node.values()]))

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
        ranges = self._graph.ranges
        leaves = [
            _resized(example, ranges.get(name, {}), which)
            for name, example in zip(self._graph.input_names, self._examples, strict=True)
        ]
        try:
            return self._run(leaves)
        except UnsupportedArgumentError:
            if not any(ranges.values()):
                raise
        # The example's indices may be beyond the smallest size; 0 is not.
        return self._run([leaf if leaf.is_floating_point() else torch.zeros_like(leaf) for leaf in leaves])

    def _run(self, leaves: Sequence[torch.Tensor]) -> dict[Value, Any]:
        plan = self._plan
        known = {
            value: _moved(value.data if value.data is not None else plan.known[value], leaves[0].device)
            for value in values_read(plan.nodes, plan.outputs)
            if value.data is not None or value in plan.known
        }
        runner = core.Runner(self._graph, known)
        with torch_network():
            runner.run(plan.nodes, list(leaves), plan.outputs)
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
