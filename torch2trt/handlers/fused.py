"""What rewrites put in place of several nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import (
    emit,
    operators,  # noqa: F401  (registers the operators with PyTorch)
)
from ..emit import Tensor
from ..registry import op


@op("torch2trt::attention")
def torch2trt_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, scale: float = 1.0
) -> Any:
    """``attention(Tensor query, Tensor key, Tensor value, Tensor? mask=None, float scale=1.) -> Tensor``.

    ``softmax(query @ key.T * scale + mask) @ value``; a query that the mask leaves no key gives NaN.
    """
    return emit.attention(query, key, value, [mask], scale, dead_rows_are_zero=False)[0]


@op("torch2trt::rearrange")
@emit.moves_bytes
def torch2trt_rearrange(self: Tensor, first: Sequence[int], shape: Sequence[int], second: Sequence[int]) -> Any:
    """``rearrange(Tensor self, int[] first, int[] shape, int[] second) -> Tensor``.

    ``self.permute(first).reshape(shape).permute(second)``; one size may be -1.
    """
    return emit.rearrange(self, first, shape, second)
