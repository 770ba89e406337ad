"""Calls of engines on a GPU: results, streams, checks, threads, CUDA graphs."""

from __future__ import annotations

import multiprocessing
import os
import threading
import warnings

import pytest
import torch

from torch2trt.engine import graphs as graph_module
from torch2trt.engine.graphs import CaptureError
from torch2trt.engine.session import Session
from torch2trt.engine.signature import EngineSignature, Source, TensorSpec
from torch2trt.errors import EngineError, InputError
from torch2trt.structure import flatten

from . import networks

pytestmark = pytest.mark.gpu

BATCHES = ((1, 4, 8),)


def close(found, expected):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    # Inputs and weights have few bits: TF32, in which TensorRT for RTX multiplies float32, rounds none of them.
    tolerance = (1e-3 if found.dtype == torch.float16 else 1e-5) * max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found.cpu(), expected.cpu(), rtol=0, atol=tolerance)


def features(batch, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return networks.in_steps(torch.randn(batch, 16, generator=generator), 0.25).cuda()


EAGER = networks.mlp().eager


# Results


@pytest.mark.parametrize("graph", [False, True])
def test_same_as_eager_at_several_shapes(mlp, graph):
    engine = mlp(cuda_graph=graph)
    for round_ in range(2):
        for batch in (1, 3, 8, 4):
            x = features(batch, seed=batch + 10 * round_)
            y = engine(x)
            assert y.is_cuda and not y.requires_grad
            close(y, EAGER(x))


@pytest.mark.parametrize("graph", [False, True])
def test_outputs_are_kept_apart(mlp, graph):
    engine = mlp(cuda_graph=graph)
    inputs = [features(4, seed=seed) for seed in range(6)]
    for x, y in zip(inputs, [engine(x) for x in inputs], strict=True):
        close(y, EAGER(x))


def test_half_precision_and_several_outputs(engine_of):
    made = networks.two_outputs()
    engine = engine_of(made, "two")
    a, b = torch.randn(2, 3, 5, device="cuda").half()
    found = engine(a, b)
    assert isinstance(found, tuple)
    for one, other in zip(found, made.eager(a, b), strict=True):
        close(one, other)
    close(engine(b=a, a=b)[0], a + b)


def test_empty_batch(engine_of):
    engine = engine_of(networks.outer(1000), "outer")
    y = torch.randn(1, 5, device="cuda")
    z = engine(torch.empty(0, 1, device="cuda"), y)
    assert z.shape == (0, 5)
    close(engine(y.reshape(5, 1), y), y.reshape(5, 1) + y)


def test_values_that_are_shapes(engine_of):
    made = networks.reshaped()
    engine = engine_of(made, "reshaped", auto_device=True)
    x = torch.randn(12, device="cuda")
    for sizes in ([3, 4], [12, 1], [2, 6], [3, 4]):
        close(engine(x, torch.tensor(sizes)), x.reshape(sizes))


def test_shape_as_an_output(engine_of):
    engine = engine_of(networks.sizes_of(), "sizes")
    for batch in (2, 7):
        x = torch.randn(batch, 3, device="cuda")
        twice, shape = engine(x)
        close(twice, 2 * x)
        assert shape.tolist() == [batch, 3]


@pytest.mark.parametrize("offset", [1, 3])
def test_unaligned_views(mlp, offset):
    flat = networks.in_steps(torch.randn(offset + 4 * 16, device="cuda"), 0.25)
    x = flat[offset:].view(4, 16)
    assert x.data_ptr() % 256
    engine = mlp()
    for _ in range(2):
        close(engine(x), EAGER(x))
        close(engine(x.clone()), EAGER(x))


@pytest.fixture
def unknown_sizes(monkeypatch):
    """Outputs as if their sizes depended on the data: TensorRT for RTX builds no layer whose output does."""
    infer = Session._infer

    def unknown(self):
        infer(self)
        self._use_allocator(0)
        return [None]

    monkeypatch.setattr(Session, "_infer", unknown)


def test_output_allocator(mlp, unknown_sizes):
    engine = mlp()
    kept = [(x, engine(x)) for x in (features(batch, seed=batch) for batch in (2, 8, 1))]
    for x, y in kept:
        close(y, EAGER(x))


def test_failing_output_allocator(mlp, unknown_sizes):
    engine = mlp()
    x = features(4)
    context = engine.context()
    context(x)
    allocator = context._session._allocators[0]
    device, allocator._device = allocator._device, "no device"
    with pytest.raises(RuntimeError, match="no device"):
        context(x)
    allocator._device = device
    close(context(x), EAGER(x))


def test_sizes_known_late_are_not_captured(mlp, unknown_sizes):
    engine = mlp(cuda_graph=True)
    x = features(4)
    with pytest.warns(RuntimeWarning, match="depends on the data"):
        close(engine(x), EAGER(x))


# Structure


def test_nested_arguments_and_results(engine_of):
    made = networks.two_outputs()
    a, b = torch.randn(2, 3, 5, device="cuda").half()
    _, arguments = flatten(({"p": a, "q": [b]}, True, a))
    _, result = flatten({"sum": a, "more": (a, [b, None]), "same": a, "fixed": b})
    specs = [TensorSpec(name, torch.float16, (3, 5)) for name in ("a", "b", "total", "product")]
    fixed = torch.arange(3)
    signature = EngineSignature(
        tuple(specs[:2]),
        tuple(specs[2:]),
        arguments,
        ("pair", "flag", "unused"),
        (0, 1, None),
        result,
        (
            Source("output", 0),
            Source("output", 1),
            Source("input", 2),
            Source("output", 0),
            Source("constant", value=fixed),
        ),
    )
    engine = engine_of(made, "two", signature=signature)
    other = torch.randn(2, device="cuda")
    found = engine({"q": [b], "p": a}, unused=other)
    close(found["sum"], a + b)
    close(found["more"][0], a * b)
    assert found["more"][1][0] is other and found["more"][1][1] is None
    assert found["same"] is found["sum"]
    assert torch.equal(found["fixed"].cpu(), fixed)
    with pytest.raises(InputError, match="flag"):
        engine({"q": [b], "p": a}, False, other)


def test_signature_of_another_engine(engine_of):
    wrong = EngineSignature.plain([TensorSpec("z", torch.float32, (2,))], [TensorSpec("y", torch.float32, (2,))])
    with pytest.raises(EngineError, match="z"):
        engine_of(networks.mlp(), "mlp", signature=wrong)


# Checks


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x.half(), r"'x' has dtype torch\.float16"),
        (lambda x: x.cpu(), r"'x' is on cpu"),
        (lambda x: torch.randn(16, 4, device="cuda").t(), r"'x' .* strides \(1, 4\)"),
        (lambda x: torch.randn(9, 16, device="cuda"), r"'x' has shape \[9, 16\], axis 0 .* \[1 to 8, 16\]"),
        (lambda x: torch.randn(0, 16, device="cuda"), r"'x' has shape \[0, 16\]"),
        (lambda x: torch.randn(4, 17, device="cuda"), r"'x' has shape \[4, 17\], axis 1"),
        (lambda x: torch.randn(16, device="cuda"), r"'x' has 1 axes"),
        (lambda x: x.to_sparse(), r"'x'"),
        (lambda x: [1.0], r"x.? must be a tensor, not list"),
        (lambda x: None, r"x.? must be a tensor, not NoneType"),
    ],
    ids=["dtype", "device", "strides", "large", "small", "fixed", "rank", "sparse", "list", "none"],
)
def test_bad_inputs_are_named_and_do_no_harm(mlp, change, words, graph):
    engine = mlp(cuda_graph=graph)
    x = features(4)
    for call in (lambda v: engine(v), lambda v: engine(x=v)):
        with pytest.raises(InputError, match=words):
            call(change(x))
        close(engine(x), EAGER(x))


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2), {}), ((), {"z": 1})])
def test_bad_argument_lists(mlp, args, kwargs):
    with pytest.raises(InputError):
        mlp()(*args, **kwargs)


def test_copies_where_they_are_allowed(mlp):
    engine = mlp(auto_device=True, auto_contiguous=True)
    x = networks.in_steps(torch.randn(16, 4), 0.25).t()
    for given in (x, x.cuda(), x.contiguous(), x.pin_memory()):
        close(engine(given), EAGER(x))


def test_several_profiles(engine_of):
    made = networks.mlp(batches=((1, 2, 4), (16, 32, 64)))
    engine = engine_of(made, "profiles")
    assert [profile["x"][2] for profile in engine.profiles] == [(4, 16), (64, 16)]
    for batch in (2, 64, 1, 16, 4):
        x = features(batch)
        close(engine(x), EAGER(x))
    with pytest.raises(InputError, match=r"(?s)profile 0: .*\[1 to 4, 16\].*|profile 1: .*\[16 to 64, 16\]"):
        engine(features(8))
    close(engine(features(3)), EAGER(features(3)))


# Streams, modes, threads, processes


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("own_stream", [False, True])
def test_calls_are_asynchronous_and_ordered(mlp, graph, own_stream):
    engine = mlp(cuda_graph=graph)
    x = features(8)
    stream = torch.cuda.Stream() if own_stream else torch.cuda.default_stream()
    with torch.cuda.stream(stream):
        for _ in range(3):  # all that runs below, once: the first call of a kernel loads it, which waits for the GPU
            late = x * 2
            engine(late)
            late.zero_()
        torch.cuda.synchronize()
        torch.cuda._sleep(2_000_000_000)  # about a second, for a machine that is busy
        late = x * 2  # what the engine reads is written after the sleep
        y = engine(late)
        late.zero_()  # and overwritten after the run
        assert not stream.query()
        close(y, EAGER(x * 2))


@pytest.mark.parametrize("graph", [False, True])
def test_one_thread_on_two_streams(mlp, graph):
    engine = mlp(cuda_graph=graph)
    inputs = [features(8, seed=seed) for seed in range(20)]
    torch.cuda.synchronize()
    streams = [torch.cuda.Stream(), torch.cuda.Stream(), torch.cuda.default_stream()]
    found = []
    for index, x in enumerate(inputs):
        with torch.cuda.stream(streams[index % 3]):
            torch.cuda._sleep(1_000_000)
            found.append(engine(x))
    torch.cuda.synchronize()
    for x, y in zip(inputs, found, strict=True):
        close(y, EAGER(x))


@pytest.mark.parametrize("graph", [False, True])
def test_modes(mlp, graph):
    engine = mlp(cuda_graph=graph)
    x = features(4)
    with torch.inference_mode():
        inside = features(4, seed=3)
        close(engine(inside), EAGER(inside))
    close(engine(x), EAGER(x))
    close(engine(inside), EAGER(inside))
    with torch.no_grad():
        close(engine(x), EAGER(x))
    leaf = x.clone().requires_grad_()
    for given in (leaf, leaf * 1):
        y = engine(given)
        assert not y.requires_grad
        close(y, EAGER(x))


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_eight_threads(mlp, graph, together):
    """Each with a context, made when it is called first, or all of them before."""
    for _ in range(3):  # most failures of TensorRT's show in two of three
        run_in_threads(mlp(cuda_graph=graph), together)


def run_in_threads(engine, together):
    failures, start = [], threading.Barrier(8)

    def work(number):
        try:
            call = engine
            if together:
                call = engine.context()
                call.compile_kernels()
                start.wait()
            with torch.cuda.stream(torch.cuda.Stream()):
                for index in range(40):
                    x = features(1 + (number + index) % 8, seed=100 * number + index)
                    y = call(x)
                    expected = EAGER(x)
                    torch.cuda.current_stream().synchronize()
                    close(y, expected)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def test_contexts(mlp):
    engine = mlp()
    x = features(4)
    with engine.context() as one, engine.context() as two:
        close(one(x), EAGER(x))
        close(two(x=x), EAGER(x))
    with pytest.raises(EngineError, match="closed"):
        one(x)
    close(engine(x), EAGER(x))


def test_closed_engine(mlp):
    engine = mlp()
    x = features(4)
    context = engine.context()
    context(x)
    engine.close()
    engine.close()
    for call in (engine, context):
        with pytest.raises(EngineError, match="closed"):
            call(x)
    with pytest.raises(EngineError, match="closed"):
        engine.to_bytes()


def _in_fork(engine, x, answers):
    for call in (lambda: engine(x), lambda: engine.to_bytes()):
        try:
            call()
            answers.put("ran")
        except EngineError as error:
            answers.put(str(error))
    os._exit(0)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_process_is_refused(mlp):
    engine = mlp()
    x = features(4)
    engine(x)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_in_fork, args=(engine, x, answers))
    child.start()
    child.join(60)
    child.kill()  # one that still runs would keep this process from ending
    assert child.exitcode == 0
    texts = [answers.get() for _ in range(2)]
    assert all("another process" in text for text in texts), texts
    close(engine(x), EAGER(x))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_second_gpu(mlp):
    engine = mlp(device="cuda:1")
    x = features(4)
    with pytest.raises(InputError, match="cuda:0"):
        engine(x)
    close(engine(x.to("cuda:1")), EAGER(x))
    assert torch.cuda.current_device() == 0
    with torch.cuda.device(1):
        close(engine(x.to("cuda:1")), EAGER(x))


def test_devices_that_are_not_there(mlp):
    for device, words in (("cpu", "not on cpu"), ("cuda:99", "no device cuda:99")):
        with pytest.raises(InputError, match=words):
            mlp(device=device)


def test_out_of_memory_in_a_run(engine_of):
    limit = 400_000  # an output of 640 GB
    engine = engine_of(networks.outer(limit), "huge")
    x, y = torch.randn(limit, 1, device="cuda"), torch.randn(1, limit, device="cuda")
    with pytest.raises(EngineError, match="memory"):
        engine(x, y)
    close(engine(x[:4], y[:, :4]), x[:4] + y[:, :4])


# CUDA graphs


def test_graphs_are_bounded(mlp):
    engine = mlp(cuda_graph=True, max_graphs=2)
    context = engine.context()
    for batch in (1, 2, 3, 1, 2, 3, 3):
        x = features(batch, seed=batch)
        close(context(x), EAGER(x))
        assert 1 <= context.graphs <= 2
    assert context.graphs == 2


def test_graphs_are_replayed(mlp, monkeypatch):
    engine = mlp(cuda_graph=True)
    captures = []
    capture = graph_module.CapturedRun._capture
    monkeypatch.setattr(
        graph_module.CapturedRun, "_capture", lambda self, *args: captures.append(1) or capture(self, *args)
    )
    for _ in range(3):
        for batch in (2, 5):
            x = features(batch)
            close(engine(x), EAGER(x))
    assert len(captures) == 2


def test_inputs_with_gradients_leave_no_graph_of_autograd(mlp):
    engine = mlp(cuda_graph=True)
    context = engine.context()
    x = features(4).requires_grad_()
    for _ in range(3):
        close(context(x), EAGER(x.detach()))
    (run,) = context._graphs._calls.values()
    assert not any(tensor.requires_grad for tensor in run._inputs)


@pytest.mark.parametrize("reason", ["host", "capture"])
def test_impossible_capture_is_said_once(engine_of, mlp, reason, monkeypatch):
    if reason == "host":
        made = networks.reshaped()
        engine = engine_of(made, "reshaped", cuda_graph=True)
        arguments = (torch.randn(12, device="cuda"), torch.tensor([3, 4]))
        expected = made.eager(*arguments)
    else:

        def fail(self, call, device):
            raise CaptureError("this is a test")

        monkeypatch.setattr(graph_module.CapturedRun, "_capture", fail)
        engine = mlp(cuda_graph=True)
        arguments = (features(4),)
        expected = EAGER(*arguments)
    with pytest.warns(RuntimeWarning, match="cuda_graph=True has no effect"):
        close(engine(*arguments), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        close(engine(*arguments), expected)
        close(engine.context()(*arguments), expected)


def test_failed_capture_leaves_cuda_usable(mlp, monkeypatch):
    run = Session.run
    engine = mlp(cuda_graph=True)
    x = features(4)

    def fail(self, outputs, stream):
        if torch.cuda.is_current_stream_capturing():
            raise EngineError("in the capture")
        return run(self, outputs, stream)

    monkeypatch.setattr(Session, "run", fail)
    with pytest.warns(RuntimeWarning, match="in the capture"):
        close(engine(x), EAGER(x))
    close(engine(x), EAGER(x))


@pytest.mark.parametrize("cuda_graph", [False, True])
@pytest.mark.parametrize("same_stream", [False, True])
def test_a_capture_of_the_callers(mlp, cuda_graph, same_stream):
    """The graph stays right while the engine is called with other shapes, which has memory of its own."""
    engine = mlp(cuda_graph=cuda_graph)
    x, other = features(4), features(4, seed=5)
    stream, graph, own = torch.cuda.Stream(), torch.cuda.CUDAGraph(), x.clone()
    with torch.cuda.stream(stream if same_stream else torch.cuda.current_stream()):
        engine(own)
    with torch.cuda.graph(graph, stream=stream):
        y = engine(own) + engine(own)
    for batch in (4, 2, 4):
        close(engine(features(batch)), EAGER(features(batch)))
        own.copy_(other)
        graph.replay()
        close(y, 2 * EAGER(other))
        own.zero_()


def test_a_capture_before_the_first_call_is_refused(mlp):
    """The capture itself stays whole."""
    engine = mlp()
    engine(features(2))
    x, graph = features(4), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        with pytest.raises(EngineError, match="before the capture begins"):
            engine(x)
        y = x + 1
    graph.replay()
    close(y, x + 1)
