"""What a network is, as two digests: of everything but its replaceable weights, and of these."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..reference.weights import as_tensor
from ..trt_compat import downcast, trt

Place = tuple[str, str]
"""A layer's name and a role such as ``kernel``."""

# Objects that a layer leads to and that hold settings of their own.
_NESTED = ("IAttention", "ILoop", "IIfConditional")
# Free text for people, and what asks the builder about other devices than the GPU.
_LEFT_OUT = frozenset({"metadata"})


@dataclass(frozen=True)
class Fingerprint:
    """Digests of a network.

    Args:
        structure: of inputs, outputs, layers, their settings, and the weights that cannot be replaced.
        weights: of the weights that can.
    """

    structure: str
    weights: str


def fingerprint(network: Any, replaceable: Collection[Place] = ()) -> Fingerprint:
    """Digests that are equal for equal networks, in any process.

    Args:
        network: a ``trt.INetworkDefinition``.
        replaceable: the weights that a refit can set, by layer name and role.

    Raises:
        InputError: the network holds a plugin, whose settings cannot be read.
    """
    weights = hashlib.sha256()
    wanted = set(replaceable)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # every property is read, deprecated ones too
        content = {
            "flags": int(network.flags),
            "inputs": [_tensor(network.get_input(index)) for index in range(network.num_inputs)],
            "outputs": [_tensor(network.get_output(index)) for index in range(network.num_outputs)],
            "layers": [_layer(network.get_layer(index), wanted, weights) for index in range(network.num_layers)],
        }
    text = json.dumps(content, sort_keys=True)
    return Fingerprint(hashlib.sha256(text.encode()).hexdigest(), weights.hexdigest())


def fixed_weights(network: Any, replaceable: Collection[Place]) -> list[Place]:
    """The weights of a network that are not among ``replaceable``; empty ones are none."""
    wanted, found = set(replaceable), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for index in range(network.num_layers):
            _, layer = downcast(network.get_layer(index))
            for name, value in _properties(layer):
                if isinstance(value, (np.ndarray, trt.Weights)) and value.size and _place(layer, name) not in wanted:
                    found.append(_place(layer, name))
    return found


def _place(layer: Any, name: str) -> Place:
    return layer.name, "constant" if name == "weights" else name


def _tensor(tensor: Any) -> Any:
    if tensor is None:
        return None
    rank = len(tensor.shape)
    return {
        "name": tensor.name,
        "dtype": tensor.dtype.name,
        "shape": list(tensor.shape) if rank >= 0 else None,
        "dimensions": [tensor.get_dimension_name(axis) for axis in range(rank)] if tensor.is_network_input else [],
        "formats": int(tensor.allowed_formats),
    }


def _layer(layer: Any, replaceable: set[Place], weights: Any) -> dict[str, Any]:
    kind, layer = downcast(layer)
    if kind.startswith("PLUGIN"):
        raise InputError(
            f"layer {layer.name!r} is a plugin, whose settings cannot be read", hint="build without a cache"
        )
    settings: dict[str, Any] = {}
    for name, value in _properties(layer):
        if isinstance(value, (np.ndarray, trt.Weights)):
            digest = _digest(value)
            if _place(layer, name) in replaceable:
                weights.update(f"{layer.name}\0{name}\0{digest}\0".encode())
                digest = f"{value.size} of {getattr(value.dtype, 'name', value.dtype)}"
            settings[name] = digest
        elif type(value).__name__ in _NESTED:
            settings[name] = {inner: plain for inner, item in _properties(value) if (plain := _plain(item)) is not None}
        else:
            plain = _plain(value)
            if plain is not None:
                settings[name] = plain
    return {
        "type": kind,
        "settings": settings,
        "inputs": [_tensor(layer.get_input(index)) for index in range(layer.num_inputs)],
        "outputs": [_tensor(layer.get_output(index)) for index in range(layer.num_outputs)],
    }


def _properties(owner: Any) -> Iterable[tuple[str, Any]]:
    """The readable properties of a TensorRT object; one that does not apply to it, and raises, is none."""
    for name in sorted(dir(type(owner))):
        if name.startswith("_") or name in _LEFT_OUT or not isinstance(getattr(type(owner), name), property):
            continue
        try:
            value = getattr(owner, name)
        except (RuntimeError, ValueError, TypeError):
            continue
        yield name, value


def _plain(value: Any) -> Any:
    """A setting as a JSON value; None for what is none, such as a tensor or another layer."""
    if isinstance(value, (bool, int, float, str)):
        return value if not isinstance(value, float) else repr(value)
    if hasattr(type(value), "__members__"):
        return value.name
    if isinstance(value, (trt.Dims, trt.Permutation, list, tuple)):
        try:
            items = list(value)
        except ValueError:  # dims that are not known
            return None
        return [_plain(item) for item in items]
    return None


def _digest(weights: Any) -> str:
    tensor = as_tensor(weights)
    if tensor is None:
        return "none"
    tensor = tensor.contiguous()
    data = tensor.view(torch.uint8).numpy().data if tensor.numel() else b""
    return f"{tensor.dtype} {hashlib.sha256(data).hexdigest()}"
