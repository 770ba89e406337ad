"""Largest and smallest elements, and where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import emit
from ..emit import Tensor
from ..registry import op


def _register(name: str, operation: str) -> None:
    def whole(self: Tensor) -> Any:
        return emit.extreme(operation, self, range(emit.rank_of(self)), keepdim=False)

    def along(self: Tensor, dim: int, keepdim: bool = False) -> Any:
        return emit.arg_extreme(operation, self, emit.axis_of(dim, emit.rank_of(self)), keepdim)

    def several(self: Tensor, dim: Sequence[int] = (), keepdim: bool = False) -> Any:
        return emit.extreme(operation, self, emit.axes_of(dim, emit.rank_of(self)), keepdim)

    def place(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
        value, axis, shape = emit.axis_or_all(self, dim, keepdim)
        found = emit.arg_extreme(operation, value, axis, keepdim)[1]
        return found if shape is None else emit.reshape(found, shape)

    whole.__doc__ = f"``{name}(Tensor self) -> Tensor``; NaN where any element is."
    along.__doc__ = (
        f"``{name}.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)``; "
        "the first of equals; NaN goes before all."
    )
    several.__doc__ = f"``a{name}(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor``."
    place.__doc__ = f"``arg{name}(Tensor self, int? dim=None, bool keepdim=False) -> Tensor``; the first of equals."
    op(f"aten::{name}")(whole)
    op(f"aten::{name}.dim")(along)
    op(f"aten::a{name}")(several)
    op(f"aten::arg{name}")(place)


_register("max", "MAX")
_register("min", "MIN")


@op("aten::aminmax")
def aten_aminmax(self: Tensor, dim: int | None = None, keepdim: bool = False) -> tuple[Any, Any]:
    """``aminmax(Tensor self, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)``."""
    axes = emit.axes_of(dim, emit.rank_of(self))
    return emit.extreme("MIN", self, axes, keepdim), emit.extreme("MAX", self, axes, keepdim)
