"""The one place that uses torch's private or version-bound interfaces."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .errors import DtypeError


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
    """Keep a warning; one that was raised by a call that a mode of ours passed on is the caller's."""
    package = str(Path(__file__).parent)
    if filename.startswith(package):
        frame = sys._getframe()
        while frame.f_back is not None and (
            frame.f_code.co_filename.startswith(package)
            or frame.f_globals.get("__name__") in ("warnings", "_py_warnings")
        ):
            frame = frame.f_back
        filename, lineno = frame.f_code.co_filename, frame.f_lineno
    raised.append(warnings.WarningMessage(message, category, filename, lineno, file, line))


class _Shell:
    """A module as TorchScript holds it: its parameters, buffers and submodules, and no methods.

    torch.jit.trace makes this itself, and looks at every attribute of every module for code that it could compile:
    two thirds of the time that a trace without products takes.

    Args:
        module: what is traced.
        _compilation_unit: not used.
    """

    def __init__(self, module: torch.nn.Module, _compilation_unit: Any = None) -> None:
        _, self._c = _script_module(module)


def _script_module(module: torch.nn.Module) -> tuple[Any, Any]:
    """The type of a module in TorchScript, and the module."""
    if isinstance(module, torch.jit.ScriptModule):
        return torch._C.ConcreteModuleType.from_jit_type(module._c._type()), module._c
    torch.jit._recursive.check_module_initialized(module)
    builder = torch._C.ConcreteModuleTypeBuilder(type(module))
    builder.add_attribute("training", torch._C.BoolType.get(), False, False)
    held: dict[str, Any] = {"training": getattr(module, "training", False)}
    for tensors, is_parameter in ((module._parameters, True), (module._buffers, False)):
        for name, tensor in tensors.items():
            if tensor is not None:
                builder.add_attribute(name, torch._C.TensorType.get(), is_parameter, not is_parameter)
                held[name] = tensor
    for name, value in vars(module).items():
        if torch._C._jit_is_script_object(value):
            builder.add_attribute(name, torch._C._jit_try_infer_type(value).type(), False, False)
            held[name] = value
    for name, child in module._modules.items():
        if child is not None:
            kind, held[name] = _script_module(child)
            builder.add_module(name, kind)
    kind = builder.build()  # type: ignore[attr-defined]
    made = torch._C._create_module_with_type(kind.jit_type)
    for name, value in held.items():
        made.setattr(name, value)
    return kind, made


def trace(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.jit.ScriptModule:
    """torch.jit.trace without its second, checking run."""
    shell = torch.jit.trace(module, inputs, check_trace=False, strict=False, _module_class=_Shell)
    return torch.jit._recursive.wrap_cpp_module(shell._c)


def forget(traced: torch.jit.ScriptModule, compiled: Collection[str]) -> None:
    """Empty the graphs of a traced module that nobody will run: PyTorch keeps them for good.

    Args:
        traced: the module.
        compiled: the paths of submodules that were in TorchScript before, and are the caller's.
    """
    for path, module in traced.named_modules(remove_duplicate=False):
        if path not in compiled:
            for name in module._c._method_names():
                graph = module._c._get_method(name).graph
                for _ in list(graph.outputs()):
                    graph.eraseOutput(0)
                for node in reversed(list(graph.nodes())):
                    node.destroy()


_Applied = torch.autograd.function._SingleLevelFunction
"""What ``apply`` of every custom autograd function calls."""


def call_functions_by(call: Callable[..., Any] | None) -> None:
    """Let custom autograd functions be called by ``call(function, *args)``; None gives back PyTorch's way."""
    if call is None:
        del _Applied.apply  # type: ignore[attr-defined]
    else:
        _Applied.apply = classmethod(call)  # type: ignore[attr-defined]


def call_function(function: Any, *args: Any) -> Any:
    """Call a custom autograd function in PyTorch's way."""
    return super(_Applied, function).apply(*args)


_check_with, _assert = torch._check_with, torch._assert


def read_checks_by(read: Callable[[Any], Any] | None) -> None:
    """Let ``torch._check``, its kin and ``torch._assert`` look at ``read(condition)``; None: as PyTorch does."""
    if read is None:
        torch._check_with, torch._assert = _check_with, _assert
        return
    torch._check_with = lambda error_type, cond, message: _check_with(error_type, read(cond), message)
    torch._assert = lambda condition, message: _assert(read(condition), message)


def give_tensors(methods: Mapping[str, Callable[..., Any]]) -> None:
    """Give torch.Tensor methods that it has not."""
    for name, method in methods.items():
        setattr(torch.Tensor, name, method)


def take_from_tensors(methods: Mapping[str, Callable[..., Any]]) -> None:
    """Take the methods away that :func:`give_tensors` gave."""
    for name in methods:
        delattr(torch.Tensor, name)


Place = tuple[Any, str]
"""A module, and the name of a function in it."""


def replace_functions(replacements: Mapping[Place, Callable[..., Any]]) -> dict[Place, Callable[..., Any]]:
    """Put functions in the place of others, which are returned."""
    before = {(owner, name): getattr(owner, name) for owner, name in replacements}
    for (owner, name), function in replacements.items():
        setattr(owner, name, function)
    return before


@contextlib.contextmanager
def inlined_compilation() -> Iterator[None]:
    """Within the block, what ``torch.compile`` made calls the function or module that it was made of."""
    import torch._dynamo

    with torch._dynamo.config.patch(error_on_nested_fx_trace=False):
        torch.fx._symbolic_trace._is_fx_tracing_flag = True
        try:
            yield
        finally:
            torch.fx._symbolic_trace._is_fx_tracing_flag = False


def call_in_trace(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """An operator, called in a dispatch mode so that a trace around the mode is as it would be without it.

    The tracer records a convolution where the operator that was called calls another one, and PyTorch keeps it from
    seeing anything inside a mode. What ``torch.tensor`` calls last it does not record.
    """
    if torch._C._get_tracing_state() is None or function is torch.ops.aten.lift_fresh.default:
        return function(*args, **kwargs)
    excluded = torch._C._dispatch_tls_local_exclude_set().remove("Tracer")
    with torch._C._ForceDispatchKeyGuard(torch._C._dispatch_tls_local_include_set(), excluded):
        return function(*args, **kwargs)


@contextlib.contextmanager
def without_tracer_warnings() -> Iterator[None]:
    """Within the block, the tracer does not warn of values that Python reads: it is known, or mended right after."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        yield


def traced_value(tensor: torch.Tensor) -> Any:
    """What the trace has for a tensor; one that no recorded operator gave becomes a constant of it."""
    return torch._C._get_value_trace(tensor)  # type: ignore[attr-defined]


def has_kernel(name: str, key: str) -> bool:
    """Whether the dispatcher has a kernel of operator ``name`` for a dispatch key such as ``CUDA``."""
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(name, key))


def current_stream_handle(device: int) -> int:
    """The ``cudaStream_t`` of a device's current stream; a tenth of the time of making a ``torch.cuda.Stream``."""
    handle: int = torch._C._cuda_getCurrentRawStream(device)
    return handle


_failed_captures: list[torch.cuda.CUDAGraph] = []
"""PyTorch's allocator may ask them still which stream they were captured from."""


def end_failed_capture(graph: torch.cuda.CUDAGraph, pool: Any, device: torch.device) -> None:
    """Take PyTorch out of a capture that CUDA ended as invalid: its allocator and its random numbers are still in it.

    Args:
        graph: whose ``capture_end`` has raised.
        pool: the memory that it was to use.
        device: where; the current stream is that of the capture.
    """
    _failed_captures.append(graph)
    with contextlib.suppress(RuntimeError):  # it was not in use any more
        torch._C._cuda_endAllocateToPool(device.index, pool)
    number, whole = torch.empty(1, device=device), torch.cuda.CUDAGraph()
    whole.capture_begin(capture_error_mode="thread_local")  # the end of the next one ends this one for the generator
    number.zero_()
    whole.capture_end()
