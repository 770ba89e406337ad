"""Where the module's data types and the network's part: PyTorch casts what goes in and what comes out.

A module that takes float64 and casts it to float32 first, or gives a cast to float64 or int16 last, computes nothing
in a type that TensorRT lacks. :func:`torch2trt.convert` leaves such casts to PyTorch, which does them exactly.
"""

from __future__ import annotations

from typing import Any

import torch

from . import registry, trt_compat
from .graph import Graph, Node, Operand, Value, operand_values, walk_nodes
from .metadata import KINDS
from .narrow import DTYPES, Narrow
from .passes.fold import Plan, live_nodes
from .weights import origin

_CASTS = frozenset(
    {
        "aten::to",
        "aten::_to_copy",
        "aten::type_as",
        "aten::double",
        "aten::float",
        "aten::half",
        "aten::bfloat16",
        "aten::long",
        "aten::int",
        "aten::short",
        "aten::char",
        "aten::byte",
        "aten::bool",
        "aten::cfloat",
        "aten::cdouble",
        "aten::chalf",
    }
)


_HELD_OTHERWISE = DTYPES | {torch.complex64}
"""The dtypes of inputs that a network holds in another one, without loss."""


def _is_cast(node: Node) -> bool:
    """Whether the node only casts its first argument, and torch2trt does it."""
    handler = registry.find(node)
    return node.kind in _CASTS and node.schema is not None and (handler is None or handler.builtin)


def holds(dtype: torch.dtype | None) -> bool:
    """Whether a network's inputs and outputs have a dtype; TensorRT's int8 is for quantised numbers alone."""
    return dtype in trt_compat.TORCH_TO_TRT and dtype not in (torch.int8, torch.float8_e4m3fn)


def lift_casts(plan: Plan) -> None:
    """Let PyTorch cast outputs to dtypes that TensorRT lacks: the plan then gives what is cast."""
    plan.outputs = [_before_cast(output) for output in plan.outputs]
    plan.nodes = live_nodes(plan.nodes, plan.outputs)


def _before_cast(operand: Operand) -> Operand:
    if not isinstance(operand, Value) or operand.node is None or not _is_cast(operand.node):
        return operand
    source = operand.node.args[0]
    if operand.dtype is None or holds(operand.dtype) or not isinstance(source, Value):
        return operand
    return source if _crosses(source.dtype) else operand


def _crosses(dtype: torch.dtype | None) -> bool:
    """Whether values of a dtype go in and out of a network: as they are, or complex ones as pairs."""
    return holds(dtype) or dtype == torch.complex64


def input_dtypes(graph: Graph, plan: Plan) -> dict[Value, torch.dtype]:
    """The dtypes in which a network takes inputs whose own dtype it lacks, where that loses nothing.

    It loses nothing where all that reads the input's elements are casts to one dtype, which PyTorch then does.
    """
    wanted: dict[Value, set[torch.dtype | None]] = {
        value: set()
        for value in graph.inputs
        if value.dtype is not None and not (holds(value.dtype) or value.dtype in _HELD_OTHERWISE)
    }
    if not wanted:
        return {}
    for node in walk_nodes(plan.nodes):
        for place, argument in enumerate(node.args):
            for value in operand_values([argument]):
                if value in wanted and not _reads_dtype_only(node, place):
                    wanted[value].add(node.outputs[0].dtype if place == 0 and _is_cast(node) else None)
        for block in node.blocks:
            for value in operand_values(block.outputs):
                wanted.get(value, set()).add(None)
    for value in operand_values(plan.outputs):
        wanted.get(value, set()).add(None)
    found = {}
    for value, dtypes in wanted.items():
        dtype = next(iter(dtypes), torch.float32)
        if len(dtypes) < 2 and dtype is not None and _crosses(dtype):
            found[value] = dtype
    return found


def _reads_dtype_only(node: Node, place: int) -> bool:
    return node.kind in KINDS or (place == 1 and node.kind in ("aten::to", "aten::type_as"))


def is_returned_as_it_is(result: Any) -> bool:
    """Whether a result is a known tensor of a dtype that no output of a network has, which no weight changes."""
    if not isinstance(result, torch.Tensor) or result.dtype == torch.complex64:
        return False
    return not holds(result.dtype) and origin(result) is None


def returned_dtype(value: Operand, result: Any) -> torch.dtype | None:
    """The dtype that PyTorch casts an output to after the network; None if it has it already.

    Args:
        value: the graph's output.
        result: what it is in the network.
    """
    if isinstance(result, (Narrow, torch.Tensor)) and result.dtype in DTYPES:
        return value.dtype if isinstance(value, Value) and value.dtype is not None else result.dtype
    if not isinstance(value, Value) or value.dtype is None:
        return None
    if trt_compat.is_tensor(result):
        held = trt_compat.to_torch_dtype(result.dtype)
    elif isinstance(result, torch.Tensor) and not result.is_complex():
        held = torch.float32 if result.dtype == torch.float64 else result.dtype
    else:
        held = torch.complex64
    return None if value.dtype == held else value.dtype
