"""What is being built right now: the network, the node, and what belongs to a network for as long as it lives."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from . import trt_compat, weight_names
from .errors import InputError, InternalError, Location
from .graph import Node, Value
from .weights import WeightMap


@dataclass
class NetworkState:
    """What torch2trt keeps beside one ``INetworkDefinition``.

    Args:
        alive: memory that the network points to.
        constants: the tensor that each constant became, so that none is stored twice.
        weights_at: the ``trt.Weights`` over each piece of memory, by address, shape and strides.
        counts_at: how many elements of which dtype those at an address are.
        layers: the output of every layer that can be shared, with what it depends on, by that.
        widened: the half-precision tensor that each float32 one was cast from, by identity, and the float32 one.
        products: the results of convolutions and of matrix products in float32, and what is computed from them element
            by element or has their elements in another shape or order; by identity.
        pointwise: the results of convolutions of size 1, by identity, that TensorRT would join to the next.
        unrolled: how many steps of sequences were unrolled.
        layer_names: how often each layer name was taken.
        weights: every named weight and how to compute it from a ``state_dict``.
        node_of: the graph node that each layer was emitted for, by layer name.
    """

    alive: list[Any] = field(default_factory=list)
    constants: dict[Any, Any] = field(default_factory=dict)
    weights_at: dict[Any, Any] = field(default_factory=dict)
    counts_at: dict[int, tuple[int, Any]] = field(default_factory=dict)
    layers: dict[Any, tuple[Any, ...]] = field(default_factory=dict)
    widened: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    products: dict[int, Any] = field(default_factory=dict)
    pointwise: dict[int, Any] = field(default_factory=dict)
    unrolled: int = 0
    layer_names: dict[str, int] = field(default_factory=dict)
    weights: WeightMap = field(default_factory=WeightMap)
    node_of: dict[str, str] = field(default_factory=dict)


_states: weakref.WeakKeyDictionary[Any, NetworkState] = weakref.WeakKeyDictionary()


def network_state(network: Any) -> NetworkState:
    """The state that belongs to ``network``; made at the first call, gone with the network."""
    state = _states.get(network)
    if state is None:
        state = _states[network] = NetworkState()
        weight_names.remember(network, state.weights.places)
    return state


class Caster(Protocol):
    """Chooses the precision of a node: :class:`torch2trt.precision.Precision`."""

    def arguments(self, node: Node, args: Sequence[Any]) -> list[Any]:
        """The node's arguments, its floating point tensors cast."""

    def known_arguments(self, node: Node, args: Sequence[Any]) -> list[Any]:
        """The arguments of a node of which all are known, its floating point tensors in one dtype."""


@dataclass
class Context:
    """One ``with trt_network(...)`` or ``with torch_network()``.

    Args:
        network: the network that is built; None in debug mode.
        state: what is kept beside it.
        recorder: collects TensorRT's error reports.
        node: the graph node that is being converted.
        unread: the values of its graph that nothing reads.
        allow_float64_as_float32: whether float64 values may become float32.
        lifts_casts: whether PyTorch casts inputs and outputs whose dtypes TensorRT lacks: see
            :mod:`torch2trt.boundary`.
        allow_random: whether TensorRT may draw random numbers in place of PyTorch.
        allow_other_signs: whether singular and eigenvectors may have other signs than PyTorch's.
        precision: what casts float32 maths to half precision; None to keep it.
    """

    network: Any = None
    state: NetworkState = field(default_factory=NetworkState)
    recorder: Any = None
    node: Node | None = None
    unread: Collection[Value] = ()
    allow_float64_as_float32: bool = False
    allow_random: bool = False
    allow_other_signs: bool = False
    lifts_casts: bool = False
    precision: Caster | None = None

    @property
    def location(self) -> Location | None:
        """Where the node that is being converted stands."""
        return None if self.node is None else self.node.location


_current: ContextVar[Context | None] = ContextVar("torch2trt_context", default=None)


def current() -> Context | None:
    """The innermost context of this thread; None outside of any."""
    return _current.get()


def current_network() -> Any:
    """The network that is being built; None in debug mode and outside of any context."""
    context = _current.get()
    return None if context is None else context.network


def building() -> Context:
    """The innermost context, which must be one that builds a network.

    Raises:
        InternalError: it is not.
    """
    context = _current.get()
    if context is None or context.network is None:
        raise InternalError(
            "a TensorRT layer is emitted outside of a network", hint="use it inside `with torch2trt.trt_network(net):`"
        )
    return context


@contextlib.contextmanager
def trt_network(network: Any) -> Iterator[Any]:
    """Build into ``network`` what is converted inside the block. Nests; restores what was before on an exception too.

    Args:
        network: a ``trt.INetworkDefinition``; must be strongly typed, as all are from TensorRT 11 and in RTX.

    Raises:
        InputError: ``network`` is no TensorRT network.
    """
    if not isinstance(network, trt_compat.trt.INetworkDefinition):
        raise InputError(
            f"trt_network needs a trt.INetworkDefinition, not {type(network).__name__}",
            hint="make one with builder.create_network(...)",
        )
    recorder = trt_compat.error_recorder()
    before = network.error_recorder
    token = _current.set(Context(network, network_state(network), recorder))
    network.error_recorder = recorder
    try:
        yield network
    finally:
        network.error_recorder = before
        _current.reset(token)
        state = network_state(network)
        state.layers.clear()  # tensors keep their network alive, which would never go
        state.widened.clear()
        state.pointwise.clear()


@contextlib.contextmanager
def torch_network() -> Iterator[None]:
    """Debug mode: what is converted inside the block runs in eager PyTorch."""
    token = _current.set(Context())
    try:
        yield None
    finally:
        _current.reset(token)


def has_trt_tensor(values: Any) -> bool:
    """Whether ``values``, a value or any nesting of lists, tuples and dicts of values, holds a ``trt.ITensor``."""
    if isinstance(values, (list, tuple)):
        return any(has_trt_tensor(value) for value in values)
    if isinstance(values, dict):
        return any(has_trt_tensor(value) for value in values.values())
    return not isinstance(values, (torch.Tensor, int, float, str, bool, type(None))) and trt_compat.is_tensor(values)
