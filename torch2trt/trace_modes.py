"""Modes around a trace: what torch.jit.trace does not follow or cannot hold, and how it does."""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from . import python_ops
from .errors import TraceError
from .torch_compat import (
    Place,
    call_function,
    call_functions_by,
    call_in_trace,
    give_tensors,
    inlined_compilation,
    parse_schema,
    read_checks_by,
    replace_functions,
    schemas_of,
    take_from_tensors,
    traced_value,
    without_tracer_warnings,
)
from .trace_gradients import GradientsTaken, grad
from .trace_numbers import (
    CUTS_OFF,
    FACTOR,
    MULTIPLIES,
    NUMBER_METHODS,
    OF_NUMBERS,
    cut_off,
    interpolate,
    is_size,
    multiplied,
)


def composed_attention() -> contextlib.AbstractContextManager[Any]:
    """Inside a ``with`` block, attention is computed by plain operators."""
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)


_following: list[None] = []
"""One item a block of :func:`followed_calls` that runs now, in any thread."""
_switching = threading.Lock()
_replaced: dict[Place, Callable[..., Any]] = {}
"""What stood in the places of :data:`OF_NUMBERS` before."""


@contextlib.contextmanager
def followed_calls() -> Iterator[None]:
    """Within the block, the tracer follows custom autograd functions, checks of sizes, and what Python rounds.

    Custom autograd functions are their forward, operator by operator: the tracer records a call beside what it does,
    and cannot where a tensor stands in a list or in a module among its arguments. Those that stand for one operator are
    called as they are. ``torch._check`` and its kin, which refuse tensors, look at what a comparison of sizes gives.
    While tracing a size is a tensor, which has no ``round``, ``math.ceil`` or other methods of Python's numbers, and
    which ``min`` and ``max`` compare once and for all.
    """
    with _switching:
        if not _following:
            call_functions_by(_call_inline)
            read_checks_by(_truth)
            give_tensors(NUMBER_METHODS)
            _replaced.update(replace_functions(OF_NUMBERS))
        _following.append(None)
    try:
        yield
    finally:
        with _switching:
            _following.pop()
            if not _following:
                call_functions_by(None)
                read_checks_by(None)
                take_from_tensors(NUMBER_METHODS)
                replace_functions(_replaced)


def _truth(condition: Any) -> Any:
    """A condition of the trace as a bool, which the trace then does not hold."""
    if not (isinstance(condition, torch.Tensor) and torch.jit.is_tracing()):
        return condition
    with without_tracer_warnings():
        return bool(condition)


def _call_inline(function: Any, *args: Any) -> Any:
    # Other threads do not trace, nor does TorchScript's interpreter, which runs the modules that are traced already.
    if not torch.jit.is_tracing() or python_ops.operator_of(function.__module__, function.__name__, args) is not None:
        return call_function(function, *args)
    if function.setup_context is not torch.autograd.Function.setup_context:
        result = function.forward(*args)
    else:
        context = torch.autograd.function.FunctionCtx()
        context.needs_input_grad = (False,) * len(args)  # type: ignore[attr-defined]
        result = function.forward(context, *args)
    if any(isinstance(item, torch.Tensor) and _is_unset(item) for item in _listed(result)):
        raise TraceError(
            f"the custom autograd function {function.__name__} fills its result in compiled code that is no operator "
            "of PyTorch's, which no trace holds",
            hint="make the code an operator (torch.library), and give that a handler or a plugin",
        )
    return result


def _is_unset(tensor: torch.Tensor) -> bool:
    """Whether a tensor is memory that no operator has written to, by what the trace holds."""
    value = traced_value(tensor)
    made = "" if value is None else value.node().kind()
    return re.match(r"aten::(new_)?empty", made) is not None and tensor._version == 0 and tensor.numel() > 0


Remedy = Callable[[], contextlib.AbstractContextManager[Any]]


def remedy_for(error: Exception) -> Remedy | None:
    """The mode inside which a trace that failed may succeed; None when the error is the module's own.

    The tracer writes the ``True`` of ``mask == True`` or ``torch.full(size, True)`` as a bool, and then finds no
    operator that takes one: the scalars of TorchScript are numbers. And it makes a 0-d tensor on the CPU of every
    size, which many operators do not take beside tensors on a GPU. Nor can it hold the attention kernels that return
    sizes, which ``torch.nn.attention.bias`` calls by name on a GPU if they are enabled, nor what ``torch.compile`` made
    of a module.
    """
    text = str(error)
    if "but it isn't a special case" in text and "bool" in text:
        return BoolsAsNumbers
    if "unsupported argument type c10::SymInt in the JIT tracer" in text:
        return composed_attention
    if "dynamo-optimized function" in text:
        return inlined_compilation
    return SizesOnDevice if "Expected all tensors to be on the same device" in text else None


_BOOLS = {value: torch.tensor(value) for value in (False, True)}


@functools.cache
def _number_arguments(name: str) -> dict[str, tuple[int, bool]]:
    """The arguments of the operator ``name`` that take numbers and no bools: position, and whether tensors fit too."""
    types: dict[tuple[str, int], set[str]] = {}
    for schema in schemas_of(f"aten::{name}"):
        if any("Tensor" in result.type for result in schema.returns):
            for index, argument in enumerate(schema.arguments):
                types.setdefault((argument.name, index), set()).add(argument.type.removeprefix("Optional[").rstrip("]"))
    return {
        argument: (index, "Tensor" in kinds)
        for (argument, index), kinds in types.items()
        if "number" in kinds and "bool" not in kinds
    }


class BoolsAsNumbers(TorchFunctionMode):
    """Inside a ``with`` block, gives operators what means the same in place of bools that stand for numbers.

    That is a 0-d bool tensor where the operator takes one, which promotes as the scalar does, and an integer elsewhere.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator."""
        args, kwargs = list(args), dict(kwargs or {})
        name = _operator_name(function)
        for argument, (index, takes_tensor) in _number_arguments(name).items():
            holder, key = (kwargs, argument) if argument in kwargs else (args, index)
            value = holder[key] if holder is kwargs or index < len(args) else None
            if isinstance(value, bool):
                holder[key] = _BOOLS[value].to(_device_of([*args, *kwargs.values()])) if takes_tensor else int(value)
                if isinstance(function, torch._ops.OpOverload):  # the overload for a number takes no tensor
                    function = function.overloadpacket
                if name == "full" and kwargs.get("dtype") is None:
                    kwargs["dtype"] = torch.bool
        return _fill(*args, **kwargs) if function is torch.fill else function(*args, **kwargs)


def _device_of(values: Iterable[Any]) -> torch.device:
    """The device of the first tensor among ``values``, nested or not; the CPU without any."""
    tensors = (value for value in pytree.tree_leaves(list(values)) if isinstance(value, torch.Tensor))
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


class SizesOnDevice(TorchFunctionMode):
    """Inside a ``with`` block, brings 0-d integers on the CPU, such as traced sizes, to the device of what is computed.

    That is, those given to an operator whose first tensor lies on another device and that takes a tensor there.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator."""
        args, kwargs = list(args), dict(kwargs or {})
        device = _device_of([*args, *kwargs.values()])
        if device.type != "cpu":
            for argument, index in _tensor_arguments(_operator_name(function)):
                holder, key = (kwargs, argument) if argument in kwargs else (args, index)
                value = holder[key] if holder is kwargs or index < len(args) else None
                if isinstance(value, torch.Tensor) and is_size(value):
                    holder[key] = value.to(device)
        return function(*args, **kwargs)


@functools.cache
def _tensor_arguments(name: str) -> frozenset[tuple[str, int]]:
    """The arguments of the operator ``name`` that are tensors in one overload at least: name and position."""
    return frozenset(
        (argument.name, index)
        for schema in schemas_of(f"aten::{name}")
        if any("Tensor" in result.type for result in schema.returns)  # no look-up in a dictionary by a tensor
        for index, argument in enumerate(schema.arguments)
        if argument.type in ("Tensor", "Optional[Tensor]") and not argument.written
    )


def _fill(input: torch.Tensor, value: Any) -> torch.Tensor:
    """``torch.fill``, which calls ``full_like`` in a way that no trace can hold."""
    if isinstance(value, torch.Tensor):
        return value.to(input.dtype).expand_as(input).clone()
    return torch.full_like(input, value)


def _operator_name(function: Any) -> str:
    """The name under which the dispatcher may know a function; ``eq`` for ``__eq__``."""
    if isinstance(function, torch._ops.OpOverload):
        return str(function._schema.name).partition("::")[2]
    name = str(getattr(function, "__name__", ""))
    reflected = re.fullmatch(r"__r(and|or|xor|lshift|rshift)__", name)
    if reflected:
        return f"__{reflected[1]}__"
    return name if schemas_of(f"aten::{name}") else name.strip("_")


def _assert_scalar(condition: Any, message: str) -> None:
    """What torch.export makes of checks of sizes and numbers."""
    if not _truth(condition):
        raise RuntimeError(message)


def _binary_cross_entropy(
    input: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> torch.Tensor:
    """``torch.nn.functional.binary_cross_entropy``, which works with the sizes of a weight as with Python ints."""
    if weight is None:
        return torch.nn.functional.binary_cross_entropy(input, target, None, size_average, reduce, reduction)
    if size_average is not None or reduce is not None:
        reduction = torch.nn._reduction.legacy_get_string(size_average, reduce)
    code = torch.nn._reduction.get_enum(reduction)
    loss: torch.Tensor = torch.ops.aten.binary_cross_entropy(input, target, weight.expand_as(target), code)
    return loss


_FOLLOWED: dict[Any, Callable[..., Any]] = {
    torch.nn.functional.interpolate: interpolate,
    torch.nn.functional.binary_cross_entropy: _binary_cross_entropy,
    torch.autograd.grad: grad,
    torch.Tensor.data.__get__: torch.Tensor.detach,  # type: ignore[attr-defined]
    torch.Tensor.__deepcopy__: lambda value, memo: memo.setdefault(id(value), value.clone()),
    torch.ops.aten.sym_size.int: torch.Tensor.size,
    torch.ops.aten.sym_size: torch.Tensor.size,
    torch.ops.aten.size.int: torch.Tensor.size,
    torch.ops.aten.size: torch.Tensor.size,
    torch.ops.aten.sym_numel.default: torch.Tensor.numel,
    torch.ops.aten.sym_numel: torch.Tensor.numel,
    torch.ops.aten.numel: torch.Tensor.numel,
    torch.ops.aten.item.default: lambda value: value.reshape(()),
    torch.ops.aten._assert_scalar.default: _assert_scalar,
    torch.ops.aten._assert_scalar: _assert_scalar,
    torch.sym_max: lambda a, b: torch.maximum(torch.as_tensor(a), torch.as_tensor(b)),
    torch.sym_min: lambda a, b: torch.minimum(torch.as_tensor(a), torch.as_tensor(b)),
}
"""What the tracer follows in place of what it does not: another tensor of the same memory; sizes as Python numbers, and
what torch.export makes of numbers in tensors. (``Tensor.item``, whose result Python code may use, warns.)"""

_RESIZES = frozenset(
    {
        torch.Tensor.resize_,
        *(torch.Tensor.resize_as_, torch.resize_as_),
        *(torch.ops.aten.resize_, torch.ops.aten.resize_.default),
        *(torch.ops.aten.resize_as_, torch.ops.aten.resize_as_.default),
    }
)


class FollowedValues(TorchFunctionMode):
    """Inside a ``with`` block, a trace follows what torch.jit.trace takes for constants.

    That is ``tensor.data``, and numbers that operators are given by ``torch.ops``. While tracing, a size is a 0-d
    tensor. PyTorch's own functions write into the trace where a number that they are given comes from;
    ``torch.ops.aten.roll(x, [x.shape[0]])``, as modules of torch.export do, takes its value alone.

    Args:
        saved: whether the trace follows what autograd saves.
    """

    def __init__(self, saved: bool = False) -> None:
        super().__init__()
        self._saved = saved

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator.

        Raises:
            TraceError: it changes the size of a tensor in place, after which the tracer knows the tensor no more.
            GradientsTaken: it takes a gradient, and the trace does not follow what autograd saves.
        """
        kwargs = kwargs or {}
        if not torch.jit.is_tracing():
            return function(*args, **kwargs)
        if function is torch.autograd.grad and not self._saved:
            raise GradientsTaken
        if function in _FOLLOWED:
            return _FOLLOWED[function](*args, **kwargs)
        if function in _RESIZES:
            return _resized(function, args, kwargs)
        if function in _TENSOR_MAKERS:
            return _made_of_numbers(function, args, kwargs)
        if function in MULTIPLIES:
            return multiplied(function, args, kwargs)
        if function in CUTS_OFF and hasattr(args[0], FACTOR):
            return CUTS_OFF[function](cut_off(args[0]))
        if not isinstance(function, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
            return function(*args, **kwargs)
        given: dict[int | str, Any] = {**dict(enumerate(args)), **kwargs}
        holders = [key for key, value in given.items() if _holds_numbers(value) and _takes_numbers(function, key)]
        followed = {key: _items(given[key]) for key in holders}
        for number in filter(_is_traced_number, itertools.chain.from_iterable(map(_listed, followed.values()))):
            traced_value(number)  # a constant stands before the node that reads it
        given |= {key: _values(items) for key, items in followed.items()}
        positional = [given[index] for index in range(len(args))]
        result = function(*positional, **{key: given[key] for key in kwargs})
        if followed:
            _name_sources(result, followed)
        return result


def _resized(function: Any, args: Any, kwargs: Any) -> Any:
    before = _values(list(args[0].shape))
    after = _values(list(function(torch.empty(before, device="meta"), *args[1:], **kwargs).shape))
    if before != after:
        raise TraceError(
            f"{_operator_name(function)} changes a size in place, from {before} to {after}, which no trace can hold",
            hint="make a new tensor of the size that you need: reshape, slice, or torch.nn.functional.pad",
        )
    return args[0]


_TENSOR_MAKERS = frozenset({torch.tensor, torch.as_tensor, torch.Tensor.new_tensor})


def _made_of_numbers(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What ``torch.tensor`` makes of lists with numbers of the trace, which it takes for constants."""
    names = ("like", "data") if function is torch.Tensor.new_tensor else ("data", "dtype")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    data, like = given.get("data"), given.get("like")
    if not isinstance(data, (list, tuple)) or not any(map(_is_traced_number, pytree.tree_leaves(data))):
        return function(*args, **kwargs)
    with without_tracer_warnings():
        made = pytree.tree_map(lambda leaf: leaf if isinstance(leaf, torch.Tensor) else torch.tensor(leaf), data)
    dtype = given.get("dtype") or (None if like is None else like.dtype)
    if dtype is None:
        dtype = functools.reduce(torch.promote_types, (leaf.dtype for leaf in pytree.tree_leaves(made)))
    device = given.get("device") or (torch.get_default_device() if like is None else like.device)
    return _stacked(made, torch.device(device), dtype)


def _stacked(items: Any, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    if isinstance(items, (list, tuple)):
        return torch.stack([_stacked(item, device, dtype) for item in items])
    return items.to(device, dtype)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _is_traced_number(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dim() == 0 and value.dtype != torch.bool


def _holds_numbers(value: Any) -> bool:
    """Whether an argument is a tensor of numbers that may stand for one or several, or lists such."""
    if isinstance(value, torch.Tensor):
        return value.dim() < 2 and value.dtype != torch.bool
    return isinstance(value, (list, tuple)) and any(map(_is_traced_number, value))


def _items(value: Any) -> Any:
    """A tensor of numbers that stands for a list, as a list."""
    return list(value.unbind()) if isinstance(value, torch.Tensor) and value.dim() == 1 else value


def _values(items: Any) -> Any:
    """Numbers of the trace as Python numbers."""
    with without_tracer_warnings():
        if isinstance(items, (list, tuple)):
            return [item.item() if _is_traced_number(item) else item for item in items]
        return items.item() if _is_traced_number(items) else items


_NUMBERS = re.compile(r"(Optional\[)?(List\[)?(int|float|number|SymInt)\]*")


@functools.cache
def _takes_numbers(function: Any, key: int | str) -> bool:
    """Whether an argument, by its position or name, takes a number or a list of some in every overload for tensors."""
    overloads = [function] if isinstance(function, torch._ops.OpOverload) else _overloads(function)
    types = set()
    for overload in overloads:
        found = [a for index, a in enumerate(overload._schema.arguments) if key in (index, a.name)]
        types |= {str(argument.type) for argument in found}
    types -= {"str", "Optional[str]"}  # TorchScript's split, join and slice of text
    return bool(types) and all(_NUMBERS.fullmatch(each) for each in types)


def _overloads(packet: Any) -> list[Any]:
    return [getattr(packet, name) for name in packet.overloads()]


def _name_sources(result: Any, followed: dict[int | str, Any]) -> None:
    """Put where numbers come from into the node that gave ``result``, in place of their values."""
    first = next((value for value in _listed(result) if isinstance(value, torch.Tensor)), None)
    if first is None:
        return
    node = traced_value(first).node()
    if node.kind() == "prim::ListUnpack":
        node = node.input().node()
    schema = parse_schema(node.schema())
    if schema is None:
        return
    for key, items in followed.items():
        place = key if isinstance(key, int) else schema.argument_names.index(key)
        holder, slots = node, [(place, items)]
        if isinstance(items, (list, tuple)):
            holder, slots = node.inputsAt(place).node(), list(enumerate(items))
        for slot, item in slots:
            if _is_traced_number(item):
                holder.replaceInput(slot, _as_number(item, holder))


def hold_in_trace(value: Any) -> None:
    """Make a tensor that no recorded operator gave a constant of the trace, which then may return it."""
    if isinstance(value, torch.Tensor) and torch.jit.is_tracing():
        traced_value(value)


def _as_number(value: torch.Tensor, reader: Any) -> Any:
    """A 0-d tensor of the trace as a number, made in front of ``reader``."""
    graph = torch._C._get_tracing_state().graph()
    whole = not value.dtype.is_floating_point
    cast = graph.create("aten::Int" if whole else "aten::Float", [traced_value(value)], 1)
    cast.copyMetadata(reader)
    cast.insertBefore(reader)
    cast.output().setType(torch._C.IntType.get() if whole else torch._C.FloatType.get())
    return cast.output()


def written_tensors(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    """The tensors that an operator writes to, those of a list too."""
    schema = function._schema
    if not schema.is_mutable:
        return []
    given = {**dict(zip((argument.name for argument in schema.arguments), args, strict=False)), **kwargs}
    written = [a.name for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    values = [value for name in written if name in given for value in _listed(given[name])]
    return [value for value in values if isinstance(value, torch.Tensor)]


class MemoryBefore(TorchDispatchMode):
    """Keeps what every piece of memory held before the first write to it inside a ``with`` block."""

    def __init__(self) -> None:
        super().__init__()
        self._saved: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator."""
        kwargs = kwargs or {}
        for tensor in written_tensors(function, args, kwargs):
            memory = tensor.untyped_storage()
            self._saved.setdefault(memory._cdata, (memory, memory.clone()))
        return call_in_trace(function, args, kwargs)

    def restore(self, tensor: torch.Tensor) -> bool:
        """Give the tensor's memory its former contents; whether it was written to inside the block."""
        memory, before = self._saved.get(tensor.untyped_storage()._cdata, (None, None))
        if memory is None or before is None:
            return False
        memory.resize_(before.nbytes())
        memory.copy_(before)
        return True
