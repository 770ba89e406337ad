"""Networks for Polygraphy, made from a PyTorch module: each function returns the builder and the network."""

from typing import Any

from model import make_model

import torch2trt


def load_network() -> tuple[Any, Any]:
    """The module at the size of its example; Polygraphy looks for this name when no other is given."""
    converted = torch2trt.convert(*make_model())
    return converted.builder, converted.network


def load_dynamic() -> tuple[Any, Any]:
    """The module for batches of 1 to 16: the engine needs a configuration with a profile for `image`."""
    converted = torch2trt.convert(*make_model(), dynamic_shapes={"image": {0: (1, 4, 16)}})
    return converted.builder, converted.network
