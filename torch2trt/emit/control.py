"""Branches, loops and assertions: layers that decide at run time what is computed."""

from __future__ import annotations

from typing import Any

from ..context import building
from ..errors import UnsupportedArgumentError
from ..trt_compat import is_tensor
from .dims import reshape_to_scalar
from .dtypes import Tensor, tensor
from .network import add_layer_object, check, ends, enum, layers_by_output, named


def scalar(value: Tensor) -> Any:
    """A tensor of one element, or a number, as a 0-d ITensor."""
    result = tensor(value)
    return reshape_to_scalar(result) if len(result.shape) else result


def _adopt(layer: Any, method: str) -> Any:
    """Name a layer of a loop or conditional, and let TensorRT infer its type now: it does not while it builds."""
    layer = named(layer, method)
    check(building(), layer, method)
    return layer


class Conditional:
    """An if. The layers of a branch may use any tensor; those that only one branch uses run only if it is taken.

    Args:
        condition: a boolean of one element.
    """

    def __init__(self, condition: Tensor) -> None:
        self._conditional = building().network.add_if_conditional()
        named(self._conditional.set_condition(scalar(condition)), "condition")

    def output(self, chosen: Any, other: Any) -> Any:
        """``chosen`` if the condition holds, else ``other``: ITensors of one dtype and rank."""
        return _adopt(self._conditional.add_output(chosen, other), "if_output").get_output(0)


class Loop:
    """A loop: what its layers compute from its recurrences is computed anew in every iteration."""

    def __init__(self) -> None:
        self._loop = building().network.add_loop()

    def limit(self, count: Tensor) -> None:
        """Make at most ``count`` iterations."""
        named(self._loop.add_trip_limit(scalar(count), enum("TripLimit", "COUNT")), "trip_limit")

    def go_on_while(self, condition: Tensor) -> None:
        """Go on as long as ``condition`` holds before an iteration."""
        named(self._loop.add_trip_limit(scalar(condition), enum("TripLimit", "WHILE")), "trip_limit")

    def carry(self, initial: Any) -> Any:
        """The layer whose output is ``initial`` in the first iteration, and then what :meth:`update` gave it."""
        return _adopt(self._loop.add_recurrence(initial), "recurrence")

    def update(self, recurrence: Any, following: Any) -> None:
        """What a carried tensor is in the next iteration: of the same dtype and shape."""
        recurrence.set_input(1, following)
        check(building(), recurrence, "recurrence")

    def last(self, recurrence: Any) -> Any:
        """What a carried tensor is after the loop."""
        return self._output(recurrence.get_output(0), "LAST_VALUE")

    def stacked(self, value: Any, count: Tensor) -> Any:
        """The ``value`` of every iteration along a new first axis; ``count`` is how many there are.

        Raises:
            UnsupportedArgumentError: the count depends on more than sizes, of which TensorRT makes no shape.
        """
        if is_tensor(count) and _depends_on_elements(count):
            raise UnsupportedArgumentError(
                "a loop collects the results of its iterations, whose number depends on a tensor's elements",
                hint="write the results into a tensor of a fixed size",
            )
        return self._output(value, "CONCATENATE", scalar(count))

    def _output(self, value: Any, kind: str, length: Any = None) -> Any:
        layer = named(self._loop.add_loop_output(value, enum("LoopOutput", kind), 0), "loop_output")
        if length is not None:
            layer.set_input(1, length)
        check(building(), layer, "loop_output")
        return layer.get_output(0)


def assertion(condition: Any, message: str) -> None:
    """Stop at run time if ``condition``, a 0-d boolean ITensor, does not hold.

    Raises:
        UnsupportedArgumentError: it depends on more than sizes, which TensorRT's assertion does not take.
    """
    if _depends_on_elements(condition):
        raise UnsupportedArgumentError(
            f"{message}, which depends on a tensor's elements here: an engine can only check sizes",
            hint="leave out the check, or keep this part in PyTorch with torch2trt.compile",
        )
    add_layer_object("assertion", condition, message)


def _depends_on_elements(value: Any) -> bool:
    """Whether an ITensor is computed from anything but sizes and constants."""
    return any(layer is None for _, layer in ends(value, layers_by_output(), lambda kind: kind != "SHAPE"))
