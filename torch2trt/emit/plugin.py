"""Plugin layers: TensorRT plugins made from fields, and what the network keeps about them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import trt_compat
from ..errors import InputError, LayerError
from ..trt_compat import trt
from .network import add_layer_object

_FIELD_DTYPES = {
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FLOAT16": np.float16,
    "FLOAT32": np.float32,
    "FLOAT64": np.float64,
}


@dataclass(frozen=True)
class PluginName:
    """How TensorRT's registry knows a plugin."""

    name: str
    version: str = "1"
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.name!r} version {self.version!r} of namespace {self.namespace!r}"


def plugin_layer(
    identity: PluginName, inputs: Sequence[Any], fields: Mapping[str, Any], record: Mapping[str, Any] | None = None
) -> Any:
    """Add a plugin layer and return it.

    Its metadata hold, after the layer's name, the plugin's identity and fields as JSON: TensorRT's Python interface
    does not tell the fields of a plugin written in C++.

    Args:
        identity: the plugin.
        inputs: its input tensors, ``ITensor``s.
        fields: its fields, by name.
        record: what else to keep in the metadata.

    Raises:
        LayerError: this TensorRT has no plugins, or not this one, or the plugin refused its fields.
    """
    if not trt_compat.has_plugins():
        raise LayerError(
            f"plugin {identity} cannot be added: TensorRT for RTX has no plugins",
            hint="use the full TensorRT, or keep this op in PyTorch with torch2trt.compile",
        )
    creator = trt_compat.plugin_registry().get_creator(identity.name, identity.version, identity.namespace)
    if creator is None:
        raise LayerError(
            f"TensorRT knows no plugin {identity}", hint="load its library first, or pass library= when registering it"
        )
    collection = trt.PluginFieldCollection(_plugin_fields(creator, identity, fields))
    plugin = creator.create_plugin(identity.name, collection, trt.TensorRTPhase.BUILD)
    if plugin is None:
        raise LayerError(f"plugin {identity} refused its fields {dict(fields)}; TensorRT's log says why")
    layer = add_layer_object("plugin_v3", list(inputs), [], plugin)
    kept = {"plugin": [identity.name, identity.version, identity.namespace], "fields": dict(fields), **(record or {})}
    layer.metadata = f"{layer.name} {json.dumps(kept)}"
    return layer


def _plugin_fields(creator: Any, identity: PluginName, fields: Mapping[str, Any]) -> list[Any]:
    """The fields in the types that the creator declares; numbers of undeclared ones as int32 and float32."""
    declared = {field.name: field.type for field in creator.field_names or []}
    unknown = sorted(set(fields) - set(declared))
    if declared and unknown:
        raise InputError(f"plugin {identity} has no field {', '.join(unknown)}; it has {', '.join(sorted(declared))}")
    return [_plugin_field(name, value, declared.get(name)) for name, value in fields.items()]


def _plugin_field(name: str, value: Any, kind: Any) -> Any:
    if isinstance(value, str):
        return trt.PluginField(name, value.encode(), trt.PluginFieldType.CHAR)
    numbers = np.atleast_1d(np.asarray(value))
    if kind is None:
        whole = numbers.dtype.kind in "bi"
        kind = trt.PluginFieldType.INT32 if whole else trt.PluginFieldType.FLOAT32
    dtype = _FIELD_DTYPES.get(kind.name)
    if dtype is None or numbers.dtype.kind not in "bif":
        raise InputError(f"field {name}={value!r} cannot be given as {kind.name}")
    held = numbers.astype(dtype)
    exact = np.issubdtype(dtype, np.floating) or np.array_equal(held, numbers)
    if not exact:
        raise InputError(f"field {name}={value!r} does not fit {kind.name}")
    return trt.PluginField(name, held, kind)
