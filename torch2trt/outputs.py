"""The outputs of a network: their names, and the tensors that hold them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from . import boundary, narrow, structure
from .context import current_network
from .emit import tensor
from .emit.complex import as_last_axis
from .emit.network import add_layer, ends, layers_by_output
from .errors import InputError
from .graph import Graph
from .pairs import is_complex


def mark_outputs(graph: Graph, names: Sequence[str] | None) -> list[str]:
    """Mark every output tensor once; the name of each output, in order."""
    network = current_network()
    outputs = [results[0] for results in graph.get_resolved_outputs()]
    chosen = list(names) if names is not None else default_output_names(graph.output_structure, graph.input_names)
    if len(chosen) != len(outputs):
        raise InputError(f"{len(chosen)} output names {chosen} for {len(outputs)} output tensors")
    if len({*chosen, *graph.input_names}) != len(chosen) + len(graph.input_names):
        raise InputError(f"output names must differ, from those of the inputs {graph.input_names} too: {chosen}")
    marked: dict[Any, str] = {}
    held: dict[str, Any] = {}
    result = []
    for name, value in zip(chosen, outputs, strict=True):
        key = id(value) if isinstance(value, torch.Tensor) else value
        if boundary.is_returned_as_it_is(value):
            marked[key] = name
        if key not in marked:
            marked[key] = name
            held[name] = _one_tensor(value)
        result.append(marked[key])
    makers = layers_by_output()
    for name, value in held.items():
        own = value if _may_be_output(value, makers) else add_layer("identity", value)
        own.name = name
        network.mark_output(own)
    if not held:  # all is known and returned as it is, but a network has an output
        unused = network.get_input(0) if network.num_inputs else tensor(torch.zeros(1))
        network.mark_output(add_layer("identity", unused))
    return result


def _one_tensor(value: Any) -> Any:
    """What a node gave as the tensor that an output holds of it."""
    if isinstance(value, narrow.Narrow):
        return value.value
    if isinstance(value, torch.Tensor) and value.dtype in narrow.DTYPES:
        return tensor(value, torch.int32)
    return as_last_axis(value) if is_complex(value) else tensor(value)


_MOVING = frozenset({"CONSTANT", "GATHER", "IDENTITY", "SHUFFLE", "SLICE"})
_JOINING = _MOVING | {"CONCATENATION"}


def _may_be_output(value: Any, makers: Mapping[str, Any]) -> bool:
    """Whether a tensor is no input, no constant, no output yet, and not put together from elements of inputs.

    TensorRT for RTX 1.4 finds out where an input's elements are taken apart and joined again in their order, as in
    ``stack(x.unbind(1), 1)``, and then, without an identity layer after that, leaves the output as it was.

    Args:
        value: the tensor.
        makers: the layer that makes each tensor of the network, by the name that it had before it became an output.
    """
    layer = makers.get(value.name)
    if layer is None or layer.type.name == "CONSTANT":
        return False
    moved, joined = (
        {tensor.is_network_input for tensor, _ in ends(value, makers, kinds.__contains__)}
        for kinds in (_MOVING, _JOINING)
    )
    return moved == {True} or joined != {True}


def default_output_names(nesting: structure.Structure, input_names: Iterable[str]) -> list[str]:
    """A name for every tensor of a result, none of them an input's: ``output``, ``output_0`` or the keys of a dict."""
    if nesting.kind in ("dict", "object"):
        names = structure.leaf_names(nesting, [str(key) for key in nesting.keys])
    elif nesting.kind == "leaf":
        names = ["output"]
    else:
        names = structure.leaf_names(nesting, [f"output_{index}" for index in range(len(nesting.children))])
    taken, found = set(input_names), []
    for name in names:
        usual = f"output_{name}" if name in taken and name not in found else name
        others = (f"{usual}_{number}" for number in itertools.count(2))
        found.append(next(other for other in itertools.chain([usual], others) if other not in taken))
        taken.add(found[-1])
    return found
