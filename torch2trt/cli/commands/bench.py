"""``torch2trt bench``."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import EngineError, InputError
from ..options import CachedBuildOptions, ConvertOptions, ModelArgument, ModelOptions
from ..output import Output

if TYPE_CHECKING:
    import torch


def bench(
    out: Output,
    model: ModelArgument,
    source: ModelOptions,
    conversion: ConvertOptions,
    build: CachedBuildOptions,
    runs: Annotated[int, typer.Option(help="How many runs the medians are of.")] = 100,
    warmup: Annotated[int, typer.Option(help="How many runs come before.")] = 20,
    cuda_graph: Annotated[bool, typer.Option(help="Run the engine from a CUDA graph too.")] = True,
) -> None:
    """Time the engine against eager PyTorch, and hold its results against PyTorch's; needs a GPU."""
    import torch

    from ... import binding, structure
    from ...engine.run import Engine

    if not torch.cuda.is_available():
        raise EngineError("bench needs an NVIDIA GPU, and torch sees none")
    if runs < 1 or warmup < 0:
        raise InputError(f"--runs {runs} and --warmup {warmup} measure nothing")
    options = build.arguments()
    with out.working("loading the model"):
        named = source.load(model)
        bound = source.bind(named)
    with out.working("building the engine"):
        converted = conversion.convert(named, bound)
        bundle = converted.bundle(**options)
        engine = Engine(bundle)
        graphed = Engine(bundle, cuda_graph=True) if cuda_graph else None
    leaves, nesting = structure.flatten(binding.normalize_inputs(bound.inputs))
    args, kwargs = structure.unflatten([leaf.cuda() for leaf in leaves], nesting)
    module = named.module.cuda() if isinstance(named.module, torch.nn.Module) else named.module
    ways: dict[str, Callable[[], Any]] = {
        "PyTorch": lambda: module(*args, **kwargs),
        "engine": lambda: engine(*args, **kwargs),
    }
    if graphed is not None:
        ways["engine, CUDA graph"] = lambda: graphed(*args, **kwargs)
    with torch.no_grad():
        expected = structure.flatten(ways["PyTorch"]())[0]
        errors = {name: largest_errors(call, expected, torch.cuda.synchronize) for name, call in ways.items()}
        times = {name: _median(call, runs, warmup, torch) for name, call in ways.items()}
    base = times["PyTorch"]
    rows = [
        (name, f"{time:.4f}", f"{base / time:.2f}", *(f"{error:.1e}" for error in errors[name]))
        for name, time in times.items()
    ]
    columns = ("", "ms", "times PyTorch", "error of one run", "of ten at once")
    out.table(f"{model} on {torch.cuda.get_device_name()}, medians of {runs}", columns, rows)
    found = {name: {"alone": alone, "at_once": at_once} for name, (alone, at_once) in errors.items()}
    out.result({"ok": True, "gpu": torch.cuda.get_device_name(), "runs": runs, "milliseconds": times, "errors": found})


def largest_errors(
    call: Callable[[], Any], expected: Sequence[torch.Tensor], wait: Callable[[], object]
) -> tuple[float, float]:
    """How far results are from ``expected``, by the largest value of each tensor.

    Args:
        call: gives the results.
        expected: PyTorch's.
        wait: waits for the GPU.

    Returns:
        the error of one run on an idle GPU, and the largest of ten that follow one another at once: kernels that begin
        too early give wrong numbers there alone.
    """
    from ... import structure
    from ...verify import difference

    def error(results: Any) -> float:
        found = structure.flatten(results)[0]
        pairs = zip(found, expected, strict=True)
        return max((difference(actual, wanted, 0.0, 0.0).relative for actual, wanted in pairs), default=0.0)

    call()
    wait()
    alone = error(call())
    wait()
    return alone, max(map(error, [call() for _ in range(10)]))


def _median(call: Callable[[], Any], runs: int, warmup: int, torch: Any) -> float:
    """Milliseconds of one call, from its start on an idle GPU until its result is there."""
    times = []
    for index in range(warmup + runs):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        if index >= warmup:
            times.append(start.elapsed_time(end))
    return statistics.median(times)
