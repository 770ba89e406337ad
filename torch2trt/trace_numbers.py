"""Numbers of a trace, which are 0-d tensors where Python has its own: what it rounds, scales and reads."""

from __future__ import annotations

import builtins
import contextlib
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.overrides import TorchFunctionMode

from .errors import UnsupportedArgumentError
from .scales import whole_formula
from .torch_compat import traced_value, without_tracer_warnings


def _read(number: torch.Tensor) -> Any:
    """The number that a tensor holds, which the trace then does not follow."""
    with without_tracer_warnings():
        return number.item()


def _number_method(name: str, of_numbers: Callable[..., Any], in_trace: Callable[..., Any]) -> Callable[..., Any]:
    """A method of Python's numbers for 0-d tensors.

    Args:
        name: of the method.
        of_numbers: what Python does with a number, and further arguments.
        in_trace: the same for a tensor while it is traced.
    """

    def method(self: torch.Tensor, *args: Any) -> Any:
        if torch.jit.is_tracing() and self.dim() == 0:
            return in_trace(self, *args)
        if name.startswith("__") and name != "__round__":  # for which Python itself reads the number
            return of_numbers(self.item(), *args)
        raise AttributeError(f"'Tensor' object has no attribute '{name}'")

    method.__name__ = name
    return method


def _round(number: torch.Tensor, digits: int | None = None) -> torch.Tensor:
    return torch.round(number).long() if digits is None else torch.round(number, decimals=digits)


NUMBER_METHODS = {
    name: _number_method(name, of_numbers, in_trace)
    for name, of_numbers, in_trace in (
        ("__round__", round, _round),
        ("__ceil__", math.ceil, lambda number: torch.ceil(number).long()),
        ("__floor__", math.floor, lambda number: torch.floor(number).long()),
        ("__trunc__", math.trunc, lambda number: torch.trunc(number).long()),
        ("is_integer", float.is_integer, lambda number: float(_read(number)).is_integer()),
        ("bit_length", int.bit_length, lambda number: int(_read(number)).bit_length()),
    )
}
"""What torch.Tensor lacks of the methods of Python's numbers."""


def interpolate(
    input: torch.Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> torch.Tensor:
    """``torch.nn.functional.interpolate``, which scales sizes in float32 while it is traced, and in float64 else."""
    factors = scale_factor if isinstance(scale_factor, (list, tuple)) else [scale_factor] * (input.dim() - 2)
    scaled = size is None and (recompute_scale_factor or mode == "area") and all(type(one) is float for one in factors)
    if scaled:
        with contextlib.suppress(UnsupportedArgumentError):
            size = [_scaled(input.size(2 + axis), factor) for axis, factor in enumerate(factors)]
            scale_factor = recompute_scale_factor = None
    return torch.nn.functional.interpolate(
        input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    )


def _extreme(of_python: Callable[..., Any], of_tensors: Callable[..., Any]) -> Callable[..., Any]:
    """``min`` or ``max``, which gives a number of the trace where there is one among whole numbers."""

    def extreme(*args: Any, **kwargs: Any) -> Any:
        numbers = args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args
        if not kwargs and len(numbers) > 1 and any(isinstance(number, torch.Tensor) for number in numbers):
            whole = all(is_size(one) if isinstance(one, torch.Tensor) else type(one) is int for one in numbers)
            if whole and torch.jit.is_tracing():
                return functools.reduce(of_tensors, map(torch.as_tensor, numbers))
        return of_python(*args, **kwargs)

    return extreme


OF_NUMBERS = {(builtins, "min"): _extreme(min, torch.minimum), (builtins, "max"): _extreme(max, torch.maximum)}
"""What stands in the place of functions while tracing, to take numbers of the trace."""


def _scaled(length: Any, factor: float) -> Any:
    """``floor(length * factor)`` as Python computes it, of a 0-d tensor of the trace."""
    numerator, denominator, first, last = whole_formula(factor)
    size = torch.div(length * numerator, denominator, rounding_mode="floor")
    if not first:
        return size
    within = (length >= torch.tensor(first)) & (length <= torch.tensor(last))
    return size - within.sum() * (length % denominator == 0)


MULTIPLIES = frozenset({torch.Tensor.mul, torch.Tensor.__mul__, torch.Tensor.__rmul__, torch.mul})

FACTOR = "_torch2trt_factor"
"""The attribute of a number of the trace that is a product: a whole number, and what it was multiplied by."""


def multiplied(function: Any, args: Sequence[Any], kwargs: Any) -> Any:
    """A product, which remembers its factors if they are a size and a number: Python computes it in float64."""
    result = function(*args, **kwargs)
    sizes = [one for one in args if _is_size_of_axis(one)]
    factors = [one for one in args if type(one) is float and 0 <= one < math.inf]
    if len(args) == 2 and sizes and factors:
        setattr(result, FACTOR, (sizes[0], factors[0]))
    return result


def is_size(value: torch.Tensor) -> bool:
    """Whether a tensor may stand for a size: 0-d, int64, on the CPU, and no vector whose elements ``vmap`` shows."""
    return (
        not is_functorch_wrapped_tensor(value)
        and value.dim() == 0
        and value.dtype == torch.int64
        and value.device.type == "cpu"
    )


def _is_size_of_axis(number: Any) -> bool:
    """Whether the trace has a value for the size of a tensor's axis, which is never negative."""
    if not (isinstance(number, torch.Tensor) and torch.jit.is_tracing() and is_size(number)):
        return False
    return bool(traced_value(number).node().kind() == "prim::NumToTensor")


def cut_off(number: torch.Tensor) -> torch.Tensor:
    """A number of the trace without what is behind the point, int64."""
    factor = getattr(number, FACTOR, None)
    if factor is not None:
        with contextlib.suppress(UnsupportedArgumentError):
            return _scaled(*factor)
    return number.to(torch.int64)


CUTS_OFF: dict[Any, Callable[[torch.Tensor], Any]] = {
    torch.Tensor.__int__: lambda whole: int(_read(whole)),
    **dict.fromkeys((torch.Tensor.long, torch.Tensor.int), lambda whole: whole),
    **dict.fromkeys((torch.floor, torch.Tensor.floor, torch.trunc, torch.Tensor.trunc), lambda whole: whole.float()),
}
"""What rounds a number that is not negative down, and what it gives of the whole number."""

_READS = frozenset({torch.Tensor.__int__, torch.Tensor.__index__, torch.Tensor.item})


class NumbersRead(TorchFunctionMode):
    """Inside a ``with`` block, keeps the whole numbers that Python reads from the tensors of a trace.

    Attributes:
        tensors: where each number came from, rounded as it was, 0-d.
        numbers: they themselves.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[torch.Tensor] = []
        self.numbers: list[int] = []

    def clear(self) -> None:
        """Forget what was read."""
        self.tensors, self.numbers = [], []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one function."""
        result = function(*args, **(kwargs or {}))
        if function in _READS and type(result) is int and torch.jit.is_tracing():
            self.tensors.append(cut_off(args[0]).reshape(()))
            self.numbers.append(result)
        return result
