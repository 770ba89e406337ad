"""Axes whose size may change from call to call.

``dynamic_shapes={"image": {0: (1, 4, 16), 2: (64, 224, 512)}}`` gives minimum, optimum and maximum of each such axis,
by input name. Axes that are equal by contract share a name: ``{"image": {0: ("batch", 1, 4, 16)}, "mask": {0:
"batch"}}``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from . import trt_compat
from .arguments import whole_number
from .errors import InputError
from .structure import Placeholder

DynamicShapes = Mapping[str, Mapping[int, Any]]


@dataclass(frozen=True)
class Range:
    """The sizes that an axis may have.

    Args:
        min: the smallest.
        opt: the one that the engine is tuned for.
        max: the largest.
        name: shared by axes that always have the same size; empty for an axis of its own.
    """

    min: int
    opt: int
    max: int
    name: str = ""


@dataclass(frozen=True)
class Input(Placeholder):
    """One network input, described instead of shown: an alternative to an example tensor.

    Args:
        name: the input's name.
        min: the smallest shape.
        opt: the shape that the engine is tuned for, and that is traced; ``min`` if left out.
        max: the largest shape; ``opt`` if left out.
        dtype: the data type.

    Raises:
        InputError: an argument is of another type, or a size is negative.
    """

    name: str
    min: tuple[int, ...]
    opt: tuple[int, ...] | None = None
    max: tuple[int, ...] | None = None
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"an input's name is text, not {self.name!r}")
        for which in ("min", "opt", "max"):
            shape = getattr(self, which)
            if not _is_shape(shape) and (shape is not None or which == "min"):
                raise InputError(f"input {self.name!r}: {which}={shape!r} is no shape", hint="write it as (1, 3, 224)")
        if not isinstance(self.dtype, torch.dtype):
            raise InputError(f"input {self.name!r}: dtype={self.dtype!r} is none of torch's, such as torch.float32")

    def example(self) -> torch.Tensor:
        """A tensor of the optimal shape: uniform in [0, 1), as are both parts of complex values; else zeros."""
        shape = self.shape
        if self.dtype.is_complex:
            return torch.rand(shape, dtype=self.dtype, generator=torch.Generator().manual_seed(0))
        if self.dtype.is_floating_point:
            return torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(self.dtype)
        return torch.zeros(shape, dtype=self.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that is traced."""
        return self.min if self.opt is None else self.opt

    def ranges(self) -> dict[int, tuple[int, int, int]]:
        """The axes whose size may change, with minimum, optimum and maximum."""
        highest = self.shape if self.max is None else self.max
        if not len(self.min) == len(self.shape) == len(highest):
            raise InputError(f"input {self.name!r}: min, opt and max have different ranks")
        limits = enumerate(zip(self.min, self.shape, highest, strict=True))
        return {axis: sizes for axis, sizes in limits if len(set(sizes)) > 1}


def _is_shape(value: Any) -> bool:
    sizes = [whole_number(size) for size in value] if isinstance(value, (tuple, list)) else [None]
    return all(size is not None and size >= 0 for size in sizes)


def parse_dynamic_shapes(
    dynamic_shapes: DynamicShapes | None, names: Sequence[str], leaves: Sequence[Any]
) -> dict[str, dict[int, Range]]:
    """The ranges by input name and axis (counted from the front).

    Raises:
        InputError: an input or axis does not exist, or the sizes are no whole numbers, not ordered, or exclude the
            example.
    """
    described = {leaf.name: leaf.ranges() for leaf in leaves if isinstance(leaf, Input)}
    dynamic_shapes = {**described, **_axes_by_input("dynamic_shapes", dynamic_shapes)}
    named: dict[str, Range] = {}
    for name, axes in dynamic_shapes.items():
        for spec in axes.values():
            if isinstance(spec, (tuple, list)) and len(spec) == 4:
                limits = _range(name, spec, {})
                named[limits.name] = limits
    result: dict[str, dict[int, Range]] = {}
    for name, axes in dynamic_shapes.items():
        if name not in names:
            raise InputError(f"dynamic_shapes names {name!r}; the inputs are {', '.join(names)}")
        leaf = leaves[list(names).index(name)]
        result[name] = {_axis(name, axis, len(leaf.shape)): _range(name, spec, named) for axis, spec in axes.items()}
        for axis, limits in result[name].items():
            size = leaf.shape[axis]
            if size >= 0 and not limits.min <= size <= limits.max:
                raise InputError(f"input {name!r}: the example's size {size} of axis {axis} is outside {limits}")
    return result


def parse_profile(
    profile: DynamicShapes, ranges: Mapping[str, Mapping[int, Range]], shapes: Mapping[str, Sequence[int]]
) -> dict[str, dict[int, Range]]:
    """The ranges of one optimisation profile, within those of the conversion.

    Args:
        profile: narrower ranges by input name and axis, written as ``dynamic_shapes`` is; what is left out has the
            range of the conversion, or that of another axis of the same name.
        ranges: the dynamic axes of the conversion.
        shapes: of the inputs in the network; a fixed size may be repeated as a range.

    Raises:
        InputError: an input or axis is not dynamic, or a range is malformed or not within that of the conversion.
    """
    result = {name: dict(axes) for name, axes in ranges.items()}
    shared: dict[str, Range] = {}
    for name, axes in _axes_by_input("a profile", profile).items():
        if not ranges.get(name):
            dynamic = ", ".join(other for other in ranges if ranges[other]) or "none"
            raise InputError(f"a profile names {name!r}; the inputs with dynamic axes are: {dynamic}")
        for axis, spec in axes.items():
            place, limits = _axis(name, axis, len(shapes[name])), _range(name, spec, shared)
            if place not in ranges[name]:
                size = shapes[name][place]
                if {limits.min, limits.max} != {size}:
                    raise InputError(f"a profile changes axis {axis} of input {name!r}, which is fixed at {size}")
                continue
            whole = ranges[name][place]
            if limits.min < whole.min or limits.max > whole.max:
                raise InputError(f"input {name!r}, axis {axis}: {limits} of a profile is not within {whole}")
            result[name][place] = Range(limits.min, limits.opt, limits.max, whole.name)
            if whole.name:
                shared[whole.name] = result[name][place]
    return {
        name: {axis: shared.get(limits.name, limits) if limits.name else limits for axis, limits in axes.items()}
        for name, axes in result.items()
    }


_FORM = 'write {"image": {0: (1, 4, 16)}}: smallest, optimal and largest size of an axis, by input name'


def _axes_by_input(argument: str, given: Any) -> dict[str, Mapping[int, Any]]:
    """The specifications of axes, by input name, that an argument gives; none for None."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputError(f"{argument} is {type(given).__name__}, not a dict of axes by input name", hint=_FORM)
    for name, axes in given.items():
        if not isinstance(axes, Mapping):
            raise InputError(f"{argument} of input {name!r} is {axes!r}, not a dict of sizes by axis", hint=_FORM)
    return dict(given)


def _axis(name: str, axis: Any, rank: int) -> int:
    number = whole_number(axis)
    if number is None:
        raise InputError(f"input {name!r}: axis {axis!r} is no number", hint='names go to sizes: {0: ("batch", 1, 4)}')
    if not -rank <= number < rank:
        raise InputError(f"input {name!r} has no axis {axis}: its rank is {rank}")
    return number % rank


def _range(name: str, spec: Any, named: Mapping[str, Range]) -> Range:
    if isinstance(spec, Range):
        spec = (spec.name, spec.min, spec.opt, spec.max) if spec.name else (spec.min, spec.opt, spec.max)
    if isinstance(spec, str):
        if spec not in named:
            raise InputError(f"input {name!r}: no axis gives sizes to {spec!r}", hint='write ("batch", 1, 4, 16) once')
        return named[spec]
    if not isinstance(spec, (tuple, list)) or len(spec) not in (3, 4):
        raise InputError(f"input {name!r}: {spec!r} is not (min, opt, max)")
    *label, low, best, high = spec
    sizes = [size for size in map(whole_number, (low, best, high)) if size is not None]
    if len(sizes) < 3 or not all(isinstance(text, str) for text in label):
        raise InputError(
            f'input {name!r}: {spec!r} is not (min, opt, max) or ("batch", min, opt, max) in whole numbers'
        )
    limits = Range(sizes[0], sizes[1], sizes[2], "".join(label))
    limits = named.get(limits.name, limits) if label else limits
    if not 0 <= limits.min <= limits.opt <= limits.max:
        raise InputError(f"input {name!r}: {limits} is not ordered min <= opt <= max")
    return limits


@dataclass(frozen=True)
class Alternatives:
    """The example tensors at other sizes along every dynamic axis.

    Args:
        tensors: at sizes of the ranges that differ from the examples'; these must be possible.
        third: at the smallest odd sizes that neither of the two has, else at even ones; None where there are none.
        in_step: the same, but at multiples of a number that the limits of an axis are multiples of.
        examples: the tensors that are traced.
        ranges: the dynamic axes of each.
    """

    tensors: list[torch.Tensor]
    third: list[torch.Tensor] | None
    in_step: list[torch.Tensor] | None
    examples: Sequence[torch.Tensor]
    ranges: Sequence[Mapping[int, Range]]

    @property
    def names(self) -> dict[tuple[int, int], str]:
        """Of the axes in ranges, by the input's place and the axis; those that share one always have the same size."""
        axes = ((place, axis, limits) for place, axes in enumerate(self.ranges) for axis, limits in axes.items())
        return {(place, axis): limits.name or f"axis {axis} of {place}" for place, axis, limits in axes}

    def apart(self, place: int, axis: int) -> list[list[torch.Tensor]]:
        """An axis, and those of its name, at the largest size with the others at their smallest, and the reverse.

        The smallest are 2 at least, where the ranges allow it: 1 would broadcast.
        """
        names = self.names
        alike = {other for other, name in names.items() if name == names[place, axis]}
        return [self._extremes(alike, largest) for largest in (True, False)]

    def of_one(self) -> list[list[torch.Tensor]]:
        """The axes that may have size 1 at that, and all others as in the examples.

        Axes of one range and one size in the examples go together, with the same name or without: they may have to be
        of one size, which not every operator of PyTorch checks.
        """
        alike: dict[Any, set[tuple[int, int]]] = {}
        for place, axes in enumerate(self.ranges):
            for axis, limits in axes.items():
                sizes = self.examples[place].shape[axis], self.tensors[place].shape[axis]
                if limits.min <= 1 and 1 not in sizes:
                    alike.setdefault((limits.min, limits.opt, limits.max, *sizes), set()).add((place, axis))
        return [
            [
                _resized(example, {axis: 1 for axis in self.ranges[place] if (place, axis) in chosen})
                for place, example in enumerate(self.examples)
            ]
            for chosen in alike.values()
        ]

    def _extremes(self, axes: set[tuple[int, int]], largest: bool) -> list[torch.Tensor]:
        """The axes at their largest sizes and all others at their smallest, or the reverse."""
        tensors = []
        for place, (example, ranges) in enumerate(zip(self.examples, self.ranges, strict=True)):
            sizes = {
                axis: limits.max if ((place, axis) in axes) == largest else min(max(limits.min, 2), limits.max)
                for axis, limits in ranges.items()
            }
            tensors.append(_resized(example, sizes))
        return tensors


def alternative_inputs(
    leaves: Sequence[Any], examples: Sequence[torch.Tensor], ranges: Sequence[Mapping[int, Range]]
) -> Alternatives | None:
    """The examples at other sizes; None when no axis is dynamic.

    Args:
        leaves: the inputs; a ``trt.ITensor`` is dynamic where its size is -1.
        examples: the tensors that are traced.
        ranges: the dynamic axes of each input.
    """
    triples = list(zip(leaves, examples, ranges, strict=True))
    others = [_at_other_sizes(leaf, example, axes) for leaf, example, axes in triples]
    if not _any_differs(others, examples):
        return None
    third, in_step = (
        [
            _at_third_sizes(example, other, axes, steps)
            for (_, example, axes), other in zip(triples, others, strict=True)
        ]
        for steps in (False, True)
    )
    return Alternatives(
        others,
        third if _any_differs(third, examples) else None,
        in_step if _any_differs(in_step, examples) else None,
        examples,
        ranges,
    )


def _any_differs(tensors: Sequence[torch.Tensor], examples: Sequence[torch.Tensor]) -> bool:
    return any(tensor is not example for tensor, example in zip(tensors, examples, strict=True))


def _at_other_sizes(leaf: Any, example: torch.Tensor, axes: Mapping[int, Range]) -> torch.Tensor:
    sizes = {axis: _other_size(example.shape[axis], limits) for axis, limits in axes.items()}
    if trt_compat.is_tensor(leaf):
        sizes |= {axis: example.shape[axis] * 3 // 2 for axis, size in enumerate(leaf.shape) if size < 0}
    return _resized(example, sizes)


def _at_third_sizes(
    example: torch.Tensor, other: torch.Tensor, axes: Mapping[int, Range], in_step: bool = False
) -> torch.Tensor:
    """The example at odd sizes where there are any; ``in_step``, at multiples of what all limits of an axis are."""
    sizes = {}
    for axis, limits in axes.items():
        taken = (example.shape[axis], other.shape[axis])
        step = max(1, math.gcd(limits.min, limits.opt, limits.max)) if in_step else 1
        all_sizes = range(-(-max(limits.min, 2) // step) * step, limits.max + 1, step)
        odd = range(max(limits.min, 3) | 1, limits.max + 1, 2) if step == 1 else ()
        left = (size for size in itertools.chain(odd, all_sizes) if size not in taken)
        sizes[axis] = next(left, example.shape[axis])
    return _resized(example, sizes)


def _resized(example: torch.Tensor, sizes: Mapping[int, int]) -> torch.Tensor:
    """The example at other sizes, of its own values in their order, taken evenly.

    Indices stay in range, offsets sorted, and a mask has both kinds of places still. An empty one gives zeros.
    """
    if not example.numel():
        return example.new_zeros([sizes.get(axis, size) for axis, size in enumerate(example.shape)])
    for axis, size in sizes.items():
        before = example.shape[axis]
        if size != before:
            places = torch.arange(size, device=example.device) * before // size
            example = example.index_select(axis, places)
    return example


def made_regular(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The tensors, with 1 added to the diagonal of matrices in each row or column that repeats the one before.

    At larger sizes than the example's they do: what has an inverse, or a Cholesky factor, then has none.
    """
    return [_without_repeats(tensor) for tensor in tensors]


def _without_repeats(value: torch.Tensor) -> torch.Tensor:
    if value.dim() < 2 or not value.numel() or not value.dtype.to_real().is_floating_point:
        return value
    rows, columns = (_repeats(value.movedim(axis, 0).flatten(1)) for axis in (-2, -1))
    places = torch.eye(len(rows), len(columns), dtype=torch.bool, device=value.device)
    places &= rows.unsqueeze(1) | columns
    return value + places if places.any() else value


def _repeats(rows: torch.Tensor) -> torch.Tensor:
    """Which row is the one before once more."""
    same = (rows[1:] == rows[:-1]).all(1)
    return torch.cat([same.new_zeros(1), same])


def _other_size(size: int, limits: Range) -> int:
    """A size in the range that differs from ``size``; 1 only if there is no other, since it would broadcast."""
    candidates = [limits.opt, limits.max, limits.min]
    return next(
        (other for other in candidates if other != size and other > 1),
        next((other for other in candidates if other != size), size),
    )
