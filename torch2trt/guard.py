"""Indices held against sizes before a kernel sees them.

A kernel of a GPU that meets an index out of range stops the process from using the GPU ever again, where one of the
CPU raises an error. A trace at sizes that the caller did not choose must not do that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .torch_compat import call_in_trace


class CheckedIndices(TorchDispatchMode):
    """Inside a ``with`` block, operators that read or write at indices raise IndexError for one that is out of range.

    Every check waits for the GPU.
    """

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator."""
        kwargs = kwargs or {}
        check = _CHECKS.get(function._schema.name.rstrip("_"))
        if check is not None:
            names = [argument.name for argument in function._schema.arguments]
            try:
                check({**dict(zip(names, args, strict=False)), **kwargs})
            except IndexError as error:
                raise IndexError(f"{function._schema.name}: {error}") from None
        return call_in_trace(function, args, kwargs)


def reads_indices(function: Any) -> bool:
    """Whether an operator reads or writes at places that some of its tensors name."""
    return function._schema.name.rstrip("_") in _CHECKS


def _within(index: torch.Tensor, low: int, high: int) -> None:
    wrong = index[(index < low) | (index >= high)]
    if wrong.numel():
        raise IndexError(f"index {wrong.flatten()[0].item()} is out of range for a size of {high}")


def _size(tensor: torch.Tensor, axis: int) -> int:
    return tensor.shape[axis] if tensor.dim() else 1


def _embedding(given: dict[str, Any]) -> None:
    _within(given["indices"], 0, given["weight"].shape[0])


def _embedding_bag(given: dict[str, Any]) -> None:
    _embedding(given)
    offsets = given["offsets"]
    _within(offsets, 0, given["indices"].shape[0] + 1)
    if bool((offsets[1:] < offsets[:-1]).any()):
        raise IndexError("a bag ends before it starts: the offsets are not sorted")


def _index(given: dict[str, Any]) -> None:
    axis = 0
    for index in given["indices"]:
        if index is None:
            axis += 1
        elif index.dtype in (torch.bool, torch.uint8):
            axis += index.dim()
        else:
            size = given["self"].shape[axis]
            _within(index, -size, size)
            axis += 1


def _along_axis(given: dict[str, Any]) -> None:
    _within(given["index"], 0, _size(given["self"], given["dim"]))


def _fill(given: dict[str, Any]) -> None:
    size = _size(given["self"], given["dim"])
    _within(given["index"], -size, size)


def _anywhere(given: dict[str, Any]) -> None:
    count = given["self"].numel()
    _within(given["index"], -count, count)


def _classes(given: dict[str, Any]) -> None:
    scores, target = given["self"], given["target"]
    _within(target[target != given["ignore_index"]], 0, scores.shape[1 if scores.dim() > 1 else 0])


def _repeats(given: dict[str, Any]) -> None:
    repeats, size = given["repeats"], given.get("output_size")
    if bool((repeats < 0).any()) or (size is not None and int(repeats.sum()) != size):
        raise IndexError(f"the numbers of repeats are negative, or not {size} together")


def _masked(given: dict[str, Any]) -> None:
    wanted, found = int(given["mask"].expand_as(given["self"]).sum()), given["source"].numel()
    if wanted > found:
        raise IndexError(f"the mask takes {wanted} elements of {found}")


def _assertion(given: dict[str, Any]) -> None:
    if not bool(given["self"]):
        raise IndexError(str(given.get("assert_msg", "the module's assertion does not hold")))


_CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    f"aten::{name}": check
    for check, names in {
        _embedding: "embedding",
        _embedding_bag: "_embedding_bag _embedding_bag_forward_only",
        _index: "index index_put _index_put_impl _unsafe_index _unsafe_index_put",
        _along_axis: "index_select index_add index_copy index_reduce gather scatter scatter_add scatter_reduce",
        _fill: "index_fill",
        _anywhere: "take put",
        _classes: "nll_loss_forward nll_loss2d_forward",
        _repeats: "repeat_interleave",
        _masked: "masked_scatter",
        _assertion: "_assert_async",
    }.items()
    for name in names.split()
}
"""By operator, without the underscore of one that writes in place."""
