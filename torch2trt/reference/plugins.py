"""Plugin layers: Python functions that stand in for TensorRT plugins."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from ..errors import EvaluationError, InputError
from ..trt_compat import trt
from .registry import LayerContext, Run, layer

PluginFunction = Callable[..., "torch.Tensor | tuple[torch.Tensor, ...]"]

_functions: dict[tuple[str, str], PluginFunction] = {}


@dataclass(frozen=True)
class PluginCall:
    """What a plugin's Python function is told beside its input tensors.

    Args:
        plugin: TensorRT's plugin object, from which its fields can be read.
        output_dtypes: the torch dtype that each output must have.
        output_shapes: the shape that the network declares for each output, -1 where dynamic, None where unknown.
        record: what the layer's metadata tell, for layers that torch2trt made: ``plugin``, its name, version and
            namespace, ``fields`` by name, and more.
    """

    plugin: Any
    output_dtypes: tuple[torch.dtype, ...]
    output_shapes: tuple[tuple[int, ...] | None, ...]
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fields(self) -> Mapping[str, Any]:
        """The plugin's fields by name.

        Raises:
            EvaluationError: the network does not tell them.
        """
        if "fields" not in self.record:
            raise EvaluationError("the network does not tell the plugin's fields: its metadata hold none")
        return dict(self.record["fields"])


def register_plugin(name: str, version: str = "1") -> Callable[[PluginFunction], PluginFunction]:
    """Register the function that computes plugin layers of a name and version; use as a decorator.

    The function is called as ``function(call, *inputs)`` with a ``PluginCall`` and a tensor (or None) per input of the
    layer, and returns the layer's output, or a tuple of its outputs.

    Raises:
        InputError: one is registered already.
    """

    def register(function: PluginFunction) -> PluginFunction:
        if (name, version) in _functions:
            raise InputError(f"plugin {name!r} version {version!r} has a function already")
        _functions[name, version] = function
        return function

    return register


def registered_plugins() -> Mapping[tuple[str, str], PluginFunction]:
    """The functions registered so far, by plugin name and version."""
    return _functions


def _record(layer: Any) -> Mapping[str, Any]:
    """What torch2trt wrote behind the layer's name in its metadata, as JSON; empty for other layers."""
    start = str(getattr(layer, "metadata", "") or "").find("{")
    try:
        found = json.loads(layer.metadata[start:]) if start >= 0 else {}
    except ValueError:  # somebody else's metadata
        return {}
    return found if isinstance(found, dict) else {}


def _identity(plugin: Any) -> tuple[str, str]:
    """Name and version of a plugin: attributes of V2, and of V3's core capability."""
    if hasattr(plugin, "get_capability_interface"):
        plugin = plugin.get_capability_interface(trt.PluginCapabilityType.CORE)
    for name, version in (("plugin_name", "plugin_version"), ("plugin_type", "plugin_version"), ("name", "version")):
        if hasattr(plugin, name):
            return str(getattr(plugin, name)), str(getattr(plugin, version, "1"))
    return "", ""


@layer("PLUGIN", "PLUGIN_V2", "PLUGIN_V3")
def plugin(context: LayerContext) -> Run:
    """``IPluginV2Layer`` and ``IPluginV3Layer``: calls the function registered for the plugin's name and version.

    Raises:
        EvaluationError: there is none.
    """
    instance = getattr(context.layer, "plugin", None)
    record = _record(context.layer)
    name, version = record["plugin"][:2] if "plugin" in record else _identity(instance)
    function = context.settings.plugins.get((name, version))
    if function is None:
        known = ", ".join(f"{n} {v}" for n, v in context.settings.plugins) or "none"
        raise context.error(
            f"no Python function for plugin {name!r} version {version!r} (registered: {known})",
            hint="register one with torch2trt.reference.register_plugin",
        )
    call = PluginCall(
        instance, tuple(info.held for info in context.outputs), tuple(info.shape for info in context.outputs), record
    )

    def run(*inputs: torch.Tensor | None) -> torch.Tensor | tuple[torch.Tensor, ...]:
        try:
            return function(call, *inputs)
        except Exception as error:
            raise EvaluationError(f"the function of plugin {name!r} failed: {error}") from error

    return run
