"""Models named in text, as command lines have them: ``model.py:make_model`` or ``torchvision.models:resnet18``."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib
import importlib.util
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from .binding import Inputs
from .errors import InputError

DEFAULT_FUNCTIONS = ("make_model", "load_network")


@dataclass(frozen=True, eq=False)
class NamedModel:
    """A model that text named.

    Args:
        spec: the text.
        module: the module, in eval mode, or a function of tensors.
        inputs: its example inputs; None when the script gives none.
    """

    spec: str
    module: Callable[..., Any]
    inputs: Inputs | None


_models: dict[Any, NamedModel] = {}


def load_model(
    spec: str,
    *,
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> NamedModel:
    """The model that ``spec`` names: made once in a process, so that all who ask for it share its weights.

    Args:
        spec: ``file.py:name`` or ``package.module:name``. The name is a module, or a function or class that gives one
            when it is called; a function may give ``(module, example_inputs)`` too. A file's default names are
            ``make_model`` and ``load_network``.
        seed: of torch's random numbers while it is made.
        weights: a ``state_dict`` to load into it: ``.safetensors``, or ``.pt`` without pickled code.
        arguments: keyword arguments of the function or class.

    Raises:
        InputError: the file, module or name does not exist, raises, or gives something else; the weights do not fit.
    """
    return as_model(spec, load_model_or_network(spec, seed=seed, weights=weights, arguments=arguments))


def load_model_or_network(
    spec: str,
    *,
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Any:
    """As :func:`load_model`; what a function that gives a TensorRT network gives is made anew for each who asks."""
    place, name = split_spec(spec)
    source = str(Path(place).resolve()) if place.endswith(".py") else place
    key = (source, name, seed, None if weights is None else os.path.realpath(weights), repr(arguments or {}))
    if key not in _models:
        value = call_named(spec, seed=seed, arguments=arguments)
        if is_network(value):
            return value
        model = as_model(spec, value)
        if weights is not None:
            load_weights(model.module, weights)
        _models[key] = model
    return _models[key]


def split_spec(spec: str) -> tuple[str, str]:
    """The file or importable module, and the name in it; empty for a file's default one.

    Raises:
        InputError: ``spec`` has not this form.
    """
    if spec.endswith(".py"):
        return spec, ""
    place, _, name = spec.rpartition(":")
    if not place or not name.isidentifier():
        raise InputError(f"{spec!r} names no model", hint="write file.py:function or package.module:function")
    return place, name


def call_named(spec: str, *, seed: int = 0, arguments: Mapping[str, Any] | None = None) -> Any:
    """What ``spec`` names, called if it is a function or class.

    Raises:
        InputError: it cannot be found, or raises.
    """
    place, name = split_spec(spec)
    torch.manual_seed(seed)
    module = _import_file(place) if place.endswith(".py") else _import_module(place)
    names = (name,) if name else DEFAULT_FUNCTIONS
    found = next((vars(module)[each] for each in names if each in vars(module)), None)
    if found is None:
        near = difflib.get_close_matches(names[0], _public_names(module), 3, 0.4)
        hint = f"it has {', '.join(near)}" if near else f"define {names[0]}(), or name another: {place}:function"
        raise InputError(f"{place} has no {' or '.join(names)}", hint=hint)
    if isinstance(found, torch.nn.Module):
        if arguments:
            raise InputError(f"{spec} is a module already, and takes no arguments")
        return found
    if not callable(found):
        raise InputError(f"{spec} is {type(found).__name__}, and no function that gives a model")
    with _blamed(spec):
        return found(**(arguments or {}))


def as_model(spec: str, value: Any) -> NamedModel:
    """What a function gave, as a model in eval mode.

    Raises:
        InputError: it is neither a module nor a function, with or without example inputs.
    """
    if isinstance(value, NamedModel):
        return value
    if is_network(value):
        raise InputError(f"{spec} gave a TensorRT network, and a module is needed")
    module, inputs = value, None
    if isinstance(value, tuple) and len(value) == 2:
        module, inputs = value
    if isinstance(module, torch.nn.Module):
        return NamedModel(spec, module.eval(), inputs)
    if not callable(module):
        raise InputError(
            f"{spec} gave {_described(value)}", hint="return a torch.nn.Module, or (module, example_inputs)"
        )
    return NamedModel(spec, module, inputs)


def is_network(value: Any) -> bool:
    """Whether a script's function gave a TensorRT network: its builder, the network, and perhaps a parser.

    By name, since the script may have got it from either TensorRT package.
    """
    return isinstance(value, tuple) and len(value) in (2, 3) and type(value[1]).__name__ == "INetworkDefinition"


def _described(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {', '.join(type(item).__name__ for item in value) or 'nothing'}"
    return "None" if value is None else type(value).__name__


def _public_names(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]


def _import_module(name: str) -> ModuleType:
    folder = os.getcwd()  # as `python -m` has it; a console script does not
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise InputError(f"there is no module {name}", hint="write file.py:function for a file") from None
        raise InputError(f"importing {name} failed: {error}") from error
    except Exception as error:
        raise InputError(f"importing {name} raised {_told(error)}") from error


def _import_file(path: str) -> ModuleType:
    """Import a file once. It stays in ``sys.modules``, so that its classes can be pickled and inspected."""
    resolved = Path(path).resolve()
    if not resolved.is_file():
        raise InputError(f"there is no file {path}")
    name = f"{resolved.stem}_{hashlib.sha256(str(resolved).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    description = importlib.util.spec_from_file_location(name, resolved)
    if description is None or description.loader is None:
        raise InputError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(description)
    sys.modules[name] = module
    try:
        with _on_path(str(resolved.parent)), _blamed(path):
            description.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextlib.contextmanager
def _on_path(folder: str) -> Iterator[None]:
    """Let a script import its neighbours."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


@contextlib.contextmanager
def _blamed(what: str) -> Iterator[None]:
    """Turn an exception of the user's code into an error that says where it was raised."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{what} raised {_told(error)}") from error


def _told(error: Exception) -> str:
    """An exception and where it was raised; of a mistake in Python code, where that stands."""
    name = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{name}: {error.msg} at {error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{name}: {error}" + (f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else "")


def read_weights(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """The ``state_dict`` in a file: ``.safetensors``, or what ``torch.save`` wrote without pickled code.

    Raises:
        InputError: the file cannot be read, holds code, or holds no ``state_dict``.
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise InputError(f"there is no weights file {name}")
    content = _read_safetensors(name) if name.endswith(".safetensors") else _read_torch(name)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise InputError(f"{name} holds {type(content).__name__}, and no state_dict")
    return dict(content)


def _read_safetensors(name: str) -> Any:
    try:
        library = importlib.import_module("safetensors.torch")
    except ImportError:
        raise InputError(f"reading {name} needs safetensors", hint="pip install safetensors") from None
    try:
        return library.load_file(name)
    except Exception as error:  # the package has its own error type, which is no base of another
        raise InputError(f"cannot read {name}: {error}") from error


def _read_torch(name: str) -> Any:
    try:
        return torch.load(name, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{name} is refused: it holds pickled objects besides tensors, which run code when they are read",
            hint="save model.state_dict(), best as .safetensors",
        ) from error
    except Exception as error:
        raise InputError(f"cannot read {name}: {type(error).__name__}: {error}") from error


def load_weights(module: Callable[..., Any], path: str | os.PathLike[str]) -> None:
    """Load the file's weights into a module.

    Raises:
        InputError: they do not fit; every entry that is missing, extra or misshaped is listed.
    """
    if not isinstance(module, torch.nn.Module):
        raise InputError("weights can be loaded into an nn.Module only")
    try:
        module.load_state_dict(read_weights(path))
    except RuntimeError as error:
        raise InputError(f"the weights in {os.fspath(path)} do not fit: {error}") from error
