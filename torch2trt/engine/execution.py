"""Calling an engine from one thread: checks, streams, CUDA graphs and the structure of the result."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import torch

from ..arguments import whole_number
from ..errors import EngineError, InputError
from ..torch_compat import current_stream_handle
from .graphs import CapturedRun, CaptureError, GraphCache
from .loaded import MEMORY_HINT, LoadedEngine, Shape
from .session import Session
from .signature import EngineSignature, as_held


@dataclass(frozen=True)
class CallOptions:
    """How an engine treats its calls.

    Args:
        auto_device: copy inputs from other devices instead of refusing them.
        auto_contiguous: copy inputs that are not contiguous instead of refusing them.
        cuda_graph: capture a CUDA graph for each combination of input shapes and replay it.
        max_graphs: how many graphs each context keeps.
    """

    auto_device: bool = False
    auto_contiguous: bool = False
    cuda_graph: bool = False
    max_graphs: int = 8

    def __post_init__(self) -> None:
        if (whole_number(self.max_graphs) or 0) < 1:
            raise InputError(f"max_graphs={self.max_graphs!r} keeps no graph", hint="use cuda_graph=False instead")


class ExecutionContext:
    """One execution context of an engine, for one thread at a time; several of them run at once.

    Calling it runs the engine as :meth:`torch2trt.engine.run.Engine.__call__` does.

    Args:
        loaded: the engine.
        signature: what it takes and gives.
        options: how it treats its calls.
    """

    def __init__(self, loaded: LoadedEngine, signature: EngineSignature, options: CallOptions) -> None:
        self._loaded = loaded
        self._signature = signature
        self._options = options
        self._build_result = signature.result_builder()
        self._flat_count = len(signature.inputs) if signature.is_flat else -1
        self._expected = tuple((info.spec.dtype, -1 if info.host else loaded.device.index) for info in loaded.inputs)
        self._device_index: int = loaded.device.index
        self._many_devices = torch.cuda.device_count() > 1
        self._process = loaded.process
        self._generation = loaded.generation
        self._graphs: GraphCache[CapturedRun] | None = None
        if options.cuda_graph:
            self._graphs = GraphCache(partial(CapturedRun, loaded), loaded.device, options.max_graphs)
        self._session: Session | None = None  # that of the latest call
        self._sessions: dict[int, Session] = {}
        self._lent: Session | None = None  # that of the latest capture of the caller's, if no call came after it
        self._given: list[Session] = []  # what captures of the caller's use, for as long as this lives
        self._many_profiles = len(loaded.profiles) > 1
        self._last_handle = -1  # there was no call
        self._stream = torch.cuda.default_stream(loaded.device)  # that of the latest call
        self._side: torch.cuda.Stream | None = None
        self._before: torch.cuda.Event | None = None
        self._after: torch.cuda.Event | None = None
        self._closed = False
        with loaded.lock:
            loaded.contexts.add(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the engine; see :meth:`torch2trt.engine.run.Engine.__call__`."""
        leaves: Sequence[torch.Tensor] = args
        if kwargs or len(args) != self._flat_count:
            leaves = self._signature.bind(args, kwargs)
            tensors = self.run(self._signature.select_inputs(leaves))
        else:
            tensors = self.run(args)
        return self._build_result(leaves, tensors)

    def __enter__(self) -> ExecutionContext:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def run(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Run on the network's inputs, in the network's order; gives the network's outputs, in order.

        Raises:
            InputError, EngineError: as the call does.
        """
        if os.getpid() != self._process:
            self._refuse_fork()
        try:
            if self._many_devices and torch.cuda.current_device() != self._device_index:
                with torch.cuda.device(self._device_index):
                    return self._run(self.check(tensors))
            return self._run(self.check(tensors))
        except torch.cuda.OutOfMemoryError as error:
            raise EngineError(f"there is not enough GPU memory for this call: {error}", hint=MEMORY_HINT) from error

    def check(self, tensors: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """The network's inputs, or copies of those that the options allow to be copied.

        Raises:
            InputError: one has the wrong dtype, device or strides, or there are too few or too many.
        """
        if len(tensors) != len(self._expected):
            raise InputError(f"the network has {len(self._expected)} inputs, and {len(tensors)} were given")
        try:
            for tensor, (dtype, device) in zip(tensors, self._expected):  # noqa: B905  (their lengths are the same)
                if tensor.dtype is not dtype or tensor.get_device() != device or not tensor.is_contiguous():
                    break
            else:
                return tensors
        except AttributeError:  # no tensor
            pass
        return [self._fit(index, tensor) for index, tensor in enumerate(tensors)]

    def _fit(self, index: int, tensor: Any) -> torch.Tensor:
        info = self._loaded.inputs[index]
        name = info.spec.name
        if not isinstance(tensor, torch.Tensor):
            raise InputError(f"input {name!r} must be a tensor, not {type(tensor).__name__}")
        if tensor.dtype == self._signature.inputs[index].given:
            tensor = as_held(tensor, info.spec.dtype)
        elif tensor.dtype != info.spec.dtype:
            raise InputError(
                f"input {name!r} has dtype {tensor.dtype}, and the engine takes {info.spec.dtype}",
                hint=f"pass tensor.to({info.spec.dtype})",
            )
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise InputError(f"input {name!r} has the layout {tensor.layout}, and must be a dense tensor")
        device = torch.device("cpu") if info.host else self._loaded.device
        if tensor.device != device:
            if not self._options.auto_device:
                raise InputError(
                    f"input {name!r} is on {tensor.device}, and the engine reads it from {device}",
                    hint=f"pass tensor.to({str(device)!r}), or give the engine auto_device=True",
                )
            tensor = tensor.to(device)
        if not tensor.is_contiguous():
            if not self._options.auto_contiguous:
                raise InputError(
                    f"input {name!r} of shape {list(tensor.shape)} has the strides {tensor.stride()}, and the engine "
                    "reads contiguous memory",
                    hint="pass tensor.contiguous(), or give the engine auto_contiguous=True",
                )
            tensor = tensor.contiguous()
        return tensor

    def _run(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        handle = current_stream_handle(self._device_index)
        if handle and torch.cuda.is_current_stream_capturing():
            return self._run_captured(tensors, handle)
        if handle != self._last_handle or self._generation != self._loaded.generation or self._closed:
            self._change_stream(handle)
        self._lent = None
        if self._graphs is not None:
            try:
                return self._graphs.run(tensors, self._loaded.generation)
            except CaptureError as error:
                self._give_up_graphs(error)
        session = self._session
        if session is None or self._many_profiles:
            session = self._session = self._session_for(tensors)
        session.bind(tensors)
        if not handle:
            return self._run_aside(session)
        outputs = session.run(session.allocate(), handle)
        if session.must_wait:
            self._stream.synchronize()
        return outputs

    def _run_captured(self, tensors: Sequence[torch.Tensor], handle: int) -> list[torch.Tensor]:
        """Become part of a CUDA graph of the caller's, whose replays no stream of ours is ordered after."""
        self._require_open()
        shapes = tuple([tensor.shape for tensor in tensors])
        session = self._lent
        if session is None or session.shapes != shapes:
            session = self._lent = self._lend(shapes)
        if session.uses_host_memory or session.data_dependent:
            raise EngineError("no CUDA graph can hold this engine: a tensor lies in CPU memory or has an unknown size")
        session.bind(tensors)
        return session.run(session.allocate(), handle)

    def _lend(self, shapes: tuple[Shape, ...]) -> Session:
        """A session that has run with these shapes; calls outside of captures do not use it any more."""
        ready = [self._session, *self._sessions.values()]
        if self._graphs is not None:
            captured = self._graphs.lend(shapes)
            ready = [None if captured is None else captured.session]
        session = next((each for each in ready if each is not None and each.shapes == shapes), None)
        if session is None:
            raise EngineError(
                f"this engine cannot be captured: its latest call outside had no inputs of {list(map(list, shapes))}",
                hint="call it with inputs of these shapes before the capture begins",
            )
        self._given.append(session)
        self._sessions.pop(session.profile, None)
        self._session = None
        return session

    def _session_for(self, tensors: Sequence[torch.Tensor]) -> Session:
        """The session of a profile that takes these shapes, the latest one if it does."""
        latest = 0 if self._session is None else self._session.profile
        profile = self._loaded.choose_profile([tensor.shape for tensor in tensors], latest)
        session = self._sessions.get(profile)
        if session is None:
            session = self._sessions[profile] = Session(self._loaded, profile=profile)
        return session

    def _run_aside(self, session: Session) -> list[torch.Tensor]:
        """Run on a stream of our own, between two points of the default stream.

        TensorRT synchronises the device when it is given the default stream itself. The default stream waits for the
        run, so memory that is freed after the call is reused after the run only.
        """
        current, side, before, after = self._stream, self._side, self._before, self._after
        if side is None or before is None or after is None:
            side = self._side = torch.cuda.Stream(self._loaded.device)
            before, after = self._before, self._after = torch.cuda.Event(), torch.cuda.Event()
        memory = session.allocate()
        before.record(current)
        side.wait_event(before)
        try:
            outputs = session.run(memory, side.cuda_stream)
        finally:
            after.record(side)
            current.wait_event(after)
        if session.must_wait:
            after.synchronize()
        return outputs

    def _change_stream(self, handle: int) -> None:
        """Order the current stream after what the context did on another one, and after a refit."""
        self._require_open()
        current = torch.cuda.current_stream(self._device_index)
        if self._last_handle not in (-1, handle):
            current.wait_stream(self._stream)
        if self._loaded.refitted is not None:
            current.wait_event(self._loaded.refitted)
        self._generation = self._loaded.generation
        self._stream, self._last_handle = current, handle

    def _require_open(self) -> None:
        if self._closed:
            raise EngineError("this execution context is closed")

    def _give_up_graphs(self, error: CaptureError) -> None:
        self._graphs = None
        with self._loaded.lock:
            if self._loaded.warned:
                return
            self._loaded.warned = True
        warnings.warn(
            f"cuda_graph=True has no effect on this engine, its runs are launched one by one: {error.message}",
            RuntimeWarning,
            stacklevel=6,
        )

    def _refuse_fork(self) -> NoReturn:
        raise EngineError(
            "this engine was loaded in another process; CUDA does not work in a process that was forked from it",
            hint="start processes with the 'spawn' method and load the engine in each",
        )

    def compile_kernels(self) -> None:
        """See :meth:`torch2trt.engine.run.Engine.compile_kernels`."""
        self._sessions[0] = self._sessions.get(0) or Session(self._loaded)

    @property
    def graphs(self) -> int:
        """How many CUDA graphs it holds."""
        return 0 if self._graphs is None else len(self._graphs)

    @property
    def last_stream(self) -> torch.cuda.Stream | None:
        """The stream of its latest call; what it ran is done when this stream is."""
        return None if self._last_handle == -1 else self._stream

    def close(self) -> None:
        """Wait for its runs and free its memory; it cannot be called afterwards."""
        if self._closed or os.getpid() != self._process:
            return
        self._closed = True
        if self._last_handle != -1:
            self._stream.synchronize()
        if self._graphs is not None:
            self._graphs.clear(lent=True)
        self._session = self._lent = None
        self._sessions.clear()
        self._given.clear()

    def __del__(self) -> None:
        # TensorRT frees a context's memory at once: its runs have to be over. At exit torch may be gone already.
        with contextlib.suppress(Exception):
            self.close()
