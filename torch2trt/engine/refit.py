"""Replacing an engine's weights in place, from tensors on the GPU."""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from .. import trt_compat
from ..arguments import no_data, require_state, state_entry
from ..errors import EngineError, InputError
from ..trt_compat import to_torch_dtype, to_trt_dtype, trt
from ..weights import WeightMap
from .files import PathLike
from .loaded import LoadedEngine, memory_hint, reported
from .signature import dtype_name, dtype_of_name

StateDict = Mapping[str, torch.Tensor]


class WeightSource(Protocol):
    """How a ``state_dict`` gives the weights of a network: :class:`torch2trt.weights.WeightMap`."""

    def keys(self) -> set[str]:
        """Every ``state_dict`` entry that a weight depends on."""

    def compute(self, state_dict: StateDict, *, partial: bool = False) -> dict[str, torch.Tensor]:
        """The network's weights by name; with ``partial``, those that depend on ``state_dict``'s entries alone."""


@dataclass(frozen=True)
class StoredWeights:
    """What a file keeps of a :class:`WeightMap`: data, no functions.

    Args:
        direct: network weights that are a ``state_dict`` entry as it is: name → (key, shape, dtype).
        computed: the others: name → the keys that it is computed from.
    """

    direct: Mapping[str, tuple[str, tuple[int, ...], torch.dtype]] = field(default_factory=dict)
    computed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, weights: WeightSource | None) -> StoredWeights:
        """What can be stored of ``weights``."""
        if isinstance(weights, StoredWeights):
            return weights
        if not isinstance(weights, WeightMap):
            return cls()
        direct = {
            name: (origin.key, *weights.finish[name])
            for name, origin in weights.origins.items()
            if origin.key is not None
        }
        computed = {
            name: tuple(sorted(origin.keys())) for name, origin in weights.origins.items() if origin.key is None
        }
        return cls(direct, computed)

    def keys(self) -> set[str]:
        """Every ``state_dict`` entry that a weight depends on."""
        keys = {key for key, _, _ in self.direct.values()}
        return keys.union(*self.computed.values()) if self.computed else keys

    def compute(self, state_dict: StateDict, *, partial: bool = False) -> dict[str, torch.Tensor]:
        """The network's weights by name.

        Args:
            state_dict: parameters and buffers by key.
            partial: only the weights whose entries are there.

        Raises:
            InputError: a weight is computed from several entries, by functions that a file does not hold; or entries
                are missing or have another shape.
        """
        require_state(state_dict)
        stuck = [name for name, keys in self.computed.items() if not partial or set(keys) & set(state_dict)]
        if stuck:
            raise InputError(
                f"a file keeps no functions, and these are computed from parameters: {', '.join(sorted(stuck))}",
                hint="convert the module again and set engine.weights to the conversion's weight map",
            )
        wrong, weights = [], {}
        for name, (key, shape, dtype) in self.direct.items():
            if key not in state_dict:
                if not partial:
                    wrong.append(f"{key} is missing")
                continue
            entry = state_entry(key, state_dict[key], dtype)
            if entry.is_meta:
                raise no_data([key])
            if tuple(entry.shape) != shape:
                wrong.append(f"{key} has shape {list(entry.shape)} instead of {list(shape)}")
            else:
                weights[name] = entry.to(dtype).contiguous()
        if wrong:
            raise InputError("the state_dict does not fit: " + "; ".join(wrong))
        return weights

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "direct": {
                name: {"key": key, "shape": list(shape), "dtype": dtype_name(dtype)}
                for name, (key, shape, dtype) in self.direct.items()
            },
            "computed": {name: list(keys) for name, keys in self.computed.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StoredWeights:
        """The inverse of :meth:`to_json`.

        Raises:
            EngineError: ``values`` is nothing of the kind.
        """
        try:
            direct = {
                str(name): (
                    str(entry["key"]),
                    tuple(int(size) for size in entry["shape"]),
                    dtype_of_name(entry["dtype"]),
                )
                for name, entry in values["direct"].items()
            }
            return cls(direct, {str(name): tuple(map(str, keys)) for name, keys in values["computed"].items()})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EngineError(f"the weight names in the file cannot be read: {error!r}") from error


def read_state(source: StateDict | torch.nn.Module | PathLike, device: torch.device) -> StateDict:
    """The ``state_dict`` that a refit is given: itself, a module's, or a safetensors file's.

    Raises:
        InputError: it is none of these, or the safetensors package is missing.
        EngineError: the file cannot be read.
    """
    if isinstance(source, torch.nn.Module):
        return source.state_dict()
    if isinstance(source, (str, os.PathLike)):
        try:
            safetensors = importlib.import_module("safetensors.torch")
        except ImportError:
            raise InputError("reading weights from a file needs safetensors", hint="pip install safetensors") from None
        try:
            return safetensors.load_file(os.fspath(source), device=str(device))
        except Exception as error:  # the package has its own error type, which is no base of another
            raise EngineError(f"cannot read weights from {os.fspath(source)}: {error}") from error
    if not isinstance(source, Mapping) or not all(isinstance(value, torch.Tensor) for value in source.values()):
        raise InputError("refit takes a state_dict, a module, or the path of a safetensors file")
    return source


def weights_of_state(
    state: StateDict,
    weights: WeightSource,
    shapes: Mapping[str, tuple[int, ...]] | None,
    device: torch.device,
    *,
    partial: bool,
) -> dict[str, torch.Tensor]:
    """The network's weights that a ``state_dict`` leads to, on ``device``.

    Args:
        state: parameters and buffers by key.
        weights: how they become the network's weights.
        shapes: key → shape of everything that the module had at conversion; None when that is not known. With it,
            entries that the module did not have are refused, those that the network does not use are passed over.
        device: where to compute them.
        partial: allow entries to be missing; what depends on them stays as it is.

    Raises:
        InputError: entries are missing, extra or misshaped; all of them are listed.
    """
    used = weights.keys()
    problems = [] if partial else [f"{key} is missing" for key in sorted(used - set(state))]
    if shapes is not None:
        problems += [f"{key} is no entry of the module" for key in sorted(set(state) - set(shapes))]
        problems += [
            f"{key} has shape {list(state[key].shape)} instead of {list(shapes[key])}"
            for key in sorted(set(state) & set(shapes))
            if tuple(state[key].shape) != tuple(shapes[key])
        ]
    elif partial:
        problems += [f"{key} is used by no weight" for key in sorted(set(state) - used)]
    if problems:
        raise InputError(
            "the weights do not fit, and the engine is as it was:\n" + "\n".join(f"  {line}" for line in problems)
        )
    moved = {key: state[key].detach().to(device, non_blocking=True) for key in state if key in used}
    return weights.compute(moved, partial=partial)


def refit(
    loaded: LoadedEngine, weights: Mapping[str, torch.Tensor], *, partial: bool = False, pass_over: bool = False
) -> None:
    """Replace weights of an engine, on the current stream, without waiting.

    What was enqueued before on the engine's contexts runs with the old weights, what comes later with the new ones.
    It must not be called while another thread calls the engine.

    Args:
        loaded: the engine.
        weights: by their names in the network, in the dtype that they have there.
        partial: keep the weights that are not given.
        pass_over: ignore weights that the engine has not, because nothing that it computes depends on them.

    Raises:
        InputError: weights are missing, unknown, or of the wrong size or dtype; all are listed, nothing was changed.
        EngineError: the engine is not refittable, or TensorRT refuses the weights.
    """
    if not loaded.cuda_engine.refittable:
        raise EngineError("this engine was built with fixed weights", hint="build it with BuildOptions(refit=True)")
    recorder = trt_compat.error_recorder()
    with loaded.lock, torch.cuda.device(loaded.device):
        refitter = loaded.refitter
        refitter.error_recorder = recorder
        known = dict.fromkeys(refitter.get_all_weights())
        if pass_over:
            weights = {name: tensor for name, tensor in weights.items() if name in known}
        _check(refitter, known, weights, partial)
        ready = {name: tensor.to(loaded.device, non_blocking=True).contiguous() for name, tensor in weights.items()}
        try:
            _set(refitter, ready, recorder)
            _enqueue(loaded, refitter, ready, recorder)
        finally:
            for name in ready:  # else the next refit would read them again
                refitter.unset_named_weights(name)


def _check(refitter: Any, known: Collection[str], weights: Mapping[str, torch.Tensor], partial: bool) -> None:
    problems = [] if partial else [f"{name} is missing" for name in known if name not in weights]
    for name, tensor in weights.items():
        if name not in known:
            problems.append(f"{name} is no refittable weight of the engine")
            continue
        prototype = refitter.get_weights_prototype(name)
        dtype = to_torch_dtype(prototype.dtype)
        if tensor.numel() != prototype.size:
            problems.append(f"{name} has {tensor.numel()} elements {list(tensor.shape)} instead of {prototype.size}")
        if tensor.dtype != dtype:
            problems.append(f"{name} has dtype {tensor.dtype} instead of {dtype}")
    if problems:
        raise InputError(
            "the weights do not fit, and the engine is as it was:\n" + "\n".join(f"  {line}" for line in problems)
        )


def _set(refitter: Any, weights: Mapping[str, torch.Tensor], recorder: Any) -> None:
    for name, tensor in weights.items():
        view = trt.Weights(to_trt_dtype(tensor.dtype), tensor.data_ptr(), tensor.numel())
        if not refitter.set_named_weights(name, view, trt.TensorLocation.DEVICE):
            raise EngineError(
                f"TensorRT refuses the weight {name}, and the engine is as it was:\n{reported(recorder.messages)}"
            )
    missing = refitter.get_missing_weights()
    if missing:
        raise EngineError(
            f"TensorRT needs these weights together with the given ones: {', '.join(missing)}; the engine is as it was"
        )


def _enqueue(loaded: LoadedEngine, refitter: Any, weights: Mapping[str, torch.Tensor], recorder: Any) -> None:
    stream = torch.cuda.current_stream(loaded.device)
    for tensor in weights.values():
        tensor.record_stream(stream)  # its owner may free it before the refit has read it
    # Undefined otherwise: "pending enqueued work on a different stream" (IRefitter::refitCudaEngineAsync).
    for context in list(loaded.contexts):
        if context.last_stream is not None:
            stream.wait_stream(context.last_stream)
    if loaded.refitted is not None:
        stream.wait_event(loaded.refitted)
    done = refitter.refit_cuda_engine_async(stream.cuda_stream)
    event = torch.cuda.Event()
    event.record(stream)
    loaded.refitted = event
    loaded.generation += 1
    if not done:
        raise EngineError(
            "TensorRT could not refit the engine, some of its weights may have changed:\n"
            + reported(recorder.messages),
            hint=memory_hint(recorder.messages) or "load the engine again",
        )
