"""Operators that rewrites put in place of several ATen ones; PyTorch runs them too."""

from __future__ import annotations

from collections.abc import Sequence

import torch

_LIBRARY = torch.library.Library("torch2trt", "DEF")


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
    scale: float = 1.0,
) -> torch.Tensor:
    if mask is None:
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, scale=scale)
    return torch.softmax(query @ key.transpose(-2, -1) * scale + mask, -1) @ value  # NaN where all is masked


def _rearrange(value: torch.Tensor, first: Sequence[int], shape: Sequence[int], second: Sequence[int]) -> torch.Tensor:
    return value.permute(list(first)).reshape(list(shape)).permute(list(second))


for _schema, _function in {
    "attention(Tensor query, Tensor key, Tensor value, Tensor? mask=None, float scale=1.) -> Tensor": _attention,
    "rearrange(Tensor(a) self, int[] first, int[] shape, int[] second) -> Tensor(a)": _rearrange,
}.items():
    _LIBRARY.define(_schema)
    _LIBRARY.impl(_schema.partition("(")[0], _function, "CompositeImplicitAutograd")
