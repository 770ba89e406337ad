"""``torch2trt bench``."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Annotated, Any

import typer

from ...errors import EngineError, InputError
from ..options import CachedBuildOptions, ConvertOptions, ModelArgument, ModelOptions
from ..output import Output


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
    """Time the engine against eager PyTorch; needs a GPU."""
    import torch

    from ... import structure, tracing
    from ...engine.run import Engine

    if not torch.cuda.is_available():
        raise EngineError("bench needs an NVIDIA GPU, and torch sees none")
    if runs < 1 or warmup < 0:
        raise InputError(f"--runs {runs} and --warmup {warmup} measure nothing")
    with out.working("loading the model"):
        named = source.load(model)
        bound = source.bind(named)
    with out.working("building the engine"):
        converted = conversion.convert(named, bound)
        bundle = converted.bundle(**build.arguments())
        engine = Engine(bundle)
        graphed = Engine(bundle, cuda_graph=True) if cuda_graph else None
    leaves, nesting = structure.flatten(tracing.normalize_inputs(bound.inputs))
    args, kwargs = structure.unflatten([leaf.cuda() for leaf in leaves], nesting)
    module = named.module.cuda() if isinstance(named.module, torch.nn.Module) else named.module
    ways: dict[str, Callable[[], Any]] = {
        "PyTorch": lambda: module(*args, **kwargs),
        "engine": lambda: engine(*args, **kwargs),
    }
    if graphed is not None:
        ways["engine, CUDA graph"] = lambda: graphed(*args, **kwargs)
    with torch.no_grad():
        times = {name: _median(call, runs, warmup, torch) for name, call in ways.items()}
    base = times["PyTorch"]
    rows = [(name, f"{time:.4f}", f"{base / time:.2f}") for name, time in times.items()]
    out.table(f"{model} on {torch.cuda.get_device_name()}, medians of {runs}", ("", "ms", "times PyTorch"), rows)
    out.result({"ok": True, "gpu": torch.cuda.get_device_name(), "runs": runs, "milliseconds": times})


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
