"""Sizes of run-time tensors, and the conversions between tensors and Python numbers around them."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit
from ..emit import Dim, Tensor
from ..registry import op


@op("aten::size", "aten::size.int")
def aten_size(self: Tensor, dim: int | None = None) -> Any:
    """``size(Tensor self) -> int[]``, ``size.int(Tensor self, int dim) -> int``; sizes known now are ints."""
    return emit.shape_of(self) if dim is None else emit.size_of(self, dim)


@op("aten::numel")
def aten_numel(self: Tensor) -> Dim:
    """``numel(Tensor self) -> int``."""
    return emit.dim_product(emit.shape_of(self))


@op("aten::_shape_as_tensor")
def aten_shape_as_tensor(self: Tensor) -> Any:
    """``_shape_as_tensor(Tensor self) -> Tensor``: the sizes as a 1-d int64 tensor."""
    sizes = emit.shape_of(self)
    return emit.shape_tensor(sizes) if sizes else torch.empty(0, dtype=torch.int64)
