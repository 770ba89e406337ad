"""What a call costs the CPU beyond TensorRT's own launch, and what refitting and loading save over building.

Prints a JSON object a part; times are medians. Needs a GPU. Run from the repository's root:

    python benchmarks/engine_calls.py
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, ".")
import torch2trt
from benchmarks.models import MODELS
from tests.engine import networks
from torch2trt.engine.bundle import Bundle
from torch2trt.engine.run import Engine


def microseconds(call: Callable[[], Any], *, rounds: int = 30, calls: int = 200) -> float:
    """CPU time of one call; the GPU is drained between rounds so that its queue never fills."""
    for _ in range(calls):
        call()
    times = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        times.append((time.perf_counter() - begin) / calls)
    torch.cuda.synchronize()
    return 1e6 * statistics.median(times)


def seconds(call: Callable[[], Any], rounds: int = 5) -> float:
    times = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def call_costs() -> dict[str, float]:
    made = networks.mlp()
    bundle = Bundle(made.serialize())
    x = torch.randn(8, 16, device="cuda")
    found = {}
    stream = torch.cuda.Stream()
    with Engine(bundle) as engine, Engine(bundle, cuda_graph=True) as graphed:
        with torch.cuda.stream(stream):
            context = engine.context()
            context(x)
            session, handle = context._session, stream.cuda_stream
            found["execute_async_v3"] = microseconds(lambda: session.context.execute_async_v3(handle))
            found["engine, own stream"] = microseconds(lambda: context(x))
            found["Engine, own stream"] = microseconds(lambda: engine(x))
            inner = graphed.context()
            inner(x)
            graph = next(iter(inner._graphs._runs.values()))._graph
            found["replay"] = microseconds(graph.replay)
            found["graph, own stream"] = microseconds(lambda: inner(x))
        found["Engine, default stream"] = microseconds(lambda: engine(x))
        found["graph, default stream"] = microseconds(lambda: graphed(x))
    return found


def refitting() -> dict[str, float]:
    """ResNet-50, whose batch norms are folded into its convolutions: 25 M parameters."""
    model, inputs = MODELS["resnet50 b1"].load()
    model, inputs = model.cuda(), tuple(value.cuda() for value in inputs)
    converted = torch2trt.convert(model, inputs)
    found = {"parameters": float(sum(tensor.numel() for tensor in model.parameters()))}
    found["rebuild s"] = seconds(lambda: converted.bundle(refit=True), 2)
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    on_cpu = {key: tensor.cpu() for key, tensor in state.items()}
    with converted.build(refit=True) as engine:
        engine(*inputs)
        engine.refit(state)
        found["refit from the GPU s"] = seconds(lambda: engine.refit(state), 10)
        found["refit from the CPU s"] = seconds(lambda: engine.refit(on_cpu))
    return found


def loading() -> dict[str, float]:
    """BERT-base in float16, from a file with its kernels and from its module."""
    model, inputs = MODELS["bert_base b8 s128"].load()
    model, inputs = model.cuda().half(), tuple(value.cuda() for value in inputs)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bert.trt2"
        with torch2trt.build_engine(model, inputs) as engine:
            engine(*inputs)
            engine.save(path)
        found["file MB"] = path.stat().st_size / 1e6

        def load() -> None:
            with Engine.load(path) as again:
                again(*inputs)

        def rebuild() -> None:
            with torch2trt.build_engine(model, inputs) as again:
                again(*inputs)

        found["load and first call s"] = seconds(load, 3)
        found["rebuild and first call s"] = seconds(rebuild, 2)
    return found


PARTS = {"calls, microseconds": call_costs, "refit of ResNet-50": refitting, "BERT-base": loading}

if __name__ == "__main__":
    print(torch.cuda.get_device_name())
    with torch.no_grad():
        for name, measure in PARTS.items():
            print(json.dumps({name: measure()}), flush=True)
