"""torch.jit.trace of a module, read into our own graph."""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from . import torch_compat
from .errors import InputError, Location, TraceError
from .graph import Block, Graph, Node, Operand, Value
from .passes.dynamic import mark_dynamic
from .structure import Structure, flatten, leaf_names, unflatten

Inputs = Any
"""A tensor, a tuple or list of positional arguments, a dict of keyword arguments, or a :class:`Call`; each may nest."""

_LIST_KEEPERS = {
    *(
        f"aten::{name}"
        for name in ("append", "extend", "insert", "pop", "remove", "clear", "reverse", "_set_item", "Delete", "sort")
    ),
    *(f"aten::{name}" for name in ("add_", "mul_", "setdefault", "update")),
    *(f"prim::{name}" for name in ("Loop", "If", "Return", "ListConstruct", "TupleConstruct", "DictConstruct")),
}
"""What changes a list, or hands it on to what may; such a list is one object, others are just their items."""


@dataclass(frozen=True)
class Call:
    """Positional and keyword arguments together, where ``inputs`` needs both."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def normalize_inputs(inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a call with ``inputs``.

    Raises:
        InputError: ``inputs`` holds no tensor-like thing at all, such as a string.
    """
    if isinstance(inputs, Call):
        return inputs.args, inputs.kwargs
    if isinstance(inputs, Mapping):
        if not all(isinstance(key, str) for key in inputs):
            raise InputError("inputs given as a dict are keyword arguments: every key must be a string")
        return (), dict(inputs)
    if isinstance(inputs, (tuple, list)):
        return tuple(inputs), {}
    return (inputs,), {}


class FlatModule(torch.nn.Module):
    """A module or function with tensors in and tensors out, whatever nesting it has itself."""

    def __init__(self, target: Callable[..., Any], structure: Structure) -> None:
        super().__init__()
        # Plain attributes: nn.Module would register the target, and torch.jit.trace would try to script the structure.
        self.__dict__.update(target=target, structure=structure)
        if isinstance(target, torch.nn.Module):
            self.module = target
        else:
            # The tracer refuses parameters that no submodule owns, so a function's modules become submodules.
            for name, module in _modules_of(target).items():
                self.add_module(name, module)
        # torch.jit.trace puts the wrapper itself in a mode; the mode of what is wrapped must not change.
        self.training = bool(getattr(target, "training", False))

    def strip(self, path: str) -> str:
        """A path to a parameter or module of this wrapper, as one of what it wraps."""
        return path.removeprefix("module").lstrip(".") if "module" in self._modules else path

    def plain_tensors(self) -> list[tuple[str, torch.Tensor]]:
        """The tensors among the modules' attributes that are neither parameters nor buffers, with their paths."""
        return [
            (self.strip(f"{path}.{name}"), value)
            for path, module in self.named_modules()
            for name, value in vars(module).items()
            if isinstance(value, torch.Tensor) and value.layout is torch.strided
        ]

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Flat tensors in, flat tensors out."""
        args, kwargs = unflatten(tensors, self.__dict__["structure"])
        leaves, self.__dict__["output_structure"] = flatten(self.__dict__["target"](*args, **kwargs))
        return tuple(leaves)


def _modules_of(function: Callable[..., Any]) -> dict[str, torch.nn.Module]:
    """The modules that a function reaches: bound to it, in its closure, or by a global name it uses."""
    if isinstance(function, functools.partial):
        return _modules_of(function.func) | {
            f"argument{i}": a
            for i, a in enumerate([*function.args, *function.keywords.values()])
            if isinstance(a, torch.nn.Module)
        }
    owner = getattr(function, "__self__", None)
    found = {"self_": owner} if isinstance(owner, torch.nn.Module) else {}
    function = getattr(function, "__func__", function)
    if inspect.isfunction(function):
        variables = inspect.getclosurevars(function)
        for name, value in {**variables.nonlocals, **variables.globals}.items():
            if isinstance(value, torch.nn.Module):
                found[name] = value
    return found


def _check_target(module: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments | None:
    if not callable(module):
        raise InputError(
            f"the model must be an nn.Module or a function, not {type(module).__name__}",
            hint="load the model first; the command line takes models by name",
        )
    target = module.forward if isinstance(module, torch.nn.Module) else module
    try:
        return inspect.signature(target).bind(*args, **kwargs)
    except TypeError as error:
        name = (
            type(module).__name__ if isinstance(module, torch.nn.Module) else getattr(module, "__name__", str(module))
        )
        raise InputError(f"the inputs do not fit {name}{inspect.signature(target)}: {error}") from None
    except ValueError:  # a builtin without a signature
        return None


def default_input_names(module: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """Names for the tensors among the arguments: the parameters of forward, with keys and positions for nested ones."""
    positional, keyword = flatten((args, kwargs))[1].children
    names = argument_names(module, args, kwargs)
    return leaf_names(positional, names) + leaf_names(keyword, [str(key) for key in keyword.keys])


def argument_names(module: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """The names of the parameters that the positional arguments are for."""
    bound = _check_target(module, args, kwargs)
    prefixes: list[str] = []
    for parameter in bound.signature.parameters.values() if bound else ():
        if parameter.kind is parameter.VAR_POSITIONAL:
            prefixes += [f"{parameter.name}_{i}" for i in range(len(args) - len(prefixes))]
        elif parameter.kind is not parameter.KEYWORD_ONLY and len(prefixes) < len(args):
            prefixes.append(parameter.name)
    return prefixes + [f"input_{i}" for i in range(len(prefixes), len(args))]


def trace_graph(
    module: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    input_names: Sequence[str] | None = None,
    alternatives: Sequence[torch.Tensor] | None = None,
) -> tuple[torch.jit.ScriptModule, Graph]:
    """Trace ``module`` on example arguments.

    The module is as before afterwards: training flags, buffers, gradients, random state.

    Args:
        module: an nn.Module or a function of tensors.
        args: positional arguments, nested at will around tensors.
        kwargs: keyword arguments.
        input_names: one name a tensor; the names of forward's parameters by default.
        alternatives: the tensors among the arguments once more, other sizes along the axes that are dynamic; the
            module is traced on these too, and what differs between the traces is dynamic.

    Returns:
        the traced module, which takes and gives flat tuples of tensors, and its graph.

    Raises:
        InputError: the arguments do not fit, hold no tensor, or are on another device than the module.
        TraceError: torch cannot trace the module.
        ShapeError: the trace at the other sizes differs in more than sizes.
    """
    kwargs = kwargs or {}
    _check_target(module, args, kwargs)
    leaves, structure = flatten((args, kwargs))
    _check_leaves(module, leaves)
    names = list(input_names) if input_names is not None else default_input_names(module, args, kwargs)
    if len(names) != len(leaves):
        raise InputError(f"{len(names)} input names {names} for {len(leaves)} input tensors")
    if len(set(names)) != len(names):
        raise InputError(f"input names must differ: {names}")
    flat = FlatModule(module, structure)
    if any(child.training for child in flat.modules()):
        warnings.warn(
            "the module is in training mode: dropout and batch norm are traced as in training; call .eval() first",
            stacklevel=3,
        )
    traced, graph = _trace_once(flat, leaves, names)
    graph.argument_names = argument_names(module, args, kwargs)
    if alternatives is not None:
        mark_dynamic(graph, _trace_once(flat, alternatives, names)[1])
    return traced, graph


def _trace_once(
    flat: FlatModule, leaves: Sequence[torch.Tensor], names: list[str]
) -> tuple[torch.jit.ScriptModule, Graph]:
    traced = _run_tracer(flat, leaves)
    graph, constants = _read(flat, traced, names)
    if any(constant._version for constant in constants):
        before = torch_compat.MemoryBefore()
        traced = _run_tracer(flat, leaves, before)
        graph, constants = _read(flat, traced, names)
        _restore_constants(flat, constants, before)
    return traced, graph


def _read(flat: FlatModule, traced: torch.jit.ScriptModule, names: list[str]) -> tuple[Graph, list[torch.Tensor]]:
    """The graph of a trace, and the tensors that it holds as constants."""
    reader = GraphReader(flat, traced)
    return reader.read(names, flat.__dict__["structure"], flat.__dict__["output_structure"]), reader.constants


def _restore_constants(flat: FlatModule, constants: Sequence[torch.Tensor], before: torch_compat.MemoryBefore) -> None:
    """Undo what the trace wrote to its own constants: it holds their memory, and would start from the results."""
    memory = {constant.untyped_storage().data_ptr() for constant in constants if before.restore(constant)}
    names = [path for path, tensor in flat.plain_tensors() if tensor.untyped_storage().data_ptr() in memory]
    if names:
        warnings.warn(
            f"the module writes to {', '.join(names)}, which is no buffer: an engine keeps no state, every call starts "
            "from the values at conversion",
            stacklevel=4,
        )


def _check_leaves(module: object, leaves: Sequence[Any]) -> None:
    if not leaves:
        raise InputError("the inputs hold no tensor", hint="give example tensors, such as torch.zeros(1, 3, 224, 224)")
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
    flat: FlatModule, leaves: Sequence[torch.Tensor], before: torch_compat.MemoryBefore | None = None
) -> torch.jit.ScriptModule:
    try:
        try:
            return _run_tracer_in(flat, leaves, before or contextlib.nullcontext())
        except RuntimeError as error:
            if not torch_compat.needs_bools_as_numbers(error):
                raise
        with torch_compat.BoolsAsNumbers():
            return _run_tracer_in(flat, leaves, before or contextlib.nullcontext())
    except Exception as error:
        raise _trace_error(error) from error


def _run_tracer_in(
    flat: FlatModule, leaves: Sequence[torch.Tensor], mode: contextlib.AbstractContextManager[Any]
) -> torch.jit.ScriptModule:
    kept = [*flat.buffers(), *(tensor for _, tensor in flat.plain_tensors())]
    buffers = [(buffer, buffer.detach().clone()) for buffer in kept]
    examples = tuple(leaf.detach().clone() for leaf in leaves)  # forward may write to its inputs
    try:
        with torch_compat.tracing_mode() as caught, mode:
            traced = torch_compat.trace(flat, examples)
    finally:
        with torch.no_grad():
            for buffer, saved in buffers:
                # Batch norm in training writes its statistics without raising the buffer's version.
                if not torch.equal(buffer, saved):
                    buffer.copy_(saved)
    _pass_on(caught)
    return traced


def _trace_error(error: Exception) -> TraceError:
    text = str(error).strip()
    hint = "run the module on these inputs in plain PyTorch first"
    if "requires grad as a constant" in text:
        text = "a parameter that belongs to no module of the model is used:\n" + text
        hint = "pass the nn.Module that owns it instead of a function"
    return TraceError(f"torch.jit.trace failed: {type(error).__name__}: {text}", hint=hint)


def _pass_on(caught: Sequence[warnings.WarningMessage]) -> None:
    """Raise each warning of the trace again, once, with the line that it came from."""
    seen = set()
    for warning in caught:
        key = (str(warning.message), warning.filename, warning.lineno)
        if key not in seen:
            seen.add(key)
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


class GraphReader:
    """Turns a traced module's inlined TorchScript graph into a :class:`~torch2trt.graph.Graph`."""

    def __init__(self, flat: FlatModule, traced: torch.jit.ScriptModule) -> None:
        self._traced = traced
        self._strip = flat.strip
        self.constants: list[torch.Tensor] = []
        keys = flat.state_dict(keep_vars=True)
        self._keys = {id(tensor): self._strip(key) for key, tensor in reversed(list(keys.items()))}
        self._operands: dict[str, Operand] = {}
        self._paths: dict[str, str] = {}
        self._attributes: dict[int, Value] = {}
        self._parameters: dict[str, torch.Tensor] = {}
        self._counter = itertools.count()

    def read(self, names: list[str], structure: Structure, output_structure: Structure) -> Graph:
        """The whole graph."""
        raw = self._traced.inlined_graph
        owner, *tensors = raw.inputs()
        self._paths[owner.debugName()] = ""
        inputs = [self._define(value) for value in tensors]
        nodes = self._nodes(raw)
        (result,) = raw.outputs()
        outputs = self._operand(result)
        flat_outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
        return Graph(inputs, nodes, flat_outputs, names, structure, output_structure, self._parameters)

    def _define(self, raw: Any) -> Value:
        value = Value(raw.debugName())
        kind = raw.type()
        if kind.kind() == "TensorType":
            value.dtype = kind.dtype()
            sizes, strides = kind.sizes(), kind.strides()
            value.shape = tuple(sizes) if sizes is not None else None
            value.strides = tuple(strides) if strides is not None else None
        self._operands[value.name] = value
        return value

    def _operand(self, raw: Any) -> Operand:
        return self._operands[raw.debugName()]

    def _nodes(self, block: Any) -> list[Node]:
        nodes: list[Node] = []
        for raw in block.nodes():
            kind = raw.kind()
            reader = _READERS.get(kind)
            if reader is None or not reader(self, raw, nodes):
                nodes.append(self._node(raw, kind))
        return nodes

    def _node(self, raw: Any, kind: str) -> Node:
        schema = torch_compat.parse_schema(raw.schema())
        args = [self._operand(value) for value in raw.inputs()]
        if schema is not None:
            schema = torch_compat.canonical_schema(schema)
            kind = schema.name
            for index, argument in enumerate(schema.arguments[: len(args)]):
                if argument.is_dtype and type(args[index]) is int:
                    args[index] = torch_compat.dtype_of_code(args[index])
        blocks = [self._block(block) for block in raw.blocks()]
        outputs = [self._define(value) for value in raw.outputs()]
        return Node(
            kind,
            schema.overload if schema else "",
            outputs[0].name if outputs else f"{kind.rsplit('::', maxsplit=1)[-1]}_{next(self._counter)}",
            args,
            outputs,
            schema,
            self._scope(raw),
            raw.sourceRange(),
            {name: _attribute(raw, name) for name in raw.attributeNames()},
            blocks,
        )

    def _block(self, raw: Any) -> Block:
        inputs = [self._define(value) for value in raw.inputs()]
        nodes = self._nodes(raw)
        return Block(inputs, nodes, [self._operand(value) for value in raw.outputs()])

    def _scope(self, raw: Any) -> str:
        last = raw.scopeName().rsplit("/", 1)[-1]
        return self._strip(last.removeprefix("__module.").removeprefix("__module"))

    def _read_attribute(self, raw: Any, nodes: list[Node]) -> bool:
        owner = self._paths[raw.input().debugName()]
        path = f"{owner}.{raw.s('name')}" if owner else raw.s("name")
        output = raw.output()
        name = output.debugName()
        if output.type().kind() == "ClassType":
            self._paths[name] = path
            return True
        found = self._traced
        for part in path.split("."):
            found = getattr(found, part)
        self._operands[name] = self._tensor(path, found) if isinstance(found, torch.Tensor) else found
        return True

    def _tensor(self, path: str, tensor: torch.Tensor) -> Value:
        key = self._keys.get(id(tensor))
        # A parameter shared under two names is one value; attributes that are no state are constants.
        value = self._attributes.get(id(tensor))
        if value is None:
            value = _tensor_value(key or self._strip(path), tensor, key)
            self._attributes[id(tensor)] = value
            if key is not None:
                self._parameters[key] = tensor
        return value

    def _read_constant(self, raw: Any, nodes: list[Node]) -> bool:
        output = raw.output()
        name = output.debugName()
        if output.type().kind() == "FunctionType":  # what a call that is inlined leaves behind
            return True
        constant = output.toIValue()
        if isinstance(constant, torch.Tensor):
            self.constants.append(constant)
            number = torch_compat.wrapped_number(constant)
            constant = number if number is not None else _tensor_value(name, constant, None)
        self._operands[name] = constant
        return True

    def _read_list(self, raw: Any, nodes: list[Node]) -> bool:
        output = raw.output()
        if any(use.user.kind() in _LIST_KEEPERS for use in output.uses()):
            return False
        self._operands[output.debugName()] = [self._operand(value) for value in raw.inputs()]
        return True

    def _read_tuple(self, raw: Any, nodes: list[Node]) -> bool:
        self._operands[raw.output().debugName()] = tuple(self._operand(value) for value in raw.inputs())
        return True

    def _read_unpack(self, raw: Any, nodes: list[Node]) -> bool:
        operand = self._operand(raw.input())
        if isinstance(operand, Value):
            return False
        for value, item in zip(raw.outputs(), operand, strict=True):
            self._operands[value.debugName()] = item
        return True

    def _read_python_op(self, raw: Any, nodes: list[Node]) -> bool:
        """A custom autograd function: what its forward did was recorded beside it."""
        if not raw.hasAttribute("Subgraph"):
            name = raw.pyname()
            raise TraceError(
                f"the trace holds nothing of what the custom autograd function {name} does",
                location=Location("prim::PythonOp", self._scope(raw), raw.sourceRange()),
                hint="call the function's forward instead of apply when not training",
            )
        body = raw.g("Subgraph")
        outer = dict(self._operands)
        for inside, outside in zip(body.inputs(), raw.inputs(), strict=False):
            self._operands[inside.debugName()] = self._operand(outside)
        first = len(nodes)
        nodes.extend(self._nodes(body))
        results = [self._operand(value) for value in body.outputs()]
        for node in nodes[first:]:
            node.scope = self._scope(raw)
            for value in node.outputs:  # names inside may be taken outside
                value.name = f"{raw.pyname()}_{next(self._counter)}_{value.name}"
        self._operands = outer
        for value, operand in zip(raw.outputs(), results, strict=True):
            self._operands[value.debugName()] = operand
        return True


_READERS: dict[str, Callable[[GraphReader, Any, list[Node]], bool]] = {
    "prim::GetAttr": GraphReader._read_attribute,
    "prim::Constant": GraphReader._read_constant,
    "prim::ListConstruct": GraphReader._read_list,
    "prim::TupleConstruct": GraphReader._read_tuple,
    "prim::TupleUnpack": GraphReader._read_unpack,
    "prim::ListUnpack": GraphReader._read_unpack,
    "prim::PythonOp": GraphReader._read_python_op,
}


def _tensor_value(name: str, tensor: torch.Tensor, key: str | None) -> Value:
    return Value(
        name,
        dtype=tensor.dtype,
        shape=tuple(tensor.shape),
        strides=tensor.stride() if tensor.layout is torch.strided else None,
        data=tensor,
        key=key,
    )


def _attribute(raw: Any, name: str) -> Any:
    return getattr(raw, raw.kindOf(name))(name)
