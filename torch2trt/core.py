"""The walk over a traced graph: each node goes to its handler, or runs in eager PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from . import (
    boundary,
    control,
    coverage,
    eager,
    loops,
    metadata,
    narrow,
    registry,
    structure,
    torch_compat,
    tracing,
    trt_compat,
)
from . import handlers as _handlers  # noqa: F401  (registers torch2trt's own handlers)
from .absent import present
from .arguments import listed_names, pattern_of
from .binding import Inputs, bind_arguments, default_input_names, module_of, normalize_inputs
from .context import Context, current, current_network, has_trt_tensor, torch_network, trt_network
from .dynamic import DynamicShapes, Input, alternative_inputs, parse_dynamic_shapes
from .emit import cast, dtype_of, identity, static_shape
from .emit.complex import from_last_axis
from .emit.network import MAX_RANK
from .emit.sizes import Sizes
from .errors import (
    HandlerError,
    InputError,
    InternalError,
    Torch2TRTError,
    UnsupportedOpError,
)
from .graph import Block, Graph, Node, Operand, Value, map_operand, operand_values, walk_nodes
from .passes.data_sizes import mark_data_sizes
from .passes.fold import Plan, compute, fold, is_impure, known_data, on_cpu_throughout, values_read
from .passes.functionalize import MutatedInputs, functionalize, require_choice
from .passes.optimize import optimize as optimize_plan
from .passes.optimize import parse_passes
from .passes.quantisations import without_quantised_tensors
from .passes.spectra import values_alone
from .passes.squeezes import warn_of_squeezes
from .precision import parse_precision
from .registry import register_node_handler

__all__ = [
    "current_network",
    "debug_call_graph",
    "has_trt_tensor",
    "register_node_handler",
    "torch2trt",
    "torch_network",
    "trt_network",
]

OnError = Callable[[Node, Torch2TRTError], list[Any]]
"""Gives stand-in results for a node that failed."""

Settle = Callable[[Node, list[Any]], list[Any]]
"""Gives, from a node and its results, what is used in their place."""


def torch2trt(
    module: Callable[..., Any],
    inputs: Inputs,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    verbose: bool = False,
    param_exclude: str | None = None,
    *,
    dynamic_shapes: DynamicShapes | None = None,
    precision: str | torch.dtype = "float32",
    keep_float32: str | None = None,
    allow_float64_as_float32: bool = False,
    allow_random: bool = False,
    allow_other_signs: bool = False,
    optimize: bool | Iterable[str] = True,
    mutated_inputs: MutatedInputs = "error",
) -> tuple[torch.jit.ScriptModule, Graph]:
    """Trace a module and run its graph in the current context.

    Inside ``with trt_network(net):`` every node becomes layers of ``net``; inside ``with torch_network():`` it runs in
    eager PyTorch. The results are in ``graph.get_resolved_outputs()``.

    Args:
        module: an nn.Module, or a function of tensors.
        inputs: a tensor, a tuple or list of arguments, or a dict of keyword arguments, nested at will. A torch tensor
            becomes a network input of its shape and dtype; a ``trt.ITensor`` is used as it is.
        input_names: one name a tensor; forward's parameter names by default.
        output_names: one name an output tensor.
        verbose: print one line a node.
        param_exclude: a pattern of the ``regex`` package, matched from the start of parameter names; the graph must
            not use these.
        dynamic_shapes: for inputs by name, the axes whose size may change: see :mod:`torch2trt.dynamic`.
        precision: ``float32`` leaves the module as it is; ``float16`` or ``bfloat16`` casts float32 maths to it where
            that is safe: see :mod:`torch2trt.precision`. Inputs and outputs keep their dtypes.
        keep_float32: a pattern of the ``regex`` package over module scopes that stay float32.
        allow_float64_as_float32: convert float64 values to float32 instead of refusing them.
        allow_random: let TensorRT draw the random numbers that the module draws. They have the same distribution, not
            the same values: no seed reaches an engine, and whether two runs of one draw the same numbers is
            TensorRT's affair.
        allow_other_signs: convert singular and eigenvectors, whose signs are open, as is the basis of those of equal
            values: a network's may be others than PyTorch's. What does not depend on the choice is the same.
        optimize: which rewrites to apply before the handlers run: all, none, or names of
            :data:`torch2trt.passes.optimize.PASSES`. None of them touches a node with a handler of the user's.
        mutated_inputs: what to do when the module writes to an input: ``error`` raises, ``output`` adds what it holds
            at the end to the outputs, ``ignore`` leaves the caller's tensor as it is.

    Returns:
        the traced module and the graph.

    Raises:
        InputError: the arguments do not fit.
        UnsupportedOpError: ops have no handler; all of them are listed, and the network is as before.
        UnsupportedArgumentError: a handler cannot do what a node asks for.
        LayerError: TensorRT refused a layer.
    """
    context = current()
    if context is None:
        raise InputError(
            "torch2trt is called outside of a context",
            hint="use it inside `with torch2trt.trt_network(net):` or `with torch2trt.torch_network():`",
        )
    chosen_precision, excluded = parse_precision(precision, keep_float32), pattern_of("param_exclude", param_exclude)
    passes = parse_passes(optimize)
    output_names = None if output_names is None else listed_names("output_names", output_names)
    prepared = prepare(
        module, inputs, input_names=input_names, dynamic_shapes=dynamic_shapes, mutated_inputs=mutated_inputs
    )
    graph = prepared.graph
    _check_excluded(graph, excluded)
    context.allow_float64_as_float32 = allow_float64_as_float32
    context.allow_random = allow_random
    context.allow_other_signs = allow_other_signs
    context.precision = chosen_precision
    if context.network is None:
        if has_trt_tensor(prepared.leaves):
            raise InputError("an input is a trt.ITensor, which debug mode cannot run", hint="pass torch tensors")
        runner = Runner(graph, verbose=verbose)
        runner.run(graph.nodes, prepared.examples, graph.outputs)
        graph.results = runner.results()
        return prepared.trace, graph
    plan = fold(graph)
    values_alone(plan)
    without_quantised_tensors(plan)
    if context.lifts_casts:
        boundary.lift_casts(plan)
    missing = coverage.missing_ops(plan)
    if missing:
        raise UnsupportedOpError(missing)
    _warn_about_nan(graph)
    graph.rewrites = optimize_plan(plan, passes)
    tensors = network_inputs(context, prepared, plan)
    run_plan(graph, plan, tensors, verbose=verbose)
    _name_outputs(graph, output_names)
    return prepared.trace, graph


def run_plan(graph: Graph, plan: Plan, inputs: Sequence[Any], *, verbose: bool = False) -> None:
    """Emit what is left of a graph after folding; the graph's results are the plan's afterwards."""
    runner = Runner(graph, plan.known, verbose=verbose)
    outputs = _apart(plan.outputs, runner.run(plan.nodes, inputs, plan.outputs))
    graph.results = runner.results()
    for operand, result in zip(graph.outputs, outputs, strict=True):
        if isinstance(operand, Value) and operand.data is None:
            graph.results[operand.name] = narrow.as_output(result)
    context = current()
    if context is not None and context.precision is not None:
        _restore_output_dtypes(graph)


def _apart(operands: Sequence[Operand], results: Sequence[Any]) -> list[Any]:
    """The results, two of them never one ITensor where the module returns two tensors."""
    owners: dict[int, Operand] = {}
    apart = []
    for operand, result in zip(operands, results, strict=True):
        shared = trt_compat.is_tensor(result) and owners.setdefault(id(result), operand) is not operand
        apart.append(identity(result) if shared else result)
    return apart


@dataclass(frozen=True)
class Prepared:
    """A module traced and ready to run.

    Args:
        trace: the traced module.
        graph: its graph, without mutation.
        leaves: the tensors that were given, in order; ITensors and placeholders too.
        examples: the torch tensors that were traced in their place.
    """

    trace: torch.jit.ScriptModule
    graph: Graph
    leaves: list[Any]
    examples: list[torch.Tensor]


def prepare(
    module: Callable[..., Any],
    inputs: Inputs,
    *,
    input_names: Sequence[str] | None = None,
    dynamic_shapes: DynamicShapes | None = None,
    mutated_inputs: MutatedInputs = "error",
) -> Prepared:
    """Trace a module, find its dynamic sizes, and make mutation functional; arguments as for :func:`torch2trt`."""
    module = module_of(module)
    require_choice(mutated_inputs)
    args, kwargs = normalize_inputs(inputs)
    leaves, nesting = structure.flatten((args, kwargs))
    names = (
        default_input_names(module, args, kwargs) if input_names is None else listed_names("input_names", input_names)
    )
    names = [leaf.name if isinstance(leaf, Input) else name for leaf, name in zip(leaves, names, strict=False)]
    ranges = parse_dynamic_shapes(dynamic_shapes, names, leaves)
    examples = [_example(leaf) for leaf in leaves]
    args, kwargs = structure.unflatten(examples, nesting)
    alternatives = alternative_inputs(leaves, examples, [ranges.get(name, {}) for name in names])
    trace, graph = tracing.trace_graph(module, args, kwargs, input_names=names, alternatives=alternatives)
    graph.ranges = ranges
    mark_data_sizes(graph)
    functionalize(graph, mutated_inputs)
    warn_of_squeezes(graph)
    return Prepared(trace, graph, leaves, examples)


def network_inputs(context: Context, prepared: Prepared, plan: Plan) -> list[Any]:
    """The ITensors that the graph starts from: those given, and new network inputs for the others."""
    graph = prepared.graph
    held = boundary.input_dtypes(graph, plan) if context.lifts_casts else {}
    return [
        leaf
        if trt_compat.is_tensor(leaf)
        else network_input(context, name, example.to(held.get(value, example.dtype)), graph.ranges.get(name, {}))
        for name, value, leaf, example in zip(
            graph.input_names, graph.inputs, prepared.leaves, prepared.examples, strict=True
        )
    ]


def debug_call_graph(graph: Graph, inputs: Inputs, return_all: bool = False, *, settle: Settle | None = None) -> Any:
    """Run a graph on new inputs in eager PyTorch.

    Args:
        graph: as :func:`torch2trt` returned it.
        inputs: nested as the inputs that were traced.
        return_all: give every node's results instead of the outputs.
        settle: gives what is used of a node's results, where the node leaves that open.

    Returns:
        what the module would return; or a dict from value name to result.

    Raises:
        InputError: the inputs are not nested as those that were traced.
    """
    leaves = bind_inputs(graph, inputs)
    for leaf in leaves:
        if not isinstance(leaf, torch.Tensor):
            raise InputError(f"debug mode runs on torch tensors, not {type(leaf).__name__}")
    runner = Runner(graph, settle=settle)
    with torch_network():
        outputs = runner.run(graph.nodes, leaves, graph.outputs)
    return runner.results() if return_all else structure.unflatten(outputs, graph.output_structure)


def bind_inputs(graph: Graph, inputs: Inputs) -> list[Any]:
    """The tensors of ``inputs`` in the order of the graph's inputs.

    Raises:
        InputError: they are not nested as those that were traced.
    """
    args, kwargs = normalize_inputs(inputs)
    return bind_arguments(graph.names_of_arguments, graph.arguments, args, kwargs)


def _example(leaf: Any) -> torch.Tensor:
    """The tensor to trace with in place of an input; for an ITensor zeros, its unknown sizes chosen."""
    if isinstance(leaf, torch.Tensor):
        if leaf.is_nested:
            raise InputError("an input is a nested tensor, whose sizes no trace can follow", hint="pass a padded one")
        return leaf
    if isinstance(leaf, Input):
        return leaf.example()
    shape = [size if size >= 0 else 2 if axis == 0 else 64 for axis, size in enumerate(leaf.shape)]
    return torch.zeros(shape, dtype=trt_compat.to_torch_dtype(leaf.dtype))


def network_input(context: Context, name: str, leaf: torch.Tensor, axes: Mapping[int, Any]) -> Any:
    """What stands for a tensor of which a new network input holds the values.

    Args:
        context: the network.
        name: of the input.
        leaf: a tensor of the shape and dtype.
        axes: the dynamic ones.

    Raises:
        InputError: the name is taken, or TensorRT has no such input.
    """
    held = _add_input(context, name, leaf, axes)
    if leaf.is_complex():
        return from_last_axis(held)
    return narrow.Narrow(held, leaf.dtype) if leaf.dtype in (torch.int8, torch.int16) else held


def _add_input(context: Context, name: str, leaf: torch.Tensor, axes: Mapping[int, Any]) -> Any:
    """int8 and int16 are int32, complex values float32 with a last axis of real and imaginary part."""
    dtype = torch.int32 if leaf.dtype in (torch.int8, torch.int16) else leaf.dtype
    if context.allow_float64_as_float32:
        dtype = {torch.float64: torch.float32, torch.complex128: torch.complex64}.get(dtype, dtype)
    shape = tuple(-1 if axis in axes else size for axis, size in enumerate(leaf.shape))
    if dtype == torch.complex64:
        dtype, shape = torch.float32, (*shape, 2)
    if len(shape) > MAX_RANK:
        most = MAX_RANK - leaf.is_complex()  # one axis is of real and imaginary parts
        kind = "complex values" if leaf.is_complex() else "tensors"
        raise InputError(f"input {name!r} is of rank {leaf.dim()}, and TensorRT takes {kind} of rank {most} at most")
    taken = {context.network.get_input(index).name for index in range(context.network.num_inputs)}
    if name in taken:
        raise InputError(f"the network has an input {name!r} already", hint="give other names with input_names")
    if leaf.layout != torch.strided:
        kind = str(leaf.layout).removeprefix("torch.")
        raise InputError(f"input {name!r} is a {kind} tensor, which TensorRT does not have", hint="pass a dense tensor")
    try:
        held = trt_compat.to_trt_dtype(dtype)
    except Torch2TRTError as error:
        raise InputError(f"input {name!r}: {error.message}", hint=error.hint) from None
    tensor = context.network.add_input(name, held, shape)
    if tensor is None:
        raise InputError(f"TensorRT refused the input {name!r} of shape {list(shape)}: {context.recorder.messages}")
    return tensor


def _name_outputs(graph: Graph, names: Sequence[str] | None) -> None:
    if names is None:
        return
    tensors = [results[0] for results in graph.get_resolved_outputs()]
    if len(names) != len(tensors):
        raise InputError(f"{len(names)} output names {list(names)} for {len(tensors)} output tensors")
    for name, tensor in zip(names, tensors, strict=True):
        if trt_compat.is_tensor(tensor) and not tensor.is_network_input:
            tensor.name = name


def _restore_output_dtypes(graph: Graph) -> None:
    """The module's outputs keep their dtypes whatever its maths was cast to."""
    for output in operand_values(graph.outputs):
        result = graph.results.get(output.name)
        if trt_compat.is_tensor(result) and output.dtype is not None and output.dtype.is_floating_point:
            graph.results[output.name] = cast(result, output.dtype)


def _check_excluded(graph: Graph, excluded: Any) -> None:
    if excluded is None:
        return
    for node in graph.nodes:
        for value in node.values():
            if value.key is not None and excluded.match(value.key):
                text = f"parameter {value.key!r} is excluded by {excluded.pattern!r} and used"
                raise InputError(text, location=node.location)


def _warn_about_nan(graph: Graph) -> None:
    for key, tensor in graph.parameters.items():
        if not tensor.is_floating_point():
            continue
        narrow_float = tensor.itemsize == 1  # no sum of these is defined
        if (narrow_float or bool(tensor.sum().isnan())) and bool(tensor.isnan().any()):
            warnings.warn(f"parameter {key!r} holds NaN", stacklevel=3)


class Runner:
    """Runs nodes one after another over values that are known or in the network.

    Args:
        graph: what is run.
        known: values that are known before.
        verbose: print one line a node.
        on_error: gives stand-in results for a node that failed, so that the walk goes on; without it the error is
            raised.
        settle: gives what is used of a node's results, where the node leaves that open.
    """

    def __init__(
        self,
        graph: Graph,
        known: Mapping[Value, Any] | None = None,
        *,
        verbose: bool = False,
        on_error: OnError | None = None,
        settle: Settle | None = None,
    ) -> None:
        self.graph = graph
        self.values: dict[Value, Any] = dict(known or {})
        self.verbose = verbose
        self.on_error = on_error
        self.settle = settle
        self.assumed: list[tuple[Any, bool]] = []
        """The conditions of the ifs around the node that is run, and whether they hold there."""
        self.loop_depth = 0
        """How many loops of an unknown number of iterations the node that is run is in."""
        self._sizes: Sizes | None = None

    def run(self, nodes: Sequence[Node], inputs: Sequence[Any], outputs: Sequence[Operand]) -> list[Any]:
        """Run ``nodes`` on ``inputs`` and return what the operands ``outputs`` are."""
        self.values.update(zip(self.graph.inputs, inputs, strict=True))
        context = current()
        if context is not None:
            made = {value for node in walk_nodes(list(nodes)) for value in node.outputs}
            context.unread = made - values_read(nodes, outputs)
        self._run_nodes(nodes)
        return [self.resolve(output) for output in outputs]

    def results(self) -> dict[str, Any]:
        """What every value is, by name."""
        return {value.name: result for value, result in self.values.items()}

    def run_block(self, block: Block, inputs: Sequence[Any]) -> list[Any]:
        """Run the body of an if or a loop."""
        self.values.update(zip(block.inputs, inputs, strict=True))
        self._run_nodes(block.nodes)
        return [narrow.plain(self.resolve(output)) for output in block.outputs]

    def always(self, condition: Any) -> bool | None:
        """What a boolean ITensor is at every call, where its sizes tell; else None."""
        if self._sizes is None:
            self._sizes = Sizes(current_network())
        return self._sizes.truth(condition)

    def resolve(self, operand: Operand) -> Any:
        """What an operand is by now."""
        return map_operand(operand, self._look_up)

    def _look_up(self, value: Value) -> Any:
        if value in self.values:
            return present(self.values[value])
        if value.data is not None:
            return known_data(value)
        raise InternalError(f"value {value.name} is used before it is computed")

    def _run_nodes(self, nodes: Sequence[Node]) -> None:
        context = current()
        outer = context.node if context is not None else None
        for node in nodes:
            args: list[Any] = []
            if context is not None:
                context.node = node
            try:
                args = [self.resolve(operand) for operand in node.args]
                results = self._run_node(node, args)
            except Torch2TRTError as error:
                error.at(node.location)
                if self.on_error is None or (self.assumed and isinstance(error, eager.ModuleRaised)):
                    raise
                results = self.on_error(node, error)
            finally:
                if context is not None:
                    context.node = outer
            if self.settle is not None:
                results = self.settle(node, results)
            self.values.update(zip(node.outputs, results, strict=True))
            if self.verbose:
                _print_node(node, args, results)

    def _run_node(self, node: Node, args: list[Any]) -> list[Any]:
        if node.kind in ("aten::warn", "prim::Print") and (self.assumed or self.loop_depth):
            return []  # whether the message is due is known at run time only
        if node.kind in ("prim::If", "prim::Loop"):
            return control.run_control(self, node, [narrow.plain(arg) for arg in args])
        handler = registry.find(node)
        if handler is not None and not handler.builtin:
            return _call_users(handler, node, args)
        answered = loops.answer(node, args)
        if answered is not None:
            return answered
        if eager.structural(node) is not None:
            return eager.call(node, args)
        if not has_trt_tensor(args) and not (current_network() is not None and is_impure(node) and handler is not None):
            context = current()
            if context is not None and context.precision is not None:
                args = context.precision.known_arguments(node, args)
            results = compute(node, args)
            return results if current_network() is None else on_cpu_throughout(results)
        answered = metadata.answer(node, args, metadata.describe_tensor)
        if answered is not None:
            return answered
        if handler is None:
            raise UnsupportedOpError(coverage.missing_ops(Plan([node])))
        return _call_builtin(handler, node, args)


def _call_users(handler: registry.Handler, node: Node, args: list[Any]) -> list[Any]:
    try:
        results = handler.function(node, [narrow.plain(arg) for arg in args])
    except Torch2TRTError:
        raise
    except Exception as error:
        raise HandlerError(f"the handler of {node.kind} raised {type(error).__name__}: {error}") from error
    for value, result in zip(node.outputs, results, strict=True):
        if current_network() is None or value.shape is None:
            continue
        if not trt_compat.is_tensor(result) and not isinstance(result, (torch.Tensor, int, float)):
            raise HandlerError(
                f"the handler of {node.kind} gives a {type(result).__name__} where PyTorch gave a tensor",
                hint="return tensors: of a layer its get_output(0)",
            )
        found = _difference(value, result, any_float=True)
        if found:
            raise HandlerError(f"the handler of {node.kind} gives {found}")
    return results


def _call_builtin(handler: registry.Handler, node: Node, args: list[Any]) -> list[Any]:
    context = current()
    precision = context.precision if context is not None else None
    args = _with_dtypes(node, args)
    if precision is not None:
        args = precision.arguments(node, args)
    try:
        if narrow.concerns(node, args):
            results = narrow.call(node, args, handler.function)
        else:
            results = handler.function(node, args)
    except Torch2TRTError:
        raise
    except Exception as error:
        raise InternalError(f"the handler of {node.kind} failed: {type(error).__name__}: {error}") from error
    for value, result in zip(node.outputs, results, strict=True):
        if context is not None and value in context.unread:
            continue  # such as what a backward pass would read, which differs from device to device
        found = _difference(value, result, any_float=precision is not None) if trt_compat.is_tensor(result) else ""
        if found:
            raise InternalError(f"the handler of {node.kind} gives {found}")
    return results


def _with_dtypes(node: Node, args: list[Any]) -> list[Any]:
    """The arguments, with dtypes for their numbers, which are what scripted code computes with."""
    if node.schema is None:
        return args
    named = [
        torch_compat.dtype_of_code(value) if argument.is_dtype and type(value) is int else value
        for argument, value in zip(node.schema.arguments, args, strict=False)
    ]
    return [*named, *args[len(named) :]]


def _difference(value: Value, result: Any, any_float: bool) -> str:
    """In what a result is another than in PyTorch, if it is: a network that disagrees is never handed on."""
    if value.dtype is None:
        return ""
    dtype = dtype_of(result)
    chosen = any_float and dtype.is_floating_point and value.dtype.is_floating_point
    if not chosen and value.dtype not in (dtype, torch.float64):
        return f"{dtype} where PyTorch gave {value.dtype}"
    shape = static_shape(result)
    fits = value.shape is None or (
        len(shape) == len(value.shape)
        and all(size is None or found in (-1, size) for found, size in zip(shape, value.shape, strict=True))
    )
    return "" if fits else f"shape {list(shape)} where PyTorch gave {value.shape}"


def _print_node(node: Node, args: Sequence[Any], results: Sequence[Any]) -> None:
    left = ", ".join(_describe(arg) for arg in args if structure.is_leaf(arg))
    right = ", ".join(_describe(result) for result in results)
    print(f"{node.scope or '-':<40} {node.kind:<28} {left} -> {right}")


def _describe(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if trt_compat.is_tensor(value):
        return f"{value.dtype.name.lower()}{list(value.shape)}*"
    return str(value)
