"""Looking into an engine: its layers, and where its time goes."""

from __future__ import annotations

import importlib
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .. import trt_compat
from ..errors import EngineError, InputError
from ..trt_compat import trt
from .files import PathLike, write_file_atomically
from .loaded import LoadedEngine
from .session import Session

# Names that torch2trt gives to layers: module scope, op and ordinal. TensorRT joins those of the layers it fuses.
_LAYER_NAME = re.compile(
    r"(?<![\w/])(?<!\w\.)(?:(?P<scope>\w+(?:\.\w+)*)/)?(?P<op>[A-Za-z_]\w*)\.(?P<ordinal>\d+)(?!\w|\.\w)"
)
UNKNOWN = "(unknown)"


@dataclass(frozen=True)
class LayerInfo:
    """One layer of a built engine.

    Args:
        index: its place in the engine.
        name: TensorRT's name for it; of a fused layer, the names of its parts in some form.
        type: such as ``CaskConvolution``; empty unless the engine was built with ``profiling_verbosity="detailed"``.
        sources: the network's layers that it was made from, as far as names and metadata tell.
        scopes: the modules that these belong to; the root module's is ``""``.
        inputs: name, format and sizes of each input, as TensorRT writes them.
        outputs: the same for each output.
        tactic: the implementation that was chosen.
        details: everything that the inspector says.
    """

    index: int
    name: str
    type: str = ""
    sources: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    tactic: str = ""
    details: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def scope(self) -> str:
        """The innermost module that holds all of its sources; ``(unknown)`` when there are none."""
        return common_scope(self.scopes) if self.sources else UNKNOWN


def common_scope(scopes: Sequence[str]) -> str:
    """The innermost module that holds all of ``scopes``."""
    parts = [scope.split(".") if scope else [] for scope in scopes]
    shared = parts[0] if parts else []
    for path in parts[1:]:
        shared = shared[: _shared_length(shared, path)]
    return ".".join(shared)


def _shared_length(left: Sequence[str], right: Sequence[str]) -> int:
    """How many leading items are equal."""
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))


def source_layers(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The network layers that ``text`` names, and the module scopes of them; each once, in order."""
    names: dict[str, None] = {}
    scopes: dict[str, None] = {}
    for match in _LAYER_NAME.finditer(text):
        names[match.group()] = None
        scopes[match.group("scope") or ""] = None
    return tuple(names), tuple(scopes)


def layers(cuda_engine: Any) -> list[LayerInfo]:
    """The layers of an engine, in the order in which they are kept.

    Args:
        cuda_engine: a ``trt.ICudaEngine``; one built with ``profiling_verbosity="none"`` tells nothing, one built with
            ``layer_names_only`` the names.

    Raises:
        EngineError: the inspector's answer cannot be read.
    """
    inspector = cuda_engine.create_engine_inspector()
    return parse_layers(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def parse_layers(text: str) -> list[LayerInfo]:
    """The layers in what ``IEngineInspector`` writes as JSON.

    Raises:
        EngineError: it is no such JSON.
    """
    try:
        found = json.loads(text) if text.strip() else {}
        entries = found.get("Layers", [])
        return [_layer(index, entry) for index, entry in enumerate(entries)]
    except (ValueError, AttributeError, TypeError) as error:
        raise EngineError(f"the engine inspector's answer cannot be read: {error}") from error


def _layer(index: int, entry: Any) -> LayerInfo:
    if isinstance(entry, str):
        names, scopes = source_layers(entry)
        return LayerInfo(index, entry, sources=names, scopes=scopes)
    name = str(entry.get("Name", ""))
    names, scopes = source_layers(f"{name} {entry.get('Metadata', '')}")
    return LayerInfo(
        index,
        name,
        str(entry.get("LayerType", "")),
        names,
        scopes,
        tuple(_tensor(item) for item in entry.get("Inputs", [])),
        tuple(_tensor(item) for item in entry.get("Outputs", [])),
        str(entry.get("TacticName", entry.get("TacticValue", ""))),
        entry,
    )


def _tensor(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    kind = entry.get("Format/Datatype", entry.get("Format", ""))
    return f"{entry.get('Name', '')}: {kind} {entry.get('Dimensions', '')}".strip()


@dataclass(frozen=True)
class LayerTime:
    """How long one layer takes.

    Args:
        name: TensorRT's name for it.
        milliseconds: median over the runs.
        share: of the time of all layers, 0 to 1.
        scope: the module that it belongs to.
    """

    name: str
    milliseconds: float
    share: float
    scope: str


@dataclass(frozen=True)
class ProfileReport:
    """Where an engine's time goes.

    Args:
        layers: in the order in which they run.
        runs: how many runs the times are medians of.
    """

    layers: tuple[LayerTime, ...]
    runs: int

    @property
    def total(self) -> float:
        """Milliseconds of all layers together; layers that overlap count twice."""
        return sum(layer.milliseconds for layer in self.layers)

    def by_scope(self, depth: int | None = None) -> dict[str, float]:
        """Milliseconds by module, the largest first.

        Args:
            depth: how many names of a module's path to tell apart; None: all of them.
        """
        times: dict[str, float] = {}
        for layer in self.layers:
            scope = layer.scope if depth is None else ".".join(layer.scope.split(".")[:depth])
            times[scope] = times.get(scope, 0.0) + layer.milliseconds
        return dict(sorted(times.items(), key=lambda item: -item[1]))

    def __str__(self) -> str:
        rows = [f"{'ms':>9}  {'%':>5}  module  layer"]
        rows += [
            f"{layer.milliseconds:9.4f}  {100 * layer.share:5.1f}  {layer.scope or '(root)'}  {layer.name}"
            for layer in self.layers
        ]
        return "\n".join([*rows, f"{self.total:9.4f}  in {len(self.layers)} layers, medians of {self.runs} runs"])

    def print(self, *, limit: int = 30) -> None:
        """Print a table of the slowest layers.

        Args:
            limit: how many.

        Raises:
            InputError: rich is not installed.
        """
        table = _optional("rich.table", "rich").Table(title=f"{self.total:.3f} ms, medians of {self.runs} runs")
        for title, side in (("ms", "right"), ("%", "right"), ("module", "left"), ("layer", "left")):
            table.add_column(title, justify=side, overflow="fold")
        slowest = sorted(self.layers, key=lambda layer: -layer.milliseconds)
        for layer in slowest[:limit]:
            share, scope = f"{100 * layer.share:.1f}", layer.scope or "(root)"
            table.add_row(f"{layer.milliseconds:.4f}", share, scope, layer.name)
        rest = slowest[limit:]
        if rest:
            time = sum(layer.milliseconds for layer in rest)
            table.add_row(f"{time:.4f}", f"{100 * time / (self.total or 1):.1f}", "", f"{len(rest)} more")
        _optional("rich.console", "rich").Console().print(table)

    def plot(self, path: PathLike, *, limit: int = 25, depth: int | None = None) -> None:
        """Draw a bar chart of the modules' times to a PNG file.

        Args:
            path: the file.
            limit: how many modules.
            depth: see :meth:`by_scope`.

        Raises:
            InputError: matplotlib is not installed.
            EngineError: the file cannot be written.
        """
        figures = _optional("matplotlib.figure", "matplotlib")
        times = list(self.by_scope(depth).items())[:limit][::-1]
        figure = figures.Figure(figsize=(9, 1 + 0.3 * max(1, len(times))), layout="constrained")
        axes = figure.add_subplot()
        bars = axes.barh([scope or "(root)" for scope, _ in times], [time for _, time in times])
        axes.bar_label(bars, fmt="%.3f", padding=3)
        axes.set_xlabel("ms")
        axes.set_title(f"{self.total:.3f} ms in {len(self.layers)} layers, medians of {self.runs} runs")
        write_file_atomically(path, lambda file: figure.savefig(file, format="png", dpi=120))

    def chrome_trace(self, path: PathLike) -> None:
        """Write the layers, one after the other inside their modules, for Perfetto or chrome://tracing.

        Raises:
            EngineError: the file cannot be written.
        """
        content = {"traceEvents": trace_events(self.layers), "displayTimeUnit": "ms"}
        write_file_atomically(path, json.dumps(content).encode())


def trace_events(times: Sequence[LayerTime]) -> list[dict[str, Any]]:
    """Events of Chrome's trace format: a slice for each layer, inside slices for the modules around it."""
    events: list[dict[str, Any]] = []
    open_slices: list[tuple[str, float]] = []
    now = 0.0

    def close_to(depth: int) -> None:
        while len(open_slices) > depth:
            name, begin = open_slices.pop()
            events.append(_slice(name, begin, now - begin, "module"))

    for layer in times:
        path = layer.scope.split(".") if layer.scope else []
        shared = _shared_length([name for name, _ in open_slices], path)
        close_to(shared)
        open_slices.extend((name, now) for name in path[shared:])
        duration = 1000 * layer.milliseconds
        events.append({**_slice(layer.name, now, duration, "layer"), "args": {"module": layer.scope}})
        now += duration
    close_to(0)
    return sorted(events, key=lambda event: (event["ts"], -event["dur"]))


def _slice(name: str, begin: float, duration: float, category: str) -> dict[str, Any]:
    return {"name": name, "cat": category, "ph": "X", "ts": begin, "dur": duration, "pid": 1, "tid": 1}


def _optional(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(f"this needs {package}", hint=f"pip install {package}") from None


_profiler_type: type | None = None


def _profiler() -> Any:
    """A ``trt.IProfiler``; ``.times`` lists (layer name, milliseconds) of the latest run."""
    global _profiler_type
    if _profiler_type is None:
        _profiler_type = _make_profiler_type()
    return _profiler_type()


def _make_profiler_type() -> type:
    class Profiler(trt_compat.load().IProfiler):  # type: ignore[misc]
        """Collects what TensorRT reports after a run."""

        def __init__(self) -> None:
            super().__init__()
            self.times: list[tuple[str, float]] = []

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.times.append((layer_name, ms))

    return Profiler


def profile(loaded: LoadedEngine, tensors: Sequence[torch.Tensor], *, runs: int, warmup: int) -> ProfileReport:
    """Time each layer of an engine.

    Args:
        loaded: the engine.
        tensors: its inputs, checked.
        runs: how many runs the times are the medians of.
        warmup: how many runs come before.

    Raises:
        InputError: ``runs`` is not positive.
        EngineError: the engine cannot be run, or TensorRT reports no times.
    """
    if runs < 1:
        raise InputError(f"runs={runs} measures nothing")
    collected: list[list[tuple[str, float]]] = []
    with torch.cuda.device(loaded.device):
        chosen = loaded.choose_profile([tensor.shape for tensor in tensors], 0)
        session = Session(loaded, profile=chosen)
        recorder = _profiler()
        stream = torch.cuda.Stream(loaded.device)
        stream.wait_stream(torch.cuda.current_stream(loaded.device))
        session.bind(tensors)
        outputs = session.allocate()
        for index in range(warmup + runs):
            if index == warmup:
                session.context.profiler = recorder
            session.run(outputs, stream.cuda_stream)
            stream.synchronize()
            if index >= warmup:
                collected.append(list(recorder.times))
                recorder.times.clear()
    if not collected[0]:
        raise EngineError("TensorRT reported no layer times", hint='build with profiling_verbosity="detailed"')
    scopes = {layer.name: layer.scope for layer in layers(loaded.cuda_engine)}
    return summarise(collected, scopes)


def summarise(runs: Sequence[Sequence[tuple[str, float]]], scopes: Mapping[str, str]) -> ProfileReport:
    """The report on runs that list (layer name, milliseconds).

    Args:
        runs: of one engine, so that all list the same layers in the same order.
        scopes: the module of each layer, by layer name; what is not in it is told from the name.
    """
    medians = [statistics.median(run[index][1] for run in runs) for index in range(len(runs[0]))]
    total = sum(medians) or 1.0
    times = []
    for (name, _), median in zip(runs[0], medians, strict=True):
        found, places = source_layers(name)
        scope = scopes.get(name, UNKNOWN)
        if scope == UNKNOWN and found:
            scope = common_scope(places)
        times.append(LayerTime(name, median, median / total, scope))
    return ProfileReport(tuple(times), len(runs))
