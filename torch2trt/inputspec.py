"""Inputs described in text: ``image:[1,3,224,224]:float16``, sizes that may change as ``min:opt:max``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from . import structure
from .binding import Inputs, default_input_names, normalize_inputs
from .dynamic import Range
from .errors import InputError
from .modelspec import NamedModel

_SPEC = re.compile(r"^(?P<name>[^\[\]]*?):?\[(?P<sizes>[^\[\]]*)\](?::(?P<dtype>\w+))?$")
_SIZE = re.compile(r"^(?:(?P<label>[A-Za-z_]\w*)=)?(?P<min>\d+)(?::(?P<opt>\d+):(?P<max>\d+))?$")
FORM = "write name:[1,3,224,224]:float32; a size that may change is min:opt:max, or batch=min:opt:max"


@dataclass(frozen=True)
class InputSpec:
    """One described input.

    Args:
        name: its name in the network; empty where there is only one.
        sizes: one a dimension: a fixed size, or the range of one that may change.
        dtype: the dtype; None: that of the example, or float32.
    """

    name: str
    sizes: tuple[int | Range, ...]
    dtype: torch.dtype | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape to trace with."""
        return tuple(size.opt if isinstance(size, Range) else size for size in self.sizes)

    @property
    def ranges(self) -> dict[int, Range]:
        """The axes whose size may change."""
        return {axis: size for axis, size in enumerate(self.sizes) if isinstance(size, Range)}


@dataclass(frozen=True, eq=False)
class BoundInputs:
    """Example inputs of a model with their names.

    Args:
        inputs: nested as the model takes them.
        names: one name a tensor.
        dynamic_shapes: what :func:`torch2trt.convert` takes under this name.
    """

    inputs: Inputs
    names: list[str]
    dynamic_shapes: dict[str, dict[int, Range]]


def parse_input(text: str) -> InputSpec:
    """Read one description.

    Raises:
        InputError: it has not the form ``name:[sizes]:dtype``.
    """
    match = _SPEC.match(text.replace(" ", ""))
    if match is None:
        raise InputError(f"the input {text!r} cannot be read", hint=FORM)
    labelled: dict[str, Range] = {}
    sizes = [_parse_size(text, size, labelled) for size in match["sizes"].split(",") if size]
    return InputSpec(match["name"], tuple(sizes), None if match["dtype"] is None else parse_dtype(match["dtype"]))


def _parse_size(text: str, size: str, labelled: dict[str, Range]) -> int | Range:
    match = _SIZE.match(size)
    if match is None:
        raise InputError(f"the input {text!r} cannot be read: {size!r} is no size", hint=FORM)
    if match["opt"] is None:
        if match["label"]:
            raise InputError(f"the input {text!r} gives {match['label']} no range", hint=FORM)
        return int(match["min"])
    low, best, high = int(match["min"]), int(match["opt"]), int(match["max"])
    if not low <= best <= high:
        raise InputError(f"the input {text!r} has a range that is not min <= opt <= max: {size}")
    found = Range(low, best, high, match["label"] or "")
    if found.name and labelled.setdefault(found.name, found) != found:
        raise InputError(f"the input {text!r} gives {found.name} two ranges")
    return found


def parse_dtype(name: str) -> torch.dtype:
    """A torch dtype by name.

    Raises:
        InputError: there is none of this name.
    """
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise InputError(f"there is no dtype {name!r}", hint="such as float32, float16, bfloat16, int64, int32, bool")
    return found


def bind(
    model: NamedModel, specs: Sequence[InputSpec], *, names: Sequence[str] | None = None, seed: int = 0
) -> BoundInputs:
    """The model's example inputs, with those that are described instead of or besides its own.

    A model without examples takes the described tensors by name where all names are parameters of its ``forward``, and
    else in order; a description's name is the input's name in the network either way.

    Args:
        model: the model.
        specs: the descriptions.
        names: names for the tensors in order, instead of those of ``forward``'s parameters.
        seed: of the random values.

    Raises:
        InputError: nothing describes the inputs, or a description does not fit them.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs, found = _examples(model, specs, generator)
    if names is not None:
        if len(names) != len(found):
            raise InputError(f"{len(names)} input names {list(names)} for {len(found)} tensors: {', '.join(found)}")
        found = list(names)
    leaves, nesting = structure.flatten(inputs)
    by_name = dict(zip(found, leaves, strict=True))
    ranges = {}
    for spec in specs:
        name = _place(spec, found)
        by_name[name] = _fitted(by_name[name], spec, generator)
        if spec.ranges:
            ranges[name] = spec.ranges
    return BoundInputs(structure.unflatten([by_name[name] for name in found], nesting), found, ranges)


def _place(spec: InputSpec, names: Sequence[str]) -> str:
    if not spec.name and len(names) == 1:
        return names[0]
    if spec.name not in names:
        raise InputError(f"the model has no input {spec.name!r}; its inputs are {', '.join(names)}")
    return spec.name


def _examples(model: NamedModel, specs: Sequence[InputSpec], generator: torch.Generator) -> tuple[Inputs, list[str]]:
    """Example inputs and a name for every tensor in them."""
    if model.inputs is not None:
        args, kwargs = normalize_inputs(model.inputs)
        return model.inputs, default_input_names(model.module, args, kwargs)
    if not specs:
        raise InputError(
            f"{model.spec} gives no example inputs", hint="describe them: --input name:[1,3,224,224] for each"
        )
    tensors = [random_tensor(spec.shape, spec.dtype or torch.float32, generator) for spec in specs]
    names = [spec.name for spec in specs]
    if len(set(names)) != len(names):
        raise InputError(f"an input is described twice: {', '.join(names)}")
    if set(names) <= _parameters(model.module):
        by_name = dict(zip(names, tensors, strict=True))
        in_order = [name for name in _ordered(model.module) if name in by_name]
        return {name: by_name[name] for name in in_order}, in_order
    args = tuple(tensors)
    defaults = default_input_names(model.module, args, {})
    return args, [name or default for name, default in zip(names, defaults, strict=True)]


def _ordered(module: Callable[..., Any]) -> list[str]:
    target = module.forward if isinstance(module, torch.nn.Module) else module
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:  # a builtin without a signature
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def _parameters(module: Callable[..., Any]) -> set[str]:
    return set(_ordered(module))


def _fitted(example: torch.Tensor, spec: InputSpec, generator: torch.Generator) -> torch.Tensor:
    """The example in the shape and dtype of a description; its values are kept, so that indices stay in range."""
    dtype = spec.dtype or example.dtype
    if example.dim() != len(spec.shape) or not example.numel():
        return random_tensor(spec.shape, dtype, generator)
    for axis, size in enumerate(spec.shape):
        if size != example.shape[axis]:
            example = example.index_select(axis, torch.arange(size, device=example.device) % example.shape[axis])
    return example.to(dtype)


def random_tensor(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """Normal numbers; for integers and booleans zeros and ones, which are valid indices nearly everywhere."""
    if dtype.is_complex:
        return torch.randn(tuple(shape), dtype=dtype, generator=generator)
    if dtype.is_floating_point:
        return torch.randn(tuple(shape), generator=generator).to(dtype)
    return torch.randint(0, 2, tuple(shape), generator=generator).to(dtype)


def from_profiles(
    shapes: Mapping[str, Sequence[int]],
    profiles: Sequence[Mapping[str, Sequence[Sequence[int]]]],
) -> list[InputSpec]:
    """Descriptions from shapes and from optimisation profiles; an axis ranges over all profiles.

    Args:
        shapes: by input name; of an input that has a profile, the profile's are taken.
        profiles: minimum, optimum and maximum shape by input name.

    Raises:
        InputError: shapes of one input have different ranks.
    """
    gathered: dict[str, list[Sequence[Sequence[int]]]] = {}
    for profile in profiles:
        for name, triple in profile.items():
            gathered.setdefault(name, []).append(triple)
    specs = {name: InputSpec(name, tuple(int(size) for size in shape)) for name, shape in shapes.items()}
    specs |= {name: InputSpec(name, _merged(name, triples)) for name, triples in gathered.items()}
    return list(specs.values())


def _merged(name: str, triples: Sequence[Sequence[Sequence[int]]]) -> tuple[int | Range, ...]:
    every = [[int(size) for size in shape] for triple in triples for shape in triple]
    if len({len(shape) for shape in every}) != 1:
        raise InputError(f"the shapes of input {name!r} have different ranks: {every}")
    sizes: list[int | Range] = []
    for axis, best in enumerate(every[1]):
        low, high = min(shape[axis] for shape in every), max(shape[axis] for shape in every)
        sizes.append(low if low == high else Range(low, best, high))
    return tuple(sizes)
