"""The graph that torch.jit.trace makes, read into our own: nothing of ``torch._C`` remains."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import torch

from . import python_ops, torch_compat
from .errors import Location, TraceError
from .graph import Block, Graph, Node, Operand, Value
from .structure import Structure

_LIST_KEEPERS = {
    *(
        f"aten::{name}"
        for name in ("append", "extend", "insert", "pop", "remove", "clear", "reverse", "_set_item", "Delete", "sort")
    ),
    *(f"aten::{name}" for name in ("add_", "mul_", "setdefault", "update")),
    *(f"prim::{name}" for name in ("Loop", "If", "Return", "ListConstruct", "TupleConstruct", "DictConstruct")),
}
"""What changes a list, or hands it on to what may; such a list is one object, others are just their items."""


class GraphReader:
    """Turns a traced module's inlined TorchScript graph into a :class:`~torch2trt.graph.Graph`.

    Args:
        traced: the traced module.
        state_dict: the tensors that have names, by path in the traced module.
        strip: gives the name of a path in the module that the caller knows.
    """

    def __init__(
        self, traced: torch.jit.ScriptModule, state_dict: Mapping[str, torch.Tensor], strip: Callable[[str], str]
    ) -> None:
        self._traced = traced
        self._strip = strip
        self.constants: list[torch.Tensor] = []
        self._keys = {id(tensor): self._strip(key) for key, tensor in reversed(list(state_dict.items()))}
        self._operands: dict[str, Operand] = {}
        self._paths: dict[str, str] = {}
        self._attributes: dict[int, Value] = {}
        self._parameters: dict[str, torch.Tensor] = {}
        self._counter = itertools.count()
        self._device: str | None = None

    def read(self, names: list[str], structure: Structure, output_structure: Structure) -> Graph:
        """The whole graph."""
        raw = self._traced.inlined_graph
        owner, *tensors = raw.inputs()
        self._paths[owner.debugName()] = ""
        inputs = [self._define(value) for value in tensors]
        self._device = next((value.device for value in inputs), None)
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
            device = kind.device()
            value.device = device.type if device is not None else self._device
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
        found = self._traced
        for part in path.split("."):
            found = getattr(found, part)
        if output.type().kind() == "ClassType" and isinstance(found, torch.nn.Module):
            self._paths[name] = path
            return True
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

    def _refuse_state(self, raw: Any, nodes: list[Node]) -> bool:
        """A scripted module that writes to its own attribute: what later nodes read is known to TorchScript alone."""
        raise TraceError(
            f"a scripted module writes to its attribute {raw.s('name')!r}, and an engine keeps no state",
            location=Location("prim::SetAttr", self._scope(raw), raw.sourceRange()),
            hint="convert a submodule that takes the state as an argument and gives the new one as a result",
        )

    def _read_as_operator(self, raw: Any, nodes: list[Node]) -> bool:
        """Whether the custom autograd function stands for one operator, which is then a node."""
        tensors, constants = iter(raw.inputs()), iter(raw.scalar_args())
        args = [self._operand(next(tensors)) if kind == "d" else next(constants) for kind in raw.cconv()]
        found = python_ops.operator_of(raw.s("module") if raw.hasAttribute("module") else "", raw.pyname(), args)
        if found is None:
            return False
        kind, args = found
        output = self._define(raw.output())
        schema = torch_compat.schema_of(kind, "")
        nodes.append(Node(kind, "", output.name, args, [output], schema, self._scope(raw), raw.sourceRange()))
        return True

    def _read_python_op(self, raw: Any, nodes: list[Node]) -> bool:
        """A custom autograd function: what its forward did was recorded beside it."""
        if self._read_as_operator(raw, nodes):
            return True
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
    "prim::SetAttr": GraphReader._refuse_state,
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
        device=tensor.device.type,
        data=tensor,
        key=key,
    )


def _attribute(raw: Any, name: str) -> Any:
    return getattr(raw, raw.kindOf(name))(name)
