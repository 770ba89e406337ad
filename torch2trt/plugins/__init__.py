"""Kernels for ops that TensorRT lacks, or spells in slow layers: torch operators, TensorRT plugins, handlers.

``torch.ops.torch2trt.*`` exist once :func:`load` has been called; ``available`` tells what there is and why not more.
:func:`register` connects any torch operator to any TensorRT plugin.
"""

from .custom import register
from .library import Availability, available, load

__all__ = ["Availability", "available", "load", "register"]
