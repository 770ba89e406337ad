"""What ops that write to tensors become, where no other op does the same."""

from __future__ import annotations

from typing import Any

from .. import emit
from ..emit import Tensor
from ..registry import op


@op("aten::copy")
def aten_copy(self: Tensor, src: Tensor, non_blocking: bool = False) -> Any:
    """``copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor``: src in self's dtype and shape."""
    return emit.expand(emit.convert(emit.tensor(src), emit.dtype_of(self)), emit.shape_of(self))
