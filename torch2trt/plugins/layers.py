"""torch2trt's own plugins as layers, where TensorRT has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .. import emit
from . import library

NAMESPACE = "torch2trt"
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def usable() -> bool:
    """Whether the network that is being built can hold torch2trt's plugins."""
    return not library.missing_plugins()


def kernel_layer(name: str, inputs: Sequence[emit.Tensor], fields: Mapping[str, Any]) -> Any | None:
    """The output of one of torch2trt's plugins; None where native layers must do.

    Args:
        name: the plugin's.
        inputs: its inputs; floating point ones are brought to one dtype, indices to another.
        fields: its fields.
    """
    floats = [value for value in inputs if emit.dtype_of(value).is_floating_point]
    if not usable() or any(emit.dtype_of(value) not in _FLOATS for value in floats):
        return None
    dtype = emit.result_type(*floats)
    indices = {emit.dtype_of(value) for value in inputs} - set(_FLOATS)
    index = torch.int32 if indices == {torch.int32} else torch.int64
    tensors = [emit.tensor(value, dtype if emit.dtype_of(value).is_floating_point else index) for value in inputs]
    layer = emit.plugin_layer(emit.PluginName(name, "1", NAMESPACE), tensors, fields)
    return emit.cast(layer.get_output(0), emit.dtype_of(inputs[0]))
