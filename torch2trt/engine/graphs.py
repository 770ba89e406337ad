"""CUDA graphs of calls, those of an engine above all: one for each combination of input shapes."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch

from ..errors import EngineError, Torch2TRTError
from ..torch_compat import end_failed_capture
from .loaded import LoadedEngine, Shape
from .session import Session

# torch's default CUDA generator takes part in every capture and can be in one at a time.
_capturing = threading.Lock()


class CaptureError(EngineError):
    """The call cannot be captured; calling plainly works."""


Call = Callable[[Sequence[torch.Tensor]], Sequence[torch.Tensor]]


class CapturedCall:
    """A captured call of a function of tensors, with memory of its own for inputs and results.

    Args:
        call: enqueues its work on the current stream. It is called twice: what a first call does beside, such as
            compiling and allocating, cannot be captured.
        tensors: its arguments, of the shapes to capture for.
        device: where it runs.
        stream: a side stream to capture on.

    Raises:
        CaptureError: the call cannot be captured.
    """

    def __init__(
        self, call: Call, tensors: Sequence[torch.Tensor], device: torch.device, stream: torch.cuda.Stream
    ) -> None:
        self.call = call  # and with it all that the graph uses
        # Memory from inference_mode could not be written outside of it.
        with torch.inference_mode(False), torch.no_grad():
            self._inputs = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in tensors]
            stream.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(stream):
                for own, tensor in zip(self._inputs, tensors, strict=True):
                    own.copy_(tensor)
                call(self._inputs)
                stream.synchronize()
                with _capturing:
                    self._graph, self._outputs = self._capture(call, device)
        torch.cuda.current_stream(device).wait_stream(stream)

    def _capture(self, call: Call, device: torch.device) -> tuple[torch.cuda.CUDAGraph, Sequence[torch.Tensor]]:
        # IExecutionContext.is_stream_capturable is not asked: in TensorRT for RTX 1.4 it answers no for engines whose
        # capture works (measured). A capture that fails raises below.
        graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
        outputs: Sequence[torch.Tensor] = ()
        failure: Exception | None = None
        try:
            graph.capture_begin(pool, capture_error_mode="thread_local")  # other threads go on working
            try:
                outputs = call(self._inputs)
            except (Torch2TRTError, RuntimeError) as error:
                failure = error
            finally:
                graph.capture_end()
        except RuntimeError as error:
            end_failed_capture(graph, pool, device)
            raise CaptureError(f"the capture failed: {failure or error}") from error
        if failure is not None:
            raise CaptureError(f"the capture failed: {failure}") from failure
        return graph, outputs

    def replay(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Run on the current stream; the outputs are new tensors."""
        for own, tensor in zip(self._inputs, tensors, strict=True):
            own.copy_(tensor.detach() if tensor.requires_grad else tensor)
        self.launch()
        return [tensor.clone() for tensor in self._outputs]

    def launch(self) -> None:
        """Run on the inputs as they are, whose results are overwritten by the next run."""
        self._graph.replay()


class CapturedRun(CapturedCall):
    """One captured run of an engine with its own execution context.

    TensorRT ties a graph to the state of the context that it was captured from, so that a context whose shapes change
    would invalidate it: each graph has a context of its own.

    Args:
        loaded: the engine.
        tensors: inputs of the shapes to capture for.
        stream: a side stream to capture on.

    Raises:
        CaptureError: this engine's runs cannot be captured.
        EngineError: TensorRT cannot run it at all.
    """

    def __init__(self, loaded: LoadedEngine, tensors: Sequence[torch.Tensor], stream: torch.cuda.Stream) -> None:
        session = Session(loaded, profile=loaded.choose_profile([tensor.shape for tensor in tensors], 0))
        if session.uses_host_memory:
            raise CaptureError("an input or output lies in CPU memory")

        def run(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
            session.bind(tensors)
            if session.data_dependent:
                raise CaptureError("an output's size depends on the data")
            return session.run(session.allocate(), stream.cuda_stream)

        self.session = session
        super().__init__(run, tensors, loaded.device, stream)


Captured = TypeVar("Captured", bound=CapturedCall)


class GraphCache(Generic[Captured]):
    """The captured calls of one thread, one a combination of input shapes, the least recently used dropped first.

    Args:
        capture: captures a call for such tensors on a stream.
        device: where it runs.
        limit: how many to keep; each holds an execution context, inputs and outputs.
    """

    def __init__(
        self,
        capture: Callable[[Sequence[torch.Tensor], torch.cuda.Stream], Captured],
        device: torch.device,
        limit: int,
    ) -> None:
        self._capture = capture
        self._device = device
        self._limit = limit
        self._calls: OrderedDict[tuple[Shape, ...], Captured] = OrderedDict()
        self._lent: list[tuple[tuple[Shape, ...], Captured]] = []
        self._version = 0
        self._stream: torch.cuda.Stream | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def run(self, tensors: Sequence[torch.Tensor], version: int) -> list[torch.Tensor]:
        """Replay the graph for these shapes, captured first where there is none.

        Args:
            tensors: the arguments.
            version: of the weights; with another one than before all graphs are captured anew.

        Raises:
            CaptureError: it cannot be captured.
            Torch2TRTError: it cannot be run.
        """
        if version != self._version:
            self.clear()
            self._version = version
        shapes = tuple([tensor.shape for tensor in tensors])
        captured = self._calls.get(shapes)
        if captured is None:
            captured = self._add(shapes, tensors)
        elif len(self._calls) > 1:
            self._calls.move_to_end(shapes)
        return captured.replay(tensors)

    def _add(self, shapes: tuple[Shape, ...], tensors: Sequence[torch.Tensor]) -> Captured:
        if self._stream is None:
            self._stream = torch.cuda.Stream(self._device)
        if len(self._calls) >= self._limit:
            torch.cuda.synchronize(self._device)  # a context may not go while its graph runs
            self._calls.popitem(last=False)
        try:
            captured = self._capture(tensors, self._stream)
        except (Torch2TRTError, torch.cuda.OutOfMemoryError):
            raise
        except RuntimeError as error:
            raise CaptureError(f"the capture failed: {error}") from error
        self._calls[shapes] = captured
        return captured

    def lend(self, shapes: tuple[Shape, ...]) -> Captured | None:
        """The call for these shapes, for a graph of the caller's: it is kept, and not replayed any more.

        The same again when it was lent and none was captured since; None when there is none.
        """
        captured = self._calls.pop(shapes, None)
        if captured is not None:
            self._lent.append((shapes, captured))
        return next((call for lent, call in reversed(self._lent) if lent == shapes), None)

    def clear(self, *, lent: bool = False) -> None:
        """Drop all graphs; with ``lent`` also what graphs of the caller's use."""
        if self._calls or (lent and self._lent):
            torch.cuda.synchronize(self._device)
            self._calls.clear()
        if lent:
            self._lent.clear()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # at exit torch may be gone already
            self.clear(lent=True)
