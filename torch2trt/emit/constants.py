"""Constants and weights: kept alive, stored once, and named so that a refit finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ..context import Context, building
from ..errors import DtypeError
from ..trt_compat import to_trt_dtype, trt
from ..weights import Origin, derive, origin
from .network import add_layer_object

_SMALL = 64
"""Constants of up to this many elements are the same constant when their values are."""

_NUMPY_DTYPES = frozenset({torch.float32, torch.float16, torch.int64, torch.int32, torch.int8, torch.bool})


@dataclass
class NamedWeights:
    """Weights on their way into a layer.

    Args:
        weights: the ``trt.Weights``.
        tensor: the contiguous CPU tensor whose memory they are.
        origin: how it came from parameters; None when it did not.
    """

    weights: Any
    tensor: torch.Tensor
    origin: Origin | None

    def attach(self, context: Context, layer_name: str, role: str) -> None:
        """Give the weights their name in the network: the ``state_dict`` key, or the layer's name if computed."""
        if self.origin is None or not self.tensor.numel():
            return
        state = context.state.weights
        pointer = self.tensor.data_ptr()
        name = state.name_at.get(pointer)
        if name is None:
            name = self.origin.key or f"{layer_name}.{role}"
            if name in state.origins:
                name = f"{name}@{layer_name}.{role}"
            state.name_at[pointer] = name
            state.origins[name] = self.origin
            state.finish[name] = (tuple(self.tensor.shape), self.tensor.dtype)
        state.places.setdefault(name, []).append((layer_name, role))
        context.network.set_weights_name(self.weights, name)


def layer_weights(tensor: torch.Tensor | None) -> NamedWeights:
    """``trt.Weights`` over the memory of ``tensor``, or empty ones for None.

    The memory lives as long as the network; it is copied only if it is not contiguous or not on the CPU.

    Raises:
        DtypeError: TensorRT has no such dtype.
    """
    if tensor is None:
        return NamedWeights(trt.Weights(), torch.empty(0), None)
    state = building().state
    key = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype, str(tensor.device))
    kept = state.weights_at.get(key)
    if kept is not None:
        return kept
    held = tensor.detach().to("cpu").contiguous()
    if state.counts_at.setdefault(held.data_ptr(), (held.numel(), held.dtype)) != (held.numel(), held.dtype):
        held = held.clone()  # a part of what has a name already: TensorRT gives names to memory, however much is meant
    dtype = to_trt_dtype(held.dtype)
    if not held.numel():  # TensorRT wants no address then
        weights = trt.Weights(dtype)
    elif held.dtype in _NUMPY_DTYPES:
        weights = trt.Weights(held.numpy())
    else:
        weights = trt.Weights(dtype, held.data_ptr(), held.numel())
    # TensorRT keeps a pointer alone; the original is kept too, since its address is the key.
    named = NamedWeights(weights, held, origin(tensor))
    state.alive.append((tensor, named))
    state.weights_at[key] = named
    return named


def constant(tensor: torch.Tensor, dims: tuple[int, ...] | None = None) -> Any:
    """An ITensor that holds ``tensor``; the same one for the same memory, or for equal small values.

    Args:
        tensor: what it holds.
        dims: the sizes that it has in the network, of as many elements; the tensor's own by default. The weights keep
            the tensor's name and shape, so that a refit finds them.

    Raises:
        DtypeError: TensorRT can hold no constant of this dtype.
    """
    if tensor.layout is not torch.strided or tensor.is_complex():
        raise DtypeError(f"TensorRT holds no {tensor.layout} or complex tensor of dtype {tensor.dtype}")
    state = building().state
    dims = tuple(tensor.shape) if dims is None else dims
    small = tensor.numel() <= _SMALL and origin(tensor) is None and tensor.dtype in _NUMPY_DTYPES
    if small:
        key: Any = (tensor.dtype, dims, tensor.detach().cpu().numpy().tobytes())
    else:
        key = (tensor.data_ptr(), dims, tuple(tensor.shape), tensor.stride(), tensor.dtype, str(tensor.device))
    made = state.constants.get(key)
    if made is None:
        made = state.constants[key] = _add_constant(tensor, dims)
    return made


def _add_constant(tensor: torch.Tensor, dims: tuple[int, ...]) -> Any:
    if tensor.dtype == torch.uint8:
        # A constant layer takes no uint8; and uint8 can be cast from floating point alone.
        wide = _add_constant(derive(torch.Tensor.to, tensor, torch.float32), dims)
        return add_layer_object("cast", wide, trt.uint8).get_output(0)
    named = layer_weights(tensor)
    return add_layer_object("constant", dims, named.weights, weights={"constant": named}).get_output(0)
