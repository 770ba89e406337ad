"""Complex values: pairs of real ones, since TensorRT has no complex data type.

A pair goes from a complex input, or the op that makes it (a Fourier transform, ``view_as_complex``), to the one that
makes it real again. In between only the ops of :data:`HANDLERS` take it. A complex input or output of the module is one
of the network of float32, with an axis of size 2 at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

from .errors import UnsupportedArgumentError
from .graph import Node


class Complex(NamedTuple):
    """A complex tensor known at run time only.

    Args:
        real: an ITensor, or a known tensor.
        imag: the same of the same shape; one of both is an ITensor.
    """

    real: Any
    imag: Any


RealHandler = Callable[[Node, Sequence[Any]], list[Any]]
"""The op's handler for real values."""

HANDLERS: dict[str, Callable[[Node, Sequence[Any], RealHandler], Any]] = {}
"""The ops that take complex values: from the node, its arguments, and the handler for real ones, the result."""

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


def complex_op(*names: str) -> Callable[[AnyFunction], AnyFunction]:
    """Register a function for ops, ``namespace::op``, that get a complex value."""

    def register(function: AnyFunction) -> AnyFunction:
        HANDLERS.update(dict.fromkeys(names, function))
        return function

    return register


def is_complex(value: Any) -> bool:
    """Whether a value is a complex tensor, known or not."""
    return isinstance(value, Complex) or (isinstance(value, torch.Tensor) and value.is_complex())


def involves_complex(args: Sequence[Any]) -> bool:
    """Whether a complex tensor or number is among a node's arguments, or a tensor in a list among them."""
    for value in args:
        if (
            is_complex(value)
            or isinstance(value, complex)
            or (isinstance(value, list) and any(is_complex(item) for item in value))
        ):
            return True
    return False


def call(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """The result of a node that gets a complex value.

    Raises:
        UnsupportedArgumentError: the op takes none.
    """
    handler = HANDLERS.get(node.kind)
    if handler is None:
        raise UnsupportedArgumentError(
            f"{node.kind} of complex values cannot be converted",
            hint="take the real and imaginary parts before it, with torch.view_as_real",
        )
    return handler(node, args, real_handler)
