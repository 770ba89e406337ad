"""Conversions of dtype, and ops that give a tensor as it is."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit, torch_compat
from ..emit import Tensor
from ..registry import op


@op("aten::to.dtype", "aten::to.device", "aten::to.dtype_layout", "aten::to.prim_Device")
@op("aten::_to_copy")
def aten_to(self: Tensor, dtype: torch.dtype | int | None = None, copy: bool = False) -> Any:
    """``to.dtype(Tensor self, ScalarType dtype, ...) -> Tensor``; devices and memory formats mean nothing here."""
    if dtype is None:
        return self
    return emit.convert(self, torch_compat.dtype_of_code(dtype) if isinstance(dtype, int) else dtype)


@op("aten::detach", "aten::alias", "aten::clone", "aten::contiguous", "aten::positive")
@op("aten::conj", "aten::conj_physical", "aten::resolve_conj", "aten::resolve_neg", "aten::real")
@op("aten::detach_copy", "aten::alias_copy", "aten::lift_fresh", "aten::lift_fresh_copy", "aten::lift", "aten::cpu")
def aten_identity(self: Tensor, copy: bool = False) -> Any:
    """``detach(Tensor self) -> Tensor``: the tensor itself; so are a copy and the conjugate of a real tensor."""
    return self


@op("aten::to.other")
def aten_to_other(self: Tensor, other: Tensor, copy: bool = False) -> Any:
    """``to.other(Tensor self, Tensor other, ...) -> Tensor``: in the dtype of ``other``."""
    return emit.convert(self, emit.dtype_of(other))


@op("aten::type_as")
def aten_type_as(self: Tensor, other: Tensor) -> Any:
    """``type_as(Tensor self, Tensor other) -> Tensor``."""
    return emit.convert(self, emit.dtype_of(other))
