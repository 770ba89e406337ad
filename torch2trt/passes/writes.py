"""Nodes that write, as nodes that give results."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import registry
from ..errors import InternalError, Location, UnsupportedArgumentError
from ..graph import Node, Operand, Value, operand_values
from ..torch_compat import Argument, Schema
from . import views
from .aliases import Alias, Reference
from .counterparts import NO_OP, REFUSED, Counterpart, appending, counterpart
from .sharing import writes_tensors

if TYPE_CHECKING:
    from .functionalize import Functionalizer


def visit_write(walk: Functionalizer, node: Node) -> None:
    """Replace a node that writes to tensors by one that gives what it would write.

    Raises:
        UnsupportedArgumentError: it gives a tensor other memory, or reads what it writes to in another order.
    """
    walk.memory.writing = node.kind
    if node.kind in NO_OP or (node.kind in REFUSED and _keeps_shape(node)):
        _refer(walk, node, node.args[0])
        return
    if node.kind in REFUSED or node.schema is None:
        raise UnsupportedArgumentError(
            f"{node.kind} gives a tensor other memory, which a graph without mutation cannot express",
            location=node.location,
            hint="make a new tensor of the size that you need",
        )
    special = _SPECIAL.get(node.kind)
    if special is not None and special(walk, node):
        return
    match, added = counterpart(node.schema.text), appending(node.schema.text)
    if _has_users_handler(node) or (match is None and added is None):
        _write_to_copies(walk, node)
    elif match is None:
        _append_written(walk, node, added)
    elif match.is_view:
        _change_view(walk, node, match)
    elif node.schema.arguments[0].written:
        _write_in_place(walk, node, match)
    else:
        _write_results(walk, node, match)


def _keeps_shape(node: Node) -> bool:
    """Whether ``resize_`` and the like leave the sizes as they are."""
    target = node.args[0]
    return (
        node.kind in ("aten::resize_", "aten::resize_as_")
        and isinstance(target, Value)
        and target.shape is not None
        and target.shape == node.outputs[0].shape
    )


def _has_users_handler(node: Node) -> bool:
    handler = registry.find(node)
    return handler is not None and not handler.builtin


def _target(walk: Functionalizer, node: Node, operand: Operand) -> Reference:
    reference = walk.reference(operand)
    if reference is None:
        raise InternalError(f"{node.kind} writes to what is no tensor", location=node.location)
    return reference


def _refer(walk: Functionalizer, node: Node, operand: Operand) -> None:
    """The node's results are the tensor object that ``operand`` is."""
    for value in node.outputs:
        walk.references[value] = _target(walk, node, operand)


def first_write(walk: Functionalizer, values: Sequence[Value]) -> Location | None:
    """Where one of the values was written to first."""
    for value in values:
        writer = walk.references[value].alias.storage.writer
        if writer is not None:
            node, kind = writer
            return dataclasses.replace(node.location, kind=kind)
    return None


# ---- one tensor, in place


def _write_in_place(walk: Functionalizer, node: Node, match: Counterpart) -> None:
    """``x.add_(y)`` becomes ``x.add(y)``, cast to the dtype of ``x``, which then is the new value of ``x``."""
    targets = node.args[0]
    _check_overlap(walk, node)
    args = [walk.operand(operand) for operand in node.args]
    operands = _arranged(args, match, None)
    if isinstance(targets, (list, tuple)):
        _write_list(walk, node, match, targets, operands)
        return
    reference = _target(walk, node, targets)
    alias = reference.alias
    own = node.outputs[0] if node.outputs else walk.builder.value(alias.original)
    cast = not match.keeps_dtype and _casts(match, alias.original, args)
    _become(node, match, operands, [walk.builder.value() if cast else own])
    walk.builder.append(node)
    if cast:
        _cast(walk, node.outputs[0], alias, own)
    walk.memory.write(alias, own)
    walk.references[own] = reference


def _arranged(args: Sequence[Operand], match: Counterpart, like: Value | None) -> list[Operand]:
    """The counterpart's arguments; a dtype that the writing operator takes from ``like`` too."""
    operands = []
    for argument, place in zip(match.schema.arguments, match.order, strict=True):
        missing = like.dtype if like is not None and argument.name == "dtype" else argument.default
        operands.append(args[place] if place is not None and place < len(args) else missing)
    return operands


def _become(node: Node, match: Counterpart, args: list[Operand], outputs: list[Value]) -> None:
    schema = match.schema
    node.kind, node.overload, node.schema = schema.name, schema.overload, schema
    node.args, node.outputs, node.name = args, outputs, outputs[0].name
    for value in outputs:
        value.node = node


def _casts(match: Counterpart, target: Value, args: Sequence[Operand]) -> bool:
    """Whether the counterpart's result may be of another dtype than the tensor that is written to."""
    dtype = target.dtype
    if dtype is None or match.is_boolean:
        return True
    for operand in args:
        if any(value.dtype != dtype for value in operand_values(operand)):
            return True
        if isinstance(operand, float) and not (dtype.is_floating_point or dtype.is_complex):
            return True
    return False


def _cast(walk: Functionalizer, value: Value, alias: Alias, own: Value | None) -> Value:
    if alias.original.dtype is not None:
        return walk.builder.call("aten::to.dtype", value, alias.original.dtype, like=alias.original, result=own)
    return walk.builder.call("aten::type_as", value, walk.memory.shape(alias), like=alias.original, result=own)


def _write_list(
    walk: Functionalizer, node: Node, match: Counterpart, targets: Sequence[Operand], operands: list[Operand]
) -> None:
    """``_foreach_add_([x, y], 1)``."""
    references = [_target(walk, node, operand) for operand in targets]
    _become(node, match, operands, [walk.builder.value()])
    walk.builder.append(node)
    results = [walk.builder.value() for _ in references]
    walk.builder.append(Node("prim::ListUnpack", "", results[0].name, [node.outputs[0]], results))
    for reference, value in zip(references, results, strict=True):
        walk.memory.write(reference.alias, _cast(walk, value, reference.alias, None))


def _check_overlap(walk: Functionalizer, node: Node) -> None:
    """Refuse ``x[1:] += x[:-1]`` and the like, whose result in PyTorch depends on the order of the elements."""
    values = list(operand_values(node.args))
    if len(values) < 2:
        return
    references = [reference for reference in map(walk.reference, values) if reference is not None]
    for target in (walk.reference(value) for value in operand_values(node.args[0])):
        for other in references:
            if target is None or other.alias.storage is not target.alias.storage or other.alias is target.alias:
                continue
            root = target.alias.storage.root.original
            if walk.types.overlap(root, target.alias.views(), other.alias.views()):
                raise UnsupportedArgumentError(
                    f"{node.kind} reads elements that it writes to through another view, so that its result depends "
                    "on the order in which PyTorch visits them",
                    location=node.location,
                    hint="clone() the tensor that is read",
                )


# ---- what a tensor shows


def _change_view(walk: Functionalizer, node: Node, match: Counterpart) -> None:
    """``x.t_()``: from now on ``x`` is another view of its memory."""
    reference = _target(walk, node, node.args[0])
    if reference.depth != walk.memory.depth:
        raise UnsupportedArgumentError(
            f"{node.kind} inside a branch or loop changes the shape of a tensor from outside",
            location=node.location,
            hint="use the op without the underscore and return its result",
        )
    args = _arranged([None, *(walk.operand(operand) for operand in node.args[1:])], match, None)
    _become(node, match, args, node.outputs or [walk.builder.value(reference.alias.original)])
    reference.alias = walk.view(reference.alias, node, args)
    walk.references[node.outputs[0]] = reference


# ---- out=


def _write_results(walk: Functionalizer, node: Node, match: Counterpart) -> None:
    """``torch.add(x, y, out=z)`` becomes ``x.add(y)``, cast to the dtype of ``z``, which it is from then on."""
    targets = _written(node)
    references = [_target(walk, node, operand) for _, operand in targets]
    owns = _results_of(walk, node, targets, references)
    like = references[0].alias.original
    args = [None if operand is None else walk.operand(operand) for operand in _without(node, targets)]
    operands = _arranged(args, match, like)
    casts = len(targets) > 1 or _casts(match, like, operands)
    _become(node, match, operands, [walk.builder.value() for _ in owns] if casts else owns)
    walk.builder.append(node)
    for reference, value, own in zip(references, node.outputs, owns, strict=True):
        if _resizes(reference.alias.original, own):
            _reallocate(walk, node, reference, own)
        if casts:
            _cast(walk, value, reference.alias, own)
        walk.memory.write(reference.alias, own)
        walk.references[own] = reference


def _written(node: Node) -> list[tuple[Argument, Operand]]:
    arguments = node.schema.arguments if node.schema is not None else ()
    return [(a, operand) for a, operand in zip(arguments, node.args, strict=False) if writes_tensors(a)]


def _without(node: Node, targets: list[tuple[Argument, Operand]]) -> list[Operand]:
    names = {argument.name for argument, _ in targets}
    arguments = node.schema.arguments if node.schema is not None else ()
    return [None if a.name in names else operand for a, operand in zip(arguments, node.args, strict=False)]


def _results_of(
    walk: Functionalizer, node: Node, targets: list[tuple[Argument, Operand]], references: list[Reference]
) -> list[Value]:
    """For every tensor that is written to, the node's result that is that tensor, or a new value."""
    found = []
    for (argument, _), reference in zip(targets, references, strict=True):
        returned = _returned(node, argument)
        found.append(returned if returned is not None else walk.builder.value(reference.alias.original))
    return found


def _returned(node: Node, argument: Argument) -> Value | None:
    for result, value in zip(node.schema.returns if node.schema is not None else (), node.outputs, strict=True):
        if argument.alias and argument.alias & result.alias:
            return value
    return None


def _resizes(target: Value, result: Value) -> bool:
    return target.shape is not None and result.shape is not None and target.shape != result.shape


def _reallocate(walk: Functionalizer, node: Node, reference: Reference, value: Value) -> None:
    """PyTorch resizes ``out`` to fit; harmless if nothing else looks at its memory."""
    alias = reference.alias
    empty = alias.original.shape is not None and 0 in alias.original.shape
    if reference.depth != walk.memory.depth or ((alias.parent is not None or alias.children) and not empty):
        raise UnsupportedArgumentError(
            f"{node.kind} resizes an out= tensor from {alias.original.shape} to {value.shape}, and other tensors "
            "share its memory",
            location=node.location,
            hint="pass an out= tensor of the right size, or use the result instead",
        )
    reference.alias = walk.memory.allocate(value, alias.storage.group).alias


def _append_written(walk: Functionalizer, node: Node, schema: Schema | None) -> None:
    """``schema`` gives what the node gives, and then what it would write."""
    if schema is None:
        raise InternalError(f"{node.kind} has no functional operator", location=node.location)
    references = [_target(walk, node, operand) for _, operand in _written(node)]
    node.args = [walk.operand(operand) for operand in node.args]
    walk.allocate_outputs(node)
    values = [walk.builder.value(reference.alias.original) for reference in references]
    for value in values:
        value.node = node
    node.kind, node.overload, node.schema = schema.name, schema.overload, schema
    node.outputs = [*node.outputs, *values]
    walk.builder.append(node)
    for reference, value in zip(references, values, strict=True):
        walk.memory.write(reference.alias, value)


# ---- anything else


def _write_to_copies(walk: Functionalizer, node: Node) -> None:
    """An operator without a functional counterpart writes to a copy that nothing else sees."""
    copied: dict[str, list[tuple[Reference, Value]]] = {}
    args = []
    arguments = node.schema.arguments if node.schema is not None else ()
    for argument, operand in zip(arguments, node.args, strict=False):
        if not writes_tensors(argument) or operand is None:
            args.append(walk.operand(operand))
            continue
        references = [_target(walk, node, value) for value in operand_values(operand)]
        pairs = [(r, walk.builder.call("aten::clone", walk.memory.read(r.alias))) for r in references]
        copied[argument.name] = pairs
        copies = [copy for _, copy in pairs]
        args.append(copies if isinstance(operand, (list, tuple)) else copies[0])
    node.args = args
    walk.builder.append(node)
    walk.allocate_outputs(node)
    for argument in arguments:
        for reference, copy in copied.get(argument.name, ()):
            returned = _returned(node, argument)
            walk.memory.write(reference.alias, copy if returned is None else returned)
            if returned is not None:
                walk.references[returned] = reference


def _copy(walk: Functionalizer, node: Node) -> bool:
    """``copy_(Tensor(a!) self, Tensor src, bool non_blocking=False)``: nothing but a new value where the types fit."""
    target, source = node.args[:2]
    if node.overload:
        return False
    reference = _target(walk, node, target)
    alias = reference.alias
    _check_overlap(walk, node)
    value = walk.operand(source)
    own = node.outputs[0]
    if not isinstance(value, Value):
        value = walk.builder.call("aten::fill.Scalar", walk.memory.shape(alias), value, result=own)
    elif not _fits(alias, walk.resolved(source), value):
        value = walk.builder.call("aten::copy", walk.memory.shape(alias), value, result=own)
    if not (value is alias.current and alias.version == alias.storage.version):
        walk.memory.write(alias, value)
    walk.references[own] = reference
    return True


def _fits(alias: Alias, source: Operand, value: Value) -> bool:
    """Whether a copy would change neither dtype nor sizes nor, in a tensor that owns its memory, the strides."""
    target = alias.original
    if target.dtype is None or target.shape is None or not isinstance(source, Value):
        return False
    same = source.dtype == target.dtype and _shapes(source) == _shapes(target)
    return same and (alias.parent is not None or value.strides == target.strides)


def _shapes(value: Value) -> list[tuple[int | None, ...] | None]:
    """The sizes in every trace."""
    return [value.shape, *(shape for shape, _ in value.traced or ())]


def _fill_diagonal(walk: Functionalizer, node: Node) -> bool:
    """``fill_diagonal_(Tensor(a!) self, Scalar fill_value, bool wrap=False)``: a write to a view."""
    alias = _target(walk, node, node.args[0]).alias
    shape = alias.original.shape
    dtype = alias.original.dtype
    if shape is not None and len(shape) == 2 and not node.args[2]:
        view = views.View("aten::diagonal", "", (0, 0, 1), node)
    elif shape is None or None in shape:
        return False
    else:  # every element whose indices are all equal, in the flattened tensor
        flat = views.View("aten::reshape", "", ([-1],), node)
        alias = walk.memory.view(alias, flat, Value("", dtype=dtype))
        sizes = [size for size in shape if size is not None]
        step = sum(math.prod(sizes[axis + 1 :]) for axis in range(len(sizes)))
        view = views.View("aten::slice", "Tensor", (0, 0, views.LAST, step), node)
    diagonal = walk.memory.view(alias, view, Value("", dtype=dtype))
    value = walk.builder.call("aten::fill.Scalar", walk.memory.shape(diagonal), walk.operand(node.args[1]))
    walk.memory.write(diagonal, value)
    _refer(walk, node, node.args[0])
    return True


_SPECIAL = {"aten::copy_": _copy, "aten::fill_diagonal_": _fill_diagonal}
