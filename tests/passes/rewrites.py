"""How a rewrite is held against eager PyTorch: found as often as expected, and the numbers stay."""

from __future__ import annotations

import contextlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

import torch2trt
from torch2trt import registry, structure, torch_compat


def layer_types(converted: torch2trt.Converted) -> Counter[str]:
    """How many layers of each type the network has."""
    network = converted.network
    return Counter(network.get_layer(index).type.name for index in range(network.num_layers))


def check_rewrite(
    name: str,
    function: Callable[..., Any],
    inputs: Any,
    count: int,
    *,
    dynamic: Mapping[str, Any] | None = None,
    others: Sequence[Any] = (),
    half: bool = True,
) -> torch2trt.Converted:
    """Convert with one rewrite alone: it is found ``count`` times, in float32 and half, and the results stay.

    Args:
        name: the rewrite.
        function: a module or function.
        inputs: example inputs.
        count: how often the pattern is there.
        dynamic: dynamic_shapes.
        others: inputs of other sizes.
        half: whether the module's maths is converted in float16 too.

    Returns:
        what was converted in float32.
    """
    found = []
    for precision, tolerance in (("float32", 1e-5), ("float16", 2e-2)) if half else (("float32", 1e-5),):
        options = {"dynamic_shapes": dynamic, "precision": precision}
        converted = torch2trt.convert(function, inputs, optimize=[name], **options)
        assert converted.graph.rewrites == {name: count}
        for given in (inputs, *others):
            arguments = given if isinstance(given, tuple) else (given,)
            with torch.no_grad():
                expected = structure.flatten(function(*arguments))[0]
            actual = structure.flatten(converted.evaluate(*arguments))[0]
            for left, right in zip(actual, expected, strict=True):
                assert left.dtype == right.dtype and left.shape == right.shape
                error = (left.double() - right.double()).abs().max() if left.numel() else torch.zeros(())
                assert error <= tolerance * max(1.0, right.abs().max().item() if right.numel() else 0), (
                    precision,
                    error,
                )
        found.append(converted)
    return found[0]


@contextlib.contextmanager
def users_handler(name: str) -> Iterator[list[str]]:
    """A handler of the user's in place of torch2trt's, which it calls; gives the kinds that it was called for."""
    before = dict(registry._handlers)
    seen: list[str] = []
    previous = before.get(name) or before[name.partition(".")[0]]
    kind, _, overload = name.partition(".")
    schema = torch_compat.schema_of(kind, overload)
    assert schema is not None

    @torch2trt.register_node_handler(name, override=True)
    def handle(inputs: Any, attributes: Any) -> Any:
        seen.append(attributes["kind"])
        accepted = inspect.signature(previous.implementation).parameters
        given = zip(schema.argument_names, inputs, strict=True)
        return [previous.implementation(**{key: value for key, value in given if key in accepted})]

    try:
        yield seen
    finally:
        registry._handlers.clear()
        registry._handlers.update(before)
