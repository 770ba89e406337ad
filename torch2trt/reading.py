"""The graph that torch.jit.trace makes, read into our own: nothing of ``torch._C`` remains."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch

from . import python_ops, torch_compat
from .errors import Location, TraceError
from .graph import Block, Graph, Node, Operand, Value, substitute
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
    """Turns the TorchScript graphs of a traced module and its submodules into a :class:`~torch2trt.graph.Graph`.

    PyTorch could inline the submodules' graphs, but keeps another copy of each for that, for good.

    Args:
        traced: the traced module.
        state_dict: the tensors that have names, by path in the traced module.
        strip: gives the name of a path in the module that the caller knows.
        compiled: the paths of modules that were in TorchScript before.
    """

    def __init__(
        self,
        traced: torch.jit.ScriptModule,
        state_dict: Mapping[str, torch.Tensor],
        strip: Callable[[str], str],
        compiled: Collection[str],
    ) -> None:
        self._traced = traced
        self._strip = strip
        self._compiled = compiled
        self.constants: list[torch.Tensor] = []
        self._keys = {id(tensor): self._strip(key) for key, tensor in reversed(list(state_dict.items()))}
        self._operands: dict[str, Operand] = {}
        self._paths: dict[str, str] = {}
        self._attributes: dict[int, Value] = {}
        self._parameters: dict[str, torch.Tensor] = {}
        self._names: set[str] = set()
        self._read: set[str] = set()  # attributes
        self._written: dict[str, Operand] = {}
        self._depth = 0  # of blocks
        self._counter = itertools.count()
        self._device: str | None = None
        self._same_dtypes = self._same_sizes = True  # as recorded in the graph that is read

    def read(self, names: list[str], structure: Structure, output_structure: Structure) -> Graph:
        """The whole graph."""
        raw = self._graph_of("", "forward")
        owner, *tensors = raw.inputs()
        self._paths[owner.debugName()] = ""
        inputs = [self._define(value) for value in tensors]
        self._device = next((value.device for value in inputs), None)
        nodes = self._nodes(raw)
        (result,) = raw.outputs()
        outputs = self._operand(result)
        flat_outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
        return Graph(inputs, nodes, flat_outputs, names, structure, output_structure, self._parameters)

    def _graph_of(self, path: str, method: str) -> Any:
        """The graph of a module's method, inlined where it calls what was compiled."""
        found = self._at(path)._c._get_method(method)
        graph = found.graph
        inlined = path in self._compiled or graph.findAllNodes("prim::CallFunction")
        return found.inlined_graph if inlined else graph

    def _at(self, path: str) -> Any:
        found: Any = self._traced
        for part in path.split(".") if path else ():
            found = _member(found, part)
        return found

    def _unique(self, name: str) -> str:
        """The name, or one like it where another graph has it, too."""
        stem, count = name.rsplit(".", 1)[0], itertools.count(1)
        while name in self._names:
            name = f"{stem}.{next(count)}"
        self._names.add(name)
        return name

    def _define(self, raw: Any) -> Value:
        value = Value(self._unique(raw.debugName()))
        kind = raw.type()
        if kind.kind() == "TensorType":
            value.dtype = kind.dtype() if self._same_dtypes else None
            sizes, strides = (kind.sizes(), kind.strides()) if self._same_sizes else (None, None)
            value.shape = tuple(sizes) if sizes is not None else None
            value.strides = tuple(strides) if strides is not None else None
            device = kind.device()
            value.device = device.type if device is not None else self._device
        self._operands[raw.debugName()] = value
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
        if kind.startswith(_FOR_CPUS):
            raise TraceError(
                f"{kind} is for the CPU alone, where torch.jit.optimize_for_inference has put it",
                location=Location(kind, self._scope(raw), raw.sourceRange()),
                hint="convert the module that was optimized",
            )
        schema = torch_compat.parse_schema(raw.schema())
        args = [self._operand(value) for value in raw.inputs()]
        if schema is not None:
            schema = torch_compat.canonical_schema(schema)
            kind = schema.name
            for index, argument in enumerate(schema.arguments[: len(args)]):
                if argument.is_dtype and type(args[index]) is int:
                    args[index] = torch_compat.dtype_of_code(args[index])
        blocks = [self._block(block) for block in raw.blocks()]
        results = list(raw.outputs())
        if kind == "prim::Loop":
            self._read_kept_lists(results, args, blocks[0])
        outputs = [self._define(value) for value in results]
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
        self._depth += 1
        nodes = self._nodes(raw)
        self._depth -= 1
        return Block(inputs, nodes, [self._operand(value) for value in raw.outputs()])

    def _scope(self, raw: Any) -> str:
        last = raw.scopeName().rsplit("/", 1)[-1]
        return self._strip(last.removeprefix("__module.").removeprefix("__module"))

    def _read_attribute(self, raw: Any, nodes: list[Node]) -> bool:
        path = self._attribute_path(raw)
        output = raw.output()
        name = output.debugName()
        if path in self._written:
            self._operands[name] = self._written[path]
            return True
        self._read.add(path)
        found = self._at(path)
        kind = output.type()
        if kind.kind() == "ClassType" and not kind.annotation_str.startswith("__torch__.torch.classes."):
            # a module, or an object of another class that TorchScript compiled
            self._paths[name] = path
            return True
        self._operands[name] = self._tensor(path, found) if isinstance(found, torch.Tensor) else found
        return True

    def _attribute_path(self, raw: Any) -> str:
        owner = self._paths[next(iter(raw.inputs())).debugName()]
        return f"{owner}.{raw.s('name')}" if owner else raw.s("name")

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
            constant = number if number is not None else _tensor_value(self._unique(name), constant, None)
        self._operands[name] = constant
        return True

    def _read_object(self, raw: Any, nodes: list[Node]) -> bool:
        """An object that scripted code makes: its attributes are variables."""
        name = raw.output().debugName()
        self._paths[name] = self._unique(f"object {name}")
        return True

    def _read_list(self, raw: Any, nodes: list[Node]) -> bool:
        output = raw.output()
        if self._is_kept(output):
            return False
        self._operands[output.debugName()] = [self._operand(value) for value in raw.inputs()]
        return True

    def _read_extension(self, raw: Any, nodes: list[Node]) -> bool:
        """``items += [one]``, which is ``items.append(one)``."""
        items, more = list(raw.inputs())[:2]
        schema = torch_compat.schema_of("aten::append", "t")
        if items.type().kind() != "ListType" or more.node().kind() != "prim::ListConstruct" or schema is None:
            return False
        ones = [self._operand(value) for value in more.node().inputs()]
        for one in ones:
            result = Value(self._unique(raw.output().debugName()))
            args = [self._operand(items), one]
            nodes.append(
                Node("aten::append", "t", result.name, args, [result], schema, self._scope(raw), raw.sourceRange())
            )
        self._operands[raw.output().debugName()] = self._operand(items)
        return True

    def _is_kept(self, raw: Any) -> bool:
        """Whether a list is changed, or handed on to what may."""
        for use in raw.uses():
            kind = use.user.kind()
            if kind in _LIST_KEEPERS or (kind == "prim::CallMethod" and self._is_kept_by_call(use)):
                return True
        return False

    def _is_kept_by_call(self, use: Any) -> bool:
        path = self._paths.get(next(iter(use.user.inputs())).debugName())
        return path is None or self._is_kept(list(self._graph_of(path, use.user.s("name")).inputs())[use.offset])

    def _read_kept_lists(self, results: list[Any], args: list[Operand], body: Block) -> None:
        """Take out of a loop the variables that are one list throughout, which its body may only append to."""
        for place in reversed(range(len(results))):
            inside, outside = body.inputs[place + 1], args[place + 2]
            if results[place].type().kind() == "ListType" and body.outputs[place + 1] is inside:
                del body.inputs[place + 1], body.outputs[place + 1], args[place + 2]
                substitute(body, {inside: outside})
                self._operands[results.pop(place).debugName()] = outside

    def _read_tuple(self, raw: Any, nodes: list[Node]) -> bool:
        self._operands[raw.output().debugName()] = tuple(self._operand(value) for value in raw.inputs())
        return True

    def _read_unpack(self, raw: Any, nodes: list[Node]) -> bool:
        operand = self._operand(raw.input())
        if isinstance(operand, Value):
            if operand.node is not None:
                operand.node.attributes["pieces"] = raw.outputsSize()
            return False
        for value, item in zip(raw.outputs(), operand, strict=True):
            self._operands[value.debugName()] = item
        return True

    def _read_call(self, raw: Any, nodes: list[Node]) -> bool:
        """A submodule's call."""
        owner = next(iter(raw.inputs())).debugName()
        if owner not in self._paths:  # an interface: which module it is, is not known
            return False
        path = self._paths[owner]
        body = self._graph_of(path, raw.s("name"))
        outer = self._same_dtypes, self._same_sizes
        if path in self._compiled:
            self._compare_with_recorded(body, raw)
        self._read_body(raw, body, nodes, {}, {})
        self._same_dtypes, self._same_sizes = outer
        return True

    def _compare_with_recorded(self, body: Any, raw: Any) -> None:
        """A module that was traced before may be called at other sizes now, or have been cast."""
        for inside, outside in zip(body.inputs(), raw.inputs(), strict=False):
            given = self._operands.get(outside.debugName())
            if inside.type().kind() == "TensorType" and isinstance(given, Value):
                dtype, sizes = inside.type().dtype(), inside.type().sizes()
                self._same_dtypes &= dtype is None or dtype == given.dtype
                self._same_sizes &= sizes is None or (given.shape is not None and tuple(sizes) == given.shape)

    def _read_body(
        self, raw: Any, body: Any, nodes: list[Node], operands: dict[str, Operand], paths: dict[str, str]
    ) -> None:
        """The nodes of the graph that a node runs.

        Args:
            raw: the node.
            body: the graph.
            nodes: where its nodes go.
            operands: what it knows besides the node's inputs.
            paths: the modules that it knows besides these.
        """
        for inside, outside in zip(body.inputs(), raw.inputs(), strict=False):
            if outside.debugName() in self._paths:  # a call's module, and those of others that it shares
                paths[inside.debugName()] = self._paths[outside.debugName()]
            else:
                operands[inside.debugName()] = self._operand(outside)
        outer = self._operands, self._paths
        self._operands, self._paths = operands, paths
        nodes.extend(self._nodes(body))
        results = [self._operand(value) for value in body.outputs()]
        self._operands, self._paths = outer
        for value, operand in zip(raw.outputs(), results, strict=True):
            self._operands[value.debugName()] = operand

    def _write_attribute(self, raw: Any, nodes: list[Node]) -> bool:
        """A scripted module that writes to its own attribute, as to a variable if it does so before it reads it."""
        path = self._attribute_path(raw)
        if path not in self._read and not self._depth:
            self._written[path] = self._operand(list(raw.inputs())[1])
            return True
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
        if any(value.debugName() in self._paths for value in raw.inputs()):
            raise TraceError(
                f"scripted code calls {raw.pyname()} in Python, which TorchScript does not hold (torch.jit.ignore)",
                location=Location("prim::PythonOp", self._scope(raw), raw.sourceRange()),
                hint="script that function, too, or convert what the module was scripted from",
            )
        if self._read_as_operator(raw, nodes):
            return True
        if not raw.hasAttribute("Subgraph"):
            name = raw.pyname()
            raise TraceError(
                f"the trace holds nothing of what the custom autograd function {name} does",
                location=Location("prim::PythonOp", self._scope(raw), raw.sourceRange()),
                hint="call the function's forward instead of apply when not training",
            )
        first = len(nodes)
        self._read_body(raw, raw.g("Subgraph"), nodes, dict(self._operands), dict(self._paths))
        for node in nodes[first:]:
            node.scope = self._scope(raw)
            for value in node.outputs:
                value.name = f"{raw.pyname()}_{next(self._counter)}_{value.name}"
        return True


_READERS: dict[str, Callable[[GraphReader, Any, list[Node]], bool]] = {
    "prim::GetAttr": GraphReader._read_attribute,
    "prim::CallMethod": GraphReader._read_call,
    "prim::SetAttr": GraphReader._write_attribute,
    "prim::Constant": GraphReader._read_constant,
    "prim::CreateObject": GraphReader._read_object,
    "prim::ListConstruct": GraphReader._read_list,
    "aten::add_": GraphReader._read_extension,
    "prim::TupleConstruct": GraphReader._read_tuple,
    "prim::TupleUnpack": GraphReader._read_unpack,
    "prim::ListUnpack": GraphReader._read_unpack,
    "prim::PythonOp": GraphReader._read_python_op,
}


_FOR_CPUS = ("aten::to_mkldnn", "prim::mkldnn_", "prim::ConstantMKLDNN", "prim::MKLDNN")
"""How what ``torch.jit.optimize_for_inference`` puts in begins; called by itself, it ends the process."""


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


def _member(owner: Any, name: str) -> Any:
    """What a compiled module holds, also where ScriptModule has a method of that name, such as ``graph``."""
    if isinstance(owner, torch.jit.ScriptModule):
        if name in owner._modules:
            return owner._modules[name]
        if owner._c.hasattr(name):
            return owner._c.getattr(name)
    return getattr(owner, name)
