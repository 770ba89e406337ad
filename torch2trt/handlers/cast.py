"""Conversions of dtype, and ops that give a tensor as it is."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit, torch_compat
from ..emit import Tensor
from ..emit.complex import parts
from ..registry import op


@op("aten::to.dtype", "aten::to.device", "aten::to.dtype_layout", "aten::to.prim_Device")
@op("aten::_to_copy")
def aten_to(self: Tensor, dtype: torch.dtype | int | None = None, copy: bool = False) -> Any:
    """``to.dtype(Tensor self, ScalarType dtype, ...) -> Tensor``; devices and memory formats mean nothing here."""
    if dtype is None:
        return self
    return _cast(self, torch_compat.dtype_of_code(dtype) if isinstance(dtype, int) else dtype)


def _cast(value: Tensor, dtype: torch.dtype) -> Any:
    """``value`` in ``dtype``; as complex64 with zeros for imaginary parts."""
    return parts(emit.convert(value, torch.float32)) if dtype == torch.complex64 else emit.convert(value, dtype)


@op("aten::detach", "aten::alias", "aten::clone", "aten::contiguous", "aten::positive")
@op("aten::conj", "aten::conj_physical", "aten::resolve_conj", "aten::resolve_neg", "aten::real")
@op("aten::detach_copy", "aten::alias_copy", "aten::lift_fresh", "aten::lift_fresh_copy", "aten::lift", "aten::cpu")
def aten_identity(self: Tensor, copy: bool = False) -> Any:
    """``detach(Tensor self) -> Tensor``: the tensor itself; so are a copy and the conjugate of a real tensor."""
    return self


@op("aten::to.other")
def aten_to_other(self: Tensor, other: Tensor, copy: bool = False) -> Any:
    """``to.other(Tensor self, Tensor other, ...) -> Tensor``: in the dtype of ``other``."""
    return _cast(self, emit.traced_dtype() or emit.dtype_of(other))


@op("aten::type_as")
def aten_type_as(self: Tensor, other: Tensor) -> Any:
    """``type_as(Tensor self, Tensor other) -> Tensor``."""
    return _cast(self, emit.traced_dtype() or emit.dtype_of(other))


def _autocast_is_on(cuda_enabled: bool, cpu_enabled: bool) -> bool:
    """Whether autocast is on for the device that the node was traced on; for other ones TorchScript has none."""
    return {"cpu": cpu_enabled, "cuda": cuda_enabled}.get(emit.traced_device(), False)


@op("aten::_autocast_to_reduced_precision")
def aten_autocast_to_reduced_precision(
    self: Tensor, cuda_enabled: bool, cpu_enabled: bool, cuda_dtype: Any, cpu_dtype: Any
) -> Any:
    """``_autocast_to_reduced_precision(Tensor self, bool cuda_enabled, bool cpu_enabled, ...) -> Tensor``.

    What TorchScript puts around ops that autocast computes in half precision; float32 alone is cast, to the dtype of
    the device that was traced.
    """
    if emit.dtype_of(self) != torch.float32 or not _autocast_is_on(cuda_enabled, cpu_enabled):
        return self
    dtype = cpu_dtype if emit.traced_device() == "cpu" else cuda_dtype
    return emit.convert(self, torch_compat.dtype_of_code(dtype) if isinstance(dtype, int) else dtype)


@op("aten::_autocast_to_full_precision")
def aten_autocast_to_full_precision(self: Tensor, cuda_enabled: bool, cpu_enabled: bool) -> Any:
    """``_autocast_to_full_precision(Tensor self, bool cuda_enabled, bool cpu_enabled) -> Tensor``: half to float32."""
    half = emit.dtype_of(self) in (torch.float16, torch.bfloat16)
    return emit.convert(self, torch.float32) if half and _autocast_is_on(cuda_enabled, cpu_enabled) else self
