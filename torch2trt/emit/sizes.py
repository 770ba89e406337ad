"""Sizes known at run time only, written as polynomials in the sizes of the network's inputs.

Two sizes of one polynomial are equal at every call, whatever layers lie between them; so a comparison of sizes may be
decided now. The layers are read back from the network in their order, each once; what no rule covers is a size of its
own, equal to itself alone.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..trt_compat import downcast
from .network import declared_shape

_MOST_ELEMENTS = 64
"""Of constants and shape tensors longer than this the elements are not followed."""


class Size:
    """A polynomial with integer coefficients.

    Args:
        terms: the coefficient of each product of variables, which is a sorted tuple of their names.
    """

    def __init__(self, terms: Mapping[tuple[str, ...], int]) -> None:
        self.terms = {names: factor for names, factor in terms.items() if factor}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))

    def __str__(self) -> str:
        return " + ".join("*".join([str(factor), *names]) for names, factor in sorted(self.terms.items())) or "0"

    @property
    def number(self) -> int | None:
        """The value of a constant polynomial."""
        return self.terms.get((), 0) if not any(self.terms) else None

    @property
    def lowest(self) -> int | None:
        """A number that the value is never below, as sizes are never below 0; None where there is none."""
        for names, factor in self.terms.items():
            if names and (factor < 0 or any(name.startswith(_SIGNED) for name in names)):
                return None
        return self.terms.get((), 0)


_SIGNED = "?"
"""How the names begin of variables that may be negative."""


def number(value: int) -> Size:
    """A known size."""
    return Size({(): int(value)})


def variable(name: str) -> Size:
    """A size that is known by its name alone."""
    return Size({(name,): 1})


def add(left: Size, right: Size) -> Size:
    """The sum."""
    return Size({names: left.terms.get(names, 0) + right.terms.get(names, 0) for names in {*left.terms, *right.terms}})


def multiply(left: Size, right: Size) -> Size:
    """The product."""
    terms: Counter[tuple[str, ...]] = Counter()
    for (names, factor), (others, other) in itertools.product(left.terms.items(), right.terms.items()):
        terms[tuple(sorted(names + others))] += factor * other
    return Size(terms)


def subtract(left: Size, right: Size) -> Size:
    """The difference."""
    return add(left, multiply(number(-1), right))


def product(sizes: Sequence[Size]) -> Size:
    """The product of all; 1 for none."""
    result = number(1)
    for size in sizes:
        result = multiply(result, size)
    return result


def floor_divide(left: Size, right: Size) -> Size:
    """The quotient rounded down: a polynomial where it is exact, else a variable of its own."""
    if len(right.terms) == 1:
        [(names, factor)] = right.terms.items()
        terms = {}
        for others, other in left.terms.items():
            rest = Counter(others)
            rest.subtract(names)
            if min(rest.values(), default=0) < 0 or other % factor:
                break
            terms[tuple(sorted(rest.elements()))] = other // factor
        else:
            return Size(terms)
    return variable(f"{_SIGNED}({left})//({right})")


def compare(operation: str, left: Size, right: Size) -> bool | None:
    """``EQUAL``, ``GREATER`` or ``LESS``; None where it depends on the variables."""
    if operation == "LESS":
        left, right = right, left
    above, below = subtract(left, right).lowest, subtract(right, left).lowest
    if operation == "EQUAL":
        different = (above is not None and above > 0) or (below is not None and below > 0)
        return True if left == right else False if different else None
    if above is not None and above > 0:
        return True
    return False if below is not None and below >= 0 else None


def _maximum(left: Size, right: Size) -> Size:
    if compare("LESS", left, right) is False:
        return left
    if compare("GREATER", left, right) is False:
        return right
    return variable(f"{_SIGNED}max({', '.join(sorted([str(left), str(right)]))})")


def _minimum(left: Size, right: Size) -> Size:
    negative = _maximum(multiply(number(-1), left), multiply(number(-1), right))
    return multiply(number(-1), negative)


_ARITHMETIC: dict[str, Callable[[Size, Size], Size]] = {
    "SUM": add,
    "SUB": subtract,
    "PROD": multiply,
    "FLOOR_DIV": floor_divide,
    "MAX": _maximum,
    "MIN": _minimum,
}
_LIKE_FIRST = frozenset(
    {"CAST", "IDENTITY", "UNARY", "ACTIVATION", "SOFTMAX", "SCALE", "NORMALIZATION", "LRN", "CUMULATIVE", "SCATTER"}
    | {"QUANTIZE", "DEQUANTIZE", "REVERSE_SEQUENCE", "PARAMETRIC_RELU"}
)
"""Layers whose output has the sizes of their first input."""


class Sizes:
    """The sizes of one network's tensors.

    Args:
        network: may grow; the layers added since are read when something is asked.
    """

    def __init__(self, network: Any) -> None:
        self._network = network
        self._done = 0
        self._sizes: dict[str, list[Size]] = {}
        self._elements: dict[str, list[Size]] = {}
        self._truths: dict[str, bool] = {}

    def truth(self, condition: Any) -> bool | None:
        """What a boolean ITensor of one element is at every call; None where that is not known."""
        for index in range(self._done, self._network.num_layers):
            self._read(self._network.get_layer(index))
        self._done = self._network.num_layers
        return self._truths.get(condition.name)

    def _read(self, plain: Any) -> None:
        kind, layer = downcast(plain)
        inputs = [layer.get_input(index) for index in range(layer.num_inputs)]
        for output in (layer.get_output(index) for index in range(layer.num_outputs)):
            shape = declared_shape(output)
            if shape is None:
                continue
            if -1 in shape:
                rule = _SIZES.get(kind)
                found = inputs and self.of(inputs[0]) if kind in _LIKE_FIRST else rule and rule(self, layer, inputs)
                self._sizes[output.name] = self._declared(output, found)
            elif len(shape) < 2 and sum(shape) <= _MOST_ELEMENTS and kind in _ELEMENTS:
                _ELEMENTS[kind](self, layer, inputs, output)

    def of(self, tensor: Any) -> list[Size]:
        """One size an axis."""
        return self._sizes.get(tensor.name) or self._declared(tensor, None)

    def _declared(self, tensor: Any, found: Sequence[Size | None] | None) -> list[Size]:
        """The sizes that TensorRT declares; the others as ``found``, or as variables of their own."""
        shape = tuple(tensor.shape)
        known = found if found and len(found) == len(shape) else [None] * len(shape)
        return [
            number(size) if size >= 0 else derived or variable(f"{tensor.name}.{axis}")
            for axis, (size, derived) in enumerate(zip(shape, known, strict=True))
        ]

    def elements(self, tensor: Any) -> list[Size] | None:
        """What an integer tensor of rank 0 or 1 holds; None where that is not followed."""
        found = self._elements.get(tensor.name)
        shape = tuple(tensor.shape)
        if found is None and len(shape) < 2 and 0 <= sum(shape) <= _MOST_ELEMENTS and _is_integer(tensor):
            return [variable(f"{_SIGNED}{tensor.name}[{index}]") for index in range(shape[0] if shape else 1)]
        return found

    def _broadcast(self, layer: Any, inputs: Sequence[Any]) -> list[Size | None]:
        return [_common(sizes) for sizes in zip(*map(self.of, inputs), strict=True)]

    def _product(self, layer: Any, inputs: Sequence[Any]) -> list[Size | None] | None:
        left, right = map(self.of, inputs)
        modes = [layer.op0.name, layer.op1.name]
        if "VECTOR" in modes or len(left) != len(right):
            return None
        rows = left[-1 if modes[0] == "TRANSPOSE" else -2]
        columns = right[-2 if modes[1] == "TRANSPOSE" else -1]
        return [*(_common(sizes) for sizes in zip(left[:-2], right[:-2], strict=True)), rows, columns]

    def _shuffled(self, layer: Any, inputs: Sequence[Any]) -> list[Size] | None:
        sizes = self.of(inputs[0])
        sizes = [sizes[layer.first_transpose[axis]] for axis in range(len(sizes))]
        rank = len(layer.get_output(0).shape)
        if len(inputs) > 1 and inputs[1] is not None:
            wanted = None if layer.zero_is_placeholder else self.elements(inputs[1])  # 0 would be another size
        else:
            given = _dims(layer.reshape_dims)
            wanted = [number(size) for size in given] if given or (given is not None and not rank) else sizes
        if wanted is None:
            return None
        if layer.zero_is_placeholder:
            wanted = [sizes[axis] if size == number(0) else size for axis, size in enumerate(wanted)]
        if number(-1) in wanted:
            rest = floor_divide(product(sizes), product([size for size in wanted if size != number(-1)]))
            wanted = [rest if size == number(-1) else size for size in wanted]
        return [wanted[layer.second_transpose[axis]] for axis in range(rank)] if len(wanted) == rank else None

    def _sliced(self, layer: Any, inputs: Sequence[Any]) -> list[Size] | None:
        listed = len(inputs) < 6 or inputs[5] is None
        return self.elements(inputs[2]) if listed and len(inputs) > 2 and inputs[2] is not None else None

    def _gathered(self, layer: Any, inputs: Sequence[Any]) -> list[Size] | None:
        values, indices = map(self.of, inputs)
        if layer.mode.name == "ELEMENT":
            return indices
        if layer.mode.name != "DEFAULT" or layer.num_elementwise_dims:
            return None
        axis = layer.axis % len(values)
        return [*values[:axis], *indices, *values[axis + 1 :]]

    def _joined(self, layer: Any, inputs: Sequence[Any]) -> list[Size | None]:
        every = list(map(self.of, inputs))
        axis = layer.axis % len(every[0])
        sizes: list[Size | None] = [_common(column) for column in zip(*every, strict=True)]
        sizes[axis] = number(0)
        for other in every:
            sizes[axis] = add(sizes[axis] or number(0), other[axis])
        return sizes

    def _reduced(self, layer: Any, inputs: Sequence[Any]) -> list[Size]:
        reduced = [layer.axes >> axis & 1 for axis in range(len(inputs[0].shape))]
        sizes = [number(1) if gone else size for size, gone in zip(self.of(inputs[0]), reduced, strict=True)]
        return sizes if layer.keep_dims else [size for size, gone in zip(sizes, reduced, strict=True) if not gone]

    def _filled(self, layer: Any, inputs: Sequence[Any]) -> list[Size] | None:
        return self.elements(inputs[0]) if inputs and inputs[0] is not None else None

    def _read_constant(self, layer: Any, inputs: Sequence[Any], output: Any) -> None:
        if output.dtype.name == "BOOL" and not output.shape:
            self._truths[output.name] = bool(layer.weights[0])
        elif _is_integer(output):
            self._elements[output.name] = [number(value) for value in layer.weights]

    def _read_shape(self, layer: Any, inputs: Sequence[Any], output: Any) -> None:
        self._elements[output.name] = self.of(inputs[0])

    def _read_same(self, layer: Any, inputs: Sequence[Any], output: Any) -> None:
        """A layer that hands on its first input: what is followed has no axes to exchange."""
        if inputs[0].name in self._truths and output.dtype == inputs[0].dtype:
            self._truths[output.name] = self._truths[inputs[0].name]
        elements = self.elements(inputs[0])
        if elements is not None and _is_integer(output):
            self._elements[output.name] = elements

    def _read_gather(self, layer: Any, inputs: Sequence[Any], output: Any) -> None:
        values, indices = map(self.elements, inputs)
        if layer.mode.name != "DEFAULT" or len(inputs[0].shape) != 1 or not values or indices is None:
            return
        places = [index.number for index in indices if index.number is not None]
        if len(places) == len(indices) and all(-len(values) <= place < len(values) for place in places):
            self._elements[output.name] = [values[place] for place in places]

    def _read_slice(self, layer: Any, inputs: Sequence[Any], output: Any) -> None:
        values = self.elements(inputs[0])
        if values is None or len(inputs[0].shape) != 1 or any(value is not None for value in inputs[1:]):
            return
        start, size, stride = (_dims(part) for part in (layer.start, layer.shape, layer.stride))
        if start and size and stride:
            places = [start[0] + stride[0] * index for index in range(size[0])]
            if all(0 <= place < len(values) for place in places):
                self._elements[output.name] = [values[place] for place in places]

    def _read_join(self, layer: Any, inputs: Sequence[Any], output: Any) -> None:
        parts = list(map(self.elements, inputs))
        found = [value for part in parts if part is not None for value in part]
        if all(part is not None for part in parts):
            self._elements[output.name] = found

    def _read_elementwise(self, layer: Any, inputs: Sequence[Any], output: Any) -> None:
        operation = layer.op.name
        truths = [self._truths.get(value.name) for value in inputs]
        absorbing = {"AND": False, "OR": True}.get(operation)
        if absorbing is not None and not output.shape:
            if absorbing in truths:
                self._truths[output.name] = absorbing
            elif None not in truths:
                self._truths[output.name] = not absorbing
            return
        left, right = map(self.elements, inputs)
        if left is None or right is None:
            return
        count = max(len(left), len(right))
        pairs = list(zip(left * (count // len(left)), right * (count // len(right)), strict=True)) if count else []
        if operation in ("EQUAL", "GREATER", "LESS"):
            decided = compare(operation, *pairs[0]) if count == 1 else None
            if decided is not None and not output.shape:
                self._truths[output.name] = decided
        elif operation in _ARITHMETIC and _is_integer(output):
            self._elements[output.name] = [_ARITHMETIC[operation](*pair) for pair in pairs]

    def _read_select(self, layer: Any, inputs: Sequence[Any], output: Any) -> None:
        holds = self._truths.get(inputs[0].name)
        if holds is not None and not output.shape:
            self._read_same(layer, inputs[1 if holds else 2 :], output)

    def _read_unary(self, layer: Any, inputs: Sequence[Any], output: Any) -> None:
        if layer.op.name == "NOT" and inputs[0].name in self._truths:
            self._truths[output.name] = not self._truths[inputs[0].name]


def _common(sizes: Sequence[Size]) -> Size | None:
    """What sizes broadcast to; None where that is not known."""
    different = set(sizes) - {number(1)}
    if len(different) > 1:
        return next((size for size in different if size.number is not None), None)
    return different.pop() if different else number(1)


def _is_integer(tensor: Any) -> bool:
    return tensor.dtype.name in ("INT32", "INT64")


def _dims(dims: Any) -> tuple[int, ...] | None:
    """Dimensions as a tuple; None for those that were never set."""
    try:
        return tuple(dims)
    except (TypeError, ValueError):
        return None


_SIZES: dict[str, Callable[..., Sequence[Size | None] | None]] = {
    "ELEMENTWISE": Sizes._broadcast,
    "SELECT": Sizes._broadcast,
    "MATRIX_MULTIPLY": Sizes._product,
    "SHUFFLE": Sizes._shuffled,
    "SLICE": Sizes._sliced,
    "GATHER": Sizes._gathered,
    "CONCATENATION": Sizes._joined,
    "REDUCE": Sizes._reduced,
    "FILL": Sizes._filled,
}
_ELEMENTS: dict[str, Callable[..., None]] = {
    "CONSTANT": Sizes._read_constant,
    "SHAPE": Sizes._read_shape,
    "SHUFFLE": Sizes._read_same,
    "CAST": Sizes._read_same,
    "IDENTITY": Sizes._read_same,
    "GATHER": Sizes._read_gather,
    "SLICE": Sizes._read_slice,
    "CONCATENATION": Sizes._read_join,
    "ELEMENTWISE": Sizes._read_elementwise,
    "UNARY": Sizes._read_unary,
    "SELECT": Sizes._read_select,
}
