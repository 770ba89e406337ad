"""What an engine takes and gives, in terms of the module that it came from; stored as JSON, never as code."""

from __future__ import annotations

import base64
import collections
import dataclasses
import keyword
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..binding import bind_arguments
from ..errors import EngineError, InputError
from ..structure import LEAF, Structure, unflatten


@dataclass(frozen=True)
class TensorSpec:
    """One tensor that an engine reads or writes.

    Args:
        name: its name in the network.
        dtype: as torch has it.
        shape: its sizes, -1 for an axis whose size may change.
        given: the dtype that the module takes in its place, where TensorRT lacks it; it is cast then.
    """

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    given: torch.dtype | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        given = {} if self.given is None else {"given": dtype_name(self.given)}
        return {"name": self.name, "dtype": dtype_name(self.dtype), "shape": list(self.shape), **given}

    def __str__(self) -> str:
        return f"{self.name}: {dtype_name(self.dtype)} {list(self.shape)}"


def as_held(given: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A tensor as a network's input of ``dtype`` takes it; complex values with a last axis of real and imaginary part.

    Args:
        given: of a dtype that the network lacks.
        dtype: the input's.
    """
    return torch.view_as_real(given.to(torch.complex64).resolve_conj()) if given.is_complex() else given.to(dtype)


@dataclass(frozen=True, eq=False)
class Source:
    """Where one tensor of the result comes from.

    Args:
        kind: ``output`` of the engine, ``complex`` for one that holds real and imaginary parts along its last axis,
            ``input`` (an argument that the module hands through) or ``constant``.
        index: of the output, or of the leaf among the arguments' leaves.
        value: of a constant, the tensor.
        dtype: what an output is cast to; None to leave it.
    """

    kind: str
    index: int = -1
    value: torch.Tensor | None = None
    dtype: torch.dtype | None = None

    def take(self, leaves: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """The tensor, from the arguments' tensors and the network's outputs.

        Raises:
            EngineError: it is a constant without a value.
        """
        if self.kind == "input":
            return leaves[self.index]
        if self.kind == "constant":
            if self.value is None:
                raise EngineError("a constant of the result has no value")
            # A copy, since the caller may write to what it gets; where the engine's results are.
            return self.value.to(outputs[0].device, copy=True) if outputs else self.value.clone()
        output = outputs[self.index]
        if self.kind == "complex":
            output = torch.view_as_complex(output.contiguous())
        return output if self.dtype is None else output.to(self.dtype)


@dataclass(frozen=True)
class EngineSignature:
    """The call that an engine stands for.

    Args:
        inputs: the network's inputs.
        outputs: the network's outputs.
        arguments: structure of the positional arguments: a tuple with one child an argument.
        argument_names: the parameter names of ``forward``, as many as there are arguments.
        input_of_leaf: for each tensor among the arguments, the index in ``inputs``; None when the network needs it not.
        result: structure of what is returned.
        sources: where each tensor of the result comes from.

    Raises:
        InputError: the parts do not fit each other.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    arguments: Structure
    argument_names: tuple[str, ...]
    input_of_leaf: tuple[int | None, ...]
    result: Structure
    sources: tuple[Source, ...]

    def __post_init__(self) -> None:
        if self.arguments.kind != "tuple" or len(self.arguments.children) != len(self.argument_names):
            raise InputError("a signature needs one argument name for each argument")
        if len(self.input_of_leaf) != len(self.arguments) or len(self.sources) != len(self.result):
            raise InputError("a signature needs one entry for each tensor of the arguments and of the result")
        if {index for index in self.input_of_leaf if index is not None} != set(range(len(self.inputs))):
            raise InputError("a signature needs an argument for each input of the network")
        limits = {"output": len(self.outputs), "complex": len(self.outputs), "input": len(self.input_of_leaf)}
        for source in self.sources:
            known = (
                source.value is not None
                if source.kind == "constant"
                else source.index in range(limits.get(source.kind, 0))
            )
            if not known:
                raise InputError(f"a signature has no {source.kind} {source.index} for its result")

    @classmethod
    def plain(cls, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> EngineSignature:
        """The signature of an engine about which nothing is known but its tensors.

        Its inputs are the arguments, in order and by name; it returns its only output, or a tuple of them.
        """
        leaves = tuple(LEAF for _ in outputs)
        return cls(
            tuple(inputs),
            tuple(outputs),
            Structure("tuple", tuple(LEAF for _ in inputs)),
            tuple(spec.name for spec in inputs),
            tuple(range(len(inputs))),
            LEAF if len(outputs) == 1 else Structure("tuple", leaves),
            tuple(Source("output", index) for index in range(len(outputs))),
        )

    @property
    def is_flat(self) -> bool:
        """Whether every argument is a tensor, and the tensors are the network's inputs in order."""
        flat = all(child == LEAF for child in self.arguments.children)
        return flat and self.input_of_leaf == tuple(range(len(self.inputs)))

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
        """The tensors among the arguments of a call, in the order of the signature's leaves.

        An argument without tensors may be left out: it is the one that the module was converted with.

        Raises:
            InputError: too many arguments, an unknown or missing one, a structure that the module was not converted
                with, or a Python value other than the one that it was converted with; the message names the argument.
        """
        return bind_arguments(self.argument_names, self.arguments, args, kwargs)

    def select_inputs(self, leaves: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The network's inputs among the arguments' tensors.

        Raises:
            InputError: two arguments that were one tensor at conversion are two now.
        """
        chosen: list[torch.Tensor | None] = [None] * len(self.inputs)
        for leaf, index in zip(leaves, self.input_of_leaf, strict=True):
            if index is None:
                continue
            before = chosen[index]
            if before is not None and before is not leaf:
                raise InputError(
                    f"input {self.inputs[index].name!r} was one tensor for several arguments at conversion; "
                    "they are different tensors now",
                    hint="pass the same tensor, or convert again with different ones",
                )
            chosen[index] = leaf
        return [tensor for tensor in chosen if tensor is not None]

    def result_builder(self) -> Callable[[Sequence[torch.Tensor], Sequence[torch.Tensor]], Any]:
        """A function from the arguments' tensors and the engine's outputs to what the module returns."""
        in_order = all(s.kind == "output" and s.index == i and s.dtype is None for i, s in enumerate(self.sources))
        if in_order and len(self.sources) == len(self.outputs):
            if self.result == LEAF:
                return lambda leaves, outputs: outputs[0]
            if self.result == Structure("tuple", tuple(LEAF for _ in self.outputs)):
                return lambda leaves, outputs: tuple(outputs)
        sources, result = self.sources, self.result

        def build(leaves: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> Any:
            return unflatten([source.take(leaves, outputs) for source in sources], result)

        return build

    def to_json(self) -> dict[str, Any]:
        """The signature as JSON values.

        Raises:
            InputError: it holds a constant that is no plain value.
        """
        return {
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
            "arguments": structure_to_json(self.arguments),
            "argument_names": list(self.argument_names),
            "input_of_leaf": list(self.input_of_leaf),
            "result": structure_to_json(self.result),
            "sources": [_source_to_json(source) for source in self.sources],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], types: Sequence[type] = ()) -> EngineSignature:
        """The inverse of :meth:`to_json`.

        Args:
            values: what ``to_json`` gave.
            types: classes of named tuples, dataclasses and mappings in the structures. No class is looked up by a name
                from the file: one that is not given is replaced by a new named tuple, dataclass or dict alike.

        Raises:
            EngineError: ``values`` is no signature.
        """
        classes = {_class_name(cls): cls for cls in types}
        try:
            return cls(
                tuple(_spec_from_json(spec) for spec in values["inputs"]),
                tuple(_spec_from_json(spec) for spec in values["outputs"]),
                structure_from_json(values["arguments"], classes),
                tuple(str(name) for name in values["argument_names"]),
                tuple(None if index is None else int(index) for index in values["input_of_leaf"]),
                structure_from_json(values["result"], classes),
                tuple(_source_from_json(source) for source in values["sources"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
            raise EngineError(f"the signature in the file cannot be read: {type(error).__name__}: {error}") from error


def _spec_from_json(values: Mapping[str, Any]) -> TensorSpec:
    shape = tuple(int(size) for size in values["shape"])
    given = values.get("given")
    return TensorSpec(
        str(values["name"]), dtype_of_name(values["dtype"]), shape, None if given is None else dtype_of_name(given)
    )


def dtype_name(dtype: torch.dtype) -> str:
    """What a file calls a dtype, such as ``float16``."""
    return str(dtype).removeprefix("torch.")


def dtype_of_name(name: Any) -> torch.dtype:
    """The inverse of :func:`dtype_name`.

    Raises:
        ValueError, AttributeError, TypeError: it is the name of no dtype.
    """
    found = getattr(torch, name)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"{name!r} is no dtype")
    return found


def _source_to_json(source: Source) -> dict[str, Any]:
    if source.value is None:
        cast = {} if source.dtype is None else {"dtype": dtype_name(source.dtype)}
        return {"kind": source.kind, "index": source.index, **cast}
    tensor = source.value.detach().cpu().contiguous()
    data = bytes(tensor.reshape(-1).view(torch.uint8).numpy())
    return {
        "kind": source.kind,
        "dtype": dtype_name(tensor.dtype),
        "shape": list(tensor.shape),
        "data": base64.b64encode(data).decode("ascii"),
    }


def _source_from_json(values: Mapping[str, Any]) -> Source:
    if values["kind"] != "constant":
        dtype = dtype_of_name(values["dtype"]) if "dtype" in values else None
        return Source(str(values["kind"]), int(values["index"]), dtype=dtype)
    data = bytearray(base64.b64decode(values["data"], validate=True))
    shape, dtype = [int(size) for size in values["shape"]], dtype_of_name(values["dtype"])
    flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    return Source("constant", value=flat.reshape(shape))


def _class_name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def structure_to_json(structure: Structure) -> Any:
    """A structure as JSON values.

    Raises:
        InputError: it holds a constant or key that is no plain value.
    """
    if structure.kind == "leaf":
        return {"leaf": True}
    if structure.kind == "constant":
        return {"constant": _constant_to_json(structure.value)}
    children = [structure_to_json(child) for child in structure.children]
    if structure.kind in ("tuple", "list"):
        return {structure.kind: children}
    items = [[_constant_to_json(key), child] for key, child in zip(structure.keys, children, strict=True)]
    if structure.type is None:
        return {"dict": items}
    base = "namedtuple" if issubclass(structure.type, tuple) else "attributes"
    if issubclass(structure.type, Mapping):
        base = "mapping"
    elif dataclasses.is_dataclass(structure.type):
        base = "dataclass"
    return {"object": _class_name(structure.type), "base": base, "fields": items}


def structure_from_json(values: Any, classes: Mapping[str, type]) -> Structure:
    """The inverse of :func:`structure_to_json`; ``classes`` holds the known classes by ``module:qualname``."""
    if "leaf" in values:
        return LEAF
    if "constant" in values:
        return Structure("constant", value=_constant_from_json(values["constant"]))
    for kind in ("tuple", "list"):
        if kind in values:
            return Structure(kind, tuple(structure_from_json(child, classes) for child in values[kind]))
    items = values["dict"] if "dict" in values else values["fields"]
    keys = tuple(_constant_from_json(key) for key, _ in items)
    children = tuple(structure_from_json(child, classes) for _, child in items)
    if "dict" in values or (values["base"] == "mapping" and values["object"] not in classes):
        return Structure("dict", children, keys)
    found = classes.get(values["object"]) or _stand_in(values["object"], values["base"], keys)
    return Structure("object", children, keys, type=found)


def _stand_in(name: str, base: str, keys: Sequence[Any]) -> type:
    """A new class with the fields of one that the file names."""
    simple = name.rsplit(":", 1)[-1].rsplit(".", 1)[-1]
    for word in (simple, *keys):
        if not isinstance(word, str) or not word.isidentifier() or keyword.iskeyword(word):
            raise ValueError(f"{word!r} is no field name")
    if base == "dataclass":
        return dataclasses.make_dataclass(simple, list(keys))
    if base == "attributes":
        return type(simple, (), {})
    if base != "namedtuple":
        raise ValueError(f"{base!r} is no kind of class")
    return collections.namedtuple(simple, list(keys))


def _constant_to_json(value: Any) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, complex):
        return {"complex": [repr(value.real), repr(value.imag)]}
    if isinstance(value, torch.dtype):
        return {"dtype": dtype_name(value)}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if type(value) is tuple:
        return {"tuple": [_constant_to_json(item) for item in value]}
    raise InputError(
        f"a value of type {type(value).__name__} in the module's arguments or result cannot be stored in a file",
        hint="None, bool, int, float, complex, str, torch.dtype and torch.device can",
    )


def _constant_from_json(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "float" in value:
        return float(value["float"])
    if "complex" in value:
        return complex(float(value["complex"][0]), float(value["complex"][1]))
    if "dtype" in value:
        return dtype_of_name(value["dtype"])
    if "device" in value:
        return torch.device(value["device"])
    return tuple(_constant_from_json(item) for item in value["tuple"])
