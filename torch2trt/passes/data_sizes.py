"""Sizes that depend on what tensors hold: the trace has those of its own inputs, which must not be taken for all."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

import torch

from .. import metadata
from ..graph import Graph, Node, Operand, Value, operand_values, walk_nodes

_DECIDING: dict[str, slice] = {
    "aten::argwhere": slice(0, 1),
    "aten::bincount": slice(0, 1),
    "aten::masked_select": slice(1, 2),
    "aten::nonzero": slice(0, 1),
    "aten::nonzero_numpy": slice(0, 1),
    "aten::_pack_padded_sequence": slice(1, 2),
    "aten::_pad_packed_sequence": slice(1, 2),
    "aten::tensor_split": slice(1, 2),
    "aten::_unique": slice(0, 1),
    "aten::_unique2": slice(0, 1),
    "aten::unique_consecutive": slice(0, 1),
    "aten::unique_dim": slice(0, 1),
    "torchvision::nms": slice(0, 2),
}
"""Ops whose results have as many elements as the values of these arguments say."""

_LIKE_FIRST = frozenset(
    {
        "aten::fill",
        "aten::index_add",
        "aten::index_copy",
        "aten::index_fill",
        "aten::index_put",
        "aten::index_reduce",
        "aten::masked_fill",
        "aten::masked_scatter",
        "aten::put",
        "aten::scatter",
        "aten::scatter_add",
        "aten::scatter_reduce",
    }
)
"""Ops whose result has the sizes of their first argument, whatever the others'; as all ops do that write to it."""

_WRITES_TO_INDICES = frozenset({"aten::index_put", "aten::index_put_"})


def mark_data_sizes(graph: Graph) -> None:
    """Replace the sizes of every tensor that may depend on values of the inputs by None.

    Which of a tensor's axes they are is left to TensorRT: all of them count as unknown.
    """
    loose = data_sized(graph.inputs, graph.nodes)
    _give_ones_back(graph.nodes, loose)
    for value in loose:
        if value.shape:
            if value.traced is None and None not in value.shape:
                value.traced = ((value.shape, value.strides), (value.shape, value.strides))
            value.shape = (None,) * len(value.shape)


def _give_ones_back(nodes: Sequence[Node], loose: Container[Value]) -> None:
    """Undo what ``x[mask] = values`` does to values of which the trace had one: it takes leading axes of size 1 off."""
    for node in walk_nodes(list(nodes)):
        view = node.args[2].node if node.kind in _WRITES_TO_INDICES and isinstance(node.args[2], Value) else None
        if view is None or view.kind != "aten::view" or view.args[0] not in loose or isinstance(view.args[1], Value):
            continue
        values, sizes = view.args[0], tuple(view.args[1])
        if values.shape is not None and values.shape == (1,) * (len(values.shape) - len(sizes)) + sizes:
            node.args[2] = values


def data_sized(inputs: Sequence[Value], nodes: Sequence[Node]) -> set[Value]:
    """The values among ``nodes`` whose sizes may depend on what ``inputs`` hold: tensors, and lists of tensors."""
    finder = _Finder()
    finder.content.update(inputs)
    finder.visit(nodes)
    return finder.loose


class _Finder:
    """Follows values of the inputs, and the sizes that come of them, from node to node.

    Attributes:
        content: values that depend on what the inputs hold.
        loose: tensors whose sizes do, and lists of such tensors.
    """

    def __init__(self) -> None:
        self.content: set[Value] = set()
        self.loose: set[Value] = set()

    def visit(self, nodes: Sequence[Node]) -> None:
        """Classify the outputs of nodes."""
        for node in nodes:
            if node.blocks:
                self._visit_blocks(node)
                continue
            loose = self._is_loose(node)
            asks = node.kind in metadata.KINDS
            if loose and not asks:
                sized = [value for place, value in enumerate(node.outputs) if not _is_number(node, place)]
                self.loose.update(value for value in sized if value.shape != ())
            if loose or (not asks and self._any(self.content, node.args)):
                self.content.update(node.outputs)

    def _visit_blocks(self, node: Node) -> None:
        """An if or a loop: what goes through it may have any size if its condition, or an argument, has."""
        outside = list(node.values())
        runtime = self._any(self.content, outside)
        for block in node.blocks:
            if runtime:
                self.content.update(block.inputs)
                self.loose.update(block.inputs)
            self.visit(block.nodes)
        results = [block.outputs for block in node.blocks]
        if runtime or self._any(self.content, results):
            self.content.update(node.outputs)
        if self._any(self.content, node.args) or self._any(self.loose, results):
            self.loose.update(node.outputs)

    def _is_loose(self, node: Node) -> bool:
        """Whether the sizes of the node's results, or what it says of its argument's, may depend on data."""
        if self._keeps_sizes(node):
            return self._any(self.loose, node.args[:1])
        if self._any(self.loose, node.args):
            return True
        return self._any(self.content, _deciding(node))

    def _keeps_sizes(self, node: Node) -> bool:
        written = node.schema is not None and bool(node.schema.arguments) and node.schema.arguments[0].written
        return written or node.kind in _LIKE_FIRST

    def _any(self, among: set[Value], operands: Iterable[Operand]) -> bool:
        return any(value in among for operand in operands for value in operand_values(operand))


def _deciding(node: Node) -> list[Operand]:
    """The arguments whose values say how large the node's results are."""
    found = node.args[_DECIDING[node.kind]] if node.kind in _DECIDING else []
    if node.kind == "aten::where" and len(node.args) == 1:
        found = node.args
    elif node.kind == "aten::one_hot" and node.args[1] == -1:
        found = node.args[:1]
    elif node.kind == "aten::repeat_interleave":
        found = node.args[:1] if node.overload == "Tensor" else node.args[1:2]
    elif node.kind == "aten::index":
        found = [value for value in operand_values(node.args[1]) if value.dtype in _MASKS]
    return [*found, *_numbers(node)]


_MASKS = (torch.bool, torch.uint8)
_SIZES = frozenset({"int", "List[int]", "Optional[int]", "Optional[List[int]]"})
_NUMBERS = frozenset({"int", "float", "bool", "number", "str"})
_SPANS = frozenset({"aten::arange", "aten::linspace", "aten::logspace", "aten::range"})


def _numbers(node: Node) -> list[Operand]:
    """The arguments that are sizes, bounds or counts: integers, lists of them, and the ends of a range."""
    if node.schema is None:
        return []
    kinds = _SIZES | {"number"} if node.kind in _SPANS else _SIZES
    arguments = zip(node.schema.arguments, node.args, strict=False)
    return [operand for argument, operand in arguments if argument.type in kinds]


def _is_number(node: Node, place: int) -> bool:
    returns = node.schema.returns if node.schema is not None else ()
    return place < len(returns) and returns[place].type in _NUMBERS
