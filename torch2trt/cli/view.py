"""A TensorRT network as plain data: layers, tensors, attributes and weights, for tables, JSON and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import DtypeError
from ..reference.structure import Graph, Node, forward_inputs, order, read_network
from ..trt_compat import to_torch_dtype, trt
from .output import plain

_ARRAYS = ("kernel", "bias", "weights", "scale", "shift", "power")


@dataclass(frozen=True)
class TensorView:
    """One tensor.

    Args:
        name: its name.
        dtype: such as ``float32``.
        shape: its sizes, -1 where one may change; None when even the rank is not known.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape) if self.shape is not None else ' of unknown rank'}"


@dataclass(frozen=True)
class LayerView:
    """One layer.

    Args:
        index: its place in the network.
        name: its name.
        kind: its type, such as ``CONVOLUTION``.
        scope: names of the modules around it, the outermost first.
        inputs: what it reads.
        outputs: what it writes.
        attributes: its own parameters.
        weights: role → what is known about an array in it.
    """

    index: int
    name: str
    kind: str
    scope: tuple[str, ...]
    inputs: tuple[TensorView, ...]
    outputs: tuple[TensorView, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class NetworkView:
    """A network; its layers in an order in which each comes after those that it reads.

    Args:
        name: its name.
        inputs: what it takes.
        outputs: what it gives.
        layers: its layers.
        edges: (producer's index or -1 for an input, consumer's index or -1 for an output, tensor name).
    """

    name: str
    inputs: tuple[TensorView, ...]
    outputs: tuple[TensorView, ...]
    layers: tuple[LayerView, ...]
    edges: tuple[tuple[int, int, str], ...]


def view_network(network: Any, weight_names: Mapping[tuple[str, str], str] | None = None) -> NetworkView:
    """Read a network.

    Args:
        network: a ``trt.INetworkDefinition``.
        weight_names: the ``state_dict`` key by layer name and role, where known.
    """
    graph = read_network(network)
    tensors = [_tensor(tensor) for tensor in graph.tensors]
    nodes = order(graph.nodes, forward_inputs, lambda node: node.outputs)
    layers = tuple(_layer(node, tensors, weight_names or {}) for node in nodes)
    return NetworkView(
        network.name,
        tuple(tensors[slot] for slot in graph.input_slots),
        tuple(tensors[slot] for slot in graph.output_slots),
        layers,
        tuple(_edges(graph, tensors)),
    )


def _edges(graph: Graph, tensors: list[TensorView]) -> Iterator[tuple[int, int, str]]:
    for node in graph.nodes:
        for slot in node.inputs:
            if slot >= 0:
                producer = graph.producers.get(slot)
                yield (-1 if producer is None else producer.index), node.index, tensors[slot].name
    for slot in graph.output_slots:
        producer = graph.producers.get(slot)
        yield (-1 if producer is None else producer.index), -1, tensors[slot].name


def _tensor(tensor: Any) -> TensorView:
    try:
        shape = tuple(tensor.shape)
    except ValueError:  # its rank is not known
        shape = None
    return TensorView(tensor.name, _dtype(tensor.dtype), shape)


def _dtype(dtype: Any) -> str:
    try:
        return str(to_torch_dtype(dtype)).removeprefix("torch.")
    except DtypeError:  # torch has none
        return str(dtype.name).lower()


def _layer(node: Node, tensors: list[TensorView], weight_names: Mapping[tuple[str, str], str]) -> LayerView:
    attributes, weights = {}, {}
    outputs = tuple(tensors[slot] for slot in node.outputs)
    for name in _own_attributes(node):
        try:
            value = getattr(node.layer, name)
        except Exception:  # not every attribute can be asked of every layer: a block shape where there are no blocks
            continue
        if name in _ARRAYS:
            role = "constant" if node.kind == "CONSTANT" and name == "weights" else name
            found = _array(value, weight_names.get((node.name, role)))
            if found["size"]:
                weights[role] = found
        else:
            shown = _attribute(name, value, outputs)
            if shown is not None:
                attributes[name] = shown
    inputs = tuple(tensors[slot] for slot in node.inputs if slot >= 0)
    return LayerView(node.index, node.name, node.kind, scope_of(node.name), inputs, outputs, attributes, weights)


def _own_attributes(node: Node) -> list[str]:
    common = set(dir(trt.ILayer))
    names = sorted(name for name in set(dir(node.layer)) - common if not name.startswith("_"))
    return (["type"] if node.kind in ("ACTIVATION", "POOLING") else []) + names


def scope_of(name: str) -> tuple[str, ...]:
    """The modules in a layer's name: ``layer1.0.conv/convolution.0``, or ``/layer1/conv/Conv`` as ONNX has it."""
    return tuple(part for piece in name.split("/")[:-1] for part in piece.split(".") if part)


def _attribute(name: str, value: Any, outputs: tuple[TensorView, ...]) -> Any:
    """The value as JSON has it; None where it says nothing."""
    rank = len(outputs[0].shape) if outputs and outputs[0].shape is not None else 0
    if isinstance(value, trt.Permutation):
        return list(value)[:rank]
    if isinstance(value, trt.Dims):
        try:
            sizes = list(value)
        except ValueError:  # dimensions that were not set have -1 entries
            return None
        # A shuffle that reshapes nothing may have any dimensions.
        return None if name == "reshape_dims" and len(sizes) != rank else sizes
    if hasattr(value, "__members__"):
        return value.name
    if isinstance(value, (list, tuple)):
        return plain(value)
    return value if isinstance(value, (bool, int, float, str)) else None


def _array(value: Any, key: str | None) -> dict[str, Any]:
    dtype = getattr(value.dtype, "name", str(value.dtype)).lower()
    return {"size": int(value.size), "dtype": dtype, **({} if key is None else {"key": key})}
