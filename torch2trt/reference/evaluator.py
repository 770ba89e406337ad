"""Runs any TensorRT network in PyTorch, layer by layer, without a GPU."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..errors import EvaluationError, InputError
from ..trt_compat import trt
from ..weight_names import recall
from .compiler import Compiler, describe
from .plugins import registered_plugins
from .registry import Settings, TensorInfo
from .structure import Graph, read_network
from .types import carrier
from .weights import WeightNames, WeightOverrides

Outputs = Sequence[str] | str | None
ALL = "*"


class Evaluator:
    """A network, read and compiled once, to be called many times.

    Each layer is computed in its own data type, strictly typed as TensorRT has it; a half-precision matrix product is
    accumulated as PyTorch does on the device. Every result is held against the shape and dtype that the network
    declares. A tensor is freed after its last use. Weights are read where the network keeps them, without a copy,
    unless ``device`` or ``compute_dtype`` needs one.

    Types that torch does not have are held as follows: INT4 as int8, FP4 as float8_e4m3fn, E8M0 as float8_e8m0fnu.

    Args:
        network: an ``INetworkDefinition``; it must stay unchanged while the evaluator is in use.
        outputs: None for the network's outputs, a name or names of any tensors, ``"*"`` for every tensor. A tensor in a
            loop gives its value in the last iteration; one in a branch that is not taken is left out of ``"*"``.
        device: where to compute.
        weights: replaces named weights: flat or shaped tensors with the size and dtype of the network's own. A name is
            a key of ``weight_names``, the name of a constant layer, or ``<layer name>.<role>`` with a role of kernel,
            bias, constant, scale, shift, power. (TensorRT cannot tell what ``set_weights_name`` named.)
        weight_names: the layer name and role of each weight name, or several of them; those of a network that
            torch2trt built are known.
        compute_dtype: ``"float64"`` or a torch dtype: computes what is FLOAT, HALF or BF16 in it instead. Inputs of
            these types may then be given in it too, and results come in it.
        seed: of random fills; the same seed gives the same numbers at each call.
        profile: limits of dynamic shapes by input name, as (min, opt, max), or a ``trt.IOptimizationProfile``; an input
            outside is refused.

    Raises:
        InputError: there is no network; ``outputs``, ``weights`` or ``compute_dtype`` name what it does not have.
        EvaluationError: a layer type that the evaluator does not know; a layer that TensorRT refuses.
    """

    def __init__(
        self,
        network: Any,
        *,
        outputs: Outputs = None,
        device: str | torch.device = "cpu",
        weights: Mapping[str, torch.Tensor] | None = None,
        weight_names: WeightNames | None = None,
        compute_dtype: str | torch.dtype | None = None,
        seed: int = 0,
        profile: Any = None,
    ) -> None:
        if not hasattr(network, "num_layers"):
            raise InputError(
                f"the network is {type(network).__name__}, not an INetworkDefinition",
                hint="of what torch2trt.convert gives, pass converted.network",
            )
        self._network = network
        self._seed = seed
        overrides = WeightOverrides(weights, {**recall(network), **(weight_names or {})})
        self._settings = Settings(
            torch.device(device), _float_dtype(compute_dtype), torch.Generator(), overrides, registered_plugins()
        )
        graph = read_network(network)
        self._inputs = {(info := describe(graph.tensors[s], self._settings)).name: (s, info) for s in graph.input_slots}
        self._dimension_names = {
            name: [graph.tensors[slot].get_dimension_name(i) for i in range(info.rank or 0)]
            for name, (slot, info) in self._inputs.items()
        }
        self._results = _result_slots(graph, outputs)
        self._partial = outputs == ALL
        self._slots = len(graph.tensors)
        self._limits = _profile_limits(profile, self._inputs)
        self._program = Compiler(graph, self._settings, self._results.values()).compile()
        if weights:
            overrides.refuse_unused([node.name for node in graph.nodes])

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the network's inputs, in its order."""
        return tuple(self._inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the results."""
        return tuple(self._results)

    def __call__(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Evaluate the network.

        Args:
            inputs: a tensor per network input, by name, of its dtype and a shape that fits its dimensions.

        Returns:
            The results by tensor name.

        Raises:
            InputError: an input is missing, unknown, of another dtype or shape, or holds no data.
            EvaluationError: a layer cannot be computed, or its result contradicts what the network declares.
        """
        values: list[torch.Tensor | None] = [None] * self._slots
        self._bind(inputs, values)
        self._settings.generator.manual_seed(self._seed)
        with torch.no_grad():
            self._program.run(values)
        results = {}
        for name, slot in self._results.items():
            value = values[slot]
            if value is not None:
                # The network's memory ends with it, and its weights are not the caller's to change.
                borrowed = value.untyped_storage().data_ptr() in self._settings.borrowed
                results[name] = value.clone() if borrowed else value
            elif not self._partial:
                raise EvaluationError(f"tensor {name!r} was not computed: it lies in a branch that was not taken")
        return results

    def _bind(self, inputs: Mapping[str, torch.Tensor], values: list[torch.Tensor | None]) -> None:
        if not isinstance(inputs, Mapping):
            raise InputError(f"the inputs are {type(inputs).__name__}, not a dict of tensors by name")
        unknown = [name for name in inputs if name not in self._inputs]
        missing = [name for name in self._inputs if name not in inputs]
        if unknown or missing:
            raise InputError(_names_message(unknown, missing, list(self._inputs)))
        sizes: dict[str, tuple[str, int]] = {}
        for name, (slot, info) in self._inputs.items():
            value = _checked(name, inputs[name], info, self._settings)
            if name in self._limits:
                _hold_to_profile(name, value, self._limits[name])
            for label, size in zip(self._dimension_names[name], value.shape, strict=False):
                if label and sizes.setdefault(label, (name, size))[1] != size:
                    other, first = sizes[label]
                    raise InputError(f"dimension {label!r} is {first} in input {other!r} and {size} in {name!r}")
            values[slot] = value


def evaluate(
    network: Any,
    inputs: Mapping[str, torch.Tensor],
    *,
    outputs: Outputs = None,
    device: str | torch.device = "cpu",
    weights: Mapping[str, torch.Tensor] | None = None,
    weight_names: WeightNames | None = None,
    compute_dtype: str | torch.dtype | None = None,
    seed: int = 0,
    profile: Any = None,
) -> dict[str, torch.Tensor]:
    """Evaluate any ``INetworkDefinition`` once; arguments and errors are those of ``Evaluator`` and its call."""
    evaluator = Evaluator(
        network,
        outputs=outputs,
        device=device,
        weights=weights,
        weight_names=weight_names,
        compute_dtype=compute_dtype,
        seed=seed,
        profile=profile,
    )
    return evaluator(inputs)


def _float_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """``compute_dtype`` as a torch dtype."""
    if dtype is None:
        return None
    resolved = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(resolved, torch.dtype) or resolved not in (torch.float64, torch.float32):
        raise InputError(f"compute_dtype must be float64 or float32, got {dtype!r}")
    return resolved


def _result_slots(graph: Graph, outputs: Outputs) -> dict[str, int]:
    """The slot of each result by tensor name."""
    if outputs is None:
        if not graph.output_slots:
            raise InputError("the network has no outputs", hint='mark one, or pass outputs= ("*" for every tensor)')
        return {graph.tensors[slot].name: slot for slot in graph.output_slots}
    slots = {tensor.name: slot for slot, tensor in enumerate(graph.tensors)}
    if outputs == ALL:
        return slots
    wanted = [outputs] if isinstance(outputs, str) else list(outputs)
    for name in wanted:
        if name not in slots:
            near = difflib.get_close_matches(name, slots, 3, 0.4)
            raise InputError(f"the network has no tensor {name!r}" + (f"; like it: {', '.join(near)}" if near else ""))
    return {name: slots[name] for name in wanted}


def _names_message(unknown: list[str], missing: list[str], names: list[str]) -> str:
    parts = []
    if missing:
        parts.append(f"missing inputs: {', '.join(map(repr, missing))}")
    if unknown:
        parts.append(f"the network has no inputs named {', '.join(map(repr, unknown))}")
    return f"{'; '.join(parts)}; its inputs are {', '.join(map(repr, names)) or 'none'}"


def _checked(name: str, value: Any, info: TensorInfo, settings: Settings) -> torch.Tensor:
    """An input that fits its declaration, on the device and in the dtype of the evaluation."""
    if not isinstance(value, torch.Tensor):
        raise InputError(f"input {name!r} must be a torch tensor, got {type(value).__name__}")
    if value.is_meta:
        raise InputError(f"input {name!r} is on the meta device and holds no data")
    own = describe_dtype(info)
    if value.dtype not in (own, info.held):
        raise InputError(f"input {name!r} must be {own}, got {value.dtype}")
    shape = info.shape
    if shape is not None and (
        value.dim() != len(shape) or any(d not in (-1, n) for d, n in zip(shape, value.shape, strict=True))
    ):
        raise InputError(f"input {name!r} must have shape {list(shape)} (-1: any), got {list(value.shape)}")
    return value.detach().to(settings.device, info.held)


def describe_dtype(info: TensorInfo) -> torch.dtype:
    """The torch dtype of the tensor in an engine, whatever the evaluation computes in."""
    return carrier(info.dtype)


Limits = tuple[tuple[int, ...], tuple[int, ...]]


def _profile_limits(profile: Any, inputs: Mapping[str, Any]) -> dict[str, Limits]:
    """The least and greatest shape of each input that a profile limits."""
    if profile is None:
        return {}
    if isinstance(profile, Mapping):
        ranges = dict(profile)
    elif isinstance(profile, trt.IOptimizationProfile):
        ranges = {name: profile.get_shape(name) for name in inputs}
    else:
        raise InputError(f"profile must be a mapping or an IOptimizationProfile, got {type(profile).__name__}")
    unknown = [name for name in ranges if name not in inputs]
    if unknown:
        raise InputError(f"the profile names unknown inputs: {', '.join(map(repr, unknown))}")
    return {name: (tuple(shapes[0]), tuple(shapes[2])) for name, shapes in ranges.items() if len(shapes) == 3}


def _hold_to_profile(name: str, value: torch.Tensor, limits: Limits) -> None:
    least, greatest = limits
    if len(least) != value.dim() or any(
        not low <= size <= high for low, size, high in zip(least, value.shape, greatest, strict=True)
    ):
        raise InputError(f"input {name!r} has shape {list(value.shape)}, outside its profile {least}..{greatest}")
