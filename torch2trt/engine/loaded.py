"""A deserialised engine: its tensors, its profiles, and the making of execution contexts."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .. import trt_compat
from ..errors import EngineError, InputError
from ..trt_compat import to_torch_dtype, trt
from .cache import DiskCache, KernelFile
from .signature import TensorSpec

Shape = tuple[int, ...]
RangeOfShapes = tuple[Shape, Shape, Shape]
"""Smallest, optimal and largest shape."""

MEMORY_HINT = "free GPU memory (torch.cuda.empty_cache() returns what PyTorch only caches), or use smaller shapes"
KERNELS_HINT = (
    "TensorRT for RTX compiles kernels for this GPU here; torch2trt.compile with exclude= keeps modules or operators "
    "in PyTorch, which shows whose kernel it cannot compile"
)


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of an engine.

    Args:
        spec: name, dtype and shape.
        host: whether TensorRT reads or writes it in CPU memory.
        shape_value: whether its values decide about shapes.
    """

    spec: TensorSpec
    host: bool
    shape_value: bool


def reported(messages: Sequence[str]) -> str:
    """TensorRT's reports as indented lines."""
    return "\n".join(f"  {text}" for text in messages) or "  (TensorRT reported nothing)"


def memory_hint(messages: Sequence[str]) -> str:
    """What to do when TensorRT ran out of GPU memory; empty when it did not."""
    text = " ".join(messages).lower()
    if "out of memory" in text or "outofmemory" in text or "out_of_memory" in text:
        return MEMORY_HINT
    return ""


def _compiles_kernels() -> bool:
    """Whether TensorRT compiles an engine's kernels when it is loaded: TensorRT for RTX does."""
    return hasattr(getattr(trt, "IRuntimeConfig", None), "create_runtime_cache")


def _load_plugins() -> None:
    """Load torch2trt's plugins, which the engine may hold; where they are missing and needed, TensorRT says so."""
    if trt_compat.has_plugins():
        from ..plugins.library import missing_plugins

        missing_plugins()


def cuda_device(device: torch.device | str | int | None) -> torch.device:
    """The CUDA device with its index; the current one for None.

    Raises:
        EngineError: there is no GPU.
        InputError: ``device`` is no CUDA device of this machine.
    """
    if not torch.cuda.is_available():
        raise EngineError(
            "an engine needs an NVIDIA GPU to be loaded, and torch sees none",
            hint="converted.evaluate(...) computes the network without one",
        )
    try:
        chosen = torch.device("cuda" if device is None else device)
    except (RuntimeError, TypeError):
        raise InputError(f"device={device!r} is no device", hint='write it like "cuda:0"') from None
    if chosen.type != "cuda":
        raise InputError(f"an engine runs on a CUDA device, not on {chosen}")
    index = torch.cuda.current_device() if chosen.index is None else chosen.index
    if index >= torch.cuda.device_count():
        raise InputError(f"there is no device cuda:{index}, torch sees {torch.cuda.device_count()}")
    return torch.device("cuda", index)


class LoadedEngine:
    """A ``trt.ICudaEngine`` on one device and what is known about it.

    Args:
        plan: the engine's bytes.
        device: where to load it.
        runtime_cache: kernels that TensorRT for RTX compiled before; ignored by the full library, which needs none.
        kernel_cache: where these are kept if ``runtime_cache`` is empty; None: nowhere.

    Raises:
        EngineError: TensorRT cannot load it; the message carries what it reported.
    """

    def __init__(
        self,
        plan: bytes | memoryview,
        device: torch.device,
        runtime_cache: bytes = b"",
        kernel_cache: DiskCache | None = None,
    ) -> None:
        if len(plan) == 0:
            raise EngineError("the engine is empty: it has no bytes")
        self.device = device
        self.process = os.getpid()
        self.generation = 0
        """Counts refits: what was captured before one is captured again."""
        self.refitted: torch.cuda.Event | None = None
        """Recorded after the latest refit; other streams wait for it."""
        self.lock = threading.RLock()
        self.warned = False
        """Whether it was said that CUDA graphs have no effect."""
        self.contexts: weakref.WeakSet[Any] = weakref.WeakSet()
        """The :class:`ExecutionContext` objects that are alive."""
        # Attributes are released in the order in which they were first set, and TensorRT needs this one.
        self._refitter: Any = None
        self._cache: Any = None
        self.cuda_engine: Any = None
        self._runtime: Any = None
        self._recorder: Any = None
        recorder = trt_compat.error_recorder()
        with torch.cuda.device(device):
            self._runtime = trt.Runtime(trt_compat.logger())
            _load_plugins()
            self._runtime.error_recorder = recorder
            self.cuda_engine = self._runtime.deserialize_cuda_engine(plan)
        if self.cuda_engine is None:
            raise EngineError(
                f"TensorRT could not load the engine:\n{reported(recorder.messages + self._diagnose(plan))}",
                hint=memory_hint(recorder.messages)
                or "an engine fits one TensorRT version and the GPUs that it was built for",
            )
        self._recorder = recorder
        self._read_tensors()
        self._is_fixed = all(not info.shape_value and -1 not in info.spec.shape for info in self.inputs)
        """Whether all calls have the same shapes."""
        self.profiles = tuple(self._profile(index) for index in range(self.cuda_engine.num_optimization_profiles))
        self._kernel_file: KernelFile | None = None
        if kernel_cache is not None and _compiles_kernels():
            self._kernel_file = KernelFile.of(kernel_cache, len(plan), self._tensors(), device)
        self._stored_kernels = runtime_cache
        self._has_stored = False
        """Whether the kernels of the first context were kept: further ones need the same."""
        self.scratch = torch.empty(256, dtype=torch.uint8, device=device)
        """What TensorRT is given as the address of an empty tensor, which may not be null."""

    def _diagnose(self, plan: bytes | memoryview) -> list[str]:
        """Why the engine does not fit this machine, as far as its header tells; TensorRT for RTX only."""
        if not hasattr(self._runtime, "get_engine_validity"):
            return []
        _, found = self._runtime.get_engine_validity(plan)
        reasons = trt.EngineInvalidityDiagnostics.__members__
        return [f"engine header: {name}" for name, member in reasons.items() if int(found) & int(member)]

    def _read_tensors(self) -> None:
        engine = self.cuda_engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        inputs: list[TensorInfo] = []
        outputs: list[TensorInfo] = []
        for name in names:
            is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            spec = TensorSpec(name, to_torch_dtype(engine.get_tensor_dtype(name)), tuple(engine.get_tensor_shape(name)))
            host = engine.get_tensor_location(name) == trt.TensorLocation.HOST
            info = TensorInfo(spec, host, is_input and engine.is_shape_inference_io(name))
            if engine.get_tensor_format(name) != trt.TensorFormat.LINEAR:
                raise EngineError(
                    f"tensor {name!r} of the engine has the layout {engine.get_tensor_format(name)}",
                    hint="build it with linear inputs and outputs",
                )
            (inputs if is_input else outputs).append(info)
        self.inputs: tuple[TensorInfo, ...] = tuple(inputs)
        self.outputs: tuple[TensorInfo, ...] = tuple(outputs)

    def _profile(self, index: int) -> dict[str, RangeOfShapes]:
        ranges = {}
        for info in self.inputs:
            name = info.spec.name
            if info.host and info.shape_value:
                continue  # its range is one of values, and its shape is fixed
            low, best, high = (tuple(dims) for dims in self.cuda_engine.get_tensor_profile_shape(name, index))
            ranges[name] = (low, best, high)
        return ranges

    def _tensors(self) -> dict[str, Any]:
        """What it takes and gives, as JSON values."""
        specs = [info.spec for info in self.inputs + self.outputs]
        return {
            "specs": [[spec.name, str(spec.dtype), spec.shape] for spec in specs],
            "profiles": self.profiles,
        }

    def _runtime_cache(self) -> Any:
        """The cache of compiled kernels that all contexts share; None in the full library, which has none.

        Made with the first context: an engine without its weights has none before.
        """
        if self._cache is None and _compiles_kernels():
            cache = self.cuda_engine.create_runtime_config().create_runtime_cache()
            if not self._stored_kernels and self._kernel_file is not None:
                self._stored_kernels = self._kernel_file.read()
            if self._stored_kernels and not cache.deserialize(self._stored_kernels):
                cache.reset()  # of another GPU or version: the kernels are compiled again
                self._stored_kernels = b""
                self._recorder.clear()
            self._cache = cache
        return self._cache

    def runtime_cache_bytes(self) -> bytes:
        """The kernels compiled so far, for the next load; empty in the full library."""
        if self._cache is None:
            return self._stored_kernels
        content = self._cache.serialize()
        return b"" if content is None else bytes(content)

    def store_kernels(self) -> None:
        """Keep the kernels that were compiled since the last call of this; no context may run meanwhile."""
        if self._kernel_file is None or os.getpid() != self.process:
            return
        with self.lock:
            kernels = self.runtime_cache_bytes()
            if len(kernels) > len(self._stored_kernels):  # the same ones come in another order
                self._stored_kernels = kernels
                self._kernel_file.write(kernels)

    @property
    def refitter(self) -> Any:
        """The engine's one ``trt.Refitter``: the first refit of each prepares for seconds, the others take none."""
        if self._refitter is None:
            with torch.cuda.device(self.device):
                self._refitter = trt.Refitter(self.cuda_engine, trt_compat.logger())
        return self._refitter

    def messages(self) -> list[str]:
        """What TensorRT reported on the engine since the last call of this."""
        found = list(self._recorder.messages)
        self._recorder.clear()
        return found

    def create_context(self) -> tuple[Any, Any, Any]:
        """A new ``trt.IExecutionContext``, the recorder of its errors, and what has to live as long as it does.

        Where shapes may change, TensorRT for RTX compiles no kernels for those of one call: on an H200, version
        1.4.0.76 went on using such a kernel for other shapes (relative errors of 0.2 to 0.8 in small dense and
        convolutional networks, with the strategies LAZY and EAGER, never with NONE).

        Raises:
            EngineError: no context can be made, mostly for lack of GPU memory.
        """
        recorder = trt_compat.error_recorder()
        config = None
        with self.lock, torch.cuda.device(self.device):
            self._recorder.clear()
            cache = self._runtime_cache()
            if cache is None:
                context = self.cuda_engine.create_execution_context()
            else:
                config = self.cuda_engine.create_runtime_config()
                config.set_runtime_cache(cache)
                strategies = trt.DynamicShapesKernelSpecializationStrategy
                # At once: a CUDA graph would keep a fallback kernel for ever.
                strategy = strategies.EAGER if self._is_fixed else strategies.NONE
                config.dynamic_shapes_kernel_specialization_strategy = strategy
                context = self.cuda_engine.create_execution_context(config)
            if context is None:
                messages = self.messages()
                raise EngineError(
                    f"TensorRT could not make an execution context:\n{reported(messages)}",
                    hint=memory_hint(messages) or (KERNELS_HINT if _compiles_kernels() else ""),
                )
            context.error_recorder = recorder
            if not self._has_stored:
                self._has_stored = True
                self.store_kernels()
        return context, recorder, config

    def guarded(self, execute: Callable[[int], bool]) -> Callable[[int], bool]:
        """A context's run, as threads can call it beside those of other contexts.

        Where shapes may change, TensorRT for RTX 1.4 looks kernels up during a run in the cache that the contexts
        share, and fails if another context is made or run meanwhile: on an H200 in 22 of 128 threads, in groups of
        eight, and in none with a lock, or without a cache, when each context compiles its own.

        Args:
            execute: enqueues the run on a stream, given by its handle.
        """
        if self._is_fixed or not _compiles_kernels():
            return execute

        def one_by_one(stream: int) -> bool:
            with self.lock:
                return execute(stream)

        return one_by_one

    def choose_profile(self, shapes: Sequence[Shape], active: int) -> int:
        """The index of a profile that takes these shapes; ``active`` if it does.

        Raises:
            InputError: a rank, a fixed size or every profile's range is missed; the message names the inputs.
        """
        order = [active, *(index for index in range(len(self.profiles)) if index != active)]
        mistakes: list[list[str]] = []
        for index in order:
            found = self._mistakes(shapes, self.profiles[index])
            if not found:
                return index
            mistakes.append(found)
        many = len(order) > 1
        lines = [
            f"  profile {i}: {text}" if many else f"  {text}"
            for i, m in zip(order, mistakes, strict=True)
            for text in m
        ]
        raise InputError(
            "the shapes are not among those that the engine was built for:\n" + "\n".join(lines),
            hint="build the engine with a profile that covers them",
        )

    def _mistakes(self, shapes: Sequence[Shape], profile: dict[str, RangeOfShapes]) -> list[str]:
        mistakes = []
        for info, shape in zip(self.inputs, shapes, strict=True):
            spec = info.spec
            low, _, high = profile.get(spec.name, (spec.shape, spec.shape, spec.shape))
            if len(shape) != len(low):
                mistakes.append(f"input {spec.name!r} has {len(shape)} axes {list(shape)}, and must have {len(low)}")
                continue
            wrong = [
                axis
                for axis, size in enumerate(shape)
                if not low[axis] <= size <= high[axis] or spec.shape[axis] not in (-1, size)
            ]
            if wrong:
                allowed = ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in zip(low, high, strict=True))
                mistakes.append(
                    f"input {spec.name!r} has shape {list(shape)}, axis {', '.join(map(str, wrong))} of it is out of "
                    f"range: [{allowed}]"
                )
        return mistakes
