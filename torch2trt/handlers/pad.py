"""Padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import emit
from ..emit import Dim, Tensor
from ..registry import op

# PyTorch's name: TensorRT's sample mode. TensorRT reflects about the middle of the border element, as PyTorch does.
_MODES = {"reflect": "REFLECT", "replicate": "CLAMP", "circular": "WRAP"}


@op("aten::pad")
@emit.moves_bytes
def aten_pad(self: Tensor, pad: Sequence[Dim], mode: str = "constant", value: Tensor | None = None) -> Any:
    """``pad(Tensor self, SymInt[] pad, str mode="constant", float? value=None) -> Tensor``; negative pads crop."""
    if mode == "constant":
        return emit.pad(self, pad, value or 0)
    return emit.pad(self, pad, None, _MODES[mode])


@op("aten::constant_pad_nd")
@emit.moves_bytes
def aten_constant_pad_nd(self: Tensor, pad: Sequence[Dim], value: Tensor = 0) -> Any:
    """``constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor``; negative pads crop."""
    return emit.pad(self, pad, value)


def _register(name: str, mode: str) -> None:
    def handler(self: Tensor, padding: Sequence[Dim]) -> Any:
        return emit.pad(self, padding, None, mode)

    handler.__doc__ = f"``{name}(Tensor self, SymInt[] padding) -> Tensor``; negative pads crop."
    op(f"aten::{name}")(emit.moves_bytes(handler))


for _spatial in (1, 2, 3):
    _register(f"reflection_pad{_spatial}d", "REFLECT")
    _register(f"replication_pad{_spatial}d", "CLAMP")


@op("aten::_pad_circular")
@emit.moves_bytes
def aten_pad_circular(self: Tensor, pad: Sequence[Dim]) -> Any:
    """``_pad_circular(Tensor self, SymInt[] pad) -> Tensor``; negative pads crop."""
    return emit.pad(self, pad, None, "WRAP")


@op("aten::_pad_enum")
@emit.moves_bytes
def aten_pad_enum(self: Tensor, pad: Sequence[Dim], mode: int, value: Tensor | None = None) -> Any:
    """``_pad_enum(Tensor self, SymInt[] pad, int mode, float? value=None) -> Tensor``; modes as in PadNd.h."""
    return aten_pad(self=self, pad=pad, mode=("reflect", "replicate", "circular", "constant")[mode], value=value)
