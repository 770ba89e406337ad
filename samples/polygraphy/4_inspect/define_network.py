"""The residual network as a network script."""

from typing import Any

from model import make_model

import torch2trt


def load_network() -> tuple[Any, Any]:
    """The builder and the network."""
    converted = torch2trt.convert(*make_model())
    return converted.builder, converted.network
