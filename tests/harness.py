"""What every handler is held against: eager PyTorch, in debug mode, in the evaluator, as a built engine."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

import torch2trt
from torch2trt import registry, structure
from torch2trt.passes.fold import fold

Make = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """One row.

    Args:
        name: unique in its file.
        function: a function of tensors, or an nn.Module in eval mode.
        inputs: example inputs, as ``convert`` takes them.
        dynamic: dynamic_shapes, by input name.
        others: further inputs for a dynamic case, at sizes that were not traced.
        rtol: relative tolerance, of the largest magnitude of the expected tensor.
        atol: absolute tolerance.
        each: ``rtol`` is of each expected element, and half precision is given no more than the row says; with 0 and 0
            the result must be exact. For the evaluator: an engine is held to the largest magnitude.
        unbuilt: why TensorRT for RTX builds no engine of it; empty when it must build.
        options: further arguments of ``convert``.
    """

    name: str
    function: Callable[..., Any]
    inputs: Any
    dynamic: Mapping[str, Any] | None = None
    others: Sequence[Any] = ()
    rtol: float = 1e-5
    atol: float = 1e-6
    each: bool = False
    unbuilt: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


EXACT: dict[str, Any] = {"rtol": 0, "atol": 0, "each": True}
"""Of rows whose results are numbers of their inputs."""

_seeds = itertools.count()


def rand(*shape: int, dtype: torch.dtype = torch.float32, low: float = -2.0, high: float = 2.0) -> torch.Tensor:
    """Seeded uniform numbers; integers in ``[low, high)``, not all zero; booleans, the first of them true."""
    generator = torch.Generator().manual_seed(next(_seeds))
    if dtype == torch.bool:
        drawn = torch.rand(shape, generator=generator) > 0.5
        drawn.view(-1)[:1] = True  # some are so small that none would be
        return drawn
    if dtype.is_floating_point:
        return (torch.rand(shape, generator=generator) * (high - low) + low).to(dtype)
    drawn = torch.randint(int(low), int(high), shape, generator=generator, dtype=dtype)
    if not drawn.any():
        drawn.view(-1)[:1] = int(low) or int(high) - 1
    return drawn


class Attention(torch.nn.Module):
    """Self-attention between two linear layers, of inputs (batch, places, features)."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.before, self.after = torch.nn.Linear(features, 3 * features), torch.nn.Linear(features, features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = (part.unflatten(-1, (self._heads, -1)).transpose(1, 2) for part in self.before(x).chunk(3, -1))
        found = torch.nn.functional.scaled_dot_product_attention(*parts)
        return self.after(found.transpose(1, 2).flatten(2))


def load_cases() -> list[Case]:
    """Every row of every file in tests/cases, its name prefixed with the file's."""
    from tests import cases

    found = []
    for module in pkgutil.iter_modules(cases.__path__):
        rows = importlib.import_module(f"tests.cases.{module.name}").CASES
        names = [row.name for row in rows]
        duplicates = {name for name in names if names.count(name) > 1}
        if duplicates:
            raise ValueError(f"tests/cases/{module.name}.py has rows of the same name: {duplicates}")
        found += [Case(**{**row.__dict__, "name": f"{module.name}-{row.name}"}) for row in rows]
    return found


def trace(module: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The graph of a module's trace."""
    return torch2trt.tracing.trace_graph(module, args, kwargs)[1]


def clone(value: Any) -> Any:
    """Fresh copies of all tensors, so that a function that writes to its inputs can run again."""
    leaves, nesting = structure.flatten(value)
    return structure.unflatten([leaf.clone() for leaf in leaves], nesting)


def call(function: Callable[..., Any], inputs: Any) -> Any:
    """``function`` on fresh copies of ``inputs``."""
    args, kwargs = torch2trt.binding.normalize_inputs(clone(inputs))
    with torch.no_grad():
        return function(*args, **kwargs)


def convert(case: Case) -> torch2trt.Converted:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return torch2trt.convert(case.function, clone(case.inputs), dynamic_shapes=case.dynamic, **case.options)


def assert_same(
    actual: Any, expected: Any, *, rtol: float = 1e-5, atol: float = 1e-6, each: bool = False, what: str = ""
) -> None:
    """Equal structure, shapes and dtypes; equal integers; floats within tolerance, NaN and infinities in place.

    The tolerances are those of :class:`Case`.
    """
    found, found_nesting = structure.flatten(actual)
    wanted, wanted_nesting = structure.flatten(expected)
    assert found_nesting == wanted_nesting, f"{what}: {found_nesting} != {wanted_nesting}"
    for index, (left, right) in enumerate(zip(found, wanted, strict=True)):
        place = f"{what} output {index}"
        assert left.shape == right.shape, f"{place}: shape {list(left.shape)} != {list(right.shape)}"
        assert left.dtype == right.dtype, f"{place}: {left.dtype} != {right.dtype}"
        left, right = left.detach().cpu(), right.detach().cpu()
        if right.is_complex():
            left, right = torch.view_as_real(left.resolve_conj()), torch.view_as_real(right.resolve_conj())
        if not right.dtype.is_floating_point:
            assert torch.equal(left, right), f"{place}: {left.flatten()[:8]} != {right.flatten()[:8]}"
            continue
        tolerance = {"rtol": rtol, "atol": atol} if each else {"rtol": 0, "atol": _of_largest(right, rtol, atol)}
        torch.testing.assert_close(
            left.double(), right.double(), **tolerance, equal_nan=True, msg=lambda m, p=place: f"{p}: {m}"
        )


def _of_largest(expected: torch.Tensor, rtol: float, atol: float) -> float:
    finite = expected[expected.isfinite()]
    scale = finite.abs().max().item() if finite.numel() else 0.0
    tolerance = atol + rtol * scale
    if expected.dtype in (torch.float16, torch.bfloat16):
        tolerance = max(tolerance, (2e-3 if expected.dtype == torch.float16 else 1.6e-2) * max(scale, 1.0))
    return tolerance


def engine_tolerance(rtol: float = 0.0, atol: float = 0.0) -> dict[str, float]:
    """What an engine may differ by, these at least.

    TensorRT for RTX 1.4 multiplies float32 in TF32 (10 bits of mantissa) whatever its TF32 flag says: on an H200 the
    relative error of a product was 2.5e-4 to 3.2e-4 with the flag set and cleared alike.
    """
    floor = 2e-3 if torch2trt.trt_compat.is_rtx() else 2e-5
    return {"rtol": max(rtol, floor), "atol": max(atol, floor)}


def handlers_used(converted: torch2trt.Converted) -> set[str]:
    """Names of the handlers that a conversion called."""
    nodes = torch2trt.graph.walk_nodes(fold(converted.graph).nodes)
    found = (registry.find(node) for node in nodes)
    return {handler.name for handler in found if handler is not None}
