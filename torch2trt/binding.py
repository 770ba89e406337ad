"""Inputs as the arguments of a call: their names, and those of a call against the converted ones."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .errors import InputError
from .structure import Structure, flatten, is_leaf, leaf_names

Inputs = Any
"""A tensor, a tuple or list of positional arguments, a dict of keyword arguments, or a :class:`Call`; each may nest."""


@dataclass(frozen=True)
class Call:
    """Positional and keyword arguments together, where ``inputs`` needs both."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def normalize_inputs(inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a call with ``inputs``.

    Raises:
        InputError: ``inputs`` holds no tensor-like thing at all, such as a string.
    """
    if isinstance(inputs, Call):
        return inputs.args, inputs.kwargs
    if isinstance(inputs, Mapping):
        if not all(isinstance(key, str) for key in inputs):
            raise InputError("inputs given as a dict are keyword arguments: every key must be a string")
        return (), dict(inputs)
    if isinstance(inputs, (tuple, list)):
        return tuple(inputs), {}
    return (inputs,), {}


def module_of(target: Any) -> Any:
    """What can be called: the module of a ``torch.export.ExportedProgram``, everything else as it is."""
    return target.module() if isinstance(target, torch.export.ExportedProgram) else target


def check_target(module: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments | None:
    """The arguments by the parameters of what is called; None where it has no signature.

    Raises:
        InputError: it cannot be called, or not with these.
    """
    if isinstance(module, torch.jit.ScriptModule) and not hasattr(module, "forward"):
        raise InputError(
            "the scripted module has no forward of its own: its overloads alone were scripted",
            hint="script a module that calls it",
        )
    if not callable(module):
        raise InputError(
            f"the model must be an nn.Module or a function, not {type(module).__name__}",
            hint="load the model first; the command line takes models by name",
        )
    target = module.forward if isinstance(module, torch.nn.Module) else module
    try:
        return _signature(module, target).bind(*args, **kwargs)
    except TypeError as error:
        name = (
            type(module).__name__ if isinstance(module, torch.nn.Module) else getattr(module, "__name__", str(module))
        )
        raise InputError(f"the inputs do not fit {name}{_signature(module, target)}: {error}") from None
    except ValueError:  # a builtin without a signature
        return None


def _signature(module: object, target: Callable[..., Any]) -> inspect.Signature:
    """The parameters of a call; those of a loaded or traced module from its TorchScript, as its Python has none."""
    schema = getattr(target, "schema", None) if isinstance(module, torch.jit.ScriptModule) else None
    if not isinstance(schema, torch._C.FunctionSchema):
        return inspect.signature(target)
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    parameters = []
    for argument in schema.arguments[1:]:
        default = argument.default_value if argument.has_default_value() else inspect.Parameter.empty
        parameters.append(inspect.Parameter(argument.name, kinds[argument.kwarg_only], default=default))
    return inspect.Signature(parameters)


def default_input_names(module: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """Names for the tensors among the arguments: the parameters of forward, with keys and positions for nested ones."""
    positional, keyword = flatten((args, kwargs))[1].children
    names = argument_names(module, args, kwargs)
    return leaf_names(positional, names) + leaf_names(keyword, [str(key) for key in keyword.keys])


def argument_names(module: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """The names of the parameters that the positional arguments are for."""
    bound = check_target(module, args, kwargs)
    prefixes: list[str] = []
    for parameter in bound.signature.parameters.values() if bound else ():
        if parameter.kind is parameter.VAR_POSITIONAL:
            prefixes += [f"{parameter.name}_{i}" for i in range(len(args) - len(prefixes))]
        elif parameter.kind is not parameter.KEYWORD_ONLY and len(prefixes) < len(args):
            prefixes.append(parameter.name)
    return prefixes + [f"input_{i}" for i in range(len(prefixes), len(args))]


def bind_arguments(
    names: Sequence[str], arguments: Structure, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[Any]:
    """The tensors among the arguments of a call, in the order of the structure's leaves.

    An argument without tensors may be left out: it is the one that the module was converted with.

    Args:
        names: of the arguments that the module was converted with.
        arguments: of kind tuple: the structure of each of them.
        args: positional ones of the call.
        kwargs: keyword ones, in any order.

    Raises:
        InputError: too many arguments, an unknown or missing one, a structure that the module was not converted
            with, or a Python value other than the one that it was converted with; the message names the argument.
    """
    if len(args) > len(names):
        raise InputError(f"{len(args)} positional arguments were given, at most {len(names)} are taken: {names}")
    values = dict(zip(names, args, strict=False))
    unknown = [name for name in kwargs if name not in names]
    twice = [name for name in kwargs if name in values]
    if unknown or twice:
        what = f"given twice: {', '.join(twice)}" if twice else f"unknown: {', '.join(unknown)}"
        raise InputError(f"arguments {what}", hint=f"the arguments are {', '.join(names)}")
    values.update(kwargs)
    missing = [name for name, child in zip(names, arguments.children, strict=True) if name not in values and len(child)]
    if missing:
        raise InputError(f"arguments missing: {', '.join(missing)}", hint=f"the arguments are {', '.join(names)}")
    leaves: list[Any] = []
    for name, child in zip(names, arguments.children, strict=True):
        if name in values:
            _collect(values[name], child, name, leaves)
    return leaves


def _collect(value: Any, expected: Structure, path: str, leaves: list[Any]) -> None:
    """Append the tensors of ``value``, which must have the structure ``expected``."""
    if expected.kind == "leaf":
        if not is_leaf(value):
            raise InputError(f"argument {path} must be a tensor, not {type(value).__name__}")
        leaves.append(value)
    elif expected.kind == "constant":
        if isinstance(value, torch.Tensor) or type(value) is not type(expected.value) or value != expected.value:
            shown = f"a tensor of shape {list(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
            raise InputError(
                f"argument {path} is {shown}, and the module was converted with {expected.value!r}",
                hint="convert it again for another value",
            )
    elif expected.kind in ("dict", "object"):
        _collect_named(value, expected, path, leaves)
    else:
        if not isinstance(value, (tuple, list, deque)) or len(value) != len(expected.children):
            found = f"{len(value)} entries" if isinstance(value, (tuple, list, deque)) else type(value).__name__
            raise InputError(
                f"argument {path} must be a {expected.kind} of {len(expected.children)} entries, not {found}"
            )
        for index, (item, child) in enumerate(zip(value, expected.children, strict=True)):
            _collect(item, child, f"{path}[{index}]", leaves)


def _collect_named(value: Any, expected: Structure, path: str, leaves: list[Any]) -> None:
    if isinstance(value, Mapping):
        if set(value) != set(expected.keys):
            raise InputError(f"argument {path} has the keys {list(value)}, and must have {list(expected.keys)}")
        items = [(value[key], f"{path}[{key!r}]") for key in expected.keys]
    else:
        missing = [key for key in expected.keys if not isinstance(key, str) or not hasattr(value, key)]
        if missing:
            raise InputError(f"argument {path} of type {type(value).__name__} lacks {', '.join(map(str, missing))}")
        items = [(getattr(value, key), f"{path}.{key}") for key in expected.keys]
    for (item, place), child in zip(items, expected.children, strict=True):
        _collect(item, child, place, leaves)
