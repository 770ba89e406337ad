"""The roads from a module to something that runs: each gives a call, and what getting there took."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

Inputs = tuple[torch.Tensor, ...]


@dataclass
class Ready:
    """What a road leads to.

    Args:
        plain: runs the model once; None where nothing can run, without a GPU.
        graphed: the same through a CUDA graph; None where there is none.
        stages: seconds of each stage, by name.
        engine_mb: size of the engine; None where there is none.
        layers: layers of the TensorRT network.
    """

    plain: Callable[[], torch.Tensor] | None
    graphed: Callable[[], torch.Tensor] | None = None
    stages: dict[str, float] = field(default_factory=dict)
    engine_mb: float | None = None
    layers: int | None = None


class _Clock:
    """Seconds since the last reading, with all work of the GPU done."""

    def __init__(self) -> None:
        self._before = time.perf_counter()

    def read(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        passed, self._before = now - self._before, now
        return passed


def first(value: Any) -> torch.Tensor:
    return value[0] if isinstance(value, (tuple, list)) else value


def to_dtype(inputs: Sequence[torch.Tensor], dtype: torch.dtype) -> Inputs:
    return tuple(value.to(dtype) if value.is_floating_point() else value for value in inputs)


def graphed(call: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor] | None:
    """``call`` as a CUDA graph; None where it cannot be captured, or there is no GPU."""
    if not torch.cuda.is_available():
        return None
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
    except Exception:
        torch.cuda.synchronize()
        return None

    def replay() -> torch.Tensor:
        graph.replay()
        return output

    return replay


def eager(model: torch.nn.Module, inputs: Inputs) -> Ready:
    def call() -> torch.Tensor:
        return model(*inputs)

    return Ready(call, graphed(call))


def compiled(mode: str | None) -> Callable[[torch.nn.Module, Inputs], Ready]:
    def road(model: torch.nn.Module, inputs: Inputs) -> Ready:
        clock = _Clock()
        fast = torch.compile(model, mode=mode)

        def call() -> torch.Tensor:
            return fast(*inputs)

        call()
        stages = {"compile": clock.read()}
        # max-autotune captures graphs of its own; what it returns is overwritten by the next call.
        return Ready(call, call if mode == "max-autotune" else graphed(call), stages)

    return road


def onnx(dynamo: bool) -> Callable[[torch.nn.Module, Inputs], Ready]:
    def road(model: torch.nn.Module, inputs: Inputs) -> Ready:
        from torch2trt import trt, trt_compat
        from torch2trt.engine.build import BuildOptions, serialize_network
        from torch2trt.engine.bundle import Bundle

        with tempfile.TemporaryDirectory() as folder:
            clock = _Clock()
            path = str(Path(folder, "model.onnx"))
            if dynamo:
                torch.onnx.export(model, inputs, dynamo=True, verbose=False).save(path)
            else:
                torch.onnx.export(model, inputs, path, dynamo=False)
            stages = {"trace": clock.read()}
            builder = trt.Builder(trt_compat.logger())
            network = trt_compat.create_network(builder)
            parser = trt.OnnxParser(network, trt_compat.logger())
            if not parser.parse_from_file(path):
                raise RuntimeError(parser.get_error(0).desc())
            stages["convert"] = clock.read()
        plan = serialize_network(builder, network, BuildOptions(tf32=True))
        stages["build"] = clock.read()
        return _engine(Bundle(plan), inputs, stages, len(plan), network.num_layers)

    return road


def ours(optimize: bool) -> Callable[[torch.nn.Module, Inputs], Ready]:
    def road(model: torch.nn.Module, inputs: Inputs) -> Ready:
        import torch2trt
        from torch2trt import core

        clock = _Clock()
        core.prepare(model, inputs)  # the trace alone, which the conversion repeats
        trace = clock.read()
        converted = torch2trt.convert(model, inputs, optimize=optimize)
        stages = {"trace": trace, "convert": max(clock.read() - trace, 0.0)}
        bundle = converted.bundle(tf32=True)
        stages["build"] = clock.read()
        return _engine(bundle, inputs, stages, len(bundle.plan), converted.network.num_layers)

    return road


def ours_in_background(model: torch.nn.Module, inputs: Inputs) -> Ready:
    """The stages are those of the first result, which PyTorch gives while the engine is made."""
    return _compiled(model, inputs, background=True)


def ours_tuned(model: torch.nn.Module, inputs: Inputs) -> Ready:
    """What PyTorch computes faster stays there, which is measured: nothing else may use the GPU meanwhile."""
    return _compiled(model, inputs, tune=True, cuda_graph=True)


def _compiled(model: torch.nn.Module, inputs: Inputs, **options: Any) -> Ready:
    import torch2trt

    clock = _Clock()
    fast = torch2trt.compile(model, inputs, build={"tf32": True}, **options)
    stages = {"compile": clock.read()}

    def call() -> torch.Tensor:
        return first(fast(*inputs))

    call()
    stages["load"] = clock.read()
    fast.wait()
    return Ready(call, graphed(call), stages)


def _engine(bundle: Any, inputs: Inputs, stages: dict[str, float], size: int, layers: int) -> Ready:
    """The engine with and without a CUDA graph; only what it took to make it where there is no GPU."""
    ready = Ready(None, None, stages, size / 1e6, layers)
    if not torch.cuda.is_available():
        return ready
    from torch2trt.engine.run import Engine

    clock = _Clock()
    engine = Engine(bundle, auto_contiguous=True)

    def call() -> torch.Tensor:
        return first(engine(*inputs))

    call()
    stages["load"] = clock.read()
    ready.plain, ready.graphed = call, graphed(call)
    return ready


def torch_tensorrt(model: torch.nn.Module, inputs: Inputs) -> Ready:
    import torch_tensorrt

    clock = _Clock()
    fast = torch_tensorrt.compile(model, ir="dynamo", inputs=list(inputs), use_explicit_typing=True, min_block_size=1)
    stages = {"compile": clock.read()}

    def call() -> torch.Tensor:
        return first(fast(*inputs))

    call()
    stages["load"] = clock.read()
    return Ready(call, graphed(call), stages)


ROADS: dict[str, Callable[[torch.nn.Module, Inputs], Ready]] = {
    "eager": eager,
    "torch.compile": compiled(None),
    "torch.compile max": compiled("max-autotune"),
    "onnx dynamo": onnx(True),
    "onnx torchscript": onnx(False),
    "torch-tensorrt": torch_tensorrt,
    "ours": ours(True),
    "ours in background": ours_in_background,
    "ours tuned": ours_tuned,
    "ours, no rewrites": ours(False),
}


def available() -> list[str]:
    """The roads whose packages are installed; without a GPU those that make an engine ahead of time, and eager.

    What our rewrites gain, and what PyTorch does in place of engines, is measured when asked for.
    """
    missing = {
        "torch-tensorrt": "torch_tensorrt",
        "onnx dynamo": "onnxscript",
        "onnx torchscript": "onnx",
        "torch.compile": "triton",
        "torch.compile max": "triton",
    }
    found = [name for name in ROADS if name not in missing or importlib.util.find_spec(missing[name])]
    found = [name for name in found if name == "ours" or not name.startswith("ours")]
    on_cpu = ("eager", "onnx dynamo", "onnx torchscript", "ours")
    return found if torch.cuda.is_available() else [name for name in found if name in on_cpu]
