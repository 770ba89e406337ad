"""The handlers: which function converts which op, and how its arguments are bound."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import keyword
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from . import context, pairs
from .errors import InputError, InternalError, UnsupportedArgumentError
from .graph import Node
from .torch_compat import Argument, Schema

RawHandler = Callable[[Sequence[Any], dict[str, Any]], Any]
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

_NAME = re.compile(r"^\w+::\w+(\.\w+)?$")


@dataclass(frozen=True)
class Handler:
    """A registered handler.

    Args:
        name: ``namespace::op``, or ``namespace::op.overload`` for one overload only.
        function: takes the node and its resolved arguments; gives one result an output.
        implementation: the function that was registered, for listings.
        builtin: whether it is one of torch2trt's own; these see only nodes that touch an ITensor.
    """

    name: str
    function: Callable[[Node, Sequence[Any]], list[Any]]
    implementation: Callable[..., Any]
    builtin: bool


_handlers: dict[str, Handler] = {}


def _add(names: Sequence[str], make: Callable[[str], Handler], override: bool) -> None:
    if not names:
        raise InputError("a handler needs at least one op name")
    for name in names:
        if not isinstance(name, str) or not _NAME.match(name):
            raise InputError(f"{name!r} is no op name", hint="write it like 'aten::sum' or 'aten::sum.dim_IntList'")
        if name in _handlers and not override:
            raise InputError(
                f"{name} has a handler already: {_describe(_handlers[name])}",
                hint="pass override=True to replace it",
            )
    for name in names:
        _handlers[name] = make(name)


def _describe(handler: Handler) -> str:
    implementation = handler.implementation
    return f"{implementation.__module__}.{getattr(implementation, '__qualname__', implementation)}"


def register_node_handler(*names: str, override: bool = False) -> Callable[[AnyFunction], AnyFunction]:
    """Register a function ``handler(inputs, attributes)`` for ops.

    It is called for every node of these ops, in debug mode too; ``inputs`` holds the arguments in schema order (torch
    tensors, ``trt.ITensor``s, numbers, lists), ``attributes`` the node's own constants and ``kind``, ``overload``,
    ``scope``, ``name`` and ``source``. It returns a list or tuple with one entry an output.

    Args:
        names: ``namespace::op`` for all overloads, or ``namespace::op.overload`` for one, which then goes first.
        override: replace a handler that is registered already.

    Raises:
        InputError: a name is missing, malformed or taken, or what is registered is no function.
    """
    if not all(isinstance(name, str) for name in names):
        raise InputError(
            "a handler is registered for ops by their names", hint='write @register_node_handler("aten::relu")'
        )
    _load_own()

    def register(function: AnyFunction) -> AnyFunction:
        if not callable(function):
            raise InputError(f"a handler is a function of inputs and attributes, and this is {function!r}")

        def make(name: str) -> Handler:
            return Handler(name, functools.partial(_call_raw, function), function, builtin=False)

        _add(names, make, override)
        return function

    return register


def _call_raw(function: RawHandler, node: Node, args: Sequence[Any]) -> list[Any]:
    attributes = {
        **node.attributes,
        "kind": node.kind,
        "overload": node.overload,
        "scope": node.scope,
        "name": node.name,
        "source": node.source,
    }
    return _check_results(node, function, function(list(args), attributes))


def _check_results(node: Node, function: Callable[..., Any], results: Any) -> list[Any]:
    name = getattr(function, "__qualname__", str(function))
    if not isinstance(results, (list, tuple)):
        raise InternalError(
            f"handler {name} of {node.kind} returned {type(results).__name__}",
            location=node.location,
            hint="return a list or tuple with one entry an output",
        )
    if len(results) != len(node.outputs):
        raise InternalError(
            f"handler {name} of {node.kind} returned {len(results)} results for {len(node.outputs)} outputs",
            location=node.location,
        )
    return list(results)


def op(*names: str) -> Callable[[AnyFunction], AnyFunction]:
    """Register one of torch2trt's own handlers: a function of the schema's arguments, by name.

    It is called only for nodes that touch an ITensor. Its parameters name the schema arguments that it honours, with an
    underscore after a keyword of Python; one that it leaves out must have the schema's default value, else the
    conversion is refused. A parameter whose annotation names neither ``Tensor``, ``Dim``, ``Shape`` nor ``Any`` must be
    known at conversion. It returns the result, or a tuple where the schema has several.

    Args:
        names: as for :func:`register_node_handler`.
    """

    def register(function: AnyFunction) -> AnyFunction:
        binder = _Binder(function)
        _add(names, lambda name: Handler(name, binder, function, builtin=True), override=False)
        return function

    return register


_RUNTIME_ANNOTATION = re.compile(r"Tensor|Dim|Shape|Any|Complex")


class _Binder:
    """Calls a handler with a node's arguments by their schema names."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        parameters = inspect.signature(function).parameters
        self.accepted = frozenset(parameters)
        self.takes_complex = any("Complex" in str(parameter.annotation) for parameter in parameters.values())
        self.static = frozenset(
            name for name, parameter in parameters.items() if not _RUNTIME_ANNOTATION.search(str(parameter.annotation))
        )

    def __call__(self, node: Node, args: Sequence[Any]) -> list[Any]:
        if node.schema is None:
            raise InternalError(f"{node.kind} has no schema to bind a handler by", location=node.location)
        if not self.takes_complex and pairs.involves_complex(args):
            result = pairs.call(node, args, self)
            return _check_results(node, self.function, result if _returns_many(node.schema) else [result])
        keywords = {}
        for argument, value in zip(node.schema.arguments, args, strict=False):
            name = f"{argument.name}_" if keyword.iskeyword(argument.name) else argument.name
            if name in self.accepted:
                if name in self.static and context.has_trt_tensor(value):
                    raise _unsupported(node, argument, "a value that is only known when the engine runs")
                keywords[name] = value
            elif not _is_default(argument, value):
                raise _unsupported(node, argument, repr(value))
        result = self.function(**keywords)
        return _check_results(node, self.function, result if _returns_many(node.schema) else [result])


def _returns_many(schema: Schema) -> bool:
    return len(schema.returns) != 1


# Arguments that say where and how memory lies, which a network decides for itself.
_MEMORY_ARGUMENTS = frozenset({"layout", "device", "pin_memory", "non_blocking", "memory_format", "requires_grad"})


def _is_default(argument: Argument, value: Any) -> bool:
    if argument.name in _MEMORY_ARGUMENTS or value is None:
        return True
    if context.has_trt_tensor(value) or not argument.has_default:
        return False
    return bool(value == argument.default)


def _unsupported(node: Node, argument: Argument, value: str) -> UnsupportedArgumentError:
    return UnsupportedArgumentError(
        f"{node.kind} cannot be converted with {argument.name}={value}",
        location=node.location,
        hint="use another value, or keep this op in PyTorch with torch2trt.compile",
    )


def find(node: Node) -> Handler | None:
    """The handler of a node: that of its overload, else that of its kind; None when there is none."""
    if node.overload:
        handler = _handlers.get(f"{node.kind}.{node.overload}")
        if handler is not None:
            return handler
    return _handlers.get(node.kind)


def _load_own() -> None:
    """Register torch2trt's own handlers, so that a name that they take is noticed."""
    importlib.import_module(f"{__package__}.handlers")


def handlers() -> dict[str, Handler]:
    """Every registered handler by name, sorted."""
    _load_own()
    return dict(sorted(_handlers.items()))


def nearest(name: str, candidates: Iterable[str] | None = None) -> tuple[str, ...]:
    """Up to three registered names that look like ``name``."""
    return tuple(difflib.get_close_matches(name, list(candidates or _handlers), n=3, cutoff=0.7))


def unregister(name: str) -> None:
    """Forget the handler of ``name``.

    Raises:
        InputError: there is none.
    """
    _load_own()
    if _handlers.pop(name, None) is None:
        raise InputError(f"{name} has no handler")
