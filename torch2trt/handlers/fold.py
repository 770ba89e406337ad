"""Sliding windows as columns, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import emit
from ..emit import Dim, Tensor
from ..registry import op


@op("aten::im2col")
def aten_im2col(
    self: Tensor,
    kernel_size: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Any:
    """``im2col(Tensor self, int[2] kernel_size, dilation, padding, stride) -> Tensor``: ``nn.functional.unfold``."""
    return emit.unfold(self, emit.windows(kernel_size, stride, padding, dilation, False, 2))


@op("aten::col2im")
def aten_col2im(
    self: Tensor,
    output_size: Sequence[Dim],
    kernel_size: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Any:
    """``col2im(Tensor self, SymInt[2] output_size, int[2] kernel_size, dilation, padding, stride) -> Tensor``."""
    sizes = list(output_size) * (2 if len(output_size) == 1 else 1)
    return emit.fold(self, sizes, emit.windows(kernel_size, stride, padding, dilation, False, 2))
