"""Views: how each is computed anew, and how what was written to one gets back into what it is a view of."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .. import eager, metadata, strides
from ..errors import Torch2TRTError, UnsupportedArgumentError
from ..graph import Node, Operand, Value, aten_kinds, map_operand, operand_values
from .builder import Builder

LAST = torch.iinfo(torch.int64).max
"""What the tracer writes for a slice's open end."""

CONTIGUOUS = 0
"""What TorchScript writes for ``torch.contiguous_format``."""


SAME = aten_kinds("detach alias lift_fresh positive real conj _conj resolve_neg data rename refine_names") | {
    "prim::data"
}
"""Views of the same elements in the same order, for real tensors."""

SAME_OBJECT = frozenset({"prim::unchecked_cast", "prim::unchecked_unwrap_optional", "aten::_unwrap_optional"})
"""Ops that give their argument itself."""

SAME_OR_COPY = aten_kinds(
    "contiguous to type_as cpu cuda pin_memory dropout feature_dropout alpha_dropout feature_alpha_dropout "
    "sum_to_size conj_physical resolve_conj _autocast_to_full_precision _autocast_to_reduced_precision"
)
"""Ops that give their argument itself, or a copy: it depends on dtypes, sizes and strides."""

RESHAPED = aten_kinds(
    "view view_as unflatten _unsafe_view _reshape_alias squeeze unsqueeze atleast_1d atleast_2d atleast_3d"
)
"""Views of the same elements in the same order, with other sizes."""

RESHAPED_OR_COPY = aten_kinds("reshape reshape_as flatten ravel")
"""As :data:`RESHAPED`, or a copy where the strides do not allow a view."""

LISTS = aten_kinds(
    "split split_with_sizes chunk unbind tensor_split hsplit vsplit dsplit unsafe_split unsafe_chunk "
    "unsafe_split_with_sizes"
)
"""Ops that give a list of views of their first argument."""

SEVERAL = aten_kinds("broadcast_tensors meshgrid cartesian_prod")
"""Ops whose results are views of several arguments."""

OWN_INVERSE = aten_kinds(
    "transpose t swapaxes swapdims numpy_T mT mH adjoint matrix_H view_as_real view_as_complex conj _conj"
)


@dataclass(frozen=True, eq=False)
class View:
    """How an alias comes from its parent.

    Args:
        kind: the op.
        overload: its overload.
        args: its arguments after the tensor.
        node: the trace's node, for its place.
        item: for an op that gives a list, which of its items.
    """

    kind: str
    overload: str
    args: tuple[Operand, ...]
    node: Node
    item: Operand = None

    def key(self) -> Hashable:
        """Equal for two views that give the same elements."""
        return (self.kind, self.overload, _hashable(self.args), self.item)


def _hashable(operand: Operand) -> Hashable:
    if isinstance(operand, (list, tuple)):
        return tuple(_hashable(item) for item in operand)
    # True and 1 are equal to Python.
    return operand if isinstance(operand, Value) else (type(operand), operand)


def of_node(node: Node, args: Sequence[Operand]) -> View:
    """The view that a node makes of its first argument."""
    return View(node.kind, node.overload, tuple(args[1:]), node)


def of_item(node: Node, args: Sequence[Operand], item: Operand, pieces: Sequence[Value] = ()) -> View:
    """The view that an item of a node's list is: a slice or selection where that is the same.

    Args:
        node: the one that gives the list.
        args: its arguments; the tensor itself is not looked at.
        item: the item's number.
        pieces: all items in the trace, where they are known.
    """
    kind = node.kind.removeprefix("aten::").removeprefix("unsafe_")
    tail = tuple(args[1:])
    if isinstance(item, int) and item >= 0:
        if kind == "unbind":
            return View("aten::select", "int", (tail[0] if tail else 0, item), node)
        axis = _split_axis(kind, tail, pieces)
        sizes = _piece_sizes(kind, tail, axis, pieces)
        if sizes is not None and len(sizes) > item:
            start = sum(sizes[:item])
            return View("aten::slice", "Tensor", (axis, start, start + sizes[item], 1), node)
        if kind == "split" and isinstance(tail[0], int):
            return View("aten::slice", "Tensor", (axis, item * tail[0], (item + 1) * tail[0], 1), node)
    return View(node.kind, node.overload, tail, node, item)


def _split_axis(kind: str, tail: tuple[Operand, ...], pieces: Sequence[Value]) -> int:
    if kind in ("hsplit", "vsplit", "dsplit"):
        vector = kind == "hsplit" and any(piece.shape is not None and len(piece.shape) == 1 for piece in pieces)
        return 0 if vector else ("vsplit", "hsplit", "dsplit").index(kind)
    return tail[1] if len(tail) > 1 else 0


def _piece_sizes(kind: str, tail: tuple[Operand, ...], axis: int, pieces: Sequence[Value]) -> list[int] | None:
    """The sizes along the axis that a tensor is split along, as far as they do not depend on a run-time size."""
    given = _list(tail[0])
    if kind in ("split", "split_with_sizes") and all(isinstance(size, int) for size in given):
        return given
    sizes = [None if piece.shape is None else piece.shape[axis] for piece in pieces]
    return None if None in sizes or not sizes else [size for size in sizes if size is not None]


def _list(operand: Operand) -> list[Any]:
    return list(operand) if isinstance(operand, (list, tuple)) else [None]


def strided(node: Node, args: Sequence[Operand], parent: Value) -> View | None:
    """The elements of ``parent`` that ``as_strided`` of it shows, taken one by one.

    Args:
        node: the one that calls ``as_strided``.
        args: its arguments; the tensor itself is not looked at.
        parent: the tensor, as it lies in memory.

    Returns:
        None where sizes are not known, or the window starts or reaches elsewhere.
    """
    size, offset, shape = node.outputs[0].shape, args[3] if len(args) > 3 else None, parent.shape
    stride = _list(args[2])
    if size is None or shape is None or parent.strides is None or None in (*size, *shape) or offset is not None:
        return None
    if not all(isinstance(step, int) for step in stride):
        return None
    places = strides.window(
        [n for n in shape if n is not None], parent.strides, [n for n in size if n is not None], stride
    )
    if places is None:
        return None
    return View("aten::take", "", (Value("", dtype=torch.int64, shape=size, data=places),), node)


def is_whole(view: View, parent: Value) -> bool:
    """Whether the view holds the same elements in the same shape as ``parent``, which it is a view of."""
    if view.kind == "aten::slice":
        _, start, end, step = (*view.args, None, None, None)[:4]
        return start in (0, None) and end in (LAST, None) and step in (1, None)
    is_complex = parent.dtype is not None and parent.dtype.is_complex
    return view.kind in SAME and not (is_complex and view.kind in ("aten::real", "aten::conj", "aten::_conj"))


def apply(builder: Builder, view: View, parent: Value, original: Value, own: Value | None) -> Value:
    """The view of ``parent``.

    Args:
        builder: takes the nodes.
        view: how.
        parent: what to take it of.
        original: the trace's value, for the type.
        own: the value to give the result to, in place of a new one.
    """
    if view.kind == "aten::as_strided":
        # Its strides are those of a contiguous tensor that owns its memory.
        parent = builder.call("aten::clone", parent, CONTIGUOUS)
    if view.item is not None:
        items = builder.repeat(view.node, [parent, *view.args])
        return builder.call("aten::__getitem__.t", items, view.item, like=original, result=own)
    if (view.kind, view.overload) == ("aten::view", ""):
        # What was written to may lie in memory in another order than in the trace, which view would refuse.
        return builder.call("aten::reshape", parent, *view.args, like=original, result=own)
    if view.kind != view.node.kind:
        name = f"{view.kind}.{view.overload}" if view.overload else view.kind
        return builder.call(name, parent, *view.args, like=original, result=own)
    return builder.repeat(view.node, [parent, *view.args], like=original, result=own)


def write_back(builder: Builder, view: View, parent: Value, child: Value, original: Value) -> Value:
    """``parent`` with the region that ``view`` shows replaced by ``child``.

    Args:
        builder: takes the nodes.
        view: how the region comes from the parent.
        parent: a value that is right elsewhere.
        child: the region's new contents.
        original: the parent's value in the trace, for the type.

    Raises:
        UnsupportedArgumentError: several elements of the view are one in memory, or it shows bits of elements.
    """
    inverse = _INVERSES.get(view.kind)
    if view.item is None and inverse is not None:
        return inverse(builder, view, parent, child, original)
    if view.item is None and view.kind in RESHAPED | RESHAPED_OR_COPY and view.overload != "dtype":
        return builder.call("aten::reshape_as", child, parent, like=original)
    if view.item is None and view.kind in OWN_INVERSE:
        return builder.call(_inverse_name(view), child, *view.args, like=original)
    if view.item is not None or view.kind in ("aten::unfold", "aten::narrow"):
        return _scatter_elements(builder, view, parent, child, original)
    raise _refused(view, "cannot be put back into its base")


def _refused(view: View, why: str) -> UnsupportedArgumentError:
    return UnsupportedArgumentError(
        f"what is written to the view that {view.kind} gives {why}",
        location=view.node.location,
        hint="clone() the view before it is written to, or write to its base",
    )


def _inverse_name(view: View) -> str:
    swapped = {"aten::view_as_real": "aten::view_as_complex", "aten::view_as_complex": "aten::view_as_real"}
    kind = swapped.get(view.kind, view.kind)
    return f"{kind}.{view.overload}" if view.overload else kind


def _slice(builder: Builder, view: View, parent: Value, child: Value, original: Value) -> Value:
    return builder.call("aten::slice_scatter", parent, child, *view.args, like=original)


def _select(builder: Builder, view: View, parent: Value, child: Value, original: Value) -> Value:
    return builder.call("aten::select_scatter", parent, child, *view.args, like=original)


def _diagonal(builder: Builder, view: View, parent: Value, child: Value, original: Value) -> Value:
    args = view.args if view.kind == "aten::diagonal" else (*view.args, *(0, -2, -1)[len(view.args) :])
    return builder.call("aten::diagonal_scatter", parent, child, *args, like=original)


def _narrow(builder: Builder, view: View, parent: Value, child: Value, original: Value) -> Value:
    axis, start, length = view.args
    if view.overload or (isinstance(start, int) and start < 0):
        return _scatter_elements(builder, view, parent, child, original)
    known = isinstance(start, int) and isinstance(length, int)
    end = start + length if known else builder.call("aten::add.int", start, length)
    return builder.call("aten::slice_scatter", parent, child, axis, start, end, like=original)


def _unsqueeze(builder: Builder, view: View, parent: Value, child: Value, original: Value) -> Value:
    return builder.call("aten::squeeze.dim", child, *view.args, like=original)


def _permute(builder: Builder, view: View, parent: Value, child: Value, original: Value) -> Value:
    order = [axis % len(view.args[0]) for axis in view.args[0]]
    return builder.call("aten::permute", child, [order.index(axis) for axis in range(len(order))], like=original)


def _movedim(builder: Builder, view: View, parent: Value, child: Value, original: Value) -> Value:
    source, destination = view.args
    return builder.call(f"aten::movedim.{view.overload}", child, destination, source, like=original)


def _expand(builder: Builder, view: View, parent: Value, child: Value, original: Value) -> Value:
    """Only where nothing is repeated: PyTorch refuses the others."""
    shapes = [original.shape, view.node.outputs[0].shape]
    sizes = [[size for size in shape if size != 1] for shape in shapes if shape is not None]
    if len(sizes) < 2 or sizes[0] != sizes[1]:
        raise _refused(view, "would be written to one element several times")
    return builder.call("aten::reshape_as", child, parent, like=original)


def _unfold(builder: Builder, view: View, parent: Value, child: Value, original: Value) -> Value:
    _, size, step = view.args
    if not (isinstance(size, int) and isinstance(step, int) and size <= step):
        raise _refused(view, "would be written to one element several times")
    return _scatter_elements(builder, view, parent, child, original)


def _as_strided(builder: Builder, view: View, parent: Value, child: Value, original: Value) -> Value:
    size, stride, offset = view.args
    known = all(isinstance(number, int) for number in (*size, *stride))
    if not known or _overlaps(size, stride):
        raise _refused(view, "would be written to one element several times")
    parent = builder.call("aten::clone", parent, CONTIGUOUS)
    return builder.call("aten::as_strided_scatter", parent, child, size, stride, offset, like=original)


def _overlaps(size: Sequence[int], stride: Sequence[int]) -> bool:
    places = torch.zeros(1, dtype=torch.int64)
    for count, step in zip(size, stride, strict=True):
        places = (places[:, None] + torch.arange(count) * step).flatten()
    return places.unique().numel() != places.numel()


def _scatter_elements(builder: Builder, view: View, parent: Value, child: Value, original: Value) -> Value:
    """For any view: the same view of the elements' numbers says where each goes."""
    flat = builder.call("aten::reshape", parent, [-1])
    ones = builder.call("aten::ones_like", flat, torch.int64)
    numbers = builder.call("aten::sub.Scalar", builder.call("aten::cumsum", ones, 0), 1)
    shaped = builder.call("aten::reshape_as", numbers, parent)
    places = builder.call("aten::reshape", apply(builder, view, shaped, Value(""), None), [-1])
    source = builder.call("aten::reshape", child, [-1])
    written = builder.call("aten::scatter.src", flat, 0, places, source)
    return builder.call("aten::reshape_as", written, parent, like=original)


_INVERSES: dict[str, Callable[[Builder, View, Value, Value, Value], Value]] = {
    "aten::slice": _slice,
    "aten::select": _select,
    "aten::diagonal": _diagonal,
    "aten::linalg_diagonal": _diagonal,
    "aten::narrow": _narrow,
    "aten::unsqueeze": _unsqueeze,
    "aten::permute": _permute,
    "aten::movedim": _movedim,
    "aten::moveaxis": _movedim,
    "aten::expand": _expand,
    "aten::expand_as": _expand,
    "aten::broadcast_to": _expand,
    "aten::unfold": _unfold,
    "aten::as_strided": _as_strided,
}


class Types:
    """What the trace says about memory: whether an op gave its argument or a copy, and where a view's elements lie."""

    def is_view(self, node: Node) -> bool | None:
        """Whether a node's result shares memory with its first argument; None when the trace does not say."""
        answers = {self._is_view(node, trace) for trace in range(TRACES)}
        return answers.pop() if len(answers) == 1 else None

    def _is_view(self, node: Node, trace: int) -> bool | None:
        source = metadata.describe_traced(node.args[0], trace)
        if source is None:
            return None
        result = metadata.describe_traced(node.outputs[0], trace)
        try:
            if node.kind in RESHAPED_OR_COPY and result is not None:
                made = source.reshape(result.shape)
            else:
                args = [_on_meta(operand, trace) for operand in node.args[1:]]
                (made,) = eager.call(node, [source, *args])
        except (_Unknown, Torch2TRTError):
            return None
        return bool(made.untyped_storage()._cdata == source.untyped_storage()._cdata)

    def offset(self, root: Value, chain: Sequence[View]) -> int | None:
        """Where in memory the view that ``chain`` makes of ``root`` starts; None if ``root`` is not contiguous."""
        found: set[int | None] = set()
        for trace in range(TRACES):
            tensor = metadata.describe_traced(root, trace)
            if tensor is None or not tensor.is_contiguous():
                return None
            shown = _run(chain, tensor)
            found.add(None if shown is None else int(shown.storage_offset()))
        return found.pop() if len(found) == 1 else None

    def overlap(self, root: Value, left: Sequence[View], right: Sequence[View]) -> bool:
        """Whether two views of ``root`` have elements in common; False too when that is not known."""
        tensor = metadata.describe_traced(root, 0)
        if tensor is None or tensor.numel() > MOST_COMPARED:
            return False
        numbers = torch.arange(tensor.numel()).reshape(tensor.shape)
        shown = [_run(chain, numbers) for chain in (left, right)]
        if shown[0] is None or shown[1] is None:
            return False
        return bool(torch.isin(shown[0].flatten(), shown[1].flatten()).any())


TRACES = 2
"""A module is traced at one size or, where sizes are dynamic, at two."""

MOST_COMPARED = 1 << 22
"""Overlaps in memory of more elements are not looked for."""


class _Unknown(Exception):
    """An argument is known at run time only."""


def _on_meta(operand: Operand, trace: int) -> Any:
    def describe(value: Value) -> torch.Tensor:
        described = metadata.describe_traced(value, trace)
        if described is None:
            raise _Unknown
        return described

    # Which device does not matter: a module lies on one, as tracing checks.
    return torch.device("meta") if isinstance(operand, torch.device) else map_operand(operand, describe)


def _run(chain: Sequence[View], tensor: torch.Tensor) -> torch.Tensor | None:
    """The view of a tensor that ``chain`` makes; None when an argument is known at run time only."""
    for view in chain:
        if any(operand_values([*view.args, view.item])):
            return None
        source = Value("")
        builder = Builder([])
        result = apply(builder, view, source, Value(""), None)
        results: dict[Value, Any] = {source: tensor}
        for node in builder.nodes:
            args = [map_operand(operand, results.__getitem__) for operand in node.args]
            results.update(zip(node.outputs, eager.call(node, args), strict=True))
        tensor = results[result]
    return tensor
