"""``Engine``: a TensorRT engine that is called like the module it came from."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..errors import EngineError
from ..trt_compat import trt
from .bundle import Bundle, Environment, plain_bundle
from .cache import kernels_may_go
from .cached import CacheChoice, open_cache
from .execution import CallOptions, ExecutionContext
from .files import PathLike, read_file, write_file_atomically
from .loaded import LoadedEngine, RangeOfShapes, cuda_device, reported
from .refit import StateDict, StoredWeights, WeightSource, read_state, refit, weights_of_state
from .signature import EngineSignature, TensorSpec

if TYPE_CHECKING:
    from .inspection import LayerInfo, ProfileReport


def option_names() -> set[str]:
    """What :class:`Engine` may be told about loading and calls, by name."""
    return {*inspect.signature(Engine).parameters} - {"bundle", "weights"}


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse what :class:`Engine` would refuse, before the work of building one.

    Args:
        options: by names of :func:`option_names`.

    Raises:
        InputError: a value does not fit.
        EngineError: there is no GPU.
    """
    own = {field.name for field in dataclasses.fields(CallOptions)}
    CallOptions(**{name: value for name, value in options.items() if name in own})
    with contextlib.suppress(EngineError):  # kernels may go, and loading warns of it
        open_cache(options.get("kernel_cache"))
    cuda_device(options.get("device"))


class Engine:
    """A loaded TensorRT engine.

    Calls are asynchronous, like PyTorch's: they enqueue work on the current stream of the calling thread. Each thread
    has an execution context of its own, made at its first call. Inside of a capture (``torch.cuda.graph``) a call
    becomes part of the caller's CUDA graph, if the one before it outside had inputs of the same shapes. Such graphs
    must not outlive the engine; those captured without a call between them share memory, for one replay at a time.

    Args:
        bundle: the engine and what is known about it.
        device: the GPU to load it on; None: the current one.
        weights: how a ``state_dict`` gives the network's weights; None: what the bundle knows.
        auto_device: copy inputs from other devices instead of refusing them.
        auto_contiguous: copy inputs that are not contiguous instead of refusing them.
        cuda_graph: capture a CUDA graph for each combination of input shapes and replay it; saves the launch of each
            kernel, and copies inputs and outputs. Where that is impossible, it says so once and runs plainly.
        max_graphs: how many graphs each thread keeps.
        kernel_cache: where the kernels that TensorRT for RTX compiles at loading are kept for the next load, a choice
            as for ``engine_cache`` (:mod:`torch2trt.engine.cached`): by default in the platform's folder for caches,
            with None nowhere but in a saved file.

    Raises:
        EngineError: there is no GPU, or the engine does not fit this TensorRT or GPU.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: torch.device | str | int | None = None,
        weights: WeightSource | None = None,
        auto_device: bool = False,
        auto_contiguous: bool = False,
        cuda_graph: bool = False,
        max_graphs: int = 8,
        kernel_cache: CacheChoice = True,
    ) -> None:
        self._options = CallOptions(auto_device, auto_contiguous, cuda_graph, max_graphs)
        chosen = cuda_device(device)
        bundle.check(chosen)
        cache = None
        with kernels_may_go():
            cache = open_cache(kernel_cache)
        self._loaded = LoadedEngine(bundle.plan, chosen, bundle.runtime_cache, cache)
        self._signature = _fitting_signature(bundle.signature, self._loaded)
        self._bundle: Bundle | None = bundle
        self._needs_weights = bundle.options is not None and bundle.options.strip_weights
        self.weights: WeightSource = bundle.weights if weights is None else weights
        """How a ``state_dict`` gives the network's weights; used by :meth:`refit`."""
        self.state_shapes = bundle.state_shapes
        """Shape of each entry of the module's ``state_dict``; None when not known."""
        self.build_options = bundle.options
        """How it was built; None when not known."""
        self.environment = bundle.environment
        """Where it was built; None when not known."""
        self._local = threading.local()
        self._closed = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the engine on CUDA tensors.

        Args:
            args: the arguments of the module's ``forward``; tensors of the dtypes and shapes that it was built for.
            kwargs: the same, by name. An argument without tensors may be left out.

        Returns:
            what the module returns; tensors on the engine's device, without gradients. Their values are there for
            whatever is enqueued on the current stream afterwards.

        Raises:
            InputError: an argument is missing, unknown, or of the wrong structure, dtype, device, strides or shape.
            EngineError: TensorRT could not run it, GPU memory ran out, or the engine is closed.
        """
        try:
            context = self._local.context
        except AttributeError:
            context = self._local.context = self.context()
        return context(*args, **kwargs)

    def context(self) -> ExecutionContext:
        """A further execution context with memory of its own: callable like the engine, for one thread at a time.

        Raises:
            EngineError: the engine is closed, or its weights are missing still.
        """
        if self._closed:
            raise EngineError("this engine is closed")
        if self._needs_weights:
            raise EngineError("this engine was built without its weights", hint="call engine.refit(state_dict) first")
        return ExecutionContext(self._loaded, self._signature, self._options)

    def compile_kernels(self) -> None:
        """Let TensorRT for RTX compile the kernels now, instead of in the first call.

        Raises:
            EngineError: the engine is closed, or its weights are missing still, or GPU memory ran out.
        """
        self.context().compile_kernels()

    @property
    def signature(self) -> EngineSignature:
        """What it takes and gives."""
        return self._signature

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The network's inputs."""
        return tuple(info.spec for info in self._loaded.inputs)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The network's outputs."""
        return tuple(info.spec for info in self._loaded.outputs)

    @property
    def profiles(self) -> tuple[dict[str, RangeOfShapes], ...]:
        """For each optimisation profile the smallest, optimal and largest shape of every input."""
        return self._loaded.profiles

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self._loaded.device

    @property
    def refittable(self) -> bool:
        """Whether its weights can be replaced."""
        return bool(self._loaded.cuda_engine.refittable)

    @property
    def cuda_engine(self) -> Any:
        """The ``trt.ICudaEngine``."""
        return self._loaded.cuda_engine

    def __repr__(self) -> str:
        inputs = ", ".join(str(spec) for spec in self.inputs)
        outputs = ", ".join(str(spec) for spec in self.outputs)
        return f"Engine(({inputs}) -> ({outputs}), device={self.device}, refittable={self.refittable})"

    def refit(self, source: StateDict | torch.nn.Module | PathLike, *, partial: bool = False) -> None:
        """Replace the weights, on the current stream, without waiting for the GPU.

        Calls that were made before run with the old weights, later ones with the new. No other thread may call the
        engine meanwhile.

        Args:
            source: a ``state_dict``, a module, or the path of a safetensors file. Tensors on the engine's device are
                used where they are.
            partial: take what is given and keep the rest.

        Raises:
            InputError: entries are missing, extra or misshaped; all are listed, and the engine is as it was.
            EngineError: the engine is not refittable.
        """
        self._require_open()
        if not self.refittable:
            raise EngineError("this engine was built with fixed weights", hint="build it with BuildOptions(refit=True)")
        with torch.no_grad(), torch.cuda.device(self.device):
            state = read_state(source, self.device)
            weights = weights_of_state(state, self.weights, self.state_shapes, self.device, partial=partial)
            refit(self._loaded, weights, partial=partial or not self._needs_weights, pass_over=True)
        self._bundle = None  # its plan holds the old weights
        self._needs_weights = False

    def refit_weights(self, weights: Mapping[str, torch.Tensor], *, partial: bool = False) -> None:
        """Replace weights given by their names in the network; see :meth:`refit`.

        Args:
            weights: name → tensor of the size and dtype that the network has.
            partial: keep the weights that are not given.
        """
        self._require_open()
        refit(self._loaded, weights, partial=partial)
        self._bundle = None
        self._needs_weights = False

    @property
    def weight_names(self) -> tuple[str, ...]:
        """The names of the weights that can be replaced; empty when none can."""
        if not self.refittable:
            return ()
        return tuple(self._loaded.refitter.get_all_weights())

    def bundle(self, *, kernels: bool = True) -> Bundle:
        """The engine with all that is known about it, as it can be stored.

        Args:
            kernels: with the kernels that TensorRT for RTX compiled, which makes loading faster.
        """
        self._require_open()
        before, options = self._bundle, self.build_options
        if before is None and options is not None:
            options = dataclasses.replace(options, strip_weights=False)  # the weights are in it since the refit
        return Bundle(
            self._serialize() if before is None else before.plan,
            self._signature,
            options,
            self.environment or Environment.here(self.device),
            StoredWeights.of(self.weights),
            self.state_shapes,
            self._loaded.runtime_cache_bytes() if kernels else b"",
        )

    def save(self, path: PathLike) -> None:
        """Write the engine to one file that :meth:`load` reads.

        Raises:
            InputError: the module's arguments or result hold values that JSON cannot.
            EngineError: the file cannot be written; what was there before is whole.
        """
        self.bundle().write(path)

    @classmethod
    def load(cls, path: PathLike, *, types: Sequence[type] = (), **options: Any) -> Engine:
        """Read a file that :meth:`save` wrote; it holds no code, and its sums are checked first.

        Args:
            path: the file.
            types: classes of named tuples, dataclasses and mappings among the module's arguments and results; one that
                is not given is replaced by one with the same fields.
            options: those of :class:`Engine`.

        Raises:
            EngineError: it is damaged, or made for another TensorRT or GPU.
        """
        return cls(Bundle.read(path, types), **options)

    def to_bytes(self) -> bytes:
        """The content of the file that :meth:`save` writes."""
        return self.bundle().to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes, *, types: Sequence[type] = (), **options: Any) -> Engine:
        """The inverse of :meth:`to_bytes`; see :meth:`load`."""
        return cls(Bundle.from_bytes(content, types), **options)

    def export_plan(self, path: PathLike) -> None:
        """Write the bare engine, as trtexec, Polygraphy and Triton read it.

        Raises:
            EngineError: the file cannot be written.
        """
        write_file_atomically(path, self.bundle(kernels=False).plan)

    @classmethod
    def import_plan(cls, path: PathLike, *, signature: EngineSignature | None = None, **options: Any) -> Engine:
        """Load a bare engine that another tool wrote; a file from elsewhere is as trusted as a program.

        Args:
            path: the file.
            signature: what it takes and gives; None: its inputs in order and by name, a tensor or a tuple of them.
            options: those of :class:`Engine`.

        Raises:
            EngineError: TensorRT cannot load it.
        """
        return cls(plain_bundle(read_file(path), signature, None), **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.to_bytes(), vars(self._options), _types(self._signature))

    def layers(self) -> list[LayerInfo]:
        """What the engine runs, layer by layer; see :func:`torch2trt.engine.inspection.layers`."""
        from .inspection import layers

        self._require_open()
        return layers(self._loaded.cuda_engine)

    def profile(self, *args: Any, runs: int = 20, warmup: int = 5, **kwargs: Any) -> ProfileReport:
        """Time each layer; see :func:`torch2trt.engine.inspection.profile`.

        Args:
            args: as for a call.
            runs: how many runs the times are the medians of.
            warmup: how many runs come before.
            kwargs: as for a call.
        """
        from .inspection import profile

        context = self.context()
        tensors = context.check(self._signature.select_inputs(self._signature.bind(args, kwargs)))
        return profile(self._loaded, tensors, runs=runs, warmup=warmup)

    def close(self) -> None:
        """Wait for all runs, store compiled kernels, and free the GPU memory; the engine cannot be used afterwards."""
        if self._closed or os.getpid() != self._loaded.process:
            return
        self._closed = True
        self._loaded.store_kernels()
        for context in list(self._loaded.contexts):
            context.close()
        self._local = threading.local()
        self._bundle = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _require_open(self) -> None:
        if self._closed:
            raise EngineError("this engine is closed")
        if os.getpid() != self._loaded.process:
            raise EngineError("this engine was loaded in another process", hint="load it in each process")

    def _serialize(self) -> bytes:
        engine = self._loaded.cuda_engine
        with torch.cuda.device(self.device):
            torch.cuda.synchronize()  # a refit may be under way
            config = engine.create_serialization_config()
            config.set_flag(trt.SerializationFlag.INCLUDE_REFIT)
            config.clear_flag(trt.SerializationFlag.EXCLUDE_WEIGHTS)  # set for an engine that was built without them
            content = engine.serialize_with_config(config)
        if content is None:
            raise EngineError(f"TensorRT could not serialise the engine:\n{reported(self._loaded.messages())}")
        return bytes(content)


def _fitting_signature(signature: EngineSignature | None, loaded: LoadedEngine) -> EngineSignature:
    """The signature, which must be one of this engine; a plain one when there is none."""
    inputs = [info.spec for info in loaded.inputs]
    outputs = [info.spec for info in loaded.outputs]
    if signature is None:
        return EngineSignature.plain(inputs, outputs)
    for what, expected, found in (("inputs", signature.inputs, inputs), ("outputs", signature.outputs, outputs)):
        if [(s.name, s.dtype) for s in expected] != [(s.name, s.dtype) for s in found]:
            raise EngineError(
                f"the engine's {what} are {', '.join(map(str, found)) or 'none'}, "
                f"and its signature has {', '.join(map(str, expected)) or 'none'}"
            )
    return signature


def _types(signature: EngineSignature) -> tuple[type, ...]:
    found: list[type] = []
    stack = [signature.arguments, signature.result]
    while stack:
        structure = stack.pop()
        if structure.type is not None:
            found.append(structure.type)
        stack.extend(structure.children)
    return tuple(found)


def _unpickle(content: bytes, options: Mapping[str, Any], types: tuple[type, ...]) -> Engine:
    return Engine.from_bytes(content, types=types, **options)
