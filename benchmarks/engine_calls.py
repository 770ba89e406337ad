"""What a call costs the CPU beyond TensorRT's own launch, and what refitting and loading save over building.

Prints one JSON object; times are medians. Needs a GPU. Run from the repository's root:

    python benchmarks/engine_calls.py
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

sys.path.insert(0, ".")
from tests.engine import networks
from torch2trt import trt_compat
from torch2trt.engine.build import BuildOptions, serialize_network
from torch2trt.engine.bundle import Bundle, Environment
from torch2trt.engine.run import Engine
from torch2trt.trt_compat import trt


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


def large(width: int = 2048, layers: int = 6) -> tuple[Any, Any, dict[str, torch.Tensor]]:
    """A stack of matrix products with about 25 M parameters."""
    builder = trt.Builder(trt_compat.logger())
    network = trt_compat.create_network(builder)
    x = network.add_input("x", trt.float32, (8, width))
    weights = {f"w{index}": torch.randn(width, width) / width**0.5 for index in range(layers)}
    none = trt.MatrixOperation.NONE
    for name, tensor in weights.items():
        product = network.add_matrix_multiply(x, none, networks.constant(network, name, tensor), none)
        x = network.add_activation(product.get_output(0), trt.ActivationType.TANH).get_output(0)
    networks.output(network, x, "y")
    return builder, network, weights


def savings() -> dict[str, float]:
    builder, network, weights = large()
    options = BuildOptions(refit=True)
    found = {"parameters": sum(tensor.numel() for tensor in weights.values())}
    found["build s"] = seconds(lambda: serialize_network(builder, network, options), 3)
    bundle = Bundle(serialize_network(builder, network, options), None, options, Environment.here())
    x = torch.randn(8, 2048, device="cuda")
    with Engine(bundle) as engine:
        engine(x)
        moved = {name: tensor.cuda() for name, tensor in weights.items()}
        engine.refit_weights(moved)
        found["refit from the GPU s"] = seconds(lambda: engine.refit_weights(moved))
        found["refit from the CPU s"] = seconds(lambda: engine.refit_weights(weights))
        content = engine.to_bytes()
    found["file MB"] = len(content) / 1e6

    def load() -> None:
        with Engine.from_bytes(content) as again:
            again(x)

    def load_plain() -> None:
        with Engine(bundle) as again:
            again(x)

    found["load and first call s"] = seconds(load)
    found["load without kernels and first call s"] = seconds(load_plain, 3)
    return found


if __name__ == "__main__":
    print(json.dumps({"gpu": torch.cuda.get_device_name(), **call_costs(), **savings()}, indent=1))
