"""Custom autograd functions of other packages that stand for one operator.

The tracer records what such a function's forward does, operator by operator. Where these hide what was meant, as the
arithmetic of a quantiser does, the call is read as the operator instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import quantized as _quantized  # noqa: F401  (registers its operator with PyTorch)

_MODELOPT = "modelopt.torch.quantization.tensor_quant"


def operator_of(module: str, name: str, args: Sequence[Any]) -> tuple[str, list[Any]] | None:
    """The operator that a call of an autograd function stands for, and its arguments; None where it is not known.

    Args:
        module: where the function is defined.
        name: of the function.
        args: all arguments of the call.
    """
    reader = _READERS.get((module, name))
    return None if reader is None else reader(args)


def _integers(args: Sequence[Any]) -> tuple[str, list[Any]] | None:
    """``FakeTensorQuantFunction.apply(inputs, amax, bias, num_bits, unsigned, narrow_range, ...)`` of modelopt."""
    defaults: list[Any] = [None, None, None, 8, False, True]
    inputs, amax, bias, bits, unsigned, narrow = (*args[:6], *defaults[len(args) :])
    if bias is not None or not isinstance(bits, int):
        return None
    return "torch2trt::fake_quantize", [inputs, amax, bits, 0, bool(unsigned), bool(narrow)]


def _float8(args: Sequence[Any]) -> tuple[str, list[Any]] | None:
    """``ScaledE4M3Function.apply(inputs, amax, bias, E, M, ...)`` of modelopt."""
    inputs, amax, bias, exponent_bits, mantissa_bits = args[:5]
    if amax is None or bias is not None or (exponent_bits, mantissa_bits) != (4, 3):
        return None
    return "torch2trt::fake_quantize", [inputs, amax, 8, 4, False, False]


_READERS: dict[tuple[str, str], Callable[[Sequence[Any]], tuple[str, list[Any]] | None]] = {
    (_MODELOPT, "FakeTensorQuantFunction"): _integers,
    (_MODELOPT, "ScaledE4M3Function"): _float8,
}
