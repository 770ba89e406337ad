"""Torch operators connected to TensorRT plugins of any library, without a handler of one's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .. import emit, reference, registry, torch_compat
from ..context import has_trt_tensor
from ..errors import InputError, LayerError, UnsupportedArgumentError
from ..trt_compat import is_tensor
from . import library as libraries

FieldSource = str | Callable[[Mapping[str, Any]], Any]
_TENSORS = ("Tensor", "Optional[Tensor]")
Fields = Sequence[str] | Mapping[str, FieldSource]


def register(
    operator: str,
    plugin: tuple[str, ...],
    fields: Fields = (),
    *,
    inputs: Sequence[str] | None = None,
    library: str | os.PathLike[str] | None = None,
    override: bool = False,
) -> None:
    """Convert a torch operator to a TensorRT plugin.

    The evaluator computes the plugin's layers with the torch operator itself.

    Args:
        operator: ``namespace::op``, or ``namespace::op.overload``; it must be registered with torch by the time a
            module that uses it is converted.
        plugin: the plugin's name, and its version and namespace where they are not ``"1"`` and ``""``.
        fields: the plugin's fields: names of arguments of the operator that it has fields of the same name for; or,
            by field name, the name of the argument, or a function of all arguments by name.
        inputs: the arguments that are the plugin's inputs, in its order; by default the operator's tensors in the
            order of its schema, without those that are None.
        library: the library that holds the plugin, loaded when it is first needed.
        override: replace a handler that is registered already.

    Raises:
        InputError: an argument is malformed, or the operator has a handler.
    """
    if not (1 <= len(plugin) <= 3 and all(isinstance(part, str) for part in plugin)):
        raise InputError(f"plugin={plugin!r} is not (name, version, namespace)")
    sources = dict(fields) if isinstance(fields, Mapping) else {name: name for name in fields}
    if library is not None and not Path(library).is_file():
        raise InputError(f"there is no plugin library {os.fspath(library)}")
    connection = _Connection(operator, emit.PluginName(*plugin), sources, inputs, library)
    registry.register_node_handler(operator, override=override)(connection.handle)
    identity = (connection.plugin.name, connection.plugin.version)
    if identity not in reference.plugins.registered_plugins():
        reference.register_plugin(*identity)(run_operator)


@dataclass(frozen=True)
class _Connection:
    """An operator, its plugin, and how arguments become inputs and fields."""

    operator: str
    plugin: emit.PluginName
    fields: Mapping[str, FieldSource]
    inputs: Sequence[str] | None
    library: str | os.PathLike[str] | None

    def handle(self, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> list[Any]:
        """The handler: a plugin layer, or the operator itself in debug mode."""
        kind, overload = attributes["kind"], attributes["overload"]
        if not has_trt_tensor(inputs):
            return list(_as_tuple(_operator(kind, overload)(*inputs)))
        schema = torch_compat.schema_of(kind, overload)
        if schema is None:
            raise InputError(f"torch has no operator {kind}", hint="import the library that registers it")
        arguments = dict(zip(schema.argument_names, inputs, strict=True))
        names = self.inputs
        if names is None:
            tensors = {argument.name for argument in schema.arguments if argument.type in _TENSORS}
            names = [name for name, value in arguments.items() if name in tensors and value is not None]
        for name in (*names, *(source for source in self.fields.values() if isinstance(source, str))):
            if name not in arguments:
                raise InputError(f"{kind} has no argument {name}; it has {', '.join(arguments)}")
        if self.library is not None and (reason := libraries.load_plugins(Path(self.library))):
            raise LayerError(reason)
        fields = {field: self._field(kind, source, arguments) for field, source in self.fields.items()}
        record = self._record(kind, overload, names, arguments)
        layer = emit.plugin_layer(self.plugin, [emit.tensor(arguments[name]) for name in names], fields, record)
        return [layer.get_output(index) for index in range(layer.num_outputs)]

    @staticmethod
    def _record(kind: str, overload: str, names: Sequence[str], arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the evaluator needs to call the operator; nothing where an argument is a tensor but no input."""
        known = [None if name in names else value for name, value in arguments.items()]
        if has_trt_tensor(known) or any(isinstance(value, torch.Tensor) for value in known):
            return {}
        places = [names.index(name) if name in names else None for name in arguments]
        return {"call": {"operator": kind, "overload": overload, "inputs": places, "known": known}}

    def _field(self, kind: str, source: FieldSource, arguments: Mapping[str, Any]) -> Any:
        value = arguments[source] if isinstance(source, str) else source(arguments)
        values = value if isinstance(value, (list, tuple)) else [value]
        if any(is_tensor(item) or isinstance(item, torch.Tensor) for item in values):
            raise UnsupportedArgumentError(
                f"{kind}: a field of plugin {self.plugin} needs a tensor's value, and fields are numbers"
            )
        return value


def run_operator(call: reference.PluginCall, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
    """Compute a layer that :func:`register` made, with the torch operator that it was made from.

    Raises:
        InputError: the layer is another's, or torch no longer has the operator.
    """
    made = call.record.get("call")
    if made is None:
        raise InputError("the network does not tell which operator the layer was made from")
    operator = _operator(made["operator"], made["overload"])
    places = zip(made["inputs"], made["known"], strict=True)
    return _as_tuple(operator(*(known if place is None else inputs[place] for place, known in places)))


def _operator(kind: str, overload: str) -> Callable[..., Any]:
    found = torch_compat.operator(kind, overload)
    if found is None:
        raise InputError(f"torch has no operator {kind}", hint="import the library that registers it")
    return found


def _as_tuple(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, (list, tuple)) else (result,)
