"""The one place that uses torch's private or version-bound interfaces."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from .errors import DtypeError, TraceError


@dataclass(frozen=True)
class Argument:
    """One argument or result of an operator schema.

    Args:
        name: as in the schema; empty for most results.
        type: such as ``Tensor``, ``List[int]``, ``Optional[ScalarType]``.
        default: the default value, meaningful where ``has_default``.
        has_default: whether it may be left out.
        keyword_only: whether it follows the ``*``.
        alias: the names of the alias sets it belongs to; empty when it aliases nothing.
        written: whether the operator writes to it.
    """

    name: str
    type: str
    default: Any
    has_default: bool
    keyword_only: bool
    alias: frozenset[str]
    written: bool

    @property
    def is_dtype(self) -> bool:
        """Whether integers given for it are dtypes."""
        return "ScalarType" in self.type


@dataclass(frozen=True)
class Schema:
    """An operator's signature, as the dispatcher declares it."""

    name: str
    overload: str
    arguments: tuple[Argument, ...]
    returns: tuple[Argument, ...]
    text: str

    @functools.cached_property
    def argument_names(self) -> tuple[str, ...]:
        """The names in order."""
        return tuple(argument.name for argument in self.arguments)

    @functools.cached_property
    def mutates(self) -> bool:
        """Whether an argument is written to."""
        return any(argument.written for argument in self.arguments)

    @functools.cached_property
    def positional_count(self) -> int:
        """How many leading arguments are positional."""
        return sum(not argument.keyword_only for argument in self.arguments)


def without_writes(schema: Schema) -> Schema:
    """The schema of a call that writes to none of its arguments, although the operator may."""
    kept = tuple(dataclasses.replace(argument, alias=frozenset(), written=False) for argument in schema.arguments)
    return dataclasses.replace(schema, arguments=kept)


def _argument(raw: Any) -> Argument:
    alias = raw.alias_info
    return Argument(
        name=raw.name or "",
        type=str(raw.real_type),
        default=raw.default_value,
        has_default=raw.has_default_value(),
        keyword_only=raw.kwarg_only,
        alias=frozenset(alias.before_set) if alias else frozenset(),
        written=bool(alias and alias.is_write),
    )


@functools.cache
def parse_schema(text: str) -> Schema | None:
    """The schema written in ``text``; None when the text is none (prim nodes have none)."""
    if "->" not in text:
        return None
    raw = torch._C.parse_schema(text)
    return Schema(
        raw.name,
        raw.overload_name,
        tuple(_argument(argument) for argument in raw.arguments),
        tuple(_argument(result) for result in raw.returns),
        text,
    )


@functools.cache
def operator(name: str, overload: str) -> Callable[..., Any] | None:
    """The operator ``name.overload`` as a Python callable; None when torch has none."""
    try:
        found = torch._C._get_operation_overload(name, overload)
    except RuntimeError:
        return None
    return None if found is None else found[0]


@functools.cache
def is_random(name: str, overload: str) -> bool:
    """Whether the operator draws random numbers."""
    try:
        found = torch._C._get_operation_overload(name, overload)
    except RuntimeError:
        return False
    return found is not None and torch.Tag.nondeterministic_seeded in found[2]


@functools.cache
def schemas_of(name: str) -> tuple[Schema, ...]:
    """The schemas of every overload that torch has registered for ``name``."""
    parsed = (parse_schema(str(raw)) for raw in torch._C._jit_get_schemas_for_operator(name))
    return tuple(schema for schema in parsed if schema is not None)


@functools.cache
def schema_of(name: str, overload: str) -> Schema | None:
    """The schema that torch has registered for ``name.overload``; None when there is none."""
    return next((schema for schema in schemas_of(name) if schema.overload == overload), None)


_ALIASES = {
    f"aten::{alias}{suffix}": f"aten::{name}{suffix}"
    for suffix in ("", "_")
    for name, aliases in {
        "abs": "absolute",
        "acos": "arccos",
        "acosh": "arccosh",
        "asin": "arcsin",
        "asinh": "arcsinh",
        "atan": "arctan",
        "atanh": "arctanh",
        "clamp": "clip",
        "deg2rad": "radians",
        "linalg_det": "det",
        "div": "divide true_divide",
        "ge": "greater_equal",
        "gt": "greater",
        "le": "less_equal",
        "lt": "less",
        "movedim": "moveaxis",
        "mul": "multiply",
        "ne": "not_equal",
        "neg": "negative",
        "outer": "ger",
        "rad2deg": "degrees",
        "sub": "subtract",
        "transpose": "swapaxes swapdims",
        "trunc": "fix",
        "vstack": "row_stack",
        "cat": "concat concatenate",
        "mH": "adjoint",
        "linalg_inv": "inverse",
        "linalg_householder_product": "orgqr",
        "linalg_matrix_exp": "matrix_exp",
        "matmul": "linalg_matmul",
        "sigmoid": "special_expit",
        "digamma": "special_digamma special_psi",
        "lgamma": "special_gammaln",
        "mvlgamma": "special_multigammaln",
        "igamma": "special_gammainc",
        "igammac": "special_gammaincc",
        **{
            name: f"special_{name}"
            for name in (
                *("erf", "erfc", "erfinv", "exp2", "expm1", "i0", "log1p", "log_softmax", "logit", "logsumexp"),
                *("polygamma", "round", "sinc", "softmax", "xlogy"),
            )
        },
    }.items()
    for alias in aliases.split()
}


def canonical_schema(schema: Schema) -> Schema:
    """The schema of the operator that this one is only another name of; itself when it is no alias.

    torch.jit.trace replaces aliases by these names in the outermost forward alone.
    """
    name = _ALIASES.get(schema.name)
    types = [argument.type for argument in schema.arguments]
    for other in schemas_of(name) if name else ():
        if [argument.type for argument in other.arguments] == types:
            return other
    return schema


_DTYPES: tuple[torch.dtype, ...] = (
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.float32,
    torch.float64,
    torch.complex32,
    torch.complex64,
    torch.complex128,
    torch.bool,
    torch.qint8,
    torch.quint8,
    torch.qint32,
    torch.bfloat16,
)
_LATER_DTYPES = {
    16: "quint4x2",
    17: "quint2x4",
    18: "bits1x8",
    19: "bits2x4",
    20: "bits4x2",
    21: "bits8",
    22: "bits16",
    23: "float8_e5m2",
    24: "float8_e4m3fn",
    25: "float8_e5m2fnuz",
    26: "float8_e4m3fnuz",
    27: "uint16",
    28: "uint32",
    29: "uint64",
    44: "float8_e8m0fnu",
    45: "float4_e2m1fn_x2",
}


def dtype_of_code(code: int) -> torch.dtype:
    """The dtype that TorchScript writes as the integer ``code`` (c10/core/ScalarType.h).

    Raises:
        DtypeError: this version of torch has no name for it.
    """
    found = _DTYPES[code] if code < len(_DTYPES) else getattr(torch, _LATER_DTYPES.get(code, ""), None)
    if not isinstance(found, torch.dtype):
        raise DtypeError(f"the trace holds a dtype of number {code}, which torch {torch.__version__} has no name for")
    return found


_NARROWER = {torch.float64: torch.float32, torch.int64: torch.int32, torch.complex128: torch.complex64}


def wrapped_number(tensor: torch.Tensor) -> int | float | bool | complex | None:
    """The Python scalar that a traced 0-d constant was; None when it was a tensor.

    The tracer writes ``x * 0.5`` with a 0-d float64 constant that still carries torch's mark for Python scalars, which
    gives it the lowest priority in type promotion. The mark shows in what it promotes to.
    """
    if tensor.dim() or tensor.device.type != "cpu":
        return None
    probe = {torch.float64: torch.float32, torch.int64: torch.int32, torch.complex128: torch.complex64}.get(
        tensor.dtype
    )
    if probe is None or torch.result_type(tensor, torch.empty((), dtype=probe)) != probe:
        return None
    return tensor.item()


_OWN_DEPRECATION = re.compile(r"`torch\.jit\.\w+` is (deprecated|not supported)")


@contextlib.contextmanager
def tracing_mode() -> Iterator[list[warnings.WarningMessage]]:
    """Everything a trace needs switched and put back: no grad, the composed attention path, the random state.

    Yields:
        the warnings that were raised inside, without those on the tracer's own deprecation.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    # A weight that autocast has cast before would enter the trace as a constant without a name.
    cached = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    torch.clear_autocast_cache()
    # Without it nn.MultiheadAttention traces to one fused op that hides its projections.
    torch.backends.mha.set_fastpath_enabled(False)
    caught: list[warnings.WarningMessage] = []
    try:
        with torch.random.fork_rng(), torch.no_grad(), warnings.catch_warnings():
            raised: list[warnings.WarningMessage] = []
            warnings.simplefilter("always")
            warnings.showwarning = functools.partial(_record, raised)
            try:
                yield caught
            finally:
                caught.extend(
                    w
                    for w in raised
                    if not re.match(r"`torch\.jit\.\w+` is (deprecated|not supported)", str(w.message))
                )
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        torch.set_autocast_cache_enabled(cached)


def _record(
    raised: list[warnings.WarningMessage],
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Keep a warning; one that was raised by a call that a mode of this module passed on is the caller's."""
    if filename == __file__:
        frame = sys._getframe()
        while frame.f_back is not None and frame.f_globals.get("__name__") in (__name__, "warnings", "_py_warnings"):
            frame = frame.f_back
        filename, lineno = frame.f_code.co_filename, frame.f_lineno
    raised.append(warnings.WarningMessage(message, category, filename, lineno, file, line))


def trace(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.jit.ScriptModule:
    """torch.jit.trace without its second, checking run."""
    try:
        return torch.jit.trace(module, inputs, check_trace=False, strict=False)
    except Exception:
        hidden = _raising_properties(module)
        if not hidden:
            raise
    with _hidden(hidden):
        return torch.jit.trace(module, inputs, check_trace=False, strict=False)


def _raising_properties(module: torch.nn.Module) -> dict[torch.nn.Module, set[str]]:
    """The properties of submodules that raise: the tracer reads every attribute of a module, also one of no use."""
    found: dict[torch.nn.Module, set[str]] = {}
    for child in module.modules():
        for name in dir(type(child)):
            if isinstance(getattr(type(child), name), property):
                try:
                    hasattr(child, name)
                except Exception:
                    found.setdefault(child, set()).add(name)
    return found


@contextlib.contextmanager
def _hidden(properties: dict[torch.nn.Module, set[str]]) -> Iterator[None]:
    """Within the block, leave properties out of what ``dir`` lists of their modules."""
    before = {module: type(module) for module in properties}
    try:
        for module, names in properties.items():
            kind = type(module)
            shown = sorted(set(dir(module)) - names)
            module.__class__ = type(kind.__name__, (kind,), {"__dir__": lambda _, s=shown: s})
        yield
    finally:
        for module, kind in before.items():
            module.__class__ = kind


def composed_attention() -> contextlib.AbstractContextManager[Any]:
    """Inside a ``with`` block, attention is computed by plain operators."""
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)


Remedy = Callable[[], contextlib.AbstractContextManager[Any]]


def remedy_for(error: Exception) -> Remedy | None:
    """The mode inside which a trace that failed may succeed; None when the error is the module's own.

    The tracer writes the ``True`` of ``mask == True`` or ``torch.full(size, True)`` as a bool, and then finds no
    operator that takes one: the scalars of TorchScript are numbers. And it makes a 0-d tensor on the CPU of every
    size, which many operators do not take beside tensors on a GPU. Nor can it hold the attention kernels that return
    sizes, which ``torch.nn.attention.bias`` calls by name on a GPU if they are enabled.
    """
    text = str(error)
    if "but it isn't a special case" in text and "bool" in text:
        return BoolsAsNumbers
    if "unsupported argument type c10::SymInt in the JIT tracer" in text:
        return composed_attention
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
                if isinstance(value, torch.Tensor) and _is_size(value):
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


def _is_size(value: torch.Tensor) -> bool:
    return value.dim() == 0 and value.dtype == torch.int64 and value.device.type == "cpu"


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


def call_in_trace(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """An operator, called in a dispatch mode so that a trace around the mode is as it would be without it.

    The tracer records a convolution where the operator that was called calls another one, and PyTorch keeps it from
    seeing anything inside a mode.
    """
    if torch._C._get_tracing_state() is None:
        return function(*args, **kwargs)
    excluded = torch._C._dispatch_tls_local_exclude_set().remove("Tracer")
    with torch._C._ForceDispatchKeyGuard(torch._C._dispatch_tls_local_include_set(), excluded):
        return function(*args, **kwargs)


_FOLLOWED: dict[Any, Callable[..., Any]] = {
    torch.Tensor.data.__get__: torch.Tensor.detach,  # type: ignore[attr-defined]
    torch.ops.aten.sym_size.int: torch.Tensor.size,
    torch.ops.aten.sym_size: torch.Tensor.size,
    torch.ops.aten.size.int: torch.Tensor.size,
    torch.ops.aten.size: torch.Tensor.size,
    torch.ops.aten.sym_numel.default: torch.Tensor.numel,
    torch.ops.aten.sym_numel: torch.Tensor.numel,
    torch.ops.aten.numel: torch.Tensor.numel,
    torch.sym_max: lambda a, b: torch.maximum(torch.as_tensor(a), torch.as_tensor(b)),
    torch.sym_min: lambda a, b: torch.minimum(torch.as_tensor(a), torch.as_tensor(b)),
}
"""What the tracer follows in place of what it does not: another tensor of the same memory, sizes as Python numbers."""

_RESIZES = frozenset(
    {
        torch.Tensor.resize_,
        torch.Tensor.resize_as_,
        *(torch.ops.aten.resize_, torch.ops.aten.resize_.default),
        *(torch.ops.aten.resize_as_, torch.ops.aten.resize_as_.default),
    }
)


class FollowedValues(TorchFunctionMode):
    """Inside a ``with`` block, a trace follows what torch.jit.trace takes for constants.

    That is ``tensor.data``, and numbers that operators are given by ``torch.ops``. While tracing, a size is a 0-d
    tensor. PyTorch's own functions write into the trace where a number that they are given comes from;
    ``torch.ops.aten.roll(x, [x.shape[0]])``, as modules of torch.export do, takes its value alone.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator.

        Raises:
            TraceError: it changes the size of a tensor in place, after which the tracer knows the tensor no more.
        """
        kwargs = kwargs or {}
        if not torch.jit.is_tracing():
            return function(*args, **kwargs)
        if function in _FOLLOWED:
            return _FOLLOWED[function](*args, **kwargs)
        if function in _RESIZES:
            return _resized(function, args, kwargs)
        if not isinstance(function, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
            return function(*args, **kwargs)
        given: dict[int | str, Any] = {**dict(enumerate(args)), **kwargs}
        holders = [key for key, value in given.items() if _holds_numbers(value) and _takes_numbers(function, key)]
        followed = {key: _items(given[key]) for key in holders}
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
    """Numbers of the trace as Python numbers; the tracer's warning says what is mended right after."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
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
    node = _traced(first).node()
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


def _traced(tensor: torch.Tensor) -> Any:
    return torch._C._get_value_trace(tensor)  # type: ignore[attr-defined]


def hold_in_trace(value: Any) -> None:
    """Make a tensor that no recorded operator gave a constant of the trace, which then may return it."""
    if isinstance(value, torch.Tensor) and torch.jit.is_tracing():
        _traced(value)


def _as_number(value: torch.Tensor, reader: Any) -> Any:
    """A 0-d tensor of the trace as a number, made in front of ``reader``."""
    graph = torch._C._get_tracing_state().graph()
    whole = not value.dtype.is_floating_point
    cast = graph.create("aten::Int" if whole else "aten::Float", [_traced(value)], 1)
    cast.copyMetadata(reader)
    cast.insertBefore(reader)
    cast.output().setType(torch._C.IntType.get() if whole else torch._C.FloatType.get())
    return cast.output()


class MemoryBefore(TorchDispatchMode):
    """Keeps what every piece of memory held before the first write to it inside a ``with`` block."""

    def __init__(self) -> None:
        super().__init__()
        self._saved: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator."""
        kwargs = kwargs or {}
        schema = function._schema
        if schema.is_mutable:
            named = {argument.name: argument for argument in schema.arguments}
            given = [*zip(schema.arguments, args, strict=False), *((named[key], kwargs[key]) for key in kwargs)]
            for argument, value in given:
                if isinstance(value, torch.Tensor) and argument.alias_info is not None and argument.alias_info.is_write:
                    memory = value.untyped_storage()
                    self._saved.setdefault(memory._cdata, (memory, memory.clone()))
        return call_in_trace(function, args, kwargs)

    def restore(self, tensor: torch.Tensor) -> bool:
        """Give the tensor's memory its former contents; whether it was written to inside the block."""
        memory, before = self._saved.get(tensor.untyped_storage()._cdata, (None, None))
        if memory is None or before is None:
            return False
        memory.copy_(before)
        return True


def has_kernel(name: str, key: str) -> bool:
    """Whether the dispatcher has a kernel of operator ``name`` for a dispatch key such as ``CUDA``."""
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(name, key))


def current_stream_handle(device: int) -> int:
    """The ``cudaStream_t`` of a device's current stream; a tenth of the time of making a ``torch.cuda.Stream``."""
    handle: int = torch._C._cuda_getCurrentRawStream(device)
    return handle
