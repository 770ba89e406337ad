"""Runners: the module itself, its graph in debug mode, and its network in the reference evaluator."""

from __future__ import annotations

import contextlib
import copy
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from polygraphy import mod, util
from polygraphy.backend.base import BaseRunner
from polygraphy.common import TensorMetadata

from .common import bound_inputs, reported, resolve, torch

binding = mod.lazy_import("torch2trt.binding")
core = mod.lazy_import("torch2trt.core")
network_outputs = mod.lazy_import("torch2trt.outputs")
reference = mod.lazy_import("torch2trt.reference")
structure = mod.lazy_import("torch2trt.structure")
trt_compat = mod.lazy_import("torch2trt.trt_compat")


def _to_tensor(value: Any) -> Any:
    """A torch tensor of its own: the module may write to it."""
    return value.clone() if isinstance(value, torch.Tensor) else torch.from_numpy(value.copy())


def _to_array(tensor: Any) -> Any:
    """A NumPy array; a CPU tensor where NumPy has no such dtype."""
    tensor = tensor.detach().cpu()
    try:
        return tensor.numpy()
    except TypeError:
        return tensor


def _metadata(names: Sequence[str], tensors: Sequence[Any], ranges: Mapping[str, Mapping[int, Any]]) -> TensorMetadata:
    metadata = TensorMetadata()
    for name, tensor in zip(names, tensors, strict=True):
        shape = [-1 if axis in ranges.get(name, {}) else size for axis, size in enumerate(tensor.shape)]
        metadata.add(name, dtype=tensor.dtype, shape=tuple(shape))
    return metadata


def _named_outputs(names: Sequence[str], results: Sequence[Any]) -> OrderedDict[str, Any]:
    """The outputs by name; two that are one tensor are one output, as in a network."""
    outputs: OrderedDict[str, Any] = OrderedDict()
    seen: set[int] = set()
    for name, result in zip(names, results, strict=True):
        if id(result) not in seen:
            seen.add(id(result))
            outputs[name] = _to_array(result)
    return outputs


@mod.export()
class EagerRunner(BaseRunner):
    """Runs the module itself in PyTorch."""

    def __init__(
        self,
        model: Any,
        inputs: Any = None,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        profiles: Sequence[Mapping[str, Any]] | None = None,
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        device: str | None = None,
        name: str | None = None,
    ) -> None:
        """
        Args:
            model: See :class:`TraceFromModule`.
            inputs: See :class:`TraceFromModule`.
            input_shapes: See :class:`TraceFromModule`.
            profiles: See :class:`TraceFromModule`.
            input_names: See :class:`TraceFromModule`.
            output_names: One name an output tensor.
            device: Where to run it; another than ``cpu`` runs a copy. Float32 is computed without TF32. Defaults to
                ``cpu``.
            name: The human-readable name of the runner.
        """
        super().__init__(name=name, prefix="torch2trt-eager")
        self._model = model
        self._inputs = inputs
        self._input_shapes = input_shapes
        self._profiles = profiles
        self._input_names = input_names
        self._output_names = output_names
        self._device = util.default(device, "cpu")

    @util.check_called_by("activate")
    def activate_impl(self) -> None:
        """Make or find the module."""
        with reported():
            named = resolve(self._model, self._inputs)
            self.bound = bound_inputs(named, self._input_shapes, self._profiles, self._input_names)
            self.module = named.module
            if self._device != "cpu" and isinstance(named.module, torch.nn.Module):
                self.module = copy.deepcopy(named.module).to(self._device)
            args, kwargs = binding.normalize_inputs(self.bound.inputs)
            self.leaves, self.nesting = structure.flatten((args, kwargs))

    @util.check_called_by("get_input_metadata")
    def get_input_metadata_impl(self) -> TensorMetadata:
        """Names, dtypes and shapes of the inputs."""
        return _metadata(self.bound.names, self.leaves, self.bound.dynamic_shapes)

    @util.check_called_by("infer")
    def infer_impl(self, feed_dict: Mapping[str, Any]) -> OrderedDict[str, Any]:
        """Run once; the outputs by name."""
        leaves = [_to_tensor(feed_dict[name]).to(self._device) for name in self.bound.names]
        args, kwargs = structure.unflatten(leaves, self.nesting)
        with torch.no_grad(), _full_float32():
            self._synchronize()
            start = time.perf_counter()
            results, nesting = structure.flatten(self.module(*args, **kwargs))
            self._synchronize()
            self.inference_time = time.perf_counter() - start
        names = self._output_names or network_outputs.default_output_names(nesting, self.bound.names)
        return _named_outputs(names, results)

    def _synchronize(self) -> None:
        if self._device != "cpu":
            torch.cuda.synchronize(self._device)

    @util.check_called_by("deactivate")
    def deactivate_impl(self) -> None:
        """Let go of what was made."""
        del self.bound, self.module, self.leaves, self.nesting


@contextlib.contextmanager
def _full_float32() -> Iterator[None]:
    """Inside, float32 products are computed in float32 and not in TF32."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32
    matmul.allow_tf32 = False
    try:
        with cudnn.flags(
            enabled=cudnn.enabled, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False
        ):
            yield
    finally:
        matmul.allow_tf32 = before


@mod.export()
class DebugRunner(BaseRunner):
    """Runs the traced graph in debug mode: node by node in eager PyTorch."""

    def __init__(self, trace: Any, output_names: Sequence[str] | None = None, name: str | None = None) -> None:
        """
        Args:
            trace: What :class:`TraceFromModule` gives, or a callable that returns it.
            output_names: One name an output tensor.
            name: The human-readable name of the runner.
        """
        super().__init__(name=name, prefix="torch2trt-debug")
        self._trace = trace
        self._output_names = output_names

    @util.check_called_by("activate")
    def activate_impl(self) -> None:
        """Trace the module."""
        (_, self.graph), _ = util.invoke_if_callable(self._trace)

    @util.check_called_by("get_input_metadata")
    def get_input_metadata_impl(self) -> TensorMetadata:
        """Names, dtypes and shapes of the inputs."""
        metadata = TensorMetadata()
        for name, value in zip(self.graph.input_names, self.graph.inputs, strict=True):
            metadata.add(name, dtype=value.dtype, shape=tuple(-1 if size is None else size for size in value.shape))
        return metadata

    @util.check_called_by("infer")
    def infer_impl(self, feed_dict: Mapping[str, Any]) -> OrderedDict[str, Any]:
        """Run once; the outputs by name."""
        leaves = [_to_tensor(feed_dict[name]) for name in self.graph.input_names]
        args, kwargs = structure.unflatten(leaves, self.graph.input_structure)
        start = time.perf_counter()
        with reported():
            results, nesting = structure.flatten(core.debug_call_graph(self.graph, binding.Call(args, kwargs)))
        self.inference_time = time.perf_counter() - start
        names = self._output_names or network_outputs.default_output_names(nesting, self.graph.input_names)
        return _named_outputs(names, results)

    @util.check_called_by("deactivate")
    def deactivate_impl(self) -> None:
        """Let go of what was made."""
        del self.graph


@mod.export()
class ReferenceRunner(BaseRunner):
    """Runs a TensorRT network, any network, layer by layer in PyTorch; needs no GPU and no engine."""

    def __init__(self, network: Any, name: str | None = None) -> None:
        """
        Args:
            network: (builder, network), with or without a parser, or a callable that returns it.
            name: The human-readable name of the runner.
        """
        super().__init__(name=name, prefix="torch2trt-reference")
        self._network = network

    @util.check_called_by("activate")
    def activate_impl(self) -> None:
        """Make the network and read it."""
        self.held, _ = util.invoke_if_callable(self._network)  # the builder has to outlive the network
        with reported():
            self.evaluator = reference.Evaluator(self.held[1])

    @util.check_called_by("get_input_metadata")
    def get_input_metadata_impl(self) -> TensorMetadata:
        """Names, dtypes and shapes of the inputs."""
        network = self.held[1]
        metadata = TensorMetadata()
        for index in range(network.num_inputs):
            tensor = network.get_input(index)
            metadata.add(tensor.name, dtype=trt_compat.to_torch_dtype(tensor.dtype), shape=tuple(tensor.shape))
        return metadata

    @util.check_called_by("infer")
    def infer_impl(self, feed_dict: Mapping[str, Any]) -> OrderedDict[str, Any]:
        """Run once; the outputs by name."""
        inputs = {name: _to_tensor(value).cpu() for name, value in feed_dict.items()}
        start = time.perf_counter()
        with reported():
            results = self.evaluator(inputs)
        self.inference_time = time.perf_counter() - start
        return OrderedDict((name, _to_array(value)) for name, value in results.items())

    @util.check_called_by("deactivate")
    def deactivate_impl(self) -> None:
        """Let go of what was made."""
        del self.held, self.evaluator
