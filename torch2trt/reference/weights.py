"""The weights of a network as tensors that share its memory, and what replaces them."""

from __future__ import annotations

import ctypes
import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..errors import EvaluationError, InputError
from ..weight_names import Place
from .types import carrier

ROLES = ("kernel", "bias", "constant", "scale", "shift", "power")


class _WeightsStruct(ctypes.Structure):
    """``nvinfer1::Weights`` (NvInferRuntimeBase.h): the type, a pointer to the values, their count."""

    _fields_ = (("type", ctypes.c_int32), ("values", ctypes.c_void_p), ("count", ctypes.c_int64))


class _Pybind11Instance(ctypes.Structure):
    """The head of a pybind11 instance: the object's own head, then the pointer to the C++ value."""

    _fields_ = (("head", ctypes.c_byte * object.__basicsize__), ("value", ctypes.c_void_p))


def as_tensor(weights: Any) -> torch.Tensor | None:
    """Weights as a flat tensor, without a copy; None when there are none.

    Args:
        weights: what TensorRT's Python API returns for a layer's weights: a NumPy array for types that NumPy has, an
            opaque ``trt.Weights`` for BF16, FP8, INT4, FP4 and E8M0.

    Raises:
        EvaluationError: the memory of an opaque ``trt.Weights`` cannot be reached.
    """
    if isinstance(weights, np.ndarray):
        return torch.from_numpy(weights.reshape(-1)) if weights.size else None
    if weights is None or weights.size == 0:
        return None
    return _read_opaque(weights)


def _read_opaque(weights: Any) -> torch.Tensor:
    """The values behind a ``trt.Weights``, which offers no pointer: read from the C++ struct and checked.

    INT4 and FP4 come two to a byte, the first value in the low four bits, and are unpacked into a new tensor.
    """
    pointer = _Pybind11Instance.from_address(id(weights)).value
    struct = _WeightsStruct.from_address(pointer) if pointer else _WeightsStruct()
    if struct.type != int(weights.dtype) or struct.count != weights.size or not struct.values:
        raise EvaluationError(
            f"cannot reach the memory of {weights.dtype.name} weights in this version of TensorRT",
            hint="pass their values with weights=",
        )
    name = weights.dtype.name
    packed = name in ("INT4", "FP4")
    dtype = carrier(weights.dtype)
    size = (struct.count + 1) // 2 if packed else struct.count * dtype.itemsize
    raw = torch.frombuffer((ctypes.c_uint8 * size).from_address(struct.values), dtype=torch.uint8)
    if not packed:
        return raw.view(dtype)
    nibbles = torch.stack((raw & 15, raw >> 4), 1).reshape(-1)[: struct.count]
    return unpack_int4(nibbles) if name == "INT4" else unpack_fp4(nibbles)


def unpack_int4(nibbles: torch.Tensor) -> torch.Tensor:
    """Four-bit two's complement codes (uint8, 0..15) as int8 values -8..7."""
    return ((nibbles.to(torch.int8) ^ 8) - 8).contiguous()


FP4_VALUES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def unpack_fp4(nibbles: torch.Tensor) -> torch.Tensor:
    """E2M1 codes (uint8, 0..15) as float8_e4m3fn, which holds each of the sixteen values exactly."""
    table = torch.tensor([*FP4_VALUES, *(-value for value in FP4_VALUES)])
    return table[nibbles.long()].to(torch.float8_e4m3fn)


WeightNames = Mapping[str, "Place | Sequence[Place]"]
"""For each named weight its place in the network, or its places."""


def _listed(places: Place | Sequence[Place]) -> Sequence[Place]:
    return [places] if isinstance(places[0], str) else places  # type: ignore[list-item, return-value]


class WeightOverrides:
    """Tensors that stand in for the network's own weights, found by layer and role.

    A network gives no way to read back what ``set_weights_name`` stored, so a name is resolved in this order:
    ``weight_names`` (name -> (layer name, role)); the name of a constant layer; ``<layer name>.<role>``.

    Args:
        tensors: new values by weight name.
        weight_names: the place or places of each named weight; roles as in ``ROLES``.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor] | None, weight_names: WeightNames | None) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._tensors = dict(tensors or {})
        self._used: set[str] = set()
        places = weight_names or {}
        for name in self._tensors:
            if name in places:
                for layer, role in _listed(places[name]):
                    if role not in ROLES:
                        raise InputError(f"weight {name!r} has the unknown role {role!r}; roles are {', '.join(ROLES)}")
                    self._names[layer, role] = name
            else:
                self._names.setdefault((name, "constant"), name)
                layer, _, role = name.rpartition(".")
                if role in ROLES:
                    self._names.setdefault((layer, role), name)

    def find(self, layer: str, role: str, own: torch.Tensor | None) -> torch.Tensor | None:
        """The flat tensor to use for a layer's weights: the one given, else the network's own.

        Raises:
            InputError: the tensor given has another dtype or number of elements.
        """
        name = self._names.get((layer, role))
        if name is None:
            return own
        self._used.add(name)
        given = self._tensors[name].detach()
        if own is None:
            raise InputError(f"weight {name!r}: layer {layer!r} has no {role} to replace")
        if given.dtype != own.dtype or given.numel() != own.numel():
            raise InputError(
                f"weight {name!r} must hold {own.numel()} values of {own.dtype}, got {given.numel()} of {given.dtype}",
                hint="a refit has the same limits: the shape and the dtype of the network's own weights",
            )
        return given.reshape(-1)

    def refuse_unused(self, layers: list[str]) -> None:
        """Raise InputError if a name given belongs to no weights of the network."""
        unused = [name for name in self._tensors if name not in self._used]
        if unused:
            near = difflib.get_close_matches(unused[0], layers, 3, 0.4)
            raise InputError(
                f"the network has no weights named {', '.join(map(repr, unused))}"
                + (f"; layers with like names: {', '.join(near)}" if near else ""),
                hint="TensorRT does not tell what set_weights_name named: pass weight_names={name: (layer, role)}",
            )
