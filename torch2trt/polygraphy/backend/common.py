"""What loaders and runners share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from polygraphy import mod
from polygraphy.logger import G_LOGGER

from ...errors import Torch2TRTError

torch = mod.lazy_import("torch")
inputspec = mod.lazy_import("torch2trt.inputspec")
modelspec = mod.lazy_import("torch2trt.modelspec")


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Hand an error of ours to Polygraphy, which prints it without a traceback and exits with status 1."""
    try:
        yield
    except Torch2TRTError as error:
        G_LOGGER.critical(str(error))


def resolve(model: Any, inputs: Any = None, *, network: bool = False) -> Any:
    """The :class:`torch2trt.modelspec.NamedModel` that a loader was given.

    Args:
        model: an nn.Module, ``(module, example_inputs)``, a ``NamedModel``, or a callable that gives one of these.
        inputs: example inputs that replace the model's own.
        network: also take ``(builder, network)``, with or without a parser, which is given back as it is.

    Raises:
        InputError: it is a network, and a module is needed.
    """
    if not isinstance(model, (torch.nn.Module, tuple, modelspec.NamedModel)) and callable(model):
        model = model()
    if network and modelspec.is_network(model):
        return model
    if not isinstance(model, modelspec.NamedModel):
        model = modelspec.as_model("the model", model)
    return model if inputs is None else modelspec.NamedModel(model.spec, model.module, inputs)


def bound_inputs(
    model: Any,
    input_shapes: Mapping[str, Sequence[int]] | None,
    profiles: Sequence[Mapping[str, Any]] | None,
    input_names: Sequence[str] | None,
) -> Any:
    """Example inputs, names and dynamic axes of a ``NamedModel``, from Polygraphy's shapes and profiles."""
    return inputspec.bind(model, inputspec.from_profiles(input_shapes or {}, profiles or []), names=input_names)
