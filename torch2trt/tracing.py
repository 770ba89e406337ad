"""torch.jit.trace of a module, read into our own graph."""

from __future__ import annotations

import contextlib
import itertools
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from . import torch_compat, trace_modes
from .attributes import Attributes, within_attributes
from .binding import argument_names, check_target, default_input_names
from .dynamic import Alternatives, made_regular
from .errors import InputError, Location, ShapeError, TraceError
from .graph import Graph, operand_values, walk_nodes
from .guard import CheckedIndices
from .passes.dynamic import mark_dynamic
from .passes.numbers import return_numbers
from .products import NumbersNeeded, uncomputed_products
from .reached import free_name, modules_of
from .reading import GraphReader
from .structure import Structure, flatten, unflatten
from .trace_gradients import GradientsTaken, SavedResults, unknown_to_gradients
from .trace_numbers import NumbersRead


class FlatModule(torch.nn.Module):
    """A module or function with tensors in and tensors out, whatever nesting it has itself."""

    def __init__(self, target: Callable[..., Any], structure: Structure) -> None:
        super().__init__()
        # Plain attributes: nn.Module would register the target, and torch.jit.trace would try to script the structure.
        self.__dict__.update(target=target, structure=structure, mode=contextlib.nullcontext())
        self.__dict__.update(keeps_attributes=False, replaced=[], reads=None, saved=None)
        if isinstance(target, torch.nn.Module):
            self.module = target
        else:
            # The tracer refuses parameters that no submodule owns, so a function's modules become submodules.
            for name, module in modules_of(target).items():
                self.add_module(free_name(name, dir(self)), module)
        # torch.jit.trace puts the wrapper itself in a mode; the mode of what is wrapped must not change.
        self.training = bool(getattr(target, "training", False))

    def strip(self, path: str) -> str:
        """A path to a parameter or module of this wrapper, as one of what it wraps."""
        if "module" not in self._modules:
            return path
        return "" if path == "module" else path.removeprefix("module.")

    def compiled(self) -> set[str]:
        """The paths of the modules that are in TorchScript already."""
        modules = self.named_modules(remove_duplicate=False)
        return {path for path, module in modules if isinstance(module, torch.jit.ScriptModule)}

    def plain_tensors(self) -> list[tuple[str, torch.Tensor]]:
        """The tensors among the modules' attributes that are neither parameters nor buffers, with their paths."""
        return [
            (self.strip(path), value)
            for path, value in within_attributes(self)
            if isinstance(value, torch.Tensor) and value.layout is torch.strided
        ]

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Flat tensors in, flat tensors out."""
        args, kwargs = unflatten(tensors, self.__dict__["structure"])
        reads = self.__dict__["reads"]
        with self.__dict__["mode"], reads or contextlib.nullcontext():
            if reads is not None:
                reads.clear()
            result = self.__dict__["target"](*args, **kwargs)
        leaves, self.__dict__["output_structure"] = flatten(result)
        if reads is not None:
            leaves = [*leaves, *reads.tensors]
        for leaf in leaves:
            trace_modes.hold_in_trace(leaf)
        return tuple(leaves)

    @contextlib.contextmanager
    def giving_reads(self) -> Iterator[None]:
        """Within the block, traces give the whole numbers that Python reads, too, behind what the module gives."""
        self.__dict__["reads"] = NumbersRead()
        try:
            yield
        finally:
            self.__dict__["reads"] = None

    @contextlib.contextmanager
    def keeping_attributes(self) -> Iterator[None]:
        """Within the block, what a run assigns stays for the next one; after it, attributes are as before it."""
        attributes = Attributes(self)
        self.__dict__["keeps_attributes"] = True
        try:
            yield
        finally:
            self.__dict__["keeps_attributes"] = False
            attributes.restore()

    @contextlib.contextmanager
    def inside(self, mode: contextlib.AbstractContextManager[Any]) -> Iterator[None]:
        """Within the block, what is wrapped runs inside ``mode``, and the tracer's own work does not."""
        self.__dict__["mode"] = mode
        try:
            yield
        finally:
            self.__dict__["mode"] = contextlib.nullcontext()

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """After the block, the modules' buffers and other attributes are what they were before it."""
        kept = [*self.buffers(), *(tensor for _, tensor in self.plain_tensors())]
        held = [(tensor, tensor.detach().clone()) for tensor in kept]
        attributes = Attributes(self)
        try:
            yield
        finally:
            if not self.__dict__["keeps_attributes"]:
                self.__dict__["replaced"] = attributes.restore()
            with torch.no_grad():
                for tensor, saved in held:
                    # Batch norm in training writes its statistics without raising the buffer's version.
                    if not torch.equal(tensor, saved):
                        with torch.autograd._unsafe_preserve_version_counter(tensor):
                            tensor.copy_(saved)


def run_both(
    module: Callable[..., Any], traced: torch.jit.ScriptModule, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The tensors that a module gives in plain PyTorch, and those that its trace gives.

    The module and the inputs are as before afterwards. Random numbers are the same in both, and so is memory that
    nobody set, as in ``torch.empty``.

    Args:
        module: an nn.Module or a function of tensors.
        traced: what :func:`trace_graph` made of it.
        args: positional arguments, nested at will around tensors.
        kwargs: keyword arguments.
    """
    leaves, nesting = flatten((args, kwargs))
    flat = FlatModule(module, nesting)
    found = []
    for run in (flat, traced):
        with torch.no_grad(), _deterministic(), torch.random.fork_rng(), flat.unchanged():
            torch.manual_seed(0)
            found.append(list(run(*(leaf.detach().clone() for leaf in leaves))))
    return found[0], found[1]


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    """Within the block, PyTorch gives the same twice, where it can; what it warns of is not shown."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def trace_graph(
    module: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    input_names: Sequence[str] | None = None,
    alternatives: Alternatives | None = None,
) -> tuple[torch.jit.ScriptModule, Graph]:
    """Trace ``module`` on example arguments.

    The module is as before afterwards: training flags, buffers, gradients, random state.

    Args:
        module: an nn.Module or a function of tensors.
        args: positional arguments, nested at will around tensors.
        kwargs: keyword arguments.
        input_names: one name a tensor; the names of forward's parameters by default.
        alternatives: the tensors among the arguments once more, other sizes along the axes that are dynamic; the
            module is traced on these too, and what differs between the traces is dynamic. So is what a third trace
            has otherwise, at odd sizes; where that differs in more than sizes, a warning says what does, and where.

    Returns:
        the traced module, which takes and gives flat tuples of tensors, and its graph.

    Raises:
        InputError: the arguments do not fit, hold no tensor, or are on another device than the module.
        TraceError: torch cannot trace the module.
        ShapeError: the trace at the other sizes differs in more than sizes.
    """
    kwargs = kwargs or {}
    if torch._C._get_tracing_state() is not None:
        raise TraceError(
            "a module is converted inside of a forward that is being traced", hint="convert it before that, or after"
        )
    check_target(module, args, kwargs)
    leaves, structure = flatten((args, kwargs))
    if not leaves and (args or kwargs):
        raise InputError("the inputs hold no tensor", hint="give example tensors, such as torch.zeros(1, 3, 224, 224)")
    _check_leaves(module, leaves)
    names = list(input_names) if input_names is not None else default_input_names(module, args, kwargs)
    _check_names(names, len(leaves))
    flat = FlatModule(module, structure)
    if any(getattr(child, "training", False) for child in flat.modules()):  # frozen ones have no such attribute
        warnings.warn(
            "the module is in training mode: dropout and batch norm are traced as in training; call .eval() first",
            stacklevel=3,
        )
    traced, graph = _trace_once(flat, leaves, names)
    if alternatives is not None:
        traced, graph = _marked(flat, leaves, alternatives, names, traced, graph)
    return_numbers(graph)
    _warn_of_replaced(flat, graph)
    graph.argument_names = argument_names(module, args, kwargs)
    state = flat.state_dict().items()  # which may hold more than tensors: a module's extra state
    graph.state_shapes = {flat.strip(key): tuple(held.shape) for key, held in state if isinstance(held, torch.Tensor)}
    return traced, graph


def _marked(
    flat: FlatModule,
    leaves: Sequence[torch.Tensor],
    alternatives: Alternatives,
    names: list[str],
    traced: torch.jit.ScriptModule,
    graph: Graph,
) -> tuple[torch.jit.ScriptModule, Graph]:
    """The trace and its graph with dynamic sizes marked, or others for which that can be done.

    Raises:
        ShapeError: traces of the module differ in more than sizes.
    """
    try:
        _mark(flat, graph, alternatives, names)
        return traced, graph
    except ShapeError:
        pass
    with contextlib.suppress(ShapeError), flat.giving_reads():  # ints may follow what Python read from sizes
        graph = _graph_alone(flat, leaves, names)
        _mark(flat, graph, alternatives, names)
        return traced, graph
    # What the first run makes may stay, and the traces after it agree then; or they agree where it is of another size.
    with contextlib.suppress(TraceError, ShapeError), flat.keeping_attributes():
        _graph_at(flat, alternatives.third or alternatives.tensors, names)
        traced, graph = _trace_once(flat, leaves, names)
        _mark(flat, graph, alternatives, names)
        return traced, graph
    with flat.keeping_attributes():
        _trace_once(flat, leaves, names)
        traced, graph = _trace_once(flat, leaves, names)
        _mark(flat, graph, alternatives, names, lenient=True)
    return traced, graph


def _check_names(names: list[str], count: int) -> None:
    if len(names) != count:
        raise InputError(f"{len(names)} input names {names} for {count} input tensors")
    if len(set(names)) != len(names):
        raise InputError(f"input names must differ: {names}")


def _trace_elsewhere(flat: FlatModule, leaves: Sequence[torch.Tensor], names: list[str]) -> Graph:
    try:
        return _graph_at(flat, leaves, names)
    except TraceError as error:
        shapes = ", ".join(f"{name} {list(leaf.shape)}" for name, leaf in zip(names, leaves, strict=True))
        raise ShapeError(
            f"the module does not run at other sizes of its dynamic axes ({shapes}): {error.message}",
            hint="give ranges in which it runs, or compute sizes from tensors inside forward (x.shape, x.size())",
        ) from error


def _graph_at(flat: FlatModule, leaves: Sequence[torch.Tensor], names: list[str]) -> Graph:
    """The graph of a trace at sizes that are not the examples'.

    Raises:
        TraceError: the module does not run there.
    """
    try:
        with flat.inside(_guard(leaves)):
            return _graph_alone(flat, leaves, names)
    except TraceError:
        regular = made_regular(leaves)
        if all(new is old for new, old in zip(regular, leaves, strict=True)):
            raise
    with flat.inside(_guard(regular)):
        return _graph_alone(flat, regular, names)


def _mark(
    flat: FlatModule, graph: Graph, alternatives: Alternatives, names: list[str], *, lenient: bool = False
) -> None:
    """Mark what is dynamic; ``lenient``, warn where the trace at third sizes, that nobody may use, is another one.

    Ints that follow an axis must do so at third sizes, or at those among them that are in step with the ranges.

    Raises:
        ShapeError: the traces differ in more than sizes.
    """
    followed = mark_dynamic(graph, _trace_elsewhere(flat, alternatives.tensors, names), alternatives.names)
    if followed and lenient:
        _mark_more_sizes(flat, graph, alternatives.in_step, names)
    (_warn_of_sizes if lenient else _mark_more_sizes)(flat, graph, alternatives.third, names)
    for place, axis in followed:
        for leaves in alternatives.apart(place, axis):
            _mark_more_sizes(flat, graph, leaves, names)
    for leaves in alternatives.of_one():
        _warn_of_sizes(flat, graph, leaves, names)
    if followed:
        told = [
            f"axis {axis} of {names[place]!r}{f' ({location.source})' if location.source else ''}"
            for (place, axis), location in followed.items()
        ]
        warnings.warn(f"ints are taken to follow sizes, as they do in all traces: {', '.join(told)}", stacklevel=5)


def _mark_more_sizes(flat: FlatModule, graph: Graph, leaves: Sequence[torch.Tensor] | None, names: list[str]) -> None:
    """Mark what no trace at sizes like 224 and 512 shows: halves, paddings to a multiple, parities.

    Raises:
        ShapeError: the trace at these sizes differs in more than the sizes that are dynamic.
    """
    if leaves is None:
        return
    try:
        other = _graph_at(flat, leaves, names)
    except TraceError:  # a model may need multiples, which ranges cannot say
        return
    mark_dynamic(graph, other)


def _warn_of_sizes(flat: FlatModule, graph: Graph, leaves: Sequence[torch.Tensor] | None, names: list[str]) -> None:
    try:
        _mark_more_sizes(flat, graph, leaves, names)
    except ShapeError as error:
        shapes = ", ".join(f"{name} {list(leaf.shape)}" for name, leaf in zip(names, leaves or (), strict=True))
        warnings.warn(f"results may be wrong at sizes such as {shapes}: {error}", stacklevel=4)


def _guard(leaves: Sequence[torch.Tensor]) -> contextlib.AbstractContextManager[Any]:
    """What keeps a trace at sizes that nobody has tried from stopping the GPU: indices may be out of range there."""
    return contextlib.nullcontext() if all(leaf.device.type == "cpu" for leaf in leaves) else CheckedIndices()


def _trace_once(
    flat: FlatModule, leaves: Sequence[torch.Tensor], names: list[str]
) -> tuple[torch.jit.ScriptModule, Graph]:
    traced = _run_tracer(flat, leaves)
    graph, constants = _read(flat, traced, names)
    if any(constant._version for constant in constants):
        before = trace_modes.MemoryBefore()
        traced = _run_tracer(flat, leaves, before)
        graph, constants = _read(flat, traced, names)
        _restore_constants(flat, constants, before)
    return traced, graph


def _graph_alone(flat: FlatModule, leaves: Sequence[torch.Tensor], names: list[str]) -> Graph:
    """The graph of a trace that nobody will run."""
    traced, graph = _trace_once(flat, leaves, names)
    torch_compat.forget(traced, flat.compiled())
    return graph


def _read(flat: FlatModule, traced: torch.jit.ScriptModule, names: list[str]) -> tuple[Graph, list[torch.Tensor]]:
    """The graph of a trace, and the tensors that it holds as constants."""
    reader = GraphReader(traced, flat.state_dict(keep_vars=True), flat.strip, flat.compiled())
    graph = reader.read(names, flat.__dict__["structure"], flat.__dict__["output_structure"])
    reads = flat.__dict__["reads"]
    if reads is not None:
        count = len(graph.outputs) - len(reads.numbers)
        graph.reads = list(zip(graph.outputs[count:], reads.numbers, strict=True))
        graph.outputs = graph.outputs[:count]
    if flat.__dict__["saved"] is not None:
        flat.__dict__["saved"].check(reader.constants)
    return graph, reader.constants


def _restore_constants(flat: FlatModule, constants: Sequence[torch.Tensor], before: trace_modes.MemoryBefore) -> None:
    """Undo what the trace wrote to its own constants: it holds their memory, and would start from the results."""
    memory = {constant.untyped_storage().data_ptr() for constant in constants if before.restore(constant)}
    names = [path for path, tensor in flat.plain_tensors() if tensor.untyped_storage().data_ptr() in memory]
    if names:
        warnings.warn(
            f"the module writes to {', '.join(names)}, which is no buffer: an engine keeps no state, every call starts "
            "from the values at conversion",
            stacklevel=4,
        )


def _warn_of_replaced(flat: FlatModule, graph: Graph) -> None:
    """Warn of tensors that the module reads and then replaces by others: the next call would read those."""
    operands = (value for node in walk_nodes(graph.nodes) for value in operand_values(node.args))
    read = {value.data.untyped_storage()._cdata for value in operands if value.data is not None}
    names = [flat.strip(path) for path, tensor in flat.__dict__["replaced"] if tensor.untyped_storage()._cdata in read]
    if names:
        warnings.warn(
            f"the module replaces {', '.join(names)}: an engine keeps no state, every call starts from the values at "
            "conversion",
            stacklevel=3,
        )


def _check_leaves(module: object, leaves: Sequence[Any]) -> None:
    devices = {leaf.device for leaf in leaves}
    if isinstance(module, torch.nn.Module):
        owned = {p.device for p in itertools.chain(module.parameters(), module.buffers())}
        # A 0-d CPU tensor may be mixed with any device.
        foreign = {leaf.device for leaf in leaves if leaf.dim()} - owned
        if owned and foreign:
            raise InputError(
                f"the module is on {', '.join(map(str, owned))} and the inputs are on {', '.join(map(str, foreign))}",
                hint="move one of them with .to(device)",
            )
    if any(device.type == "meta" for device in devices):
        raise InputError("an input is on the meta device and holds no data")


def _run_tracer(
    flat: FlatModule, leaves: Sequence[torch.Tensor], before: trace_modes.MemoryBefore | None = None
) -> torch.jit.ScriptModule:
    remedies: list[trace_modes.Remedy] = []
    computed, saves = flat.__dict__["keeps_attributes"], False
    while True:
        modes: list[contextlib.AbstractContextManager[Any]] = [trace_modes.FollowedValues(saves)]
        if before is not None:
            modes.append(before)
        try:
            return _run_tracer_in(flat, leaves, [*modes, *(remedy() for remedy in remedies)], computed, saves)
        except NumbersNeeded:
            computed = True
        except GradientsTaken:
            saves = True
        except TraceError as error:
            raise error.at(_place_of(error, flat))  # noqa: B904
        except InputError:
            raise
        except Exception as error:
            found = trace_modes.remedy_for(error)
            if found is not None and found not in remedies:
                remedies.append(found)
            elif not computed:  # zeros may be what the module does not take
                computed = True
            elif saves and _UNHELD in str(error):
                raise unknown_to_gradients() from error
            else:
                raise _trace_error(error).at(_place_of(error, flat)) from error


def _place_of(error: Exception, flat: FlatModule) -> Location:
    """The last line of code outside of torch and torch2trt that an error went through, and the module it came from."""
    packages = tuple(str(Path(package.__file__ or "").parent) for package in (torch, torch_compat))
    paths = {id(module): flat.strip(path) for path, module in flat.named_modules() if path}
    scope = source = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        scope = paths.get(id(frame.f_locals.get("self")), scope)
        if not frame.f_code.co_filename.startswith(packages):
            source = f"{frame.f_code.co_filename}:{line}"
    return Location(scope=scope, source=source)


def _run_tracer_in(
    flat: FlatModule,
    leaves: Sequence[torch.Tensor],
    modes: Sequence[contextlib.AbstractContextManager[Any]],
    computed: bool,
    saves: bool,
) -> torch.jit.ScriptModule:
    examples = tuple(leaf.detach().clone() for leaf in leaves)  # forward may write to its inputs
    with (
        flat.unchanged(),
        torch_compat.tracing_mode() as caught,
        trace_modes.followed_calls(),
        contextlib.ExitStack() as stack,
    ):
        for mode in modes:
            stack.enter_context(mode)
        if not computed:
            stack.enter_context(uncomputed_products(examples))
        flat.__dict__["saved"] = None
        if saves:
            stack.enter_context(_frozen(flat))
            flat.__dict__["saved"] = stack.enter_context(SavedResults(examples))
        traced = torch_compat.trace(flat, examples)
    _pass_on(caught)
    return traced


_UNHELD = "Cannot insert a Tensor that requires grad as a constant"


@contextlib.contextmanager
def _frozen(module: torch.nn.Module) -> Iterator[None]:
    """Within the block, no parameter has a gradient: PyTorch then composes what it does of fewer operators."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def _trace_error(error: Exception) -> TraceError:
    text = str(error).strip()
    hint = "run the module on these inputs in plain PyTorch first"
    if _UNHELD in text:
        text = f"a parameter that belongs to no module of the model is used: {text.splitlines()[0]}"
        hint = "pass the nn.Module that owns it instead of a function"
    if "Tracer cannot set value trace for type" in text:
        hint = "a scripted module gives None or a number, which no trace holds: convert what it was scripted from"
    return TraceError(f"torch.jit.trace failed: {type(error).__name__}: {text}", hint=hint)


def _pass_on(caught: Sequence[warnings.WarningMessage]) -> None:
    """Raise each warning of the trace again, once, with the line that it came from."""
    seen = set()
    for warning in caught:
        key = (str(warning.message), warning.filename, warning.lineno)
        if key not in seen:
            seen.add(key)
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
