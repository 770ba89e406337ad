"""Loaders: a module from a script, its trace, and its TensorRT network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from polygraphy import config, mod, util
from polygraphy.backend.base import BaseLoader
from polygraphy.logger import G_LOGGER, LogMode

from .common import bound_inputs, modelspec, reported, resolve

core = mod.lazy_import("torch2trt.core")
convert = mod.lazy_import("torch2trt.convert")
trt_compat = mod.lazy_import("torch2trt.trt_compat")
trt_util = mod.lazy_import("polygraphy.backend.trt.util")


@mod.export(funcify=True)
class ModelFromScript(BaseLoader):
    """Functor that loads a model from a Python file, once in a process: those who load it share its weights."""

    def __init__(
        self, path: str, function: str | None = None, weights: str | None = None, seed: int | None = None
    ) -> None:
        """Load a model.

        Args:
            path: a Python file.
            function: a function in it that returns an nn.Module, or (module, example inputs). One that returns a
                TensorRT network, as Polygraphy's own scripts do, serves :class:`NetworkFromModule` only. Defaults to
                ``make_model`` or ``load_network``, whichever there is.
            weights: a ``.safetensors`` file, or a ``.pt`` file without pickled code, to load into it.
            seed: of torch's random numbers while the module is made. Defaults to 0.
        """
        self._spec = path if function is None else f"{path}:{function}"
        self._weights = weights
        self._seed = util.default(seed, 0)

    @util.check_called_by("__call__")
    def call_impl(self) -> Any:
        """
        Returns:
            torch2trt.modelspec.NamedModel: The module and its example inputs.
        """
        with reported():
            return modelspec.load_model_or_network(self._spec, weights=self._weights, seed=self._seed)


@mod.export(funcify=True)
class TraceFromModule(BaseLoader):
    """Functor that traces a module into a graph that runs in eager PyTorch."""

    def __init__(
        self,
        model: Any,
        inputs: Any = None,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        profiles: Sequence[Mapping[str, Any]] | None = None,
        input_names: Sequence[str] | None = None,
        mutated_inputs: str | None = None,
    ) -> None:
        """Trace a module.

        Args:
            model: An nn.Module, (module, example inputs), what :class:`ModelFromScript` gives, or a callable that
                returns one of these. A function of tensors needs its example inputs beside it.
            inputs: Example inputs: a tensor, a tuple of arguments, or a dict of keyword arguments.
            input_shapes: Shapes by input name; they replace those of the example inputs.
            profiles: Optimisation profiles: (min, opt, max) shapes by input name. Axes where they differ are dynamic.
            input_names: One name a tensor. Defaults to the parameter names of ``forward``.
            mutated_inputs: What to do when the module writes to an input: ``error``, ``output`` (what it holds at the
                end is an output too) or ``ignore``. Defaults to ``error``.
        """
        self._model = model
        self._inputs = inputs
        self._input_shapes = input_shapes
        self._profiles = profiles
        self._input_names = input_names
        self._mutated_inputs = util.default(mutated_inputs, "error")

    @util.check_called_by("__call__")
    def call_impl(self) -> Any:
        """
        Returns:
            Tuple[torch.jit.ScriptModule, torch2trt.graph.Graph]: The traced module and its graph.
        """
        with reported():
            named = resolve(self._model, self._inputs)
            bound = bound_inputs(named, self._input_shapes, self._profiles, self._input_names)
            prepared = core.prepare(
                named.module,
                bound.inputs,
                input_names=bound.names,
                dynamic_shapes=bound.dynamic_shapes,
                mutated_inputs=self._mutated_inputs,
            )
            return prepared.trace, prepared.graph


@mod.export(funcify=True)
class NetworkFromModule(BaseLoader):
    """Functor that converts a module to a TensorRT network."""

    def __init__(
        self,
        model: Any,
        inputs: Any = None,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        profiles: Sequence[Mapping[str, Any]] | None = None,
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        param_exclude: str | None = None,
        precision: str | None = None,
        keep_float32: str | None = None,
        allow_float64_as_float32: bool | None = None,
        allow_random: bool | None = None,
        allow_other_signs: bool | None = None,
        optimize: bool | None = None,
        mutated_inputs: str | None = None,
    ) -> None:
        """Convert a module.

        Args:
            model: See :class:`TraceFromModule`.
            inputs: See :class:`TraceFromModule`.
            input_shapes: See :class:`TraceFromModule`.
            profiles: See :class:`TraceFromModule`.
            input_names: See :class:`TraceFromModule`.
            output_names: One name an output tensor.
            param_exclude: A pattern over the names of parameters that must not be used.
            precision: ``float32``, ``float16`` or ``bfloat16``: what the module's maths is cast to in the network.
                Defaults to ``float32``.
            keep_float32: A pattern over the module scopes that stay in float32.
            allow_float64_as_float32: Whether to convert float64 to float32 instead of refusing it. Defaults to False.
            allow_random: Whether TensorRT may draw random numbers where the module does. Defaults to False.
            allow_other_signs: Whether singular and eigenvectors may have other signs. Defaults to False.
            optimize: Whether to rewrite the graph where TensorRT has a better layer. Defaults to True.
            mutated_inputs: See :class:`TraceFromModule`.
        """
        self._model = model
        self._inputs = inputs
        self._input_shapes = input_shapes
        self._profiles = profiles
        self._input_names = input_names
        self._options = {
            "output_names": output_names,
            "param_exclude": param_exclude,
            "precision": util.default(precision, "float32"),
            "keep_float32": keep_float32,
            "allow_float64_as_float32": util.default(allow_float64_as_float32, False),
            "allow_random": util.default(allow_random, False),
            "allow_other_signs": util.default(allow_other_signs, False),
            "optimize": util.default(optimize, True),
            "mutated_inputs": util.default(mutated_inputs, "error"),
        }

    @util.check_called_by("__call__")
    def call_impl(self) -> Any:
        """
        Returns:
            Tuple[trt.Builder, trt.INetworkDefinition]: The builder and the network, its outputs marked.
        """
        with reported():
            named = resolve(self._model, self._inputs, network=True)
            _check_library()
            if modelspec.is_network(named):
                return named
            bound = bound_inputs(named, self._input_shapes, self._profiles, self._input_names)
            converted = convert.convert(
                named.module,
                bound.inputs,
                input_names=bound.names,
                dynamic_shapes=bound.dynamic_shapes,
                **self._options,
            )
            return converted.builder, converted.network


def _check_library() -> None:
    """Share Polygraphy's logger, and warn where Polygraphy will not find the TensorRT that our networks are made by."""
    if trt_compat.is_rtx() == bool(config.USE_TENSORRT_RTX):
        trt_compat.use_logger(trt_util.get_trt_logger())
        return
    wanted = "1" if trt_compat.is_rtx() else "0"
    G_LOGGER.warning(
        f"torch2trt uses {trt_compat.load().__name__}, and Polygraphy another TensorRT: engines cannot be built or "
        f"run. Set POLYGRAPHY_USE_TENSORRT_RTX={wanted}, or choose with {trt_compat.ENVIRONMENT_VARIABLE}.",
        mode=LogMode.ONCE,
    )
