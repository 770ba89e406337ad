"""Ifs and loops: decided or unrolled now where that is possible, else layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from . import emit, loops
from .containers import Containers, unify_all
from .context import current, has_trt_tensor
from .eager import UNINITIALIZED, ModuleRaised
from .emit.control import Conditional, assertion, scalar
from .errors import Torch2TRTError, UnsupportedArgumentError
from .graph import Node
from .loops import holds_number, in_words
from .trt_compat import is_tensor

if TYPE_CHECKING:
    from .core import Runner


def run_control(runner: Runner, node: Node, args: list[Any]) -> list[Any]:
    """The results of a ``prim::If`` or ``prim::Loop``.

    Raises:
        UnsupportedArgumentError: the branches, or the iterations, give what one tensor cannot hold.
        ModuleRaised: the module raises an exception, whatever the condition is.
    """
    if node.kind == "prim::Loop":
        return loops.run_loop(runner, node, args)
    condition = args[0]
    holds = runner.always(condition) if has_trt_tensor(condition) else bool(condition)
    return _run_both(runner, node, condition) if holds is None else runner.run_block(node.blocks[0 if holds else 1], [])


def _run_both(runner: Runner, node: Node, condition: Any) -> list[Any]:
    containers = Containers(runner.values, node)
    results: list[list[Any] | ModuleRaised] = []
    for block, holds in zip(node.blocks, (True, False), strict=True):
        runner.assumed.append((condition, holds))
        containers.begin()
        try:
            results.append(runner.run_block(block, []))
        except ModuleRaised as error:
            results.append(error)
        finally:
            containers.end()
            runner.assumed.pop()
    chosen, other = results
    if isinstance(chosen, ModuleRaised):
        if not isinstance(other, ModuleRaised):
            _assert(runner, condition, True, chosen)
            containers.keep(1)
            return other
        raise chosen
    if isinstance(other, ModuleRaised):
        _assert(runner, condition, False, other)
        containers.keep(0)
        return chosen
    merge = Merge(condition)
    containers.merge(merge)
    return unify_all(chosen, other, merge)


def _assert(runner: Runner, condition: Any, raising: bool, error: ModuleRaised) -> None:
    """Emit an assertion that the branch which raises is not taken."""
    if runner.loop_depth:
        raise UnsupportedArgumentError(
            f"{error.message}, inside a loop of an unknown number of iterations",
            location=error.location,
            hint="leave out the check, or keep this part in PyTorch with torch2trt.compile",
        )
    taken = [*runner.assumed, (condition, raising)]
    allowed = [emit.logical_not(scalar(value)) if holds else scalar(value) for value, holds in taken]
    passed = allowed[0]
    for value in allowed[1:]:
        passed = emit.elementwise("OR", passed, value)
    try:
        assertion(passed, error.message)
    except Torch2TRTError as refused:
        if error.location is not None:
            refused.at(error.location)
        raise


class Merge:
    """Joins what two branches give into what the if gives; the layers are made when first needed.

    Args:
        condition: a 0-d boolean ITensor.
    """

    def __init__(self, condition: Any) -> None:
        self._condition = scalar(condition)
        self._conditional: Conditional | None = None

    def __call__(self, chosen: Any, other: Any) -> Any:
        """What is ``chosen`` if the condition holds, else ``other``.

        Raises:
            UnsupportedArgumentError: no tensor is either of them.
        """
        if chosen is other or other is UNINITIALIZED:
            return chosen
        if chosen is UNINITIALIZED:
            return other
        plain = not is_tensor(chosen) and not is_tensor(other)
        if plain and type(chosen) is type(other) and not isinstance(chosen, torch.Tensor) and chosen == other:
            return chosen
        if isinstance(chosen, bool) and isinstance(other, bool):
            return self._condition if chosen else emit.logical_not(self._condition)
        if not (holds_number(chosen) and holds_number(other)):
            raise _different(in_words(chosen), in_words(other))
        return self._output(*_of_one_type(chosen, other))

    def _output(self, chosen: Any, other: Any) -> Any:
        dtypes = emit.dtype_of(chosen), emit.dtype_of(other)
        if dtypes[0] != dtypes[1]:
            raise _different(f"a tensor of {dtypes[0]}", f"one of {dtypes[1]}")
        if emit.rank_of(chosen) != emit.rank_of(other):
            raise _different(f"a tensor of rank {emit.rank_of(chosen)}", f"one of rank {emit.rank_of(other)}")
        if emit.rank_of(chosen) == 0 and dtypes[0] == torch.int64:
            return emit.where(self._condition, chosen, other)  # of a conditional's result TensorRT makes no size
        if self._conditional is None:
            self._conditional = Conditional(self._condition)
        return self._conditional.output(chosen, other)


def _of_one_type(chosen: Any, other: Any) -> tuple[Any, Any]:
    """Both as ITensors; a Python number takes the dtype of the other, which TorchScript knows to be of its type."""
    if is_tensor(chosen) and isinstance(other, (bool, int, float)):
        other = emit.cast(other, emit.dtype_of(chosen))
    elif is_tensor(other) and isinstance(chosen, (bool, int, float)):
        chosen = emit.cast(chosen, emit.dtype_of(other))
    chosen, other = emit.tensor(chosen), emit.tensor(other)
    context = current()
    if context is not None and context.precision is not None and emit.is_float(chosen) and emit.is_float(other):
        dtype = torch.promote_types(emit.dtype_of(chosen), emit.dtype_of(other))
        return emit.cast(chosen, dtype), emit.cast(other, dtype)
    return chosen, other


def _different(chosen: str, other: str) -> UnsupportedArgumentError:
    return UnsupportedArgumentError(
        f"the branches of an if on a run-time condition give different things: {chosen}, and {other}",
        hint="make both branches give tensors of one dtype and rank",
    )
