"""Calls and loads of engines leave the memory of GPU and host as it was."""

from __future__ import annotations

import gc
import os
import time

import pytest
import torch

from torch2trt import trt_compat
from torch2trt.engine.run import Engine
from torch2trt.trt_compat import is_rtx, trt

from . import networks
from .test_engine_gpu import features

pytestmark = pytest.mark.gpu


def used():
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    return total - free


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


KNOWN_LEAK = pytest.mark.xfail(is_rtx(), reason="TensorRT for RTX 1.4 loses 3.5 KB at each change of input shapes")


def settle(work, rounds=20):
    """Work until host memory stands still."""
    before = 0
    for _ in range(rounds):
        work()
        torch.cuda.synchronize()
        time.sleep(0.2)
        now = resident()
        if now <= before * 1.001:
            return
        before = now


def grown(work):
    """By how many bytes of the GPU and of the host the work grows what is in use."""
    gpu, host = used(), resident()
    work()
    return used() - gpu, resident() - host


@pytest.mark.parametrize(
    ("graph", "batches"), [(False, (4,)), (True, (1, 4, 8)), pytest.param(False, (1, 4, 8), marks=KNOWN_LEAK)]
)
def test_ten_thousand_calls_leak_nothing(mlp, graph, batches):
    engine = mlp(cuda_graph=graph)
    inputs = [features(batch) for batch in batches]

    def calls(count):
        for index in range(count):
            engine(inputs[index % len(inputs)])

    settle(lambda: calls(2000))
    gpu, host = grown(lambda: calls(10_000))
    assert gpu <= 0.01 * used() and host <= 0.01 * resident()


def bare_cycle(plan, x):
    """TensorRT alone loads, runs and unloads."""
    engine = trt.Runtime(trt_compat.logger()).deserialize_cuda_engine(plan)
    context = engine.create_execution_context()
    y = torch.empty(len(x), 8, device="cuda")
    context.set_input_shape("x", tuple(x.shape))
    for name, tensor in (("x", x), ("y", y)):
        context.set_tensor_address(name, tensor.data_ptr())
    stream = torch.cuda.Stream()
    assert context.execute_async_v3(stream.cuda_stream)
    stream.synchronize()


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_loading_and_unloading_leaks_nothing_beyond_tensorrt(mlp, count):
    content, plan = mlp().to_bytes(), networks.mlp().serialize()
    x = features(4)

    def bare():
        for _ in range(20):
            bare_cycle(plan, x)

    def ours():
        for _ in range(20):
            with Engine.from_bytes(content) as engine:
                engine(x)

    for work in (ours, bare):
        settle(work, rounds=3)
    # In turns: TensorRT's loads take up to a megabyte each, and what is left of it in the end varies.
    grown_gpu, grown_host = 0, 0
    for _ in range(count // 20):
        (gpu, host), (bare_gpu, bare_host) = grown(ours), grown(bare)
        grown_gpu, grown_host = grown_gpu + gpu - bare_gpu, grown_host + host - bare_host
    assert grown_gpu <= 0.01 * used() and grown_host <= 0.01 * resident()
