"""From a network to the bytes of an engine; needs no GPU unless refit or stripped weights are asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import torch

from .. import trt_compat
from ..errors import BuildError, InputError
from ..trt_compat import trt
from .options import BuildOptions, Profile, add_profiles, apply_options
from .progress import display, monitor

__all__ = ["BuildOptions", "Profile", "TimingCache", "serialize_network"]

Result = TypeVar("Result")


class TimingCache(Protocol):
    """Where a build takes measured tactics from and leaves them: :class:`torch2trt.engine.cache.TimingCacheFile`."""

    def read(self) -> bytes:
        """The stored cache; empty when there is none."""

    def write(self, content: bytes) -> None:
        """Store the cache."""


def serialize_network(
    builder: Any,
    network: Any,
    options: BuildOptions | None = None,
    *,
    profiles: Sequence[Profile] = (),
    progress: bool = False,
    timing_cache: TimingCache | None = None,
    refittable: Collection[str] | None = None,
) -> bytes:
    """Build a network and return the engine's bytes.

    Ctrl-C, or any exception that a signal handler raises in the main thread, stops the build at TensorRT's next step
    and is raised again then. The network can be built again afterwards.

    Args:
        builder: the ``trt.Builder`` that made the network.
        network: a finished ``trt.INetworkDefinition``.
        options: see :class:`BuildOptions`.
        profiles: optimisation profiles; needed when an input's shape is dynamic.
        progress: show progress bars (rich or tqdm).
        timing_cache: measured tactics to start from, written back after the build; not used by TensorRT for RTX, which
            measures none.
        refittable: names of the weights that ``options.refit`` makes replaceable; None: all. What is not among them is
            folded, and stays in an engine whose weights are stripped.

    Raises:
        InputError: the network has no output, the profiles do not fit the inputs, or ``progress`` needs a package.
        BuildError: TensorRT refuses an option or a weight's name, or cannot build the network; the message carries
            what it reported.
    """
    options = options or BuildOptions()
    if trt_compat.is_rtx():
        timing_cache = None
    if network.num_outputs == 0:
        raise InputError("the network has no output", hint="network.mark_output(tensor) for every result")
    config = builder.create_builder_config()
    apply_options(config, options, gpu=torch.cuda.is_available())
    with _recorded(builder, network) as messages:
        add_profiles(builder, network, config, profiles)
        if refittable is not None and (options.refit or options.strip_weights):
            _mark_refittable(network, config, refittable)
        if timing_cache is not None:
            _attach_timing_cache(config, timing_cache)
        plan = _build(builder, network, config, progress)
        if plan is None:
            raise _failure(network, options, messages)
    if timing_cache is not None:
        timing_cache.write(bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


@contextmanager
def _recorded(builder: Any, network: Any) -> Iterator[list[str]]:
    """Collects what TensorRT reports on both objects, and gives them their recorders back."""
    recorder = trt_compat.error_recorder()
    before = (builder.error_recorder, network.error_recorder)
    builder.error_recorder = network.error_recorder = recorder
    try:
        yield recorder.messages
    finally:
        builder.error_recorder, network.error_recorder = before


def _mark_refittable(network: Any, config: Any, names: Collection[str]) -> None:
    config.clear_flag(trt.BuilderFlag.REFIT)
    config.set_flag(trt.BuilderFlag.REFIT_INDIVIDUAL)
    refused = [name for name in names if not network.mark_weights_refittable(name)]
    if refused:
        raise BuildError(
            f"TensorRT cannot make these weights replaceable: {', '.join(refused)}",
            hint="name them with network.set_weights_name before the build",
        )


def _attach_timing_cache(config: Any, timing_cache: TimingCache) -> None:
    cache = config.create_timing_cache(timing_cache.read())
    # ignore_mismatch=False: a cache of another GPU or version would make the tactics' times wrong.
    if cache is None or not config.set_timing_cache(cache, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _build(builder: Any, network: Any, config: Any, progress: bool) -> Any:
    shown = display(progress)
    watch = monitor(shown)
    config.progress_monitor = watch
    try:
        plan = _interruptible(lambda: builder.build_serialized_network(network, config), watch.cancel)
    finally:
        config.progress_monitor = None
        shown.close()
    if watch.error is not None:
        raise watch.error
    return plan


def _interruptible(work: Callable[[], Result], cancel: Callable[[], None]) -> Result:
    """Run ``work`` in a thread of its own, so that this one can still take signals.

    Whatever is raised while this thread waits calls ``cancel``, and is raised again when ``work`` has returned: its
    objects may not be touched before.
    """
    device = torch.cuda.current_device() if torch.cuda.is_available() else None
    outcome: list[Result] = []
    failure: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            if device is not None:
                torch.cuda.set_device(device)  # the current device belongs to the thread
            outcome.append(work())
        except BaseException as error:
            failure.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=run, name="torch2trt-build", daemon=True)
    interruption: BaseException | None = None
    started = False
    while not done.is_set():
        try:
            if not started:
                started = True
                thread.start()  # may be interrupted too, when the work has begun already
            while not done.wait(0.1):  # wakes up by itself: a signal may reach another thread
                pass
        except BaseException as error:
            if isinstance(error, RuntimeError) and thread.ident is None:
                raise  # no thread could be started
            interruption = error
            cancel()
    if interruption is not None:
        raise interruption
    if failure:
        raise failure[0]
    return outcome[0]


def _failure(network: Any, options: BuildOptions, messages: Sequence[str]) -> BuildError:
    reported = "\n".join(f"  {text}" for text in messages) or "  (TensorRT reported nothing)"
    name = f" {network.name!r}" if network.name and not network.name.startswith("Unnamed") else ""
    text = "\n".join(messages).lower()
    hint = ""
    if (options.refit or options.strip_weights) and not torch.cuda.is_available():
        hint = "refittable and stripped engines can only be built on a machine with a GPU"
    elif "workspace" in text and options.workspace is not None:
        hint = f"raise BuildOptions.workspace, which is {options.workspace} bytes"
    elif "no runners that implement it" in text:
        hint = "torch2trt.compile keeps in PyTorch what this TensorRT cannot build"
    elif "out of memory" in text or "outofmemory" in text:
        hint = "free GPU memory, or lower BuildOptions.workspace or the largest shape of the profiles"
    return BuildError(f"TensorRT could not build the network{name}:\n{reported}", hint=hint)


def library_identity() -> dict[str, str]:
    """Name and version of the TensorRT in use; an engine runs on the same one only."""
    module = trt_compat.load()
    return {"package": module.__name__, "version": module.__version__}
