"""Eager PyTorch against the network, and against the engine on a GPU, node by node; the first one where they part."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from . import core, trt_compat
from .binding import Inputs, module_of, normalize_inputs
from .context import network_state
from .convert import Converted, convert
from .errors import InputError
from .graph import Node, Value, walk_nodes
from .pairs import Complex
from .passes.fold import values_read
from .passes.spectra import VECTORS
from .reference import Evaluator
from .tracing import run_both

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Comparison", "Difference", "Report", "verify"]

Run = Callable[[Mapping[str, torch.Tensor], list[str]], Mapping[str, torch.Tensor]]
"""Gives the named tensors of a network for inputs by name."""


TOLERANCES = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 4e-2}
"""How far a node may be from eager's, relative to the largest magnitude, by the network's dtype of least digits."""


@dataclass(frozen=True)
class Difference:
    """How far a tensor is from eager PyTorch's.

    Args:
        max_abs: largest absolute error; infinite where only one of the two is finite.
        relative: ``max_abs`` over the largest expected magnitude.
        cosine: cosine similarity of the two, flattened, in float64; 1 for two zero tensors.
        index: where the largest error is.
        expected: eager's value there.
        actual: the other value there.
        within: whether it is within the tolerances.
    """

    max_abs: float
    relative: float
    cosine: float
    index: tuple[int, ...]
    expected: float
    actual: float
    within: bool


@dataclass(frozen=True)
class Comparison:
    """One node.

    Args:
        name: the value's name in the graph.
        kind: the op.
        scope: the module.
        source: the user's source line.
        layers: names of the TensorRT layers that it became.
        shape: of the result.
        dtype: of the result.
        inputs: shape and range of each input tensor, as text.
        network: the network's difference.
        engine: the engine's difference; None without one.
        largest: the largest finite magnitude in eager.
    """

    name: str
    kind: str
    scope: str
    source: str
    layers: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    inputs: tuple[str, ...]
    network: Difference
    engine: Difference | None
    largest: float

    @property
    def ok(self) -> bool:
        """Whether both agree with eager."""
        return self.network.within and (self.engine is None or self.engine.within)


FLOAT16_MAX = torch.finfo(torch.float16).max
_SHOWN = 20
"""How many layers of a node are named."""


@dataclass(frozen=True)
class Report:
    """What :func:`verify` found.

    Args:
        rows: every node whose result is in the network, in order.
        rtol: the relative tolerance.
        atol: the absolute tolerance.
        trace: how far the module's trace, in PyTorch, is from the module itself, over all that it returns; a module
            may compute something else while it is traced. None where there is no module to run, or it returns numbers,
            which are tensors in a trace.
    """

    rows: tuple[Comparison, ...]
    rtol: float
    atol: float
    trace: Difference | None = None

    @property
    def ok(self) -> bool:
        """Whether every node agrees, and the trace with the module."""
        return all(row.ok for row in self.rows) and (self.trace is None or self.trace.within)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def first_divergence(self) -> Comparison | None:
        """The first node whose result differs."""
        return next((row for row in self.rows if not row.ok), None)

    @property
    def first_float16_overflow(self) -> Comparison | None:
        """The first node whose result, in eager, does not fit into float16: it is unsafe there."""
        return next((row for row in self.rows if row.largest > FLOAT16_MAX), None)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        worst = max((row.network.relative for row in self.rows), default=0.0)
        yield f"{len(self.rows)} nodes, largest relative error {worst:.1e}: " + (
            "all agree" if all(row.ok for row in self.rows) else "they part"
        )
        if self.trace is not None and not self.trace.within:
            yield (
                f"the trace itself is off by {self.trace.relative:.1e}: the module computes something else while it is "
                "traced (see torch.jit.is_tracing)"
            )
        row = self.first_divergence
        if row is not None:
            which = row.network if not row.network.within else row.engine or row.network
            yield f"first at {row.kind} in module {row.scope or '(root)'!r}, {row.source}"
            yield f"  element {list(which.index)}: PyTorch {which.expected:.6g}, TensorRT {which.actual:.6g}"
            more = f" and {len(row.layers) - _SHOWN} more" if len(row.layers) > _SHOWN else ""
            yield f"  layers: {', '.join(row.layers[:_SHOWN])}{more}"
            yield from (f"  input {text}" for text in row.inputs)
        row = self.first_float16_overflow
        if row is not None:
            yield f"unsafe in float16: {row.kind} in module {row.scope or '(root)'!r} reaches {row.largest:.3g}"

    def table(self, only_wrong: bool = False) -> Table:
        """The rows as a table of the ``rich`` package."""
        from rich.table import Table

        table = Table(title="eager PyTorch against TensorRT")
        for column in ("module", "op", "shape", "max abs", "relative", "cosine", "engine", ""):
            table.add_column(column, justify="right" if column in ("max abs", "relative", "cosine") else "left")
        for row in self.rows:
            if only_wrong and row.ok:
                continue
            numbers = [f"{row.network.max_abs:.1e}", f"{row.network.relative:.1e}", f"{row.network.cosine:.6f}"]
            engine = "" if row.engine is None else f"{row.engine.relative:.1e}"
            mark = "" if row.ok else "<-"
            table.add_row(row.scope, row.kind, str(list(row.shape)), *numbers, engine, mark)
        return table

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as JSON; infinities and NaN are strings. Written to ``path`` if given."""
        first, overflow = self.first_divergence, self.first_float16_overflow
        content = {
            "ok": self.ok,
            "rtol": self.rtol,
            "atol": self.atol,
            "trace": _plain(self.trace),
            "first_divergence": None if first is None else first.name,
            "first_float16_overflow": None if overflow is None else overflow.name,
            "rows": _plain(self.rows),
        }
        text = json.dumps(content, indent=1)
        if path is not None:
            _write(path, text.encode())
        return text

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Error along the depth of the network, as a PNG; needs matplotlib."""
        import io

        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 4), layout="constrained")
        axes = figure.add_subplot()
        depth = range(len(self.rows))
        axes.plot(depth, [_drawable(row.network.relative) for row in self.rows], label="network")
        if any(row.engine for row in self.rows):
            axes.plot(
                depth, [_drawable(row.engine.relative) if row.engine else math.nan for row in self.rows], label="engine"
            )
        axes.set(yscale="log", xlabel="node", ylabel="relative error", title="against eager PyTorch")
        axes.legend()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
        _write(path, buffer.getvalue())


def _drawable(number: float) -> float:
    return max(number, 1e-10) if math.isfinite(number) else 1e10


def _write(path: str | os.PathLike[str], content: bytes) -> None:
    from .engine.files import write_file_atomically

    write_file_atomically(Path(path), content)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (Comparison, Difference)):
        return _plain(asdict(value))
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def verify(
    module: Callable[..., Any] | Converted,
    inputs: Inputs,
    *,
    rtol: float | None = None,
    atol: float = 1e-5,
    engine: bool | None = None,
    **options: Any,
) -> Report:
    """Compare every node of a module in eager PyTorch, in its network and, on a GPU, in its engine.

    Args:
        module: a module or function, or what :func:`torch2trt.convert` made of one.
        inputs: what to run them on; nested as for :func:`torch2trt.convert`.
        rtol: tolerance relative to the largest magnitude of eager's tensor; by default that of the dtype of least
            digits that the module has or its maths was cast to, see :data:`TOLERANCES`. Engines of TensorRT for RTX,
            which multiplies float32 in TF32, get float16's: TF32 has as many digits.
        atol: absolute tolerance.
        engine: whether to build and run an engine that gives every node's result; by default, where there is a GPU.
        options: further arguments of :func:`torch2trt.convert`.

    Raises:
        InputError: an engine is asked for and there is no GPU, a tolerance is negative, or the inputs do not fit.
    """
    require_tolerances(rtol, atol)
    use_engine = torch.cuda.is_available() if engine is None else engine
    if use_engine and not torch.cuda.is_available():
        raise InputError("running an engine needs a GPU", hint="leave out engine=True: the network is checked anyway")
    module = module_of(module)
    converted = module if isinstance(module, Converted) else convert(module, inputs, **options)
    expected = core.debug_call_graph(converted.graph, inputs, return_all=True)
    tensors = {
        name: held
        for name, value in converted.graph.results.items()
        if (held := _held(value)) and isinstance(expected.get(name), torch.Tensor)
    }
    named = converted.bind(inputs)
    wanted = sorted({part.name for held in tensors.values() for part in held if trt_compat.is_tensor(part)})
    actual = Evaluator(converted.network, outputs=wanted)(named)
    if any(node.kind in VECTORS for node in walk_nodes(converted.graph.nodes)):
        settle = partial(_with_signs_of, {name: _given(held, actual) for name, held in tensors.items()})
        expected = core.debug_call_graph(converted.graph, inputs, return_all=True, settle=settle)
    from_engine = _run_engine(converted, named, wanted) if use_engine else None
    layers = _layers_by_node(converted)
    rtol, for_engine = _tolerances(rtol, _precision(tensors))
    read = values_read(converted.graph.nodes, converted.graph.outputs)
    rows = []
    for node in walk_nodes(converted.graph.nodes):
        for value in node.outputs:
            if value.name in tensors and (value in read or not _is_place(node, value)):
                right = _real(expected[value.name])
                differences = [
                    None
                    if results is None
                    else difference(_given(tensors[value.name], results), right, tolerance, atol)
                    for results, tolerance in ((actual, rtol), (from_engine, for_engine))
                ]
                rows.append(_row(node, value, expected, differences, layers))
    of_trace = None if isinstance(module, Converted) else _of_trace(module, converted, inputs, atol)
    return Report(tuple(rows), rtol, atol, of_trace)


def require_tolerances(rtol: float | None, atol: float) -> None:
    """Refuse what is no tolerance.

    Raises:
        InputError: one is negative, NaN or no number.
    """
    for name, tolerance in (("rtol", 0.0 if rtol is None else rtol), ("atol", atol)):
        if not isinstance(tolerance, (int, float)) or not tolerance >= 0:
            raise InputError(f"{name}={tolerance!r} is no tolerance", hint="give a number that is not negative")


def _is_place(node: Node, value: Value) -> bool:
    """Whether a value says where a node's other results come from: of equal elements that is open."""
    return len(node.outputs) > 1 and value.dtype == torch.int64


def _held(result: Any) -> tuple[Any, ...]:
    """What holds a node's result in the network: one tensor, the two of a complex value, or none."""
    if isinstance(result, Complex):
        return tuple(result)
    return (result,) if trt_compat.is_tensor(result) else ()


def _given(held: Sequence[Any], results: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """A node's result; of a complex value both parts along a last axis."""
    found = [results[part.name] if trt_compat.is_tensor(part) else part for part in held]
    return found[0] if len(found) == 1 else torch.stack(torch.broadcast_tensors(*(part.cpu() for part in found)), -1)


def _with_signs_of(actual: Mapping[str, torch.Tensor], node: Node, results: list[Any]) -> list[Any]:
    """What a node gives in eager PyTorch; singular and eigenvectors, whose signs are open, with the network's signs."""
    results = list(results)
    for index, axis in VECTORS.get(node.kind, {}).items():
        vectors, name = results[index], node.outputs[index].name
        if name in actual:
            same = (actual[name].to(vectors.device) * vectors).sum(axis, keepdim=True) >= 0
            results[index] = torch.where(same, vectors, -vectors)
    return results


def _of_trace(module: Callable[..., Any], converted: Converted, inputs: Inputs, atol: float) -> Difference | None:
    """The largest difference between what the module gives and what its trace gives; None if these are not alike."""
    expected, actual = run_both(module, converted.trace, *normalize_inputs(inputs))
    if len(expected) != len(actual):
        return None
    differences = [
        difference(_real(traced), _real(own), TOLERANCES.get(own.dtype, TOLERANCES[torch.float32]), atol)
        for own, traced in zip(expected, actual, strict=True)
    ]
    return max(differences, key=lambda found: (not found.within, found.relative), default=None)


def _real(tensor: torch.Tensor) -> torch.Tensor:
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _tolerances(rtol: float | None, dtype: torch.dtype) -> tuple[float, float]:
    """The tolerance for the network, and for its engine."""
    if rtol is not None:
        return rtol, rtol
    own = TOLERANCES[dtype]
    return own, max(own, TOLERANCES[torch.float16]) if trt_compat.is_rtx() else own


def _precision(tensors: Mapping[str, Sequence[Any]]) -> torch.dtype:
    """The dtype of least digits that the network holds."""
    parts = (part for held in tensors.values() for part in held if trt_compat.is_tensor(part))
    found = {trt_compat.to_torch_dtype(part.dtype) for part in parts}
    return max(found & set(TOLERANCES), key=lambda dtype: TOLERANCES[dtype], default=torch.float32)


def _layers_by_node(converted: Converted) -> dict[str, tuple[str, ...]]:
    layers: dict[str, tuple[str, ...]] = {}
    for layer, node in network_state(converted.network).node_of.items():
        layers[node] = (*layers.get(node, ()), layer)
    return layers


def _row(
    node: Node,
    value: Value,
    expected: Mapping[str, Any],
    differences: list[Difference | None],
    layers: Mapping[str, tuple[str, ...]],
) -> Comparison:
    result = expected[value.name]
    network = differences[0]
    if network is None:
        raise InputError(f"the network gave nothing for {value.name}")
    return Comparison(
        value.name,
        node.kind,
        node.scope,
        node.source,
        layers.get(node.name, ()),
        tuple(result.shape),
        str(result.dtype).removeprefix("torch."),
        tuple(_summary(other.name, expected[other.name]) for other in node.values() if other.name in expected),
        network,
        differences[1],
        _largest(result),
    )


def _summary(name: str, value: Any) -> str:
    if not isinstance(value, torch.Tensor) or not value.numel():
        return f"{name}: {value}" if not isinstance(value, torch.Tensor) else f"{name}: empty {list(value.shape)}"
    numbers = (value.abs() if value.is_complex() else value).double()
    what = f"{name}: {value.dtype} {list(value.shape)}{' of magnitudes' if value.is_complex() else ''}"
    return f"{what} from {numbers.min().item():.4g} to {numbers.max().item():.4g}"


def _largest(tensor: torch.Tensor) -> float:
    if not (tensor.dtype.is_floating_point or tensor.is_complex()) or not tensor.numel():
        return 0.0
    return float(tensor.abs().nan_to_num(nan=0.0, posinf=0.0).max())


def difference(actual: torch.Tensor, expected: torch.Tensor, rtol: float, atol: float) -> Difference:
    """How far ``actual`` is from ``expected``; NaN agrees with NaN, and an infinity with itself."""
    left, right = actual.detach().cpu().double(), expected.detach().cpu().double()
    if left.shape != right.shape:
        return Difference(math.inf, math.inf, 0.0, (), math.nan, math.nan, within=False)
    if not right.numel():
        return Difference(0.0, 0.0, 1.0, (), 0.0, 0.0, within=True)
    same = (left == right) | (left.isnan() & right.isnan())
    errors = torch.where(same, 0.0, (left - right).abs().nan_to_num(nan=math.inf, posinf=math.inf))
    worst = int(errors.argmax())
    max_abs = float(errors.flatten()[worst])
    scale = _largest(right)
    index = tuple(int(position) for position in torch.unravel_index(torch.tensor(worst), right.shape))
    return Difference(
        max_abs,
        max_abs / scale if scale else max_abs,
        _cosine(left.flatten(), right.flatten()),
        index,
        float(right[index]),
        float(left[index]),
        max_abs <= atol + rtol * scale,
    )


def _cosine(left: torch.Tensor, right: torch.Tensor) -> float:
    finite = left.isfinite() & right.isfinite()
    left, right = left[finite], right[finite]
    norms = float(left.norm() * right.norm())
    return float(left @ right) / norms if norms else 1.0 if torch.equal(left, right) else 0.0


def _run_engine(
    converted: Converted, named: Mapping[str, torch.Tensor], wanted: list[str]
) -> Mapping[str, torch.Tensor]:
    """Build an engine whose outputs are all of ``wanted`` and run it once."""
    from .engine.bundle import Bundle
    from .engine.run import Engine

    network = converted.network
    tensors = {value.name: value for value in converted.graph.results.values() if trt_compat.is_tensor(value)}
    added = [
        tensors[name] for name in wanted if not tensors[name].is_network_output and not tensors[name].is_network_input
    ]
    for tensor in added:
        network.mark_output(tensor)
    try:
        bundle = Bundle(converted.serialize())
    finally:
        for tensor in added:
            network.unmark_output(tensor)
    with Engine(bundle) as engine:
        outputs = engine(*(named[spec.name].cuda() for spec in engine.inputs))
        results = outputs if isinstance(outputs, tuple) else (outputs,)
        found = {spec.name: result.cpu() for spec, result in zip(engine.outputs, results, strict=True)}
    return {**named, **found}
