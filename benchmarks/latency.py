"""Latency on a GPU, each model by each road, in one run: ``python benchmarks/latency.py [model ...] [--json FILE]``.

Every road's output is held against float32 eager before its time counts. Times are medians, in milliseconds, of
``--runs`` calls timed with CUDA events, in a CUDA graph where the road allows it; ``spread`` is the range from the 10th
to the 90th percentile. ``ready`` is the time from the module to the first result, in seconds.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import io
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

try:
    from benchmarks.models import MODELS
except ImportError:  # run as a script
    from models import MODELS

Call = Callable[[], torch.Tensor]
HALF = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def to_dtype(inputs: Sequence[torch.Tensor], dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    return tuple(value.to(dtype) if value.is_floating_point() else value for value in inputs)


def graphed(call: Call) -> Call:
    """``call`` as a CUDA graph; as it is when capture fails."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    try:
        with torch.cuda.stream(stream):
            for _ in range(3):
                call()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = call()
    except Exception as error:
        print(f"    no CUDA graph: {type(error).__name__}", file=sys.stderr)
        torch.cuda.synchronize()
        return call

    def replay() -> torch.Tensor:
        graph.replay()
        return output

    return replay


def eager(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], dtype: torch.dtype) -> Call:
    model, inputs = model.to(dtype), to_dtype(inputs, dtype)
    return graphed(lambda: model(*inputs))


def compiled(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], dtype: torch.dtype) -> Call:
    model, inputs = torch.compile(model.to(dtype)), to_dtype(inputs, dtype)
    return graphed(lambda: model(*inputs))


def engine_call(plan: bytes, inputs: tuple[torch.Tensor, ...]) -> Call:
    """A plain engine from its bytes."""
    from torch2trt.engine.bundle import Bundle
    from torch2trt.engine.run import Engine

    engine = Engine(Bundle(plan), auto_contiguous=True, cuda_graph=True)
    return lambda: first(engine(*inputs))


def first(value: Any) -> torch.Tensor:
    return value[0] if isinstance(value, (tuple, list)) else value


def onnx(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], dtype: torch.dtype) -> Call:
    from torch2trt import trt, trt_compat
    from torch2trt.engine.build import BuildOptions, serialize_network

    model, inputs = model.to(dtype), to_dtype(inputs, dtype)
    buffer = io.BytesIO()
    torch.onnx.export(model, inputs, dynamo=True, verbose=False).save(buffer)
    builder = trt.Builder(trt_compat.logger())
    network = trt_compat.create_network(builder)
    parser = trt.OnnxParser(network, trt_compat.logger())
    if not parser.parse(buffer.getvalue()):
        raise RuntimeError(parser.get_error(0).desc())
    return engine_call(serialize_network(builder, network, BuildOptions(tf32=True)), inputs)


def torch_tensorrt(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], dtype: torch.dtype) -> Call:
    import torch_tensorrt

    model, inputs = model.to(dtype), to_dtype(inputs, dtype)
    fast = torch_tensorrt.compile(model, ir="dynamo", inputs=list(inputs), use_explicit_typing=True, min_block_size=1)
    return graphed(lambda: first(fast(*inputs)))


def ours(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], dtype: torch.dtype) -> Call:
    import torch2trt

    model, inputs = model.to(dtype), to_dtype(inputs, dtype)
    engine = torch2trt.build_engine(model, inputs, tf32=True, cuda_graph=True)
    return lambda: first(engine(*inputs))


ROADS: dict[str, Callable[..., Call]] = {
    "eager": eager,
    "torch.compile": compiled,
    "onnx": onnx,
    "torch-tensorrt": torch_tensorrt,
    "ours": ours,
}


def times(call: Call, runs: int) -> tuple[float, float]:
    """Median and spread of ``runs`` calls, in milliseconds."""
    for _ in range(10):
        call()
    torch.cuda.synchronize()
    rows = []
    for _ in range(runs):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        rows.append((start, end))
    torch.cuda.synchronize()
    numbers = sorted(start.elapsed_time(end) for start, end in rows)
    return statistics.median(numbers), numbers[int(0.9 * runs)] - numbers[int(0.1 * runs)]


def measure(name: str, road: str, dtype: torch.dtype, runs: int) -> dict[str, Any]:
    torch.manual_seed(0)
    model, inputs = MODELS[name]()
    model, inputs = model.cuda(), tuple(value.cuda() for value in inputs)
    expected = first(model(*inputs)).float()
    start = time.perf_counter()
    call = ROADS[road](copy.deepcopy(model), inputs, dtype)
    actual = call().float()
    torch.cuda.synchronize()
    ready = time.perf_counter() - start
    error = ((actual - expected).abs().max() / expected.abs().max()).item()
    median, spread = times(call, runs)
    return {"ms": median, "spread": spread, "ready": ready, "error": error}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--roads", nargs="*", default=list(ROADS))
    parser.add_argument("--dtype", default="float16", choices=HALF)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--json")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {options.dtype}, {datetime.date.today()}")
    results: dict[str, dict[str, Any]] = {}
    with torch.inference_mode(False), torch.no_grad():
        for name in options.models:
            results[name] = {}
            for road in options.roads:
                try:
                    row = results[name][road] = measure(name, road, HALF[options.dtype], options.runs)
                except Exception as error:
                    print(f"{name:<22} {road:<15} failed: {type(error).__name__}: {str(error)[:160]!r}", flush=True)
                    torch.cuda.empty_cache()
                    continue
                print(
                    f"{name:<22} {road:<15} {row['ms']:8.3f} ms (+-{row['spread']:.3f}) ready {row['ready']:6.2f} s "
                    f"error {row['error']:.1e}",
                    flush=True,
                )
                torch.cuda.empty_cache()
                if options.json:
                    with open(options.json, "w") as file:
                        json.dump(results, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
