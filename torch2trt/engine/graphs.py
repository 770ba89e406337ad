"""CUDA graphs of an engine's runs: one for each combination of input shapes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import torch

from ..errors import EngineError, Torch2TRTError
from .loaded import LoadedEngine, Shape
from .session import Session

# torch's default CUDA generator takes part in every capture and can be in one at a time.
_capturing = threading.Lock()


class CaptureError(EngineError):
    """The run cannot be captured; running it plainly works."""


class CapturedRun:
    """One captured run with its own execution context and memory.

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
        self.generation = loaded.generation
        profile = loaded.choose_profile([tensor.shape for tensor in tensors], 0)
        self._session = Session(loaded, profile=profile)
        if self._session.uses_host_memory:
            raise CaptureError("an input or output lies in CPU memory")
        # Memory from inference_mode could not be written outside of it.
        with torch.inference_mode(False), torch.no_grad():
            self._inputs = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in tensors]
            stream.wait_stream(torch.cuda.current_stream(loaded.device))
            with torch.cuda.stream(stream):
                for own, tensor in zip(self._inputs, tensors, strict=True):
                    own.copy_(tensor)
                self._outputs = self._warm_up(stream)
                with _capturing:
                    self._graph = self._capture(stream)
        torch.cuda.current_stream(loaded.device).wait_stream(stream)

    def _warm_up(self, stream: torch.cuda.Stream) -> list[torch.Tensor]:
        """Run once: TensorRT's first run after a change of shapes does work that cannot be captured."""
        self._session.bind(self._inputs)
        if self._session.data_dependent:
            raise CaptureError("an output's size depends on the data")
        outputs = self._session.run(self._session.allocate(), stream.cuda_stream)
        stream.synchronize()
        # IExecutionContext.is_stream_capturable is not asked: in TensorRT for RTX 1.4 it answers no for engines whose
        # capture works (measured). A capture that fails raises below.
        return outputs

    def _capture(self, stream: torch.cuda.Stream) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        failure: EngineError | None = None
        try:
            graph.capture_begin(capture_error_mode="thread_local")  # other threads go on working
            try:
                self._session.run(self._outputs, stream.cuda_stream)
            except EngineError as error:
                failure = error
            finally:
                graph.capture_end()
        except RuntimeError as error:
            raise CaptureError(f"the capture failed: {failure.message if failure else error}") from error
        if failure is not None:
            raise CaptureError(f"the capture failed: {failure.message}") from failure
        return graph

    def replay(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Run on the current stream; the outputs are new tensors."""
        for own, tensor in zip(self._inputs, tensors, strict=True):
            own.copy_(tensor.detach() if tensor.requires_grad else tensor)
        self._graph.replay()
        return [tensor.clone() for tensor in self._outputs]


class GraphCache:
    """The captured runs of one thread, the least recently used one dropped first.

    Args:
        loaded: the engine.
        limit: how many to keep; each holds an execution context, inputs and outputs.
    """

    def __init__(self, loaded: LoadedEngine, limit: int) -> None:
        self._loaded = loaded
        self._limit = limit
        self._runs: OrderedDict[tuple[Shape, ...], CapturedRun] = OrderedDict()
        self._stream: torch.cuda.Stream | None = None

    def __len__(self) -> int:
        return len(self._runs)

    def run(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Replay the graph for these shapes, captured first where there is none.

        Raises:
            CaptureError: it cannot be captured.
            Torch2TRTError: it cannot be run.
        """
        shapes = tuple([tensor.shape for tensor in tensors])
        captured = self._runs.get(shapes)
        if captured is None or captured.generation != self._loaded.generation:
            captured = self._add(shapes, tensors)
        elif len(self._runs) > 1:
            self._runs.move_to_end(shapes)
        return captured.replay(tensors)

    def _add(self, shapes: tuple[Shape, ...], tensors: Sequence[torch.Tensor]) -> CapturedRun:
        if self._stream is None:
            self._stream = torch.cuda.Stream(self._loaded.device)
        stale = [key for key, run in self._runs.items() if run.generation != self._loaded.generation]
        while len(self._runs) - len(stale) >= self._limit:
            stale.append(next(key for key in self._runs if key not in stale))
        if stale:
            torch.cuda.synchronize(self._loaded.device)  # a context may not go while its graph runs
        for key in stale:
            del self._runs[key]
        try:
            captured = CapturedRun(self._loaded, tensors, self._stream)
        except (Torch2TRTError, torch.cuda.OutOfMemoryError):
            raise
        except RuntimeError as error:
            raise CaptureError(f"the capture failed: {error}") from error
        self._runs[shapes] = captured
        return captured

    def clear(self) -> None:
        """Drop all graphs."""
        if self._runs:
            torch.cuda.synchronize(self._loaded.device)
            self._runs.clear()
