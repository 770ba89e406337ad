"""Runs a serialized TensorRT engine on torch CUDA tensors; for the GPU tests of the evaluator alone."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import torch

from torch2trt.trt_compat import logger, to_torch_dtype, trt


@functools.cache
def runtime() -> Any:
    """One runtime for all engines."""
    return trt.Runtime(logger())


def _allocator() -> Any:
    class Allocator(trt.IOutputAllocator):
        """Holds an output whose size only the engine knows."""

        def __init__(self) -> None:
            trt.IOutputAllocator.__init__(self)
            self.memory: torch.Tensor | None = None
            self.shape: tuple[int, ...] = ()

        def reallocate_output_async(self, name: str, memory: int, size: int, alignment: int, stream: int) -> int:
            self.memory = torch.empty(max(size, 1), dtype=torch.uint8, device="cuda")
            return self.memory.data_ptr()

        def reallocate_output(self, name: str, memory: int, size: int, alignment: int) -> int:
            return self.reallocate_output_async(name, memory, size, alignment, 0)

        def notify_shape(self, name: str, shape: Any) -> None:
            self.shape = tuple(shape)

    return Allocator()


def _backed(tensor: torch.Tensor) -> torch.Tensor:
    """Memory for a tensor; an empty one has none, and TensorRT wants an address that is not null."""
    return tensor if tensor.numel() else torch.zeros(256, dtype=torch.uint8, device=tensor.device)


def run_engine(blob: Any, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Deserialize an engine, run it once, and return its outputs on the CPU."""
    engine = runtime().deserialize_cuda_engine(blob)
    if engine is None:
        raise RuntimeError("the engine does not deserialize")
    context = engine.create_execution_context()
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    held: dict[str, torch.Tensor] = {}
    for name in (n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT):
        on_host = engine.get_tensor_location(name) == trt.TensorLocation.HOST
        # A copy, since a key-value cache is updated in place.
        held[name] = inputs[name].detach().clone().contiguous().to("cpu" if on_host else "cuda")
        held[name + "@"] = _backed(held[name])
        context.set_input_shape(name, tuple(inputs[name].shape))
        context.set_tensor_address(name, held[name + "@"].data_ptr())
    missing = context.infer_shapes()
    if missing:
        raise RuntimeError(f"shape inference misses {missing}")
    results: dict[str, torch.Tensor] = {}
    allocators: dict[str, Any] = {}
    for name in (n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.OUTPUT):
        shape, dtype = tuple(context.get_tensor_shape(name)), to_torch_dtype(engine.get_tensor_dtype(name))
        aliased = engine.get_aliased_input_tensor(name) if hasattr(engine, "get_aliased_input_tensor") else None
        if aliased:
            results[name] = held[aliased]
        elif any(size < 0 for size in shape):
            allocators[name] = _allocator()
            context.set_output_allocator(name, allocators[name])
            continue
        else:
            on_host = engine.get_tensor_location(name) == trt.TensorLocation.HOST
            results[name] = torch.empty(shape, dtype=dtype, device="cpu" if on_host else "cuda")
        held[name + "@"] = _backed(results[name])
        context.set_tensor_address(name, held[name + "@"].data_ptr())
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    if not context.execute_async_v3(stream.cuda_stream):
        raise RuntimeError("the engine does not run")
    stream.synchronize()
    for name, allocator in allocators.items():
        dtype = to_torch_dtype(engine.get_tensor_dtype(name))
        count = math.prod(allocator.shape) * dtype.itemsize
        results[name] = allocator.memory[:count].view(dtype).reshape(allocator.shape)
    return {name: result.cpu() for name, result in results.items()}
