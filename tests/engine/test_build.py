from __future__ import annotations

import os
import signal
import threading
import time

import pytest
import torch

from torch2trt.engine import build, progress
from torch2trt.engine.build import BuildOptions, serialize_network
from torch2trt.errors import BuildError, InputError

from . import networks

NO_GPU = not torch.cuda.is_available()


def test_builds_without_a_gpu():
    made = networks.mlp()
    plan = made.serialize()
    assert isinstance(plan, bytes)
    assert len(plan) > 4 * sum(tensor.numel() for tensor in made.weights.values())  # its weights are in it
    assert made.serialize(optimization_level=0)  # the network can be built again


def test_failed_build_carries_tensorrts_report_and_restores_recorders():
    made = networks.unbuildable()
    before = made.network.error_recorder
    with pytest.raises(BuildError, match="NonZero"):
        made.serialize()
    assert made.network.error_recorder is before
    assert made.builder.error_recorder is None


def test_network_without_outputs():
    builder, network = networks.new()
    with pytest.raises(InputError, match="no output"):
        serialize_network(builder, network)


@pytest.mark.skipif(not NO_GPU, reason="these builds work with a GPU")
@pytest.mark.parametrize("options", [{"refit": True}, {"strip_weights": True}])
def test_refittable_builds_say_that_they_need_a_gpu(options):
    with pytest.raises(BuildError, match="GPU"):
        networks.mlp().serialize(**options)


def test_small_workspace_is_explained():
    with pytest.raises(BuildError, match=r"(?i)workspace[\s\S]*BuildOptions.workspace"):
        networks.deep(4).serialize(workspace=1 << 10, optimization_level=5)


def test_unknown_refittable_weight():
    made = networks.mlp()
    with pytest.raises(BuildError, match="replaceable: nonsense"):
        serialize_network(
            made.builder,
            made.network,
            BuildOptions(refit=True),
            profiles=made.profiles,
            refittable=["fc1.weight", "nonsense"],
        )


class Recorded:
    """A display that keeps what it is told."""

    def __init__(self):
        self.events = []

    def start(self, phase, parent, steps):
        self.events.append(("start", phase, parent, steps))

    def step(self, phase, done):
        self.events.append(("step", phase, done))

    def finish(self, phase):
        self.events.append(("finish", phase))

    def close(self):
        self.events.append(("close",))


def test_progress_is_reported(monkeypatch):
    shown = Recorded()
    monkeypatch.setattr(build, "display", lambda show: shown)
    networks.mlp().serialize()
    kinds = [event[0] for event in shown.events]
    assert kinds[0] == "start" and kinds[-1] == "close"
    assert kinds.count("start") == kinds.count("finish") > 1
    top = shown.events[0]
    assert top[2] is None and top[3] > 0
    assert all(event[2] > 0 for event in shown.events if event[0] == "step")


def test_exception_in_a_display_is_raised_after_the_build(monkeypatch):
    class Broken(Recorded):
        def step(self, phase, done):
            raise OSError("the terminal is gone")

    monkeypatch.setattr(build, "display", lambda show: Broken())
    made = networks.mlp()
    with pytest.raises(OSError, match="terminal is gone"):
        made.serialize()
    monkeypatch.undo()
    assert made.serialize()


@pytest.mark.parametrize("package", ["rich.progress", "tqdm"])
def test_progress_bars(package, monkeypatch, capfd):
    pytest.importorskip(package)
    load = progress.importlib.import_module

    def only(name):
        if name != package:
            raise ImportError(name)
        return load(name)

    monkeypatch.setattr(progress.importlib, "import_module", only)
    made = networks.mlp()
    assert serialize_network(made.builder, made.network, profiles=made.profiles, progress=True)
    if package == "tqdm":
        assert "Building engine" in capfd.readouterr().err


def test_progress_without_a_package(monkeypatch):
    def none(name):
        raise ImportError(name)

    monkeypatch.setattr(progress.importlib, "import_module", none)
    with pytest.raises(InputError, match="rich or tqdm"):
        progress.display(True)


@pytest.fixture
def interrupts():
    """Python's own handler: a shell's background jobs start with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_interrupt_stops_the_build_and_leaves_the_network_usable(monkeypatch):
    made = networks.deep(40)
    shown = Recorded()

    class Interrupting(Recorded):
        def step(self, phase, done):
            super().step(phase, done)
            if len(self.events) == 20:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.5)  # until the main thread has seen it

    monkeypatch.setattr(build, "display", lambda show: shown)
    made.serialize()
    complete = len(shown.events)
    stopped = Interrupting()
    monkeypatch.setattr(build, "display", lambda show: stopped)
    with pytest.raises(KeyboardInterrupt):
        made.serialize()
    assert len(stopped.events) < complete / 2
    monkeypatch.undo()
    assert made.serialize()


def test_exception_of_the_work_itself():
    def fail():
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        build._interruptible(fail, lambda: None)


def test_builds_in_several_threads():
    plans = []
    threads = [threading.Thread(target=lambda: plans.append(networks.mlp().serialize())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(plans) == 3


@pytest.mark.skipif(not build.trt_compat.is_rtx(), reason="the full library uses a timing cache")
def test_timing_cache_is_left_alone_by_rtx():
    cache = Kept(b"as it was")
    made = networks.mlp()
    assert serialize_network(made.builder, made.network, profiles=made.profiles, timing_cache=cache)
    assert cache.content == b"as it was"


class Kept:
    def __init__(self, content=b""):
        self.content = content

    def read(self):
        return self.content

    def write(self, content):
        self.content = content


@pytest.mark.filterwarnings("ignore:.*Timing cache:DeprecationWarning")
def test_timing_cache_of_the_full_library_is_written_back(monkeypatch):
    monkeypatch.setattr(build.trt_compat, "is_rtx", lambda: False)
    cache = Kept()
    made = networks.mlp()
    assert serialize_network(made.builder, made.network, profiles=made.profiles, timing_cache=cache)
    assert cache.content
    damaged = Kept(b"no timing cache at all" * 10)
    assert serialize_network(made.builder, made.network, profiles=made.profiles, timing_cache=damaged)
    assert damaged.content and damaged.content != b"no timing cache at all" * 10
