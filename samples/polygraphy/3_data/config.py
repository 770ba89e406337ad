"""A builder configuration without TF32: float32 products keep all their digits, as PyTorch's on the CPU do.

TensorRT for RTX 1.4 multiplies in TF32 all the same.
"""

from typing import Any

from polygraphy.mod.trt_importer import lazy_import_trt

trt = lazy_import_trt()


def load_config(builder: Any, network: Any) -> Any:
    """The configuration."""
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    return config
