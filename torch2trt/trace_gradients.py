"""Gradients that a module takes: a trace follows what autograd saves, or says that it does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from .errors import TraceError
from .torch_compat import call_in_trace, without_tracer_warnings


def grad(outputs: Any, inputs: Any, grad_outputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """``torch.autograd.grad``, which compares sizes with ``grad_outputs`` and takes no tensors for these.

    The gradients of sums of products need none, and come of the same numbers.
    """
    if grad_outputs is not None and not kwargs.get("is_grads_batched"):
        listed = ([one] if isinstance(one, torch.Tensor) else list(one) for one in (outputs, grad_outputs))
        pairs = zip(*listed, strict=True)
        outputs = [output if factor is None else (output * factor).sum() for output, factor in pairs]
        grad_outputs = None
    with without_tracer_warnings():
        return torch.autograd.grad(outputs, inputs, grad_outputs, *args, **kwargs)


class GradientsTaken(BaseException):
    """The module takes a gradient, of results that autograd saved; no Exception, which a module may catch."""


class SavedResults(TorchDispatchMode):
    """Inside a ``with`` block, a trace follows what gradients are computed of.

    Autograd saves results and makes tensors of its own of them, which the tracer knows nothing of and takes for
    constants: it is given those that it knows in their place. All results are kept until the end.

    Args:
        inputs: the tensors that the module is traced on.
    """

    def __init__(self, inputs: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self._known: dict[Any, torch.Tensor] = {}
        self._depending = {tensor.untyped_storage()._cdata for tensor in inputs}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator."""
        is_detach = function is torch.ops.aten.detach.default
        if is_detach and torch.jit.is_tracing():
            args = (self._known.get(self._key(args[0]), args[0]),)
        result = call_in_trace(function, args, kwargs or {})
        given, made = _strided(args, kwargs), _strided(result)
        if any(tensor.untyped_storage()._cdata in self._depending for tensor in given):
            self._depending.update(tensor.untyped_storage()._cdata for tensor in made)
        if not is_detach:
            self._known.update({self._key(tensor): tensor for tensor in made})
        return result

    @staticmethod
    def _key(tensor: torch.Tensor) -> Any:
        return tensor.data_ptr(), tensor.stride(), tensor.dtype  # while it is traced, sizes would be tensors

    def check(self, constants: Iterable[torch.Tensor]) -> None:
        """Raise a TraceError if one of a trace's constants depends on the inputs."""
        if any(constant.untyped_storage()._cdata in self._depending for constant in constants):
            raise unknown_to_gradients()


def unknown_to_gradients() -> TraceError:
    """What a trace raises that lacks a result of which a gradient is computed."""
    return TraceError(
        "a gradient is computed of a result that the trace does not hold",
        hint="compute it of plain operators: of those that PyTorch composes of others, a trace sees the outer one",
    )


def _strided(*values: Any) -> list[torch.Tensor]:
    leaves = pytree.tree_leaves(values)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.layout == torch.strided and leaf.numel()]
