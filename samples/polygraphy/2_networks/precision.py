"""One module as two networks, in float32 and in float16.

TensorRT's networks are strongly typed: a layer computes in the types of its inputs, and builder flags such as FP16 or
Polygraphy's --fp16 do nothing. Precision is chosen where the network is made.
"""

from typing import Any

import torch
from torch import nn

import torch2trt


def _module() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    layers = [nn.Linear(64, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 64), nn.Softmax(-1)]
    return nn.Sequential(*layers).eval(), torch.randn(8, 64)


def float32() -> tuple[Any, Any]:
    """The module as it is."""
    converted = torch2trt.convert(*_module(), input_names=["features"], output_names=["weights"])
    return converted.builder, converted.network


def float16() -> tuple[Any, Any]:
    """Products in float16, sensitive functions in float32; input and output stay float32.

    `keep_float32` keeps what matches it as it is: here the last linear layer, module 3 of the sequence.
    """
    converted = torch2trt.convert(
        *_module(), input_names=["features"], output_names=["weights"], precision="float16", keep_float32="3"
    )
    return converted.builder, converted.network
