"""Mutation made functional: afterwards no node writes to a value.

The nodes are walked once, in order. :mod:`torch2trt.passes.aliases` keeps what every tensor holds; a node that writes
becomes the operator that gives the result (:mod:`torch2trt.passes.writes`), and a node that reads takes what its
arguments hold by then. Only values that may share memory with one that is written to are looked at, so a graph without
mutation costs one look at each node.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal, get_args

from .. import registry, structure, torch_compat
from ..errors import InputError, Torch2TRTError, UnsupportedArgumentError
from ..graph import Block, Graph, Node, Operand, Value, map_operand, operand_values, replace_values, walk_nodes
from ..structure import Structure
from . import blocks, fold, sharing, views, writes
from .aliases import Alias, Memory, Reference
from .builder import Builder

MutatedInputs = Literal["error", "output", "ignore"]


def require_choice(mutated_inputs: str) -> None:
    """Refuse what is none of :data:`MutatedInputs`.

    Raises:
        InputError: it is none.
    """
    if mutated_inputs not in get_args(MutatedInputs):
        raise InputError(f"mutated_inputs={mutated_inputs!r} is none of 'error', 'output', 'ignore'")


def functionalize(graph: Graph, mutated_inputs: MutatedInputs = "error") -> None:
    """Replace every node that writes to a tensor, in blocks too, so that the graph computes what eager computes.

    Args:
        graph: changed in place.
        mutated_inputs: what to do when the module writes to an input: ``error`` raises, ``output`` adds what the input
            holds at the end to the outputs, ``ignore`` leaves the caller's tensor as it is.

    Raises:
        InputError: the module writes to an input, and ``mutated_inputs`` is ``error`` or no choice.
        UnsupportedArgumentError: what a write changes cannot be known at conversion.
    """
    require_choice(mutated_inputs)
    _keep_statistics(graph.nodes)
    if sharing.writes_anything(graph.nodes):
        Functionalizer(graph).run(mutated_inputs)


_STATISTICS = {"aten::batch_norm": "training", "aten::instance_norm": "use_input_stats"}


def _keep_statistics(nodes: list[Node]) -> None:
    """In training, norms write to their running statistics without saying so; what they compute ignores these.

    A fake quantisation whose observer is off says that it writes, and leaves its state as it was; so does
    ``_native_batch_norm_legit`` outside of training.
    """
    for node in walk_nodes(nodes):
        if node.kind == "aten::fused_moving_avg_obs_fake_quant" and node.schema is not None:
            observer = node.argument("observer_on")
            if isinstance(observer, Value) and observer.data is not None and not bool(observer.data):
                node.schema = torch_compat.without_writes(node.schema)
        if node.kind == "aten::_native_batch_norm_legit" and node.schema is not None and not node.argument("training"):
            node.schema = torch_compat.without_writes(node.schema)
        flag = _STATISTICS.get(node.kind)
        if flag is not None and node.argument(flag) is True and node.schema is not None:
            for name in ("running_mean", "running_var"):
                node.args[node.schema.argument_names.index(name)] = None


class Functionalizer:
    """One walk over a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.sharing = sharing.Sharing(graph)
        self.builder = Builder([])
        self.memory = Memory(self.builder)
        self.types = views.Types()
        self.references: dict[Value, Reference] = {}
        self.lists: dict[Value, tuple[Alias, Node, list[Operand]]] = {}
        self.replaced: dict[Value, Operand] = {}
        self.known: dict[Value, Any] = {}
        self.begun = False
        self.has_blocks = any(node.blocks for node in graph.nodes)

    def run(self, mutated_inputs: MutatedInputs) -> None:
        """Rewrite the graph."""
        graph = self.graph
        for value in (*graph.inputs, *self.sharing.data):
            if self.sharing.is_written(value):
                self.allocate(value)
        graph.nodes = self.visit_all(graph.nodes)
        self.builder.nodes = graph.nodes
        self.builder.place = None
        graph.outputs = [self.operand(output) for output in graph.outputs]
        self._finish_inputs(mutated_inputs)
        self._finish_state()

    # ---- values

    def allocate(self, value: Value, *, container: bool = False) -> Reference:
        """``value`` owns memory of its own."""
        reference = self.memory.allocate(value, self.sharing.group(value), container=container)
        self.references[value] = reference
        return reference

    def reference(self, operand: Operand) -> Reference | None:
        """The tensor object that an operand is; None when nothing writes to what it may share memory with."""
        return self.references.get(self.resolved(operand)) if isinstance(operand, Value) else None

    def resolved(self, operand: Operand) -> Operand:
        """``operand`` with the outputs of decided ifs replaced by what they are."""
        return replace_values(operand, self.replaced)

    def operand(self, operand: Operand) -> Operand:
        """``operand`` as it is by now: every value that was written to replaced by a newer one."""
        return map_operand(self.resolved(operand), self._current)

    def _current(self, value: Value) -> Value:
        reference = self.references.get(value)
        if reference is not None:
            return self.memory.read(reference.alias)
        listed = self.lists.get(value)
        if listed is None:
            return value
        alias, node, tail = listed
        return self.builder.repeat(node, [self.memory.read(alias), *tail])

    # ---- nodes

    def visit_all(self, nodes: list[Node]) -> list[Node]:
        """The functional nodes for ``nodes``."""
        outer, self.builder.nodes = self.builder.nodes, []
        for node in nodes:
            self._visit(node)
        made, self.builder.nodes = self.builder.nodes, outer
        return made

    def _visit(self, node: Node) -> None:
        self.builder.place = node
        if self.replaced:
            node.args = [self.resolved(operand) for operand in node.args]
        if self.has_blocks and self._decide(node):
            return
        if node.kind == "prim::If":
            blocks.visit_if(self, node)
        elif node.kind == "prim::Loop":
            blocks.visit_loop(self, node)
        elif self._is_concerned(node):
            self._visit_concerned(node)
        else:
            self._pass_on(node)

    def _is_concerned(self, node: Node) -> bool:
        is_written = self.sharing.is_written
        return any(map(is_written, node.outputs)) or any(map(is_written, operand_values(node.args)))

    def _pass_on(self, node: Node) -> None:
        if self.begun and node.kind == "aten::view" and not node.overload and _is_free(node):
            # What was written to may lie in memory in another order than in the trace, which view would refuse.
            node.kind, node.schema = "aten::reshape", torch_compat.schema_of("aten::reshape", "")
        self.builder.append(node)

    def _visit_concerned(self, node: Node) -> None:
        kind = sharing.role(node)
        if kind == "write":
            self.begun = True
            writes.visit_write(self, node)
        elif kind == "object":
            self._visit_object(node)
        elif kind == "view" and self.reference(node.args[0]) is not None:
            self._visit_view(node)
        elif kind == "list" and self.reference(node.args[0]) is not None:
            self._visit_list(node)
        elif kind == "container":
            self._visit_container(node)
        else:
            node.args = [self.operand(operand) for operand in node.args]
            self._pass_on(node)
            self.allocate_outputs(node)

    def allocate_outputs(self, node: Node) -> None:
        """Memory of their own for a node's results."""
        for value in node.outputs:
            if self.sharing.is_written(value):
                self.allocate(value, container=node.kind in ("prim::ListConstruct", "prim::DictConstruct"))

    def _visit_object(self, node: Node) -> None:
        reference = self.reference(node.args[0])
        if reference is not None:
            self.references[node.outputs[0]] = reference
        else:
            self.replaced[node.outputs[0]] = self.operand(node.args[0])

    def _visit_view(self, node: Node) -> None:
        reference = self.reference(node.args[0])
        shares = self._shares_memory(node)
        if reference is None or shares is not True:
            node.args = [self.operand(operand) for operand in node.args]
            self._pass_on(node)
            made = self.allocate(node.outputs[0])
            if shares is None and reference is not None:
                self.memory.give(reference.alias.storage)
                self.memory.take(made.alias.storage)
            return
        args = [None, *(self.operand(operand) for operand in node.args[1:])]
        alias = self.view(reference.alias, node, args)
        self.references[node.outputs[0]] = Reference(alias, self.memory.depth)

    def _shares_memory(self, node: Node) -> bool | None:
        if node.kind in views.SAME_OR_COPY or node.kind in views.RESHAPED_OR_COPY:
            return self.types.is_view(node)
        return True

    def view(self, parent: Alias, node: Node, args: list[Operand]) -> Alias:
        """The alias that a view node makes of ``parent``."""
        if node.kind == "aten::as_strided":
            return self._strided(parent, node, args)
        view = views.of_node(node, args)
        if views.is_whole(view, parent.original) or (node.kind in views.SAME_OR_COPY):
            return parent
        return self.memory.view(parent, view, node.outputs[0])

    def _strided(self, parent: Alias, node: Node, args: list[Operand]) -> Alias:
        """A view by strides is one of the whole memory, where that lies as its shape says, or of ``parent`` alone."""
        root = parent.storage.root
        offset: Operand = self.types.offset(root.original, parent.views())
        if offset is None:
            taken = views.strided(node, args, parent.original)
            if taken is not None:
                return self.memory.view(parent, taken, node.outputs[0])
            raise UnsupportedArgumentError(
                "as_strided is used on memory that is written to and whose layout is not that of a contiguous tensor",
                location=node.location,
                hint="use slices, or clone() the tensor first",
            )
        if len(args) > 3 and args[3] is not None:
            offset = args[3]
        view = views.View(node.kind, node.overload, (args[1], args[2], offset), node)
        return self.memory.view(root, view, node.outputs[0])

    def _visit_list(self, node: Node) -> None:
        reference = self.reference(node.args[0])
        if reference is not None:
            self.lists[node.outputs[0]] = (reference.alias, node, [self.operand(item) for item in node.args[1:]])

    def _visit_container(self, node: Node) -> None:
        if self._take_items(node):
            return
        inputs = [self.references[value] for value in operand_values(node.args) if value in self.references]
        node.args = [self.operand(operand) for operand in node.args]
        self._pass_on(node)
        self.allocate_outputs(node)
        results = [self.references[value] for value in node.outputs if value in self.references]
        for storage in (reference.alias.storage for reference in inputs):
            if storage.container:
                self.memory.take(storage)
            else:
                self.memory.give(storage)
        for reference in results:
            self.memory.take(reference.alias.storage)

    def _take_items(self, node: Node) -> bool:
        """Whether the node only takes items out of a list of views, which then are views themselves."""
        if node.kind not in ("prim::ListUnpack", "aten::__getitem__") or not isinstance(node.args[0], Value):
            return False
        listed = self.lists.get(node.args[0])
        if listed is None:
            return False
        alias, source, tail = listed
        pieces = node.outputs if node.kind == "prim::ListUnpack" else []
        items = range(len(pieces)) if pieces else [self.operand(node.args[1])]
        for value, item in zip(node.outputs, items, strict=True):
            view = views.of_item(source, [None, *tail], item, pieces)
            self.references[value] = Reference(self.memory.view(alias, view, value), self.memory.depth)
        return True

    # ---- decided ifs

    def _decide(self, node: Node) -> bool:
        """Note what is known without the inputs' values; whether the node is an if that is decided by it."""
        if node.kind == "prim::If":
            condition = self._known(node.args[0])
            if not isinstance(condition, Value):
                self._choose(node, node.blocks[0 if condition else 1])
                return True
        elif not node.blocks and sharing.role(node) == "plain":
            self._note(node)
        return False

    def _choose(self, node: Node, block: Block) -> None:
        for inner in block.nodes:
            self._visit(inner)
        for value, operand in zip(node.outputs, block.outputs, strict=True):
            self.replaced[value] = self.resolved(operand)

    def _known(self, operand: Operand) -> Any:
        return replace_values(self.resolved(operand), self.known)

    def _note(self, node: Node) -> None:
        args = [self._known(operand) for operand in node.args]
        try:
            results = fold.without_data(node, args)
        except Torch2TRTError:  # what eager refuses is refused where the node runs
            return
        if results is not None and not structure.flatten(results)[0]:
            self.known.update(zip(node.outputs, results, strict=True))

    # ---- what the caller sees

    def _finish_inputs(self, mutated_inputs: MutatedInputs) -> None:
        mutated = [
            (name, value)
            for name, value in zip(self.graph.input_names, self.graph.inputs, strict=True)
            if self._is_mutated(value)
        ]
        if not mutated or mutated_inputs == "ignore":
            return
        names = ", ".join(name for name, _ in mutated)
        if mutated_inputs == "error":
            raise InputError(
                f"the module writes to its input {names}",
                location=writes.first_write(self, [value for _, value in mutated]),
                hint='clone() it first, or pass mutated_inputs="output" to get what it holds at the end as an output, '
                'or mutated_inputs="ignore" to leave the caller\'s tensor as it is',
            )
        self.graph.outputs += [self.operand(value) for _, value in mutated]
        nesting = self.graph.output_structure
        parts = nesting.children if nesting.kind == "tuple" else (nesting,)
        self.graph.output_structure = Structure("tuple", (*parts, *(structure.LEAF for _ in mutated)))

    def _is_mutated(self, value: Value) -> bool:
        reference = self.references.get(value)
        if reference is None:
            return False
        storage = reference.alias.storage
        return storage.writer is not None or reference.alias is not storage.root or self.memory.is_uncertain(storage)

    def _finish_state(self) -> None:
        keys = [value.key for value in self.sharing.data if value.key is not None and self._is_mutated(value)]
        if keys:
            warnings.warn(
                f"the module writes to {', '.join(keys)}: an engine keeps no state, every call starts from the values "
                "that these have at conversion",
                stacklevel=2,
            )


def _is_free(node: Node) -> bool:
    """Whether no handler of the user's asks for the node as it was traced."""
    handler = registry.find(node)
    return handler is None or handler.builtin
