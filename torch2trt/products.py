"""A trace without its products: convolutions, matrix products and attention give zeros of the right shape and dtype.

A trace holds what was called, on which shapes and dtypes, and no numbers. Products take nearly all of a forward's time:
minutes for a large model in half precision on a CPU, seconds for a GPU's first convolution. What a module computes from
its weights alone is computed. Where numbers that were not computed would decide anything, such as a branch, a size or
an index, :class:`NumbersNeeded` is raised, and the module has to be traced with them.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from .guard import reads_indices
from .torch_compat import call_in_trace
from .trace_modes import written_tensors


class NumbersNeeded(BaseException):
    """Something reads numbers that were not computed; no Exception, which a module may catch."""


@contextlib.contextmanager
def uncomputed_products(inputs: Sequence[torch.Tensor]) -> Iterator[None]:
    """Within the block, products that depend on ``inputs``, the tensors that a module is traced on, are not computed.

    What the module keeps of the run must not be used after it.

    Raises:
        NumbersNeeded: the module reads such numbers.
    """
    memory = _Memory(inputs)
    with _Products(memory), _Reads(memory):
        yield
    if memory.needed:
        raise NumbersNeeded


class _Memory:
    """Which memory holds what depends on a trace's inputs, and where numbers in it were not computed."""

    def __init__(self, inputs: Iterable[torch.Tensor]) -> None:
        self.needed = False
        """Whether something asked for numbers that were not computed; what was raised then may have been caught."""
        # A weak reference keeps the address from being given to other memory.
        self._known: dict[int, tuple[StorageWeakRef, bool]] = {}
        for tensor in inputs:
            self.add(tensor, uncomputed=False)

    def add(self, tensor: torch.Tensor, uncomputed: bool) -> None:
        """Note that a tensor depends on the inputs."""
        memory = _memory(tensor)
        if memory is None:
            if uncomputed:
                self.need()
        else:
            self._known[memory._cdata] = StorageWeakRef(memory), uncomputed

    def depends(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor depends on the inputs, as far as is known."""
        memory = _memory(tensor)
        return memory is None or memory._cdata in self._known

    def is_uncomputed(self, tensor: torch.Tensor) -> bool:
        """Whether numbers of a tensor were not computed."""
        memory = _memory(tensor)
        return memory is not None and self._known.get(memory._cdata, (None, False))[1]

    def need(self) -> None:
        """Give up.

        Raises:
            NumbersNeeded: always.
        """
        self.needed = True
        raise NumbersNeeded


def _memory(tensor: torch.Tensor) -> torch.UntypedStorage | None:
    """A tensor's memory; None for what has none of its own, such as sparse tensors."""
    try:
        return tensor.untyped_storage()
    except RuntimeError:
        return None


def _tensors(values: Iterable[Any]) -> list[torch.Tensor]:
    """The tensors among an operator's arguments or results, those in lists too."""
    found = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += [item for item in value if isinstance(item, torch.Tensor)]
    return found


_CONVOLUTION = torch.ops.aten.convolution.default
_PRODUCTS = frozenset(
    getattr(torch.ops.aten, name).default
    for name in (
        *("_convolution", "mm", "addmm", "bmm", "baddbmm", "linear", "_int_mm", "_scaled_mm"),
        *("_cudnn_rnn", "mkldnn_rnn_layer"),
        *("_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu"),
        *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"),
    )
    if hasattr(torch.ops.aten, name)
)


_MIXED = {torch.ops.aten._scaled_mm.default}
"""Products that take operands of different dtypes; others raise PyTorch's error when they are computed."""


class _Products(TorchDispatchMode):
    """Gives zeros for products that depend on what ``memory`` knows, and notes what depends on them.

    A number that Python asks for is given, and the operator after it gives up: an error in between would leave with the
    tracer what it keeps for that operator, such as where an index came from.
    """

    def __init__(self, memory: _Memory) -> None:
        super().__init__()
        self._memory = memory

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator.

        Raises:
            NumbersNeeded: it reads numbers that were not computed, or one before it did.
        """
        kwargs = kwargs or {}
        if function is _CONVOLUTION:
            return self._convolution(args)
        given = _tensors((*args, *kwargs.values()))
        depends = any(map(self._memory.depends, given))
        uncomputed = [tensor for tensor in given if self._memory.is_uncomputed(tensor)]
        skipped = depends and _is_plain_product(function, given)
        if torch.Tag.data_dependent_output in function.tags:
            self._memory.needed |= bool(uncomputed)
        elif self._memory.needed or (uncomputed and not skipped and _reads_numbers(function, uncomputed)):
            self._memory.need()
        result = _zeros(function, args, kwargs) if skipped else call_in_trace(function, args, kwargs)
        if depends:
            results = _tensors(result if isinstance(result, (list, tuple)) else [result])
            for tensor in (*results, *written_tensors(function, args, kwargs)):
                self._memory.add(tensor, skipped or bool(uncomputed))
        return result

    def _convolution(self, args: Any) -> Any:
        """What the tracer records is the ``_convolution`` that PyTorch's kernel calls: that one comes here again."""
        key = getattr(torch._C.DispatchKey, args[0].device.type.upper())
        with self:
            return call_in_trace(functools.partial(_CONVOLUTION.redispatch, torch._C.DispatchKeySet(key)), args, {})


def _is_plain_product(function: Any, given: Sequence[torch.Tensor]) -> bool:
    """Whether to skip an operator: a product of plain tensors, which the tracer has recorded already."""
    return (
        function in _PRODUCTS
        and torch._C._get_tracing_state() is None
        and all(type(tensor) in (torch.Tensor, torch.nn.Parameter) for tensor in given)
        and (function in _MIXED or len({tensor.dtype for tensor in given if tensor.is_floating_point()}) <= 1)
    )


def _zeros(function: Any, args: Any, kwargs: Any) -> Any:
    """Zeros in place of a product's results."""
    device = _tensors(args)[0].device
    if function is torch.ops.aten._convolution.default:  # which has no kernel that gives shapes alone
        function, args = _CONVOLUTION, args[:9]

    def on_meta(tensor: torch.Tensor) -> torch.Tensor:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")

    def zeros(tensor: torch.Tensor) -> torch.Tensor:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device).zero_()

    args, kwargs = pytree.tree_map_only(torch.Tensor, on_meta, (args, kwargs))
    return pytree.tree_map_only(torch.Tensor, zeros, function(*args, **kwargs))


_READING = {torch.Tag.dynamic_output_shape, torch.Tag.nondeterministic_seeded}


def _reads_numbers(function: Any, uncomputed: Sequence[torch.Tensor]) -> bool:
    """Whether an operator gives anything but numbers by those of its tensors, or faults by them.

    Distributions to draw from may not be zero, on a GPU. Of operators that are not PyTorch's nothing is known.
    """
    if reads_indices(function):
        return any(not (tensor.is_floating_point() or tensor.is_complex()) for tensor in uncomputed)
    return function.namespace not in ("aten", "prims") or not _READING.isdisjoint(function.tags)


_READERS = frozenset(
    {
        *(torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.__array__, torch.Tensor.__dlpack__),
        torch.Tensor.__cuda_array_interface__.__get__,
    }
)
"""What takes numbers out of tensors without an operator."""


class _Reads(TorchFunctionMode):
    """Gives up where numbers that were not computed leave PyTorch."""

    def __init__(self, memory: _Memory) -> None:
        super().__init__()
        self._memory = memory

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one function.

        Raises:
            NumbersNeeded: it gives numbers that were not computed to Python.
        """
        if function in _READERS and self._memory.is_uncomputed(args[0]):
            self._memory.need()
        return function(*args, **(kwargs or {}))
