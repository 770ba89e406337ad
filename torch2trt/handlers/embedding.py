"""Look-ups in tables of vectors."""

from __future__ import annotations

from typing import Any

import torch

from .. import emit
from ..absent import absent
from ..context import building
from ..emit import Dim, Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op


@op("aten::embedding")
def aten_embedding(
    weight: Tensor,
    indices: Tensor,
    padding_idx: Dim = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """``embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, ...) -> Tensor``.

    ``padding_idx`` and the two flags matter to gradients alone. PyTorch raises for an index out of range; an engine
    does not check.
    """
    return emit.gather(weight, indices, 0)


@op("aten::embedding_renorm")
def aten_embedding_renorm(self: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Any:
    """``embedding_renorm(Tensor self, Tensor indices, float max_norm, float norm_type) -> Tensor``."""
    return emit.renormed_rows(self, indices, max_norm, norm_type)


_MODES = ("sum", "mean", "max")


@op("aten::embedding_bag")
def aten_embedding_bag(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Any, Any, Any, Any]:
    """``embedding_bag(Tensor weight, Tensor indices, Tensor offsets, ...) -> (Tensor, Tensor, Tensor, Tensor)``.

    Short lists of rows are gathered if the offsets are known; else every bag looks at all rows. The other results are
    the bag of each row, how many rows each bag has, and where each maximum came from. PyTorch gives zeros for the
    second and something for the third for sums and means on the CPU; they are right and empty on a GPU.
    """
    name, on_cpu = _MODES[mode], emit.traced_device() == "cpu"
    found = emit.bags(offsets, emit.size_of(indices, 0), include_last_offset)
    padding = padding_idx
    if padding is not None and padding < 0:
        padding += emit.known_ints(emit.size_of(weight, 0), "the number of rows")[0]
    result, sizes, source = emit.embedding_bag(
        weight, indices, found, name, per_sample_weights, padding, no_row=0 if on_cpu else -1
    )
    nothing = torch.empty(0, dtype=torch.int64)
    counted = emit.filled([emit.size_of(offsets, 0)], 0, torch.int64) if on_cpu and name == "sum" else sizes
    bag = nothing if _leaves_bags_out() else found.bag
    if source is None:
        source = counted if on_cpu else nothing
    dtypes = [emit.traced_dtype(output) or torch.int64 for output in (1, 2, 3)]
    bag, counted, source = (
        emit.cast(other, dtype) for other, dtype in zip((bag, counted, source), dtypes, strict=True)
    )
    if include_last_offset and not on_cpu:
        counted = absent("the sizes of embedding_bag's bags (PyTorch leaves the last one undefined on a GPU)")
    return result, bag, counted, source


@op("aten::_embedding_bag", "aten::_embedding_bag_forward_only")
def aten_embedding_bag_forward_only(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int = -1,
) -> tuple[Any, Any, Any, Any]:
    """``_embedding_bag(Tensor weight, Tensor indices, Tensor offsets, ..., int padding_idx=-1) -> (Tensor, ...)``.

    What ``embedding_bag`` computes; a negative ``padding_idx`` means none here.
    """
    padding = None if padding_idx < 0 else padding_idx
    return aten_embedding_bag(
        weight, indices, offsets, False, mode, False, per_sample_weights, include_last_offset, padding
    )


@op("aten::one_hot")
def aten_one_hot(self: Tensor, num_classes: Dim = -1) -> Any:
    """``one_hot(Tensor self, int num_classes=-1) -> Tensor``: int64; an index that is no class gives zeros.

    PyTorch raises for such an index; an engine does not check.

    Raises:
        UnsupportedArgumentError: the number of classes follows the largest index.
    """
    if isinstance(num_classes, int) and num_classes < 0:
        raise UnsupportedArgumentError(
            "one_hot without num_classes: the result's size depends on the largest index", hint="pass num_classes"
        )
    classes = emit.shaped(emit.positions(num_classes), [*[1] * emit.rank_of(self), num_classes])
    return emit.cast(emit.compare("EQUAL", emit.unsqueeze(self, emit.rank_of(self)), classes), torch.int64)


def _leaves_bags_out() -> bool:
    """Whether eager took the short way through a sum, which does not say which bag each row is of."""
    node = building().node
    return node is not None and node.outputs[1].shape == (0,)
