"""``torch2trt.compile``: engines for what TensorRT runs, PyTorch for the rest, as one nn.Module."""

from __future__ import annotations

import copy
import dataclasses
import functools
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from . import core, eager, structure
from .binding import Inputs, module_of
from .context import torch_network
from .convert import Converted, call_inputs
from .engine.graphs import CapturedCall, CaptureError, GraphCache
from .errors import InputError
from .graph import Block, Value, map_operand, operand_values
from .partition import Segment
from .pieces import CompileOptions, Pieces, parse_options
from .reference import Evaluator
from .weights import origin

__all__ = ["CompiledModule", "compile_module"]


def compile_module(module: torch.nn.Module, inputs: Inputs, **options: Any) -> CompiledModule:
    """A module that runs in TensorRT engines what TensorRT can run, and the rest in PyTorch.

    Args:
        module: an nn.Module, in eval mode.
        inputs: example inputs, as for :func:`torch2trt.convert`.
        options: ``dynamic_shapes``, ``precision``, ``keep_float32``, ``allow_float64_as_float32``, ``optimize``,
            ``mutated_inputs`` as for :func:`torch2trt.convert`; ``exclude``, a pattern of the ``regex`` package over op
            kinds and module scopes that stay in PyTorch; ``min_block_size``, the fewest nodes that are worth an engine;
            ``full=True`` to raise if a node would stay in PyTorch; ``backend="reference"`` to run the networks in the
            reference evaluator, which needs no GPU; ``engine_cache``, where engines are kept to be found again
            (:mod:`torch2trt.engine.cached`); ``background=True`` to build engines in a thread while PyTorch answers the
            calls (:meth:`CompiledModule.wait`); ``cuda_graph=True`` to capture whole calls, engines and what stays in
            PyTorch alike, in CUDA graphs, one for each combination of input shapes and ``max_graphs`` of them at most
            (where that is impossible, a warning says so once); beside it ``tune=True`` to leave to PyTorch what it
            computes faster on this GPU, which is measured op by op and takes about a second for each kind and size
            (:mod:`torch2trt.tuning`), or the :attr:`CompiledModule.tuned` of an earlier run; ``build``, a dict of
            :class:`torch2trt.engine.build.BuildOptions` fields; ``run``, a dict of options of
            :class:`torch2trt.engine.run.Engine`.

    Raises:
        InputError: an option does not exist or does not fit.
        UnsupportedOpError: ``full`` is set and ops have no handler.
        Torch2TRTError: ``full`` is set and a node cannot be converted.
        BuildError: an engine could not be built; in the background, the next call raises it.
    """
    return CompiledModule(module, inputs, parse_options(options))


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
        module = module_of(module)
        if not isinstance(module, torch.nn.Module):
            raise InputError(f"compile takes an nn.Module, not {type(module).__name__}")
        self.module = module
        pieces = Pieces(module, inputs, options)
        self._plan, self._graph = pieces.plan, pieces.prepared.graph
        self._inputs, self._options = inputs, options
        self.segments = pieces.segments
        self.tuned = pieces.tuned
        """What stays in PyTorch because it is faster there, by node; given as ``tune=`` it needs no measuring again."""
        stored = iter(engines or ())
        work: list[_Work] = []
        for segment in self.segments:
            if segment.in_engine:
                work.append((Future(), self._maker(pieces, segment, next(stored, None))))
        self._engines = [engine for engine, _ in work]
        wanted = set(operand_values(self._plan.outputs))
        self._results = [value for segment in self.segments for value in segment.outputs if value in wanted]
        self._has_graphs = options.cuda_graph
        self._graphs = threading.local()  # each thread has its own
        self._version = 0  # of the weights
        self._known: dict[Value, Any] = {}
        self._device: torch.device | None = None
        self._loaded: dict[str, torch.Tensor] | None = None  # the weights, if they are not those that were traced
        self._news = _News()
        loaded = self if isinstance(module, torch.jit.ScriptModule) else module  # scripted ones have no such hooks
        loaded.register_load_state_dict_post_hook(functools.partial(_note_new_weights, self._news))
        self._register_state_dict_hook(_without_owner)
        self._register_load_state_dict_pre_hook(_with_owner)
        self._in_background = options.background and engines is None
        if self._in_background:
            device = torch.cuda.current_device() if torch.cuda.is_available() else None
            threading.Thread(target=_make_in_turn, args=(work, device), name="torch2trt-compile").start()
        else:
            for engine, make in work:
                engine.set_result(make())

    def _maker(self, pieces: Pieces, segment: Segment, blob: bytes | None) -> Callable[[], Any]:
        """What makes the engine of a segment, whose network is there already unless the engine is stored."""
        options = self._options
        if options.backend == "reference":
            return functools.partial(_Evaluated, pieces.network(segment))
        from .engine.run import Engine

        if blob is not None:
            return functools.partial(Engine.from_bytes, blob, auto_contiguous=True, **options.run)
        converted = pieces.network(segment)

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
        cache: GraphCache[CapturedCall] | None = getattr(self._graphs, "cache", None)
        in_capture = (self._has_graphs or cache is not None) and torch.cuda.is_current_stream_capturing()
        if in_capture and cache is not None:
            lent = cache.lend(tuple(leaf.shape for leaf in leaves))
            if lent is not None:
                return lent.call(leaves)
        if in_capture or not self._has_graphs:
            return self._run(leaves, engines)
        try:
            if not all(leaf.is_cuda for leaf in leaves):
                raise CaptureError("an input lies in CPU memory")
            if cache is None:
                cache = self._graphs.cache = GraphCache(self._captured, leaves[0].device, self._options.max_graphs)
            return cache.run(leaves, self._version)
        except CaptureError as error:
            self._has_graphs = False
            text = f"cuda_graph=True has no effect on this module, its calls are not captured: {error.message}"
            warnings.warn(text, RuntimeWarning, stacklevel=5)
            return self._run(leaves, engines)

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
            return functools.reduce(getattr, value.key.split("."), self.module)
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
