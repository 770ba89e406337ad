"""Where constants come from: a parameter, or a computation on parameters that a refit repeats."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from .arguments import no_data, require_state, state_entry
from .errors import InputError


@dataclass(frozen=True, eq=False)
class Origin:
    """How a tensor came from a ``state_dict``.

    Args:
        key: the entry, for a parameter itself.
        function: for a computed tensor, what computed it.
        inputs: its arguments; an :class:`Origin` stands for a tensor that depends on parameters.
        dtype: of the entry that was converted; None for a computed tensor.
    """

    key: str | None = None
    function: Callable[..., Any] | None = None
    inputs: tuple[Any, ...] = ()
    dtype: torch.dtype | None = None

    def compute(self, state_dict: Mapping[str, torch.Tensor], done: dict[int, Any] | None = None) -> Any:
        """The tensor that ``state_dict`` leads to.

        Raises:
            InputError: ``state_dict`` lacks an entry, or one is no tensor, or complex in place of a real one.
        """
        done = {} if done is None else done
        stack: list[Origin] = [self]
        while stack:  # no recursion: chains of folded nodes can be thousands long
            origin = stack[-1]
            if id(origin) in done:
                stack.pop()
                continue
            waiting = [other for other in origin.origins() if id(other) not in done]
            if waiting:
                stack.extend(waiting)
                continue
            done[id(origin)] = origin._compute_one(state_dict, done)
            stack.pop()
        return done[id(self)]

    def _compute_one(self, state_dict: Mapping[str, torch.Tensor], done: dict[int, Any]) -> Any:
        if self.function is None:
            key = self.key or ""
            if key not in state_dict:
                raise InputError(f"the state_dict has no entry {key!r}")
            return state_entry(key, state_dict[key], self.dtype)
        args = [_replace(value, done) for value in self.inputs]
        device = _accelerator(args)
        if device is not None:
            args = [_moved(value, device) for value in args]
        with torch.no_grad():
            return self.function(*args)

    def origins(self) -> Iterator[Origin]:
        """The origins among the inputs."""
        yield from _origins(self.inputs)

    def keys(self) -> set[str]:
        """Every ``state_dict`` key that it depends on."""
        found: set[str] = set()
        seen: set[int] = set()
        stack = [self]
        while stack:
            origin = stack.pop()
            if id(origin) in seen:
                continue
            seen.add(id(origin))
            if origin.key is not None:
                found.add(origin.key)
            stack.extend(origin.origins())
        return found


def _origins(value: Any) -> Iterator[Origin]:
    if isinstance(value, Origin):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _origins(item)


def _replace(value: Any, done: dict[int, Any]) -> Any:
    if isinstance(value, Origin):
        return done[id(value)]
    if isinstance(value, (list, tuple)):
        return type(value)(_replace(item, done) for item in value)
    return value


def _accelerator(value: Any) -> torch.device | None:
    """The device of the first tensor in ``value`` that is not on the CPU; None when all are."""
    if isinstance(value, torch.Tensor):
        return None if value.device.type == "cpu" else value.device
    if isinstance(value, (list, tuple)):
        return next((found for item in value if (found := _accelerator(item)) is not None), None)
    return None


def _moved(value: Any, device: torch.device) -> Any:
    """``value`` with its tensors on ``device``: constants of the trace were made where the module was traced."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(item, device) for item in value)
    return value


# Keyed by identity: tensors compare elementwise. An entry goes when its tensor does.
_origin_of: dict[int, tuple[weakref.ref[torch.Tensor], Origin]] = {}


def set_origin(tensor: torch.Tensor, origin: Origin) -> None:
    """Remember where ``tensor`` comes from for as long as it lives."""
    key = id(tensor)
    _origin_of[key] = (weakref.ref(tensor, lambda _: _origin_of.pop(key, None)), origin)


def origin(tensor: torch.Tensor) -> Origin | None:
    """Where ``tensor`` comes from; None when it depends on no parameter."""
    entry = _origin_of.get(id(tensor))
    return entry[1] if entry is not None and entry[0]() is tensor else None


def derive(function: Callable[..., Any], *args: Any) -> Any:
    """``function(*args)``, remembering how, if an argument depends on a parameter.

    Args:
        function: pure; gives a tensor, or lists and tuples of some.
        args: tensors, numbers, or lists of them.
    """
    with torch.no_grad():
        result = function(*args)
    if not _depends(args):
        return result
    _attach(result, Origin(function=function, inputs=tuple(_as_origin(argument) for argument in args)))
    return result


def on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor on the CPU, of the same origin: a refit computes where the new weights are."""
    if tensor.device.type == "cpu":
        return tensor
    moved = tensor.detach().cpu()
    source = origin(tensor)
    if source is not None:
        set_origin(moved, source)
    return moved


def _attach(result: Any, source: Origin) -> None:
    if isinstance(result, (list, tuple)):
        for index, item in enumerate(result):
            _attach(item, Origin(function=_Pick(index), inputs=(source,)))
    elif isinstance(result, torch.Tensor) and origin(result) is None:  # an argument given back stays what it is
        set_origin(result, source)


@dataclass(frozen=True)
class _Pick:
    index: int

    def __call__(self, items: Any) -> Any:
        return items[self.index]


def _depends(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return origin(value) is not None
    return isinstance(value, (list, tuple)) and any(_depends(item) for item in value)


def _as_origin(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return origin(value) or value
    if isinstance(value, (list, tuple)):
        return type(value)(_as_origin(item) for item in value)
    return value


@dataclass
class WeightMap:
    """The named weights of a network: which layer holds each, and how a ``state_dict`` gives it.

    Args:
        origins: weight name → origin.
        places: weight name → every ``(layer name, role)`` that uses it; a role is such as ``kernel`` or ``constant``.
        finish: weight name → the shape and dtype it has in the network.
        name_at: address of the memory → weight name.
    """

    origins: dict[str, Origin] = field(default_factory=dict)
    places: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    finish: dict[str, tuple[tuple[int, ...], torch.dtype]] = field(default_factory=dict)
    name_at: dict[int, str] = field(default_factory=dict)

    def keys(self) -> set[str]:
        """Every ``state_dict`` key that some weight depends on."""
        return set().union(*(entry.keys() for entry in self.origins.values())) if self.origins else set()

    def compute(self, state_dict: Mapping[str, torch.Tensor], *, partial: bool = False) -> dict[str, torch.Tensor]:
        """The network's weights by name, contiguous and in the dtype that they have in the network.

        Args:
            state_dict: parameters and buffers by key.
            partial: compute only the weights that depend on nothing but ``state_dict``'s entries.

        Raises:
            InputError: it is no ``state_dict``; entries are missing, or have another shape, all of which are listed; or
                one does not fit otherwise.
        """
        require_state(state_dict)
        if not partial:
            missing = sorted(self.keys() - set(state_dict))
            if missing:
                raise InputError(f"the state_dict lacks {', '.join(missing)}")
        done: dict[int, Any] = {}
        weights = {}
        wrong = []
        for name, source in self.origins.items():
            if partial and not source.keys() <= set(state_dict):
                continue
            shape, dtype = self.finish[name]
            tensor = source.compute(state_dict, done)
            if tensor.is_meta:
                raise no_data(source.keys())
            if tuple(tensor.shape) != shape:
                wrong.append(f"{name}: {list(tensor.shape)} instead of {list(shape)}")
                continue
            weights[name] = tensor.to(dtype).contiguous()
        if wrong:
            raise InputError("the state_dict gives weights of other shapes: " + "; ".join(wrong))
        return weights
