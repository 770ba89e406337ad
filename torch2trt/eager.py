"""One node in eager PyTorch, through the operator's own schema."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from . import quantized, torch_compat, trt_compat
from .errors import InternalError, UnsupportedArgumentError
from .graph import Node


class ModuleRaised(UnsupportedArgumentError):
    """The module itself raises an exception here."""


def call(node: Node, args: Sequence[Any]) -> list[Any]:
    """The node's outputs for known arguments.

    Args:
        node: any node without blocks.
        args: one argument a schema argument; tensors, numbers, lists and so on.

    Raises:
        InternalError: torch has no such operator.
        UnsupportedArgumentError: torch refuses the arguments; the message is torch's.
        ModuleRaised: the node raises an exception of the module's own.
    """
    function = structural(node)
    try:
        if function is not None:
            result = function(node, args)
        else:
            result = _call_operator(node, args)
    except (RuntimeError, TypeError, ValueError, IndexError, KeyError, ArithmeticError) as error:
        raise UnsupportedArgumentError(
            f"PyTorch refuses these arguments of {node.kind}: {error}", location=node.location
        ) from error
    return [result] if len(node.outputs) == 1 else list(result) if node.outputs else []


def _call_operator(node: Node, args: Sequence[Any]) -> Any:
    instead = _INSTEAD.get((node.kind, node.overload))
    if instead is not None:
        with torch.no_grad():
            return instead(*args)
    schema, function = node.schema, torch_compat.operator(node.kind, node.overload)
    if schema is None or function is None:
        raise InternalError(f"torch has no operator {node.kind}", location=node.location)
    count = schema.positional_count
    keywords = dict(zip(schema.argument_names[count:], args[count:], strict=False))
    with torch.no_grad():
        result = function(*args[:count], **keywords)
        if node.kind in _UNSET:
            result.zero_()
    quantized.note(node.kind, args, result)
    return result


def _of_list(items: Any, dtype: Any, device: Any, *_: Any) -> torch.Tensor:
    """Python can pass no nested list to the operator."""
    return torch.tensor(items, dtype=dtype, device=device)


def _stable(sort: Callable[..., Any]) -> Callable[..., Any]:
    """Equal elements come in any order, which depends on the size and the device: here in that of their indices."""
    return lambda value, dim, descending: sort(value, dim=dim, descending=descending, stable=True)


_INSTEAD: dict[tuple[str, str], Callable[..., Any]] = {
    ("aten::tensor", ""): _of_list,
    ("aten::as_tensor", "list"): _of_list,
    ("aten::sort", ""): _stable(torch.sort),
    ("aten::argsort", ""): _stable(torch.argsort),
    ("aten::view", ""): torch.reshape,  # rewritten nodes may give other strides than the module's did
}
"""What is called in an operator's place, with all of its arguments."""

_UNSET = frozenset(
    f"aten::{name}" for name in ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")
)
"""What these leave unset is zero in networks, and here."""


def structural(node: Node) -> Callable[[Node, Sequence[Any]], Any] | None:
    """The function in :data:`STRUCTURAL` for a node; None when there is none."""
    found = STRUCTURAL.get(node.kind)
    return STRUCTURAL.get(f"{node.kind}.{node.overload}") if found is None and node.overload else found


class Uninitialized:
    """What TorchScript gives a variable on a path that never reads it."""

    def __repr__(self) -> str:
        return "uninitialized"


UNINITIALIZED = Uninitialized()


def _unpack(node: Node, args: Sequence[Any]) -> Any:
    items = args[0]
    if len(items) != len(node.outputs):
        raise InternalError(
            f"{node.kind} takes {len(node.outputs)} items apart and got {len(items)}",
            location=node.location,
            hint="the trace fixed the number of items; convert with the sizes that you need",
        )
    return items[0] if len(items) == 1 else tuple(items)


def _set_item(node: Node, args: Sequence[Any]) -> Any:
    container, key, value = args
    container[key] = value
    return container


def _delete(node: Node, args: Sequence[Any]) -> None:
    del args[0][args[1]]


def _method(name: str) -> Callable[[Node, Sequence[Any]], Any]:
    """A method of the first argument; it returns what the method does."""
    return lambda node, args: getattr(args[0], name)(*args[1:])


def _changing(name: str) -> Callable[[Node, Sequence[Any]], Any]:
    """A method that changes the first argument, which is the result."""

    def call_method(node: Node, args: Sequence[Any]) -> Any:
        getattr(args[0], name)(*args[1:])
        return args[0]

    return call_method


def _sort(node: Node, args: Sequence[Any]) -> None:
    args[0].sort(reverse=bool(args[1]))


def _repeat_in_place(node: Node, args: Sequence[Any]) -> Any:
    args[0][:] = args[0] * args[1]
    return args[0]


def _get_item(node: Node, args: Sequence[Any]) -> Any:
    return args[0][args[1]]


def _dict(node: Node, args: Sequence[Any]) -> Any:
    return dict(zip(args[::2], args[1::2], strict=True))


def _tuple_slice(node: Node, args: Sequence[Any]) -> Any:
    return args[0][node.attributes["beg"] : node.attributes["end"]]


def _unwrap(node: Node, args: Sequence[Any]) -> Any:
    if args[0] is None:
        raise ModuleRaised("the module unwraps an optional value that is None", location=node.location)
    return args[0]


def _text(value: Any) -> Any:
    return "<run-time value>" if trt_compat.is_tensor(value) else value


def _format(node: Node, args: Sequence[Any]) -> str:
    return str(args[0]).format(*(_text(argument) for argument in args[1:]))


def _percent_format(node: Node, args: Sequence[Any]) -> str:
    return str(args[0] % tuple(_text(argument) for argument in args[1:]))


def _raise(node: Node, args: Sequence[Any]) -> None:
    kind = args[1] if len(args) > 1 and args[1] else "an exception"
    raise ModuleRaised(f"the module raises {kind}: {args[0]}", location=node.location)


def _warn(node: Node, args: Sequence[Any]) -> None:
    warnings.warn(str(args[0]), stacklevel=2)


def _print(node: Node, args: Sequence[Any]) -> None:
    print(*(_text(argument) for argument in args))


def _is_instance(node: Node, args: Sequence[Any]) -> bool:
    return any(_has_type(args[0], str(kind)) for kind in node.attributes["types"])


def _has_type(value: Any, kind: str) -> bool:
    """Whether a value is of a TorchScript type, written as TorchScript writes it."""
    if trt_compat.is_tensor(value) or isinstance(value, torch.Tensor):
        return kind == "Tensor"
    if isinstance(value, (list, tuple, dict)):
        name = type(value).__name__
        return kind.lower().startswith((name, f"{name}[")) or (isinstance(value, list) and kind.endswith("[]"))
    return kind == ("NoneType" if value is None else type(value).__name__)


def _to_list(node: Node, args: Sequence[Any]) -> Any:
    if not isinstance(args[0], torch.Tensor):
        raise UnsupportedArgumentError(
            "tolist() of a tensor that is known at run time only",
            location=node.location,
            hint="index the tensor instead",
        )
    return args[0].tolist()


def _for_overloads(names: str, function: Callable[[Node, Sequence[Any]], Any]) -> dict[str, Any]:
    return dict.fromkeys((f"aten::{name}" for name in names.split()), function)


_DICTS = ("str", "int", "bool", "float", "Tensor")

# Nodes that only take containers apart or put them together. They hold for every kind of item, an ITensor too, and
# most of them have no operator that Python can call on its own lists.
STRUCTURAL: dict[str, Callable[[Node, Sequence[Any]], Any]] = {
    "prim::ListConstruct": lambda node, args: list(args),
    "prim::TupleConstruct": lambda node, args: tuple(args),
    "prim::DictConstruct": _dict,
    "prim::ListUnpack": _unpack,
    "prim::TupleUnpack": _unpack,
    "prim::TupleIndex": _get_item,
    "prim::TupleSlice": _tuple_slice,
    "prim::unchecked_cast": lambda node, args: args[0],
    "prim::unchecked_unwrap_optional": _unwrap,
    "aten::_unwrap_optional": _unwrap,
    "prim::Uninitialized": lambda node, args: UNINITIALIZED,
    "prim::data": lambda node, args: args[0],
    "prim::type": lambda node, args: args[0].type,
    "prim::isinstance": _is_instance,
    "prim::tolist": _to_list,
    "prim::RaiseException": _raise,
    "prim::Print": _print,
    "aten::warn": _warn,
    "aten::format": _format,
    "aten::percentFormat": _percent_format,
    "aten::str": lambda node, args: str(_text(args[0])),
    "aten::append": _changing("append"),
    "aten::extend": _changing("extend"),
    "aten::insert": _changing("insert"),
    "aten::pop": _method("pop"),
    "aten::Delete": _delete,
    "aten::clear": _changing("clear"),
    "aten::popitem": _method("popitem"),
    "aten::setdefault": _method("setdefault"),
    "aten::update": _changing("update"),
    "aten::_set_item": _set_item,
    "aten::__getitem__": _get_item,
    "aten::__is__": lambda node, args: args[0] is args[1],
    "aten::__isnot__": lambda node, args: args[0] is not args[1],
    "aten::items": lambda node, args: list(args[0].items()),
    "aten::keys": lambda node, args: list(args[0]),
    "aten::dict": lambda node, args: dict(*args),
    "aten::list": lambda node, args: list(args[0]),
    **_for_overloads("reverse.t", _changing("reverse")),
    **_for_overloads("remove.int remove.float remove.bool remove.str", _changing("remove")),
    **_for_overloads("sort.int sort.float sort.bool sort.str sort.any", _sort),
    **_for_overloads("sorted.int sorted.float sorted.bool sorted.str sorted.any", lambda node, args: sorted(args[0])),
    **_for_overloads("select.t", _get_item),
    **_for_overloads("slice.t slice.str", lambda node, args: args[0][slice(*args[1:])]),
    **_for_overloads("add.t", lambda node, args: args[0] + args[1]),
    **_for_overloads("mul.left_t mul.right_", lambda node, args: args[0] * args[1]),
    **_for_overloads("add_.t", _changing("extend")),
    **_for_overloads("mul_.t", _repeat_in_place),
    **_for_overloads("len.t len.any len.str", lambda node, args: len(args[0])),
    **_for_overloads(" ".join(f"len.Dict_{key}" for key in _DICTS), lambda node, args: len(args[0])),
    **_for_overloads(
        " ".join(["copy.t", *(f"copy.Dict_{key}" for key in _DICTS)]), lambda node, args: copy.copy(args[0])
    ),
    **_for_overloads(" ".join(f"values.{key}" for key in _DICTS), lambda node, args: list(args[0].values())),
    **_for_overloads(" ".join(f"get.{key} get.default_{key}" for key in _DICTS), _method("get")),
    **_for_overloads(
        " ".join(["__contains__.str_list", *(f"__contains__.{key}" for key in _DICTS)]),
        lambda node, args: args[1] in args[0],
    ),
}
