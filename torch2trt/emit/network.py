"""Adding a layer: the one place that calls ``network.add_*``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..context import Context, building
from ..errors import DtypeError, InternalError, LayerError, ShapeError
from ..trt_compat import is_tensor, trt

MAX_RANK = 8


def enum(group: str, member: str) -> Any:
    """``trt.<group>.<member>``."""
    return getattr(getattr(trt, group), member)


def add_layer(
    method: str,
    *args: Any,
    inputs: dict[int, Any] | None = None,
    weights: dict[str, Any] | None = None,
    **attributes: Any,
) -> Any:
    """Add a layer and return its first output.

    Args:
        method: what follows ``add_`` in the network's method.
        args: the method's arguments.
        inputs: further inputs by index, for ``layer.set_input``.
        weights: the layer's weights by role, as :func:`~torch2trt.emit.constants.layer_weights` gave them; they are
            named once the layer holds them.
        attributes: set on the layer afterwards.

    Raises:
        LayerError: TensorRT refused the layer; the message is TensorRT's.
    """
    if method not in _SHARED or weights:
        return add_layer_object(method, *args, inputs=inputs, weights=weights, **attributes).get_output(0)
    made = building().state.layers
    key = (method, _key(args), _key(sorted((inputs or {}).items())), _key(sorted(attributes.items())))
    if key not in made:  # the tensors are kept, so that no other one takes their identity
        made[key] = (add_layer_object(method, *args, inputs=inputs, **attributes).get_output(0), args, inputs)
    return made[key][0]


_SHARED = frozenset(
    {"cast", "elementwise", "unary", "activation", "shuffle", "slice", "select", "reduce", "softmax", "gather"}
    | {"concatenation", "shape", "matrix_multiply", "normalization_v2"}
)
"""Layers that give the same for the same: one is added for all."""


_CONVOLUTIONS = frozenset({"convolution_nd", "deconvolution_nd"})
_KEEPS_ELEMENTS = frozenset({"activation", "cast", "elementwise", "identity", "scale_nd", "select", "shuffle", "unary"})
"""Layers that compute element by element, or give the same elements another shape or order."""


def _follow_products(context: Context, layer: Any, method: str) -> None:
    products = context.state.products
    if method in _KEEPS_ELEMENTS:
        found = any(id(layer.get_input(index)) in products for index in range(layer.num_inputs))
    else:
        found = method in _CONVOLUTIONS or (method == "matrix_multiply" and layer.get_output(0).dtype == trt.float32)
    if found:
        products[id(layer.get_output(0))] = layer.get_output(0)


def is_product(value: Any) -> bool:
    """Whether a convolution, or a matrix product in float32, gave an ITensor, or pointwise layers made it of one's."""
    return id(value) in building().state.products


def kept_apart(value: Any) -> Any:
    """An ITensor's values, negated twice: TensorRT then does not join what makes them with what reads them."""
    negation = enum("UnaryOperation", "NEG")
    return add_layer("unary", add_layer("unary", value, negation), negation)


def _key(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_key(item) for item in value)
    if isinstance(value, (bool, int, float, str, type(None))):
        return (type(value), repr(value))
    return (type(value), id(value)) if is_tensor(value) else value


_TAKES_FLOAT8 = frozenset({"dequantize", "shuffle", "concatenation", "identity", "shape", "plugin_v2", "plugin_v3"})


def add_layer_object(
    method: str,
    *args: Any,
    inputs: dict[int, Any] | None = None,
    weights: dict[str, Any] | None = None,
    **attributes: Any,
) -> Any:
    """As :func:`add_layer`, and return the layer, for those with several outputs."""
    context = building()
    adder = getattr(context.network, f"add_{method}", None)
    if adder is None:
        raise LayerError(f"this version of TensorRT has no {method} layer", hint="install a newer TensorRT")
    if method not in _TAKES_FLOAT8 and any(is_tensor(value) and value.dtype == trt.fp8 for value in args):
        raise DtypeError(f"TensorRT has no {method} layer of float8", hint="cast to float32 or float16 before this op")
    rank = max((len(dims) for dims in (*args, *attributes.values()) if isinstance(dims, tuple)), default=0)
    if rank > MAX_RANK:
        raise ShapeError(f"TensorRT holds tensors of rank {MAX_RANK} at most; {method} would need rank {rank}")
    try:
        layer = adder(*args)
    except (TypeError, ValueError) as error:
        raise InternalError(f"add_{method} does not take these arguments: {error}") from error
    if layer is None:
        raise _refused(context, method)
    for name, value in attributes.items():
        setattr(layer, name, value)
    for index, tensor in (inputs or {}).items():
        layer.set_input(index, tensor)
    _name(context, layer, method)
    _follow_products(context, layer, method)
    for role, named in (weights or {}).items():
        named.attach(context, layer.name, role)
    check(context, layer, method)
    return layer


def named(layer: Any, method: str) -> Any:
    """A layer that something other than the network made, a loop say, named like the others.

    Raises:
        LayerError: TensorRT refused it.
    """
    context = building()
    if layer is None:
        raise _refused(context, method)
    _name(context, layer, method)
    return layer


def layers_by_output() -> dict[str, Any]:
    """The layer that makes each tensor of the current network, by the tensor's name."""
    network = building().network
    layers = (network.get_layer(index) for index in range(network.num_layers))
    return {layer.get_output(output).name: layer for layer in layers for output in range(layer.num_outputs)}


def ends(value: Any, makers: Mapping[str, Any], kinds: Callable[[str], bool]) -> list[tuple[Any, Any]]:
    """The nearest tensors that an ITensor is computed from through layers of some types, and their layers.

    Args:
        value: the ITensor; it is what is found if its own layer is of another type.
        makers: as :func:`layers_by_output` gives them. An input of the network has no layer, which is None then.
        kinds: which types of layers to look behind, by name.
    """
    found, seen, waiting = [], set(), [value]
    while waiting:
        tensor = waiting.pop()
        if tensor.name in seen:
            continue
        seen.add(tensor.name)
        layer = makers.get(tensor.name)
        if layer is None or not kinds(layer.type.name):
            found.append((tensor, layer))
        else:
            inputs = (layer.get_input(index) for index in range(layer.num_inputs))
            waiting += [read for read in inputs if read is not None]
    return found


def check(context: Context, layer: Any, method: str) -> None:
    """Let TensorRT infer the layer's output, which is when it reports a mistake in it."""
    for index in range(layer.num_outputs):
        output = layer.get_output(index)
        rank = len(shape) if (shape := declared_shape(output)) is not None else -1
        if context.recorder is not None and context.recorder.messages:
            raise _refused(context, method)
        if rank > MAX_RANK:
            raise ShapeError(f"TensorRT holds tensors of rank {MAX_RANK} at most; {method} gives rank {rank}")


def declared_shape(tensor: Any) -> tuple[int, ...] | None:
    """The sizes that TensorRT declares, -1 for unknown ones; None where it could not infer them."""
    try:
        return tuple(tensor.shape)
    except (ValueError, RuntimeError):  # dims that TensorRT could not infer: of negative length, or an error by now
        return None


def _refused(context: Context, method: str) -> LayerError:
    messages = list(context.recorder.messages) if context.recorder is not None else []
    if context.recorder is not None:
        context.recorder.clear()
    text = "; ".join(messages)
    return LayerError(
        f"TensorRT refused a {method} layer: {text or 'see its log'}",
        hint="it takes no size that was computed by way of floating point: use integers" if _NO_SIZE in text else "",
    )


_NO_SIZE = "Assertion !isInFlight(p.second.symbolicRep) failed"
"""What TensorRT says of a size that comes of floating point numbers."""


def _name(context: Context, layer: Any, method: str) -> None:
    """Layer name = module scope / op . ordinal."""
    node = context.node
    base = method if node is None else node.kind.rsplit(":", 1)[-1]
    if node is not None and node.scope:
        base = f"{node.scope}/{base}"
    names = context.state.layer_names
    ordinal = names.get(base, 0)
    names[base] = ordinal + 1
    layer.name = f"{base}.{ordinal}"
    # An engine gives fused layers names of its own, and keeps what its inspector shows of where they came from here.
    layer.metadata = layer.name
    if node is not None:
        context.state.node_of[layer.name] = node.name
    for index in range(layer.num_outputs):
        layer.get_output(index).name = f"{layer.name}:{index}"
