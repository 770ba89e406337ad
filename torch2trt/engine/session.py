"""One execution context: shapes and addresses in, memory for the outputs, and the call itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from .. import trt_compat
from ..errors import EngineError
from .loaded import LoadedEngine, Shape, memory_hint, reported

ALIGNMENT = 256  # of every address, NvInferRuntime.h: IExecutionContext::setTensorAddress
KNOWN_SHAPES = 256

_allocator_type: type | None = None


def _output_allocator(dtype: torch.dtype, device: torch.device) -> Any:
    """A ``trt.IOutputAllocator`` that allocates with torch; ``.take()`` gives the tensor of the latest run."""
    global _allocator_type
    if _allocator_type is None:
        _allocator_type = _make_allocator_type()
    return _allocator_type(dtype, device)


def _make_allocator_type() -> type:
    class Allocator(trt_compat.load().IOutputAllocator):  # type: ignore[misc]
        """Memory for an output whose size is known only while the engine runs."""

        def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
            super().__init__()
            self.error: Exception | None = None
            self._dtype = dtype
            self._device = device
            self._buffer: torch.Tensor | None = None
            self._shape: Shape | None = None

        def reallocate_output_async(self, name: str, memory: int, size: int, alignment: int, stream: int) -> int:
            return self.reallocate_output(name, memory, size, alignment)

        def reallocate_output(self, name: str, memory: int, size: int, alignment: int) -> int:
            try:
                self._buffer = torch.empty(size, dtype=torch.uint8, device=self._device)
            except Exception as error:  # must not cross TensorRT's frames; raised after the run
                self.error = error
                return 0
            return self._buffer.data_ptr()

        def notify_shape(self, name: str, shape: Any) -> None:
            self._shape = tuple(shape)

        def take(self) -> torch.Tensor:
            buffer, shape = self._buffer, self._shape
            self._buffer = self._shape = None  # the memory belongs to the caller now
            if buffer is None or shape is None:
                raise EngineError("TensorRT allocated no memory for an output of data-dependent size")
            used = math.prod(shape) * self._dtype.itemsize
            return buffer[:used].view(self._dtype).reshape(shape)

    return Allocator


class Session:
    """Runs an engine through one ``trt.IExecutionContext``; for one thread at a time.

    It keeps to one optimisation profile: a context that is switched to another one forgets its shapes and addresses,
    and whatever was compiled for them.

    Args:
        loaded: the engine.
        profile: the index of its optimisation profile.
    """

    def __init__(self, loaded: LoadedEngine, profile: int = 0) -> None:
        self.context: Any = None
        self.loaded = loaded
        self.profile = profile
        # TensorRT for RTX 1.4 crashes in a change of profile when the runtime config is gone by then.
        self.context, self._recorder, self._config = loaded.create_context()
        if profile:
            self._select_profile()
        self.data_dependent = False
        """Whether an output's size is known only after a run; valid once shapes are set."""
        self._set_address = self.context.set_tensor_address
        self._execute = loaded.guarded(self.context.execute_async_v3)
        self._inputs = tuple(info.spec.name for info in loaded.inputs)
        self._outputs = tuple(info.spec.name for info in loaded.outputs)
        self._input_pointers = [0] * len(self._inputs)
        self._output_pointers = [0] * len(self._outputs)
        self._held: dict[int, torch.Tensor] = {}
        self._shapes: tuple[Shape, ...] | None = None
        self._values = any(info.shape_value for info in loaded.inputs)
        self._makers: list[Callable[[], torch.Tensor] | None] = []
        self._known: dict[tuple[Shape, ...], list[Callable[[], torch.Tensor] | None]] = {}
        self._allocators: dict[int, Any] = {}
        self._host_outputs = any(info.host for info in loaded.outputs)

    def _select_profile(self) -> None:
        stream = torch.cuda.Stream(self.loaded.device)
        if not self.context.set_optimization_profile_async(self.profile, stream.cuda_stream):
            raise self._failure(f"use profile {self.profile}")
        stream.synchronize()

    def __del__(self) -> None:
        # The context writes into the runtime cache until it is gone: it goes first, while all it needs is there.
        self.context = None

    @property
    def shapes(self) -> tuple[Shape, ...] | None:
        """The shapes of the inputs that were bound last; None when none were."""
        return self._shapes

    @property
    def uses_host_memory(self) -> bool:
        """Whether a tensor lives in CPU memory, which a CUDA graph cannot follow."""
        return self._host_outputs or any(info.host for info in self.loaded.inputs)

    def bind(self, tensors: Sequence[torch.Tensor]) -> None:
        """Tell TensorRT the inputs' addresses and shapes.

        Args:
            tensors: contiguous, of the right dtype and device.

        Raises:
            InputError: the shapes are not among those that the engine was built for.
            EngineError: TensorRT refuses them.
        """
        pointers = self._input_pointers
        for index, tensor in enumerate(tensors):
            pointer = tensor.data_ptr()
            if pointer & (ALIGNMENT - 1) or not pointer:
                pointer = self._substitute(index, tensor)
            if pointer != pointers[index]:
                self._set_address(self._inputs[index], pointer)
                pointers[index] = pointer
        shapes = tuple([tensor.shape for tensor in tensors])
        if shapes != self._shapes or self._values:
            self._set_shapes(shapes)

    def _substitute(self, index: int, tensor: torch.Tensor) -> int:
        """An address for an empty tensor or for a view that begins at an unaligned one."""
        if self.loaded.inputs[index].host and tensor.numel():
            return tensor.data_ptr()
        if not tensor.numel():
            return self.loaded.scratch.data_ptr()
        self._held[index] = tensor.clone()
        return self._held[index].data_ptr()

    def _set_shapes(self, shapes: tuple[Shape, ...]) -> None:
        self._shapes = None
        context = self.context
        self.loaded.choose_profile(shapes, self.profile)  # which is this one, or there is none
        for info, shape in zip(self.loaded.inputs, shapes, strict=True):
            if not context.set_input_shape(info.spec.name, tuple(shape)):
                raise self._failure(f"set the shape of input {info.spec.name!r} to {list(shape)}")
        makers = None if self._values else self._known.get(shapes)
        self._makers = self._infer() if makers is None else makers
        if len(self._known) >= KNOWN_SHAPES:
            self._known.clear()
        self._known[shapes] = self._makers
        self.data_dependent = None in self._makers
        self._shapes = shapes

    def _infer(self) -> list[Callable[[], torch.Tensor] | None]:
        """For each output a function that allocates it; None where only the run can tell its size."""
        try:
            unspecified = self.context.infer_shapes()
        except RuntimeError as error:
            raise self._failure(f"infer the shapes of the outputs ({error})") from error
        if unspecified:
            raise EngineError(f"TensorRT lacks shapes or values of inputs {', '.join(unspecified)}")
        makers: list[Callable[[], torch.Tensor] | None] = []
        for index, info in enumerate(self.loaded.outputs):
            shape = tuple(self.context.get_tensor_shape(info.spec.name))
            device = torch.device("cpu") if info.host else self.loaded.device
            if -1 in shape:
                makers.append(None)
                self._use_allocator(index)
            else:
                # Of one element's memory; torch.empty_like takes a third of the time of torch.empty.
                pattern = torch.empty_strided(shape, [0] * len(shape), dtype=info.spec.dtype, device=device)
                makers.append(partial(torch.empty_like, pattern, memory_format=torch.contiguous_format))
        return makers

    def _use_allocator(self, index: int) -> None:
        if index in self._allocators:
            return
        spec = self.loaded.outputs[index].spec
        allocator = _output_allocator(spec.dtype, self.loaded.device)
        if not self.context.set_output_allocator(spec.name, allocator):
            raise self._failure(f"take an allocator for output {spec.name!r}")
        self._allocators[index] = allocator

    def allocate(self) -> list[torch.Tensor | None]:
        """Memory for the outputs of the shapes that are bound; None for those that TensorRT allocates in the run."""
        return [None if make is None else make() for make in self._makers]

    def run(self, outputs: Sequence[torch.Tensor | None], stream: int) -> list[torch.Tensor]:
        """Enqueue one run.

        Args:
            outputs: what :meth:`allocate` gave.
            stream: a CUDA stream's handle.

        Returns:
            the outputs; their values are there when the stream has come so far.

        Raises:
            EngineError: TensorRT could not run it; the message carries what it reported.
        """
        pointers = self._output_pointers
        for index, tensor in enumerate(outputs):
            pointer = 0 if tensor is None else (tensor.data_ptr() or self.loaded.scratch.data_ptr())
            if pointer != pointers[index]:
                self._set_address(self._outputs[index], pointer)
                pointers[index] = pointer
        if not self._execute(stream):
            raise self._run_failure()
        if self.data_dependent:
            return [
                self._allocators[index].take() if tensor is None else tensor for index, tensor in enumerate(outputs)
            ]
        return outputs  # type: ignore[return-value]  # none is None then

    @property
    def must_wait(self) -> bool:
        """Whether an output lies in CPU memory, so that the stream has to finish before it is read."""
        return self._host_outputs

    def _run_failure(self) -> BaseException:
        for allocator in self._allocators.values():
            if allocator.error is not None:
                error, allocator.error = allocator.error, None
                return error
        return self._failure("run the engine")

    def _failure(self, what: str) -> EngineError:
        messages = list(self._recorder.messages)
        self._recorder.clear()
        return EngineError(f"TensorRT could not {what}:\n{reported(messages)}", hint=memory_hint(messages))
